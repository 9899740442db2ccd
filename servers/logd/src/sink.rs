//! One writer's ring, emptied into the store; trusts nothing in it.

use crate::store::{Source, Store};
use alloc::string::String;
use alloc::vec::Vec;
use hybrid_interfaces::log::SinkServerRings;

/// Most records that one session gets taken in one go. A ring holds far fewer: only a writer that goes on writing on another core reaches
/// this, and then it has to wait for the next wake-up like everybody else.
const RECORDS_MAX: usize = 2048;

/// One writer's session.
#[derive(Debug)]
pub struct Sink {
    source: Source,
    name: String,
    rings: SinkServerRings,
    scratch: Vec<u8>,
    is_lost: bool,
}

/// What emptying a ring showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    /// The writer waits for room: ring its bell.
    pub must_ring: bool,
    /// The session was found to be corrupt just now.
    pub is_lost_now: bool,
}

impl Sink {
    /// The session of the client `name`.
    pub fn new(source: Source, name: &str, rings: SinkServerRings) -> Self {
        Sink { source, name: name.into(), rings, scratch: Vec::new(), is_lost: false }
    }

    /// The client's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes everything out of the ring and asks for a bell at the next record.
    pub fn collect(&mut self, store: &mut Store, now: u64) -> Collected {
        if self.is_lost {
            return Collected::default();
        }
        for _ in 0..RECORDS_MAX {
            match self.rings.records.pop(&mut self.scratch) {
                Ok(Some(record)) => store.push(self.source, &record, now),
                Ok(None) => match self.rings.records.request_bell() {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(_) => return self.lose(),
                },
                Err(_) => return self.lose(),
            }
        }
        Collected { must_ring: self.rings.records.release(), is_lost_now: false }
    }

    /// The writer is gone: its ring is not looked at until the next one begins.
    pub fn end(&mut self) {
        self.is_lost = true;
    }

    /// The writer was started anew; it goes on under the same name.
    pub fn begin(&mut self, rings: SinkServerRings) {
        self.rings = rings;
        self.is_lost = false;
    }

    fn lose(&mut self) -> Collected {
        self.is_lost = true;
        Collected { must_ring: false, is_lost_now: true }
    }
}
