//! tokio's own tests of sockets, files, signals and processes; for the scenario `others-tokio`.
#![cfg_attr(all(test, target_env = "musl"), feature(test, custom_test_frameworks), test_runner(crate::runner::run))]
#![cfg_attr(all(test, target_env = "musl"), allow(warnings, reason = "what others wrote is theirs to mend"))]

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

#[cfg(all(test, target_env = "musl"))]
mod process;

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

fn main() {}
