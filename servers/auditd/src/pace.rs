//! How often a comparison on request may be made; why one is made, and by whom, is not known here.

/// The least rest after a comparison.
pub const REST_MIN_NS: u64 = 1_000_000_000;
/// The longest: the supervisor has a comparison made as often as that anyway.
pub const REST_MAX_NS: u64 = 10_000_000_000;
/// So many times what the comparison took: whoever asks without a pause gets a quarter of the processor for it at most.
pub const REST_TIMES: u64 = 3;

/// The rest that comparisons earned, whoever they were made for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    until: u64,
}

impl Pace {
    /// One that was asked for may begin.
    #[must_use]
    pub const fn may_begin(self, now_ns: u64) -> bool {
        now_ns >= self.until
    }

    /// One was made from `began` to `ended`.
    pub fn made(&mut self, began_ns: u64, ended_ns: u64) {
        let took = ended_ns.saturating_sub(began_ns);
        let rest = took.saturating_mul(REST_TIMES).clamp(REST_MIN_NS, REST_MAX_NS);
        // A short one for somebody else takes nothing from the rest after a long one.
        self.until = self.until.max(ended_ns.saturating_add(rest));
    }
}
