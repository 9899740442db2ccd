//! The kernel as one value: the machine, the state that is not in objects, and the entry points.

use core::cell::Cell;

use hybrid_abi::limits::{ASID_POOLS, FIRST_SPI, MAX_IRQ};
use hybrid_abi::syscall;

use crate::core_state::{CORES_MAX, CoreState};
use crate::fastpath::{Entry, Way};
use crate::fault::Fault;
use crate::object::{
    Endpoint, EndpointRef, Notification, NotificationRef, PoolRef, Refill, Reply, ReplyRef, SchedContext,
    SchedContextRef, Slot, SlotRef, Tcb, TcbRef, ThreadState, status,
};
use crate::platform::Platform;
use crate::sched::Switch;

/// A synchronous exception of user code that is not a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserFault {
    /// Data or instruction abort.
    Vm {
        /// Faulting address (FAR); ignored for instruction aborts, whose address is the IP.
        address: u64,
        /// True for an instruction abort.
        is_instruction: bool,
        /// `ESR_EL1`; the low 32 bits are reported.
        syndrome: u64,
    },
    /// Everything else.
    Exception {
        /// `ESR_EL1`; the low 32 bits are reported.
        number: u64,
    },
}

/// Interrupts that can have a handler: all IDs of core 0, then the private ones of each further core.
#[expect(clippy::cast_possible_truncation, reason = "constants that fit")]
pub(crate) const IRQS: usize = MAX_IRQ as usize + 1 + (CORES_MAX - 1) * FIRST_SPI as usize;

/// What an interrupt number is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IrqUse {
    /// Nothing; masked.
    Inactive,
    /// A handler capability exists.
    Handler,
    /// The kernel's own.
    Reserved,
}

/// The kernel: one per machine. Everything it mutates is in cells or in objects.
#[repr(C)]
pub struct Kernel<P: Platform> {
    /// First: fields of it are at small offsets.
    pub(crate) cores: [CoreState; CORES_MAX],
    pub(crate) platform: P,
    /// Cores that were started.
    pub(crate) core_count: Cell<usize>,
    /// Cores that must choose anew, one bit each; told at the end of the operation.
    pub(crate) to_wake: Cell<u8>,
    /// How often the priority of a waiting sender was changed.
    pub(crate) reorders: Cell<u64>,
    /// The first of all capabilities.
    pub(crate) first_slot: Cell<Option<SlotRef>>,
    /// The capability that the Audit object tells of next (INV-LISTING-1).
    pub(crate) audit_next: Cell<Option<SlotRef>>,
    /// How often untyped memory began to be used anew.
    pub(crate) incarnations: Cell<u64>,
    /// How often a thread came to a release queue.
    pub(crate) release_count: Cell<u64>,
    pub(crate) work_units: Cell<u32>,
    pub(crate) work_limit: Cell<u32>,
    pub(crate) min_budget: Cell<u64>,
    pub(crate) irq_uses: [Cell<IrqUse>; IRQS],
    pub(crate) irq_table: Cell<u64>,
    pub(crate) asid_pools: [Cell<Option<PoolRef>>; ASID_POOLS],
    pub(crate) lost_memory: Cell<u64>,
    /// What the model tests watch and change.
    #[cfg(any(test, feature = "model"))]
    pub(crate) model: crate::model_tests::Watch,
}

/// Methods that see the words at an address as an object; the last ones where the address is known to be one.
macro_rules! views {
    ($( $name:ident($($arg:ident: $ty:ty),+) at $address:expr => $view:ident; )*) => { $(
        #[inline(always)]
        pub(crate) fn $name(&self, $($arg: $ty),+) -> $view<'_> {
            $view::new(self.platform.words($address))
        }
    )* };
}

impl<P: Platform> Kernel<P> {
    /// A kernel that was not booted yet.
    #[must_use]
    pub const fn new(platform: P) -> Self {
        Self {
            platform,
            cores: [const { CoreState::new() }; CORES_MAX],
            core_count: Cell::new(1),
            to_wake: Cell::new(0),
            reorders: Cell::new(0),
            first_slot: Cell::new(None),
            audit_next: Cell::new(None),
            incarnations: Cell::new(0),
            release_count: Cell::new(0),
            work_units: Cell::new(0),
            work_limit: Cell::new(crate::preempt::LOOK_AFTER),
            min_budget: Cell::new(0),
            irq_uses: [const { Cell::new(IrqUse::Inactive) }; IRQS],
            irq_table: Cell::new(0),
            asid_pools: [const { Cell::new(None) }; ASID_POOLS],
            #[cfg(any(test, feature = "model"))]
            model: crate::model_tests::Watch::new(),
            lost_memory: Cell::new(0),
        }
    }

    /// The machine it runs on.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// Bytes of RAM that boot could not hand out: blocks too small for the untyped list (kernel-abi §10.1).
    pub fn lost_memory(&self) -> u64 {
        self.lost_memory.get()
    }

    /// The thread that entered the kernel last on this core, or will leave it next; `None` when idle.
    pub fn current_thread(&self) -> Option<TcbRef> {
        self.this_core().current.get()
    }

