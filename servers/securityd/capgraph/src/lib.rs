//! Resolves component, product and policy texts into one capability graph.
#![cfg_attr(not(test), no_std)]
