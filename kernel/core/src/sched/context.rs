//! Binding, donating and yielding with scheduling contexts (kernel-abi §4.5, §5.10).

use hybrid_abi::message::MessageInfo;

use crate::kernel::Kernel;
use crate::object::{NotificationRef, SchedContextRef, TcbRef};
use crate::platform::Platform;
use crate::sched::Switch;

impl<P: Platform> Kernel<P> {
    /// Gives a context to a thread that has none; whoever had it stops in place.
    pub(crate) fn donate(&self, context: SchedContextRef, to: TcbRef) {
        self.unbind_context_thread(context);
        self.context(context).set_thread(Some(to));
        self.tcb(to).set_sched_context(Some(context));
        self.move_home(to, context);
    }

    /// Takes a context from its thread.
    pub(crate) fn unbind_context_thread(&self, context: SchedContextRef) {
        let Some(thread) = self.context(context).thread() else { return };
        self.stop_remote_quietly(thread);
        self.ready_remove(thread);
        self.release_remove(thread);
        self.tcb(thread).set_sched_context(None);
        self.context(context).set_thread(None);
        let core = self.this_core();
        if core.current.get() == Some(thread) {
            self.leave_cpu();
        } else if core.switch.get() == Switch::To(thread) {
            self.reschedule();
        }
    }

    pub(crate) fn bind_context_thread(&self, context: SchedContextRef, thread: TcbRef) {
        self.context(context).set_thread(Some(thread));
        self.tcb(thread).set_sched_context(Some(context));
        self.move_home(thread, context);
        self.refresh_sporadic(thread);
        self.resume_context(context);
        if self.is_schedulable(thread) {
            self.ready_push_head(thread);
            self.reschedule();
        }
    }

    pub(crate) fn bind_context_notification(&self, context: SchedContextRef, notification: NotificationRef) {
        self.context(context).set_notification(Some(notification));
        self.notification(notification).set_sched_context(Some(context));
    }

    pub(crate) fn unbind_context_notification(&self, context: SchedContextRef) {
        if let Some(notification) = self.context(context).notification() {
            self.notification(notification).set_sched_context(None);
            self.context(context).set_notification(None);
        }
    }

    /// A schedulable thread whose context has no budget now waits for it.
    pub(crate) fn resume_context(&self, context: SchedContextRef) {
        if let Some(thread) = self.context(context).thread()
            && self.is_schedulable(thread)
            && !self.has_budget(context)
        {
            self.postpone(context);
        }
    }

    /// The last capability of the context is deleted.
    pub(crate) fn destroy_context(&self, context: SchedContextRef) {
        self.unbind_context_thread(context);
        self.unbind_context_notification(context);
        self.detach_chain(context);
        self.complete_yield_to_context(context);
        self.context(context).set_max_refills(0);
    }

    /// µs consumed since the last read, which this is.
    pub(crate) fn take_consumed_us(&self, context: SchedContextRef) -> u64 {
        let view = self.context(context);
        let ticks = view.consumed();
        view.set_consumed(0);
        self.us(ticks)
    }

    /// The thread's YieldTo ends with its result.
    pub(crate) fn complete_yield_to(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        let Some(context) = tcb.yield_to() else { return };
        let consumed = self.take_consumed_us(context);
        if tcb.wants_yield_result() {
            tcb.set_x::<0>(0);
            tcb.set_x::<1>(MessageInfo::new(0, 0, 0, 1).0);
            tcb.set_message_register(0, consumed);
        }
        self.forget_yield_to(thread);
    }

    /// Somebody's YieldTo to this context, if any, ends with its result.
    pub(crate) fn complete_yield_to_context(&self, context: SchedContextRef) {
        if let Some(thread) = self.context(context).yield_from() {
            self.complete_yield_to(thread);
        }
    }

    /// The thread's YieldTo, if any, will have no result.
    pub(crate) fn forget_yield_to(&self, thread: TcbRef) {
        if let Some(context) = self.tcb(thread).yield_to() {
            self.context(context).set_yield_from(None);
            self.tcb(thread).set_yield_to(None);
        }
    }
}
