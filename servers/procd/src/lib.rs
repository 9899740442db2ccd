//! Decides when components are started again; has no authority but securityd's Lifecycle.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod audit;
mod drivers;
mod family;
mod operators;
pub mod record;
mod requests;
mod services;
pub mod supervisor;

pub use audit::{Finding, OnDifference, Suspect};
pub use family::Kin;
pub use supervisor::{Power, Supervisor};

#[cfg(test)]
mod tests;
