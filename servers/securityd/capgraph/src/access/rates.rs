//! How often somebody did something lately: one clock reading for each principal and rule, in a bounded table.

use alloc::collections::BTreeMap;

use super::policy::Rate;
use super::words::Payer;

/// Principals that are counted one by one.
pub(crate) const PAYERS_MAX: usize = 256;
/// How often a full table is looked through for principals that have paused long enough to be forgotten.
const SWEEP_NS: u64 = 100_000_000;

/// The generic cell rate algorithm (ITU-T I.371): each that is let through moves its principal's clock on by the time that one takes; who is
/// further ahead of the real clock than a burst has to wait. A clock that the real one has overtaken is as good as a new one.
///
/// # Invariants
/// * INV-RATE-1: at most [`PAYERS_MAX`] clocks; who finds no room shares one clock for each rule with all others who did not, so that neither
///   memory nor what gets through grows with the number of principals that somebody can pretend to be.
/// * INV-RATE-2: only clocks that have been overtaken are forgotten: nobody gets more by being forgotten.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    clocks: BTreeMap<(usize, Payer), u64>,
    /// By rule.
    shared: BTreeMap<usize, u64>,
    next_sweep: u64,
}

impl Rates {
    /// Lets one more through, or not.
    pub(crate) fn take(&mut self, rule: usize, payer: Payer, rate: Rate, now_ns: u64) -> bool {
        let key = (rule, payer);
        if self.clocks.len() >= PAYERS_MAX && !self.clocks.contains_key(&key) && now_ns >= self.next_sweep {
            self.clocks.retain(|_, clock| *clock > now_ns);
            self.next_sweep = now_ns.saturating_add(SWEEP_NS);
        }
        if self.clocks.len() < PAYERS_MAX || self.clocks.contains_key(&key) {
            advance(self.clocks.entry(key).or_insert(0), rate, now_ns)
        } else {
            advance(self.shared.entry(rule).or_insert(0), rate, now_ns)
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.clocks.len()
    }
}

fn advance(clock: &mut u64, rate: Rate, now_ns: u64) -> bool {
    let (interval, ahead) = (rate.interval_ns(), clock.saturating_sub(now_ns));
    if ahead > interval.saturating_mul(u64::from(rate.burst) - 1) {
        return false;
    }
    *clock = now_ns.max(*clock).saturating_add(interval);
    true
}
