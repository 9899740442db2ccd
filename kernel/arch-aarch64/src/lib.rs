//! All unsafe kernel code for AArch64, for the device only; makes no decisions.
//!
//! What needs no `unsafe` is in `kernel/machine`, where the host tests it. The soundness argument is docs/kernel/soundness.md, one
//! section for each module that contains `unsafe`.
#![no_std]
#![cfg(target_os = "none")]
#![expect(clippy::cast_possible_truncation, reason = "usize has 64 bits here")]

mod cache;
mod console;
mod cores;
mod cpu;
mod entry;
mod fp;
mod gic;
mod hardware;
mod kernel_map;
#[cfg(feature = "latency")]
mod latency;
mod panic;
mod psci;
mod registers;
mod run;
#[cfg(feature = "smp")]
mod secondary;
mod start;

use core::sync::atomic;

use hybrid_kernel_machine::{descriptor, device_tree, elf, layout, memory, regions};
