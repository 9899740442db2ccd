//! Signals, sends, waits and interrupts that wake a thread with its own time.

use hybrid_abi::syscall;

use super::{Entry, Way, only_if};
use crate::kernel::{IrqUse, Kernel};
use crate::object::{Notification, NotificationState, ReplyRef, Tcb, TcbRef, TcbSlot, ThreadState, status};
use crate::platform::Platform;

/// What the thread of a send-and-wait call waits for next.
#[derive(Clone, Copy)]
enum Source<'k> {
    /// A signal that is there.
    Signal(Notification<'k>),
    /// A signal that is not there yet.
    NoSignal(u64),
    /// A message that is not there yet: endpoint and reply object.
    NoMessage(u64, u64),
}

impl<P: Platform> Kernel<P> {
    /// Send or NBSend of a signal for which nobody waits.
    #[inline(always)]
    pub fn fast_send(&self, entry: &Entry) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        only_if(!entry.has_caps())?;
        let words = self.named(self.tcb(thread), entry.cptr)?;
        let Some((at, badge)) = words.writable_notification() else {
            return words.writable_endpoint().map(|_| Way::Timed);
        };
        if self.hearer(self.notification_at(at)).is_some() {
            return Some(Way::Timed);
        }
        keep(self.notification_at(at), badge);
        Some(Way::Stays(thread))
    }

    /// Send or NBSend of a signal or message to a thread that waits for it and has its own time.
    #[inline(always)]
    pub fn timed_send(&self, entry: &Entry) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        only_if(!entry.has_caps())?;
        let words = self.named(self.tcb(thread), entry.cptr)?;
        if let Some((at, badge)) = words.writable_notification() {
            return self.timed_signal(thread, at, badge);
        }
        let (at, badge) = words.writable_endpoint()?;
        let endpoint = self.endpoint_at(at);
        let receiver = endpoint.receiver()?;
        let to = self.tcb(receiver);
        only_if(self.start_timed(thread) && self.may_wake(receiver))?;

        // No way back from here.
        self.take_first(endpoint, to);
        if let Some(reply) = to.reply() {
            self.reply(reply).set_thread(None);
            to.set_reply(None);
        }
        to.set_status(status(ThreadState::Running));
        self.deliver(thread, receiver, badge, entry);
        Some(self.offer_woken(thread, Some(receiver)))
    }

    /// An interrupt for which a handler is there, while a thread runs.
    pub fn timed_interrupt(&self, irq: u32) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let place = self.irq_place_here(irq);
        only_if(self.irq_use(place) == IrqUse::Handler)?;
        let (at, badge) = self.words(self.irq_slot(place)?).writable_notification()?;
        let way = self.timed_signal(thread, at, badge)?;
        self.platform.hold_irq(irq);
        Some(way)
    }

    /// Signals; the current thread or who hears it goes on.
    #[inline(always)]
    fn timed_signal(&self, thread: TcbRef, at: u64, badge: u64) -> Option<Way> {
        let hearer = self.hearer(self.notification_at(at));
        only_if(self.start_timed(thread) && self.may_hear(hearer))?;

        // No way back from here.
        let woken = self.signal_to(hearer, at, badge);
        Some(self.offer_woken(thread, woken))
    }

    /// The fast ways of the calls that have no handler of their own.
    #[inline(always)]
    pub fn fast_waiting_call(&self, entry: &Entry) -> Option<Way> {
        match entry.number {
            syscall::NB_WAIT | syscall::NB_RECV => self.fast_wait(entry, false),
            syscall::WAIT | syscall::RECV => self.fast_wait(entry, true),
            syscall::NB_SEND_WAIT | syscall::NB_SEND_RECV | syscall::YIELD => Some(Way::Timed),
            _ => None,
        }
    }

    /// The same when the time of another thread may begin.
    pub fn timed_waiting_call(&self, entry: &Entry) -> Option<Way> {
        match entry.number {
            syscall::WAIT | syscall::RECV => self.timed_wait(entry),
            syscall::NB_SEND_WAIT => self.timed_send_wait(entry, false),
            syscall::NB_SEND_RECV => self.timed_send_wait(entry, true),
            syscall::YIELD => self.timed_yield(),
            _ => None,
        }
    }

    /// NBWait or NBRecv on a notification; Wait or Recv on one that is active.
    #[inline(always)]
    fn fast_wait(&self, entry: &Entry, is_blocking: bool) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let tcb = self.tcb(thread);
        let notification = self.notification_at(self.named(tcb, entry.cptr)?.readable_notification()?);
        only_if(notification.bound_thread().is_none_or(|bound| bound == thread))?;
        if notification.is_active() {
            take(notification, tcb);
        } else if is_blocking {
            return Some(Way::Timed);
        } else {
            tcb.set_x::<0>(0);
        }
        Some(Way::Stays(thread))
    }

    /// Wait or Recv on a notification that is not active.
    #[inline(always)]
    fn timed_wait(&self, entry: &Entry) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let at = self.named(self.tcb(thread), entry.cptr)?.readable_notification()?;
        let source = self.signal_source(thread, at)?;
        let next = self.ready_partner()?;
        only_if(self.start_timed(thread))?;

        // No way back from here.
        if !self.begins_to_wait(thread, source) {
            return Some(Way::Stays(thread));
        }
        self.ready_remove(next);
        self.run_woken(next)
    }

    /// NBSendWait or NBSendRecv: a signal, then waiting for a signal or, with a reply object, for a message.
    #[inline(always)]
    fn timed_send_wait(&self, entry: &Entry, takes_reply: bool) -> Option<Way> {
        let thread = self.this_core().current.get()?;
        let tcb = self.tcb(thread);
        only_if(!entry.has_caps())?;
        let dest = if takes_reply { tcb.x::<8>() } else { entry.reply };
        let (dest, badge) = self.named(tcb, dest)?.writable_notification()?;
        let words = self.named(tcb, entry.cptr)?;
        let source = match words.readable_notification() {
            // What is signalled here must not be what is waited for.
            Some(at) if at != dest => self.signal_source(thread, at)?,
            None if takes_reply => {
                let reply = self.named(tcb, entry.reply)?.reply_at()?;
                self.message_source(tcb, words.readable_endpoint()?, reply)?
            }
            _ => return None,
        };
        only_if(tcb.bound_notification().is_none_or(|bound| bound.paddr() != dest))?;
        let hearer = self.hearer(self.notification_at(dest));
        let blocks = !matches!(source, Source::Signal(_));
        // Who runs if this thread does not: the woken one, if it is important enough, or the first that is ready.
        let is_woken_next = match hearer.map(|woken| self.tcb(woken).priority()) {
            Some(priority) => priority >= tcb.priority() || self.this_core().ready.is_highest(priority),
            None => false,
        };
        let other = if blocks && !is_woken_next { Some(self.ready_partner()?) } else { None };
        only_if(self.start_timed(thread) && self.may_hear(hearer))?;

        // No way back from here.
        let woken = self.signal_to(hearer, dest, badge);
        if !self.begins_to_wait(thread, source) {
            return Some(self.offer_woken(thread, woken));
        }
        if let (Some(woken), Some(_)) = (woken, other) {
            self.ready_push_head(woken);
        }
        let next = other.or(woken)?;
        self.ready_remove(next);
        self.run_woken(next)
    }

    /// Who would get a signal now: the first of those that wait for it, or the thread that the notification is bound to if that waits for a
    /// message. `None`: the notification keeps it.
    #[inline(always)]
    pub(crate) fn hearer(&self, notification: Notification<'_>) -> Option<TcbRef> {
        if notification.is_active() {
            return None;
        }
        let may_hear = |bound: &TcbRef| self.tcb(*bound).state() == ThreadState::BlockedOnReceive;
        notification.head().or_else(|| notification.bound_thread().filter(may_hear))
    }

    #[inline(always)]
    fn may_hear(&self, hearer: Option<TcbRef>) -> bool {
        hearer.is_none_or(|woken| self.may_wake(woken))
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
    pub(crate) fn signal_to(&self, hearer: Option<TcbRef>, at: u64, badge: u64) -> Option<TcbRef> {
        let notification = self.notification_at(at);
        let Some(woken) = hearer else {
            keep(notification, badge);
            return None;
        };
        let tcb = self.tcb(woken);
        if notification.state() == NotificationState::Waiting {
            self.take_first(self.endpoint_at(at), tcb);
        } else {
            self.cancel_ipc(woken);
        }
        tcb.set_status(status(ThreadState::Running));
        tcb.set_x::<0>(badge);
        Some(woken)
    }

    /// A woken thread runs at once if it is more important than the current one; else it waits for its turn.
    #[inline(always)]
    fn offer_woken(&self, thread: TcbRef, woken: Option<TcbRef>) -> Way {
        let Some(woken) = woken else { return Way::Stays(thread) };
        let (own, its) = (self.tcb(thread).priority(), self.tcb(woken).priority());
        if its > own {
            self.ready_push_head(thread);
            return self.run_woken(woken).unwrap_or(Way::Runs(woken));
        }
        if its == own {
            self.ready_push_tail(woken);
        } else {
            self.ready_push_head(woken);
        }
        Way::Stays(thread)
    }

    /// A thread that is known to have its own time runs on it.
    #[inline(always)]
    fn run_woken(&self, next: TcbRef) -> Option<Way> {
        let tcb = self.tcb(next);
        Some(self.run_timed(next, tcb.sched_context()?, tcb.cap(TcbSlot::VSpace).space()))
    }

    /// What waiting for this notification means for the thread, which is on its own time.
    #[inline(always)]
    fn signal_source(&self, thread: TcbRef, at: u64) -> Option<Source<'_>> {
        let notification = self.notification_at(at);
        only_if(notification.bound_thread().is_none_or(|bound| bound == thread))?;
        if notification.is_active() {
            return Some(Source::Signal(notification));
        }
        let is_last = self.is_last_in_line(self.endpoint_at(at), self.tcb(thread));
        (is_last && notification.sched_context().is_none()).then_some(Source::NoSignal(at))
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
            Source::NoSignal(at) => {
                tcb.set_status(status(ThreadState::BlockedOnNotification));
                self.wait_in_line(self.endpoint_at(at), at, tcb, thread);
            }
            Source::NoMessage(at, reply) => {
                tcb.set_status(status(ThreadState::BlockedOnReceive));
                let link = self.reply_at(reply);
                tcb.set_reply(ReplyRef::new(reply));
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
pub(crate) fn take(notification: Notification<'_>, tcb: Tcb<'_>) {
    tcb.set_x::<0>(notification.badge());
    notification.set_badge(0);
    notification.set_state(NotificationState::Idle);
}
