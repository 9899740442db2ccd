//! Monotonic time; no wall clock and no alarms.
use hybrid_sys::{clock, count_per_second, count_virtual};

/// Nanoseconds since the machine's counter started. Needs no system call; 0 on the host.
#[must_use]
pub fn now_ns() -> u64 {
    clock::ns_from_ticks(count_virtual(), count_per_second())
}
