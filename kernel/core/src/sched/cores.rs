//! Threads of other cores: where a thread is at home, stopping it there, waking its core (kernel-abi §5.13).
//!
//! INV-CORE-1: a thread with a scheduling context has the context's core as its home; its ready and release queues are those of
//! its home, and only there it is the current thread. INV-CORE-2: what a thread does is changed only by its own core, or after
//! [`Kernel::stop_remote`], when it is nobody's current thread. Everything here folds away for one core.

use crate::core_state::{CORES_MAX, CoreState};
use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef, ThreadState};
use crate::platform::Platform;
use crate::sched::Switch;

/// Leaves the number of a core as it is.
const CORE_MASK: u8 = 3;
const _: () = assert!(CORES_MAX == CORE_MASK as usize + 1);

impl<P: Platform> Kernel<P> {
    /// The state of the thread's home.
    #[inline(always)]
    pub(crate) fn home(&self, thread: TcbRef) -> &CoreState {
        self.core_state(if P::CORES == 1 { 0 } else { self.home_number(thread) })
    }

    #[inline(always)]
    fn home_number(&self, thread: TcbRef) -> usize {
        usize::from(self.tcb(thread).core().to_le_bytes()[0] & CORE_MASK)
    }

    /// True if the thread is at home on this core.
    #[inline(always)]
    pub(crate) fn is_local(&self, thread: TcbRef) -> bool {
        P::CORES == 1 || self.home_number(thread) == self.platform.core()
    }

    /// The thread, which runs nowhere and is in no queue, goes to the core of a scheduling context that it gets.
    #[inline(always)]
    pub(crate) fn move_home(&self, thread: TcbRef, context: SchedContextRef) {
        if P::CORES > 1 {
            self.tcb(thread).set_core(self.context(context).core());
        }
    }

    /// A thread of another core was made ready: that core is told if it runs nothing as good.
    #[inline(always)]
    pub(crate) fn tell_home(&self, thread: TcbRef) {
        if P::CORES > 1 && !self.is_local(thread) {
            let running = self.home(thread).current.get();
            if running.is_none_or(|running| self.tcb(running).priority() < self.tcb(thread).priority()) {
                self.wake_home(thread);
            }
        }
    }

    /// The thread's home, if it is another core, will look at its queues. A core that was stopped does so anyway.
    pub(crate) fn wake_home(&self, thread: TcbRef) {
        if P::CORES > 1 && !self.is_local(thread) && self.home(thread).switch.get() == Switch::Stay {
            self.to_wake.set(self.to_wake.get() | 1 << self.home_number(thread));
        }
    }

    /// Sends the reschedule interrupts that the operation asked for.
    #[cold]
    pub(crate) fn wake_cores(&self) {
        let cores = self.to_wake.replace(0);
        for core in 0..P::CORES {
            if cores & 1 << core != 0 && core != self.platform.core() {
                self.platform.wake_core(core);
            }
        }
    }

    /// For an invocation on a thread or its scheduling context: if the thread runs on another core, it no longer does on return,
    /// and what it used is charged. That may be the end of its timeslice, with a timeout fault.
    #[inline(always)]
    pub(crate) fn stop_remote(&self, thread: TcbRef) {
        if P::CORES > 1 && self.runs_elsewhere(thread) {
            self.preempt_home(thread, true);
            // A woken timeout handler waits in its queue while the operation goes on.
            self.reschedule();
        }
    }

    /// As [`Kernel::stop_remote`] in the middle of an operation: the thread is about to lose its scheduling context or its life.
    #[inline(always)]
    pub(crate) fn stop_remote_quietly(&self, thread: TcbRef) {
        if P::CORES > 1 && self.runs_elsewhere(thread) {
            self.preempt_home(thread, false);
        }
    }

    fn runs_elsewhere(&self, thread: TcbRef) -> bool {
        !self.is_local(thread) && self.home(thread).current.get() == Some(thread)
    }

    /// The current thread of another core becomes a ready one that repeats its instruction; the core will drop its own entry and
    /// choose again.
    #[cold]
    fn preempt_home(&self, thread: TcbRef, may_time_out: bool) {
        self.platform.stop_core(self.home_number(thread));
        self.update_time();
        let (core, now) = (self.home(thread), self.this_core().now.get());
        let used = core.consumed.replace(0).wrapping_add(now.wrapping_sub(core.now.replace(now)));
        core.current.set(None);
        core.switch.set(Switch::Choose);
        core.reprogram.set(true);
        if self.tcb(thread).state() == ThreadState::Running {
            self.tcb(thread).set_state_raw(ThreadState::Restart);
        }
        if let Some(context) = core.current_context.replace(None) {
            if self.can_afford(context, used) {
                self.charge_to(context, used);
                self.ready_push_head(thread);
            } else {
                self.exhaust(context, used);
                self.end_timeslice(context, thread, may_time_out);
            }
        }
    }
}
