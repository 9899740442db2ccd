//! Sectors of a virtio block device for whoever has a part of it; knows no files.
//!
//! The device is not trusted: what it writes into its rings, registers and partition table is checked, and a device that lies is given up.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod device;
mod parts;
mod server;
#[cfg(test)]
mod tests;

pub use device::{Blk, DEVICE_ID};
pub use parts::{Part, partitions};
pub use server::Server;
