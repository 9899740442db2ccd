//! Scheduling: who runs next, for how long, and what that cost (kernel-abi §5).
//!
//! INV-SCHED-1: a core's current thread is in no queue. INV-SCHED-2: a thread is in a ready queue only if it is
//! schedulable, in the release queue only if it is runnable with an active scheduling context.

mod context;
mod cores;
mod queues;
mod refill;
mod release;
mod sched_context;
mod sched_control;

use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef, ThreadState};
use crate::platform::Platform;

pub(crate) use queues::ReadyQueues;

/// What the operation that is under way wants at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// The current thread goes on.
    Stay,
    /// The current thread cannot go on; nobody was woken yet.
    Leave,
    /// This one was woken; it is in no queue.
    To(TcbRef),
    /// Choose from the ready queues.
    Choose,
}

/// Threads that get their budget back in one entry: each costs some 1,250 instructions if 10,000 wait.
const AWAKEN_MAX: usize = 4;

impl<P: Platform> Kernel<P> {
    /// Samples the clock; the time since the last sample is charged later.
    #[inline]
    pub(crate) fn update_time(&self) {
        #[cfg(any(test, feature = "model"))]
        if self.model.is_clock_frozen.get() {
            return;
        }
        let (core, now) = (self.this_core(), self.platform.now());
        let passed = now.wrapping_sub(core.now.replace(now));
        core.consumed.set(core.consumed.get().wrapping_add(passed));
    }

    /// Runnable, with an active scheduling context, and not waiting for budget.
    #[inline]
    pub(crate) fn is_schedulable(&self, thread: TcbRef) -> bool {
        let tcb = self.tcb(thread);
        tcb.state().is_runnable()
            && !tcb.is_release_queued()
            && tcb.sched_context().is_some_and(|context| self.context(context).is_active())
    }

    /// Offers a thread that became ready (kernel-abi §5.7).
    #[inline]
    pub(crate) fn offer(&self, thread: TcbRef) {
        let (core, tcb) = (self.this_core(), self.tcb(thread));
        if !tcb.state().is_runnable() || tcb.is_release_queued() || core.current.get() == Some(thread) {
            return;
        }
        let Some(context) = tcb.sched_context() else { return };
        // Of the context that is charged now it was checked on entry: it is active and has budget.
        if core.current_context.get() != Some(context) {
            if !self.context(context).is_active() {
                return;
            }
            if !self.has_budget(context) {
                self.postpone(context);
                return;
            }
        }
        if !self.is_local(thread) {
            self.ready_push_head(thread);
            return;
        }
        if tcb.is_ready_queued() {
            self.reschedule();
            return;
        }
        match core.switch.get() {
            Switch::Stay | Switch::Leave => core.switch.set(Switch::To(thread)),
            Switch::To(_) | Switch::Choose => {
                self.reschedule();
                self.ready_push_head(thread);
            }
        }
    }

    /// A new choice is needed at the end of the operation.
    pub(crate) fn reschedule(&self) {
        if let Switch::To(thread) = self.this_core().switch.get()
            && self.is_schedulable(thread)
        {
            self.ready_push_head(thread);
        }
        self.this_core().switch.set(Switch::Choose);
    }

    /// The current thread stopped being runnable.
    pub(crate) fn leave_cpu(&self) {
        if self.this_core().switch.get() == Switch::Stay {
            self.this_core().switch.set(Switch::Leave);
        }
    }

    /// Chooses the next thread and accounts for the last one.
    pub(crate) fn schedule(&self) {
        let core = self.this_core();
        if core.release_head.get().is_some() {
            self.awaken();
        }
        let switch = core.switch.get();
        if switch != Switch::Stay {
            let current = core.current.get();
            let mut was_schedulable = current.is_some_and(|thread| self.is_schedulable(thread));
            if let Some(current) = current
                && was_schedulable
            {
                self.ready_push_head(current);
                was_schedulable = self.is_local(current);
            }
            match switch {
                Switch::To(candidate) if self.is_schedulable(candidate) => {
                    self.switch_to_candidate(candidate, current, was_schedulable);
                }
                _ => self.choose(),
            }
            core.switch.set(Switch::Stay);
        }
        self.switch_context();
        if core.reprogram.replace(false) {
            self.program_timer();
        }
    }

