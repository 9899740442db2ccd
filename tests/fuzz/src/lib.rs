//! Hostile bytes to everything that parses or obeys bytes; on the host.
//!
//! A target is a function that takes any bytes: [`targets::ALL`] lists them. A finding is a panic, a stack overflow, or an
//! input that takes longer than [`TIME_MAX`]. The functions know no fuzzer; this crate brings a small one that needs nothing
//! but stable Rust, and `cargo-fuzz/` points a real one at them.
#![forbid(unsafe_code)]

pub mod bytes;
pub mod corpus;
pub mod driver;
pub mod input;
pub mod targets;

use std::time::Duration;

/// The longest that one input may take, debug build on a slow machine.
pub const TIME_MAX: Duration = Duration::from_secs(10);
