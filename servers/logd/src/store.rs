//! The kept entries, bounded and in sequence; knows no rings, no clients.
//!
//! Invariants
//! * INV-LOG-1: the weight of all entries never exceeds the limit.
//! * INV-LOG-2: sequence numbers only grow, one for each entry, also for those that are overwritten; a reader can therefore count what it missed.
//! * INV-LOG-3: room is made by the oldest entry of the component that holds most bytes, so that a component that floods the log
//!   overwrites itself and not the others.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::log::{Level, NAME_MAX, Record};

/// What an entry weighs beyond its text: its bookkeeping, bytes.
pub const ENTRY_OVERHEAD: usize = 64;

/// Names one writer.
pub type Source = usize;

/// One kept message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Its number in the log.
    pub sequence: u64,
    /// When the writer says it happened, but not later than its arrival. Nanoseconds since the counter started.
    pub at_ns: u64,
    /// How severe.
    pub level: Level,
    /// Records of the same component that were lost before this one.
    pub dropped_before: u32,
    target_len: usize,
    texts: Box<str>,
}

impl Stored {
    /// The part of the component that wrote it.
    pub fn target(&self) -> &str {
        self.texts.get(..self.target_len).unwrap_or("")
    }

    /// The message.
    pub fn text(&self) -> &str {
        self.texts.get(self.target_len..).unwrap_or("")
    }

    fn weight(&self) -> usize {
        self.texts.len() + ENTRY_OVERHEAD
    }
}

#[derive(Debug)]
struct Shelf {
    name: String,
    entries: VecDeque<Stored>,
    weight: usize,
}

/// The log.
#[derive(Debug)]
pub struct Store {
    shelves: Vec<Shelf>,
    next: u64,
    weight: usize,
    limit: usize,
}

impl Store {
    /// An empty log that holds entries of at most `limit` bytes weight.
    pub fn new(limit: usize) -> Self {
        Store { shelves: Vec::new(), next: 0, weight: 0, limit }
    }

    /// Makes a writer known under its component's name.
    pub fn add_source(&mut self, name: &str) -> Source {
        let mut short = String::from(name);
        while short.len() > NAME_MAX {
            short.pop();
        }
        self.shelves.push(Shelf { name: short, entries: VecDeque::new(), weight: 0 });
        self.shelves.len() - 1
    }

    /// Keeps a record of `source` that arrived at `now`.
    pub fn push(&mut self, source: Source, record: &Record<'_>, now: u64) {
        let mut texts = String::with_capacity(record.target.len() + record.text.len());
        texts.push_str(&record.target);
        texts.push_str(&record.text);
        let stored = Stored {
            sequence: self.next,
            at_ns: record.at_ns.min(now),
            level: record.level,
            dropped_before: record.dropped_before,
            target_len: record.target.len(),
            texts: texts.into_boxed_str(),
        };
        let weight = stored.weight();
        self.next += 1;
        while self.weight + weight > self.limit {
            if !self.drop_one() {
                return;
            }
        }
        if let Some(shelf) = self.shelves.get_mut(source) {
            shelf.entries.push_back(stored);
            shelf.weight += weight;
            self.weight += weight;
        }
    }

    /// INV-LOG-3. Returns false if there is nothing to drop.
    fn drop_one(&mut self) -> bool {
        let Some(shelf) = self.shelves.iter_mut().max_by_key(|shelf| shelf.weight) else { return false };
        let Some(old) = shelf.entries.pop_front() else { return false };
        shelf.weight -= old.weight();
        self.weight -= old.weight();
        true
    }

    /// The first kept entry at or after `position`, with its component's name.
    pub fn at(&self, position: u64) -> Option<(&Stored, &str)> {
        let firsts = self.shelves.iter().filter_map(|shelf| {
            let place = shelf.entries.partition_point(|entry| entry.sequence < position);
            shelf.entries.get(place).map(|entry| (entry, shelf.name.as_str()))
        });
        firsts.min_by_key(|(entry, _)| entry.sequence)
    }

    /// The position after the newest entry.
    pub fn end(&self) -> u64 {
        self.next
    }

    /// The position from which on `newest` entries are kept (or all, if there are fewer).
    pub fn before_end(&self, newest: usize) -> u64 {
        let (mut low, mut high) = (0, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.count_from(middle) > newest { low = middle + 1 } else { high = middle }
        }
        // Start at the entry itself, so that what was overwritten before it does not count as missed.
        self.at(low).map_or(self.next, |(entry, _)| entry.sequence)
    }

    fn count_from(&self, position: u64) -> usize {
        self.shelves
            .iter()
            .map(|shelf| shelf.entries.len() - shelf.entries.partition_point(|entry| entry.sequence < position))
            .sum()
    }

    /// Weight of everything kept, bytes.
    pub fn weight(&self) -> usize {
        self.weight
    }
}

/// A reading position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position(u64);

impl Position {
    /// `newest` entries before the end.
    pub fn before_end(store: &Store, newest: usize) -> Self {
        Position(store.before_end(newest))
    }

    /// The next entry, or none at the end, and how many were overwritten before it.
    pub fn advance<'a>(&mut self, store: &'a Store) -> (Option<(&'a Stored, &'a str)>, u64) {
        let found = store.at(self.0);
        let (sequence, next) = match found {
            Some((entry, _)) => (entry.sequence, entry.sequence + 1),
            None => (store.end(), store.end()),
        };
        let missed = sequence - self.0;
        self.0 = next;
        (found, missed)
    }
}
