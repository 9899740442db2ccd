//! Call and ReplyRecv on their usual way, without detours; everything else falls back.
//!
//! INV-FAST-1: each of the two either gives `None` and has only sampled the clock, or leaves exactly the state that the ordinary
//! way (`syscall`, then `leave`) leaves, clock and deadline included. Tested by `model_tests::storm` on random threads.
//!
//! The usual way: one-level capability space, no extra capabilities, no fault, partner waiting and with budget (its own or ours),
//! nobody else to be preferred, nothing due in the release queue.

use hybrid_abi::message::MessageInfo;
use hybrid_abi::rights::Rights;

use crate::kernel::Kernel;
use crate::object::{EndpointRef, EndpointState, NotificationState, ReplyRef, SchedContextRef, TcbRef, ThreadState};
use crate::platform::Platform;
use crate::sched::Switch;

impl<P: Platform> Kernel<P> {
    /// Call on an endpoint where a receiver with a reply object waits. Gives the receiver, which runs next.
    #[inline(always)]
    pub(crate) fn fast_call(&self, thread: TcbRef) -> Option<TcbRef> {
        let tcb = self.tcb(thread);
        if MessageInfo(tcb.x::<1>()).extra_caps() != 0 || tcb.fault_kind() != 0 {
            return None;
        }
        let (endpoint, badge, rights) = self.fast_endpoint(thread, tcb.x::<0>())?;
        let may_reply = rights.has(Rights::GRANT) || rights.has(Rights::GRANT_REPLY);
        let view = self.endpoint(endpoint);
        if !rights.has(Rights::WRITE) || !may_reply || view.state() != EndpointState::Receive {
            return None;
        }
        let receiver = view.head()?;
        let to = self.tcb(receiver);
        let reply = to.reply()?;
        let context = self.fast_start(thread)?;
        if !self.this_core().ready.is_highest(to.priority()) || !self.can_run_fast(receiver) {
            return None;
        }

        // No way back from here.
        let next = to.queue_next();
        to.set_queue_next(None);
        match next {
            Some(next) => {
                self.tcb(next).set_queue_prev(None);
                view.set_queue(EndpointState::Receive, Some(next), view.tail());
            }
            None => view.set_queue(EndpointState::Idle, None, None),
        }
        self.transfer_fast(thread, receiver, badge);
        to.set_reply(None);
        to.set_state_raw(ThreadState::Running);
        let link = self.reply(reply);
        link.set_thread(Some(thread));
        tcb.set_reply(Some(reply));
        tcb.set_state_raw(ThreadState::BlockedOnReply);
        if to.sched_context().is_none() {
            let chain = self.context(context);
            let older = chain.reply();
            link.set_older(older);
            if let Some(older) = older {
                self.reply(older).set_newer(Some(reply));
                self.reply(older).set_sched_context(None);
            }
            link.set_newer(None);
            link.set_sched_context(Some(context));
            chain.set_reply(Some(reply));
            self.hand_over(context, thread, receiver);
        }
        Some(self.run_fast(receiver))
    }

    /// Reply to the caller that the reply object in x6 holds, then wait with it. Gives the caller, which runs next.
    #[inline(always)]
    pub(crate) fn fast_reply_recv(&self, thread: TcbRef) -> Option<TcbRef> {
        let tcb = self.tcb(thread);
        if MessageInfo(tcb.x::<1>()).extra_caps() != 0 || tcb.fault_kind() != 0 {
            return None;
        }
        let (endpoint, _, rights) = self.fast_endpoint(thread, tcb.x::<0>())?;
        if !rights.has(Rights::READ) || self.endpoint(endpoint).state() == EndpointState::Send {
            return None;
        }
        if let Some(bound) = tcb.bound_notification() {
            let bound = self.notification(bound);
            if bound.state() == NotificationState::Active || bound.sched_context().is_some() {
                return None;
            }
        }
        let reply = self.fast_reply(thread, tcb.x::<6>())?;
        let link = self.reply(reply);
        let caller = link.thread()?;
        let to = self.tcb(caller);
        if to.state() != ThreadState::BlockedOnReply || to.fault_kind() != 0 {
            return None;
        }
        let context = self.fast_start(thread)?;
        let returns = link.sched_context();
        match returns {
            // The time comes home: from exactly this thread to a caller without any.
            Some(lent)
                if lent == context
                    && to.sched_context().is_none()
                    && self.this_core().ready.is_highest(to.priority()) => {}
            None if link.older().is_none() && link.newer().is_none() && to.sched_context().is_some() => {
                if to.priority() < tcb.priority() && !self.this_core().ready.is_highest(to.priority()) {
                    return None;
                }
            }
            _ => return None,
        }
        if !self.can_run_fast(caller) {
            return None;
        }

        // No way back from here.
        if returns.is_some() {
            let older = link.older();
            self.context(context).set_reply(older);
            if let Some(older) = older {
                self.reply(older).set_newer(None);
                self.reply(older).set_sched_context(Some(context));
            }
            link.set_sched_context(None);
            link.set_older(None);
            self.hand_over(context, thread, caller);
        }
        to.set_reply(None);
        self.transfer_fast(thread, caller, 0);
        to.set_state_raw(ThreadState::Running);
        tcb.set_state_raw(ThreadState::BlockedOnReceive);
        tcb.set_reply(Some(reply));
        link.set_thread(Some(thread));
        self.wait_in_line(thread, endpoint);
        Some(self.run_fast(caller))
    }

