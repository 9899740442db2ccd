//! Threads: state changes, stopping, starting, priorities (kernel-abi §4.12, §5.2, §7.4).

use crate::kernel::Kernel;
use crate::object::{TcbRef, ThreadState};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// Sets the state; the current thread losing the CPU by it triggers a new choice.
    pub(crate) fn set_state(&self, thread: TcbRef, state: ThreadState) {
        self.tcb(thread).set_state_raw(state);
        if !state.is_runnable() && self.this_core().current.get() == Some(thread) {
            self.leave_cpu();
        }
    }

    /// Ends whatever IPC the thread waits in; it becomes inactive. A stored fault is dropped.
    pub(crate) fn cancel_ipc(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        tcb.set_fault_kind(0);
        match tcb.state() {
            // Only who receives has a reply object.
            ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive | ThreadState::BlockedOnNotification => {
                self.leave_endpoint(thread);
                match tcb.reply() {
                    Some(reply) => self.unlink_reply(reply, thread),
                    None => self.set_state(thread, ThreadState::Inactive),
                }
            }
            ThreadState::BlockedOnReply => self.cancel_reply(thread),
            ThreadState::Inactive | ThreadState::Running | ThreadState::Restart => {}
        }
    }

    /// Stops a thread.
    pub(crate) fn suspend(&self, thread: TcbRef) {
        self.cancel_ipc(thread);
        let tcb = self.tcb(thread);
        if tcb.state() == ThreadState::Running {
            tcb.set_fault_ip(tcb.pc());
        }
        self.set_state(thread, ThreadState::Inactive);
        self.ready_remove(thread);
        self.release_remove(thread);
        self.forget_yield_to(thread);
    }

    /// Starts a stopped thread at its restart address; nothing for a runnable one.
    pub(crate) fn resume(&self, thread: TcbRef) {
        if self.tcb(thread).state().is_runnable() {
            return;
        }
        self.cancel_ipc(thread);
        self.set_state(thread, ThreadState::Restart);
        self.refresh_sporadic(thread);
        if let Some(context) = self.tcb(thread).sched_context() {
            self.resume_context(context);
        }
        if self.is_schedulable(thread) {
            self.offer(thread);
        }
    }

    pub(crate) fn change_priority(&self, thread: TcbRef, priority: u8) {
        let tcb = self.tcb(thread);
        let state = tcb.state();
        let is_candidate = tcb.is_ready_queued() || self.this_core().current.get() == Some(thread);
        if !state.is_runnable() || !is_candidate {
            tcb.set_priority(priority);
        }
        match state {
            ThreadState::Running | ThreadState::Restart if is_candidate => {
                self.ready_remove(thread);
                tcb.set_priority(priority);
                self.ready_push_head(thread);
                self.reschedule();
            }
            ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive | ThreadState::BlockedOnNotification => {
                self.reorder(thread);
            }
            _ => {}
        }
    }

    /// The last capability of the thread is deleted: it leaves every structure; its slots are deleted next.
    pub(crate) fn destroy_thread(&self, thread: TcbRef) {
        self.stop_remote_quietly(thread);
        self.unbind_thread_notification(thread);
        if let Some(context) = self.tcb(thread).sched_context() {
            self.complete_yield_to_context(context);
            self.unbind_context_thread(context);
        }
        self.suspend(thread);
        self.forget_cursor(thread);
        self.platform.release_fp(thread);
    }
}
