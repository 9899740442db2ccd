//! The component's own free capability slots: for received, minted and copied capabilities.
//!
//! The set is bounded by the component's CNode. When it is empty, no capability can be received or sent
//! until one is given back; the message then arrives without it and is refused by its decoder.
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use hybrid_ipc::{CapSlot, CapToSend};
use hybrid_sys::{CNode, CPtr, MessageInfo, Rights, Slot, buffer};

/// At most so many slots are used, whatever the start information says.
const SLOTS_MAX: u32 = 256;
const NONE: u32 = 0;

/// Which slots are taken. Slot numbers are above 0, so that 0 can mean none.
pub(crate) struct SlotSet {
    first: AtomicU32,
    count: AtomicU32,
    taken: [AtomicU64; SLOTS_MAX as usize / 64],
}

impl SlotSet {
    pub(crate) const fn new() -> Self {
        let taken = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
        Self { first: AtomicU32::new(0), count: AtomicU32::new(0), taken }
    }

    /// The slots from `first` up to, but without, `end` are free from now on.
    pub(crate) fn set_range(&self, first: u32, end: u32) {
        let count = if first == NONE { 0 } else { end.saturating_sub(first).min(SLOTS_MAX) };
        self.first.store(first, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
    }

    /// A free slot, which is taken from now on.
    pub(crate) fn take(&self) -> Option<u32> {
        let count = self.count.load(Ordering::Relaxed);
        let index = (0..count).find(|index| self.mark(*index, true) == Some(false))?;
        Some(self.first.load(Ordering::Relaxed) + index)
    }

    /// Gives a slot back. False if it was not taken from here.
    pub(crate) fn give_back(&self, slot: u32) -> bool {
        let index = slot.checked_sub(self.first.load(Ordering::Relaxed));
        let index = index.filter(|index| *index < self.count.load(Ordering::Relaxed));
        index.and_then(|index| self.mark(index, false)) == Some(true)
    }

    /// Sets whether the slot is taken, and says whether it was.
    fn mark(&self, index: u32, is_taken: bool) -> Option<bool> {
        let word = self.taken.get(index as usize / 64)?;
        let bit = 1_u64 << (index % 64);
        let before =
            if is_taken { word.fetch_or(bit, Ordering::Relaxed) } else { word.fetch_and(!bit, Ordering::Relaxed) };
        Some(before & bit != 0)
    }
}

static FREE: SlotSet = SlotSet::new();
/// The component's own CNode, or [`NONE`].
static CNODE: AtomicU32 = AtomicU32::new(NONE);
/// The component's own endpoint, or [`NONE`].
static ENDPOINT: AtomicU32 = AtomicU32::new(NONE);
/// The empty slot that the kernel was told to put the next received capability into, or [`NONE`].
static ARMED: AtomicU32 = AtomicU32::new(NONE);
/// The slot whose capability was sent last and is still there, or [`NONE`].
static SENT: AtomicU32 = AtomicU32::new(NONE);

/// Tells which slots and objects the component has; once, at its start.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "a host has no start information"))]
pub(crate) fn set_up(cnode: Option<u32>, endpoint: Option<u32>, (first, end): (u32, u32)) {
    CNODE.store(cnode.unwrap_or(NONE), Ordering::Relaxed);
    ENDPOINT.store(endpoint.unwrap_or(NONE), Ordering::Relaxed);
    if cnode.is_some() {
        FREE.set_range(first, end);
    }
}

fn own_slot(slot: u32) -> Option<Slot> {
    match CNODE.load(Ordering::Relaxed) {
        NONE => None,
        cnode => Some(CNode::at(cnode.into()).own_slot(slot.into())),
    }
}

/// Deletes a capability and frees its slot. A slot that does not become empty is never used again.
pub(crate) fn delete(cap: CapSlot) {
    let is_empty = own_slot(cap.0).is_some_and(|slot| slot.delete().is_ok());
    if is_empty {
        FREE.give_back(cap.0);
    }
}

/// Whether [`prepare`] finds a slot for a capability: an empty one, or that of what was sent last.
pub(crate) fn can_send() -> bool {
    SENT.load(Ordering::Relaxed) != NONE || FREE.take().is_some_and(|slot| FREE.give_back(slot))
}

/// Takes an empty slot and forgets it. False if there is none left.
#[cfg(feature = "faults")]
pub(crate) fn take_for_ever() -> bool {
    FREE.take().is_some()
}

/// Makes sure that the next message can bring a capability, if any slot is free.
pub(crate) fn arm() {
    let cnode = CNODE.load(Ordering::Relaxed);
    if cnode == NONE || ARMED.load(Ordering::Relaxed) != NONE {
        return;
    }
    match FREE.take() {
        Some(slot) => {
            ARMED.store(slot, Ordering::Relaxed);
            buffer::set_receive_slot(CPtr(cnode.into()), slot.into(), 64);
        }
        None => buffer::set_receive_slot(CPtr::NULL, 0, 0),
    }
}

/// The slot that a message's capability arrived in, if it brought one.
pub(crate) fn arrived(info: MessageInfo) -> Option<CapSlot> {
    // An unwrapped capability is a badge, not a capability; only the rest uses the slot.
    let has_cap = info.extra_caps() > info.caps_unwrapped().count_ones() as usize;
    if !has_cap {
        return None;
    }
    match ARMED.swap(NONE, Ordering::Relaxed) {
        NONE => None,
        slot => Some(CapSlot(slot)),
    }
}

/// Makes the capability to send and puts it into the IPC buffer. False if there is no slot or no such capability:
/// then the message goes without it.
///
/// This invokes the kernel: write the message's own words into the IPC buffer afterwards.
pub(crate) fn prepare(cap: Option<CapToSend>) -> Option<CPtr> {
    let previous = SENT.load(Ordering::Relaxed);
    if previous != NONE {
        SENT.store(NONE, Ordering::Relaxed);
        delete(CapSlot(previous));
    }
    let cap = cap?;
    let slot = FREE.take()?;
    let Some(made) = own_slot(slot).and_then(|target| make(target, cap)) else {
        FREE.give_back(slot);
        return None;
    };
    SENT.store(slot, Ordering::Relaxed);
    Some(made)
}

fn make(target: Slot, cap: CapToSend) -> Option<CPtr> {
    let made = match cap {
        CapToSend::Object(badge) => {
            let endpoint = ENDPOINT.load(Ordering::Relaxed);
            let source = own_slot(endpoint).filter(|_| endpoint != NONE)?;
            // Write and GrantReply: what a call needs, and no more.
            target.mint_from(source, Rights::WRITE.or(Rights::GRANT_REPLY), badge.0)
        }
        CapToSend::Copy { slot, rights } => {
            let read = if rights.can_read { Rights::READ } else { Rights::NONE };
            let write = if rights.can_write { Rights::WRITE } else { Rights::NONE };
            target.copy_from(own_slot(slot.0)?, read.or(write))
        }
    };
    made.ok().map(|()| CPtr(target.index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn slots_are_given_once_and_only_from_the_range() {
        let set = SlotSet::new();
        assert_eq!(set.take(), None);
        set.set_range(128, 131);
        assert_eq!([set.take(), set.take(), set.take(), set.take()], [Some(128), Some(129), Some(130), None]);
        assert!(!set.give_back(127) && !set.give_back(131) && !set.give_back(u32::MAX) && set.give_back(129));
        assert!(!set.give_back(129));
        assert_eq!(set.take(), Some(129));
    }

    #[test]
    fn slots_of_a_hostile_range_are_bounded() {
        for (first, end) in [(0, u32::MAX), (5, 5), (9, 3)] {
            let set = SlotSet::new();
            set.set_range(first, end);
            assert_eq!(set.take(), None, "{first} {end}");
        }
        let set = SlotSet::new();
        set.set_range(10, u32::MAX);
        assert_eq!((0..1000).map_while(|_| set.take()).count(), SLOTS_MAX as usize);
    }

    #[test]
    fn capability_arrives_only_when_one_was_not_unwrapped() {
        ARMED.store(130, Ordering::Relaxed);
        assert_eq!(arrived(MessageInfo::new(1, 0, 0, 4)), None);
        assert_eq!(arrived(MessageInfo::new(1, 1, 1, 4)), None);
        assert_eq!(arrived(MessageInfo::new(1, 0, 1, 4)), Some(CapSlot(130)));
        assert_eq!(arrived(MessageInfo::new(1, 0, 1, 4)), None);
    }

    proptest! {
        #[test]
        fn slots_under_random_use_equal_a_set(steps in proptest::collection::vec(proptest::option::of(100_u32..140), 0..200)) {
            let set = SlotSet::new();
            set.set_range(100, 140);
            let mut taken = BTreeSet::new();
            for step in steps {
                match step {
                    None => match set.take() {
                        Some(slot) => prop_assert!((100..140).contains(&slot) && taken.insert(slot)),
                        None => prop_assert_eq!(taken.len(), 40),
                    },
                    Some(slot) => prop_assert_eq!(set.give_back(slot), taken.remove(&slot)),
                }
            }
        }
    }
}
