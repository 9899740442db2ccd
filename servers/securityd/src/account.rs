//! What was made for one instance: its chunks of memory and its node of capabilities; revoking them ends it.

use alloc::vec::Vec;

use hybrid_sys::{CNode, CPtr, ObjectType, Slot};

use crate::kernel::Kernel;
use crate::memory::{Chunk, Memory, MemoryError};
use crate::space::{NODE_BITS, Space};

/// Small objects come from chunks of this many bits.
const CHUNK_BITS: u8 = 17;
/// The kernel's limit for one Retype.
const FAN_OUT: u64 = 256;

/// The memory and capabilities of one instance.
///
/// INV-ACCOUNT-1: `used` is the kernel's watermark of the open chunk: objects are made in order and never singly freed.
#[derive(Debug)]
pub struct Account {
    node: u64,
    next: u64,
    capacity: u64,
    chunks: Vec<Chunk>,
    open: Option<(Chunk, u64)>,
    bytes: u64,
}

/// log2 of the bytes of an object.
const fn object_bits(kind: ObjectType, size_bits: u8) -> u8 {
    match kind {
        ObjectType::Untyped | ObjectType::SchedContext => size_bits,
        ObjectType::CapTable => size_bits + 5,
        ObjectType::Tcb => 11,
        ObjectType::Endpoint => 4,
        ObjectType::Notification => 6,
        ObjectType::Reply => 5,
        ObjectType::HugePage => 30,
        ObjectType::LargePage => 21,
        ObjectType::VSpace | ObjectType::SmallPage | ObjectType::PageTable => 12,
    }
}

impl Account {
    /// A new account with room for `caps` capabilities.
    ///
    /// # Errors
    /// When memory, slots or nodes are short.
    pub fn open<K: Kernel>(
        kernel: &mut K,
        space: &mut Space,
        memory: &mut Memory,
        caps: u64,
    ) -> Result<Self, MemoryError> {
        let bits = log2_at_least(caps);
        if bits > NODE_BITS {
            return Err(MemoryError::Slots);
        }
        let node = space.take_node()?;
        let mut account = Self { node, next: 0, capacity: 1 << bits, chunks: Vec::new(), open: None, bytes: 0 };
        match account.place_node(kernel, space, memory, bits) {
            Ok(()) => Ok(account),
            Err(error) => {
                account.close(kernel, space, memory);
                Err(error)
            }
        }
    }

