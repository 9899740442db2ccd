//! Many rounds of one measurement, and the marks that other threads leave; measures nothing itself.
use crate::counter::{Cost, Reading, read};
use core::sync::atomic::{AtomicU64, Ordering};
use libhybrid::sys::Error;

/// Rounds that count.
const ROUNDS: usize = 33;
/// Rounds before them: what is done only the first time is not the path.
const WARM_UP: usize = 4;

/// What one row cost.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    /// The middle round by the kernel's instructions: what a round costs in the steady state. (An average would be moved by
    /// the one round in which a timer fired, and the smallest could be a lucky one.)
    pub(crate) median: Cost,
    /// The kernel's instructions in the cheapest round.
    pub(crate) min: u32,
    /// The kernel's instructions in the dearest round.
    pub(crate) max: u32,
}

/// Runs `round` many times, each of which says what it cost.
pub(crate) fn rounds(mut round: impl FnMut() -> Result<Cost, Error>) -> Result<Figures, Error> {
    for _ in 0..WARM_UP {
        round()?;
    }
    let mut costs = [Cost::default(); ROUNDS];
    for cost in &mut costs {
        *cost = round()?;
    }
    Ok(figures(&mut costs))
}

/// The figures of these rounds.
pub(crate) fn figures(costs: &mut [Cost]) -> Figures {
    costs.sort_unstable();
    let at = |index: usize| costs.get(index).copied().unwrap_or_default();
    Figures { median: at(costs.len() / 2), min: at(0).kernel, max: at(costs.len().saturating_sub(1)).kernel }
}

/// As [`rounds`], for a path that begins and ends in this thread.
pub(crate) fn around(mut path: impl FnMut()) -> Result<Figures, Error> {
    rounds(|| {
        let before = read();
        path();
        Ok(read().since(before))
    })
}

/// As [`around`], for a path that can fail.
pub(crate) fn around_call(mut path: impl FnMut() -> Result<(), Error>) -> Result<Figures, Error> {
    rounds(|| {
        let before = read();
        let outcome = path();
        let after = read();
        outcome.map(|()| after.since(before))
    })
}

/// A reading that one thread takes for another; the address spaces of this program share its memory.
pub(crate) struct Mark(AtomicU64);

impl Mark {
    /// No reading yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes a reading and keeps it.
    #[inline(always)]
    pub(crate) fn set(&self) {
        self.keep(read());
    }

    /// Keeps a reading.
    #[inline(always)]
    pub(crate) fn keep(&self, reading: Reading) {
        self.0.store(reading.to_word(), Ordering::Relaxed);
    }

    /// The reading kept last.
    pub(crate) fn get(&self) -> Reading {
        Reading::from_word(self.0.load(Ordering::Relaxed))
    }
}
