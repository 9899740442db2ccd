//! Ready queues (one per priority, two-level bitmap) and the release queue (by time).

use core::cell::Cell;

use hybrid_abi::limits::PRIORITIES;

use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef};
use crate::platform::Platform;
use crate::queue::Queue;

const GROUPS: usize = PRIORITIES / 64;

/// The threads before and after one in its queue.
type Neighbours = (Option<TcbRef>, Option<TcbRef>);

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
        let queue = self.home(thread).ready.queue(self.tcb(thread).priority());
        self.ready_push(thread, (None, queue.head), Queue { head: Some(thread), tail: queue.tail.or(Some(thread)) });
    }

    /// Puts a thread at the tail of its ready queue; nothing if it is queued already.
    pub(crate) fn ready_push_tail(&self, thread: TcbRef) {
        let queue = self.home(thread).ready.queue(self.tcb(thread).priority());
        self.ready_push(thread, (queue.tail, None), Queue { head: queue.head.or(Some(thread)), tail: Some(thread) });
    }

    #[inline(always)]
    fn ready_push(&self, thread: TcbRef, neighbours: Neighbours, queue: Queue) {
        let tcb = self.tcb(thread);
        if tcb.is_ready_queued() {
            return;
        }
        self.link(thread, neighbours);
        self.home(thread).ready.set(tcb.priority(), queue);
        tcb.set_ready_queued(true);
        self.tell_home(thread);
    }

    /// The first of a ready queue of this core leaves it, and a thread of the same priority, in no queue, goes to its end.
    #[inline]
    pub(crate) fn ready_exchange(&self, first: TcbRef, last: TcbRef) {
        let (from, to) = (self.tcb(first), self.tcb(last));
        let (priority, ready) = (from.priority(), &self.this_core().ready);
        let (second, before) = (from.sched_next(), ready.queue(priority).tail);
        if let (Some(second), Some(before)) = (second, before) {
            self.tcb(second).set_sched_prev(None);
            from.set_sched_next(None);
            self.tcb(before).set_sched_next(Some(last));
            to.set_sched_prev(Some(before));
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
        let tcb = self.tcb(thread);
        let (prev, next) = self.unlink(thread);
        let ready = &self.home(thread).ready;
        let Queue { head, tail } = ready.queue(tcb.priority());
        let (head, tail) = (if prev.is_none() { next } else { head }, if next.is_none() { prev } else { tail });
        ready.set(tcb.priority(), Queue { head, tail });
        tcb.set_ready_queued(false);
    }

    /// Puts a thread that is in no queue between two of a ready or release queue.
    #[inline(always)]
    fn link(&self, thread: TcbRef, (prev, next): Neighbours) {
        self.tcb(thread).set_sched_prev(prev);
        self.tcb(thread).set_sched_next(next);
        if let Some(prev) = prev {
            self.tcb(prev).set_sched_next(Some(thread));
        }
        if let Some(next) = next {
            self.tcb(next).set_sched_prev(Some(thread));
        }
    }

    /// Takes it out; gives those that it was between.
    #[inline(always)]
    fn unlink(&self, thread: TcbRef) -> Neighbours {
        let tcb = self.tcb(thread);
        let (prev, next) = (tcb.sched_prev(), tcb.sched_next());
        if let Some(prev) = prev {
            self.tcb(prev).set_sched_next(next);
        }
        if let Some(next) = next {
            self.tcb(next).set_sched_prev(prev);
        }
        tcb.set_sched_prev(None);
        tcb.set_sched_next(None);
        (prev, next)
    }

    /// When a thread of the release queue gets budget.
    pub(crate) fn release_time(&self, thread: TcbRef) -> u64 {
        self.tcb(thread).sched_context().map_or(0, |context| self.head_refill(context).start())
    }

    /// Moves the thread of a scheduling context to the release queue.
    pub(crate) fn postpone(&self, context: SchedContextRef) {
        let Some(thread) = self.context(context).thread() else { return };
        self.ready_remove(thread);
        self.release_insert(thread);
        self.home(thread).reprogram.set(true);
        self.wake_home(thread);
    }

    fn release_insert(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if tcb.is_release_queued() {
            return;
        }
        let time = self.release_time(thread);
        let mut before = None;
        let mut after = self.home(thread).release_head.get();
        while let Some(other) = after
            && self.release_time(other) <= time
        {
            before = Some(other);
            after = self.tcb(other).sched_next();
        }
        self.link(thread, (before, after));
        if before.is_none() {
            self.home(thread).release_head.set(Some(thread));
        }
        tcb.set_release_queued(true);
        if self.this_core().current.get() == Some(thread) {
            self.leave_cpu();
        }
    }

    /// Takes a thread out of the release queue, if it is in it.
    pub(crate) fn release_remove(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if !tcb.is_release_queued() {
            return;
        }
        let (prev, next) = self.unlink(thread);
        if prev.is_none() {
            self.home(thread).release_head.set(next);
            // The timer of another core comes too early then; its interrupt sets it right.
            if self.is_local(thread) {
                self.this_core().reprogram.set(true);
            }
        }
        tcb.set_release_queued(false);
    }
}
