//! Rust bindings generated from ipc-idl; written by the compiler alone.
//!
//! The library `hybrid.net.stack` is the module [`net::stack`]. What is generated from what is described, with
//! an example, in `ipc-idl/LANGUAGE.md`; the text itself is in the build folder (`interfaces.rs`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![expect(
    clippy::module_inception,
    clippy::type_complexity,
    clippy::too_many_arguments,
    clippy::should_implement_trait,
    reason = "names and argument lists are those of the IDL texts"
)]

extern crate alloc;

#[cfg(feature = "fuzz")]
mod fuzz;
#[cfg(feature = "fuzz")]
pub use fuzz::fuzz_decode;
#[cfg(all(feature = "fuzz", feature = "samples"))]
pub use fuzz::fuzz_values;

include!(concat!(env!("OUT_DIR"), "/interfaces.rs"));
