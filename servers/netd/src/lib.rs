//! IPv4/IPv6 host stack on smoltcp; never touches a device.
#![cfg_attr(not(test), no_std)]
