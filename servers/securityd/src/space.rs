//! securityd's own capability space: two levels, so that every instance's capabilities have a node of their own.
//!
//! A CPtr is 43 zero bits, 8 bits of node, 13 bits of slot. Node 0 is the CNode that the kernel made, so the CPtrs of
//! boot stay what they are. Node 1 is securityd's own set of slots, numbered like any component's; node 2 holds its
//! originals and the memory of sessions; from node 3 on there is one node for each instance, and a second one for each
//! that is spawned (rule CAP-R060 counts them).

use alloc::vec::Vec;

use hybrid_capgraph::layout;
use hybrid_sys::{CNode, CNodeData, CPtr, Error, ObjectType, Rights, Slot};

use crate::kernel::{Kernel, boot};

/// log2 of the slots of a node.
pub const NODE_BITS: u8 = 13;
const ROOT_BITS: u8 = 8;
const GUARD_BITS: u8 = 64 - ROOT_BITS - NODE_BITS;
const NODES: u64 = 1 << ROOT_BITS;

/// What the resolver promises for each instance fits into a node, and there is a node for each.
const _: () = assert!(layout::MADE_MAX <= 1 << NODE_BITS && layout::NODES as u64 == NODES);

/// Node of securityd's own slots.
pub const OWN_NODE: u64 = 1;

/// The addresses of the two levels, and which nodes and slots of boot are free.
#[derive(Debug)]
pub struct Space {
    root: CNode,
    next_node: u64,
    free_nodes: Vec<u64>,
    next_slot: u64,
    end_slot: u64,
    free_slots: Vec<u64>,
}

/// No slot or node is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSlot;

impl Space {
    /// Before the switch: only the boot CNode, with these empty slots.
    #[must_use]
    pub const fn of_boot(empty: (u64, u64)) -> Self {
        Self {
            root: CNode::at(boot::CNODE),
            next_node: OWN_NODE,
            free_nodes: Vec::new(),
            next_slot: empty.0,
            end_slot: empty.1,
            free_slots: Vec::new(),
        }
    }

    /// Makes the second level of a CNode from `untyped` (8 KiB at least) and makes it the root.
    ///
    /// # Errors
    /// The kernel's; [`Error::Range`] if its CNode has more slots than a node.
    pub fn establish<K: Kernel>(&mut self, kernel: &mut K, untyped: CPtr, slots: (u64, u64)) -> Result<(), Error> {
        let old = CNode::at(boot::CNODE);
        let (plain, guarded) = slots;
        kernel.retype(untyped, ObjectType::CapTable, ROOT_BITS, old.slot(0, 0), plain, 1)?;
        let guard = CNodeData::new(0, u32::from(GUARD_BITS));
        kernel.mint(old.own_slot(guarded), old.own_slot(plain), Rights::ALL, guard.0)?;
        let first = CNode::at(plain).slot(0, ROOT_BITS);
        // The empty slots are the last ones of the kernel's CNode, which is larger for larger programs.
        let bits = self
            .end_slot
            .checked_ilog2()
            .filter(|bits| *bits <= u32::from(NODE_BITS))
            .ok_or(Error::Range { min: 1, max: 1 << NODE_BITS })?;
        kernel.mint(first, old.own_slot(boot::CNODE), Rights::ALL, Self::node_guard(bits).0)?;
        kernel.set_own_root(CNode::at(guarded))?;
        self.root = CNode::at(guarded);
        Ok(())
    }

    /// The slot that a CPtr names.
    #[must_use]
    pub const fn slot(&self, cptr: CPtr) -> Slot {
        self.root.own_slot(cptr.0)
    }

    /// Where Retype finds the CNode of a node.
    #[must_use]
    pub const fn node(&self, node: u64) -> Slot {
        self.root.slot(node, GUARD_BITS + ROOT_BITS)
    }

    /// Where Retype finds the boot CNode.
    #[must_use]
    pub const fn boot_node(&self) -> Slot {
        CNode::at(boot::CNODE).slot(0, 0)
    }

    /// The CPtr of a slot of a node.
    #[must_use]
    pub const fn cptr(node: u64, slot: u64) -> CPtr {
        CPtr(node << NODE_BITS | slot)
    }

    /// The guard that makes a CNode of `bits` fill a node's place.
    #[must_use]
    pub fn node_guard(bits: u32) -> CNodeData {
        CNodeData::new(0, u32::from(NODE_BITS).saturating_sub(bits))
    }

    /// How many nodes and slots of boot are taken.
    #[cfg(test)]
    pub(crate) const fn taken(&self) -> (u64, u64) {
        (self.next_node - self.free_nodes.len() as u64, self.next_slot - self.free_slots.len() as u64)
    }

    /// Takes a node number.
    ///
    /// # Errors
    /// All 256 are taken.
    pub fn take_node(&mut self) -> Result<u64, NoSlot> {
        if let Some(node) = self.free_nodes.pop() {
            return Ok(node);
        }
        let node = self.next_node;
        if node >= NODES {
            return Err(NoSlot);
        }
        self.next_node += 1;
        Ok(node)
    }

    /// Gives a node number back; its place is empty.
    pub fn give_node(&mut self, node: u64) {
        self.free_nodes.push(node);
    }

    /// Takes an empty slot of the boot CNode.
    ///
    /// # Errors
    /// None is left.
    pub fn take_slot(&mut self) -> Result<u64, NoSlot> {
        if let Some(slot) = self.free_slots.pop() {
            return Ok(slot);
        }
        let slot = self.next_slot;
        if slot >= self.end_slot {
            return Err(NoSlot);
        }
        self.next_slot += 1;
        Ok(slot)
    }

    /// Takes two neighbouring empty slots of the boot CNode; the first of them.
    ///
    /// # Errors
    /// None are left.
    pub fn take_slot_pair(&mut self) -> Result<u64, NoSlot> {
        let slot = self.next_slot;
        if slot + 1 >= self.end_slot {
            return Err(NoSlot);
        }
        self.next_slot += 2;
        Ok(slot)
    }

    /// Gives a slot of the boot CNode back; it is empty.
    pub fn give_slot(&mut self, slot: u64) {
        self.free_slots.push(slot);
    }
}
