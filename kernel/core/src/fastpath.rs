//! Call and ReplyRecv on their usual way, without detours; everything else falls back.
//!
//! INV-FAST-1: each way here either is not taken and has changed nothing (it may have sampled the clock), or leaves exactly
//! the state that the ordinary way (`syscall`, then `leave`) leaves; if it did not sample the clock, the state that the ordinary
//! way leaves with a clock that stands still since the last sample. Tested by `model_tests::storm` on random threads.
//!
//! # Why so little is checked
//!
//! While the scheduling context stays (it is lent, or comes home) nothing depends on the time: the clock is not sampled
//! (kernel-abi §5.1), the deadline in the timer stays right, and the time that passes is charged at the next sample. What the
//! ordinary way checks and this way does not is known from the invariants that hold between any two entries:
//!
//! * INV-ENTRY-1: nothing is left over from the last entry: `switch` is `Stay`, `reprogram` is false, the first of the release queue
//!   is not yet due, the current thread's scheduling context is the one that is charged and has at least the minimum budget left.
//! * INV-ENTRY-2: the current thread is `Running`, has no stored fault and no pending YieldTo.
//! * INV-BLOCKED-1: a blocked thread is in no ready or release queue; without a stored fault it has no pending YieldTo.
//! * INV-REPLY-3: a reply object with a receiver has no neighbours in a chain and no scheduling context.
//! * INV-QUEUE-2: a thread that is in no queue of an endpoint or notification has no neighbours there; the first has no predecessor.
//! * INV-SPACE-1 (`vspace`).

use core::cell::Cell;

use hybrid_abi::ipc_buffer;
use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};

use crate::cap::Words;
use crate::kernel::Kernel;
use crate::object::{
    Endpoint, EndpointState, NotificationState, Reply, ReplyRef, SchedContextRef, Tcb, TcbRef, TcbSlot, ThreadState,
    status,
};
use crate::platform::Platform;

/// What x0 to x6 held when the current thread entered: copies of words of its TCB that are at hand in registers.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// x0: the capability that is sent to, or received from.
    pub cptr: u64,
    /// x1: message info.
    pub info: u64,
    /// x2 to x5: the first words of the message.
    pub words: [u64; REGISTER_WORDS],
    /// x6: the reply object.
    pub reply: u64,
}

impl Entry {
    /// The same, out of the thread's TCB.
    pub fn of(tcb: Tcb<'_>) -> Self {
        let words = [tcb.x::<2>(), tcb.x::<3>(), tcb.x::<4>(), tcb.x::<5>()];
        Self { cptr: tcb.x::<0>(), info: tcb.x::<1>(), words, reply: tcb.x::<6>() }
    }

    #[inline(always)]
    fn has_caps(&self) -> bool {
        self.info & MessageInfo::EXTRA_CAPS != 0
    }
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Done: this thread runs next.
    Runs(TcbRef),
    /// Nothing is changed; the way with a change of scheduling context may go.
    Timed,
    /// Nothing is changed; only the ordinary way goes.
    Ordinary,
}

/// A Call that can be made.
#[derive(Clone, Copy)]
struct Call<'k> {
    thread: TcbRef,
    endpoint: Endpoint<'k>,
    badge: u64,
    receiver: TcbRef,
    reply: ReplyRef,
}

/// A ReplyRecv that can be made.
#[derive(Clone, Copy)]
struct Answer<'k> {
    thread: TcbRef,
    /// Address of the endpoint.
    at: u64,
    endpoint: Endpoint<'k>,
    reply: u64,
    link: Reply<'k>,
    caller: TcbRef,
}

