//! The abstract model of capabilities: a map of places, a tree of parents, nothing clever.
//!
//! It knows no lists, flags, zombies or preemption. An object is named by its base address, a place by its container's
//! base address and an index, a capability by a number that it keeps when it moves.

use std::collections::{BTreeMap, BTreeSet};

use hybrid_abi::object::ObjectType;
use hybrid_abi::rights::Rights;

use crate::cap::{Cap, FrameSize, VmRights};
use crate::model_tests::world::Answer;
use crate::object::{CNodeRef, EndpointRef, NotificationRef, ReplyRef, SchedContextRef, TcbRef};

pub(crate) type Node = u64;

/// A slot: base address of the CNode or thread, and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) container: u64,
    pub(crate) index: u64,
}

/// One capability in the tree.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) cap: Cap,
    pub(crate) parent: Option<Node>,
    /// Copies of it become its children (else its siblings).
    can_be_parent: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) entries: BTreeMap<Node, Entry>,
    next: Node,
}

const SUCCESS: Answer = Answer { label: 0, words: Vec::new() };

fn error(label: u64, words: &[u64]) -> Answer {
    Answer::error(label, words)
}

fn missing(is_source: bool) -> Answer {
    error(6, &[u64::from(is_source), 2, 64])
}

impl Model {
    fn insert(&mut self, place: Place, cap: Cap, parent: Option<Node>, can_be_parent: bool) -> Node {
        assert!(self.at(place).is_none());
        self.next += 1;
        self.entries.insert(self.next, Entry { place, cap, parent, can_be_parent });
        self.next
    }

    pub(crate) fn insert_root(&mut self, place: Place, cap: Cap) {
        self.insert(place, cap, None, true);
    }

    pub(crate) fn at(&self, place: Place) -> Option<Node> {
        self.entries.iter().find(|(_, entry)| entry.place == place).map(|(node, _)| *node)
    }

    pub(crate) fn cap_at(&self, place: Place) -> Option<Cap> {
        self.at(place).map(|node| self.entries[&node].cap)
    }

    fn has_children(&self, node: Node) -> bool {
        self.entries.values().any(|entry| entry.parent == Some(node))
    }

