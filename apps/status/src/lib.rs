//! The status page's provider; never sees a socket.
#![cfg_attr(not(test), no_std)]
