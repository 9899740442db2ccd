//! Ready queues: one per priority, with a two-level bitmap of those that are not empty.

use core::cell::Cell;

use hybrid_abi::limits::PRIORITIES;

use crate::kernel::Kernel;
use crate::object::TcbRef;
use crate::platform::Platform;
use crate::queue::Queue;

const GROUPS: usize = PRIORITIES / 64;

/// The ready queues, and which are not empty.
#[repr(C)]
pub(crate) struct ReadyQueues {
    groups: Cell<u64>,
    members: [Cell<u64>; GROUPS],
    queues: [Cell<Queue>; PRIORITIES],
}

impl ReadyQueues {
    pub(crate) const fn new() -> Self {
        Self {
            groups: Cell::new(0),
            members: [const { Cell::new(0) }; GROUPS],
            queues: [const { Cell::new(Queue { head: None, tail: None }) }; PRIORITIES],
        }
    }

    #[inline(always)]
    pub(crate) fn queue(&self, priority: u8) -> Queue {
        self.queues.get(usize::from(priority)).map(Cell::get).unwrap_or_default()
    }

    #[inline(always)]
    fn set(&self, priority: u8, queue: Queue) {
        let Some(cell) = self.queues.get(usize::from(priority)) else { return };
        if cell.replace(queue).head.is_some() != queue.head.is_some() {
            self.mark(priority);
        }
    }

    /// The queue of a priority became empty, or is not any more.
    fn mark(&self, priority: u8) {
        let group = priority >> 6;
        if let Some(members) = self.members.get(usize::from(group)) {
            members.set(members.get() ^ (1u64 << (priority & 63)));
            let (groups, bit) = (self.groups.get(), 1u64 << (group & 3));
            self.groups.set(if members.get() != 0 { groups | bit } else { groups & !bit });
        }
    }

    #[inline(always)]
    pub(crate) fn highest_priority(&self) -> Option<u8> {
        let group = self.groups.get().checked_ilog2()?;
        let member = self.members.get(group as usize)?.get().checked_ilog2()?;
        u8::try_from((group << 6) | member).ok()
    }

    /// First thread of the highest priority that has one.
    #[inline]
    pub(crate) fn highest(&self) -> Option<TcbRef> {
        self.queue(self.highest_priority()?).head
    }

    /// True if no ready thread has a higher priority.
    #[inline(always)]
    pub(crate) fn is_highest(&self, priority: u8) -> bool {
        self.highest_priority().is_none_or(|highest| priority >= highest)
    }
}

impl<P: Platform> Kernel<P> {
    /// Puts a thread at the head of its ready queue; nothing if it is queued already.
    pub(crate) fn ready_push_head(&self, thread: TcbRef) {
        self.ready_push(thread, |_| None);
    }

    /// Puts a thread at the tail of its ready queue; nothing if it is queued already.
    pub(crate) fn ready_push_tail(&self, thread: TcbRef) {
        self.ready_push(thread, |queue| queue.tail);
    }

    #[inline(always)]
    fn ready_push(&self, thread: TcbRef, behind: impl Fn(Queue) -> Option<TcbRef>) {
        let tcb = self.tcb(thread);
        if tcb.is_ready_queued() {
            return;
        }
        let (ready, priority) = (&self.home(thread).ready, tcb.priority());
        let queue = ready.queue(priority);
        ready.set(priority, self.link(queue, behind(queue), thread));
        tcb.set_ready_queued(true);
        self.tell_home(thread);
    }

    /// The first of a ready queue of this core leaves it, and a thread of the same priority, in no queue, goes to its end.
    #[inline]
    pub(crate) fn ready_exchange(&self, first: TcbRef, last: TcbRef) {
        let (from, to) = (self.tcb(first), self.tcb(last));
        let (priority, ready) = (from.priority(), &self.this_core().ready);
        let (second, before) = (from.queue_next(), ready.queue(priority).tail);
        if let (Some(second), Some(before)) = (second, before) {
            self.tcb(second).set_queue_prev(None);
            from.set_queue_next(None);
            self.tcb(before).set_queue_next(Some(last));
            to.set_queue_prev(Some(before));
        }
        ready.set(priority, Queue { head: second.or(Some(last)), tail: Some(last) });
        from.set_ready_queued(false);
        to.set_ready_queued(true);
    }

    /// Takes a thread out of its ready queue, if it is in one.
    #[inline]
    pub(crate) fn ready_remove(&self, thread: TcbRef) {
        if self.tcb(thread).is_ready_queued() {
            self.ready_unlink(thread);
        }
    }

    fn ready_unlink(&self, thread: TcbRef) {
        let (tcb, ready) = (self.tcb(thread), &self.home(thread).ready);
        ready.set(tcb.priority(), self.unlink(ready.queue(tcb.priority()), tcb));
        tcb.set_ready_queued(false);
    }
}
