//! The Arm Generic Interrupt Controller, version 2 or 3; decides nothing about interrupts.
mod bits;
#[cfg(target_os = "none")]
mod controller;
#[cfg(target_os = "none")]
mod v2;
#[cfg(target_os = "none")]
mod v3;

#[cfg(target_os = "none")]
pub(crate) use controller::{Gic, inspect_redistributor};
