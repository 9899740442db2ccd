//! Queues of threads at endpoints and notifications: by priority, first come first served among equals.
//!
//! INV-QUEUE-1: priorities never rise from head to tail; `queue_next` and `queue_prev` agree.

use crate::kernel::Kernel;
use crate::object::TcbRef;
use crate::platform::Platform;

/// First and last thread of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) head: Option<TcbRef>,
    pub(crate) tail: Option<TcbRef>,
}

impl<P: Platform> Kernel<P> {
    /// Inserts a thread behind those of its own priority.
    pub(crate) fn queue_insert(&self, mut queue: Queue, thread: TcbRef) -> Queue {
        let priority = self.tcb(thread).priority();
        // More important than all that wait: known without a walk past them.
        let is_first = queue.head.is_some_and(|head| self.tcb(head).priority() < priority);
        let mut before = if is_first { None } else { queue.tail };
        while let Some(other) = before
            && self.tcb(other).priority() < priority
        {
            before = self.tcb(other).queue_prev();
        }
        let after = match before {
            Some(before) => self.tcb(before).queue_next(),
            None => queue.head,
        };
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

    /// Takes a thread out.
    pub(crate) fn queue_remove(&self, mut queue: Queue, thread: TcbRef) -> Queue {
        let tcb = self.tcb(thread);
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
}
