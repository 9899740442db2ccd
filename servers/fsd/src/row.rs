//! A row of writes to one record of a file, put together before the store is told of them; calls no store.
//!
//! A store on a disk reads, checks and writes a whole record for each write, however small. Programs write small pieces side by side. So a write
//! that touches the ones just before it, in the same record, joins them, and the store gets all of them as one.
//!
//! INV-ROW-1: what waits is what the store would do next: it is written before the store is asked for any other change, before a `sync`, and
//! before anything is read that it is part of. So the store's states are, as before, those after some operation, in order.
//! INV-ROW-2: nothing waits but in the record that the store itself wrote last, and only while it vouches for its room. So what was answered with
//! success fails later only where the disk does.
//! INV-ROW-3: a row holds others up for one failure of its own at most. A disk that fails altogether fails everybody; where only the file's part of it
//! does, the row is given up at the second attempt, and whoever writes, closes or syncs the file is told.
use crate::cache::CHUNK;
use crate::store::{Found, Node};
use alloc::vec::Vec;

/// Writes that become one, at most.
pub(crate) const ROW_MAX: usize = 64;

/// The record that was written last, and what waits to be written there.
#[derive(Debug)]
pub(crate) struct Row {
    file: Node,
    record: u64,
    /// Where what waits begins.
    at: u64,
    data: Vec<u8>,
    writes: usize,
    /// What the file is with it.
    found: Option<Found>,
    /// The store failed to take it, once.
    is_refused: bool,
}

impl Row {
    /// The store has just written `file` up to `end`, which is not its beginning.
    pub(crate) fn after(file: Node, end: u64) -> Self {
        Self {
            file,
            record: record(end.saturating_sub(1)),
            at: 0,
            data: Vec::new(),
            writes: 0,
            found: None,
            is_refused: false,
        }
    }

    pub(crate) fn file(&self) -> Node {
        self.file
    }

    pub(crate) fn is_of(&self, file: Node) -> bool {
        self.file == file
    }

    /// What the file is, if something waits.
    pub(crate) fn found(&self) -> Option<Found> {
        self.found
    }

    /// Takes a write that goes on with the row, after which the file is `found`. False: it does not, or the row is long enough.
    pub(crate) fn take(&mut self, offset: u64, data: &[u8], found: Found) -> bool {
        let end = offset.saturating_add(data.len() as u64);
        let is_within = !data.is_empty() && record(offset) == self.record && record(end - 1) == self.record;
        if !is_within || self.writes >= ROW_MAX || !self.join(offset, end) {
            return false;
        }
        let start = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
        let Some(place) = self.data.get_mut(start..).and_then(|rest| rest.get_mut(..data.len())) else { return false };
        place.copy_from_slice(data);
        self.writes += 1;
        self.found = Some(found);
        true
    }

    /// Makes room from `offset` to `end`, which touches what is there. False: it does not, or there is no memory.
    fn join(&mut self, offset: u64, end: u64) -> bool {
        if self.data.is_empty() {
            self.at = offset;
        }
        let (own, own_end) = (self.data.len(), self.at.saturating_add(self.data.len() as u64));
        if offset > own_end || end < self.at {
            return false;
        }
        let at = self.at.min(offset);
        let sizes = (usize::try_from(self.at - at), usize::try_from(end.max(own_end) - at));
        let (Ok(before), Ok(len)) = sizes else { return false };
        if self.data.try_reserve(len - own).is_err() {
            return false;
        }
        self.data.resize(len, 0);
        if before > 0 {
            self.data.copy_within(..own, before);
        }
        self.at = at;
        true
    }

    /// Fills `data` from `offset` if all of it waits here; how many bytes, fewer only at the file's end.
    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) -> Option<usize> {
        let size = self.found?.size;
        let len = data.len().min(usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX));
        let start = usize::try_from(offset.checked_sub(self.at)?).ok()?;
        data[..len].copy_from_slice(self.data.get(start..)?.get(..len)?);
        Some(len)
    }

    /// What waits: where, what, and when it was written.
    pub(crate) fn waiting(&self) -> Option<(Node, u64, &[u8], u64)> {
        Some((self.file, self.at, self.data.as_slice(), self.found?.modified_ns))
    }

    /// The store has it.
    pub(crate) fn written(&mut self) {
        self.data.clear();
        (self.writes, self.found, self.is_refused) = (0, None, false);
    }

    /// The store failed to take it. Whether that is not the first time.
    pub(crate) fn refused(&mut self) -> bool {
        core::mem::replace(&mut self.is_refused, true)
    }
}

fn record(at: u64) -> u64 {
    at / CHUNK as u64
}
