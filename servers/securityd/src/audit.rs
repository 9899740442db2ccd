//! The audit trail: what was granted, revoked, denied and faulted, in order; bounded, oldest forgotten first.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Entries that are kept.
pub const ENTRIES_MAX: usize = 1024;
/// Bytes of an entry; longer ones are cut.
pub const LINE_MAX: usize = 240;

/// The trail.
#[derive(Debug, Default)]
pub struct Audit {
    entries: VecDeque<String>,
    /// Sequence number of the next entry.
    next: u64,
}

impl Audit {
    /// Adds an entry.
    pub fn record(&mut self, line: impl Into<String>) {
        let mut line = line.into();
        cut(&mut line, LINE_MAX);
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(line);
        self.next += 1;
    }

    /// Entry `sequence`, or the oldest one kept if that is gone, and the number to ask for next.
    #[must_use]
    pub fn entry(&self, sequence: u64) -> (Option<&str>, u64) {
        let oldest = self.next - self.entries.len() as u64;
        let wanted = sequence.max(oldest);
        let index = usize::try_from(wanted - oldest).unwrap_or(usize::MAX);
        match self.entries.get(index) {
            Some(line) => (Some(line), wanted + 1),
            None => (None, self.next),
        }
    }
}

/// Cuts a text to at most `max` bytes, at a character's end.
pub fn cut(text: &mut String, max: usize) {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::{Audit, ENTRIES_MAX, cut};

    #[test]
    fn audit_is_read_in_order_and_ends() {
        let mut audit = Audit::default();
        assert_eq!(audit.entry(0), (None, 0));
        audit.record("one");
        audit.record("two");
        assert_eq!(audit.entry(0), (Some("one"), 1));
        assert_eq!(audit.entry(1), (Some("two"), 2));
        assert_eq!(audit.entry(2), (None, 2));
        assert_eq!(audit.entry(u64::MAX), (None, 2));
    }

    #[test]
    fn audit_that_is_full_forgets_the_oldest_and_says_so_by_the_number() {
        let mut audit = Audit::default();
        (0..ENTRIES_MAX + 5).for_each(|index| audit.record(alloc::format!("{index}")));
        assert_eq!(audit.entry(0), (Some("5"), 6));
    }

    #[test]
    fn cut_never_splits_a_character() {
        let mut text = String::from("aµµ");
        cut(&mut text, 4);
        assert_eq!(text, "aµ");
        cut(&mut text, 0);
        assert_eq!(text, "");
    }
}
