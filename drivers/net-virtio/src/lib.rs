//! virtio-net frames to and from netd's rings; knows no protocol.
//!
//! The device is not trusted: what it writes into its rings and registers is checked, and a device that lies is given up.
//! Memory for the device and buffers lent to it are `hybrid-virtio`'s.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod driver;
mod nic;
#[cfg(test)]
mod tests;

pub use driver::{Counters, Driver, Fill, Frames, Take, Turn};
pub use nic::{DEVICE_ID, Nic};
