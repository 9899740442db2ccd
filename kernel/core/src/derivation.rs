//! The derivation tree: which capability came from which, kept as one flagged doubly linked list.
//!
//! INV-CDT-1: `next` and `prev` of neighbours agree; an empty slot has no neighbours and no flags.
//! INV-CDT-2: the children of a slot are the maximal run of slots directly after it that it parents.

use hybrid_abi::cap_tag as tag;

use crate::cap::{Cap, Words};
use crate::invocation::{Error, ensure};
use crate::kernel::Kernel;
use crate::object::{MdbNode, SlotRef, TcbSlot};
use crate::platform::Platform;

impl<P: Platform> Kernel<P> {
    /// The capability in a slot.
    pub(crate) fn cap(&self, slot: SlotRef) -> Cap {
        Cap::of(self.words(slot))
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
        self.set_words(slot, cap.words());
    }

    #[inline]
    pub(crate) fn set_words(&self, slot: SlotRef, words: Words) {
        let slot = self.slot(slot);
        slot.set_word0(words.0);
        slot.set_word1(words.1);
    }

    #[inline]
    pub(crate) fn is_empty(&self, slot: SlotRef) -> bool {
        self.words(slot).is_null()
    }

    /// Puts a capability without ancestors into an empty slot, before all others: it is no parent of what follows.
    pub(crate) fn insert_root(&self, slot: SlotRef, cap: Cap) {
        self.set_cap(slot, cap);
        self.slot(slot).set_node(MdbNode { prev: None, revocable: true, first_badged: true });
        self.slot(slot).set_next(self.first_slot.get());
        self.repair_neighbours(slot);
    }

    /// Puts a capability derived from the one in `source` into an empty slot, directly after it.
    #[inline(always)]
    pub(crate) fn insert_copy(&self, source: SlotRef, slot: SlotRef, words: Words) {
        let source_words = self.words(source);
        if source_words.tag() == tag::UNTYPED {
            // A copied untyped can no longer be used: only its copy allocates (kernel-abi §2.6). What outlives the copy becomes its own: anew.
            let full = source_words.with_watermark(1u64.unbounded_shl(source_words.untyped().1));
            self.set_words(source, full.with_incarnation(self.new_incarnation()));
        }
        self.set_words(slot, words);
        self.link_after(source, slot, words.is_revocable_from(source_words));
    }

    /// The slot has its capability already.
    #[inline]
    pub(crate) fn link_after(&self, before: SlotRef, slot: SlotRef, flags: bool) {
        let next = self.slot(before).next();
        self.slot(slot).set_node(MdbNode { prev: Some(before), revocable: flags, first_badged: flags });
        self.slot(slot).set_next(next);
        self.slot(before).set_next(Some(slot));
        if let Some(next) = next {
            self.slot(next).set_prev(Some(slot));
        }
    }

    /// Moves to an empty slot, with `words` instead of the old content.
    pub(crate) fn move_words(&self, source: SlotRef, target: SlotRef, words: Words) {
        self.swap(target, words, source, Words(0, 0));
    }

    /// Exchanges two slots; afterwards `a` holds `words_for_a` at the place that `b` had in the tree, and so on.
    pub(crate) fn swap(&self, a: SlotRef, words_for_a: Words, b: SlotRef, words_for_b: Words) {
        if a == b {
            return;
        }
        let replace =
            |slot: Option<SlotRef>, from: SlotRef, to: SlotRef| if slot == Some(from) { Some(to) } else { slot };
        let (node_a, next_a) = (self.slot(a).node(), self.slot(a).next());
        let (node_b, next_b) = (self.slot(b).node(), self.slot(b).next());
        self.set_words(a, words_for_a);
        self.slot(a).set_node(MdbNode { prev: replace(node_b.prev, a, b), ..node_b });
        self.slot(a).set_next(replace(next_b, a, b));
        self.set_words(b, words_for_b);
        self.slot(b).set_node(MdbNode { prev: replace(node_a.prev, b, a), ..node_a });
        self.slot(b).set_next(replace(next_a, b, a));
        self.repair_neighbours(a);
        self.repair_neighbours(b);
        let cursor = self.audit_next.get();
        self.audit_next.set(if cursor == Some(a) { Some(b) } else { replace(cursor, b, a) });
    }

    fn repair_neighbours(&self, slot: SlotRef) {
        match self.slot(slot).node().prev {
            Some(prev) => self.slot(prev).set_next(Some(slot)),
            None if self.is_empty(slot) => {}
            None => self.first_slot.set(Some(slot)),
        }
        if let Some(next) = self.slot(slot).next() {
            self.slot(next).set_prev(Some(slot));
        }
    }

    /// Takes a slot out of the tree and empties it.
    #[inline]
    pub(crate) fn empty_slot(&self, slot: SlotRef) {
        let words = self.words(slot);
        if words.is_null() {
            return;
        }
        if words.tag() == tag::VSPACE {
            // It may be what a running thread translates with. Another core is told: a fast way would not look.
            for core in 0..P::CORES {
                let state = self.core_state(core);
                if state.current.get().is_some_and(|thread| thread.slot(TcbSlot::VSpace) == slot) {
                    state.space_changed.set(true);
                    self.to_wake.set(self.to_wake.get() | u8::from(P::CORES > 1) << core);
                }
            }
        }
        let node = self.slot(slot).node();
        let next = self.slot(slot).next();
        match node.prev {
            Some(prev) => self.slot(prev).set_next(next),
            None => self.first_slot.set(next),
        }
        if self.audit_next.get() == Some(slot) {
            self.audit_next.set(next);
        }
        if let Some(next) = next {
            self.slot(next).set_prev_and_first(node.prev, node.first_badged);
        }
        self.set_words(slot, Words(0, 0));
        self.slot(slot).set_node(MdbNode::default());
        self.slot(slot).set_next(None);
    }

    /// True if the slot `b`, which follows `a` in the list, holds a child of `a`.
    #[inline]
    pub(crate) fn is_parent_of(&self, a: SlotRef, b: SlotRef) -> bool {
        self.slot(a).node().revocable && self.words(a).is_parent_of(self.words(b), self.slot(b).node().first_badged)
    }

    /// The nearest child of a slot.
    #[inline]
    pub(crate) fn first_child(&self, slot: SlotRef) -> Option<SlotRef> {
        self.slot(slot).next().filter(|next| self.is_parent_of(slot, *next))
    }

    /// True if no neighbour designates the same object.
    #[inline]
    pub(crate) fn is_final(&self, slot: SlotRef) -> bool {
        let words = self.words(slot);
        let same = |other: Option<SlotRef>| other.is_some_and(|other| words.is_same_object(self.words(other)));
        !same(self.slot(slot).node().prev) && !same(self.slot(slot).next())
    }

    /// What a copy of this capability would be (kernel-abi §2.5).
    #[inline(always)]
    pub(crate) fn derive_words(&self, slot: SlotRef, words: Words) -> Result<Words, Error> {
        match words.tag() {
            tag::UNTYPED => ensure(self.first_child(slot).is_none(), Error::RevokeFirst).map(|()| words),
            tag::IRQ_CONTROL | tag::ZOMBIE => Err(Error::IllegalOperation),
            // The mapping stays with the original.
            tag::FRAME => Ok(Words(words.0, 0)),
            // No mapping; no ASID.
            tag::PAGE_TABLE | tag::VSPACE if words.1 == 0 => Err(Error::IllegalOperation),
            _ => Ok(words),
        }
    }
}