impl<P: Platform> Kernel<P> {
    /// Call on an endpoint where a receiver with a reply object and without time of its own waits. The receiver runs next.
    #[inline(always)]
    pub fn fast_call(&self, entry: &Entry) -> Way {
        let Some(call) = self.possible_call(entry) else { return Way::Ordinary };
        let Call { thread, endpoint, badge, receiver, reply } = call;
        let (tcb, to) = (self.tcb(thread), self.tcb(receiver));
        if to.sched_context().is_some() {
            return Way::Timed;
        }
        let Some(context) = tcb.sched_context() else { return Way::Ordinary };

        // No way back from here.
        self.take_first(endpoint, to);
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        to.set_sched_context(Some(context));
        tcb.set_status(status(ThreadState::BlockedOnReply));
        tcb.set_reply(Some(reply));
        tcb.set_sched_context(None);
        let (link, chain) = (self.reply(reply), self.context(context));
        let older = chain.reply();
        if let Some(older) = older {
            self.reply(older).set_newer(Some(reply));
            self.reply(older).set_sched_context(None);
        }
        link.set_thread(Some(thread));
        link.set_older(older);
        link.set_newer(None);
        link.set_sched_context(Some(context));
        chain.set_thread(Some(receiver));
        chain.set_reply(Some(reply));
        self.deliver(thread, receiver, badge, entry);
        self.run_fast(receiver);
        Way::Runs(receiver)
    }

    /// Reply to the caller that the reply object in x6 holds and that lent its time, then wait. The caller runs next.
    #[inline(always)]
    pub fn fast_reply_recv(&self, entry: &Entry) -> Way {
        let Some(answer) = self.possible_answer(entry) else { return Way::Ordinary };
        let Answer { thread, at, endpoint, reply, link, caller } = answer;
        let (tcb, to) = (self.tcb(thread), self.tcb(caller));
        let Some(context) = tcb.sched_context() else { return Way::Ordinary };
        if link.sched_context() != Some(context) || to.sched_context().is_some() {
            return Way::Timed;
        }
        if !self.this_core().ready.is_highest(to.priority()) {
            return Way::Ordinary;
        }

        // No way back from here.
        let older = link.older();
        if let Some(older) = older {
            self.reply(older).set_newer(None);
            self.reply(older).set_sched_context(Some(context));
        }
        let chain = self.context(context);
        chain.set_thread(Some(caller));
        chain.set_reply(older);
        link.set_thread(Some(thread));
        link.set_older(None);
        link.set_sched_context(None);
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        to.set_sched_context(Some(context));
        tcb.set_status(status(ThreadState::BlockedOnReceive));
        tcb.set_reply(ReplyRef::new(reply));
        tcb.set_sched_context(None);
        self.wait_in_line(endpoint, at, tcb, thread);
        self.deliver(thread, caller, 0, entry);
        self.run_fast(caller);
        Way::Runs(caller)
    }

    /// Call to a receiver with its own time: that of the caller stays with it.
    pub fn timed_call(&self, entry: &Entry) -> Way {
        let Some(call) = self.possible_call(entry) else { return Way::Ordinary };
        let Call { thread, endpoint, badge, receiver, reply } = call;
        let (tcb, to) = (self.tcb(thread), self.tcb(receiver));
        if !self.start_timed(thread) || !self.can_run_on(to.sched_context()) {
            return Way::Ordinary;
        }

        // No way back from here.
        self.take_first(endpoint, to);
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        tcb.set_status(status(ThreadState::BlockedOnReply));
        tcb.set_reply(Some(reply));
        self.reply(reply).set_thread(Some(thread));
        self.deliver(thread, receiver, badge, entry);
        self.run_timed(receiver);
        Way::Runs(receiver)
    }

