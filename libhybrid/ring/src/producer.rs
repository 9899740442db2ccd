//! The writing end of a ring; never waits, never reads a record back.
use crate::memory::{Field, RingMemory, copy_in, grow, peer_index, store_index};
use crate::{Mapped, RECORD_HEADER_BYTES, Region, RingError, record_span};
use alloc::vec::Vec;

/// The writing end of a ring.
#[derive(Debug)]
pub struct Producer<M = Mapped> {
    memory: M,
    /// Bytes ever written. The copy in shared memory is written only, never read.
    tail: u32,
    /// The peer's index as last seen and found possible.
    head: u32,
    is_corrupt: bool,
    /// Something was written since the last [`Self::publish`].
    has_news: bool,
    refused: u64,
    scratch: Vec<u8>,
}

impl Producer<Mapped> {
    /// The writing end of the ring with `capacity` data bytes at `offset` of `region`, of the region's epoch; empty.
    ///
    /// # Errors
    /// [`RingError::Layout`] if such a ring does not fit there.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        Mapped::new(region, offset, capacity).map(Self::over)
    }
}

impl<M: RingMemory> Producer<M> {
    /// The writing end over any memory; empty.
    pub fn over(memory: M) -> Self {
        store_index(&memory, Field::Tail, 0);
        // INV-RING-4: this word is there before the first data word of this epoch is.
        memory.fence();
        Self { memory, tail: 0, head: 0, is_corrupt: false, has_news: false, refused: 0, scratch: Vec::new() }
    }

    /// The longest record that can ever fit, bytes.
    #[must_use]
    pub fn record_max(&self) -> usize {
        self.memory.capacity() as usize - RECORD_HEADER_BYTES
    }

