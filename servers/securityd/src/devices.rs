//! Device memory: the boot untypeds of it, split around single pages; who gets a page is not its matter.

use alloc::vec::Vec;

use hybrid_sys::{ObjectType, Slot};

use crate::kernel::Kernel;
use crate::memory::{Chunk, MemoryError, halve};
use crate::space::Space;

const PAGE_BITS: u8 = 12;

/// Untyped capabilities of device memory.
#[derive(Debug, Default)]
pub struct Devices {
    free: Vec<(u64, Chunk)>,
}

impl Devices {
    /// The device untypeds of boot: physical address and chunk.
    #[must_use]
    pub fn new(chunks: impl IntoIterator<Item = (u64, Chunk)>) -> Self {
        Self { free: chunks.into_iter().collect() }
    }

    /// Makes the frame of the register page at `page` in slot `offset` of the CNode in `node`.
    ///
    /// Halves the untyped around it until a page is left, since Retype only ever takes the lowest free address.
    ///
    /// # Errors
    /// [`MemoryError::Exhausted`] when the board has no such page or it was given away.
    pub fn make_page<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        page: u64,
        node: Slot,
        offset: u64,
    ) -> Result<(), MemoryError> {
        let covers =
            |(base, chunk): &(u64, Chunk)| *base <= page && page - base < chunk.bytes() && chunk.bits >= PAGE_BITS;
        let found = self.free.iter().position(covers).ok_or(MemoryError::Exhausted)?;
        let (mut base, mut chunk) = self.free.swap_remove(found);
        while chunk.bits > PAGE_BITS {
            let (lower, upper) = halve(kernel, space, chunk)?;
            let middle = base + lower.bytes();
            if page < middle {
                self.free.push((middle, upper));
                chunk = lower;
            } else {
                self.free.push((base, lower));
                (base, chunk) = (middle, upper);
            }
        }
        Ok(kernel.retype(chunk.cap, ObjectType::SmallPage, PAGE_BITS, node, offset, 1)?)
    }
}
