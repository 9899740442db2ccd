//! Runtime of generated stubs and dispatchers; knows no interface.
#![cfg_attr(not(test), no_std)]
