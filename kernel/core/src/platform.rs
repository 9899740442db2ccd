//! What the logic needs from the machine: memory, time, translation, caches, interrupts.
//!
//! The trait is safe to call and total. Its implementer keeps three promises:
//!
//! * **INV-PLAT-1 memory.** [`Platform::words`] gives access to physical RAM. The core asks only for
//!   addresses inside objects that it was given (boot memory, untyped memory that was retyped), aligned
//!   to 8 bytes, and never holds the result across a call that could give that memory another type.
//!   All access is through `Cell`s of plain words, so any overlap is harmless.
//! * **INV-PLAT-2 serial.** Only one core is in the logic at a time, with interrupts masked. (Several cores: one lock.)
//! * **INV-PLAT-3 effects.** When a method that invalidates, cleans, masks or switches returns, its
//!   effect is complete on every core (barriers included).

use core::cell::Cell;

use crate::object::TcbRef;

/// Range of physical memory, `start` inclusive, `end` exclusive, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysRange {
    /// First byte.
    pub start: u64,
    /// First byte after the range.
    pub end: u64,
}

/// Cache maintenance on a range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOperation {
    /// Write dirty lines to RAM (point of coherency).
    Clean,
    /// Drop lines.
    Invalidate,
    /// Write back, then drop.
    CleanInvalidate,
    /// Clean data to the point of unification, invalidate instructions.
    Unify,
}

/// The machine under the kernel.
pub trait Platform {
    /// Cores that the kernel is built for, 1 to [`CORES_MAX`](crate::core_state::CORES_MAX). With 1 it is the
    /// kernel without SMP of the ABI (label 56 is IssueSGISignal, kernel-abi §3.8).
    const CORES: usize;

    /// The core that runs this, 0 to `CORES - 1`.
    fn core(&self) -> usize;

    /// `N` words of physical RAM from `paddr` on (8-byte aligned).
    fn words<const N: usize>(&self, paddr: u64) -> &[Cell<u64>; N];

    /// Writes zeros over `[paddr, paddr + bytes)`, in RAM too (as [`CacheOperation::Clean`]); both are multiples of 16.
    fn zero(&self, paddr: u64, bytes: u64);

    /// The clock (virtual counter) in ticks; never goes back.
    fn now(&self) -> u64;

    /// Ticks per millisecond of that clock; constant after boot, not 0.
    fn ticks_per_ms(&self) -> u64;

    /// Programs the kernel timer to interrupt when the clock reaches `deadline`; replaces the last one.
    fn set_deadline(&self, deadline: u64);

    /// Stores one page-table entry and makes it visible to the table walkers.
    fn write_table_entry(&self, paddr: u64, value: u64);

    /// Invalidates all TLB entries of an ASID.
    fn invalidate_asid(&self, asid: u16);

    /// Invalidates the TLB entries (all levels) of the page at `vaddr` in an ASID.
    fn invalidate_page(&self, asid: u16, vaddr: u64);

    /// Cache maintenance on `[paddr, paddr + bytes)`, any alignment. For memory that the kernel does
    /// not map (device memory) it does nothing.
    fn maintain_cache(&self, operation: CacheOperation, paddr: u64, bytes: u64);

    /// Makes the root table in bits 0 to 47, with the ASID in bits 48 to 63, the user address space; an empty one for 0. In effect
    /// before the next return to a user and before an invalidation that follows.
    fn set_address_space(&self, space: u64);

    /// Saves what FP registers of `thread` are live in a core into its TCB and forgets it as their owner
    /// (the thread is about to be destroyed or disabled).
    fn release_fp(&self, thread: TcbRef);

    /// `flags` or `has_timer_access` of `thread` changed: makes the next exit apply them, also if `thread` is
    /// the one that runs now. Called after [`Platform::release_fp`] where FP access is concerned.
    fn thread_changed(&self, thread: TcbRef);

    /// Makes another core leave user mode and keeps it out of it: on return the registers of its thread are in the TCB, and the core
    /// waits to enter the logic.
    fn stop_core(&self, core: usize);

    /// Makes another core enter the logic soon (reschedule interrupt).
    fn wake_core(&self, core: usize);

    /// Makes another core translate with an empty user address space until its next [`Platform::set_address_space`].
    fn drop_address_space(&self, core: usize);

    /// Asked at preemption points: true if the thread has no budget left to go on, an interrupt of this core waits to be taken, or
    /// another core for the logic.
    fn must_stop(&self, has_budget: bool) -> bool;

    /// Lets an interrupt reach the CPU. `core` matters for private interrupts (below 32), here and below.
    fn unmask_irq(&self, core: usize, irq: u32);

    /// Keeps an interrupt from the CPU.
    fn mask_irq(&self, core: usize, irq: u32);

    /// Sets edge (true) or level (false) triggering.
    fn set_irq_trigger(&self, core: usize, irq: u32, edge: bool);

    /// Sends a shared interrupt to a core from now on.
    fn route_irq(&self, irq: u32, core: usize);

    /// Ends the handling of an interrupt that this core took in the controller but keeps that interrupt away until
    /// [`Platform::release_irq`]: a user-level handler has it now. (GICv2: mask, end; GICv3: drop priority.)
    fn hold_irq(&self, irq: u32);

    /// The handler acknowledged: lets it come again. (GICv2: unmask; GICv3: deactivate.)
    fn release_irq(&self, core: usize, irq: u32);

    /// Ends the handling of a taken interrupt for good: the kernel's own or a dropped one.
    fn end_irq(&self, irq: u32);

    /// Highest valid target word of [`Platform::send_sgi`] (GICv2: 7; GICv3: 0xffff_ffff).
    fn max_sgi_target(&self) -> u64;

    /// Raises a software-generated interrupt.
    fn send_sgi(&self, sgi: u32, target: u64);

    /// Powers the machine off; does not return on a machine that can.
    fn power_off(&self);

    /// Resets the machine; does not return on a machine that can.
    fn reset(&self);

    /// One character to the kernel's console.
    fn put_char(&self, character: u8);
}
