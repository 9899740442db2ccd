//! When the disk is told which blocks are free, and how far that is; which ones they are `journal.rs` knows.
//!
//! In *passes*: each goes once over the disk, a run of free blocks at a time, between calls. A pass begins when many more blocks are free for good
//! than there were when the last one began, so that what it costs is in proportion to what was freed.
use core::ops::Range;

/// From the mounting to the first pass, and between two passes, at least.
const PAUSE_NS: u64 = 5_000_000_000;
/// The disk's blocks over this must have become free since the last pass.
const SHARE: u64 = 128;
/// Blocks that are discarded at once, at most, if the disk takes so many. A power of two.
const PIECE: u64 = 1024;
/// Fewer free blocks side by side are left alone: the next writes take them, and telling of them costs as much as writing them.
pub(super) const RUN_MIN: u64 = 8;

/// Passes over a disk.
#[derive(Debug)]
pub(super) struct Trim {
    /// The file system's blocks behind the ring of headers.
    blocks: Range<u64>,
    /// Blocks that are discarded at once; 0: the disk discards nothing, or has refused to.
    piece: u64,
    /// Where the pass that is under way goes on.
    at: Option<u64>,
    /// The fewest blocks that were free for good since the last pass began.
    least: u64,
    /// Until then no pass begins; nothing before the first look at the clock.
    not_before_ns: Option<u64>,
}

impl Trim {
    /// Of a disk that discards `discard_max` blocks at once, of which these are the file system's.
    pub(super) fn new(blocks: Range<u64>, discard_max: u64) -> Self {
        let most = discard_max.min(PIECE);
        let piece = if most < RUN_MIN { 0 } else { 1 << most.ilog2() };
        Self { blocks, piece, at: None, least: 0, not_before_ns: None }
    }

    /// Whether there is something to do, when `free` blocks are free for good. Begins a pass if it is time.
    pub(super) fn is_due(&mut self, free: u64, now_ns: u64) -> bool {
        if self.piece == 0 {
            return false;
        }
        self.least = self.least.min(free);
        let not_before = *self.not_before_ns.get_or_insert(now_ns.saturating_add(PAUSE_NS));
        let enough = ((self.blocks.end - self.blocks.start) / SHARE).max(RUN_MIN);
        if self.at.is_none() && now_ns >= not_before && free - self.least >= enough {
            (self.at, self.least) = (Some(self.blocks.start), free);
        }
        self.at.is_some()
    }

    /// What the pass looks at next: up to the next multiple of a piece.
    pub(super) fn next(&self) -> Option<Range<u64>> {
        let at = self.at?;
        let end = (at / self.piece.max(1) + 1).saturating_mul(self.piece);
        Some(at..end.min(self.blocks.end))
    }

    /// The pass has come so far.
    pub(super) fn went_to(&mut self, at: u64, now_ns: u64) {
        self.at = Some(at).filter(|at| *at < self.blocks.end);
        if self.at.is_none() {
            self.not_before_ns = Some(now_ns.saturating_add(PAUSE_NS));
        }
    }

    /// The disk refused: it is not asked again.
    pub(super) fn refused(&mut self) {
        (self.piece, self.at) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::{PAUSE_NS, Trim};

    const S: u64 = PAUSE_NS;

    #[test]
    fn pass_begins_after_a_while_and_again_when_many_more_are_free() {
        let mut trim = Trim::new(256..256 + 12_800, 5000);
        assert!(!trim.is_due(500, 7), "not at once");
        assert!(!trim.is_due(500, 6 + S));
        assert!(trim.is_due(500, 7 + S));
        assert_eq!(trim.next(), Some(256..1024), "then by multiples of the piece");
        trim.went_to(300, 0);
        assert!(trim.is_due(500, 7 + S) && trim.next() == Some(300..1024));
        trim.went_to(1024, 0);
        assert_eq!(trim.next(), Some(1024..2048));
        trim.went_to(12_300, 0);
        assert_eq!(trim.next(), Some(12_300..13_056), "and not beyond the file system");
        trim.went_to(13_056, 9 * S);
        assert!(!trim.is_due(599, 20 * S), "99 more are too few");
        assert!(!trim.is_due(600, 10 * S - 1), "it is too early");
        assert!(trim.is_due(600, 10 * S));
        trim.went_to(13_056, 20 * S);
        assert!(!trim.is_due(400, 30 * S) && !trim.is_due(499, 30 * S) && trim.is_due(500, 30 * S));
    }

    #[test]
    fn disk_that_discards_nothing_or_refuses_is_never_asked() {
        for too_few in [0, 7] {
            assert!(!Trim::new(256..2000, too_few).is_due(1000, 0));
            assert!(!Trim::new(256..2000, too_few).is_due(1000, u64::MAX));
        }
        let mut trim = Trim::new(256..2000, 100);
        assert!(!trim.is_due(1000, 0) && trim.is_due(1000, S) && trim.next() == Some(256..320));
        trim.refused();
        assert!(!trim.is_due(1000, 100 * S) && trim.next().is_none());
    }
}
