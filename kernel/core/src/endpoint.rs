//! Endpoints: sending, receiving, and taking threads out of their queues (kernel-abi §4.2–4.4, §4.8).

use hybrid_abi::fault::FaultType;
use hybrid_abi::rights::Rights;

use crate::invocation::{Extras, Stop};
use crate::kernel::Kernel;
use crate::object::{EndpointRef, EndpointState, ReplyRef, TcbRef, ThreadState};
use crate::platform::Platform;
use crate::queue::Queue;

/// What a message is sent through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) endpoint: EndpointRef,
    pub(crate) badge: u64,
    pub(crate) rights: Rights,
    pub(crate) is_call: bool,
}

/// Bit of a waiting sender's flags, beside its rights.
const IS_CALL: u64 = 16;

/// Units of work (see `preempt`) of restarting one waiting thread: about 150 instructions.
const RESTART_UNITS: u32 = 2;

impl<P: Platform> Kernel<P> {
    /// Takes a thread out of an endpoint's queue.
    fn dequeue(&self, endpoint: EndpointRef, thread: TcbRef) {
        let view = self.endpoint(endpoint);
        let queue = self.queue_remove(Queue { head: view.head(), tail: view.tail() }, thread);
        let state = if queue.head.is_some() { view.state() } else { EndpointState::Idle };
        view.set_queue(state, queue.head, queue.tail);
    }

    /// Queues a thread at an endpoint or notification.
    pub(crate) fn enqueue(&self, endpoint: EndpointRef, state: EndpointState, thread: TcbRef) {
        self.tcb(thread).set_blocked_on(endpoint.paddr());
        let view = self.endpoint(endpoint);
        let queue = self.queue_insert(Queue { head: view.head(), tail: view.tail() }, thread);
        view.set_queue(state, queue.head, queue.tail);
    }

    /// Sends a thread's message or stored fault. `caps`: its extra capabilities, if they were looked up.
    pub(crate) fn send(&self, thread: TcbRef, to: Sender, caps: Option<&Extras>, is_blocking: bool, may_donate: bool) {
        let endpoint = self.endpoint(to.endpoint);
        if let Some(receiver) = endpoint.receiver() {
            self.take_first(endpoint, self.tcb(receiver));
            self.send_to(thread, receiver, to, caps, may_donate);
        } else if is_blocking {
            let tcb = self.tcb(thread);
            tcb.set_sender_badge(to.badge);
            tcb.set_sender_flags(to.rights.0 | if to.is_call { IS_CALL } else { 0 });
            self.set_state(thread, ThreadState::BlockedOnSend);
            self.enqueue(to.endpoint, EndpointState::Send, thread);
        }
    }

    fn send_to(&self, thread: TcbRef, receiver: TcbRef, to: Sender, caps: Option<&Extras>, may_donate: bool) {
        let is_fault = self.tcb(thread).fault_kind() != 0;
        self.transfer_any(thread, receiver, to, caps);
        let reply = self.tcb(receiver).reply();
        if let Some(reply) = reply {
            self.unlink_reply(reply, receiver);
        }
        if to.is_call || is_fault {
            match reply {
                Some(reply) if to.rights.may_be_answered() => self.push_reply(thread, receiver, reply, may_donate),
                _ => self.set_state(thread, ThreadState::Inactive),
            }
        } else if may_donate
            && self.tcb(receiver).sched_context().is_none()
            && let Some(context) = self.tcb(thread).sched_context()
        {
            self.donate(context, receiver);
        }
        self.set_state(receiver, ThreadState::Running);
        self.refresh_sporadic(receiver);
        self.offer(receiver);
    }

    fn transfer_any(&self, thread: TcbRef, receiver: TcbRef, to: Sender, caps: Option<&Extras>) {
        if self.tcb(thread).fault_kind() == 0 {
            self.transfer(thread, receiver, Some(to.endpoint), caps, to.badge, to.rights.has(Rights::GRANT));
        } else {
            self.transfer_fault(thread, receiver, to.badge);
        }
    }

    /// Receives on an endpoint, with a reply object or without.
    pub(crate) fn receive_message(
        &self,
        thread: TcbRef,
        endpoint: EndpointRef,
        is_blocking: bool,
        reply: Option<ReplyRef>,
    ) {
        if let Some(reply) = reply
            && let Some(user) = self.reply(reply).thread()
            && user != thread
        {
            self.cancel_ipc(user);
        }
        if let Some(bound) = self.tcb(thread).bound_notification() {
            if self.notification(bound).is_active() {
                self.take_signal(thread, bound);
                return;
            }
            if is_blocking {
                self.return_context(thread, bound);
            }
        }
        let view = self.endpoint(endpoint);
        match (view.state(), view.head()) {
            (EndpointState::Send, Some(sender)) => self.receive_from(thread, sender, endpoint, reply),
            _ if is_blocking => {
                self.set_state(thread, ThreadState::BlockedOnReceive);
                self.tcb(thread).set_reply(reply);
                if let Some(reply) = reply {
                    self.reply(reply).set_thread(Some(thread));
                }
                self.enqueue(endpoint, EndpointState::Receive, thread);
            }
            _ => self.tcb(thread).set_x::<0>(0),
        }
    }

