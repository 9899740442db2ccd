//! The Audit object: the listing is what exists, whatever happens between two calls; ids do not come again.

use std::collections::{BTreeMap, BTreeSet};

use hybrid_abi::extension::{AUDIT_ENTRIES, AUDIT_LIST};
use hybrid_abi::object::ObjectType;
use hybrid_abi::syscall::Syscall;
use proptest::prelude::*;

use crate::cap::{Cap, Words};
use crate::model_tests::capabilities::{Command, Pair, cases, command};
use crate::model_tests::capability_model::Node;
use crate::model_tests::invariants::{check, occupied};
use crate::model_tests::world::{Answer, World};

/// Everything by the calls, from the beginning: slot, flags, words.
fn listing(w: &World) -> Vec<(u64, u64, Words)> {
    let mut all = Vec::new();
    loop {
        let words = w.ok(audit(w), AUDIT_LIST, &[u64::from(!all.is_empty())], &[]);
        if words.is_empty() {
            return all;
        }
        assert!(words.len() <= 3 * AUDIT_ENTRIES && words.len().is_multiple_of(3));
        all.extend(words.chunks(3).map(|entry| (entry[0] & !31, entry[0] & 31, Words(entry[1], entry[2]))));
    }
}

fn audit(w: &World) -> u64 {
    let slot = (0..200).find(|slot| matches!(w.cap(*slot), Cap::Audit { .. }));
    slot.expect("the Audit capability is in the root CNode")
}

/// The listing is what a walk over all CNodes and threads finds.
fn compare(w: &World) {
    let told: BTreeMap<u64, (u64, Words)> = listing(w).into_iter().map(|entry| (entry.0, (entry.1, entry.2))).collect();
    let found: BTreeMap<u64, (u64, Words)> = occupied(&w.k)
        .into_iter()
        .map(|slot| {
            let node = w.k.slot(slot).node();
            (slot.paddr(), (u64::from(node.revocable) | u64::from(node.first_badged) << 1, w.k.words(slot)))
        })
        .collect();
    assert_eq!(told, found);
    assert_eq!(told.len(), listing(w).len(), "a slot was told twice");
}

/// Kind, address, and the incarnation of the smallest untyped memory around it.
type Id = (u64, u64, u64);

/// The ids of all objects, worked out as a reader of the listing has to.
fn ids(w: &World) -> BTreeSet<Id> {
    let all = listing(w);
    let untyped: Vec<_> = all.iter().filter(|entry| matches!(Cap::of(entry.2), Cap::Untyped { .. })).collect();
    let id = |cap: Cap| {
        let (at, bits) = cap.memory()?;
        let around = untyped.iter().filter(|entry| {
            let (base, size, _) = entry.2.untyped();
            base <= at && at + (1 << bits) <= base + (1 << size)
        });
        // Of two of one size the later in the list was derived from the earlier.
        let nearest =
            around.min_by_key(|entry| (entry.2.untyped().1, std::cmp::Reverse(all.iter().position(|e| e == **entry))));
        nearest.map(|entry| (cap.tag(), at, entry.2.0 >> 13))
    };
    let is_object = |cap: &Cap| !matches!(cap, Cap::Untyped { .. } | Cap::Zombie { .. });
    all.iter().map(|entry| Cap::of(entry.2)).filter(is_object).filter_map(id).collect()
}

