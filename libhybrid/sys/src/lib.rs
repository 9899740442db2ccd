//! Typed kernel objects and system calls; no policy.
#![cfg_attr(not(test), no_std)]