    fn receive_from(&self, thread: TcbRef, from: TcbRef, endpoint: EndpointRef, reply: Option<ReplyRef>) {
        self.pass_cursor(from);
        self.dequeue(endpoint, from);
        let tcb = self.tcb(from);
        let (badge, rights) = (tcb.sender_badge(), Rights(tcb.sender_flags()));
        let to = Sender { endpoint, badge, rights, is_call: tcb.sender_flags() & IS_CALL != 0 };
        let fault = tcb.fault_kind();
        self.transfer_any(from, thread, to, None);
        self.refresh_sporadic(from);
        if !to.is_call && fault == 0 {
            self.set_state(from, ThreadState::Running);
            self.offer(from);
            return;
        }
        let Some(reply) = reply.filter(|_| rights.may_be_answered()) else {
            return self.set_state(from, ThreadState::Inactive);
        };
        let may_donate = tcb.sched_context().is_some() && fault != FaultType::Timeout as u64;
        let lends = self.tcb(thread).sched_context().is_none();
        self.push_reply(from, thread, reply, may_donate);
        // What it lends may have no budget now: the receiver waits for it.
        if lends && let Some(context) = self.tcb(thread).sched_context() {
            self.resume_context(context);
        }
    }

    /// Takes a blocked thread out of its queue (its state is for the caller to set).
    pub(crate) fn leave_endpoint(&self, thread: TcbRef) {
        let Some(endpoint) = EndpointRef::new(self.tcb(thread).blocked_on()) else { return };
        self.pass_cursor(thread);
        self.dequeue(endpoint, thread);
    }

    /// The thread's priority changed while it waits.
    pub(crate) fn reorder(&self, thread: TcbRef) {
        let Some(endpoint) = EndpointRef::new(self.tcb(thread).blocked_on()) else { return };
        let state = self.endpoint(endpoint).state();
        // It may overtake the place where a preempted CancelBadgedSends goes on: those start again.
        self.reorders.set(self.reorders.get().wrapping_add(1));
        self.pass_cursor(thread);
        self.dequeue(endpoint, thread);
        self.enqueue(endpoint, state, thread);
    }

    /// The endpoint or notification is destroyed: waiting threads restart, faulted ones stop. Preemptible: what is left is found again.
    pub(crate) fn cancel_endpoint(&self, endpoint: EndpointRef) -> Result<(), Stop> {
        while let Some(thread) = self.endpoint(endpoint).head() {
            self.pass_cursor(thread);
            self.dequeue(endpoint, thread);
            if let Some(reply) = self.tcb(thread).reply() {
                self.unlink_reply(reply, thread);
            }
            self.restart_or_stop(thread);
            if self.endpoint(endpoint).head().is_some() {
                self.preemption_point(RESTART_UNITS)?;
            }
        }
        Ok(())
    }

    /// Restarts every thread that sends on this endpoint with this badge. Preemptible: the repeated call of `invoker` goes on
    /// where this one stopped.
    pub(crate) fn cancel_badged_sends(&self, invoker: TcbRef, endpoint: EndpointRef, badge: u64) -> Result<(), Stop> {
        let cursor = self.tcb(invoker).cancel_cursor();
        self.forget_cursor(invoker);
        let view = self.endpoint(endpoint);
        if view.state() != EndpointState::Send {
            return Ok(());
        }
        let caller = self.tcb(invoker);
        let is_same_call = |sender: &TcbRef| {
            self.tcb(*sender).blocked_on() == endpoint.paddr()
                && caller.sender_badge() == badge
                && caller.cancel_epoch() == self.reorders.get()
        };
        let mut next = cursor.filter(is_same_call).or(view.head());
        while let Some(thread) = next {
            next = self.tcb(thread).queue_next();
            let is_hit = self.tcb(thread).sender_badge() == badge;
            if is_hit {
                self.pass_cursor(thread);
                self.dequeue(endpoint, thread);
                self.restart_or_stop(thread);
            }
            if let Some(next) = next
                && let Err(stop) = self.preemption_point(if is_hit { RESTART_UNITS } else { 1 })
            {
                self.set_cursor(invoker, next);
                caller.set_sender_badge(badge);
                caller.set_cancel_epoch(self.reorders.get());
                return Err(stop);
            }
        }
        Ok(())
    }

    /// The preempted CancelBadgedSends of `invoker` goes on at `sender`.
    fn set_cursor(&self, invoker: TcbRef, sender: TcbRef) {
        if let Some(other) = self.tcb(sender).cancel_watcher() {
            // Two of them at one place: the other one starts again.
            self.forget_cursor(other);
        }
        self.tcb(invoker).set_cancel_cursor(Some(sender));
        self.tcb(sender).set_cancel_watcher(Some(invoker));
    }

    /// A preempted CancelBadgedSends of this thread, if any, will not go on: its repetition would start anew.
    pub(crate) fn forget_cursor(&self, invoker: TcbRef) {
        if let Some(sender) = self.tcb(invoker).cancel_cursor() {
            self.tcb(sender).set_cancel_watcher(None);
            self.tcb(invoker).set_cancel_cursor(None);
        }
    }

    /// The sender leaves its place in the queue: a CancelBadgedSends that would go on there goes on behind it.
    #[inline]
    fn pass_cursor(&self, sender: TcbRef) {
        if let Some(invoker) = self.tcb(sender).cancel_watcher() {
            let next = self.tcb(sender).queue_next();
            self.forget_cursor(invoker);
            if let Some(next) = next {
                self.set_cursor(invoker, next);
            }
        }
    }

    /// A thread does not wait any more: it repeats what it did, or stops if that was a fault.
    pub(crate) fn restart_or_stop(&self, thread: TcbRef) {
        if self.tcb(thread).fault_kind() != 0 {
            self.tcb(thread).set_fault_kind(0);
            self.set_state(thread, ThreadState::Inactive);
        } else {
            self.set_state(thread, ThreadState::Restart);
            self.refresh_sporadic(thread);
            self.offer(thread);
        }
    }
}
