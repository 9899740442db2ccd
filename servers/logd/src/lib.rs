//! The log's ring buffer and its readers; writes no files.
#![cfg_attr(not(test), no_std)]
