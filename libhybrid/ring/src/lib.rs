//! Shared-memory record rings that never trust the peer.
#![cfg_attr(not(test), no_std)]
