//! Executed instructions of the whole machine; time where nothing counts them.
use core::arch::asm;
use libhybrid::now_ns;

/// Adds up a 32-bit counter.
pub(crate) struct Counter {
    last: u64,
    sum: u64,
    is_exact: bool,
}

impl Counter {
    /// Starts the PMU's counter of retired instructions (event 8); the kernel of this program gives it to EL0.
    pub(crate) fn start() -> Self {
        // SAFETY: the PMU's registers belong to EL0 here, and this thread alone programs them; no memory is touched.
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
        let last = events();
        let is_exact = events() != last;
        Self { last: if is_exact { last } else { now_ns() }, sum: 0, is_exact }
    }

    /// Instructions since the start; to be asked often enough that 32 bits do not wrap. Nanoseconds if nothing counts.
    pub(crate) fn read(&mut self) -> u64 {
        let (now, mask) = if self.is_exact { (events(), 0xffff_ffff) } else { (now_ns(), u64::MAX) };
        self.sum += now.wrapping_sub(self.last) & mask;
        self.last = now;
        self.sum
    }

    /// What is counted.
    pub(crate) fn unit(&self) -> &'static str {
        if self.is_exact { "instructions" } else { "nanoseconds" }
    }
}

fn events() -> u64 {
    let count: u64;
    // SAFETY: reads a register that the kernel gives to EL0.
    unsafe { asm!("isb", "mrs {}, pmevcntr0_el0", out(reg) count, options(nostack, preserves_flags)) };
    count
}
