//! Ring ends whose records have an IDL type; the ring itself is `hybrid-ring`.
use crate::codec::Record;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::sync::atomic::AtomicU64;
use hybrid_ring::{Consumer, Producer, Region, RingError};

/// The writing end of a `ring: T`.
#[derive(Debug)]
pub struct RecordProducer<T> {
    ring: Producer,
    scratch: Vec<u8>,
    record: PhantomData<fn(T)>,
}

impl<T: Record> RecordProducer<T> {
    /// The writing end of the ring with `capacity` data bytes at `offset` of `region`.
    ///
    /// # Errors
    /// [`RingError::Layout`] if the region is not one of this interface.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        Ok(Self { ring: Producer::new(region, offset, capacity)?, scratch: Vec::new(), record: PhantomData })
    }

    /// Appends a record. The consumer sees it at once, but is not woken: see [`Self::publish`].
    ///
    /// # Errors
    /// [`RingError::Full`]; [`RingError::TooLong`] when a part is beyond its bound; [`RingError::Corrupt`].
    pub fn push(&mut self, value: &T::View<'_>) -> Result<(), RingError> {
        let length = self.encode(value)?;
        self.ring.try_push(self.scratch.get(..length).unwrap_or_default())
    }

    /// Appends a record, or asks for a bell when there may be room for it: see [`Producer::push_or_ask`].
    ///
    /// # Errors
    /// [`RingError::TooLong`]; [`RingError::Corrupt`].
    pub fn push_or_ask(&mut self, value: &T::View<'_>) -> Result<bool, RingError> {
        let length = self.encode(value)?;
        self.ring.push_or_ask(self.scratch.get(..length).unwrap_or_default())
    }

    /// Its length; it is at the start of the scratch memory.
    fn encode(&mut self, value: &T::View<'_>) -> Result<usize, RingError> {
        self.scratch.resize(T::MAX_ENCODED, 0);
        T::write(value, &mut self.scratch).map_err(|_| RingError::TooLong)
    }

    /// Call after one or more pushes. True: ring the consumer's bell now.
    #[must_use = "a consumer that asked for its bell sleeps until it is rung"]
    pub fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// The ring itself, for waiting for room and for counters.
    pub fn ring(&mut self) -> &mut Producer {
        &mut self.ring
    }
}

/// The reading end of a `ring: T`.
#[derive(Debug)]
pub struct RecordConsumer<T> {
    ring: Consumer,
    is_dead: bool,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> RecordConsumer<T> {
    /// The reading end of the ring with `capacity` data bytes at `offset` of `region`.
    ///
    /// # Errors
    /// [`RingError::Layout`] if the region is not one of this interface.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        Ok(Self { ring: Consumer::new(region, offset, capacity)?, is_dead: false, record: PhantomData })
    }

    /// Takes the next record, if there is one. It is copied into `scratch` (which grows to the record's length
    /// and may be empty at first) before it is decoded, and borrows from there.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the peer wrote something that is no record of this type, and ever after:
    /// the session is dead.
    pub fn pop<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Result<Option<T::View<'a>>, RingError> {
        let Some(bytes) = take(&mut self.ring, &mut self.is_dead, T::MAX_ENCODED, scratch)? else {
            return Ok(None);
        };
        match T::read(bytes) {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                self.is_dead = true;
                Err(RingError::Corrupt)
            }
        }
    }

    /// Call after one or more pops. True: ring the producer's bell now, it waits for room.
    #[must_use = "a producer that asked for room waits until its bell is rung"]
    pub fn release(&mut self) -> bool {
        self.ring.release()
    }

    /// Asks for a bell at the next record. True: the ring is still empty, so the caller may sleep.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn request_bell(&mut self) -> Result<bool, RingError> {
        if self.is_dead { Err(RingError::Corrupt) } else { self.ring.request_bell() }
    }

    /// The ring itself.
    pub fn ring(&mut self) -> &mut Consumer {
        &mut self.ring
    }
}

/// The writing end of a `ring: bytes<MAX>`, whose records are bytes as they are.
#[derive(Debug)]
pub struct BytesProducer<const MAX: usize> {
    ring: Producer,
}

impl<const MAX: usize> BytesProducer<MAX> {
    /// The writing end of the ring with `capacity` data bytes at `offset` of `region`.
    ///
    /// # Errors
    /// [`RingError::Layout`] if the region is not one of this interface.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        Ok(Self { ring: Producer::new(region, offset, capacity)? })
    }

    /// Appends a record of at most `MAX` bytes. The consumer sees it at once, but is not woken: see [`Self::publish`].
    ///
    /// # Errors
    /// [`RingError::Full`]; [`RingError::TooLong`]; [`RingError::Corrupt`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), RingError> {
        if bytes.len() > MAX { Err(RingError::TooLong) } else { self.ring.try_push(bytes) }
    }

    /// Appends a record, or asks for a bell when there may be room for it: see [`Producer::push_or_ask`].
    ///
    /// # Errors
    /// [`RingError::TooLong`]; [`RingError::Corrupt`].
    pub fn push_or_ask(&mut self, bytes: &[u8]) -> Result<bool, RingError> {
        if bytes.len() > MAX { Err(RingError::TooLong) } else { self.ring.push_or_ask(bytes) }
    }

    /// Appends the record that `write` makes in a buffer of `length_max` ≤ `MAX` bytes; `write` returns its length.
    ///
    /// # Errors
    /// [`RingError::Full`]; [`RingError::TooLong`]; [`RingError::Corrupt`].
    pub fn push_with(&mut self, length_max: usize, write: impl FnOnce(&mut [u8]) -> usize) -> Result<(), RingError> {
        if length_max > MAX { Err(RingError::TooLong) } else { self.ring.push_with(length_max, write) }
    }

    /// Call after one or more pushes. True: ring the consumer's bell now.
    #[must_use = "a consumer that asked for its bell sleeps until it is rung"]
    pub fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// The ring itself, for waiting for room and for counters.
    pub fn ring(&mut self) -> &mut Producer {
        &mut self.ring
    }
}

