//! Typed parser of boards, policy and limits; grants nothing itself.
//!
//! Every text is read with unknown keys refused, and every problem carries the file, the line and what to do.
#![forbid(unsafe_code)]

mod board;
mod limits;
mod policy;
mod problem;
mod text;

pub use board::{Board, BoardDevice, MemoryFacts, Trigger};
pub use limits::Limits;
pub use policy::{Allow, Except, Forbidden, Guard, Holder, Never, Policy, Subject};
pub use problem::{Problem, Source};
pub use text::{Date, PAGE, Size};
