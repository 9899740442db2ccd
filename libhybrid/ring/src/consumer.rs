//! The reading end of a ring; copies each record out before anyone looks at it.
use crate::memory::{Field, RingMemory, copy_out, grow, peer_index, store_index};
use crate::region::span_of;
use crate::{Mapped, RECORD_HEADER_BYTES, Region, RingError, record_span};
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

/// The reading end of a ring.
#[derive(Debug)]
pub struct Consumer<M = Mapped> {
    memory: M,
    /// Bytes ever taken. The copy in shared memory is written only, never read.
    head: u32,
    /// The peer's index as last seen and found possible.
    tail: u32,
    is_corrupt: bool,
    /// Something was taken since the last [`Self::release`].
    has_made_room: bool,
    scratch: Vec<u8>,
}

impl Consumer<Mapped> {
    /// The reading end of the ring with `capacity` data bytes at `offset` of `region`, of the region's epoch.
    ///
    /// # Errors
    /// [`RingError::Layout`] if such a ring does not fit there.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        Mapped::new(region, offset, capacity).map(Self::over)
    }

    /// Hands the next record to `take` where it lies, in pieces: words, and how many bytes of them belong to it. For who copies it on at once, to a device's
    /// memory: the peer may change it meanwhile, so nothing may be concluded from it. The record's length; `None` if the ring is empty, also if `take` was
    /// called and the record turned out to be none of this epoch.
    ///
    /// # Errors
    /// [`RingError::TooLong`] if it is longer than `len_max`: it is discarded. [`RingError::Corrupt`].
    pub fn pop_words(
        &mut self,
        len_max: usize,
        mut take: impl FnMut(&[AtomicU64], usize),
    ) -> Result<Option<usize>, RingError> {
        let Some((len, span)) = self.peek()? else { return Ok(None) };
        if len > len_max {
            self.advance(span);
            return Err(RingError::TooLong);
        }
        let (mut at, mut left) = (self.head.wrapping_add(8), len);
        while left > 0 {
            let run = self.memory.run(at, left.div_ceil(8));
            let bytes = left.min(size_of_val(run));
            take(run, bytes);
            at = at.wrapping_add(span_of(run));
            left -= bytes;
        }
        if !self.is_of_this_epoch() {
            return Ok(None);
        }
        self.advance(span);
        Ok(Some(len))
    }
}

impl<M: RingMemory> Consumer<M> {
    /// The reading end over any memory.
    pub fn over(memory: M) -> Self {
        store_index(&memory, Field::Head, 0);
        Self { memory, head: 0, tail: 0, is_corrupt: false, has_made_room: false, scratch: Vec::new() }
    }

    /// The longest record that can ever come, bytes.
    #[must_use]
    pub fn record_max(&self) -> usize {
        self.memory.capacity() as usize - RECORD_HEADER_BYTES
    }