    fn place_node<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        memory: &mut Memory,
        bits: u8,
    ) -> Result<(), MemoryError> {
        let (chunk, _) = self.reserve(kernel, space, memory, object_bits(ObjectType::CapTable, bits))?;
        let slot = space.take_slot()?;
        let made = kernel.retype(chunk.cap, ObjectType::CapTable, bits, space.boot_node(), slot, 1);
        let placed = made.and_then(|()| {
            self.spend(ObjectType::CapTable, bits, 1);
            kernel.mutate(space.slot_of_node(self.node), space.slot(CPtr(slot)), Space::node_guard(u32::from(bits)).0)
        });
        // Empty again: it was moved, or never made, or goes when the account is closed, which is the next thing then.
        space.give_slot(slot);
        Ok(placed?)
    }

    /// Bytes of the objects that were made.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next slot of the node; it is empty.
    ///
    /// # Errors
    /// [`MemoryError::Slots`].
    pub fn take_slot(&mut self) -> Result<CPtr, MemoryError> {
        let slot = self.next;
        if slot >= self.capacity {
            return Err(MemoryError::Slots);
        }
        self.next += 1;
        Ok(Space::cptr(self.node, slot))
    }

    /// Where Retype finds the node, and the next empty slot in it; the caller takes it.
    #[must_use]
    pub const fn destination(&self, space: &Space) -> Slot {
        space.node(self.node)
    }

    /// Makes one object.
    ///
    /// # Errors
    /// When memory or slots are short.
    pub fn make<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        memory: &mut Memory,
        kind: ObjectType,
        size_bits: u8,
    ) -> Result<CPtr, MemoryError> {
        self.make_many(kernel, space, memory, (kind, size_bits), 1)
    }

    /// Makes `count` objects in neighbouring slots; the first of them.
    ///
    /// # Errors
    /// When memory or slots are short; what was made stays until the account is closed.
    pub fn make_many<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        memory: &mut Memory,
        what: (ObjectType, u8),
        count: u64,
    ) -> Result<CPtr, MemoryError> {
        let (kind, size_bits) = what;
        let first = self.next;
        if count > self.capacity - first {
            return Err(MemoryError::Slots);
        }
        let mut left = count;
        while left > 0 {
            let (chunk, room) = self.reserve(kernel, space, memory, object_bits(kind, size_bits))?;
            let batch = left.min(room).min(FAN_OUT);
            kernel.retype(chunk.cap, kind, size_bits, space.node(self.node), self.next, batch)?;
            self.spend(kind, size_bits, batch);
            self.next += batch;
            left -= batch;
        }
        Ok(Space::cptr(self.node, first))
    }

    /// Makes `pages` small frames from the start of `chunk`, which has room for them, stays the caller's and has no children yet:
    /// they are physically contiguous. The first of them.
    ///
    /// # Errors
    /// When slots are short.
    pub fn make_contiguous<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        memory: &mut Memory,
        chunk: Chunk,
        pages: u64,
    ) -> Result<CPtr, MemoryError> {
        self.close_chunk();
        self.open = Some((chunk, 0));
        let first = self.make_many(kernel, space, memory, (ObjectType::SmallPage, 12), pages);
        self.open = None;
        first
    }

    /// The open chunk with room for at least one object of `bits`, and for how many; opens another if need be.
    fn reserve<K: Kernel>(
        &mut self,
        kernel: &mut K,
        space: &mut Space,
        memory: &mut Memory,
        bits: u8,
    ) -> Result<(Chunk, u64), MemoryError> {
        let room =
            |chunk: Chunk, used: u64| (chunk.bytes() - used.next_multiple_of(1 << bits).min(chunk.bytes())) >> bits;
        if let Some((chunk, used)) = self.open.filter(|(chunk, used)| room(*chunk, *used) > 0) {
            return Ok((chunk, room(chunk, used)));
        }
        let chunk = memory.take(kernel, space, bits.max(CHUNK_BITS))?;
        self.close_chunk();
        self.open = Some((chunk, 0));
        Ok((chunk, room(chunk, 0)))
    }

    fn close_chunk(&mut self) {
        self.chunks.extend(self.open.take().map(|(chunk, _)| chunk));
    }

    /// Moves the watermark as the kernel does.
    fn spend(&mut self, kind: ObjectType, size_bits: u8, count: u64) {
        let bits = object_bits(kind, size_bits);
        if let Some((_, used)) = &mut self.open {
            *used = used.next_multiple_of(1 << bits) + (count << bits);
        }
        self.bytes += count << bits;
    }

    /// Destroys every object of the account and gives its memory back. Capabilities that others hold to them vanish.
    pub fn close<K: Kernel>(mut self, kernel: &mut K, space: &mut Space, memory: &mut Memory) {
        self.close_chunk();
        for chunk in self.chunks {
            // Revoking an untyped of securityd's cannot fail; if it did, the chunk would simply not be used again.
            if kernel.revoke(space.slot(chunk.cap)).is_ok() {
                memory.give(chunk);
            }
        }
        space.give_node(self.node);
    }
}

impl Space {
    /// The place of a node's CNode in the root.
    #[must_use]
    pub const fn slot_of_node(&self, node: u64) -> Slot {
        self.node(node)
    }
}

/// The smallest n ≥ 1 with 2^n ≥ `count`.
#[must_use]
pub const fn log2_at_least(count: u64) -> u8 {
    let mut bits = 1;
    while bits < 63 && 1 << bits < count {
        bits += 1;
    }
    bits
}

/// A CNode seen by its own capability, which has no guard.
#[must_use]
pub const fn slot_in(cnode: CPtr, bits: u8, slot: u32) -> Slot {
    CNode(cnode).slot(slot as u64, bits)
}
