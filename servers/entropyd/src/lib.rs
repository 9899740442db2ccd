//! Numbers that nobody can guess, from a device's tested noise; knows no device.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod health;
mod pool;
mod server;

pub use health::{Health, Sick};
pub use pool::{Pool, SEED_BYTES, Unseeded};
pub use server::Server;
