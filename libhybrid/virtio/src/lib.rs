//! Virtqueues and device start for drivers of virtio devices; knows no kind of device.
//!
//! The device is not trusted: what it writes into its rings and registers is checked, and a device that lies is given up ([`Broken`]). All
//! `unsafe` is in `hal.rs` (memory for the device), `ring.rs` and `requests.rs` (buffers lent to it), so drivers need none.
#![cfg_attr(not(test), no_std)]
extern crate alloc;

#[cfg(feature = "fake")]
pub mod fake;
mod hal;
mod requests;
mod ring;
mod start;

#[cfg(feature = "fake")]
pub use hal::install_again;
pub use hal::{find, install};
pub use requests::{Answer, Body, HEAD, Requests};
pub use ring::{Direction, Ring};
pub use start::{Broken, StartError, VERSION_1, negotiate};
pub use virtio_drivers::{Result, transport};
