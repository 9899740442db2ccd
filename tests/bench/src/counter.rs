//! The PMU's counter of retired instructions; needs a kernel that exports it.

/// Starts counter 0 on event 8 (INST_RETIRED), at EL0 and EL1 (Arm ARM D13.13, PMEVTYPER).
pub(crate) fn start() {
    target::start();
}

/// Instructions since [`start`], modulo 2^32.
pub(crate) fn now() -> u32 {
    target::now()
}

/// Average instructions of `path`, without the loop's own; the remainder is rounded to the nearest.
pub(crate) fn average(mut path: impl FnMut()) -> u32 {
    const ROUNDS: u32 = 1000;
    // Once beforehand: what is done only the first time is not the path.
    path();
    let empty = rounds(ROUNDS, || ());
    let whole = rounds(ROUNDS, &mut path);
    (whole.saturating_sub(empty) + ROUNDS / 2) / ROUNDS
}

#[inline(never)]
fn rounds(count: u32, mut path: impl FnMut()) -> u32 {
    let before = now();
    for round in 0..count {
        core::hint::black_box(round);
        path();
    }
    now().wrapping_sub(before)
}

#[cfg(target_arch = "aarch64")]
mod target {
    use core::arch::asm;

    pub(super) fn start() {
        // SAFETY: the kernel of this program gives EL0 the PMU's registers, and nobody else uses them; no memory is touched.
        unsafe {
            asm!(
                "msr pmevtyper0_el0, {event}",
                "msr pmcntenset_el0, {counter}",
                "mrs {old}, pmcr_el0",
                "orr {old}, {old}, #1",
                "msr pmcr_el0, {old}",
                "isb",
                event = in(reg) 8_u64,
                counter = in(reg) 1_u64,
                old = out(reg) _,
                options(nostack, nomem)
            );
        }
    }

    #[inline]
    pub(super) fn now() -> u32 {
        let count: u64;
        // SAFETY: reads a register that the kernel gives to EL0; the barrier keeps the reading in its place.
        unsafe { asm!("isb", "mrs {}, pmevcntr0_el0", out(reg) count, options(nostack, preserves_flags)) };
        (count & 0xffff_ffff) as u32
    }
}

#[cfg(not(target_arch = "aarch64"))]
mod target {
    pub(super) fn start() {}
    pub(super) fn now() -> u32 {
        0
    }
}