    fn switch_to_candidate(&self, candidate: TcbRef, current: Option<TcbRef>, was_schedulable: bool) {
        let priority = self.tcb(candidate).priority();
        let current_priority = current.map(|thread| self.tcb(thread).priority());
        if current_priority.is_none_or(|current| priority < current) && !self.this_core().ready.is_highest(priority) {
            self.ready_push_head(candidate);
            self.choose();
        } else if was_schedulable && current_priority == Some(priority) {
            self.ready_push_tail(candidate);
            self.choose();
        } else {
            self.switch_to(candidate);
        }
    }

    fn choose(&self) {
        match self.this_core().ready.highest() {
            Some(thread) => self.switch_to(thread),
            None => self.this_core().current.set(None),
        }
    }

    /// A ready thread, or one in no queue, becomes the current one.
    fn switch_to(&self, thread: TcbRef) {
        self.ready_remove(thread);
        if self.this_core().current.replace(Some(thread)) != Some(thread) {
            self.this_core().space_changed.set(true);
        }
    }

    /// Accounts the time of the scheduling context that is being left.
    pub(crate) fn switch_context(&self) {
        let core = self.this_core();
        let next = core.current.get().and_then(|thread| self.tcb(thread).sched_context());
        if next != core.current_context.get() {
            core.reprogram.set(true);
            if let Some(context) = next {
                let view = self.context(context);
                if !view.is_round_robin() && !view.is_sporadic() {
                    self.refresh_refills(context);
                }
            }
        }
        if core.reprogram.get() {
            self.commit_time();
        }
        core.current_context.set(next);
    }

    /// The end of [`Kernel::switch_context`] when the next thread's scheduling context is another one than before, and not sporadic.
    #[inline(always)]
    pub(crate) fn change_context(&self, next: SchedContextRef) {
        let core = self.this_core();
        if !self.context(next).is_round_robin() {
            self.refresh_refills(next);
        }
        let used = core.consumed.replace(0);
        if let Some(last) = core.current_context.replace(Some(next)) {
            self.charge_to(last, used);
        }
        core.reprogram.set(false);
        self.program_timer();
    }

    #[inline]
    pub(crate) fn program_timer(&self) {
        let budget_end =
            self.this_core().current_context.get().map_or(u64::MAX, |context| {
                self.this_core().now.get().saturating_add(self.head_refill(context).amount())
            });
        let release = self.this_core().release_head.get().map_or(u64::MAX, |first| self.tcb(first).release_time());
        self.platform.set_deadline(budget_end.min(release));
    }

    /// Makes the chosen thread ready to leave the kernel.
    #[inline]
    pub(crate) fn activate(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if tcb.yield_to().is_some() {
            self.complete_yield_to(thread);
        }
        if tcb.state() == ThreadState::Restart {
            tcb.set_pc(tcb.fault_ip());
            tcb.set_state_raw(ThreadState::Running);
        }
    }

    /// Moves the thread of a scheduling context to the release queue.
    pub(crate) fn postpone(&self, context: SchedContextRef) {
        let Some(thread) = self.context(context).thread() else { return };
        self.ready_remove(thread);
        if !self.tcb(thread).is_release_queued() {
            self.release_insert(thread, self.head_refill(context).start());
            if self.this_core().current.get() == Some(thread) {
                self.leave_cpu();
            }
        }
        self.home(thread).reprogram.set(true);
        self.wake_home(thread);
    }

    /// Moves threads whose refill is ready from the release queue to the scheduler.
    /// At most so many that it stays short: for those that are left over the timer is programmed to a time that has passed.
    fn awaken(&self) {
        for _ in 0..AWAKEN_MAX {
            let Some(thread) = self.this_core().release_head.get() else { break };
            if self.tcb(thread).release_time() > self.this_core().now.get() {
                break;
            }
            self.release_remove(thread);
            self.offer(thread);
        }
    }

    /// True if a usage leaves a head refill that is worth it.
    #[inline(always)]
    pub(crate) fn can_afford(&self, context: SchedContextRef, used: u64) -> bool {
        self.head_refill(context).amount().checked_sub(used).is_some_and(|left| left >= self.min_budget.get())
    }

