//! Refills: the sporadic-server bookkeeping of one scheduling context (kernel-abi §5.5).
//!
//! INV-REFILL-1 (not round-robin): refills are sorted and do not overlap, their amounts sum up to the budget, the head
//! has at least the minimum budget. Round-robin contexts use refill 0 as what is left and refill 1 as what was used.

use crate::kernel::Kernel;
use crate::object::{Refill, SchedContextRef, TcbRef};
use crate::platform::Platform;

/// Refills that a context really uses, however large it is: bounds charging and merging at some 3,000 instructions. All of a context
/// of 1 KiB (58) count. More would not change what a thread gets, only when exactly.
const MAX_REFILLS: u64 = 64;

impl<P: Platform> Kernel<P> {
    fn queue(&self, context: SchedContextRef) -> (u64, u64) {
        let word = self.context(context).refill_queue();
        (word & 0xffff_ffff, word >> 32)
    }

    fn set_queue(&self, context: SchedContextRef, head: u64, count: u64) {
        self.context(context).set_refill_queue((count << 32) | (head & 0xffff_ffff));
    }

    /// Index of refill number `n` from the head.
    fn index_of(&self, context: SchedContextRef, n: u64) -> u64 {
        let (at, end) = (self.queue(context).0.wrapping_add(n), self.context(context).max_refills());
        if at < end { at } else { at.wrapping_sub(end) }
    }

