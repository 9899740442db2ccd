//! Call and ReplyRecv, on the time of the caller or on each one's own.

use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};

use super::{Entry, Way, only_if};
use crate::kernel::Kernel;
use crate::object::{Endpoint, EndpointState, Reply, ReplyRef, SchedContextRef, Tcb, TcbRef, ThreadState, status};
use crate::platform::Platform;

/// A Call that can be made.
#[derive(Clone, Copy)]
pub(super) struct Call<'k> {
    pub(super) thread: TcbRef,
    pub(super) endpoint: Endpoint<'k>,
    pub(super) badge: u64,
    pub(super) receiver: TcbRef,
    pub(super) reply: ReplyRef,
    /// What to translate with for the receiver.
    pub(super) space: u64,
}

/// A ReplyRecv that can be made.
#[derive(Clone, Copy)]
pub(super) struct Answer<'k> {
    pub(super) thread: TcbRef,
    /// Address of the endpoint.
    at: u64,
    endpoint: Endpoint<'k>,
    reply: u64,
    pub(super) link: Reply<'k>,
    pub(super) caller: TcbRef,
    /// What to translate with for the caller.
    pub(super) space: u64,
}

impl<P: Platform> Kernel<P> {
    /// Call on an endpoint where a receiver with a reply object and without time of its own waits. The receiver runs next.
    #[inline(always)]
    pub fn fast_call(&self, entry: &Entry) -> Option<Way> {
        let call = self.possible_call(entry)?;
        let Call { thread, badge, receiver, space, .. } = call;
        if self.tcb(receiver).sched_context().is_some() {
            return Some(Way::Timed);
        }
        let context = self.tcb(thread).sched_context()?;

        // No way back from here.
        self.lend(&call, context);
        self.deliver(thread, receiver, badge, entry);
        Some(self.run_fast(receiver, space))
    }

    /// The receiver of a call runs on the caller's time, which waits for the reply.
    #[inline(always)]
    pub(super) fn lend(&self, call: &Call<'_>, context: SchedContextRef) {
        let Call { thread, endpoint, receiver, reply, .. } = *call;
        let (tcb, to) = (self.tcb(thread), self.tcb(receiver));
        self.take_first(endpoint, to);
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        to.set_sched_context(Some(context));
        tcb.set_status(status(ThreadState::BlockedOnReply));
        tcb.set_reply(Some(reply));
        tcb.set_sched_context(None);
        self.chain_reply(reply, thread, context);
        self.context(context).set_thread(Some(receiver));
    }

    /// Reply to the caller that the reply object in x6 holds and that lent its time, then wait. The caller runs next.
    #[inline(always)]
    pub fn fast_reply_recv(&self, entry: &Entry) -> Option<Way> {
        let answer = self.possible_answer(entry)?;
        let Answer { thread, link, caller, space, .. } = answer;
        // Without a stored fault.
        only_if(self.tcb(caller).status() == status(ThreadState::BlockedOnReply))?;
        let context = self.tcb(thread).sched_context()?;
        if link.sched_context() != Some(context) || self.tcb(caller).sched_context().is_some() {
            return Some(Way::Timed);
        }
        only_if(self.this_core().ready.is_highest(self.tcb(caller).priority()))?;

        // No way back from here.
        self.give_back(&answer, context);
        self.deliver(thread, caller, 0, entry);
        Some(self.run_fast(caller, space))
    }

    /// The time that was lent comes home, and the server waits again.
    #[inline(always)]
    pub(super) fn give_back(&self, answer: &Answer<'_>, context: SchedContextRef) {
        let Answer { thread, at, endpoint, reply, link, caller, .. } = *answer;
        let (tcb, to) = (self.tcb(thread), self.tcb(caller));
        self.unchain_reply(link, context);
        link.set_thread(Some(thread));
        self.context(context).set_thread(Some(caller));
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        to.set_sched_context(Some(context));
        tcb.set_status(status(ThreadState::BlockedOnReceive));
        tcb.set_reply(ReplyRef::new(reply));
        tcb.set_sched_context(None);
        self.wait_in_line(endpoint, at, tcb, thread);
    }

    /// Call to a receiver with its own time: that of the caller stays with it.
    pub fn timed_call(&self, entry: &Entry) -> Option<Way> {
        let Call { thread, endpoint, badge, receiver, reply, space } = self.possible_call(entry)?;
        let (tcb, to) = (self.tcb(thread), self.tcb(receiver));
        only_if(self.start_timed(thread))?;
        let own = self.usable_time(to)?;

        // No way back from here.
        self.take_first(endpoint, to);
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        tcb.set_status(status(ThreadState::BlockedOnReply));
        tcb.set_reply(Some(reply));
        self.reply(reply).set_thread(Some(thread));
        self.deliver(thread, receiver, badge, entry);
        Some(self.run_timed(receiver, own, space))
    }

    /// Reply to a caller that kept its time, then wait.
    pub fn timed_reply_recv(&self, entry: &Entry) -> Option<Way> {
        let Answer { thread, at, endpoint, reply, link, caller, space } = self.possible_answer(entry)?;
        let (tcb, to) = (self.tcb(thread), self.tcb(caller));
        only_if(to.status() == status(ThreadState::BlockedOnReply))?;
        only_if(link.sched_context().is_none() && link.older().is_none() && link.newer().is_none())?;
        only_if(to.priority() >= tcb.priority() || self.this_core().ready.is_highest(to.priority()))?;
        only_if(self.start_timed(thread))?;
        let own = self.usable_time(to)?;

        // No way back from here.
        link.set_thread(Some(thread));
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        tcb.set_status(status(ThreadState::BlockedOnReceive));
        tcb.set_reply(ReplyRef::new(reply));
        self.wait_in_line(endpoint, at, tcb, thread);
        self.deliver(thread, caller, 0, entry);
        Some(self.run_timed(caller, own, space))
    }

