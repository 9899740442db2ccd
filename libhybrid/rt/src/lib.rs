//! Entry, heap, panic and logging of a component; no IPC protocol.
#![cfg_attr(not(test), no_std)]
