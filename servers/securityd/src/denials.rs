//! How many denials are logged and recorded one by one, so that a flood of them costs next to nothing; counts the rest.

/// Denials that are logged and recorded one by one within a window.
pub const LINES_MAX: u32 = 8;
/// The window after a quiet one.
const WINDOW_NS: u64 = 1_000_000_000;
/// The longest window.
const WINDOW_MAX_NS: u64 = 64 * WINDOW_NS;

/// Bounds the log lines and audit records of one kind of denial: so many in a window, then one with the count of the rest.
///
/// The window doubles each time that it was not enough, up to 64 s, and is one second again after one that was.
#[derive(Debug, Default)]
pub struct Denials {
    /// When the window ends, nanoseconds since the counter started.
    ends: u64,
    /// How long it is.
    window: u64,
    /// Denials in it.
    seen: u32,
}

impl Denials {
    /// Before the first denial.
    #[must_use]
    pub const fn new() -> Self {
        Self { ends: 0, window: WINDOW_NS, seen: 0 }
    }

    /// Counts a denial. True: log and record it by itself. Ask [`Denials::untold`] first.
    pub fn count(&mut self, now_ns: u64) -> bool {
        if self.seen == 0 {
            self.ends = now_ns.saturating_add(self.window);
        }
        self.seen = self.seen.saturating_add(1);
        self.seen <= LINES_MAX
    }

    /// Ends the window if it is over. How many denials in it were not told, if there are any.
    pub fn untold(&mut self, now_ns: u64) -> Option<u32> {
        if self.seen == 0 || now_ns < self.ends {
            return None;
        }
        let untold = self.waiting();
        self.seen = 0;
        self.window = if untold > 0 { (self.window * 2).min(WINDOW_MAX_NS) } else { WINDOW_NS };
        Some(untold).filter(|untold| *untold > 0)
    }

    /// Denials of the window that were not told one by one.
    #[must_use]
    pub const fn waiting(&self) -> u32 {
        self.seen.saturating_sub(LINES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Denials, LINES_MAX, WINDOW_MAX_NS, WINDOW_NS};

    #[test]
    fn few_denials_are_all_logged() {
        let mut denials = Denials::new();
        for second in 0..100 {
            for _ in 0..LINES_MAX {
                assert_eq!(denials.untold(second * WINDOW_NS), None);
                assert!(denials.count(second * WINDOW_NS));
            }
        }
    }

    #[test]
    fn flood_gives_few_lines_and_each_denial_is_counted_once() {
        let mut denials = Denials::new();
        let (mut lines, mut told) = (0_u64, 0_u64);
        // 1000 denials a second for 1000 seconds.
        for now in (0..1000 * WINDOW_NS).step_by(1_000_000) {
            if let Some(untold) = denials.untold(now) {
                (lines, told) = (lines + 1, told + u64::from(untold));
            }
            if denials.count(now) {
                (lines, told) = (lines + 1, told + 1);
            }
        }
        told += u64::from(denials.untold(u64::MAX).unwrap_or(0));
        assert_eq!(told, 1_000_000);
        assert!(lines < 250, "{lines} lines");
        assert_eq!(denials.untold(u64::MAX), None);
    }

    #[test]
    fn window_is_short_again_after_a_quiet_one() {
        let mut denials = Denials::new();
        for round in 0..20 {
            assert_eq!((0..100).filter(|_| denials.count(round * WINDOW_MAX_NS)).count(), LINES_MAX as usize);
            assert_eq!(denials.untold((round + 1) * WINDOW_MAX_NS), Some(100 - LINES_MAX));
        }
        assert!(denials.count(0));
        assert_eq!(denials.untold(WINDOW_MAX_NS), None);
        assert!(denials.count(0));
        assert_eq!((0..99).filter(|_| denials.count(0)).count(), LINES_MAX as usize - 1);
        assert_eq!(denials.untold(WINDOW_NS - 1), None);
        assert_eq!(denials.untold(WINDOW_NS), Some(100 - LINES_MAX));
    }
}
