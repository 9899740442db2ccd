//! The kernel binary: links core and arch into an arm64 Image.
#![cfg_attr(not(test), no_std)]
