//! virtio-net frames to and from netd's rings; knows no protocol.
#![cfg_attr(not(test), no_std)]
