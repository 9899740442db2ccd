//! Rust bindings generated from ipc-idl; written by the compiler alone.
#![cfg_attr(not(test), no_std)]
