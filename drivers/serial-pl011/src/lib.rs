//! PL011 console in and out; interprets no bytes.
#![cfg_attr(not(test), no_std)]
