//! Random capability operations: kernel and abstract model give the same answers and the same trees.

use std::collections::{BTreeMap, BTreeSet};

use hybrid_abi::label as l;
use hybrid_abi::object::ObjectType;
use proptest::prelude::*;

use crate::cap::Cap;
use crate::cspace::slot_of;
use crate::model_tests::capability_model::{Model, Node, Place};
use crate::model_tests::invariants::{check, occupied};
use crate::model_tests::world::{Answer, CNODE, World};
use crate::object::{CNodeRef, SlotRef, TcbRef};

/// Root slots that commands use.
const WINDOW: u64 = 14;

/// Where a command points: a root slot, or slot `inner` of the CNode in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) outer: u64,
    inner: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) enum Command {
    Retype { untyped: u64, kind: ObjectType, size: u64, target: At, count: u64 },
    Copy { source: At, target: At, rights: u64 },
    Mint { source: At, target: At, rights: u64, data: u64 },
    Move { source: At, target: At },
    Mutate { source: At, target: At, data: u64 },
    Rotate { source: At, pivot: At, target: At },
    Delete { target: At },
    Revoke { target: At },
    TimeoutHandler { thread: u64, handler: u64 },
}

fn at() -> impl Strategy<Value = At> {
    (0..WINDOW, prop_oneof![3 => Just(None), 2 => (0..4u64).prop_map(Some)])
        .prop_map(|(outer, inner)| At { outer, inner })
}

fn kind() -> impl Strategy<Value = (ObjectType, u64)> {
    prop_oneof![
        2 => (3..13u64).prop_map(|bits| (ObjectType::Untyped, bits)),
        2 => Just((ObjectType::Endpoint, 0)),
        1 => Just((ObjectType::Notification, 0)),
        3 => (0..3u64).prop_map(|radix| (ObjectType::CapTable, radix)),
        2 => Just((ObjectType::Tcb, 0)),
        1 => (6..9u64).prop_map(|bits| (ObjectType::SchedContext, bits)),
        1 => Just((ObjectType::Reply, 0)),
        1 => Just((ObjectType::SmallPage, 0)),
    ]
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let data = prop_oneof![Just(0u64), 1..4u64, (0..64u64).prop_map(|size| size | (5 << 6))];
    prop_oneof![
        5 => (0..WINDOW, kind(), at(), 0..4u64)
            .prop_map(|(untyped, (kind, size), target, count)| Command::Retype { untyped, kind, size, target, count }),
        3 => (at(), at(), 0..16u64).prop_map(|(source, target, rights)| Command::Copy { source, target, rights }),
        4 => (at(), at(), 0..16u64, data.clone())
            .prop_map(|(source, target, rights, data)| Command::Mint { source, target, rights, data }),
        2 => (at(), at()).prop_map(|(source, target)| Command::Move { source, target }),
        1 => (at(), at(), data).prop_map(|(source, target, data)| Command::Mutate { source, target, data }),
        1 => (at(), at(), at()).prop_map(|(source, pivot, target)| Command::Rotate { source, pivot, target }),
        2 => at().prop_map(|target| Command::Delete { target }),
        1 => at().prop_map(|target| Command::Revoke { target }),
        1 => (0..WINDOW, 0..WINDOW).prop_map(|(thread, handler)| Command::TimeoutHandler { thread, handler }),
    ]
}

/// Kernel and model side by side.
pub(super) struct Pair {
    pub(super) w: World,
    pub(super) model: Model,
    root: u64,
    first: u64,
}

/// How a place is named in a call: CNode capability, index, depth.
type Address = (u64, u64, u64);

impl Pair {
    pub(super) fn new() -> Self {
        let mut w = World::new(1 << 20);
        let first = w.free_slot();
        for _ in 1..WINDOW {
            w.free_slot();
        }
        let Cap::CNode { at, .. } = w.cap(CNODE) else { panic!() };
        let mut pair = Self { w, model: Model::default(), root: at.paddr(), first };
        // A 64 KiB piece of boot memory is the world of the model.
        let boot = pair.w.largest_untyped();
        pair.w.ok(boot, l::UNTYPED_RETYPE, &[0, 16, 0, 0, first, 1], &[CNODE]);
        let cap = pair.w.cap(first);
        pair.model.insert_root(Place { container: pair.root, index: first }, cap);
        pair
    }