    /// Budget check on kernel entry (kernel-abi §5.6). False: the timeslice is over.
    pub(crate) fn check_budget(&self) -> bool {
        let Some(context) = self.this_core().current_context.get() else { return true };
        let consumed = self.this_core().consumed.get();
        let has_budget = self.can_afford(context, consumed);
        if !has_budget {
            self.charge(context, consumed, true);
        }
        has_budget
    }

    /// As [`Kernel::check_budget`]; a thread without budget repeats its instruction later.
    pub(crate) fn check_budget_or_restart(&self, thread: TcbRef) -> bool {
        let has_budget = self.check_budget();
        if !has_budget && self.tcb(thread).state().is_runnable() {
            self.set_state(thread, ThreadState::Restart);
        }
        has_budget
    }

    /// After a preempted operation that stopped the current thread.
    pub(crate) fn forget_or_charge_consumed(&self) {
        match self.this_core().current_context.get() {
            Some(context) if self.context(context).is_active() => {
                self.charge(context, self.this_core().consumed.get(), false)
            }
            _ => self.this_core().consumed.set(0),
        }
    }

    /// Charges the current scheduling context and ends the timeslice of the current thread.
    fn charge(&self, context: SchedContextRef, amount: u64, may_time_out: bool) {
        self.exhaust(context, amount);
        self.this_core().consumed.set(0);
        if let Some(thread) = self.this_core().current.get()
            && self.is_schedulable(thread)
        {
            self.end_timeslice(context, thread, may_time_out);
            self.reschedule();
            self.this_core().reprogram.set(true);
        }
    }

    /// Charges a usage with which the timeslice ends.
    fn exhaust(&self, context: SchedContextRef, amount: u64) {
        let view = self.context(context);
        if view.is_round_robin() {
            self.restore_round_robin(context);
        } else {
            self.charge_refills(context, amount);
        }
        view.set_consumed(view.consumed().saturating_add(amount));
    }

    /// Charges what was consumed, without ending anything.
    pub(crate) fn commit_time(&self) {
        let amount = self.this_core().consumed.replace(0);
        if let Some(context) = self.this_core().current_context.get() {
            self.charge_to(context, amount);
        }
    }

    #[inline]
    fn charge_to(&self, context: SchedContextRef, amount: u64) {
        let view = self.context(context);
        if !view.is_active() || amount == 0 {
            return;
        }
        if view.is_round_robin() {
            self.consume_round_robin(context, amount);
        } else {
            self.charge_refills(context, amount);
        }
        view.set_consumed(view.consumed().saturating_add(amount));
    }

    fn end_timeslice(&self, context: SchedContextRef, thread: TcbRef, may_time_out: bool) {
        let view = self.context(context);
        if may_time_out && !view.is_round_robin() && self.timeout_handler(thread).is_some() {
            self.deliver_timeout(thread, crate::fault::Fault::Timeout { badge: view.badge() });
        } else if self.has_budget(context) {
            self.ready_push_tail(thread);
        } else {
            self.postpone(context);
        }
    }

    /// The Yield system call.
    pub(crate) fn yield_now(&self) {
        let Some(context) = self.this_core().current_context.get() else { return };
        let view = self.context(context);
        let consumed = view.consumed().saturating_add(self.this_core().consumed.get());
        self.charge(context, self.head_refill(context).amount(), false);
        view.set_consumed(consumed);
    }

    /// Ticks of a time in µs.
    pub(crate) fn ticks(&self, us: u64) -> u64 {
        us.saturating_mul(self.platform.ticks_per_ms()) / 1000
    }

    /// µs of a number of ticks.
    pub(crate) fn us(&self, ticks: u64) -> u64 {
        let khz = self.platform.ticks_per_ms().max(1);
        let whole = ticks.checked_div(khz).unwrap_or(0);
        let rest = ticks.checked_rem(khz).unwrap_or(0);
        whole.saturating_mul(1000).saturating_add(rest.saturating_mul(1000).checked_div(khz).unwrap_or(0))
    }
}