    /// What every fast Call needs, whoever's time the receiver gets.
    #[inline(always)]
    fn possible_call(&self, entry: &Entry) -> Option<Call<'_>> {
        let core = self.this_core();
        let thread = core.current.get()?;
        only_if(!entry.has_caps())?;
        let (at, badge) = self.named(self.tcb(thread), entry.cptr)?.callable_endpoint()?;
        let endpoint = self.endpoint_at(at);
        let receiver = endpoint.receiver()?;
        let to = self.tcb(receiver);
        let reply = to.reply()?;
        let space = self.known_space(to)?;
        let may_run = core.ready.is_highest(to.priority()) && self.is_local(receiver);
        may_run.then_some(Call { thread, endpoint, badge, receiver, reply, space })
    }

    /// What every fast ReplyRecv needs, whoever's time the caller gets.
    #[inline(always)]
    pub(super) fn possible_answer(&self, entry: &Entry) -> Option<Answer<'_>> {
        let thread = self.this_core().current.get()?;
        let tcb = self.tcb(thread);
        only_if(!entry.has_caps())?;
        let at = self.named(tcb, entry.cptr)?.readable_endpoint()?;
        let reply = self.named(tcb, entry.reply)?.reply_at()?;
        let (endpoint, link) = (self.endpoint_at(at), self.reply_at(reply));
        only_if(self.is_last_in_line(endpoint, tcb) && self.is_quiet(tcb))?;
        let caller = link.thread()?;
        let to = self.tcb(caller);
        let space = self.known_space(to)?;
        self.is_local(caller).then_some(Answer { thread, at, endpoint, reply, link, caller, space })
    }

    /// Nothing is to be received from the bound notification, and no scheduling context to be given back to it.
    #[inline(always)]
    pub(super) fn is_quiet(&self, tcb: Tcb<'_>) -> bool {
        match tcb.bound_notification() {
            None => true,
            Some(bound) => {
                let bound = self.notification(bound);
                !bound.is_active() && bound.sched_context().is_none()
            }
        }
    }

    /// Takes the first thread out of a queue of receivers.
    #[inline(always)]
    pub(crate) fn take_first(&self, endpoint: Endpoint<'_>, first: Tcb<'_>) {
        match self.unlink_first(first) {
            None => endpoint.set_queue(EndpointState::Idle, None, None),
            next => endpoint.set_queue(EndpointState::Receive, next, endpoint.tail()),
        }
    }

    /// The neighbours of the first thread of a queue forget each other; gives the next one.
    #[inline(always)]
    pub(super) fn unlink_first(&self, first: Tcb<'_>) -> Option<TcbRef> {
        let next = first.queue_next()?;
        first.set_queue_next(None);
        self.tcb(next).set_queue_prev(None);
        if let Some(end) = first.run_end() {
            first.set_run_end(None);
            self.set_run(next, end);
        }
        Some(next)
    }

    /// Whether nobody sends, and a receiver's place in the queue is at the end.
    #[inline(always)]
    pub(super) fn is_last_in_line(&self, endpoint: Endpoint<'_>, tcb: Tcb<'_>) -> bool {
        let is_last = |tail: Option<TcbRef>| tail.is_none_or(|tail| self.tcb(tail).priority() >= tcb.priority());
        endpoint.is_idle() || (!endpoint.has_senders() && is_last(endpoint.tail()))
    }

    /// Queues a receiver at the end.
    #[inline(always)]
    pub(super) fn wait_in_line(&self, endpoint: Endpoint<'_>, at: u64, tcb: Tcb<'_>, thread: TcbRef) {
        tcb.set_blocked_on(at);
        if endpoint.is_idle() {
            endpoint.set_queue(EndpointState::Receive, Some(thread), Some(thread));
        } else if let Some(last) = endpoint.tail() {
            self.queue_append(last, thread);
            endpoint.set_tail(Some(thread));
        }
    }

    /// Moves a message without capabilities. Registers beyond its length keep their values.
    #[inline(always)]
    pub(super) fn deliver(&self, sender: TcbRef, receiver: TcbRef, badge: u64, entry: &Entry) {
        let to = self.tcb(receiver);
        let info = entry.info & !(MessageInfo::EXTRA_CAPS | MessageInfo::UNWRAPPED);
        let [first, second, third, fourth] = entry.words;
        let length = info & MessageInfo::LENGTH;
        to.set_x::<0>(badge);
        to.set_x::<1>(info);
        if length >= REGISTER_WORDS as u64 {
            to.set_x::<2>(first);
            to.set_x::<3>(second);
            to.set_x::<4>(third);
            to.set_x::<5>(fourth);
            if length > REGISTER_WORDS as u64 {
                let moved = self.copy_beyond_registers(sender, receiver, MessageInfo(info).length());
                to.set_x::<1>((info & !MessageInfo::LENGTH) | moved as u64);
            }
        } else if length > 0 {
            to.set_x::<2>(first);
            if length > 1 {
                to.set_x::<3>(second);
            }
            if length > 2 {
                to.set_x::<4>(third);
            }
        }
    }

    /// Makes the partner the current thread, on the scheduling context of the last one.
    #[inline(always)]
    pub(super) fn run_fast(&self, partner: TcbRef, space: u64) -> Way {
        self.this_core().current.set(Some(partner));
        self.translate_with(space);
        Way::Runs(partner)
    }
}