    /// The place and its address; `None` if `inner` is meant and the root slot holds no CNode with that slot.
    fn locate(&self, at: At) -> Option<(Place, Address)> {
        let outer = Place { container: self.root, index: self.first + at.outer };
        let Some(inner) = at.inner else { return Some((outer, (CNODE, outer.index, 64))) };
        match self.model.cap_at(outer)? {
            Cap::CNode { at, radix, guard_size, guard } if inner < 1 << radix => {
                let place = Place { container: at.paddr(), index: inner };
                let depth = u64::from(guard_size) + u64::from(radix);
                Some((place, (outer.index, (guard << radix) | inner, depth)))
            }
            _ => None,
        }
    }

    /// What kernel and model answer; `None` for commands that point nowhere.
    pub(super) fn run(&mut self, command: &Command) -> Option<(Answer, Answer)> {
        Some(match command {
            Command::Retype { untyped, kind, size, target, count } => {
                let (place, (cnode, index, _)) = self.locate(*target)?;
                let source = Place { container: self.root, index: self.first + untyped };
                // Retype names the CNode and an offset in it, not a slot.
                let (caps, offset) = if cnode == CNODE { (CNODE, index) } else { (cnode, place.index) };
                let slots = self.slots_of(place.container);
                let words = [kind.number(), *size, 0, 0, offset, *count];
                let is_cnode =
                    matches!(self.model.cap_at(source), Some(Cap::CNode { .. } | Cap::Tcb { .. } | Cap::Reply { .. }));
                if is_cnode
                    || matches!(self.model.cap_at(source), Some(Cap::Endpoint { .. } | Cap::Notification { .. }))
                {
                    return None;
                }
                let kernel = self.w.call(source.index, l::UNTYPED_RETYPE, &words, &[caps]);
                let model = self.model.retype(source, *kind, *size, place, slots, *count);
                (kernel, model)
            }
            Command::Copy { source, target, rights } => {
                let ((from, s), (to, t)) = (self.locate(*source)?, self.locate(*target)?);
                let kernel = self.w.call(t.0, l::CNODE_COPY, &[t.1, t.2, s.1, s.2, *rights], &[s.0]);
                (kernel, fix_depth(self.model.copy(from, to, *rights, None), s.2))
            }
            Command::Mint { source, target, rights, data } => {
                let ((from, s), (to, t)) = (self.locate(*source)?, self.locate(*target)?);
                let kernel = self.w.call(t.0, l::CNODE_MINT, &[t.1, t.2, s.1, s.2, *rights, *data], &[s.0]);
                (kernel, fix_depth(self.model.copy(from, to, *rights, Some(*data)), s.2))
            }
            Command::Move { source, target } => {
                let ((from, s), (to, t)) = (self.locate(*source)?, self.locate(*target)?);
                let kernel = self.w.call(t.0, l::CNODE_MOVE, &[t.1, t.2, s.1, s.2], &[s.0]);
                (kernel, fix_depth(self.model.relocate(from, to, None), s.2))
            }
            Command::Mutate { source, target, data } => {
                let ((from, s), (to, t)) = (self.locate(*source)?, self.locate(*target)?);
                let kernel = self.w.call(t.0, l::CNODE_MUTATE, &[t.1, t.2, s.1, s.2, *data], &[s.0]);
                (kernel, fix_depth(self.model.relocate(from, to, Some(*data)), s.2))
            }
            Command::Rotate { source, pivot, target } => {
                let ((a, s), (b, p), (c, t)) = (self.locate(*source)?, self.locate(*pivot)?, self.locate(*target)?);
                let words = [t.1, t.2, 0, p.1, p.2, 0, s.1, s.2];
                let kernel = self.w.call(t.0, l::CNODE_ROTATE, &words, &[p.0, s.0]);
                let model = self.model.rotate(a, b, c);
                let depth = if model.words.first() == Some(&1) { s.2 } else { p.2 };
                (kernel, fix_depth(model, depth))
            }
            Command::Delete { target } => {
                let (place, t) = self.locate(*target)?;
                (self.w.call(t.0, l::CNODE_DELETE, &[t.1, t.2], &[]), self.model.delete(place))
            }
            Command::Revoke { target } => {
                let (place, t) = self.locate(*target)?;
                (self.w.call(t.0, l::CNODE_REVOKE, &[t.1, t.2], &[]), self.model.revoke(place))
            }
            Command::TimeoutHandler { thread, handler } => {
                let place = |n: u64| Place { container: self.root, index: self.first + n };
                let (thread, handler) = (place(*thread), place(*handler));
                if !matches!(self.model.cap_at(thread), Some(Cap::Tcb { .. })) {
                    return None;
                }
                let kernel = self.w.call(thread.index, l::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler.index]);
                (kernel, self.model.set_timeout_handler(thread, handler))
            }
        })
    }

    fn slots_of(&self, container: u64) -> u64 {
        if container == self.root {
            return 4096;
        }
        let radix = self.model.entries.values().find_map(|entry| match entry.cap {
            Cap::CNode { at, radix, .. } if at.paddr() == container => Some(radix),
            _ => None,
        });
        1 << radix.unwrap()
    }

    fn slot(place: Place, threads: &BTreeSet<u64>) -> SlotRef {
        if threads.contains(&place.container) {
            TcbRef::new(place.container).unwrap().slot_at(place.index).unwrap()
        } else {
            slot_of(CNodeRef::new(place.container).unwrap(), place.index).unwrap()
        }
    }

    /// Where the kernel keeps each capability of the model.
    pub(super) fn slots(&self) -> BTreeMap<Node, SlotRef> {
        let threads: BTreeSet<u64> = self
            .model
            .entries
            .values()
            .filter_map(|entry| if let Cap::Tcb { at } = entry.cap { Some(at.paddr()) } else { None })
            .collect();
        self.model.entries.iter().map(|(node, entry)| (*node, Self::slot(entry.place, &threads))).collect()
    }

    /// Every place holds what the model says, and every capability has the descendants that the model says.
    fn compare(&self) {
        check(&self.w.k);
        let slots = self.slots();
        let nodes: BTreeMap<SlotRef, Node> = slots.iter().map(|(node, slot)| (*slot, *node)).collect();
        for (node, slot) in &slots {
            assert_eq!(self.w.k.cap(*slot), self.model.entries[node].cap, "content of {:?}", self.model.entries[node]);
            let mut found = BTreeSet::new();
            let mut next = self.w.k.slot(*slot).next();
            while let Some(child) = next
                && self.w.k.is_parent_of(*slot, child)
            {
                found.insert(
                    nodes.get(&child).copied().unwrap_or_else(|| panic!("unknown child {:?}", self.w.k.cap(child))),
                );
                next = self.w.k.slot(child).next();
            }
            assert_eq!(found, self.model.descendants(*node), "descendants of {:?}", self.model.entries[node]);
            let object = self.model.entries[node].cap.memory();
            let is_other =
                |other: Node, cap: Cap| other != *node && !matches!(cap, Cap::Untyped { .. }) && cap.memory() == object;
            let is_last = !self.model.entries.iter().any(|(other, entry)| is_other(*other, entry.cap));
            if !matches!(self.model.entries[node].cap, Cap::Untyped { .. }) {
                assert_eq!(self.w.k.is_final(*slot), is_last);
            }
        }
        // Nothing exists in the model's memory that the model does not know.
        let memory = self.model.entries.values().next().and_then(|entry| entry.cap.memory());
        if let Some((base, _)) = memory.filter(|memory| memory.1 == 16) {
            for slot in occupied(&self.w.k) {
                let is_inside = self
                    .w
                    .k
                    .cap(slot)
                    .memory()
                    .is_some_and(|(at, bits)| at >= base && at + (1 << bits) <= base + (1 << 16));
                assert!(!is_inside || nodes.contains_key(&slot), "unknown capability {:?}", self.w.k.cap(slot));
            }
        }
    }
}

