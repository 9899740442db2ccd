//! The fault campaign: every component of the gateway fails in every way, under load; no code that runs on the device.
//!
//! `plan` says who fails how and where, `run` lets one fail and waits until it is back, `report` counts, `campaign` plays them all.
#![forbid(unsafe_code)]

mod campaign;
mod plan;
mod report;
mod run;
mod stamps;

pub use campaign::{all, long};
