//! Terminates HTTP/1.1 for providers; holds no app's authority.
#![cfg_attr(not(test), no_std)]
