//! Queues of threads: links for all, and the order of those that wait: by priority, first come first served.
//!
//! A thread is in one queue at most (INV-QUEUE-2), so one pair of links serves the ready queues too. INV-QUEUE-1: priorities never
//! rise from head to tail; `queue_next` and `queue_prev` agree. INV-QUEUE-3: of threads that wait side by side with the same priority,
//! a *run*, the first and the last name each other as `run_end`, and no other thread names any. So whoever comes steps over whole
//! runs, of which there are as many as priorities, however many threads wait.

use crate::kernel::Kernel;
use crate::object::{Tcb, TcbRef};
use crate::platform::Platform;

/// First and last thread of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) head: Option<TcbRef>,
    pub(crate) tail: Option<TcbRef>,
}

impl<P: Platform> Kernel<P> {
    /// Puts a thread that is in no queue behind another one of a queue; at its head if that is nobody.
    #[inline(always)]
    pub(crate) fn link(&self, mut queue: Queue, before: Option<TcbRef>, thread: TcbRef) -> Queue {
        debug_assert!(
            !self.tcb(thread).is_ready_queued() && !self.tcb(thread).is_release_queued(),
            "in a queue already"
        );
        let after = before.map_or(queue.head, |before| self.tcb(before).queue_next());
        self.tcb(thread).set_queue_prev(before);
        self.tcb(thread).set_queue_next(after);
        match before {
            Some(before) => self.tcb(before).set_queue_next(Some(thread)),
            None => queue.head = Some(thread),
        }
        match after {
            Some(after) => self.tcb(after).set_queue_prev(Some(thread)),
            None => queue.tail = Some(thread),
        }
        queue
    }

    /// Takes a thread out of its queue.
    #[inline(always)]
    pub(crate) fn unlink(&self, mut queue: Queue, tcb: Tcb<'_>) -> Queue {
        let (prev, next) = (tcb.queue_prev(), tcb.queue_next());
        tcb.set_queue_prev(None);
        tcb.set_queue_next(None);
        match prev {
            Some(prev) => self.tcb(prev).set_queue_next(next),
            None => queue.head = next,
        }
        match next {
            Some(next) => self.tcb(next).set_queue_prev(prev),
            None => queue.tail = prev,
        }
        queue
    }

    /// Inserts a thread behind those of its own priority.
    pub(crate) fn queue_insert(&self, queue: Queue, thread: TcbRef) -> Queue {
        let priority = self.tcb(thread).priority();
        // More important than all that wait: known without a walk past them.
        let is_first = queue.head.is_some_and(|head| self.tcb(head).priority() < priority);
        let mut before = if is_first { None } else { queue.tail };
        while let Some(last) = before
            && self.tcb(last).priority() < priority
        {
            let first = self.tcb(last).run_end().unwrap_or(last);
            before = self.tcb(first).queue_prev();
        }
        let queue = self.link(queue, before, thread);
        if let Some(before) = before {
            self.join_run(before, thread);
        }
        queue
    }

    /// Puts a thread that is in no queue behind the last one, which is not less important.
    #[inline(always)]
    pub(crate) fn queue_append(&self, last: TcbRef, thread: TcbRef) {
        self.tcb(last).set_queue_next(Some(thread));
        self.tcb(thread).set_queue_prev(Some(last));
        self.join_run(last, thread);
    }

    /// A thread stands behind the last one of a run, to which it belongs if it is as important.
    #[inline(always)]
    fn join_run(&self, last: TcbRef, thread: TcbRef) {
        if self.tcb(last).priority() == self.tcb(thread).priority() {
            let first = self.tcb(last).run_end().unwrap_or(last);
            self.tcb(last).set_run_end(None);
            self.tcb(first).set_run_end(Some(thread));
            self.tcb(thread).set_run_end(Some(first));
        }
    }

    /// Takes a thread out of the queue of an endpoint or notification. Its priority may be another one than when it came.
    #[inline(always)]
    pub(crate) fn queue_remove(&self, queue: Queue, thread: TcbRef) -> Queue {
        let tcb = self.tcb(thread);
        if let Some(end) = tcb.run_end() {
            self.leave_run(tcb, end);
        }
        self.unlink(queue, tcb)
    }

    /// The first or last of a run leaves it: its neighbour there is at that end now.
    #[inline(never)]
    fn leave_run(&self, tcb: Tcb<'_>, other_end: TcbRef) {
        let is_member = |next: &TcbRef| self.tcb(*next).priority() == self.tcb(other_end).priority();
        tcb.set_run_end(None);
        self.set_run(tcb.queue_next().filter(is_member).or(tcb.queue_prev()).unwrap_or(other_end), other_end);
    }

    /// These two are the ends of a run; if they are one thread it is none.
    #[inline(always)]
    pub(crate) fn set_run(&self, one: TcbRef, other: TcbRef) {
        let ends = if one == other { (None, None) } else { (Some(other), Some(one)) };
        self.tcb(one).set_run_end(ends.0);
        self.tcb(other).set_run_end(ends.1);
    }
}
