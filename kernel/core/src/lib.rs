//! The kernel's logic in safe Rust; knows no hardware.
#![cfg_attr(not(test), no_std)]
