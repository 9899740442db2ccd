//! The EL1 physical timer, for the one component that may program it; no queue of alarms.
//!
//! Its registers fault at EL0 unless the platform capability allowed them to this thread. The timer compares with
//! the physical counter, which the kernel keeps equal to the virtual one that `now_ns` reads.
use hybrid_sys::{clock, count_per_second};

/// Lets the timer's interrupt come at `deadline_ns` (as `now_ns` counts), or at once if that is past.
pub fn arm(deadline_ns: u64) {
    target::set_compare(clock::ticks_from_ns(deadline_ns, count_per_second()));
    target::set_control(CONTROL_ENABLE);
}

/// Stops the timer; its interrupt is not raised any more.
pub fn disarm() {
    target::set_control(CONTROL_MASKED);
}

/// CNTP_CTL_EL0 (Arm ARM D19.8.4): enabled, interrupt not masked.
const CONTROL_ENABLE: u64 = 1;
/// Disabled, interrupt masked.
const CONTROL_MASKED: u64 = 2;

#[cfg(all(target_arch = "aarch64", target_os = "none"))]
mod target {
    use core::arch::asm;

    pub(super) fn set_compare(ticks: u64) {
        // SAFETY: programs a timer that belongs to this thread alone; touches no memory.
        unsafe { asm!("msr cntp_cval_el0, {}", in(reg) ticks, options(nostack, nomem, preserves_flags)) };
    }

    pub(super) fn set_control(value: u64) {
        // SAFETY: as above; the barrier makes the change take effect before the caller acknowledges the interrupt.
        unsafe { asm!("msr cntp_ctl_el0, {}", "isb", in(reg) value, options(nostack, nomem, preserves_flags)) };
    }
}

#[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
mod target {
    //! The host has no such timer: nothing ever fires.
    pub(super) fn set_compare(_ticks: u64) {}
    pub(super) fn set_control(_value: u64) {}
}