    /// How many records found no room so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The longest record that fits now, bytes; 0 also if none fits.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn room(&mut self) -> Result<usize, RingError> {
        let free = self.memory.capacity() - self.used()?;
        Ok((free as usize).saturating_sub(RECORD_HEADER_BYTES))
    }

    /// Whether a record of `len` bytes fits now. The peer's index is only read where what was last seen of it does not suffice, so this costs less
    /// than [`Self::room`].
    ///
    /// # Errors
    /// [`RingError::Corrupt`]; [`RingError::TooLong`].
    pub fn fits(&mut self, len: usize) -> Result<bool, RingError> {
        let capacity = self.memory.capacity();
        let span = record_span(len).filter(|&span| span <= capacity).ok_or(RingError::TooLong)?;
        // The head last seen can only err on the safe side: the peer's index moves forward.
        let has_room = !self.is_corrupt && capacity - self.tail.wrapping_sub(self.head) >= span;
        Ok(has_room || capacity - self.used()? >= span)
    }

    /// Appends one record; visible to the consumer at once, but it is not woken: call [`Self::publish`].
    ///
    /// # Errors
    /// [`RingError::Full`], counted in [`Self::refused`]; [`RingError::TooLong`]; [`RingError::Corrupt`].
    pub fn try_push(&mut self, record: &[u8]) -> Result<(), RingError> {
        let span = self.reserve(record.len())?;
        self.commit(record, span);
        Ok(())
    }

    /// Appends the record that `write` puts into a zeroed-or-stale buffer of `len_max` bytes; `write` returns its length.
    ///
    /// `write` runs only if `len_max` bytes fit. A length above `len_max` is cut to it.
    ///
    /// # Errors
    /// As [`Self::try_push`], for a record of `len_max` bytes.
    pub fn push_with(&mut self, len_max: usize, write: impl FnOnce(&mut [u8]) -> usize) -> Result<(), RingError> {
        self.reserve(len_max)?;
        let mut scratch = core::mem::take(&mut self.scratch);
        grow(&mut scratch, len_max);
        let len = write(&mut scratch[..len_max]).min(len_max);
        let span = record_span(len).ok_or(RingError::TooLong)?;
        self.commit(&scratch[..len], span);
        self.scratch = scratch;
        Ok(())
    }

    /// Call after one or more pushes. True: ring the consumer's bell now. Without a push since the last call it is never true: a consumer
    /// that asked for its bell since then has seen all there is, and two peers that publish at every turn would wake each other for ever.
    #[must_use = "a consumer that asked for its bell sleeps until it is rung"]
    pub fn publish(&mut self) -> bool {
        if !core::mem::take(&mut self.has_news) {
            return false;
        }
        // INV-RING-3: the tail was stored before, the flag is loaded after.
        self.memory.fence();
        let is_wanted = self.memory.load(Field::DataWanted) != 0;
        if is_wanted {
            self.memory.store(Field::DataWanted, 0);
        }
        is_wanted
    }

    /// Asks for a bell when the consumer has taken records. True: a record of `len` bytes still does not fit, so wait for the bell.
    /// The bell may come before there is room for `len`; then ask again.
    ///
    /// # Errors
    /// [`RingError::TooLong`] if it never will fit; [`RingError::Corrupt`].
    pub fn request_space(&mut self, len: usize) -> Result<bool, RingError> {
        let span = record_span(len).filter(|&span| span <= self.memory.capacity()).ok_or(RingError::TooLong)?;
        self.memory.store(Field::SpaceWanted, 1);
        // INV-RING-3: the flag was stored before, the head is loaded after.
        self.memory.fence();
        let has_room = self.memory.capacity() - self.used()? >= span;
        if has_room {
            self.memory.store(Field::SpaceWanted, 0);
        }
        Ok(!has_room)
    }

    /// Appends one record if there is room for it, else asks for a bell when there may be. True: it was appended. False: wait for the bell, then offer
    /// it again. Room that the consumer made before it could see that some is wanted rings no bell, so it is looked for once more.
    ///
    /// # Errors
    /// [`RingError::TooLong`] if it never will fit; [`RingError::Corrupt`].
    pub fn push_or_ask(&mut self, record: &[u8]) -> Result<bool, RingError> {
        match self.try_push(record) {
            Err(RingError::Full) if self.request_space(record.len())? => Ok(false),
            Err(RingError::Full) => self.try_push(record).map(|()| true),
            pushed => pushed.map(|()| true),
        }
    }

    /// Checks that a record of `len` bytes fits now; returns the bytes it occupies.
    fn reserve(&mut self, len: usize) -> Result<u32, RingError> {
        if !self.fits(len)? {
            self.refused = self.refused.saturating_add(1);
            return Err(RingError::Full);
        }
        record_span(len).ok_or(RingError::TooLong)
    }

    /// Writes a record whose room was reserved, and makes it visible.
    fn commit(&mut self, record: &[u8], span: u32) {
        self.memory.store_word(self.tail, record.len() as u64);
        copy_in(&self.memory, self.tail.wrapping_add(8), record);
        self.tail = self.tail.wrapping_add(span);
        store_index(&self.memory, Field::Tail, self.tail);
        self.has_news = true;
    }

    /// Whether the reading end of this epoch was made. What it is made too late for is never read.
    #[must_use]
    pub fn has_consumer(&self) -> bool {
        peer_index(&self.memory, Field::Head).is_some()
    }

    /// Bytes in use, by a fresh reading of the peer's index, which is checked (INV-RING-1).
    fn used(&mut self) -> Result<u32, RingError> {
        if self.is_corrupt {
            return Err(RingError::Corrupt);
        }
        // A consumer that has not joined this epoch, or is of the next already, takes nothing of this end's.
        let head = peer_index(&self.memory, Field::Head).unwrap_or(self.head);
        let used = self.tail.wrapping_sub(head);
        // The peer may only move its index forward, up to our tail: never more in use than when we last looked and wrote since.
        if used > self.tail.wrapping_sub(self.head) || !head.is_multiple_of(8) {
            self.is_corrupt = true;
            return Err(RingError::Corrupt);
        }
        self.head = head;
        Ok(used)
    }
}
