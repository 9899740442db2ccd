//! Counts of a campaign and its table; plays nothing.
use crate::plan::Manner;
use crate::run::Run;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the clients of the load saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answered: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) is_over: AtomicBool,
    /// Nothing is tried at the moment, and nobody asks.
    pub(crate) is_resting: AtomicBool,
}

impl Seen {
    /// Answered and lost until now.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }
}

/// The head of the table.
pub(crate) const HEAD: &str = "| manner | component | runs | not reached | ends | recovery, µs of the device: median | worst | page, ms of the host: median | worst | answered | lost |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

/// All runs of one component in one manner, as a line of the table.
pub(crate) fn row(manner: Manner, victim: &str, runs: &[Run], (answered, lost): (u64, u64)) -> String {
    let reached: Vec<&Run> = runs.iter().filter(|run| run.is_reached).collect();
    let ends = reached.iter().filter(|run| run.has_ended).count();
    let (recovery, recovery_worst) = spread(reached.iter().filter_map(|run| run.recovery_us).collect());
    let (page, page_worst) = spread(reached.iter().map(|run| run.page_ms).collect());
    format!(
        "| {} | {victim} | {} | {} | {ends} | {recovery} | {recovery_worst} | {page} | {page_worst} | {answered} | {lost} |",
        manner.name(),
        runs.len(),
        runs.len() - reached.len(),
    )
}

/// Median and worst; dashes of none.
fn spread(mut values: Vec<u64>) -> (String, String) {
    values.sort_unstable();
    let shown = |value: Option<&u64>| value.map_or_else(|| "–".into(), ToString::to_string);
    (shown(values.get(values.len() / 2)), shown(values.last()))
}
