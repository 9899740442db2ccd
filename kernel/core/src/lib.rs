//! The kernel's logic in safe Rust; knows no hardware.
//!
//! Start reading at [`kernel`] (state and entry points), then `syscall`, `invocation`, and the file of the object
//! that interests you. [`platform::Platform`] is what the machine layer implements; `docs/kernel/core.md` is the contract.
#![cfg_attr(not(any(test, feature = "model")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(test, feature = "model")),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod boot;
pub mod cap;
pub mod core_state;
pub mod cspace;
pub mod invocation;
pub mod kernel;
#[cfg(feature = "latency")]
pub mod latency;
pub mod object;
pub mod platform;
pub mod vspace;

mod audit;
mod cnode;
#[cfg(any(test, feature = "debug-calls"))]
mod debug;
mod delete;
mod derivation;
mod endpoint;
mod extension;
mod fastpath;
mod fault;
mod irq;
mod message;
mod notification;
mod preempt;
mod queue;
mod reply;
mod sched;
mod syscall;
mod tcb;
mod thread;
mod untyped;

#[cfg(any(test, feature = "model"))]
pub mod model_tests;

pub use boot::{BootError, BootParameters};
pub use fastpath::{Entry, Way};
pub use kernel::{Kernel, UserFault};
pub use platform::{CacheOperation, PhysRange, Platform};
