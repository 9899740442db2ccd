//! Alarms on the monotonic clock; keeps no wall-clock time.
#![cfg_attr(not(test), no_std)]
