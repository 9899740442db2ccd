//! The personality: system calls of std, musl and C programs as what their component was granted; no authority.
//!
//! It is a library inside the component, between musl and the typed interfaces: docs/std.md tells the whole way. [`Process`] is the logic, one
//! call at a time, without a kernel; what is below [`target`] connects it to the component's memory, clock, log and bells.
//!
//! Invariants: a call that needs what was not granted fails with the error number that Linux has for it, and never waits for it. No memory
//! becomes executable. Randomness comes from the entropy server or not at all.
#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod areas;
pub mod console;
pub mod family;
pub mod files;
pub mod futex;
pub mod hearing;
pub mod neighbour;
pub mod net;
pub mod number;
pub mod output;
pub mod process;
pub mod seeded;
pub mod start;
pub mod world;

#[cfg(target_os = "none")]
mod target;

pub use areas::{Areas, Stacks};
pub use number::Errno;
pub use process::{Ending, Identity, Outcome, Process};
pub use world::World;
