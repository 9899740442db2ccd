//! Reply objects and call chains (kernel-abi §4.6, §4.7).
//!
//! INV-REPLY-1: a linked object and its thread name each other. INV-REPLY-2: `older` and `newer` agree along a
//! chain; exactly the head names the scheduling context, which names it back.

use hybrid_abi::fault::FaultType;

use crate::fault::Fault;
use crate::invocation::Extras;
use crate::kernel::Kernel;
use crate::object::{Reply, ReplyRef, SchedContextRef, TcbRef, ThreadState};
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
            self.chain_reply(reply, caller, context);
            self.donate(context, callee);
        }
    }

    /// The reply object with which `caller` waits becomes the head of the scheduling context's call chain.
    #[inline(always)]
    pub(crate) fn chain_reply(&self, reply: ReplyRef, caller: TcbRef, context: SchedContextRef) {
        let (link, chain) = (self.reply(reply), self.context(context));
        let older = chain.reply();
        if let Some(older) = older {
            self.reply(older).set_newer(Some(reply));
            self.reply(older).set_sched_context(None);
        }
        link.set_thread(Some(caller));
        link.set_older(older);
        link.set_newer(None);
        link.set_sched_context(Some(context));
        chain.set_reply(Some(reply));
    }

    /// The head of the scheduling context's call chain leaves it; the next older one is the head then.
    #[inline(always)]
    pub(crate) fn unchain_reply(&self, head: Reply<'_>, context: SchedContextRef) {
        let older = head.older();
        if let Some(older) = older {
            self.reply(older).set_newer(None);
            self.reply(older).set_sched_context(Some(context));
        }
        self.context(context).set_reply(older);
        head.set_sched_context(None);
        head.set_older(None);
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
            self.unchain_reply(view, context);
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
            self.detach_chain(context);
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
    pub(crate) fn detach_chain(&self, context: SchedContextRef) {
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
        let fault = self.tcb(caller).fault_kind();
        if fault == 0 {
            self.transfer(replier, caller, None, Some(caps), 0, can_grant);
            self.set_state(caller, ThreadState::Running);
        } else {
            let restarts = self.answer_fault(caller, replier);
            self.tcb(caller).set_fault_kind(0);
            self.set_state(caller, if restarts { ThreadState::Restart } else { ThreadState::Inactive });
        }
        self.run_replied(caller, fault == FaultType::Timeout as u64);
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
