//! Tests of the whole stack against a second one over a wire that loses, doubles and delays frames.
#![expect(clippy::cast_possible_truncation, reason = "chance is cut to the width that is wanted")]

mod bells;
mod ends;
mod hostile;
mod other;
mod service;
mod simulation;
mod transfers;
