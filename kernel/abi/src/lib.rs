//! The kernel's ABI as constants and wire types; no behaviour.
#![cfg_attr(not(test), no_std)]
