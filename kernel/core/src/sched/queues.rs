//! Ready queues (one per priority, two-level bitmap) and the release queue (by time).

use core::cell::Cell;

use hybrid_abi::limits::PRIORITIES;

use crate::kernel::Kernel;
use crate::object::{SchedContextRef, TcbRef};
use crate::platform::Platform;

const GROUPS: usize = PRIORITIES / 64;

/// Heads and tails of the ready queues, and which are not empty.
#[repr(C)]
pub(crate) struct ReadyQueues {
    groups: Cell<u64>,
    members: [Cell<u64>; GROUPS],
    heads: [Cell<Option<TcbRef>>; PRIORITIES],
    tails: [Cell<Option<TcbRef>>; PRIORITIES],
}

impl ReadyQueues {
    pub(crate) const fn new() -> Self {
        Self {
            heads: [const { Cell::new(None) }; PRIORITIES],
            tails: [const { Cell::new(None) }; PRIORITIES],
            groups: Cell::new(0),
            members: [const { Cell::new(0) }; GROUPS],
        }
    }

    pub(crate) fn head(&self, priority: u8) -> Option<TcbRef> {
        self.heads.get(usize::from(priority)).and_then(Cell::get)
    }

    fn tail(&self, priority: u8) -> Option<TcbRef> {
        self.tails.get(usize::from(priority)).and_then(Cell::get)
    }

    fn set(&self, priority: u8, head: Option<TcbRef>, tail: Option<TcbRef>) {
        if let Some(cell) = self.heads.get(usize::from(priority)) {
            cell.set(head);
        }
        if let Some(cell) = self.tails.get(usize::from(priority)) {
            cell.set(tail);
        }
        let group = priority >> 6;
        if let Some(members) = self.members.get(usize::from(group)) {
            let bit = 1u64 << (priority & 63);
            members.set(if head.is_some() { members.get() | bit } else { members.get() & !bit });
            let group_bit = 1u64 << (group & 3);
            let groups = self.groups.get();
            self.groups.set(if members.get() != 0 { groups | group_bit } else { groups & !group_bit });
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
        self.head(self.highest_priority()?)
    }

    #[inline(always)]
    fn set_head(&self, priority: u8, head: Option<TcbRef>) {
        if let Some(cell) = self.heads.get(usize::from(priority)) {
            cell.set(head);
        }
    }

    #[inline(always)]
    fn set_tail(&self, priority: u8, tail: Option<TcbRef>) {
        if let Some(cell) = self.tails.get(usize::from(priority)) {
            cell.set(tail);
        }
    }

    /// True if no ready thread has a higher priority.
    #[inline(always)]
    pub(crate) fn is_highest(&self, priority: u8) -> bool {
        self.groups.get() == 0 || self.highest_priority().is_none_or(|highest| priority >= highest)
    }
}

impl<P: Platform> Kernel<P> {
    /// Puts a thread at the head of its ready queue; nothing if it is queued already.
    pub(crate) fn ready_push_head(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if tcb.is_ready_queued() {
            return;
        }
        let (priority, ready) = (tcb.priority(), &self.home(thread).ready);
        // Out of the queues a thread has no neighbours.
        match ready.head(priority) {
            head @ Some(first) => {
                self.tcb(first).set_sched_prev(Some(thread));
                tcb.set_sched_next(head);
                ready.set_head(priority, Some(thread));
            }
            None => ready.set(priority, Some(thread), Some(thread)),
        }
        tcb.set_ready_queued(true);
        self.tell_home(thread);
    }

    /// Puts a thread at the tail of its ready queue; nothing if it is queued already.
    pub(crate) fn ready_push_tail(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if tcb.is_ready_queued() {
            return;
        }
        let (priority, ready) = (tcb.priority(), &self.home(thread).ready);
        match ready.tail(priority) {
            tail @ Some(last) => {
                self.tcb(last).set_sched_next(Some(thread));
                tcb.set_sched_prev(tail);
                ready.set_tail(priority, Some(thread));
            }
            None => ready.set(priority, Some(thread), Some(thread)),
        }
        tcb.set_ready_queued(true);
        self.tell_home(thread);
    }

    /// Takes the first thread of a priority out of this core's ready queues.
    #[inline]
    pub(crate) fn ready_take(&self, priority: u8) -> Option<TcbRef> {
        let ready = &self.this_core().ready;
        let thread = ready.head(priority)?;
        let tcb = self.tcb(thread);
        match tcb.sched_next() {
            next @ Some(second) => {
                self.tcb(second).set_sched_prev(None);
                tcb.set_sched_next(None);
                ready.set_head(priority, next);
            }
            None => ready.set(priority, None, None),
        }
        tcb.set_ready_queued(false);
        Some(thread)
    }

    /// The first of a ready queue of this core leaves it, and a thread of the same priority, in no queue, goes to its end.
    #[inline]
    pub(crate) fn ready_exchange(&self, first: TcbRef, last: TcbRef) {
        let (from, to) = (self.tcb(first), self.tcb(last));
        let (priority, ready) = (from.priority(), &self.this_core().ready);
        match from.sched_next() {
            None => ready.set_head(priority, Some(last)),
            next @ Some(second) => {
                self.tcb(second).set_sched_prev(None);
                from.set_sched_next(None);
                ready.set_head(priority, next);
                if let tail @ Some(before) = ready.tail(priority) {
                    self.tcb(before).set_sched_next(Some(last));
                    to.set_sched_prev(tail);
                }
            }
        }
        ready.set_tail(priority, Some(last));
        from.set_ready_queued(false);
        to.set_ready_queued(true);
    }

    /// Takes a thread out of its ready queue, if it is in one.
    #[inline]
    pub(crate) fn ready_remove(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if tcb.is_ready_queued() {
            self.ready_unlink(thread);
        }
    }

    fn ready_unlink(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        let priority = tcb.priority();
        let (prev, next) = (tcb.sched_prev(), tcb.sched_next());
        let mut head = self.home(thread).ready.head(priority);
        let mut tail = self.home(thread).ready.tail(priority);
        match prev {
            Some(prev) => self.tcb(prev).set_sched_next(next),
            None => head = next,
        }
        match next {
            Some(next) => self.tcb(next).set_sched_prev(prev),
            None => tail = prev,
        }
        self.home(thread).ready.set(priority, head, tail);
        self.unlink(thread);
        tcb.set_ready_queued(false);
    }

    fn unlink(&self, thread: TcbRef) {
        self.tcb(thread).set_sched_prev(None);
        self.tcb(thread).set_sched_next(None);
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
        tcb.set_sched_prev(before);
        tcb.set_sched_next(after);
        match before {
            Some(before) => self.tcb(before).set_sched_next(Some(thread)),
            None => self.home(thread).release_head.set(Some(thread)),
        }
        if let Some(after) = after {
            self.tcb(after).set_sched_prev(Some(thread));
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
        let (prev, next) = (tcb.sched_prev(), tcb.sched_next());
        match prev {
            Some(prev) => self.tcb(prev).set_sched_next(next),
            None => {
                self.home(thread).release_head.set(next);
                // The timer of another core comes too early then; its interrupt sets it right.
                if self.is_local(thread) {
                    self.this_core().reprogram.set(true);
                }
            }
        }
        if let Some(next) = next {
            self.tcb(next).set_sched_prev(prev);
        }
        self.unlink(thread);
        tcb.set_release_queued(false);
    }
}
