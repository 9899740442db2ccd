//! Debug console on the serial line; only what its capabilities allow.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod command;
pub mod devices;
pub mod editor;
pub mod history;
pub mod job;
pub mod policy;
pub mod quote;
pub mod screen;
pub mod services;
pub mod shell;
pub mod top;

#[cfg(test)]
mod tests;
