//! tokio's own tests of input and output, macros and locks; for the scenario `others-tokio-io`.
#![cfg_attr(all(test, target_env = "musl"), feature(test, custom_test_frameworks), test_runner(crate::runner::run))]
#![cfg_attr(all(test, target_env = "musl"), allow(warnings, reason = "what others wrote is theirs to mend"))]

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

fn main() {}
