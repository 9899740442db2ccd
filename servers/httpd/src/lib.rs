//! Terminates HTTP/1.1 for providers; holds no app's authority.
//!
//! `Server` is the whole component but its rings, calls and clock, which come in through [`Outside`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod engine;
pub mod http1;
pub mod limits;
mod outside;
mod pool;
mod routes;
mod server;
mod slots;
mod status;
mod verbs;

pub use outside::{Asked, Outside, Reason, Refusal, Verb, Verdict};
pub use server::{Counts, Server};
pub use status::Status;
