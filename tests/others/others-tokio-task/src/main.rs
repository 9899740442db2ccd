//! tokio's own tests of tasks and time; for the scenario `others-tokio-task`.
#![cfg_attr(all(test, target_env = "musl"), feature(test, custom_test_frameworks), test_runner(crate::runner::run))]
#![cfg_attr(all(test, target_env = "musl"), allow(warnings, reason = "what others wrote is theirs to mend"))]

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

// task_blocking.rs names `crate::time`: where cargo runs it, it is a crate of its own.
#[cfg(all(test, target_env = "musl"))]
use tokio::time;

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

fn main() {}
