//! Files and directories for components, each below the directory that its route names; no users, no links, no devices.
//!
//! `server.rs` is the interface over any [`Store`]; stores are `memory.rs` (gone with fsd), `redox/` (a disk), `fat/` (boot partitions), and what other file servers
//! bring (`servers/imaged`), for which `wiring.rs` is as well. Nothing here waits for the disk
//! but by [`Blocks`], which `disk.rs` makes of a driver's rings and tests of memory.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
extern crate alloc;

mod blocks;
mod cache;
mod disk;
mod fat;
mod memory;
mod path;
mod redox;
mod row;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod wiring;

pub use blocks::{BLOCK, Blocks, DeviceError};
pub use cache::Cached;
pub use disk::{Disk, Wait};
pub use fat::{Fat, FatError};
pub use memory::Memory;
pub use redox::{MountError, Redox};
pub use server::Server;
pub use store::{Found, Node, Store};
pub use wiring::{Driver, FileServer, Mount};
