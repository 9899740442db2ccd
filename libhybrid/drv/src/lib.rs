//! MMIO, DMA and interrupts for drivers in user space; no device logic.
#![cfg_attr(not(test), no_std)]
