//! All unsafe kernel code for AArch64; makes no decisions.
#![cfg_attr(not(test), no_std)]