/// The reading end of a `ring: bytes<MAX>`.
#[derive(Debug)]
pub struct BytesConsumer<const MAX: usize> {
    ring: Consumer,
    is_dead: bool,
}

impl<const MAX: usize> BytesConsumer<MAX> {
    /// The reading end of the ring with `capacity` data bytes at `offset` of `region`.
    ///
    /// # Errors
    /// [`RingError::Layout`] if the region is not one of this interface.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        Ok(Self { ring: Consumer::new(region, offset, capacity)?, is_dead: false })
    }

    /// Takes the next record, if there is one. It is copied into `scratch`, which grows to its length.
    ///
    /// # Errors
    /// [`RingError::Corrupt`] when the peer broke the ring or sent more than `MAX` bytes, and ever after.
    pub fn pop<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, RingError> {
        take(&mut self.ring, &mut self.is_dead, MAX, scratch)
    }

    /// Hands the next record to `take` where it lies: see [`Consumer::pop_words`].
    ///
    /// # Errors
    /// As [`Self::pop`].
    pub fn pop_words(&mut self, take: impl FnMut(&[AtomicU64], usize)) -> Result<Option<usize>, RingError> {
        let popped = if self.is_dead { Err(RingError::Corrupt) } else { self.ring.pop_words(MAX, take) };
        popped.map_err(|_| {
            self.is_dead = true;
            RingError::Corrupt
        })
    }

    /// Call after one or more pops. True: ring the producer's bell now, it waits for room.
    #[must_use = "a producer that asked for room waits until its bell is rung"]
    pub fn release(&mut self) -> bool {
        self.ring.release()
    }

    /// Asks for a bell at the next record. True: the ring is still empty, so the caller may sleep.
    ///
    /// # Errors
    /// [`RingError::Corrupt`].
    pub fn request_bell(&mut self) -> Result<bool, RingError> {
        if self.is_dead { Err(RingError::Corrupt) } else { self.ring.request_bell() }
    }

    /// The ring itself.
    pub fn ring(&mut self) -> &mut Consumer {
        &mut self.ring
    }
}

/// Copies the next record of at most `max` bytes into `scratch`. A longer one is a violation by the peer.
fn take<'a>(
    ring: &mut Consumer,
    is_dead: &mut bool,
    max: usize,
    scratch: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, RingError> {
    let next = if *is_dead { Err(RingError::Corrupt) } else { ring.next_len() };
    let length = match next {
        Ok(None) => return Ok(None),
        Ok(Some(length)) if length <= max => length,
        Ok(Some(_)) | Err(_) => {
            *is_dead = true;
            return Err(RingError::Corrupt);
        }
    };
    if scratch.len() < length {
        scratch.resize(length, 0);
    }
    // The peer may have lengthened the record since; then it does not fit, and the session is dead as well.
    match ring.pop(scratch) {
        Ok(Some(length)) => Ok(scratch.get(..length)),
        Ok(None) => Ok(None),
        Err(_) => {
            *is_dead = true;
            Err(RingError::Corrupt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hybrid_ring::HEADER_BYTES;

    fn ends() -> (Producer, BytesConsumer<16>, BytesProducer<16>) {
        let region = Region::on_heap(HEADER_BYTES + 256);
        let raw = Producer::new(&region, 0, 256).expect("fits");
        (raw, BytesConsumer::new(&region, 0, 256).expect("fits"), BytesProducer::new(&region, 0, 256).expect("fits"))
    }

    #[test]
    fn bytes_round_trip() {
        let (_, mut consumer, mut producer) = ends();
        let mut scratch = Vec::new();
        assert_eq!(consumer.pop(&mut scratch), Ok(None));
        producer.push(b"abc").expect("room");
        assert_eq!(consumer.pop(&mut scratch), Ok(Some(&b"abc"[..])));
        assert_eq!(producer.push(&[0; 17]), Err(RingError::TooLong));
        assert_eq!(producer.push_or_ask(&[0; 17]), Err(RingError::TooLong));
        assert_eq!(producer.push_with(17, |_| 0), Err(RingError::TooLong));
        assert_eq!(producer.push_or_ask(b"abc"), Ok(true));
        assert_eq!(consumer.pop(&mut scratch), Ok(Some(&b"abc"[..])));
    }

    #[test]
    fn record_longer_than_the_interface_says_kills_the_session() {
        let (mut raw, mut consumer, _) = ends();
        raw.try_push(&[0; 17]).expect("room");
        raw.try_push(b"ok").expect("room");
        let mut scratch = Vec::new();
        let nothing = |_: &[AtomicU64], _: usize| unreachable!("it is too long");
        assert_eq!(consumer.pop_words(nothing), Err(RingError::Corrupt));
        assert_eq!(consumer.pop_words(nothing), Err(RingError::Corrupt));
        assert_eq!(consumer.pop(&mut scratch), Err(RingError::Corrupt));
        assert_eq!(consumer.pop(&mut scratch), Err(RingError::Corrupt));
        assert_eq!(consumer.request_bell(), Err(RingError::Corrupt));
    }
}
