//! The root task: instantiates the capability graph, audits, decides access.
#![cfg_attr(not(test), no_std)]
