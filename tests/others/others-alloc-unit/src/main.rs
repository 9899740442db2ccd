//! Unit tests of Rust's `alloc`, as its authors wrote them; for the scenario `others-alloc`.
// What its authors ask for as the root of their crate, rustc is told (`xtask/src/others.rs`).
#![cfg_attr(all(test, target_env = "musl"), feature(custom_test_frameworks), test_runner(crate::runner::run))]
#![cfg_attr(all(test, target_env = "musl"), allow(warnings, reason = "what others wrote is theirs to mend"))]

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

fn main() {}
