//! Host tests of the logic on a fake machine; compiled for tests and (the storm) for fuzzing only.

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

pub use world_storm::{Counts, compare_fast_and_slow, run, take_bytes, take_invocations};
