//! What a ring needs of its memory; implemented by mapped memory and by models.
use alloc::vec::Vec;

/// One of the four header words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Bytes ever written; the producer's.
    Tail,
    /// The producer wants a bell when there is room.
    SpaceWanted,
    /// Bytes ever taken; the consumer's.
    Head,
    /// The consumer wants a bell when there is a record.
    DataWanted,
}

impl Field {
    /// Offset of the word in the header, bytes.
    #[must_use]
    pub const fn offset(self) -> usize {
        match self {
            Self::Tail => 0,
            Self::SpaceWanted => 8,
            Self::Head => 64,
            Self::DataWanted => 72,
        }
    }
}

/// What an index word says: which meeting of the two sides it belongs to, and the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexWord {
    pub(crate) epoch: u32,
    pub(crate) index: u32,
}

impl IndexWord {
    pub(crate) const fn from_word(word: u64) -> Self {
        Self { epoch: (word >> 32) as u32, index: (word & 0xffff_ffff) as u32 }
    }

    pub(crate) const fn word(self) -> u64 {
        (self.epoch as u64) << 32 | self.index as u64
    }
}

/// The peer's index, if the peer is in the same meeting as `memory`'s end.
pub(crate) fn peer_index<M: RingMemory>(memory: &M, field: Field) -> Option<u32> {
    let word = IndexWord::from_word(memory.load(field));
    (word.epoch == memory.epoch()).then_some(word.index)
}

/// Writes this end's own index.
pub(crate) fn store_index<M: RingMemory>(memory: &M, field: Field, index: u32) {
    memory.store(field, IndexWord { epoch: memory.epoch(), index }.word());
}

/// Memory that a peer may change at any time.
///
/// Implementations are safe to use with any index: they wrap it into the data area.
pub trait RingMemory {
    /// Size of the data area in bytes; a power of two, constant.
    fn capacity(&self) -> u32;
    /// Which meeting of the two sides this end is of; constant.
    fn epoch(&self) -> u32;
    /// Reads a header word, acquire.
    fn load(&self, field: Field) -> u64;
    /// Writes a header word, release.
    fn store(&self, field: Field, value: u64);
    /// Reads the 8-byte word at byte position `at` (wrapped into the data area, rounded down to 8), relaxed.
    fn load_word(&self, at: u32) -> u64;
    /// Writes the 8-byte word at byte position `at` (wrapped into the data area, rounded down to 8), relaxed.
    fn store_word(&self, at: u32, value: u64);
    /// Writes `bytes`, whole words, from position `at` on: [`Self::store_word`] of each.
    fn store_words(&self, at: u32, bytes: &[u8]) {
        let mut at = at;
        for word in bytes.as_chunks::<8>().0 {
            self.store_word(at, u64::from_le_bytes(*word));
            at = at.wrapping_add(8);
        }
    }
    /// Fills `bytes`, whole words, from position `at` on: [`Self::load_word`] of each.
    fn load_words(&self, at: u32, bytes: &mut [u8]) {
        let mut at = at;
        for word in bytes.as_chunks_mut::<8>().0 {
            *word = self.load_word(at).to_le_bytes();
            at = at.wrapping_add(8);
        }
    }
    /// A sequentially consistent fence (INV-RING-3).
    fn fence(&self);
    /// An acquire fence (INV-RING-4).
    fn fence_acquire(&self);
}

/// Copies `bytes` to position `at`; the padding of the last word is zero.
pub(crate) fn copy_in<M: RingMemory>(memory: &M, at: u32, bytes: &[u8]) {
    let (words, rest) = bytes.split_at(bytes.len() & !7);
    memory.store_words(at, words);
    if !rest.is_empty() {
        let mut last = [0_u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        memory.store_word(behind(at, words), u64::from_le_bytes(last));
    }
}

/// Fills `bytes` from position `at`.
pub(crate) fn copy_out<M: RingMemory>(memory: &M, at: u32, bytes: &mut [u8]) {
    let (words, rest) = bytes.split_at_mut(bytes.len() & !7);
    memory.load_words(at, words);
    if !rest.is_empty() {
        let last = memory.load_word(behind(at, words)).to_le_bytes();
        let len = rest.len();
        rest.copy_from_slice(&last[..len]);
    }
}

/// The position behind `words` that begin at `at`. A record is shorter than 4 GiB, since its ring is.
fn behind(at: u32, words: &[u8]) -> u32 {
    at.wrapping_add(u32::try_from(words.len()).unwrap_or(0))
}

/// Makes `scratch` at least `len` bytes long.
pub(crate) fn grow(scratch: &mut Vec<u8>, len: usize) {
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
}
