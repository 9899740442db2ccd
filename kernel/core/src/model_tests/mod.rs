//! Host tests of the logic on a fake machine; compiled for tests and (the storm) for fuzzing only.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod boot;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod capabilities;
#[cfg(test)]
mod capability_model;
#[cfg(test)]
mod cores;
#[cfg(test)]
mod debug_calls;
#[cfg(test)]
mod deliberate;
mod hardware;
mod invariants;
#[cfg(test)]
mod ipc;
#[cfg(test)]
mod ipc_model;
#[cfg_attr(not(test), expect(dead_code, reason = "the tests look at more than the storm does"))]
mod machine;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod queues;
mod relations;
#[cfg(test)]
mod scheduling;
#[cfg(test)]
mod spaces;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod vectors;
#[cfg_attr(not(test), expect(dead_code, reason = "the tests do more than the storm does"))]
mod world;
mod world_storm;

use core::cell::Cell;

/// How the model tests watch a kernel, and bend it to compare its ways.
pub(crate) struct Watch {
    /// Never take the fast path: to compare.
    pub(crate) is_slow_only: Cell<bool>,
    /// How often the fast path was taken.
    pub(crate) fast_count: Cell<u64>,
    /// The clock is not sampled: to compare with a fast path that does not either.
    pub(crate) is_clock_frozen: Cell<bool>,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self { is_slow_only: Cell::new(false), fast_count: Cell::new(0), is_clock_frozen: Cell::new(false) }
    }
}

pub use world_storm::{Counts, compare_fast_and_slow, run, take_bytes, take_invocations};