/// The model reports depth 64; calls report the depth that was given.
fn fix_depth(mut answer: Answer, depth: u64) -> Answer {
    if answer.label == 6 && answer.words.len() == 3 {
        answer.words[2] = depth;
    }
    answer
}

/// Cases of a run: few in the ordinary test run, more by `HYBRID_MODEL_CASES`.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("HYBRID_MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_operations_agree_with_the_model(
        commands in prop::collection::vec(command(), 1..60),
        interval in prop_oneof![Just(None), (0..4u32).prop_map(Some)],
    ) {
        let mut pair = Pair::new();
        pair.w.k.work_limit.set(1);
        pair.w.preempt_every.set(interval);
        for command in &commands {
            if let Some((kernel, model)) = pair.run(command) {
                prop_assert_eq!(kernel, model, "{:?}", command);
                pair.compare();
            }
        }
    }
}

/// A tree of CNodes with threads inside, deleted with a preemption at every possible point.
#[test]
fn nested_deletion_ends_the_same_wherever_it_is_preempted() {
    let build = || {
        let mut w = World::new(1 << 20);
        let outer = w.make(ObjectType::CapTable, 2);
        for n in 0..3u64 {
            let inner = w.make(ObjectType::CapTable, 2);
            let thread = w.make(ObjectType::Tcb, 0);
            let frame = w.make(ObjectType::SmallPage, 0);
            let deepest = w.make(ObjectType::CapTable, 1);
            w.ok(thread, l::TCB_CONFIGURE, &[0, 0, 0x1000], &[deepest, 3, frame]);
            for (index, slot) in [(0, thread), (1, frame), (3, deepest)] {
                w.ok(inner, l::CNODE_MOVE, &[index, 2, slot, 64], &[CNODE]);
            }
            w.ok(outer, l::CNODE_MOVE, &[n, 2, inner, 64], &[CNODE]);
        }
        w.k.work_limit.set(1);
        (w, outer)
    };
    let (w, outer) = build();
    w.ok(CNODE, l::CNODE_DELETE, &[outer, 64], &[]);
    let points = w.k.platform.asked.get();
    let expected = occupied(&w.k);
    assert!(points > 20);
    for n in 0..=points {
        let (w, outer) = build();
        w.k.platform.countdown.set(Some(n));
        w.ok(CNODE, l::CNODE_DELETE, &[outer, 64], &[]);
        assert_eq!(occupied(&w.k), expected, "preempted at {n}");
        check(&w.k);
    }
}

/// Two capabilities with one badge, minted apart, are no relatives, not even when one's parent is gone.
#[test]
fn equal_badges_minted_apart_are_revoked_apart() {
    let mut w = World::new(1 << 20);
    let endpoint = w.make(ObjectType::Endpoint, 0);
    let first = w.mint(endpoint, 15, 5);
    let copy = w.copy(first, 15);
    let second = w.mint(endpoint, 15, 5);
    w.ok(CNODE, l::CNODE_REVOKE, &[second, 64], &[]);
    assert!([first, copy].iter().all(|slot| w.cap(*slot) != Cap::Null));
    w.ok(CNODE, l::CNODE_DELETE, &[first, 64], &[]);
    w.ok(CNODE, l::CNODE_REVOKE, &[second, 64], &[]);
    assert_ne!(w.cap(copy), Cap::Null);
    w.ok(CNODE, l::CNODE_REVOKE, &[endpoint, 64], &[]);
    assert!([copy, second].iter().all(|slot| w.cap(*slot) == Cap::Null));
    check(&w.k);
}
