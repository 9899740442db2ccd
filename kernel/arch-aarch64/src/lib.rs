//! All unsafe kernel code for AArch64; makes no decisions.
//!
//! The modules without `unsafe` (device tree, ELF, regions, descriptors, register arithmetic) also compile and are tested on the
//! host. The soundness argument is docs/kernel/soundness.md, one section for each module that contains `unsafe`.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    target_os = "none",
    expect(
        clippy::cast_possible_truncation,
        reason = "usize has 64 bits here; the modules that the host tests are checked there"
    )
)]

pub mod descriptor;
pub mod device_tree;
pub mod elf;
pub mod layout;
pub mod memory;
pub mod regions;

#[cfg(target_os = "none")]
mod cache;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod cores;
#[cfg(target_os = "none")]
mod cpu;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod fp;
#[cfg(any(target_os = "none", test))]
mod gic;
#[cfg(target_os = "none")]
mod hardware;
#[cfg(target_os = "none")]
mod kernel_map;
#[cfg(all(target_os = "none", feature = "latency"))]
mod latency;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod psci;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod run;
#[cfg(all(target_os = "none", feature = "smp"))]
mod secondary;
#[cfg(target_os = "none")]
mod start;
