//! Notifications: signalling, waiting, binding, lending a scheduling context (kernel-abi §4.11).

use crate::fastpath::take;
use crate::kernel::Kernel;
use crate::object::{EndpointState, NotificationRef, TcbRef, ThreadState};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// Signals with a badge.
    pub(crate) fn signal(&self, notification: NotificationRef, badge: u64) {
        let view = self.notification(notification);
        if let Some(thread) = self.signal_to(self.hearer(view), notification.paddr(), badge) {
            self.lend_context(thread, notification);
            self.refresh_sporadic(thread);
            if self.is_schedulable(thread) {
                self.offer(thread);
            }
        }
    }

    /// Waits on a notification, or polls it.
    pub(crate) fn receive_signal(&self, thread: TcbRef, notification: NotificationRef, is_blocking: bool) {
        if self.notification(notification).is_active() {
            self.take_signal(thread, notification);
        } else if is_blocking {
            self.set_state(thread, ThreadState::BlockedOnNotification);
            self.return_context(thread, notification);
            self.enqueue(notification.queue(), EndpointState::Receive, thread);
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
