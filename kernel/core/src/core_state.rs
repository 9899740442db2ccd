//! What the kernel remembers for each core; the whole machine's state is in `kernel.rs`.

use core::cell::Cell;

use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef};
use crate::platform::Platform;
use crate::sched::{ReadyQueues, Switch};

/// The most cores that a kernel can be built for (kernel-abi §0.1).
pub const CORES_MAX: usize = 4;

/// One core's part of the scheduler. What every message needs stands first, close together.
#[repr(C)]
pub(crate) struct CoreState {
    /// The thread that entered the kernel last on this core, or leaves it next; `None` when idle.
    pub(crate) current: Cell<Option<TcbRef>>,
    /// The scheduling context that is charged for the time that passes.
    pub(crate) current_context: Cell<Option<SchedContextRef>>,
    /// An ASID pool was deleted while address spaces of it lived: since then, INV-SPACE-1 says nothing. The same on all cores.
    pub(crate) has_orphaned_spaces: Cell<u64>,
    /// What the core translates with, as [`Platform::set_address_space`] got it.
    pub(crate) installed_space: Cell<u64>,
    /// The last sample of the clock.
    pub(crate) now: Cell<u64>,
    /// Ticks since the last charge, up to that sample.
    pub(crate) consumed: Cell<u64>,
    /// The first of those that wait for budget.
    pub(crate) release_head: Cell<Option<TcbRef>>,
    /// What the operation that is under way wants at its end.
    pub(crate) switch: Cell<Switch>,
    /// The timer's deadline is stale.
    pub(crate) reprogram: Cell<bool>,
    /// The address space of the current thread may not be the installed one.
    pub(crate) space_changed: Cell<bool>,
    /// Threads that could run here.
    pub(crate) ready: ReadyQueues,
}

impl CoreState {
    pub(crate) const fn new() -> Self {
        Self {
            current: Cell::new(None),
            current_context: Cell::new(None),
            switch: Cell::new(Switch::Stay),
            now: Cell::new(0),
            consumed: Cell::new(0),
            reprogram: Cell::new(false),
            ready: ReadyQueues::new(),
            release_head: Cell::new(None),
            space_changed: Cell::new(false),
            installed_space: Cell::new(0),
            has_orphaned_spaces: Cell::new(0),
        }
    }
}

impl<P: Platform> Kernel<P> {
    /// The state of the core that runs this.
    #[inline(always)]
    pub(crate) fn this_core(&self) -> &CoreState {
        self.core_state(if P::CORES == 1 { 0 } else { self.platform.core() })
    }

    /// The state of a core; of the first one if there is no such core.
    #[inline(always)]
    pub(crate) fn core_state(&self, core: usize) -> &CoreState {
        let [first, ..] = &self.cores;
        if P::CORES == 1 { first } else { self.cores.get(core).unwrap_or(first) }
    }
}
