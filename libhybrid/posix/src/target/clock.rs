//! The reading of a clock that only counts, without a lock: a register and a division, as Linux's vdso does it.
use crate::number::low;
use hybrid_sys::{count_per_second, count_virtual};

const NS: u64 = 1_000_000_000;
/// What a `struct timespec` is aligned to.
const ALIGNED: u64 = 8;

/// `CLOCK_MONOTONIC`
pub(super) const MONOTONIC: u32 = 1;

/// Whether a clock only counts: `CLOCK_MONOTONIC`, `…_RAW`, `…_COARSE`, `CLOCK_BOOTTIME`, as `try_clock` has them.
pub(super) fn counts(clock: u64) -> bool {
    matches!(low(clock), MONOTONIC | 4 | 6 | 7)
}

/// Writes the time to `address` and returns true; false if somebody else must answer, since the address is none.
///
/// # Safety
/// As for the C function: at `address` there is a `struct timespec`, or nothing (0).
#[inline(always)]
pub(super) unsafe fn read(address: u64) -> bool {
    if address == 0 || !address.is_multiple_of(ALIGNED) {
        return false;
    }
    let Ok(place) = usize::try_from(address) else { return false };
    let (ticks, second) = (count_virtual(), count_per_second());
    if second == 0 {
        return false;
    }
    // A rest below a second's ticks: the product stays below 2^64 up to a counter of 18 GHz.
    let time = [ticks / second, ticks % second * NS / second];
    // SAFETY: the caller vouches for the place, which is aligned; the program's memory is the component's own.
    unsafe { core::ptr::with_exposed_provenance_mut::<[u64; 2]>(place).write(time) };
    true
}
