//! virtio-net frames to and from netd's rings; knows no protocol.
//!
//! The device is not trusted: what it writes into its rings and registers is checked, and a device that lies is given up. All
//! `unsafe` of the crate is in `hal.rs` (memory for the device) and `ring.rs` (buffers lent to it).
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
extern crate alloc;

mod driver;
mod hal;
mod nic;
mod ring;
#[cfg(test)]
mod tests;

pub use driver::{Counters, Driver, Frames, Take, Turn};
#[cfg(feature = "fuzz")]
pub use hal::install_again;
pub use hal::{find, install};
pub use nic::{Broken, Nic, StartError};