proptest! {
    #![proptest_config(cases(200))]

    /// Whatever exists from the first call to the last is told exactly once, also what was moved; nothing is told that never was there.
    #[test]
    fn a_listing_that_is_interrupted_misses_nothing(
        steps in prop::collection::vec((command(), 0..4usize), 1..50),
        interval in prop_oneof![Just(None), (0..4u32).prop_map(Some)],
    ) {
        let mut pair = Pair::new();
        pair.w.k.work_limit.set(1);
        for (command, _) in steps.iter().take(steps.len() / 2) {
            pair.run(command);
        }
        compare(&pair.w);
        pair.w.preempt_every.set(interval);
        let mut stayed: BTreeSet<Node> = pair.model.entries.keys().copied().collect();
        let mut told: BTreeMap<Node, u32> = BTreeMap::new();
        pair.w.k.audit_next.set(pair.w.k.first_slot.get());
        let thread = pair.w.root;
        let mut tell = |pair: &Pair, entries: usize| {
            let nodes: BTreeMap<u64, Node> = pair.slots().into_iter().map(|(node, slot)| (slot.paddr(), node)).collect();
            let words: Vec<u64> = pair.w.k.listing(thread).take(3 * entries).collect();
            for entry in words.chunks(3) {
                if let Some(node) = nodes.get(&(entry[0] & !31)) {
                    assert_eq!(Cap::of(Words(entry[1], entry[2])), pair.model.entries[node].cap);
                    *told.entry(*node).or_default() += 1;
                }
            }
            words.len()
        };
        // Boot's own capabilities first.
        while pair.w.k.audit_next.get().is_some_and(|slot| !pair.slots().values().any(|own| *own == slot)) {
            tell(&pair, 1);
        }
        for (command, entries) in steps.iter().skip(steps.len() / 2) {
            pair.run(command);
            check(&pair.w.k);
            stayed.retain(|node| pair.model.entries.contains_key(node));
            tell(&pair, *entries);
        }
        while tell(&pair, 7) > 0 {}
        for node in &stayed {
            prop_assert_eq!(told.get(node), Some(&1), "{:?}", pair.model.entries.get(node));
        }
        prop_assert!(told.values().all(|times| *times == 1));
        compare(&pair.w);
    }

    /// An id that was gone does not come back, whatever memory is used again.
    #[test]
    fn ids_do_not_come_again(commands in prop::collection::vec(command(), 1..80)) {
        let mut pair = Pair::new();
        let (mut alive, mut gone) = (ids(&pair.w), BTreeSet::new());
        let mut run = |pair: &mut Pair, command: &Command| {
            pair.run(command);
            let now = ids(&pair.w);
            gone.extend(alive.difference(&now).copied());
            let again: Vec<_> = now.intersection(&gone).collect();
            assert!(again.is_empty(), "{again:x?} after {command:?}");
            alive = now;
        };
        for command in &commands {
            run(&mut pair, command);
        }
    }
}

/// One entry fits into the registers of a caller without a buffer; a Send starts a listing and tells nothing.
#[test]
fn a_caller_without_a_buffer_gets_one_entry_at_a_time() {
    let mut w = World::new(1 << 20);
    let all = listing(&w);
    w.make(ObjectType::Endpoint, 0);
    let slot = w.root.slot(crate::object::TcbSlot::Buffer);
    w.k.delete(slot).unwrap();
    let words = w.ok(audit(&w), AUDIT_LIST, &[0], &[]);
    assert_eq!((words.len(), words[0] & !31), (3, all[0].0));
    let next = w.ok(audit(&w), AUDIT_LIST, &[1], &[]);
    assert_eq!((next.len(), next[0] & !31), (3, all[1].0));
    w.send(Syscall::NbSend, audit(&w), AUDIT_LIST, &[0], &[]);
    assert_eq!(w.k.audit_next.get(), w.k.first_slot.get());
}

#[test]
fn refusals_do_not_move_the_place() {
    let w = World::new(1 << 20);
    let (slot, first) = (audit(&w), w.ok(audit(&w), AUDIT_LIST, &[0], &[]));
    let place = w.k.audit_next.get();
    assert_eq!(w.call(slot, AUDIT_LIST, &[], &[]), Answer::error(7, &[]));
    assert_eq!(w.call(slot, AUDIT_LIST, &[2], &[]), Answer::error(4, &[0, 1]));
    for label in (0..60).chain([AUDIT_LIST - 1, AUDIT_LIST + 1, 0x4850]) {
        assert_eq!(w.call(slot, label, &[0], &[]), Answer::error(3, &[]));
    }
    assert_eq!((w.k.audit_next.get(), first.len()), (place, 3 * AUDIT_ENTRIES));
    while !w.ok(slot, AUDIT_LIST, &[1], &[]).is_empty() {}
    assert!(w.ok(slot, AUDIT_LIST, &[1], &[]).is_empty(), "the end stays the end");
    check(&w.k);
}

/// No capability of boot is another's parent, whatever stands between them: they are as independent as in lists of their own.
#[test]
fn what_boot_makes_is_independent() {
    let w = World::<4>::with_cores(2 << 20);
    let root = w.k.platform.root_cnode.get();
    let slots: Vec<_> =
        occupied(&w.k).into_iter().filter(|slot| (root..root + (32 << 12)).contains(&slot.paddr())).collect();
    assert!(slots.len() > 30);
    for a in &slots {
        let parented = slots.iter().filter(|b| *b != a && w.k.is_parent_of(*a, **b));
        assert_eq!(parented.count(), 0, "{:?}", w.k.cap(*a));
    }
}