    /// Refill number `n` from the head.
    fn refill_at(&self, context: SchedContextRef, n: u64) -> Refill<'_> {
        self.refill(context, self.index_of(context, n))
    }

    /// The refill in use.
    #[inline]
    pub(crate) fn head_refill(&self, context: SchedContextRef) -> Refill<'_> {
        let (head, _) = self.queue(context);
        self.refill(context, head)
    }

    fn pop(&self, context: SchedContextRef) {
        self.set_queue(context, self.index_of(context, 1), self.queue(context).1.saturating_sub(1));
    }

    /// True if the head refill may be used now and is worth it.
    #[inline]
    pub(crate) fn has_budget(&self, context: SchedContextRef) -> bool {
        let head = self.head_refill(context);
        self.context(context).is_round_robin()
            || (head.start() <= self.this_core().now.get() && head.amount() >= self.min_budget.get())
    }

    /// One refill of the whole budget, usable now.
    pub(crate) fn start_refills(&self, context: SchedContextRef, budget: u64, period: u64, max_refills: u64) {
        let view = self.context(context);
        view.set_budget(budget);
        view.set_period(period);
        view.set_max_refills(max_refills.min(MAX_REFILLS));
        self.set_queue(context, 0, 1);
        for (index, amount) in [(0, budget), (1, 0)] {
            let refill = self.refill(context, index);
            refill.set_start(self.this_core().now.get());
            refill.set_amount(amount);
        }
    }

    /// New parameters for a context whose thread runs: only the head refill is kept.
    pub(crate) fn update_refills(&self, context: SchedContextRef, budget: u64, period: u64, max_refills: u64) {
        let head = self.head_refill(context);
        let (start, amount) = (head.start().max(self.this_core().now.get()), head.amount());
        self.start_refills(context, budget, period, max_refills);
        let head = self.refill(context, 0);
        head.set_start(start);
        if amount < budget {
            head.set_amount(amount);
            self.schedule_refill(context, start.saturating_add(period), budget.wrapping_sub(amount));
            self.merge_small_heads(context);
        }
    }

    /// Everything of a round-robin context is usable again.
    pub(crate) fn restore_round_robin(&self, context: SchedContextRef) {
        let (left, used) = (self.refill(context, 0), self.refill(context, 1));
        left.set_amount(left.amount().saturating_add(used.amount()));
        used.set_amount(0);
    }

    #[inline]
    pub(crate) fn consume_round_robin(&self, context: SchedContextRef, amount: u64) {
        let (left, used) = (self.refill(context, 0), self.refill(context, 1));
        let amount = amount.min(left.amount());
        left.set_amount(left.amount().wrapping_sub(amount));
        used.set_amount(used.amount().saturating_add(amount));
    }

    /// Charges `usage` ticks to a context that is not round-robin.
    pub(crate) fn charge_refills(&self, context: SchedContextRef, usage: u64) {
        let (budget, period) = (self.context(context).budget(), self.context(context).period());
        let mut usage = self.charge_rounds(context, usage, budget, period);
        // The amounts sum up to the budget, which is more than the usage now: with one refill there is nothing to do.
        while self.queue(context).1 > 1 && usage >= self.head_refill(context).amount() {
            let head = self.head_refill(context);
            let (start, amount) = (head.start(), head.amount());
            usage = usage.wrapping_sub(amount);
            self.pop(context);
            self.schedule_refill(context, start.saturating_add(period), amount);
        }
        if usage > 0 {
            let head = self.head_refill(context);
            let start = head.start();
            head.set_start(start.saturating_add(usage));
            head.set_amount(head.amount().wrapping_sub(usage));
            self.schedule_refill(context, start.saturating_add(period), usage);
        }
        self.merge_small_heads(context);
    }

    /// A usage of whole budgets moves every refill by as many periods. Gives what is left to charge.
    fn charge_rounds(&self, context: SchedContextRef, usage: u64, budget: u64, period: u64) -> u64 {
        let rounds = usage.checked_div(budget).unwrap_or(0);
        if rounds == 0 {
            return usage;
        }
        let (_, count) = self.queue(context);
        for n in 0..count {
            let refill = self.refill_at(context, n);
            refill.set_start(refill.start().saturating_add(rounds.saturating_mul(period)));
        }
        usage.checked_rem(budget).unwrap_or(0)
    }

    fn schedule_refill(&self, context: SchedContextRef, start: u64, amount: u64) {
        let (head, count) = self.queue(context);
        let tail = self.refill_at(context, count.saturating_sub(1));
        if tail.start().saturating_add(tail.amount()) >= start {
            tail.set_amount(tail.amount().saturating_add(amount));
        } else if count < self.context(context).max_refills() {
            self.set_queue(context, head, count.wrapping_add(1));
            let new = self.refill_at(context, count);
            new.set_start(start);
            new.set_amount(amount);
        } else {
            tail.set_start(start.saturating_sub(tail.amount()));
            tail.set_amount(tail.amount().saturating_add(amount));
        }
    }

    /// A head too small to be used joins the next refill, whose end stays.
    fn merge_small_heads(&self, context: SchedContextRef) {
        while self.queue(context).1 > 1 && self.head_refill(context).amount() < self.min_budget.get() {
            let amount = self.head_refill(context).amount();
            self.pop(context);
            let head = self.head_refill(context);
            head.set_start(head.start().saturating_sub(amount));
            head.set_amount(head.amount().saturating_add(amount));
        }
    }

    /// Brings refills up to date: what became ready while nobody ran on the context starts now.
    pub(crate) fn refresh_refills(&self, context: SchedContextRef) {
        let view = self.context(context);
        if !view.is_active() || view.is_round_robin() || self.head_refill(context).start() > self.this_core().now.get()
        {
            return;
        }
        let start = self.this_core().now.get();
        self.head_refill(context).set_start(start);
        self.this_core().reprogram.set(true);
        while self.queue(context).1 > 1 {
            let (amount, next) = (self.head_refill(context).amount(), self.refill_at(context, 1));
            if next.start() > start.saturating_add(amount) {
                break;
            }
            next.set_start(start);
            next.set_amount(next.amount().saturating_add(amount));
            self.pop(context);
        }
    }

    /// A thread woke from blocking: a sporadic context that is not in use is brought up to date.
    #[inline]
    pub(crate) fn refresh_sporadic(&self, thread: TcbRef) {
        if let Some(context) = self.tcb(thread).sched_context()
            && self.context(context).is_sporadic()
            && self.this_core().current_context.get() != Some(context)
        {
            self.refresh_refills(context);
        }
    }
}
