//! Reply objects and call chains (kernel-abi §4.6, §4.7).
//!
//! INV-REPLY-1: a linked object and its thread name each other. INV-REPLY-2: `older` and `newer` agree along a
//! chain; exactly the head names the scheduling context, which names it back.

use hybrid_abi::fault::FaultType;

use crate::fault::Fault;
use crate::invocation::Extras;
use crate::kernel::Kernel;
use crate::object::{ReplyRef, TcbRef, ThreadState};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// Links a caller to a free reply object; donates its scheduling context through it if it may and the callee has none.
    pub(crate) fn push_reply(&self, caller: TcbRef, callee: TcbRef, reply: ReplyRef, may_donate: bool) {
        let view = self.reply(reply);
        view.set_thread(Some(caller));
        self.tcb(caller).set_reply(Some(reply));
        self.set_state(caller, ThreadState::BlockedOnReply);
        if may_donate
            && self.tcb(callee).sched_context().is_none()
            && let Some(context) = self.tcb(caller).sched_context()
        {
            let older = self.context(context).reply();
            view.set_older(older);
            if let Some(older) = older {
                self.reply(older).set_newer(Some(reply));
                self.reply(older).set_sched_context(None);
            }
            view.set_newer(None);
            view.set_sched_context(Some(context));
            self.context(context).set_reply(Some(reply));
            self.donate(context, callee);
        }
    }

    /// Undoes the link between a reply object and its thread, which becomes inactive.
    pub(crate) fn unlink_reply(&self, reply: ReplyRef, thread: TcbRef) {
        self.tcb(thread).set_reply(None);
        self.reply(reply).set_thread(None);
        self.set_state(thread, ThreadState::Inactive);
    }

    /// Takes a blocked reply out of its chain. The scheduling context goes back to the caller if this was the head.
    pub(crate) fn remove_reply(&self, reply: ReplyRef, caller: TcbRef) {
        let view = self.reply(reply);
        if let Some(context) = view.sched_context() {
            let older = view.older();
            self.context(context).set_reply(older);
            if let Some(older) = older {
                self.reply(older).set_newer(None);
                self.reply(older).set_sched_context(Some(context));
            }
            view.set_sched_context(None);
            view.set_older(None);
            if self.tcb(caller).sched_context().is_none() {
                self.donate(context, caller);
            }
        } else {
            self.cut_chain(reply);
        }
        self.unlink_reply(reply, caller);
    }

    /// Takes the reply of a thread whose IPC is cancelled out of its chain. No scheduling context moves.
    pub(crate) fn cancel_reply(&self, thread: TcbRef) {
        let Some(reply) = self.tcb(thread).reply() else { return };
        if let Some(context) = self.reply(reply).sched_context() {
            self.context(context).set_reply(None);
            self.reply(reply).set_sched_context(None);
        }
        self.cut_chain(reply);
        self.unlink_reply(reply, thread);
    }

    fn cut_chain(&self, reply: ReplyRef) {
        let view = self.reply(reply);
        if let Some(newer) = view.newer() {
            self.reply(newer).set_older(None);
        }
        if let Some(older) = view.older() {
            self.reply(older).set_newer(None);
        }
        view.set_newer(None);
        view.set_older(None);
    }

    /// The scheduling context is destroyed or unbound: its chain head no longer leads to it.
    pub(crate) fn detach_chain(&self, context: crate::object::SchedContextRef) {
        if let Some(reply) = self.context(context).reply() {
            self.reply(reply).set_sched_context(None);
            self.context(context).set_reply(None);
        }
    }

    /// Invokes a Reply capability.
    pub(crate) fn reply_through(&self, replier: TcbRef, reply: ReplyRef, caps: &Extras, can_grant: bool) {
        let Some(caller) = self.reply(reply).thread() else { return };
        if self.tcb(caller).state() != ThreadState::BlockedOnReply {
            return;
        }
        self.remove_reply(reply, caller);
        self.refresh_sporadic(caller);
        let fault = self.tcb(caller).fault();
        match fault {
            None => {
                self.transfer(replier, caller, None, Some(caps), 0, can_grant);
                self.set_state(caller, ThreadState::Running);
            }
            Some(stored) => {
                let restarts = self.answer_fault(caller, replier, stored);
                self.tcb(caller).set_fault_kind(0);
                let state = if restarts { ThreadState::Restart } else { ThreadState::Inactive };
                self.set_state(caller, state);
            }
        }
        let was_timeout = fault.is_some_and(|fault| fault.kind == FaultType::Timeout as u64);
        self.run_replied(caller, was_timeout);
    }

    fn run_replied(&self, caller: TcbRef, was_timeout: bool) {
        let Some(context) = self.tcb(caller).sched_context() else { return };
        if !self.tcb(caller).state().is_runnable() || !self.context(context).is_active() {
            return;
        }
        if self.has_budget(context) {
            self.offer(caller);
        } else if !was_timeout && self.timeout_handler(caller).is_some() {
            self.deliver_timeout(caller, Fault::Timeout { badge: self.context(context).badge() });
        } else {
            self.postpone(context);
        }
    }

    /// The last capability of a reply object is deleted.
    pub(crate) fn destroy_reply(&self, reply: ReplyRef) {
        let Some(thread) = self.reply(reply).thread() else { return };
        if self.tcb(thread).state() == ThreadState::BlockedOnReply {
            self.remove_reply(reply, thread);
            self.tcb(thread).set_fault_kind(0);
        } else {
            self.cancel_ipc(thread);
        }
    }
}
