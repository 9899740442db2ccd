//! The root task: instantiates the capability graph, audits, decides access.
//!
//! The order of a boot: [`space`] makes the capability space two-level, [`memory`] takes over all untyped memory,
//! [`install`] makes what the graph says and records each grant in [`audit`], [`server`] answers calls and faults for ever.
//! Every kernel object is made through [`kernel::Kernel`], so that a host test can compare what was installed with the graph.
//!
//! It knows no component: what one gets is in the graph. It parses the bundle, and nothing from the network.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
extern crate alloc;

pub mod account;
pub mod audit;
pub mod denials;
pub mod devices;
pub mod exits;
pub mod fault;
pub mod install;
pub mod journal;
pub mod kernel;
pub mod lifecycle;
pub mod memory;
pub mod places;
pub mod policy;
pub mod server;
pub mod sessions;
pub mod space;
pub mod target;
pub mod watch;
mod window;

#[cfg(test)]
mod fake;
