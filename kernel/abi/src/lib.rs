//! The kernel's ABI as constants and wire types; no behaviour.
//!
//! Everything a user program and the kernel must agree on: numbers, layouts, limits.
//! The source of every number is the seL4 16.0.0 (MCS, AArch64) ABI; the few additions
//! of HybridOS live in [`extension`] and nowhere else. Used by the kernel and by `hybrid-sys`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod bootinfo;
pub mod cap_tag;
pub mod error;
pub mod extension;
pub mod fault;
pub mod ipc_buffer;
pub mod label;
pub mod limits;
pub mod message;
pub mod object;
pub mod register;
pub mod rights;
pub mod slot;
pub mod syscall;
pub mod vm;
