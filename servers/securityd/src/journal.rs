//! securityd's own messages on their way to logd; kept here while logd's ring is full or not there yet.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;

use hybrid_interfaces::log::{Record, SinkClientRings, SinkRings};
use hybrid_ring::Region;

pub use hybrid_interfaces::log::Level;

use crate::audit::cut;

/// Messages that wait; further ones are counted and dropped.
pub const LINES_MAX: usize = 1024;
const TEXT_MAX: usize = hybrid_interfaces::log::TEXT_MAX;

#[derive(Debug)]
struct Line {
    level: Level,
    at_ns: u64,
    dropped_before: u32,
    text: String,
}

/// Messages to logd, oldest first.
#[derive(Default)]
pub struct Journal {
    lines: VecDeque<Line>,
    dropped: u32,
    rings: Option<SinkClientRings>,
}

impl Journal {
    /// Connects the ring to logd.
    pub fn attach(&mut self, region: &Region) {
        self.rings = SinkRings::client(region).ok();
    }

    /// Adds a message. It never waits.
    pub fn write(&mut self, level: Level, at_ns: u64, text: impl Into<String>) {
        if self.lines.len() >= LINES_MAX {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let mut text = text.into();
        cut(&mut text, TEXT_MAX);
        let dropped_before = core::mem::take(&mut self.dropped);
        self.lines.push_back(Line { level, at_ns, dropped_before, text });
    }

    /// Moves as many messages as fit into the ring. True: ring logd's bell now.
    pub fn flush(&mut self) -> bool {
        let Some(rings) = &mut self.rings else { return false };
        while let Some(line) = self.lines.front() {
            let record = Record {
                level: line.level,
                at_ns: line.at_ns,
                dropped_before: line.dropped_before,
                target: Cow::Borrowed("securityd"),
                text: Cow::Borrowed(&line.text),
            };
            match rings.records.push_or_ask(&record) {
                Ok(true) => drop(self.lines.pop_front()),
                // logd rings back when it has taken records.
                Ok(false) => break,
                Err(_) => {
                    // The ring is dead: nobody reads it any more.
                    self.rings = None;
                    return false;
                }
            }
        }
        self.rings.as_mut().is_some_and(|rings| rings.records.publish())
    }

    /// How many messages wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Journal, LINES_MAX, Level};
    use hybrid_interfaces::log::{SinkRings, sink};
    use hybrid_ring::Region;

    #[test]
    fn journal_keeps_what_does_not_fit_and_tells_what_it_dropped() {
        let region = Region::on_heap(sink::REGION_BYTES);
        let mut reader = SinkRings::server(&region).unwrap();
        assert!(reader.records.request_bell().unwrap());
        let mut journal = Journal::default();
        for index in 0..LINES_MAX + 7 {
            journal.write(Level::Info, 1, alloc::format!("line {index} {}", "x".repeat(300)));
        }
        assert!(!journal.flush(), "there is no ring yet");
        journal.attach(&region);
        assert!(journal.flush(), "logd sleeps");
        assert!(journal.waiting() > 0, "the ring is smaller than the backlog");
        let (mut scratch, mut seen) = (Vec::new(), 0);
        loop {
            while let Some(record) = reader.records.pop(&mut scratch).unwrap() {
                assert!(record.text.starts_with(&alloc::format!("line {seen} ")));
                seen += 1;
            }
            let wants_room = reader.records.release();
            if journal.waiting() == 0 {
                break;
            }
            assert!(wants_room, "the journal waits for room");
            let _ = journal.flush();
        }
        assert_eq!(seen, LINES_MAX);
        journal.write(Level::Warn, 2, "after");
        let _ = journal.flush();
        assert_eq!(reader.records.pop(&mut scratch).unwrap().unwrap().dropped_before, 7);
    }
}
