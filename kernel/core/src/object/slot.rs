//! A slot: one capability (two words) and its place in the derivation list (two words).

use super::{SlotRef, Word, view};

view! {
    /// One slot of 32 bytes.
    Slot[4] {
        /// First capability word; see [`crate::cap`].
        0 => word0, set_word0: u64;
        /// Second capability word.
        1 => word1, set_word1: u64;
        /// Previous slot of the list and the two flags.
        2 => node, set_node: MdbNode;
        /// Next slot of the list.
        3 => next, set_next: Option<SlotRef>;
    }
}

/// Previous neighbour and flags of a slot in its derivation list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MdbNode {
    /// Previous slot of the list.
    pub prev: Option<SlotRef>,
    /// Flag R: the capability is independently revocable.
    pub revocable: bool,
    /// Flag F: the capability is the first of its badge.
    pub first_badged: bool,
}

const REVOCABLE: u64 = 1;
const FIRST_BADGED: u64 = 2;
const FLAGS: u64 = 31;

impl Word for MdbNode {
    #[inline]
    fn from_word(word: u64) -> Self {
        Self {
            prev: SlotRef::new(word & !FLAGS),
            revocable: word & REVOCABLE != 0,
            first_badged: word & FIRST_BADGED != 0,
        }
    }
    #[inline]
    fn to_word(self) -> u64 {
        self.prev.to_word()
            | if self.revocable { REVOCABLE } else { 0 }
            | if self.first_badged { FIRST_BADGED } else { 0 }
    }
}

impl Slot<'_> {
    /// Replaces the previous neighbour, not the flags.
    #[inline]
    pub fn set_prev(self, prev: Option<SlotRef>) {
        self.0[2].set((self.0[2].get() & FLAGS) | prev.to_word());
    }

    /// Replaces the previous neighbour; the slot is the first of its badge if it was or if `first_badged`.
    #[inline]
    pub fn set_prev_and_first(self, prev: Option<SlotRef>, first_badged: bool) {
        let first = if first_badged { FIRST_BADGED } else { 0 };
        self.0[2].set((self.0[2].get() & FLAGS) | first | prev.to_word());
    }
}

const _: () = assert!(Slot::WORDS * 8 == 1 << hybrid_abi::object::SLOT_BITS);
