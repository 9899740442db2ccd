//! Signals, sends, waits and interrupts that wake a thread with its own time.

use hybrid_abi::syscall;

use super::{Entry, Way};
use crate::cap::Words;
use crate::kernel::{IrqUse, Kernel};
use crate::object::{Notification, NotificationState, Tcb, TcbRef, TcbSlot, ThreadState, status};
use crate::platform::Platform;

/// Who gets a signal.
#[derive(Clone, Copy)]
enum Hearer {
    /// The notification keeps it.
    Nobody,
    /// The first of those that wait for it.
    First(TcbRef),
    /// The thread that it is bound to, which waits for a message.
    Bound(TcbRef),
}

/// What the thread of a send-and-wait call waits for next.
#[derive(Clone, Copy)]
enum Source<'k> {
    /// A signal that is there.
    Signal(Notification<'k>),
    /// A signal that is not there yet.
    NoSignal(u64, Notification<'k>),
    /// A message that is not there yet: endpoint and reply object.
    NoMessage(u64, u64),
}

impl<P: Platform> Kernel<P> {
    /// Send or NBSend of a signal for which nobody waits.
    #[inline(always)]
    pub fn fast_send(&self, entry: &Entry) -> Way {
        let Some(thread) = self.this_core().current.get() else { return Way::Ordinary };
        if entry.has_caps() {
            return Way::Ordinary;
        }
        let root = Words::of(self.tcb(thread), TcbSlot::CSpace);
        let Some(slot) = root.whole_cnode_slot(entry.cptr) else { return Way::Ordinary };
        let Some((at, badge)) = self.words_at(slot).writable_notification() else { return Way::Timed };
        let notification = self.notification_at(at);
        match self.hearer(notification) {
            Hearer::Nobody => {
                keep(notification, badge);
                Way::Stays(thread)
            }
            Hearer::First(_) | Hearer::Bound(_) => Way::Timed,
        }
    }

    /// Send or NBSend of a signal or message to a thread that waits for it and has its own time.
    pub fn timed_send(&self, entry: &Entry) -> Way {
        self.try_timed_send(entry).unwrap_or(Way::Ordinary)
    }

    #[inline(always)]
    fn try_timed_send(&self, entry: &Entry) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        if entry.has_caps() {
            return None;
        }
        let root = Words::of(self.tcb(thread), TcbSlot::CSpace);
        let words = self.words_at(root.whole_cnode_slot(entry.cptr)?);
        if let Some((at, badge)) = words.writable_notification() {
            return self.timed_signal(thread, self.notification_at(at), badge);
        }
        let (at, badge) = words.writable_endpoint()?;
        let endpoint = self.endpoint_at(at);
        let receiver = endpoint.receiver()?;
        let to = self.tcb(receiver);
        if !self.start_timed(thread) || !self.may_wake(receiver) {
            return None;
        }

        // No way back from here.
        self.take_first(endpoint, to);
        if let Some(reply) = to.reply() {
            self.reply(reply).set_thread(None);
            to.set_reply(None);
        }
        to.set_status(status(ThreadState::Running));
        self.deliver(thread, receiver, badge, entry);
        Some(self.offer_woken(thread, receiver))
    }

    /// An interrupt for which a handler is there, while a thread runs.
    pub fn timed_interrupt(&self, irq: u32) -> Way {
        self.try_timed_interrupt(irq).unwrap_or(Way::Ordinary)
    }

    #[inline(always)]
    fn try_timed_interrupt(&self, irq: u32) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let place = self.irq_place_here(irq);
        if self.irq_use(place) != IrqUse::Handler {
            return None;
        }
        let (at, badge) = self.words(self.irq_slot(place)?).writable_notification()?;
        let way = self.timed_signal(thread, self.notification_at(at), badge)?;
        self.platform.hold_irq(irq);
        Some(way)
    }

    /// Signals; the current thread or who hears it goes on.
    #[inline(always)]
    fn timed_signal(&self, thread: TcbRef, notification: Notification<'_>, badge: u64) -> Option<Way> {
        let hearer = self.hearer(notification);
        if !self.start_timed(thread) || !self.may_hear(hearer) {
            return None;
        }

        // No way back from here.
        Some(match self.signal_to(hearer, notification, badge) {
            Some(woken) => self.offer_woken(thread, woken),
            None => Way::Stays(thread),
        })
    }

    /// The fast ways of the calls that have no handler of their own.
    #[inline(always)]
    pub fn fast_waiting_call(&self, entry: &Entry) -> Way {
        match entry.number {
            syscall::NB_WAIT | syscall::NB_RECV => self.fast_wait(entry, false),
            syscall::WAIT | syscall::RECV => self.fast_wait(entry, true),
            syscall::NB_SEND_WAIT | syscall::NB_SEND_RECV | syscall::NB_SEND | syscall::YIELD => Way::Timed,
            _ => Way::Ordinary,
        }
    }

    /// The same when the time of another thread may begin.
    pub fn timed_waiting_call(&self, entry: &Entry) -> Way {
        match entry.number {
            syscall::WAIT | syscall::RECV => self.try_timed_wait(entry).unwrap_or(Way::Ordinary),
            syscall::NB_SEND_WAIT => self.try_timed_send_wait(entry, false).unwrap_or(Way::Ordinary),
            syscall::NB_SEND_RECV => self.try_timed_send_wait(entry, true).unwrap_or(Way::Ordinary),
            syscall::NB_SEND => self.fast_send(entry).or_timed(|| self.timed_send(entry)),
            syscall::YIELD => self.timed_yield(),
            _ => Way::Ordinary,
        }
    }

    /// NBWait or NBRecv on a notification; Wait or Recv on one that is active.
    #[inline(always)]
    fn fast_wait(&self, entry: &Entry, is_blocking: bool) -> Way {
        let Some(thread) = self.this_core().current.get() else { return Way::Ordinary };
        let tcb = self.tcb(thread);
        let root = Words::of(tcb, TcbSlot::CSpace);
        let Some(slot) = root.whole_cnode_slot(entry.cptr) else { return Way::Ordinary };
        let Some(at) = self.words_at(slot).readable_notification() else { return Way::Ordinary };
        let notification = self.notification_at(at);
        if notification.bound_thread().is_some_and(|bound| bound != thread) {
            return Way::Ordinary;
        }
        if notification.state() == NotificationState::Active {
            take(notification, tcb);
        } else if is_blocking {
            return Way::Timed;
        } else {
            tcb.set_x::<0>(0);
        }
        Way::Stays(thread)
    }

    /// Wait or Recv on a notification that is not active.
    #[inline(always)]
    fn try_timed_wait(&self, entry: &Entry) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let root = Words::of(self.tcb(thread), TcbSlot::CSpace);
        let at = self.words_at(root.whole_cnode_slot(entry.cptr)?).readable_notification()?;
        let source = self.signal_source(thread, at)?;
        let next = self.ready_partner()?;
        if !self.start_timed(thread) {
            return None;
        }

        // No way back from here.
        if self.begins_to_wait(thread, source) {
            self.ready_remove(next);
            self.run_woken(next);
            Some(Way::Runs(next))
        } else {
            Some(Way::Stays(thread))
        }
    }

    /// NBSendWait or NBSendRecv: a signal, then waiting for a signal or, with a reply object, for a message.
    #[inline(always)]
    fn try_timed_send_wait(&self, entry: &Entry, takes_reply: bool) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let tcb = self.tcb(thread);
        if entry.has_caps() {
            return None;
        }
        let root = Words::of(tcb, TcbSlot::CSpace);
        let dest = if takes_reply { tcb.x::<8>() } else { entry.reply };
        let (dest, badge) = self.words_at(root.whole_cnode_slot(dest)?).writable_notification()?;
        let words = self.words_at(root.whole_cnode_slot(entry.cptr)?);
        let source = match words.readable_notification() {
            // What is signalled here must not be what is waited for.
            Some(at) if at != dest => self.signal_source(thread, at)?,
            None if takes_reply => {
                let reply = self.words_at(root.whole_cnode_slot(entry.reply)?).reply_at()?;
                self.message_source(tcb, words.readable_endpoint()?, reply)?
            }
            _ => return None,
        };
        if tcb.bound_notification().is_some_and(|bound| bound.paddr() == dest) {
            return None;
        }
        let notification = self.notification_at(dest);
        let hearer = self.hearer(notification);
        let blocks = !matches!(source, Source::Signal(_));
        // Who runs if this thread does not: the woken one, if it is important enough, or the first that is ready.
        let is_woken_next = match hearer {
            Hearer::Nobody => false,
            Hearer::First(woken) | Hearer::Bound(woken) => {
                let priority = self.tcb(woken).priority();
                priority >= tcb.priority() || self.this_core().ready.is_highest(priority)
            }
        };
        let other = if blocks && !is_woken_next { Some(self.ready_partner()?) } else { None };
        if !self.start_timed(thread) || !self.may_hear(hearer) {
            return None;
        }

        // No way back from here.
        let woken = self.signal_to(hearer, notification, badge);
        if !self.begins_to_wait(thread, source) {
            return Some(woken.map_or(Way::Stays(thread), |woken| self.offer_woken(thread, woken)));
        }
        let next = match (woken, other) {
            (Some(woken), Some(other)) => {
                self.ready_push_head(woken);
                other
            }
            (Some(next), None) | (None, Some(next)) => next,
            (None, None) => return None,
        };
        self.ready_remove(next);
        self.run_woken(next);
        Some(Way::Runs(next))
    }

    #[inline(always)]
    fn hearer(&self, notification: Notification<'_>) -> Hearer {
        match notification.state() {
            NotificationState::Active => Hearer::Nobody,
            NotificationState::Waiting => notification.head().map_or(Hearer::Nobody, Hearer::First),
            NotificationState::Idle => match notification.bound_thread() {
                Some(bound) if self.tcb(bound).state() == ThreadState::BlockedOnReceive => Hearer::Bound(bound),
                _ => Hearer::Nobody,
            },
        }
    }

    #[inline(always)]
    fn may_hear(&self, hearer: Hearer) -> bool {
        match hearer {
            Hearer::Nobody => true,
            Hearer::First(woken) | Hearer::Bound(woken) => self.may_wake(woken),
        }
    }

    /// Whether a blocked thread would have all that it needs to run on this core at once.
    #[inline(always)]
    fn may_wake(&self, blocked: TcbRef) -> bool {
        let tcb = self.tcb(blocked);
        self.usable_time(tcb).is_some() && self.known_space(tcb).is_some() && self.is_local(blocked)
    }

    /// The thread that runs if the current one stops: ready, and ready to leave the kernel.
    #[inline(always)]
    fn ready_partner(&self) -> Option<TcbRef> {
        let next = self.this_core().ready.highest()?;
        let tcb = self.tcb(next);
        let is_plain = tcb.status() == status(ThreadState::Running) && tcb.yield_to().is_none();
        let is_sporadic = self.context(tcb.sched_context()?).is_sporadic();
        (is_plain && !is_sporadic && self.known_space(tcb).is_some()).then_some(next)
    }

    /// Gives a signal to its hearer, which it names and which is then in no queue; or keeps it.
    #[inline(always)]
    fn signal_to(&self, hearer: Hearer, notification: Notification<'_>, badge: u64) -> Option<TcbRef> {
        let woken = match hearer {
            Hearer::Nobody => {
                keep(notification, badge);
                return None;
            }
            Hearer::First(woken) => {
                self.take_first_waiter(notification, self.tcb(woken));
                woken
            }
            Hearer::Bound(woken) => {
                self.cancel_ipc(woken);
                woken
            }
        };
        let tcb = self.tcb(woken);
        tcb.set_status(status(ThreadState::Running));
        tcb.set_x::<0>(badge);
        Some(woken)
    }

    #[inline(always)]
    fn take_first_waiter(&self, notification: Notification<'_>, first: Tcb<'_>) {
        match first.queue_next() {
            None => {
                notification.set_state(NotificationState::Idle);
                notification.set_head(None);
                notification.set_tail(None);
            }
            next @ Some(second) => {
                first.set_queue_next(None);
                self.tcb(second).set_queue_prev(None);
                notification.set_head(next);
            }
        }
    }

    /// The woken thread runs at once if it is more important than the current one; else it waits for its turn.
    #[inline(always)]
    fn offer_woken(&self, thread: TcbRef, woken: TcbRef) -> Way {
        let (own, its) = (self.tcb(thread).priority(), self.tcb(woken).priority());
        if its > own {
            self.ready_push_head(thread);
            self.run_woken(woken);
            return Way::Runs(woken);
        }
        if its == own {
            self.ready_push_tail(woken);
        } else {
            self.ready_push_head(woken);
        }
        Way::Stays(thread)
    }

    #[inline(always)]
    fn run_woken(&self, next: TcbRef) {
        let tcb = self.tcb(next);
        if let Some(own) = tcb.sched_context() {
            self.run_timed(next, own, Words::of(tcb, TcbSlot::VSpace).space());
        }
    }

    /// What waiting for this notification means for the thread, which is on its own time.
    #[inline(always)]
    fn signal_source(&self, thread: TcbRef, at: u64) -> Option<Source<'_>> {
        let notification = self.notification_at(at);
        if notification.bound_thread().is_some_and(|bound| bound != thread) {
            return None;
        }
        if notification.state() == NotificationState::Active {
            return Some(Source::Signal(notification));
        }
        let tail = notification.tail();
        let is_last = tail.is_none_or(|tail| self.tcb(tail).priority() >= self.tcb(thread).priority());
        (is_last && notification.sched_context().is_none()).then_some(Source::NoSignal(at, notification))
    }

    /// What waiting for a message with this reply object means.
    #[inline(always)]
    fn message_source(&self, tcb: Tcb<'_>, at: u64, reply: u64) -> Option<Source<'_>> {
        let is_free = self.reply_at(reply).thread().is_none();
        let may_wait = is_free && self.is_last_in_line(self.endpoint_at(at), tcb) && self.is_quiet(tcb);
        may_wait.then_some(Source::NoMessage(at, reply))
    }

    /// True if the thread blocks.
    #[inline(always)]
    fn begins_to_wait(&self, thread: TcbRef, source: Source<'_>) -> bool {
        let tcb = self.tcb(thread);
        match source {
            Source::Signal(notification) => {
                take(notification, tcb);
                return false;
            }
            Source::NoSignal(at, notification) => {
                tcb.set_status(status(ThreadState::BlockedOnNotification));
                tcb.set_blocked_on(at);
                match notification.tail() {
                    None => {
                        notification.set_state(NotificationState::Waiting);
                        notification.set_head(Some(thread));
                    }
                    tail @ Some(last) => {
                        self.tcb(last).set_queue_next(Some(thread));
                        tcb.set_queue_prev(tail);
                    }
                }
                notification.set_tail(Some(thread));
            }
            Source::NoMessage(at, reply) => {
                tcb.set_status(status(ThreadState::BlockedOnReceive));
                let link = self.reply_at(reply);
                tcb.set_reply(crate::object::ReplyRef::new(reply));
                link.set_thread(Some(thread));
                self.wait_in_line(self.endpoint_at(at), at, tcb, thread);
            }
        }
        true
    }
}

/// Nobody waits for the signal.
#[inline(always)]
fn keep(notification: Notification<'_>, badge: u64) {
    notification.set_state(NotificationState::Active);
    notification.set_badge(notification.badge() | badge);
}

/// Takes the signal that is there.
#[inline(always)]
fn take(notification: Notification<'_>, tcb: Tcb<'_>) {
    tcb.set_x::<0>(notification.badge());
    notification.set_badge(0);
    notification.set_state(NotificationState::Idle);
}
