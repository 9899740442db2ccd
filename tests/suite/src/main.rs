//! The in-target suite: a root task that tests the kernel and powers off; no component links it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(
    target_os = "none",
    expect(clippy::cast_possible_truncation, reason = "usize has 64 bits on the only machine that this runs on")
)]

#[cfg(target_os = "none")]
#[macro_use]
mod world;
#[cfg(target_os = "none")]
mod probe;
#[cfg(target_os = "none")]
mod suite;
#[cfg(target_os = "none")]
mod tests;
#[cfg(target_os = "none")]
mod timer;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("The suite is a root task: it runs only on the kernel, see tests/suite/README.md.");
}
