//! MMIO, DMA and interrupts for drivers in user space; no device logic.
//!
//! * [`Mmio`]: a device's registers; volatile, bounds-checked.
//! * [`DmaRegion`] and [`DmaPool`]: memory that devices may reach. The device is not trusted: its memory is only
//!   copied from and to, and no Rust reference into it exists.
//! * [`Irq`]: one interrupt, delivered as a bit of the component's notification.
//! * [`timer`]: the EL1 physical timer, for the one component that may program it.
//!
//! Drivers get these from the runtime's `Env` and need no `unsafe`. On the host, [`Mmio::on_heap`] and
//! [`DmaRegion::on_heap`] stand in for the hardware.
#![cfg_attr(not(test), no_std)]
extern crate alloc;

mod dma;
mod irq;
mod mmio;
mod pool;
pub mod timer;

pub use dma::DmaRegion;
pub use irq::Irq;
pub use mmio::Mmio;
pub use pool::{DmaBlock, DmaPool, PAGE};
