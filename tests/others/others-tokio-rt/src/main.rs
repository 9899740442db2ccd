//! tokio's own tests of runtimes; for the scenario `others-tokio-rt`.
#![cfg_attr(all(test, target_env = "musl"), feature(test, custom_test_frameworks), test_runner(crate::run))]
#![cfg_attr(all(test, target_env = "musl"), allow(warnings, reason = "what others wrote is theirs to mend"))]

#[cfg(all(test, target_env = "musl"))]
#[path = "../../runner.rs"]
mod runner;

#[cfg(all(test, target_env = "musl"))]
include!(concat!(env!("OUT_DIR"), "/tests.rs"));

#[cfg(all(test, target_env = "musl"))]
fn run(tests: &[&runner::TestDescAndFn]) {
    // The tests read it, as cargo starts them where it is.
    std::fs::write("Cargo.toml", include_str!(concat!(env!("HYBRID_OTHERS"), "/../Cargo.toml"))).unwrap();
    runner::run(tests);
}

fn main() {}
