//! Two counters of retired instructions: the kernel's own, and all; no averages.
//!
//! Counter 0 counts event 8 (INST_RETIRED) with `PMEVTYPER.U` set, so it stands still at EL0; counter 1 counts at both levels
//! (Arm ARM D13.13). The difference of two readings of counter 0 is exactly what the kernel executed between them: from the first
//! instruction of its vector to its ERET, the `svc` and all user code excluded.

/// Both counters at one moment; they wrap at 2^32.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    kernel: u32,
    all: u32,
}

/// Instructions between two readings.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    /// Those of the kernel.
    pub(crate) kernel: u32,
    /// Those of the user program too, without the ones that read the counters.
    pub(crate) all: u32,
}

/// What reading the counters adds to a [`Cost::all`]: two system-register reads and a barrier.
const READING: u32 = 3;

/// Starts both counters.
pub(crate) fn start() {
    target::start();
}

/// Reads both counters.
#[inline(always)]
pub(crate) fn read() -> Reading {
    target::read()
}

impl Reading {
    /// The instructions between `earlier` and this reading.
    pub(crate) fn since(self, earlier: Reading) -> Cost {
        Cost {
            kernel: self.kernel.wrapping_sub(earlier.kernel),
            all: self.all.wrapping_sub(earlier.all).saturating_sub(READING),
        }
    }

    /// Both counters as one word, for an atomic.
    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.kernel) << 32 | u64::from(self.all)
    }

    /// What [`Self::to_word`] made.
    pub(crate) fn from_word(word: u64) -> Self {
        Self { kernel: (word >> 32) as u32, all: (word & 0xffff_ffff) as u32 }
    }
}

impl core::ops::Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost { kernel: self.kernel.wrapping_add(other.kernel), all: self.all.wrapping_add(other.all) }
    }
}

#[cfg(target_arch = "aarch64")]
mod target {
    use super::Reading;
    use core::arch::asm;

    pub(super) fn start() {
        const INST_RETIRED: u64 = 8;
        const NOT_AT_EL0: u64 = 1 << 30;
        // SAFETY: the kernel of this program gives EL0 the PMU's registers, and nobody else uses them; no memory is touched.
        unsafe {
            asm!(
                "msr pmevtyper0_el0, {kernel}",
                "msr pmevtyper1_el0, {all}",
                "msr pmcntenset_el0, {counters}",
                "mrs {old}, pmcr_el0",
                "orr {old}, {old}, #1",
                "msr pmcr_el0, {old}",
                "isb",
                kernel = in(reg) INST_RETIRED | NOT_AT_EL0,
                all = in(reg) INST_RETIRED,
                counters = in(reg) 3_u64,
                old = out(reg) _,
                options(nostack, nomem)
            );
        }
    }

    #[inline(always)]
    pub(super) fn read() -> Reading {
        let (kernel, all): (u64, u64);
        // SAFETY: reads registers that the kernel gives to EL0; the barrier keeps the reading in its place.
        unsafe {
            asm!("isb", "mrs {}, pmevcntr0_el0", "mrs {}, pmevcntr1_el0", out(reg) kernel, out(reg) all, options(nostack, preserves_flags));
        }
        Reading { kernel: (kernel & 0xffff_ffff) as u32, all: (all & 0xffff_ffff) as u32 }
    }
}

#[cfg(not(target_arch = "aarch64"))]
mod target {
    use super::Reading;

    pub(super) fn start() {}
    pub(super) fn read() -> Reading {
        Reading::default()
    }
}
