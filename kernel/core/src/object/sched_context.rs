//! A scheduling context: 96 bytes of state, then its refills; layout only.

use super::{NotificationRef, ReplyRef, SchedContextRef, TcbRef, view};

view! {
    /// The fixed part of a scheduling context; word 11 is unused. The refills (start, amount) follow from byte 96 on.
    SchedContext[12] {
        /// Period in ticks; 0 = round-robin.
        0 => period, set_period: u64;
        /// Budget in ticks.
        1 => budget, set_budget: u64;
        /// Ticks consumed since the last read.
        2 => consumed, set_consumed: u64;
        /// The thread that runs on it.
        3 => thread, set_thread: Option<TcbRef>;
        /// Head of the call chain.
        4 => reply, set_reply: Option<ReplyRef>;
        /// The notification that lends it.
        5 => notification, set_notification: Option<NotificationRef>;
        /// The thread whose YieldTo waits for it.
        6 => yield_from, set_yield_from: Option<TcbRef>;
        /// Data word of timeout faults.
        7 => badge, set_badge: u64;
        /// Refills that may be in use; 0 = not configured.
        8 => max_refills, set_max_refills: u64;
        /// Index of the head refill (low half) and refills in use (high half); see [`crate::sched`].
        9 => refill_queue, set_refill_queue: u64;
        /// Core and, in bit 63, the sporadic flag.
        10 => core_and_flags, set_core_and_flags: u64;
    }
}

const SPORADIC: u64 = 1 << 63;

impl SchedContext<'_> {
    /// True if it was configured: threads bound to it may run.
    #[inline]
    pub fn is_active(self) -> bool {
        self.max_refills() > 0
    }

    /// True for a round-robin context (budget = period).
    #[inline]
    pub fn is_round_robin(self) -> bool {
        self.period() == 0
    }

    /// True for a sporadic context.
    #[inline]
    pub fn is_sporadic(self) -> bool {
        self.core_and_flags() & SPORADIC != 0
    }

    /// The core it runs on.
    #[inline]
    pub fn core(self) -> u64 {
        self.core_and_flags() & !SPORADIC
    }

    /// Sets core and sporadic flag.
    #[inline]
    pub fn set_placement(self, core: u64, sporadic: bool) {
        self.set_core_and_flags((core & !SPORADIC) | if sporadic { SPORADIC } else { 0 });
    }
}

view! {
    /// One refill of 16 bytes.
    Refill[2] {
        /// When it may be used, in ticks.
        0 => start, set_start: u64;
        /// How much, in ticks.
        1 => amount, set_amount: u64;
    }
}

impl SchedContextRef {
    /// Physical address of refill `index`.
    #[inline]
    #[must_use]
    pub const fn refill_paddr(self, index: u64) -> u64 {
        self.paddr()
            .wrapping_add(hybrid_abi::object::SCHED_CONTEXT_CORE_BYTES)
            .wrapping_add(index.wrapping_mul(hybrid_abi::object::REFILL_BYTES))
    }
}

const _: () = assert!(SchedContext::WORDS as u64 * 8 == hybrid_abi::object::SCHED_CONTEXT_CORE_BYTES);
const _: () = assert!(Refill::WORDS as u64 * 8 == hybrid_abi::object::REFILL_BYTES);