    /// Whether no record is there now.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn is_empty(&mut self) -> Result<bool, RingError> {
        if self.head != self.tail && !self.is_corrupt {
            return Ok(false);
        }
        self.refresh()?;
        Ok(self.head == self.tail)
    }

    /// Length of the next record, if there is one. The peer can still change the record, but not what `pop` makes of it.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn next_len(&mut self) -> Result<Option<usize>, RingError> {
        Ok(self.peek()?.map(|(len, _)| len))
    }

    /// Copies the next record to the start of `buffer` and returns its length; `None` if the ring is empty.
    ///
    /// # Errors
    /// [`RingError::TooLong`] if it does not fit into `buffer`: it is discarded. [`RingError::Corrupt`].
    pub fn pop(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, RingError> {
        let Some((len, span)) = self.peek()? else { return Ok(None) };
        let Some(target) = buffer.get_mut(..len) else {
            self.advance(span);
            return Err(RingError::TooLong);
        };
        copy_out(&self.memory, self.head.wrapping_add(8), target);
        if !self.is_of_this_epoch() {
            return Ok(None);
        }
        self.advance(span);
        Ok(Some(len))
    }

    /// Copies the next record into this end's own buffer and gives it to `read`; `None` if the ring is empty.
    ///
    /// # Errors
    /// [`RingError::TooLong`] if it is longer than `len_max`: it is discarded. [`RingError::Corrupt`].
    pub fn pop_with<T>(&mut self, len_max: usize, read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, RingError> {
        let Some((len, span)) = self.peek()? else { return Ok(None) };
        if len > len_max {
            self.advance(span);
            return Err(RingError::TooLong);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        grow(&mut scratch, len);
        copy_out(&self.memory, self.head.wrapping_add(8), &mut scratch[..len]);
        let value = self.is_of_this_epoch().then(|| {
            self.advance(span);
            read(&scratch[..len])
        });
        self.scratch = scratch;
        Ok(value)
    }

    /// Call after one or more pops. True: ring the producer's bell now, it waits for room. Without a pop since the last call it is never true,
    /// as with [`crate::Producer::publish`].
    #[must_use = "a producer that asked for room waits until its bell is rung"]
    pub fn release(&mut self) -> bool {
        if !core::mem::take(&mut self.has_made_room) {
            return false;
        }
        // INV-RING-3: the head was stored before, the flag is loaded after.
        self.memory.fence();
        let is_wanted = self.memory.load(Field::SpaceWanted) != 0;
        if is_wanted {
            self.memory.store(Field::SpaceWanted, 0);
        }
        is_wanted
    }

    /// Asks for a bell at the next record. True: the ring is still empty, so the caller may sleep.
    /// False: a record is there and no bell will come; take it.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn request_bell(&mut self) -> Result<bool, RingError> {
        if !self.is_empty()? {
            return Ok(false);
        }
        self.memory.store(Field::DataWanted, 1);
        // INV-RING-3: the flag was stored before, the tail is loaded after.
        self.memory.fence();
        let is_empty = self.is_empty()?;
        if !is_empty {
            self.memory.store(Field::DataWanted, 0);
        }
        Ok(is_empty)
    }

    /// Takes back what [`Self::request_bell`] asked for: this end is awake, for another reason than the bell, and will look before it sleeps. A bell
    /// that is rung meanwhile comes in vain.
    pub fn withdraw_bell(&mut self) {
        self.memory.store(Field::DataWanted, 0);
    }

    /// Length and occupied bytes of the next record, both checked against what is there.
    fn peek(&mut self) -> Result<Option<(usize, u32)>, RingError> {
        if self.is_empty()? {
            return Ok(None);
        }
        let used = self.tail.wrapping_sub(self.head);
        let len = usize::try_from(self.memory.load_word(self.head)).ok();
        match len.and_then(|len| Some((len, record_span(len)?))) {
            Some((len, span)) if span <= used => Ok(Some((len, span))),
            // What a producer of the next epoch writes over old records says nothing about the old producer.
            _ if !self.is_of_this_epoch() => Ok(None),
            _ => Err(self.corrupt()),
        }
    }

    /// Whether what was read from the data area up to now is of a producer of this end's epoch (INV-RING-4). If not, what this end had
    /// still to take is lost, and it stays empty: the peer was started anew.
    fn is_of_this_epoch(&mut self) -> bool {
        // Orders the reading of data before the reading of the index word.
        self.memory.fence_acquire();
        let is_same = peer_index(&self.memory, Field::Tail).is_some();
        if !is_same {
            self.tail = self.head;
        }
        is_same
    }

    /// Gives the record's room back to the producer.
    fn advance(&mut self, span: u32) {
        self.head = self.head.wrapping_add(span);
        store_index(&self.memory, Field::Head, self.head);
        self.has_made_room = true;
    }

    /// Reads the peer's index afresh and checks it (INV-RING-1).
    fn refresh(&mut self) -> Result<(), RingError> {
        if self.is_corrupt {
            return Err(RingError::Corrupt);
        }
        // A producer that has not joined this epoch, or is of the next already, has nothing for this end.
        let Some(tail) = peer_index(&self.memory, Field::Tail) else {
            self.tail = self.head;
            return Ok(());
        };
        let used = tail.wrapping_sub(self.head);
        // The peer may only move its index forward, by at most the free room.
        if used > self.memory.capacity() || used < self.tail.wrapping_sub(self.head) || !tail.is_multiple_of(8) {
            return Err(self.corrupt());
        }
        self.tail = tail;
        Ok(())
    }

    fn corrupt(&mut self) -> RingError {
        self.is_corrupt = true;
        RingError::Corrupt
    }
}
