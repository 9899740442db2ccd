//! Floating-point registers: whose they hold, and when they move; never computes.
//!
//! INV-FP-1: the registers hold the state of `owner` (none: of nobody), which is the owner of no other core's. A thread with FP enabled
//! runs only as the owner; a thread with FP disabled runs with EL0 access trapped. So nobody reads another thread's registers, and threads without FP cost nothing.

use core::cell::Cell;

use hybrid_kernel_core::object::{FP_WORD, TcbRef};

use crate::cpu;
use crate::layout::direct;

/// The FP unit of this core.
pub(crate) struct FpUnit {
    owner: Cell<Option<TcbRef>>,
}

impl FpUnit {
    /// The unit of a core whose CPACR_EL1 is [`FP_KERNEL`].
    pub(crate) const fn new() -> Self {
        Self { owner: Cell::new(None) }
    }

    /// Lets EL0 use the unit, or not.
    pub(crate) fn open(&self, is_open: bool) {
        cpu::set_fp_access(if is_open { FP_ALL } else { FP_KERNEL });
    }

    /// Whether the registers hold `thread`'s state.
    #[inline(always)]
    pub(crate) fn is_owner(&self, thread: TcbRef) -> bool {
        self.owner.get() == Some(thread)
    }

    /// Brings `thread`'s state into the registers, which are not its own. Gives `result`.
    #[inline]
    pub(crate) fn give_to(&self, thread: TcbRef, result: usize) -> usize {
        let last = self.owner.replace(Some(thread)).map_or(0, area);
        // SAFETY: an owner is a live TCB (the core calls `release_fp` before it destroys one), and the core runs live TCBs only. Writes
        // the 528 bytes of the one FP area and reads those of the other; the kernel itself has no FP state.
        unsafe { fp_switch(last, area(thread), result) }
    }

    /// Saves the registers into their owner's thread, and forgets it. On the unit's own core.
    pub(crate) fn release(&self) {
        if let Some(owner) = self.owner.take() {
            // SAFETY: an owner is a live TCB: the core calls `release_fp` before it destroys one.
            // Writes the 528 bytes of its FP area; the kernel itself has no FP state.
            unsafe { fp_save(area(owner)) };
        }
    }
}

fn area(thread: TcbRef) -> usize {
    direct(thread.paddr()) + FP_WORD * 8
}

unsafe extern "C" {
    fn fp_save(area: usize);
    /// `from` 0: nothing is saved.
    fn fp_switch(from: usize, to: usize, result: usize) -> usize;
}

core::arch::global_asm!(include_str!("fp.s"));

/// CPACR_EL1.FPEN = 01: EL0 traps, EL1 (which moves the registers) never does, so no change of it needs a barrier here.
pub(crate) const FP_KERNEL: u64 = 1 << 20;
/// CPACR_EL1.FPEN = 11.
const FP_ALL: u64 = 3 << 20;
