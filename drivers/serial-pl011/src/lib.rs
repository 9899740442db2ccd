//! Driver of the PL011 serial line: bytes out, bytes in; no line editing.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod console;
pub mod uart;