    /// A system call of the current thread: the fast ways first. Gives the thread to run next.
    pub fn handle_syscall(&self) -> Option<TcbRef> {
        if !self.may_be_fast() {
            return self.handle_syscall_slowly();
        }
        let Some(thread) = self.this_core().current.get() else { return self.leave() };
        let entry = Entry::of(self.tcb(thread));
        let mut way = match entry.number {
            syscall::CALL => self.fast_call(&entry),
            syscall::REPLY_RECV => self.fast_reply_recv(&entry),
            syscall::SEND | syscall::NB_SEND => self.fast_send(&entry),
            _ => self.fast_waiting_call(&entry),
        };
        if way == Some(Way::Timed) {
            way = match entry.number {
                syscall::CALL => self.timed_call(&entry),
                syscall::REPLY_RECV => self.timed_reply_recv(&entry),
                syscall::SEND | syscall::NB_SEND => self.timed_send(&entry),
                _ => self.timed_waiting_call(&entry),
            };
        }
        self.next_of(way).or_else(|| self.handle_syscall_slowly())
    }

    /// A system call of the current thread that no fast way (`fast_call`, …) handles.
    pub fn handle_syscall_slowly(&self) -> Option<TcbRef> {
        if let Some(thread) = self.this_core().current.get() {
            let tcb = self.tcb(thread);
            if tcb.x::<7>().cast_signed() == syscall::REPLY_RECV
                && self.may_be_fast()
                && let next @ Some(_) = self.next_of(self.fast_fault_reply(&Entry::of(tcb)))
            {
                return next;
            }
        }
        self.syscall();
        self.leave()
    }

    /// A Call of the current thread that no fast way handles: mostly one of a kernel object.
    pub fn handle_call_slowly(&self) -> Option<TcbRef> {
        self.call();
        self.leave()
    }

    /// A synchronous exception of the current thread. Gives the thread to run next.
    pub fn handle_fault(&self, fault: UserFault) -> Option<TcbRef> {
        if let UserFault::Vm { address, is_instruction, syndrome } = fault
            && self.may_be_fast()
            && let next @ Some(_) = self.next_of(self.fast_fault(address, is_instruction, syndrome))
        {
            return next;
        }
        if let Some(thread) = self.begin() {
            self.deliver_fault(thread, Fault::User(fault));
        }
        self.leave()
    }

    /// An interrupt was taken (`None`: spurious). Gives the thread to run next.
    pub fn handle_interrupt(&self, irq: Option<u32>) -> Option<TcbRef> {
        if let Some(irq) = irq
            && self.may_be_fast()
            && let next @ Some(_) = self.next_of(self.timed_interrupt(irq))
        {
            return next;
        }
        self.update_time();
        if let Some(thread) = self.this_core().current.get()
            && self.is_schedulable(thread)
        {
            self.check_budget();
        }
        if let Some(irq) = irq {
            self.interrupt(irq);
        }
        self.leave()
    }

    /// The thread that runs next if this way was taken; counts it for the tests.
    #[inline(always)]
    fn next_of(&self, way: Option<Way>) -> Option<TcbRef> {
        let (Way::Runs(next) | Way::Stays(next)) = way? else { return None };
        #[cfg(any(test, feature = "model"))]
        self.model.fast_count.set(self.model.fast_count.get() + 1);
        Some(next)
    }

    #[inline(always)]
    fn may_be_fast(&self) -> bool {
        #[cfg(any(test, feature = "model"))]
        return !self.model.is_slow_only.get();
        #[cfg(not(any(test, feature = "model")))]
        true
    }

    /// Samples the clock. The current thread, if it may do what it entered for; else it repeats it later: another core stopped it, or
    /// its budget is used up.
    #[inline(always)]
    pub(crate) fn begin(&self) -> Option<TcbRef> {
        self.update_time();
        self.this_core().current.get().filter(|thread| self.check_budget_or_restart(*thread))
    }

    /// Chooses, switches and programs; the tail of every entry.
    #[inline(always)]
    pub(crate) fn leave(&self) -> Option<TcbRef> {
        let core = self.this_core();
        // The usual end of a call that blocks nobody: the same thread goes on, on the same context (INV-ENTRY-2: no YieldTo is pending).
        let is_as_before = core.release_head.get().is_none()
            && core.switch.get() == Switch::Stay
            && !core.reprogram.get()
            && !core.space_changed.get()
            && (P::CORES == 1 || self.to_wake.get() == 0);
        match core.current.get() {
            Some(thread) if is_as_before && self.tcb(thread).status() == status(ThreadState::Running) => Some(thread),
            _ => self.leave_after_changes(),
        }
    }

    fn leave_after_changes(&self) -> Option<TcbRef> {
        self.schedule();
        let core = self.this_core();
        let current = core.current.get();
        if let Some(thread) = current {
            self.activate(thread);
        }
        if core.space_changed.replace(false) {
            match current.and_then(|thread| self.known_space(self.tcb(thread))) {
                Some(space) => self.translate_with(space),
                None => self.install_space(),
            }
        }
        if P::CORES > 1 && self.to_wake.get() != 0 {
            self.wake_cores();
        }
        current
    }

    views! {
        tcb(thread: TcbRef) at thread.paddr() => Tcb;
        slot(slot: SlotRef) at slot.paddr() => Slot;
        endpoint(endpoint: EndpointRef) at endpoint.paddr() => Endpoint;
        notification(notification: NotificationRef) at notification.paddr() => Notification;
        reply(reply: ReplyRef) at reply.paddr() => Reply;
        context(context: SchedContextRef) at context.paddr() => SchedContext;
        refill(context: SchedContextRef, index: u64) at context.refill_paddr(index) => Refill;
        endpoint_at(paddr: u64) at paddr => Endpoint;
        notification_at(paddr: u64) at paddr => Notification;
        reply_at(paddr: u64) at paddr => Reply;
    }
}
