//! What every component links: one door to sys, rt, ipc, ring and drv.
#![cfg_attr(not(test), no_std)]
