//! Keeps the log entries of all components in a ring buffer; not for secrets.
//!
//! `Logd` is the whole component but its bells: it empties every writer's ring (`collect`), answers readers (`Reader`), prints (`print`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod line;
mod printer;
mod sink;
mod store;

#[cfg(test)]
mod tests;

pub use printer::{PIECE_MAX, Printer};
pub use sink::{Collected, Sink};
pub use store::{ENTRY_OVERHEAD, Position, Source, Store, Stored};

use alloc::borrow::Cow;
use alloc::vec::Vec;
use hybrid_interfaces::log::{Cursor, CursorNext, Entry, Level, Reader, Record, SinkServerRings, TEXT_MAX};
use hybrid_ipc::ClientId;

/// Weight of the kept entries, bytes.
pub const STORE_LIMIT: usize = 256 * 1024;

/// The log and everybody who writes it.
#[derive(Debug)]
pub struct Logd {
    store: Store,
    sinks: Vec<Sink>,
    own: Source,
    printer: Printer,
}

impl Logd {
    /// An empty log of `limit` bytes. `own_name` is the component name of logd's own entries.
    pub fn new(limit: usize, own_name: &str) -> Self {
        let mut store = Store::new(limit);
        let own = store.add_source(own_name);
        Logd { store, sinks: Vec::new(), own, printer: Printer::default() }
    }

    /// Adds a writer's session. `name` is what securityd calls the client.
    pub fn add_sink(&mut self, name: &str, rings: SinkServerRings) {
        let source = self.store.add_source(name);
        self.sinks.push(Sink::new(source, name, rings));
    }

    /// The writer at `place` is gone. Collect before: its last words may be in the ring.
    pub fn end_sink(&mut self, place: usize) {
        if let Some(sink) = self.sinks.get_mut(place) {
            sink.end();
        }
    }

    /// The writer at `place` was started anew, with these rings.
    pub fn begin_sink(&mut self, place: usize, rings: SinkServerRings) {
        if let Some(sink) = self.sinks.get_mut(place) {
            sink.begin(rings);
        }
    }

    /// Writes an entry of logd's own.
    pub fn note(&mut self, level: Level, text: &str, now: u64) {
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let record = Record {
            level,
            at_ns: now,
            dropped_before: 0,
            target: Cow::Borrowed("logd"),
            text: Cow::Borrowed(&text[..end]),
        };
        self.store.push(self.own, &record, now);
    }

    /// Takes the records out of all rings. A session whose ring or records are impossible is closed, with one entry that says so.
    /// `ring` is told the place of each session whose writer waits for room.
    pub fn collect(&mut self, now: u64, mut ring: impl FnMut(usize)) {
        for place in 0..self.sinks.len() {
            let sink = &mut self.sinks[place];
            let collected = sink.collect(&mut self.store, now);
            if collected.must_ring {
                ring(place);
            }
            if collected.is_lost_now {
                let text = alloc::format!("the log ring of {} is corrupt: its session is closed", sink.name());
                self.note(Level::Error, &text, now);
            }
        }
    }

    /// The console died with this many bytes of its ring not taken; see [`Printer::rewind`].
    pub fn rewind(&mut self, untaken: usize) {
        self.printer.rewind(untaken);
    }

    /// Prints what is not printed yet; see [`Printer::print`].
    pub fn print(&mut self, push: impl FnMut(&[u8]) -> bool) -> bool {
        self.printer.print(&self.store, push)
    }
}

impl Reader for Logd {
    type Cursor = Position;

    fn open(&mut self, _client: ClientId, newest: u16) -> Position {
        Position::before_end(&self.store, newest.into())
    }
}

impl Cursor<Logd> for Position {
    fn next<'a>(&'a mut self, server: &'a mut Logd, _client: ClientId) -> CursorNext<'a> {
        let (found, missed) = self.advance(&server.store);
        let entry = found.map(|(stored, component)| Entry {
            sequence: stored.sequence,
            at_ns: stored.at_ns,
            level: stored.level,
            dropped_before: stored.dropped_before,
            component: Cow::Borrowed(component),
            target: Cow::Borrowed(stored.target()),
            text: Cow::Borrowed(stored.text()),
        });
        CursorNext { entry, missed }
    }
}
