//! What `hello-files` goes through in the campaign of losses of power, for the program and for its judge.
#![forbid(unsafe_code)]

pub mod plan;
