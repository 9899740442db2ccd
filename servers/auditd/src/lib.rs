//! Live equals declared: reads the kernel's list of all capabilities and holds it against the graph; changes nothing.
//!
//! [`fact`] reads the kernel's words, [`index`] finds who is who in them by structure alone, `lines` says what each instance holds in the golden
//! format, [`compare`] compares, [`pace`] says how often, [`server`] answers. docs/security.md says what a list of capabilities cannot show.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod compare;
pub mod fact;
pub mod index;
mod lines;
pub mod pace;
pub mod server;

pub use server::{List, Server};

#[cfg(test)]
mod tests;
