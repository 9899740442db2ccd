//! Hostile bytes to everything that decodes bytes; on the host, without a fuzzer.
#![forbid(unsafe_code)]

pub mod bytes;
pub mod targets;

use bytes::Source;
use std::time::{Duration, Instant};
use targets::Target;

/// Feeds a target for some time. Returns how many inputs it took.
///
/// # Panics
/// When the target does: that is the finding. The seed repeats it.
pub fn feed(target: &Target, seed: u64, time: Duration) -> u64 {
    let mut source = Source::new(seed);
    let seeds = (target.samples)();
    let deadline = Instant::now() + time;
    let mut count = 0;
    while Instant::now() < deadline {
        for _ in 0..64 {
            let input = source.input(&seeds);
            (target.take)(&input);
            count += 1;
        }
    }
    count
}
