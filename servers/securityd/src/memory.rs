//! All spare memory: untyped capabilities by size, split in halves on demand; it makes no other objects.

use alloc::vec::Vec;

use hybrid_sys::{CPtr, Error, ObjectType};

use crate::kernel::Kernel;
use crate::space::{NoSlot, Space};

/// The kernel's largest untyped, log2 bytes.
const BITS_MAX: usize = 47;

/// One untyped capability without children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Of the untyped.
    pub cap: CPtr,
    /// log2 of its bytes.
    pub bits: u8,
}

impl Chunk {
    /// Its size.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.bits
    }
}

/// Why memory could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryError {
    /// No untyped is large enough.
    Exhausted,
    /// No slot for a capability.
    Slots,
    /// The kernel refused.
    Kernel(Error),
}

impl From<Error> for MemoryError {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<NoSlot> for MemoryError {
    fn from(NoSlot: NoSlot) -> Self {
        Self::Slots
    }
}

/// Spare memory.
///
/// INV-MEMORY-1: every chunk in `free` has no children, and no two overlap.
#[derive(Debug)]
pub struct Memory {
    free: Vec<Vec<Chunk>>,
    total: u64,
}

impl Memory {
    /// The untyped capabilities of boot, without the device ones.
    #[must_use]
    pub fn new(chunks: impl IntoIterator<Item = Chunk>) -> Self {
        let mut memory = Self { free: (0..=BITS_MAX).map(|_| Vec::new()).collect(), total: 0 };
        for chunk in chunks {
            memory.total += chunk.bytes();
            memory.give(chunk);
        }
        memory
    }

    /// Bytes that were there at boot.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that nobody has.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.free.iter().flatten().map(|chunk| chunk.bytes()).sum()
    }

    /// Takes a chunk of exactly 2^`bits` bytes: the smallest that is large enough, halved until it fits.
    ///
    /// # Errors
    /// Nothing is taken then, though larger chunks may have been halved.
    pub fn take<K: Kernel>(&mut self, kernel: &mut K, space: &mut Space, bits: u8) -> Result<Chunk, MemoryError> {
        let found =
            (usize::from(bits)..=BITS_MAX).find(|size| self.free.get(*size).is_some_and(|chunks| !chunks.is_empty()));
        let mut chunk = found.and_then(|size| self.free.get_mut(size)?.pop()).ok_or(MemoryError::Exhausted)?;
        while chunk.bits > bits {
            match halve(kernel, space, chunk) {
                Ok((lower, upper)) => {
                    self.give(upper);
                    chunk = lower;
                }
                Err(error) => {
                    self.give(chunk);
                    return Err(error);
                }
            }
        }
        Ok(chunk)
    }

    /// Gives a chunk back; it has no children any more.
    pub fn give(&mut self, chunk: Chunk) {
        if let Some(chunks) = self.free.get_mut(usize::from(chunk.bits)) {
            chunks.push(chunk);
        }
    }
}

/// Makes the two halves of a chunk. The chunk itself is not used any more.
pub(crate) fn halve<K: Kernel>(kernel: &mut K, space: &mut Space, chunk: Chunk) -> Result<(Chunk, Chunk), MemoryError> {
    let slot = space.take_slot_pair()?;
    let bits = chunk.bits - 1;
    kernel.retype(chunk.cap, ObjectType::Untyped, bits, space.boot_node(), slot, 2)?;
    Ok((Chunk { cap: CPtr(slot), bits }, Chunk { cap: CPtr(slot + 1), bits }))
}
