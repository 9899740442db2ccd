//! What a thread can name: every slot of its capability space with its CPtr, and the CNodes to name slots by.

use crate::cap::Cap;
use crate::model_tests::world_storm::dice::Dice;
use crate::model_tests::world_storm::oracle::K;
use crate::object::{CNodeRef, EndpointState, SlotRef, TcbRef, TcbSlot, ThreadState};

/// One occupied slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) cptr: u64,
    pub(super) cap: Cap,
}

/// A slot named for a CNode operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// CPtr of the CNode capability.
    pub(super) root: u64,
    pub(super) index: u64,
    pub(super) depth: u64,
    /// Number of the slot in its CNode.
    pub(super) slot: u64,
}

/// Everything that the current thread can name.
pub(super) struct Census<'k, const N: usize> {
    k: &'k K<N>,
    pub(super) known: Vec<Known>,
    /// Slots of the root CNode beyond this one are not looked at.
    end: u64,
}

impl<'k, const N: usize> Census<'k, N> {
    pub(super) fn of(k: &'k K<N>, thread: TcbRef, end: u64) -> Self {
        let mut census = Self { k, known: Vec::new(), end };
        census.walk(k.cap(thread.slot(TcbSlot::CSpace)), 0, 0, 3);
        census
    }

    fn slots(&self, at: CNodeRef, radix: u8) -> u64 {
        let slots = 1u64 << radix;
        if at.paddr() == self.k.platform.root_cnode.get() { slots.min(self.end) } else { slots }
    }

    fn walk(&mut self, node: Cap, prefix: u64, used: u64, levels: u32) {
        let Cap::CNode { at, radix, guard_size, guard } = node else { return };
        let used = used + u64::from(radix) + u64::from(guard_size);
        if used > 64 || self.known.len() > 400 {
            return;
        }
        for n in 0..self.slots(at, radix) {
            let slot = SlotRef::new(at.paddr() + 32 * n).unwrap();
            let cap = self.k.cap(slot);
            if cap == Cap::Null {
                continue;
            }
            let guarded = prefix.unbounded_shl(u32::from(guard_size)) | guard;
            let prefix = guarded.unbounded_shl(u32::from(radix)) | n;
            let cptr = prefix.unbounded_shl(u32::try_from(64 - used).unwrap());
            if used == 64 || !matches!(cap, Cap::CNode { .. }) {
                self.known.push(Known { cptr, cap });
            } else if levels > 0 {
                self.walk(cap, prefix, used, levels - 1);
            }
        }
    }

    /// Nobody else could run now.
    pub(super) fn is_alone(&self) -> bool {
        self.k.this_core().ready.highest().is_none()
    }

    /// CPtr of a reply object that a caller waits on.
    pub(super) fn answerable(&self, dice: &mut Dice<'_>) -> Option<u64> {
        let waits = |cap| match cap {
            Cap::Reply { at, .. } => {
                let caller = self.k.reply(at).thread();
                caller.is_some_and(|caller| self.k.tcb(caller).state() == ThreadState::BlockedOnReply)
            }
            _ => false,
        };
        let fitting: Vec<u64> = self.known.iter().filter(|known| waits(known.cap)).map(|known| known.cptr).collect();
        if fitting.is_empty() { None } else { Some(dice.pick(&fitting)) }
    }

    /// What waits at the endpoint that this CPtr names.
    pub(super) fn endpoint_state(&self, cptr: u64) -> Option<EndpointState> {
        match self.known.iter().find(|known| known.cptr == cptr)?.cap {
            Cap::Endpoint { at, .. } => Some(self.k.endpoint(at).state()),
            _ => None,
        }
    }

    /// CPtr of a capability that satisfies this, or of any.
    pub(super) fn find(&self, dice: &mut Dice<'_>, is_wanted: impl Fn(Cap) -> bool) -> u64 {
        let fitting: Vec<u64> =
            self.known.iter().filter(|known| is_wanted(known.cap)).map(|known| known.cptr).collect();
        if fitting.is_empty() { self.any(dice) } else { dice.pick(&fitting) }
    }

    pub(super) fn any(&self, dice: &mut Dice<'_>) -> u64 {
        if self.known.is_empty() { dice.word() } else { dice.pick(&self.known).cptr }
    }

    /// The path of a slot, occupied by what satisfies this, or empty.
    pub(super) fn path(&self, dice: &mut Dice<'_>, is_wanted: impl Fn(Cap) -> bool) -> Path {
        let cnodes: Vec<Known> =
            self.known.iter().filter(|known| matches!(known.cap, Cap::CNode { .. })).copied().collect();
        if cnodes.is_empty() {
            return Path { root: self.any(dice), index: dice.below(64), depth: 64, slot: dice.below(64) };
        }
        let Known { cptr, cap } = dice.pick(&cnodes);
        let Cap::CNode { at, radix, guard_size, guard } = cap else { unreachable!() };
        let fitting: Vec<u64> = (0..self.slots(at, radix))
            .filter(|n| is_wanted(self.k.cap(SlotRef::new(at.paddr() + 32 * n).unwrap())))
            .collect();
        let slot = if fitting.is_empty() { dice.below(1 << radix) } else { dice.pick(&fitting) };
        let index = guard.unbounded_shl(u32::from(radix)) | slot;
        Path { root: cptr, index, depth: u64::from(radix) + u64::from(guard_size), slot }
    }
}