    /// All nodes below one.
    pub(crate) fn descendants(&self, node: Node) -> BTreeSet<Node> {
        let mut found = BTreeSet::new();
        loop {
            let below = |entry: &Entry| entry.parent.is_some_and(|p| p == node || found.contains(&p));
            let more: Vec<Node> =
                self.entries.iter().filter(|(n, e)| !found.contains(*n) && below(e)).map(|(n, _)| *n).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// Base address of the object, for kinds that are destroyed with their last capability.
    fn object(cap: Cap) -> Option<u64> {
        match cap {
            Cap::Untyped { .. } => None,
            other => other.memory().map(|memory| memory.0),
        }
    }

    fn delete_node(&mut self, node: Node) {
        let Some(entry) = self.entries.remove(&node) else { return };
        for child in self.entries.values_mut().filter(|child| child.parent == Some(node)) {
            child.parent = entry.parent;
        }
        let Some(object) = Self::object(entry.cap) else { return };
        if self.entries.values().any(|other| Self::object(other.cap) == Some(object)) {
            return;
        }
        // The object dies; what it contains is deleted one by one.
        while let Some((inner, _)) = self.entries.iter().find(|(_, e)| e.place.container == object) {
            self.delete_node(*inner);
        }
    }

    pub(crate) fn delete(&mut self, place: Place) -> Answer {
        if let Some(node) = self.at(place) {
            self.delete_node(node);
        }
        SUCCESS
    }

    pub(crate) fn revoke(&mut self, place: Place) -> Answer {
        if let Some(node) = self.at(place) {
            while let Some(child) = self.descendants(node).first() {
                self.delete_node(*child);
            }
        }
        SUCCESS
    }

    /// A capability derived from `source` appears at `target`.
    fn derive(&mut self, source: Node, target: Place, cap: Cap) {
        let entry = self.entries[&source].clone();
        let is_rebadged = match (entry.cap, cap) {
            (Cap::Endpoint { badge: a, .. }, Cap::Endpoint { badge: b, .. })
            | (Cap::Notification { badge: a, .. }, Cap::Notification { badge: b, .. }) => a != b,
            (Cap::Untyped { .. }, _) => true,
            _ => false,
        };
        let parent = if entry.can_be_parent { Some(source) } else { entry.parent };
        self.insert(target, cap, parent, is_rebadged);
        if let Cap::Untyped { base, bits, is_device, .. } = entry.cap {
            let full = Cap::Untyped { base, bits, is_device, watermark: 1 << bits };
            self.entries.get_mut(&source).unwrap().cap = full;
        }
    }

    fn reduced(cap: Cap, mask: u64) -> Cap {
        match cap {
            Cap::Endpoint { at, badge, rights } => Cap::Endpoint { at, badge, rights: Rights(rights.0 & mask & 15) },
            Cap::Notification { at, badge, rights } => {
                Cap::Notification { at, badge, rights: Rights(rights.0 & mask & 15) }
            }
            Cap::Reply { at, can_grant } => Cap::Reply { at, can_grant: can_grant && mask & 4 != 0 },
            Cap::Frame { base, size, is_device, rights, mapping } => {
                let rights = match (rights, mask & 3) {
                    (VmRights::KernelOnly, _) | (_, 0 | 1) => VmRights::KernelOnly,
                    (VmRights::ReadWrite, 3) => VmRights::ReadWrite,
                    _ => VmRights::ReadOnly,
                };
                Cap::Frame { base, size, is_device, rights, mapping }
            }
            other => other,
        }
    }

    fn with_data(cap: Cap, data: u64, is_mint: bool) -> Option<Cap> {
        match cap {
            Cap::Endpoint { at, badge, rights } => {
                (is_mint && badge == 0).then_some(Cap::Endpoint { at, badge: data, rights })
            }
            Cap::Notification { at, badge, rights } => {
                (is_mint && badge == 0).then_some(Cap::Notification { at, badge: data, rights })
            }
            Cap::CNode { at, radix, .. } => {
                let (size, value) = (data % 64, data / 64);
                let guard = value & ((1 << size) - 1);
                (size + u64::from(radix) <= 64).then(|| Cap::CNode {
                    at,
                    radix,
                    guard_size: u8::try_from(size).unwrap(),
                    guard,
                })
            }
            other => Some(other),
        }
    }

    /// Copy (`data` = None) or Mint.
    pub(crate) fn copy(&mut self, source: Place, target: Place, rights: u64, data: Option<u64>) -> Answer {
        if self.at(target).is_some() {
            return error(8, &[]);
        }
        let Some(node) = self.at(source) else { return missing(true) };
        let mut cap = Self::reduced(self.entries[&node].cap, rights);
        if let Some(data) = data {
            match Self::with_data(cap, data, true) {
                Some(changed) => cap = changed,
                None => return error(3, &[]),
            }
        }
        if matches!(cap, Cap::Untyped { .. }) && self.has_children(node) {
            return error(9, &[]);
        }
        self.derive(node, target, cap);
        SUCCESS
    }

    /// Move (`data` = None) or Mutate.
    pub(crate) fn relocate(&mut self, source: Place, target: Place, data: Option<u64>) -> Answer {
        if self.at(target).is_some() {
            return error(8, &[]);
        }
        let Some(node) = self.at(source) else { return missing(true) };
        let mut cap = self.entries[&node].cap;
        if let Some(data) = data {
            match Self::with_data(cap, data, false) {
                Some(changed) => cap = changed,
                None => return error(3, &[]),
            }
        }
        let entry = self.entries.get_mut(&node).unwrap();
        entry.cap = cap;
        entry.place = target;
        SUCCESS
    }

    pub(crate) fn rotate(&mut self, source: Place, pivot: Place, target: Place) -> Answer {
        if pivot == source || pivot == target {
            return error(3, &[]);
        }
        if source != target && self.at(target).is_some() {
            return error(8, &[]);
        }
        let Some(source_node) = self.at(source) else { return missing(true) };
        let Some(pivot_node) = self.at(pivot) else { return missing(false) };
        let (a, b) = (self.entries[&source_node].cap, self.entries[&pivot_node].cap);
        let (Some(a), Some(b)) = (Self::with_data(a, 0, false), Self::with_data(b, 0, false)) else {
            return error(3, &[]);
        };
        for (node, cap, place) in [(source_node, a, pivot), (pivot_node, b, target)] {
            let entry = self.entries.get_mut(&node).unwrap();
            entry.cap = cap;
            entry.place = place;
        }
        SUCCESS
    }

    /// Retype into slots `target…` of one container with `slots` slots.
    pub(crate) fn retype(
        &mut self,
        untyped: Place,
        kind: ObjectType,
        size: u64,
        target: Place,
        slots: u64,
        count: u64,
    ) -> Answer {
        let Some(node) = self.at(untyped) else { return error(2, &[0]) };
        let Cap::Untyped { base, bits, is_device, watermark } = self.entries[&node].cap else { return error(3, &[]) };
        let object_bits = match kind {
            ObjectType::Untyped | ObjectType::SchedContext => size,
            ObjectType::CapTable => size + 5,
            ObjectType::Tcb => 11,
            ObjectType::Endpoint => 4,
            ObjectType::Notification => 6,
            ObjectType::Reply => 5,
            ObjectType::SmallPage => 12,
            other => panic!("{other:?} is not in the model"),
        };
        let is_too_small = match kind {
            ObjectType::Untyped => size < 4,
            ObjectType::SchedContext => size < 7,
            ObjectType::CapTable => size == 0,
            _ => false,
        };
        if is_too_small {
            return error(1, &[1]);
        }
        if count == 0 {
            return error(4, &[1, 256]);
        }
        if count > slots - target.index {
            return error(4, &[1, slots - target.index]);
        }
        let places: Vec<Place> = (0..count).map(|n| Place { index: target.index + n, ..target }).collect();
        if places.iter().any(|place| self.at(*place).is_some()) {
            return error(8, &[]);
        }
        let start = if self.has_children(node) { watermark } else { 0 };
        let free = (1u64 << bits) - start;
        if free >> object_bits < count {
            return error(10, &[free]);
        }
        let bytes = 1u64 << object_bits;
        let first = start.next_multiple_of(bytes);
        for (place, n) in places.into_iter().zip(0..) {
            self.insert(place, fresh(kind, size, base + first + n * bytes), Some(node), true);
        }
        let watermark = first + count * bytes;
        self.entries.get_mut(&node).unwrap().cap = Cap::Untyped { base, bits, is_device, watermark };
        SUCCESS
    }

    /// TCB_SetTimeoutEndpoint: a capability slot inside a thread.
    pub(crate) fn set_timeout_handler(&mut self, thread: Place, handler: Place) -> Answer {
        let Some(Cap::Tcb { at }) = self.cap_at(thread) else { panic!("not a thread") };
        let (thread_node, source) = (self.at(thread).unwrap(), self.at(handler));
        let cap = source.map(|node| self.entries[&node].cap);
        let is_valid = match cap {
            None => true,
            Some(Cap::Endpoint { rights, .. }) => rights.0 & 1 != 0 && rights.0 & 12 != 0,
            _ => false,
        };
        if !is_valid {
            return error(2, &[1]);
        }
        let slot = Place { container: at.paddr(), index: 4 };
        self.delete(slot);
        if let (Some(source), Some(cap)) = (source, cap)
            && self.entries.contains_key(&source)
            && self.entries.contains_key(&thread_node)
        {
            self.derive(source, slot, cap);
        }
        SUCCESS
    }
}

fn fresh(kind: ObjectType, size: u64, at: u64) -> Cap {
    let bits = u8::try_from(size).unwrap();
    match kind {
        ObjectType::Untyped => Cap::Untyped { base: at, bits, is_device: false, watermark: 0 },
        ObjectType::SchedContext => Cap::SchedContext { at: SchedContextRef::new(at).unwrap(), bits },
        ObjectType::CapTable => Cap::CNode { at: CNodeRef::new(at).unwrap(), radix: bits, guard_size: 0, guard: 0 },
        ObjectType::Tcb => Cap::Tcb { at: TcbRef::new(at).unwrap() },
        ObjectType::Endpoint => Cap::Endpoint { at: EndpointRef::new(at).unwrap(), badge: 0, rights: Rights(15) },
        ObjectType::Notification => {
            Cap::Notification { at: NotificationRef::new(at).unwrap(), badge: 0, rights: Rights(3) }
        }
        ObjectType::Reply => Cap::Reply { at: ReplyRef::new(at).unwrap(), can_grant: true },
        ObjectType::SmallPage => Cap::Frame {
            base: at,
            size: FrameSize::Small,
            is_device: false,
            rights: VmRights::ReadWrite,
            mapping: None,
        },
        other => panic!("{other:?} is not in the model"),
    }
}
