//! The reading of a clock that only counts, without a lock: a register and a division, as Linux's vdso does it.
use crate::number::low;
use hybrid_sys::{count_per_second, count_virtual};

const NS: u64 = 1_000_000_000;
/// What a `struct timespec` is aligned to.
const ALIGNED: u64 = 8;

/// Writes the time to `address` and returns true; false if somebody else must answer: another clock, or an address that is none.
///
/// # Safety
/// As for the C function: at `address` there is a `struct timespec`, or nothing (0).
#[inline(always)]
pub(super) unsafe fn read(clock: u64, address: u64) -> bool {
    // CLOCK_MONOTONIC, …_RAW, …_COARSE, CLOCK_BOOTTIME, as `try_clock` has them.
    let counts = matches!(low(clock), 1 | 4 | 6 | 7);
    if !counts || address == 0 || !address.is_multiple_of(ALIGNED) {
        return false;
    }
    let Ok(place) = usize::try_from(address) else { return false };
    let (ticks, second) = (count_virtual(), count_per_second().max(1));
    // A rest below a second's ticks: the product stays below 2^64 up to a counter of 18 GHz.
    let time = [ticks / second, ticks % second * NS / second];
    // SAFETY: the caller vouches for the place, which is aligned; the program's memory is the component's own.
    unsafe { core::ptr::with_exposed_provenance_mut::<[u64; 2]>(place).write(time) };
    true
}