    /// Samples the clock. Gives the thread's context if the thread may go on with it and nothing else is due.
    #[inline(always)]
    fn fast_start(&self, thread: TcbRef) -> Option<SchedContextRef> {
        let context = self.tcb(thread).sched_context()?;
        if self.this_core().current_context.get() != Some(context)
            || self.this_core().switch.get() != Switch::Stay
            || self.this_core().reprogram.get()
        {
            return None;
        }
        self.update_time();
        let left = self.head_refill(context).amount().checked_sub(self.this_core().consumed.get())?;
        let is_release_due = match self.this_core().release_head.get() {
            Some(first) => self.release_time(first) <= self.this_core().now.get(),
            None => false,
        };
        if left < self.min_budget.get() || is_release_due { None } else { Some(context) }
    }

    /// Whether a blocked partner could go on at once: without a context of its own, or with one that has budget.
    #[inline(always)]
    fn can_run_fast(&self, partner: TcbRef) -> bool {
        let tcb = self.tcb(partner);
        let has_time = match tcb.sched_context() {
            None => true,
            Some(own) => {
                let view = self.context(own);
                self.is_local(partner) && view.is_active() && !view.is_sporadic() && self.has_budget(own)
            }
        };
        has_time && !tcb.is_release_queued() && !tcb.is_ready_queued() && tcb.yield_to().is_none()
    }

    /// Moves a message without capabilities.
    #[inline(always)]
    fn transfer_fast(&self, from: TcbRef, to: TcbRef, badge: u64) {
        let (source, target) = (self.tcb(from), self.tcb(to));
        let info = MessageInfo(source.x::<1>());
        let length = info.length();
        if length > 4 {
            self.transfer(from, to, None, badge, false);
            return;
        }
        target.set_x::<0>(badge);
        target.set_x::<1>(MessageInfo::new(info.label(), 0, 0, length as u64).0);
        // Registers beyond the length keep their values.
        if length > 0 {
            target.set_x::<2>(source.x::<2>());
        }
        if length > 1 {
            target.set_x::<3>(source.x::<3>());
        }
        if length > 2 {
            target.set_x::<4>(source.x::<4>());
        }
        if length > 3 {
            target.set_x::<5>(source.x::<5>());
        }
    }

    /// Moves the current context to a thread that has none.
    #[inline(always)]
    fn hand_over(&self, context: SchedContextRef, from: TcbRef, to: TcbRef) {
        self.tcb(from).set_sched_context(None);
        self.context(context).set_thread(Some(to));
        self.tcb(to).set_sched_context(Some(context));
        self.move_home(to, context);
    }

    /// Queues a receiver: at the end if it is idle or nobody there has a lower priority, else where it belongs.
    #[inline(always)]
    fn wait_in_line(&self, thread: TcbRef, endpoint: EndpointRef) {
        let view = self.endpoint(endpoint);
        if view.head().is_some() {
            self.enqueue(endpoint, EndpointState::Receive, thread);
            return;
        }
        let tcb = self.tcb(thread);
        tcb.set_blocked_on(endpoint.paddr());
        tcb.set_queue_prev(None);
        tcb.set_queue_next(None);
        view.set_queue(EndpointState::Receive, Some(thread), Some(thread));
    }

    /// Makes the partner the current thread.
    #[inline(always)]
    fn run_fast(&self, partner: TcbRef) -> TcbRef {
        self.this_core().current.set(Some(partner));
        self.switch_context();
        if self.this_core().reprogram.replace(false) {
            self.program_timer();
        }
        self.this_core().space_changed.set(false);
        self.install_space();
        partner
    }

    /// The endpoint capability in a one-level capability space.
    #[inline(always)]
    fn fast_endpoint(&self, thread: TcbRef, cptr: u64) -> Option<(EndpointRef, u64, Rights)> {
        self.words(self.only_level(thread, cptr)?).endpoint()
    }

    #[inline(always)]
    fn fast_reply(&self, thread: TcbRef, cptr: u64) -> Option<ReplyRef> {
        self.words(self.only_level(thread, cptr)?).reply().map(|(reply, _)| reply)
    }
}
