//! Device memory: the boot untypeds of it, split around single pages; who gets a page is not its matter.

use alloc::vec::Vec;

use hybrid_sys::{CPtr, ObjectType, Slot};

use crate::kernel::Kernel;
use crate::memory::{Chunk, MemoryError, halve};
use crate::space::Space;

/// Untyped capabilities of device memory.
#[derive(Debug, Default)]
pub struct Devices {
    free: Vec<(u64, Chunk)>,
    made: Vec<(u64, CPtr)>,
}

impl Devices {
    /// The device untypeds of boot: physical address and chunk.
    #[must_use]
    pub fn new(chunks: impl IntoIterator<Item = (u64, Chunk)>) -> Self {
        Self { free: chunks.into_iter().collect(), made: Vec::new() }
    }

    /// The frame of the register page at `page`, if it was made: drivers map copies of it, so that it is made once.
    #[must_use]
    pub fn made(&self, page: u64) -> Option<CPtr> {
        self.made.iter().find(|(address, _)| *address == page).map(|(_, frame)| *frame)
    }

    /// Remembers the frame of a register page.
    pub fn remember(&mut self, page: u64, frame: CPtr) {
        self.made.push((page, frame));
    }

    /// Makes the frame of the register page at `page`, of 2^`bits` bytes (12 or 21), in slot `offset` of the CNode in `node`.
    ///
    /// Halves the untyped around it until the page is left, since Retype only ever takes the lowest free address.
    ///
    /// # Errors
    /// [`MemoryError::Exhausted`] when the board has no such page or it was given away.
    pub fn make_page<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        (page, bits): (u64, u8),
        node: Slot,
        offset: u64,
    ) -> Result<(), MemoryError> {
        let covers = |(base, chunk): &(u64, Chunk)| *base <= page && page - base < chunk.bytes() && chunk.bits >= bits;
        let found = self.free.iter().position(covers).ok_or(MemoryError::Exhausted)?;
        let (mut base, mut chunk) = self.free.swap_remove(found);
        while chunk.bits > bits {
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
        let kind = if bits == 12 { ObjectType::SmallPage } else { ObjectType::LargePage };
        Ok(kernel.retype(chunk.cap, kind, bits, node, offset, 1)?)
    }
}
