//! One alarm for each client, and the next deadline of all; keeps no wall-clock time.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod alarms;
mod server;

pub use alarms::{Alarms, ClientUnknown};
pub use server::{Server, Timer};
