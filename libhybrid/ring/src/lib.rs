//! Shared-memory record rings that never trust the peer; no wake-up, no encoding.
//!
//! A ring carries variable-length records from one [`Producer`] to one [`Consumer`]. Both sides map
//! the same memory, and each side treats the other as an attacker: what the peer wrote is copied out
//! and checked before it is used, an impossible value makes the ring [`RingError::Corrupt`] for good,
//! and no reference into the shared memory ever exists. The worst that a peer can do is to send
//! garbage records, or none.
//!
//! # Layout
//!
//! | offset | size | content | written by |
//! |---:|---:|---|---|
//! | 0 | 8 | tail: epoch in the upper half, bytes ever written mod 2^32 in the lower | producer |
//! | 8 | 8 | space wanted: 1 = ring me when records were taken | producer sets, consumer clears |
//! | 64 | 8 | head: epoch in the upper half, bytes ever taken mod 2^32 in the lower | consumer |
//! | 72 | 8 | data wanted: 1 = ring me when a record is there | consumer sets, producer clears |
//! | 128 | 2^n | records, each an 8-byte length word and the bytes, padded to 8, wrapping anywhere | producer |
//!
//! The size of the data area comes from the interface, never from the memory. Nobody has to zero the memory.
//!
//! # Epochs
//!
//! An end belongs to one meeting of the two sides, whose number is the epoch of its [`Region`]. Making an end writes its own index 0 of
//! that epoch. An index word of another epoch says only that the peer has not joined this meeting yet, or has gone on to the next: a
//! producer sees nothing taken, a consumer an empty ring. So when one side is started anew both make their ends anew, in any order and
//! without waiting for each other, and each tells the other nothing but its own index. [`RingError::Corrupt`] ends with its end.
//!
//! # Invariants
//!
//! * INV-RING-1: `0 <= tail - head <= capacity` (mod 2^32) and both are multiples of 8. Each side keeps its own
//!   index in private memory and checks this on every reading of the peer's.
//! * INV-RING-2: bytes between head and tail are only written before the tail that covers them is stored (release),
//!   and only read after that tail was loaded (acquire); and the other way round for free space.
//! * INV-RING-4: a record that a consumer gives out was written by a producer of its own epoch: a producer stores its index word of the
//!   new epoch before it writes data (fence), and the consumer looks at that word once more after it has copied a record out (fence).
//! * INV-RING-3 (no lost wake-up): an index store and the following flag load are separated by a `SeqCst` fence on
//!   one side, a flag store and the following index load on the other. Checked with loom in `tests/bell.rs`.
//!
//! # Bells
//!
//! After pushing, call [`Producer::publish`] and ring the consumer's bell if it says so. Before
//! sleeping, the consumer calls [`Consumer::request_bell`] and sleeps only if that says that the ring
//! is still empty. The same pair exists for room: [`Consumer::release`] and [`Producer::request_space`].
//!
//! ```
//! use hybrid_ring::{Consumer, HEADER_BYTES, Producer, Region};
//! let region = Region::on_heap(HEADER_BYTES + 1024);
//! let mut producer = Producer::new(&region, 0, 1024)?;
//! let mut consumer = Consumer::new(&region, 0, 1024)?;
//! assert!(consumer.request_bell()?); // empty: the consumer may sleep
//! producer.try_push(b"hello")?;
//! assert!(producer.publish()); // so its bell has to be rung
//! let mut record = [0; 64];
//! let len = consumer.pop(&mut record)?.expect("one record is there");
//! assert_eq!(&record[..len], b"hello");
//! # Ok::<(), hybrid_ring::RingError>(())
//! ```
#![cfg_attr(not(test), no_std)]
extern crate alloc;

mod consumer;
mod memory;
mod producer;
mod region;

pub use consumer::Consumer;
pub use memory::{Field, RingMemory};
pub use producer::Producer;
pub use region::{Mapped, Region};

/// Bytes in front of a ring's data area.
pub const HEADER_BYTES: usize = 128;
/// Bytes in front of each record.
pub const RECORD_HEADER_BYTES: usize = 8;
/// The smallest data area, bytes.
pub const CAPACITY_MIN: usize = 64;
/// The largest data area, bytes. Half of the index range, so that full and empty differ.
pub const CAPACITY_MAX: usize = 1 << 30;

/// Why a ring did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingError {
    /// No room for the record now. The caller chooses: drop it, or [`Producer::request_space`] and wait.
    Full,
    /// The record is larger than the ring can ever hold (push) or than the caller's buffer (pop; it is discarded).
    TooLong,
    /// The peer wrote something impossible. Every later operation says the same: the session is dead.
    Corrupt,
    /// The ring does not fit into the region, or is misaligned, or its size is not a power of two within the limits.
    Layout,
}

impl core::fmt::Display for RingError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full => "no room in the ring",
            Self::TooLong => "record too long",
            Self::Corrupt => "the peer corrupted the ring",
            Self::Layout => "the ring does not fit its region",
        })
    }
}

impl core::error::Error for RingError {}

/// Bytes that a record of `len` payload bytes occupies, if that is representable.
fn record_span(len: usize) -> Option<u32> {
    let span = len.checked_add(RECORD_HEADER_BYTES)?.checked_next_multiple_of(8)?;
    u32::try_from(span).ok()
}

#[cfg(test)]
mod epoch_tests;
#[cfg(test)]
mod tests;