    /// Reply to a caller that kept its time, then wait.
    pub fn timed_reply_recv(&self, entry: &Entry) -> Way {
        let Some(answer) = self.possible_answer(entry) else { return Way::Ordinary };
        let Answer { thread, at, endpoint, reply, link, caller } = answer;
        let (tcb, to) = (self.tcb(thread), self.tcb(caller));
        if link.sched_context().is_some() || link.older().is_some() || link.newer().is_some() {
            return Way::Ordinary;
        }
        if to.priority() < tcb.priority() && !self.this_core().ready.is_highest(to.priority()) {
            return Way::Ordinary;
        }
        if !self.start_timed(thread) || !self.can_run_on(to.sched_context()) {
            return Way::Ordinary;
        }

        // No way back from here.
        link.set_thread(Some(thread));
        to.set_status(status(ThreadState::Running));
        to.set_reply(None);
        tcb.set_status(status(ThreadState::BlockedOnReceive));
        tcb.set_reply(ReplyRef::new(reply));
        self.wait_in_line(endpoint, at, tcb, thread);
        self.deliver(thread, caller, 0, entry);
        self.run_timed(caller);
        Way::Runs(caller)
    }

    /// What every fast Call needs, whoever's time the receiver gets.
    #[inline(always)]
    fn possible_call(&self, entry: &Entry) -> Option<Call<'_>> {
        let core = self.this_core();
        let thread = core.current.get()?;
        if entry.has_caps() {
            return None;
        }
        let root = self.words(thread.slot(TcbSlot::CSpace));
        let (at, badge) = self.words_at(root.whole_cnode_slot(entry.cptr)?).callable_endpoint()?;
        let endpoint = self.endpoint_at(at);
        let receiver = endpoint.receiver()?;
        let to = self.tcb(receiver);
        let reply = to.reply()?;
        let may_run = core.ready.is_highest(to.priority()) && self.is_local(receiver);
        may_run.then_some(Call { thread, endpoint, badge, receiver, reply })
    }

    /// What every fast ReplyRecv needs, whoever's time the caller gets.
    #[inline(always)]
    fn possible_answer(&self, entry: &Entry) -> Option<Answer<'_>> {
        let thread = self.this_core().current.get()?;
        let tcb = self.tcb(thread);
        if entry.has_caps() {
            return None;
        }
        let root = self.words(thread.slot(TcbSlot::CSpace));
        let at = self.words_at(root.whole_cnode_slot(entry.cptr)?).readable_endpoint()?;
        let reply = self.words_at(root.whole_cnode_slot(entry.reply)?).reply_at()?;
        let (endpoint, link) = (self.endpoint_at(at), self.reply_at(reply));
        if endpoint.has_senders() || !self.is_last_in_line(endpoint, tcb) || !self.is_quiet(tcb) {
            return None;
        }
        let caller = link.thread()?;
        let to = self.tcb(caller);
        // Without a stored fault.
        let may_run = to.status() == status(ThreadState::BlockedOnReply) && self.is_local(caller);
        may_run.then_some(Answer { thread, at, endpoint, reply, link, caller })
    }

    /// Samples the clock. True if the thread may go on and nothing else is due.
    #[inline(always)]
    fn start_timed(&self, thread: TcbRef) -> bool {
        let Some(context) = self.tcb(thread).sched_context() else { return false };
        self.update_time();
        let core = self.this_core();
        let left = self.head_refill(context).amount().checked_sub(core.consumed.get());
        let is_release_due = match core.release_head.get() {
            Some(first) => self.release_time(first) <= core.now.get(),
            None => false,
        };
        left.is_some_and(|left| left >= self.min_budget.get()) && !is_release_due
    }

    /// Whether a blocked thread could go on at once on its own scheduling context.
    #[inline(always)]
    fn can_run_on(&self, own: Option<SchedContextRef>) -> bool {
        let Some(own) = own else { return false };
        let view = self.context(own);
        view.is_active() && !view.is_sporadic() && self.has_budget(own)
    }

    /// Nothing is to be received from the bound notification, and no scheduling context to be given back to it.
    #[inline(always)]
    fn is_quiet(&self, tcb: Tcb<'_>) -> bool {
        match tcb.bound_notification() {
            None => true,
            Some(bound) => {
                let bound = self.notification(bound);
                bound.state() != NotificationState::Active && bound.sched_context().is_none()
            }
        }
    }

    /// Takes the first thread out of a queue of receivers.
    #[inline(always)]
    fn take_first(&self, endpoint: Endpoint<'_>, first: Tcb<'_>) {
        match first.queue_next() {
            None => endpoint.set_queue(EndpointState::Idle, None, None),
            Some(next) => {
                first.set_queue_next(None);
                self.tcb(next).set_queue_prev(None);
                endpoint.set_queue(EndpointState::Receive, Some(next), endpoint.tail());
            }
        }
    }

    /// Whether a receiver's place in the queue, which holds receivers or nobody, is at the end.
    #[inline(always)]
    fn is_last_in_line(&self, endpoint: Endpoint<'_>, tcb: Tcb<'_>) -> bool {
        endpoint.tail().is_none_or(|tail| self.tcb(tail).priority() >= tcb.priority())
    }

    /// Queues a receiver at the end.
    #[inline(always)]
    fn wait_in_line(&self, endpoint: Endpoint<'_>, at: u64, tcb: Tcb<'_>, thread: TcbRef) {
        tcb.set_blocked_on(at);
        match endpoint.tail() {
            None => endpoint.set_queue(EndpointState::Receive, Some(thread), Some(thread)),
            tail @ Some(last) => {
                self.tcb(last).set_queue_next(Some(thread));
                tcb.set_queue_prev(tail);
                endpoint.set_tail(Some(thread));
            }
        }
    }

    /// Moves a message without capabilities. Registers beyond its length keep their values.
    #[inline(always)]
    fn deliver(&self, sender: TcbRef, receiver: TcbRef, badge: u64, entry: &Entry) {
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

    /// Copies what is in the buffers of a message with more words than registers. Gives how many words were moved in all.
    #[inline(always)]
    fn copy_beyond_registers(&self, sender: TcbRef, receiver: TcbRef, length: usize) -> usize {
        let (Some(from), Some(to)) = (self.buffer_of(sender, false), self.buffer_of(receiver, true)) else {
            return REGISTER_WORDS;
        };
        const FIRST: usize = ipc_buffer::MESSAGE + REGISTER_WORDS;
        let words = FIRST..ipc_buffer::MESSAGE.wrapping_add(length);
        let (Some(from), Some(to)) = (from.get(words.clone()), to.get(words)) else { return REGISTER_WORDS };
        // Four at a time, all read before the first is written: two load pairs and two store pairs.
        let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<4>(), to.as_chunks::<4>());
        for (from, to) in from.iter().zip(to) {
            let [a, b, c, d] = from.each_ref().map(Cell::get);
            to[0].set(a);
            to[1].set(b);
            to[2].set(c);
            to[3].set(d);
        }
        for (from, to) in from_rest.iter().zip(to_rest) {
            to.set(from.get());
        }
        length
    }

    /// Makes the partner the current thread, on the scheduling context of the last one.
    #[inline(always)]
    fn run_fast(&self, partner: TcbRef) {
        self.this_core().current.set(Some(partner));
        self.install_space_of(partner);
    }

    /// Makes the partner the current thread, on its own scheduling context.
    #[inline(always)]
    fn run_timed(&self, partner: TcbRef) {
        self.this_core().current.set(Some(partner));
        self.switch_context();
        if self.this_core().reprogram.replace(false) {
            self.program_timer();
        }
        self.install_space_of(partner);
    }

    #[inline(always)]
    fn words_at(&self, paddr: u64) -> Words {
        let [word0, word1] = self.platform.words(paddr);
        Words(word0.get(), word1.get())
    }

    #[inline(always)]
    fn endpoint_at(&self, paddr: u64) -> Endpoint<'_> {
        Endpoint::new(self.platform.words(paddr))
    }

    #[inline(always)]
    fn reply_at(&self, paddr: u64) -> Reply<'_> {
        Reply::new(self.platform.words(paddr))
    }
}
