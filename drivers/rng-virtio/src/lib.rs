//! The noise of a virtio entropy device, on request; judges none of it.
//!
//! The device is not trusted: the lengths and buffers that it names are checked, and a device that lies is given up. What was given out is
//! wiped from the memory that it was in.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;
mod server;
#[cfg(test)]
mod tests;

pub use device::{DEVICE_ID, Rng};
pub use server::Server;
