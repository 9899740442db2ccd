//! Capabilities and memory: lists well-formed, objects disjoint, nothing refers to memory that was given back.

use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::model_tests::machine::{Machine, RAM_START};
use crate::object::SlotRef;

/// INV-CDT-1, and encodings round-trip.
pub(super) fn derivation<const N: usize>(k: &Kernel<Machine<N>>, caps: &[(SlotRef, Cap)]) {
    let mut heads = Vec::new();
    for (slot, cap) in caps {
        let view = k.slot(*slot);
        let words = k.words(*slot);
        let words = if matches!(cap, Cap::Untyped { .. }) { words.with_incarnation(0) } else { words };
        assert_eq!(words, cap.words(), "encoding of {cap:?}");
        assert_ne!(*cap, Cap::Null, "words that are no capability: {:#x}", view.word0());
        if let Some(next) = view.next() {
            assert_eq!(k.slot(next).node().prev, Some(*slot), "list broken after {cap:?}");
            assert_ne!(k.cap(next), Cap::Null, "list contains an empty slot");
        }
        match view.node().prev {
            Some(prev) => assert_eq!(k.slot(prev).next(), Some(*slot), "list broken before {cap:?}"),
            None => heads.push(*slot),
        }
    }
    // INV-LISTING-1: one list, and no ring beside it.
    assert_eq!(heads, Vec::from_iter(k.first_slot.get()));
    let mut reached = 0;
    let mut at = k.first_slot.get();
    while let Some(slot) = at {
        reached += 1;
        assert!(reached <= caps.len(), "list without end");
        at = k.slot(slot).next();
    }
    let cursor = k.audit_next.get();
    assert!(cursor.is_none_or(|at| caps.iter().any(|(slot, _)| *slot == at)), "the audit goes on nowhere: {cursor:x?}");
    assert_eq!(reached, caps.len(), "a ring of slots beside the list");
}

/// Objects of different kinds do not overlap.
pub(super) fn objects_do_not_overlap(caps: &[(SlotRef, Cap)]) {
    let mut used: Vec<(u64, u64, Cap)> = caps
        .iter()
        .filter(|(_, cap)| !matches!(cap, Cap::Untyped { .. }))
        .filter_map(|(_, cap)| cap.memory().map(|(base, bits)| (base, base + (1 << bits), *cap)))
        .collect();
    used.sort_unstable_by_key(|(base, ..)| *base);
    for neighbours in used.windows(2) {
        let [(base, end, cap), (other_base, other_end, other)] = *neighbours else { unreachable!() };
        if base == other_base {
            assert_eq!(end, other_end, "objects of different sizes at {base:#x}: {cap:?} {other:?}");
            assert!(kind(cap) == kind(other), "two kinds of objects at one place: {cap:?} {other:?}");
        } else {
            assert!(end <= other_base, "overlap: {cap:?} {other:?}");
        }
    }
}

/// Kind of an object; a zombie is still what it was.
fn kind(cap: Cap) -> u64 {
    match cap {
        Cap::Zombie { kind: crate::cap::ZombieKind::Tcb, .. } => hybrid_abi::cap_tag::TCB,
        Cap::Zombie { kind: crate::cap::ZombieKind::CNode { .. }, .. } => hybrid_abi::cap_tag::CNODE,
        Cap::Zombie { kind: crate::cap::ZombieKind::Endpoint, .. } => hybrid_abi::cap_tag::ENDPOINT,
        Cap::Zombie { kind: crate::cap::ZombieKind::Notification, .. } => hybrid_abi::cap_tag::NOTIFICATION,
        other => other.tag(),
    }
}

/// INV-UNTYPED-1 (memory above a watermark is zero and clean), children lie below it, and whatever lies in an untyped's
/// memory descends from it: there is no capability to memory that was given back.
pub(super) fn untyped_memory<const N: usize>(k: &Kernel<Machine<N>>, caps: &[(SlotRef, Cap)]) {
    let mut ranges: Vec<(u64, u64, SlotRef)> = caps
        .iter()
        .filter_map(|(slot, cap)| cap.memory().map(|(base, bits)| (base, base + ((1u64 << bits) - 1), *slot)))
        .collect();
    ranges.sort_unstable();
    let mut run = Vec::new();
    for (slot, cap) in caps {
        let Cap::Untyped { base, bits, watermark, is_device } = *cap else { continue };
        let bytes = 1u64 << bits;
        assert!(watermark <= bytes);
        run.clear();
        let mut child = k.slot(*slot).next();
        while let Some(next) = child
            && k.is_parent_of(*slot, next)
        {
            let (at, size) = k.cap(next).memory().unwrap();
            assert!(at + (1 << size) <= base + watermark, "child above the watermark: {:?} {cap:?}", k.cap(next));
            run.push(next);
            child = k.slot(next).next();
        }
        run.sort_unstable();
        let end = base + (bytes - 1);
        let from = ranges.partition_point(|(start, ..)| *start < base);
        for (start, last, other) in ranges[from..].iter().take_while(|(start, ..)| *start <= end) {
            // Another untyped of the same memory is this one's ancestor or descendant.
            if *last <= end && other != slot && (*start, *last) != (base, end) {
                assert!(run.binary_search(other).is_ok(), "{:?} is in {cap:?} but not its child", k.cap(*other));
            }
        }
        if !is_device && base >= RAM_START {
            let (free, length) = (base + watermark, bytes - watermark);
            assert!(k.platform.is_zero(free, length), "free memory of {cap:?} is not zero");
            assert!(!k.platform.hardware.is_dirty(free - RAM_START, length), "free memory of {cap:?} is not clean");
        }
    }
}
