//! Debug console on the serial line; only what its capabilities allow.
#![cfg_attr(not(test), no_std)]
