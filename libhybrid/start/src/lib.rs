//! What securityd tells a component at its start; data only.
#![cfg_attr(not(test), no_std)]
