//! Notifications: signalling, waiting, binding, lending a scheduling context (kernel-abi §4.11).

use crate::endpoint::RESTART_UNITS;
use crate::fastpath::take;
use crate::invocation::Stop;
use crate::kernel::Kernel;
use crate::object::{NotificationRef, NotificationState, TcbRef, ThreadState};
use crate::platform::Platform;
use crate::queue::Queue;

impl<P: Platform> Kernel<P> {
    fn leave_queue(&self, notification: NotificationRef, thread: TcbRef) -> Queue {
        let queue = self.queue_remove(self.notification_queue(notification), thread);
        self.set_notification_queue(notification, queue);
        queue
    }

    fn join_queue(&self, notification: NotificationRef, thread: TcbRef) {
        let queue = self.queue_insert(self.notification_queue(notification), thread);
        self.set_notification_queue(notification, queue);
    }

    fn notification_queue(&self, notification: NotificationRef) -> Queue {
        let view = self.notification(notification);
        Queue { head: view.head(), tail: view.tail() }
    }

    fn set_notification_queue(&self, notification: NotificationRef, queue: Queue) {
        let view = self.notification(notification);
        view.set_head(queue.head);
        view.set_tail(queue.tail);
        view.set_state(if queue.head.is_some() { NotificationState::Waiting } else { NotificationState::Idle });
    }

    /// Signals with a badge.
    pub(crate) fn signal(&self, notification: NotificationRef, badge: u64) {
        let view = self.notification(notification);
        if let Some(thread) = self.signal_to(self.hearer(view), view, badge) {
            self.lend_context(thread, notification);
            self.refresh_sporadic(thread);
            if self.is_schedulable(thread) {
                self.offer(thread);
            }
        }
    }

    /// Waits on a notification, or polls it.
    pub(crate) fn receive_signal(&self, thread: TcbRef, notification: NotificationRef, is_blocking: bool) {
        if self.notification(notification).state() == NotificationState::Active {
            self.take_signal(thread, notification);
        } else if is_blocking {
            self.set_state(thread, ThreadState::BlockedOnNotification);
            self.tcb(thread).set_blocked_on(notification.paddr());
            self.return_context(thread, notification);
            self.join_queue(notification, thread);
        } else {
            self.tcb(thread).set_x::<0>(0);
        }
    }

    /// Consumes the signal of an active notification.
    pub(crate) fn take_signal(&self, thread: TcbRef, notification: NotificationRef) {
        take(self.notification(notification), self.tcb(thread));
        self.lend_context(thread, notification);
        self.refresh_sporadic(thread);
    }

    /// Takes a waiting thread out of its notification's queue.
    pub(crate) fn leave_notification(&self, thread: TcbRef) {
        if let Some(notification) = NotificationRef::new(self.tcb(thread).blocked_on()) {
            self.leave_queue(notification, thread);
        }
    }

    /// The thread's priority changed while it waits.
    pub(crate) fn reorder_in_notification(&self, thread: TcbRef) {
        let Some(notification) = NotificationRef::new(self.tcb(thread).blocked_on()) else { return };
        self.leave_queue(notification, thread);
        self.join_queue(notification, thread);
    }

    /// The notification is destroyed: waiting threads restart. Preemptible: what is left is found again.
    pub(crate) fn cancel_notification(&self, notification: NotificationRef) -> Result<(), Stop> {
        while let Some(thread) = self.notification(notification).head() {
            let queue = self.leave_queue(notification, thread);
            self.restart_or_stop(thread);
            if queue.head.is_some() {
                self.preemption_point(RESTART_UNITS)?;
            }
        }
        Ok(())
    }

    pub(crate) fn unbind_thread_notification(&self, thread: TcbRef) {
        if let Some(notification) = self.tcb(thread).bound_notification() {
            self.notification(notification).set_bound_thread(None);
            self.tcb(thread).set_bound_notification(None);
        }
    }

    /// SC rule: a thread without scheduling context gets the notification's, if nobody uses it.
    fn lend_context(&self, thread: TcbRef, notification: NotificationRef) {
        if self.tcb(thread).sched_context().is_none()
            && let Some(context) = self.notification(notification).sched_context()
            && self.context(context).thread().is_none()
        {
            self.donate(context, thread);
            if self.this_core().current_context.get() != Some(context) {
                self.refresh_refills(context);
            }
            self.resume_context(context);
        }
    }

    /// A thread that runs on the notification's scheduling context gives it back before it blocks.
    pub(crate) fn return_context(&self, thread: TcbRef, notification: NotificationRef) {
        if let Some(context) = self.notification(notification).sched_context()
            && self.tcb(thread).sched_context() == Some(context)
        {
            self.unbind_context_thread(context);
        }
    }
}
