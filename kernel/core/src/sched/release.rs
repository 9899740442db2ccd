//! The release queue: who waits for budget, by time, first come first served among equal times (kernel-abi §5.8).
//!
//! A leftist heap whose nodes are the threads. A thread's *rank* is how many stand on the right edge of its heap, itself the first.
//! INV-RELEASE-1: nobody is due before the thread above; parent and child name each other; of the two heaps below a thread the right
//! one has no higher rank. So the right edge of a heap of n threads has at most log2(n + 1) of them, and so long is each walk here:
//! down two right edges and up again, or up past those whose rank changes, since the ranks on that way differ by 1 each.

use crate::kernel::Kernel;
use crate::object::TcbRef;
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// Puts a thread that is in no queue into the release queue until this time.
    pub(crate) fn release_insert(&self, thread: TcbRef, time: u64) {
        let (tcb, order) = (self.tcb(thread), self.release_count.get());
        self.release_count.set(order.wrapping_add(1));
        tcb.set_release_time(time);
        tcb.set_release_order(order);
        tcb.set_release_rank(1);
        let head = &self.home(thread).release_head;
        head.set(self.meld(head.get(), Some(thread)));
    }

    /// Takes a thread out of the release queue, if it is in it.
    #[inline(always)]
    pub(crate) fn release_remove(&self, thread: TcbRef) {
        if self.tcb(thread).is_release_queued() {
            self.release_unlink(thread);
        }
    }

    #[inline(never)]
    fn release_unlink(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        let (left, right, mut above) = (tcb.release_left(), tcb.release_right(), tcb.release_parent());
        tcb.set_release_left(None);
        tcb.set_release_right(None);
        tcb.set_release_parent(None);
        tcb.set_release_rank(0);
        let rest = self.meld(left, right);
        if above.is_none() {
            self.home(thread).release_head.set(rest);
            // The timer of another core comes too early then; its interrupt sets it right.
            if self.is_local(thread) {
                self.this_core().reprogram.set(true);
            }
        }
        let mut heaps = above.map(|parent| match self.heaps(parent) {
            (left, right) if left == Some(thread) => (rest, right),
            (left, _) => (left, rest),
        });
        while let (Some(parent), Some((one, other))) = (above, heaps)
            && self.set_heaps(parent, one, other)
        {
            above = self.tcb(parent).release_parent();
            heaps = above.map(|above| self.heaps(above));
        }
    }

    fn heaps(&self, thread: TcbRef) -> (Option<TcbRef>, Option<TcbRef>) {
        (self.tcb(thread).release_left(), self.tcb(thread).release_right())
    }

    /// One heap of two; gives its root, which hangs below nobody.
    fn meld(&self, mut one: Option<TcbRef>, mut other: Option<TcbRef>) -> Option<TcbRef> {
        // Down the right edges, whoever is due first above; then up, hanging the other heap or the last result on the right.
        let mut above = None;
        while let (Some(a), Some(b)) = (one, other) {
            let (first, second) = if self.is_due_before(b, a) { (b, a) } else { (a, b) };
            self.tcb(first).set_release_parent(above);
            above = Some(first);
            (one, other) = (self.tcb(first).release_right(), Some(second));
        }
        let mut heap = one.or(other);
        while let Some(parent) = above {
            above = self.tcb(parent).release_parent();
            self.set_heaps(parent, self.tcb(parent).release_left(), heap);
            heap = Some(parent);
        }
        if let Some(root) = heap {
            self.tcb(root).set_release_parent(None);
        }
        heap
    }

    fn is_due_before(&self, a: TcbRef, b: TcbRef) -> bool {
        let (a, b) = (self.tcb(a), self.tcb(b));
        a.release_time() < b.release_time()
            || (a.release_time() == b.release_time() && a.release_order() < b.release_order())
    }

    /// Hangs two heaps below a thread. True if its rank is another one then.
    fn set_heaps(&self, thread: TcbRef, one: Option<TcbRef>, other: Option<TcbRef>) -> bool {
        let rank = |heap: Option<TcbRef>| heap.map_or(0, |root| self.tcb(root).release_rank());
        let (left, right) = if rank(one) < rank(other) { (other, one) } else { (one, other) };
        for root in [left, right].into_iter().flatten() {
            self.tcb(root).set_release_parent(Some(thread));
        }
        let (tcb, new) = (self.tcb(thread), rank(right).wrapping_add(1));
        tcb.set_release_left(left);
        tcb.set_release_right(right);
        let is_changed = tcb.release_rank() != new;
        tcb.set_release_rank(new);
        is_changed
    }
}
