//! The derivation tree: which capability came from which, kept as flagged doubly linked lists.
//!
//! INV-CDT-1: `next` and `prev` of neighbours agree; an empty slot has no neighbours and no flags.
//! INV-CDT-2: the children of a slot are the maximal run of slots directly after it that it parents.

use crate::cap::{Cap, Words};
use crate::invocation::Error;
use crate::kernel::Kernel;
use crate::object::{MdbNode, SlotRef};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// The capability in a slot.
    pub(crate) fn cap(&self, slot: SlotRef) -> Cap {
        let Words(word0, word1) = self.words(slot);
        Cap::decode(word0, word1)
    }

    /// Its two words, to be read as one wanted type.
    #[inline(always)]
    pub(crate) fn words(&self, slot: SlotRef) -> Words {
        let slot = self.slot(slot);
        Words(slot.word0(), slot.word1())
    }

    /// Replaces the capability, not the slot's place in the tree.
    #[inline]
    pub(crate) fn set_cap(&self, slot: SlotRef, cap: Cap) {
        let slot = self.slot(slot);
        let (word0, word1) = cap.encode();
        slot.set_word0(word0);
        slot.set_word1(word1);
    }

    pub(crate) fn is_empty(&self, slot: SlotRef) -> bool {
        self.cap(slot) == Cap::Null
    }

    /// Puts a capability without ancestors into an empty slot.
    pub(crate) fn insert_root(&self, slot: SlotRef, cap: Cap) {
        self.set_cap(slot, cap);
        self.slot(slot).set_node(MdbNode { prev: None, revocable: true, first_badged: true });
        self.slot(slot).set_next(None);
    }

    /// Puts a capability for a new object into an empty slot, directly after its untyped memory.
    pub(crate) fn insert_new_object(&self, untyped: SlotRef, slot: SlotRef, cap: Cap) {
        self.set_cap(slot, cap);
        self.link_after(untyped, slot, true);
    }

    /// Puts a capability derived from the one in `source` into an empty slot, directly after it.
    pub(crate) fn insert_derived(&self, source: SlotRef, slot: SlotRef, cap: Cap) {
        let source_cap = self.cap(source);
        self.mark_copied_untyped(source, source_cap, cap);
        self.set_cap(slot, cap);
        self.link_after(source, slot, cap.is_revocable_from(source_cap));
    }

    /// A copied untyped can no longer be used: only its copy allocates (kernel-abi §2.6).
    fn mark_copied_untyped(&self, source: SlotRef, source_cap: Cap, cap: Cap) {
        if let Cap::Untyped { base, bits, is_device, .. } = source_cap
            && let Cap::Untyped { base: new_base, bits: new_bits, .. } = cap
            && base == new_base
            && bits == new_bits
        {
            self.set_cap(source, Cap::Untyped { base, bits, is_device, watermark: 1u64 << (bits & 63) });
        }
    }

    fn link_after(&self, before: SlotRef, slot: SlotRef, flags: bool) {
        let next = self.slot(before).next();
        self.slot(slot).set_node(MdbNode { prev: Some(before), revocable: flags, first_badged: flags });
        self.slot(slot).set_next(next);
        self.slot(before).set_next(Some(slot));
        if let Some(next) = next {
            self.set_prev(next, Some(slot));
        }
    }

    fn set_prev(&self, slot: SlotRef, prev: Option<SlotRef>) {
        let node = self.slot(slot).node();
        self.slot(slot).set_node(MdbNode { prev, ..node });
    }

    /// Moves to an empty slot, with `cap` instead of the old content.
    pub(crate) fn move_cap(&self, source: SlotRef, target: SlotRef, cap: Cap) {
        let node = self.slot(source).node();
        let next = self.slot(source).next();
        self.set_cap(target, cap);
        self.slot(target).set_node(node);
        self.slot(target).set_next(next);
        self.clear(source);
        self.repair_neighbours(target);
    }

    /// Exchanges two slots; afterwards `a` holds `cap_for_a` at the place that `b` had in the tree, and so on.
    pub(crate) fn swap(&self, a: SlotRef, cap_for_a: Cap, b: SlotRef, cap_for_b: Cap) {
        if a == b {
            return;
        }
        let replace =
            |slot: Option<SlotRef>, from: SlotRef, to: SlotRef| if slot == Some(from) { Some(to) } else { slot };
        let (node_a, next_a) = (self.slot(a).node(), self.slot(a).next());
        let (node_b, next_b) = (self.slot(b).node(), self.slot(b).next());
        self.set_cap(a, cap_for_a);
        self.slot(a).set_node(MdbNode { prev: replace(node_b.prev, a, b), ..node_b });
        self.slot(a).set_next(replace(next_b, a, b));
        self.set_cap(b, cap_for_b);
        self.slot(b).set_node(MdbNode { prev: replace(node_a.prev, b, a), ..node_a });
        self.slot(b).set_next(replace(next_a, b, a));
        self.repair_neighbours(a);
        self.repair_neighbours(b);
    }

    fn repair_neighbours(&self, slot: SlotRef) {
        if let Some(prev) = self.slot(slot).node().prev {
            self.slot(prev).set_next(Some(slot));
        }
        if let Some(next) = self.slot(slot).next() {
            self.set_prev(next, Some(slot));
        }
    }

    fn clear(&self, slot: SlotRef) {
        self.set_cap(slot, Cap::Null);
        self.slot(slot).set_node(MdbNode::default());
        self.slot(slot).set_next(None);
    }

    /// Takes a slot out of the tree and empties it.
    pub(crate) fn empty_slot(&self, slot: SlotRef) {
        let cap = self.cap(slot);
        if cap == Cap::Null {
            return;
        }
        if matches!(cap, Cap::VSpace { .. }) {
            self.this_core().space_changed.set(true);
        }
        let node = self.slot(slot).node();
        let next = self.slot(slot).next();
        if let Some(prev) = node.prev {
            self.slot(prev).set_next(next);
        }
        if let Some(next) = next {
            let after = self.slot(next).node();
            let first_badged = after.first_badged || node.first_badged;
            self.slot(next).set_node(MdbNode { prev: node.prev, first_badged, ..after });
        }
        self.clear(slot);
    }

    /// True if the slot `b`, which follows `a` in the list, holds a child of `a`.
    pub(crate) fn is_parent_of(&self, a: SlotRef, b: SlotRef) -> bool {
        let node_a = self.slot(a).node();
        if !node_a.revocable {
            return false;
        }
        let (cap_a, cap_b) = (self.cap(a), self.cap(b));
        if !cap_a.covers(cap_b) {
            return false;
        }
        let first_badged = self.slot(b).node().first_badged;
        match (cap_a, cap_b) {
            (Cap::Endpoint { badge: 0, .. } | Cap::Notification { badge: 0, .. }, _) => true,
            (Cap::Endpoint { badge: x, .. }, Cap::Endpoint { badge: y, .. })
            | (Cap::Notification { badge: x, .. }, Cap::Notification { badge: y, .. }) => x == y && !first_badged,
            (Cap::SgiSignal { .. }, _) => !first_badged,
            _ => true,
        }
    }

    /// The nearest child of a slot.
    pub(crate) fn first_child(&self, slot: SlotRef) -> Option<SlotRef> {
        let next = self.slot(slot).next()?;
        if self.is_parent_of(slot, next) { Some(next) } else { None }
    }

    pub(crate) fn ensure_no_children(&self, slot: SlotRef) -> Result<(), Error> {
        match self.first_child(slot) {
            Some(_) => Err(Error::RevokeFirst),
            None => Ok(()),
        }
    }

    /// True if no neighbour designates the same object.
    pub(crate) fn is_final(&self, slot: SlotRef) -> bool {
        let cap = self.cap(slot);
        let same = |other: Option<SlotRef>| other.is_some_and(|other| cap.is_same_object(self.cap(other)));
        !same(self.slot(slot).node().prev) && !same(self.slot(slot).next())
    }

    /// What a copy of this capability would be (kernel-abi §2.5).
    pub(crate) fn derive(&self, slot: SlotRef, cap: Cap) -> Result<Cap, Error> {
        match cap {
            Cap::Untyped { .. } => self.ensure_no_children(slot).map(|()| cap),
            Cap::IrqControl | Cap::Zombie { .. } => Err(Error::IllegalOperation),
            Cap::Frame { base, size, is_device, rights, .. } => {
                Ok(Cap::Frame { base, size, is_device, rights, mapping: None })
            }
            Cap::PageTable { mapping: None, .. } | Cap::VSpace { asid: 0, .. } => Err(Error::IllegalOperation),
            other => Ok(other),
        }
    }
}
