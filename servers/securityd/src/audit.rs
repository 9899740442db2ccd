//! The audit trail: what was granted, revoked, denied and faulted, in order; bounded.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Events of authority that are kept: grants, revocations, faults, stops, power.
pub const EVENTS_MAX: usize = 768;
/// Denials that are kept.
pub const DENIALS_MAX: usize = 256;
/// Bytes of an entry; longer ones are cut.
pub const LINE_MAX: usize = 240;

/// The trail.
///
/// INV-AUDIT-1: Denials, which a peer on the network causes as it likes, take no event's place: each kind has a ring of
/// its own. The numbers are given to both in one order, so that a gap shows what is forgotten.
#[derive(Debug, Default)]
pub struct Audit {
    events: Ring<EVENTS_MAX>,
    denials: Ring<DENIALS_MAX>,
    /// Sequence number of the next entry.
    next: u64,
}

/// Entries with their numbers, which rise.
#[derive(Debug, Default)]
struct Ring<const MAX: usize>(VecDeque<(u64, String)>);

impl<const MAX: usize> Ring<MAX> {
    fn push(&mut self, sequence: u64, mut line: String) {
        cut(&mut line, LINE_MAX);
        line.shrink_to_fit();
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back((sequence, line));
    }

    /// The first entry that is not before `sequence`.
    fn from(&self, sequence: u64) -> Option<(u64, &str)> {
        let index = self.0.partition_point(|(number, _)| *number < sequence);
        self.0.get(index).map(|(number, line)| (*number, line.as_str()))
    }
}

impl Audit {
    /// Adds an event of authority.
    pub fn record(&mut self, line: impl Into<String>) {
        self.events.push(self.next, line.into());
        self.next += 1;
    }

    /// Adds a denied connection or request.
    pub fn record_denial(&mut self, line: impl Into<String>) {
        self.denials.push(self.next, line.into());
        self.next += 1;
    }

    /// Entry `sequence`, or the oldest one kept after it if that is gone, and the number to ask for next.
    #[must_use]
    pub fn entry(&self, sequence: u64) -> (Option<&str>, u64) {
        let found = [self.events.from(sequence), self.denials.from(sequence)];
        match found.into_iter().flatten().min_by_key(|(number, _)| *number) {
            Some((number, line)) => (Some(line), number + 1),
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
    use super::{Audit, DENIALS_MAX, EVENTS_MAX, cut};

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
        (0..EVENTS_MAX + 5).for_each(|index| audit.record(alloc::format!("{index}")));
        assert_eq!(audit.entry(0), (Some("5"), 6));
    }

    #[test]
    fn denials_push_out_no_event_and_stand_between_them_in_order() {
        let mut audit = Audit::default();
        audit.record("granted");
        (0..DENIALS_MAX + 5).for_each(|index| audit.record_denial(alloc::format!("{index}")));
        audit.record("faulted");
        assert_eq!(audit.entry(0), (Some("granted"), 1));
        assert_eq!(audit.entry(1), (Some("5"), 7), "the five oldest denials are forgotten, and the number says so");
        let last = DENIALS_MAX as u64 + 6;
        assert_eq!(audit.entry(last), (Some("faulted"), last + 1));
        assert_eq!(audit.entry(last + 1), (None, last + 1));
        let (mut lines, mut next) = (0, 0);
        while let (Some(_), after) = audit.entry(next) {
            (lines, next) = (lines + 1, after);
        }
        assert_eq!(lines, DENIALS_MAX + 2);
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
