//! Typed parser of boards, policy and limits; grants nothing itself.
//!
//! Every text is read with unknown keys refused, and every problem carries the file, the line and what to do.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

#[cfg(feature = "std")]
mod board;
mod limits;
mod policy;
mod problem;
mod text;

#[cfg(feature = "std")]
pub use board::{Board, BoardDevice, MemoryFacts, Trigger};
pub use limits::Limits;
pub use policy::{Allow, Except, Forbidden, Guard, Holder, Never, Policy, Subject};
pub use problem::Problem;
#[cfg(feature = "std")]
pub use problem::Source;
pub use text::{Date, PAGE, Size};
