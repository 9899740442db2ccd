//! Who is who in a list of capabilities, by structure: threads, their CNodes, spaces and own objects.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use hybrid_capgraph::{Graph, layout};

use crate::fact::{Cap, Fact};

/// Bytes of a slot.
pub const SLOT: u64 = 32;
/// Where a thread has its slots: CSpace, VSpace, IPC buffer, fault endpoint, timeout endpoint.
const THREAD_SLOTS: [u64; 5] = [576, 608, 640, 672, 704];
const THREAD_BYTES: u64 = 2048;
/// Marks badges of fault messages.
const FAULT: u64 = 1 << 62;

/// What belongs to one declared instance that runs.
#[derive(Debug, Clone)]
pub struct Body {
    /// Its thread.
    pub thread: u64,
    /// Its CNode, and log2 of the slots.
    pub cnode: (u64, u8),
    /// Its address space.
    pub asid: u16,
}

/// A mapped page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Physical address.
    pub page: u64,
    /// Its bytes.
    pub bytes: u64,
    /// What the mapping may allow.
    pub rights: hybrid_capgraph::Rights,
    /// Device memory.
    pub is_device: bool,
}

/// The list, ready for questions.
pub struct Index<'a> {
    /// What is declared.
    pub graph: &'a Graph,
    /// Capabilities by the address of their slot.
    pub slots: BTreeMap<u64, Cap>,
    /// Further threads of running instances, as many as are declared: each in its instance's spaces, with its fault handler.
    pub further: BTreeMap<u16, Vec<u64>>,
    /// Running instances by id; securityd's CNode is its own set of slots.
    pub bodies: BTreeMap<u16, Body>,
    /// Own endpoints and notifications: whose they are.
    pub owners: BTreeMap<u64, u16>,
    /// What each address space maps, by address.
    pub pages: BTreeMap<u16, BTreeMap<u64, Page>>,
    /// Physical pages and the spaces that map them, each pair once, in order.
    users: Vec<(u64, u16)>,
    /// Threads that are nobody's.
    pub strangers: Vec<u64>,
    /// CNodes that are nobody's.
    pub stray_cnodes: BTreeSet<u64>,
    /// The interrupts' notifications.
    pub interrupt_table: u64,
}

impl<'a> Index<'a> {
    /// Finds everybody.
    #[must_use]
    pub fn of(graph: &'a Graph, facts: &[Fact]) -> Self {
        let slots: BTreeMap<u64, Cap> = facts.iter().map(|fact| (fact.slot, fact.cap)).collect();
        let table = facts.iter().find_map(|fact| if let Cap::Audit { table } = fact.cap { Some(table) } else { None });
        let mut index = Self {
            graph,
            slots,
            further: BTreeMap::new(),
            bodies: BTreeMap::new(),
            owners: BTreeMap::new(),
            pages: BTreeMap::new(),
            users: Vec::new(),
            strangers: Vec::new(),
            stray_cnodes: BTreeSet::new(),
            interrupt_table: table.unwrap_or(0),
        };
        index.find_bodies(facts);
        index.find_owners();
        index.find_pages(facts);
        index.find_stray_cnodes(facts);
        index
    }

    fn thread_cap(&self, thread: u64, slot: usize) -> Option<Cap> {
        self.slots.get(&(thread + THREAD_SLOTS.get(slot)?)).copied()
    }

    /// The thread's fault endpoint: object and badge.
    #[must_use]
    pub fn fault(&self, thread: u64) -> Option<(u64, u64)> {
        match self.thread_cap(thread, 3)? {
            Cap::Endpoint { at, badge, .. } => Some((at, badge)),
            _ => None,
        }
    }

    /// What is in the thread's slot for time-outs.
    #[must_use]
    pub fn timeout(&self, thread: u64) -> Option<Cap> {
        self.thread_cap(thread, 4)
    }

    /// The capability in a slot of an instance's CNode.
    #[must_use]
    pub fn held(&self, body: &Body, slot: u64) -> Option<Cap> {
        self.slots.get(&(body.cnode.0 + SLOT * slot)).copied()
    }

    /// An instance is known by the badge of its faults; the first thread by its memory, which no untyped memory contains.
    fn find_bodies(&mut self, facts: &[Fact]) {
        let mut untyped: Vec<(u64, u64)> = Vec::new();
        let mut threads = BTreeSet::new();
        for fact in facts {
            match fact.cap {
                Cap::Untyped { base, bits, .. } => untyped.push((base, base.saturating_add((1 << bits) - 1))),
                Cap::Thread { at } => _ = threads.insert(at),
                _ => {}
            }
        }
        let mut root = None;
        for thread in threads {
            let is_made = untyped.iter().any(|(first, last)| (*first..=*last).contains(&thread));
            let id = match self.fault(thread) {
                Some((_, badge)) if badge & !0xffff == FAULT => (badge & 0xffff) as u16,
                _ => 0,
            };
            let body = self.body(thread);
            if !is_made && root.is_none() {
                root = body.map(|body| Body { cnode: self.own_node(body.cnode), ..body });
                continue;
            }
            match body {
                Some(body)
                    if id != layout::SECURITYD
                        && self.graph.instance(id).is_some()
                        && !self.bodies.contains_key(&id) =>
                {
                    self.bodies.insert(id, body);
                }
                body if self.is_further(id, thread, body.as_ref()) => self.further.entry(id).or_default().push(thread),
                _ => self.strangers.push(thread),
            }
        }
        if let Some(root) = root {
            // A further thread in securityd's own space can do nothing that securityd cannot.
            let is_own = |thread: &u64| self.body(*thread).is_some_and(|body| body.asid == root.asid);
            let strangers = self.strangers.iter().copied().filter(|thread| !is_own(thread)).collect();
            self.strangers = strangers;
            self.bodies.insert(layout::SECURITYD, root);
        }
    }

    /// Whether it is one more declared thread of the instance that it claims to be of.
    fn is_further(&self, id: u16, thread: u64, body: Option<&Body>) -> bool {
        let (Some(first), Some(body)) = (self.bodies.get(&id), body) else { return false };
        let is_alike =
            (body.cnode, body.asid, self.fault(thread)) == (first.cnode, first.asid, self.fault(first.thread));
        let allowed = self.graph.instance(id).map_or(0, hybrid_capgraph::Instance::further_threads);
        is_alike && self.further.get(&id).map_or(0, Vec::len) < usize::from(allowed)
    }

    fn body(&self, thread: u64) -> Option<Body> {
        match (self.thread_cap(thread, 0)?, self.thread_cap(thread, 1)?) {
            (Cap::CNode { at, radix }, Cap::Space { asid }) => Some(Body { thread, cnode: (at, radix), asid }),
            _ => None,
        }
    }

    /// securityd's own slots are node 1 of its root.
    fn own_node(&self, root: (u64, u8)) -> (u64, u8) {
        match self.slots.get(&(root.0 + SLOT)) {
            Some(Cap::CNode { at, radix }) => (*at, *radix),
            _ => root,
        }
    }

    fn find_owners(&mut self) {
        for (id, body) in &self.bodies {
            let threads = self.graph.instance(*id).map_or(0, hybrid_capgraph::Instance::further_threads);
            let bells = (1..=threads).map(layout::thread_slot);
            for slot in [layout::SLOT_ENDPOINT, layout::SLOT_NOTIFICATION].into_iter().chain(bells) {
                if let Some(Cap::Endpoint { at, badge: 0, .. } | Cap::Notification { at, badge: 0, .. }) =
                    self.held(body, slot.into())
                {
                    self.owners.entry(at).or_insert(*id);
                }
            }
        }
    }

    fn find_pages(&mut self, facts: &[Fact]) {
        for fact in facts {
            let Cap::Frame { page, bits, rights, is_device, mapping: (asid, address) } = fact.cap else { continue };
            if asid == 0 {
                continue;
            }
            let bytes = 1u64 << (bits & 63);
            self.pages.entry(asid).or_default().insert(address, Page { page, bytes, rights, is_device });
            self.users.push((page, asid));
        }
        self.users.sort_unstable();
        self.users.dedup();
    }

    /// The spaces that map a physical page, each once.
    pub fn users_of(&self, page: u64) -> impl Iterator<Item = u16> {
        let first = self.users.partition_point(|(other, _)| *other < page);
        self.users.iter().skip(first).take_while(move |(other, _)| *other == page).map(|(_, asid)| *asid)
    }

    /// CNodes are instances', or hang in securityd's tree, which its root leads to.
    fn find_stray_cnodes(&mut self, facts: &[Fact]) {
        let mut known: BTreeSet<u64> = self.bodies.values().map(|body| body.cnode.0).collect();
        let root = self.bodies.get(&layout::SECURITYD).and_then(|body| self.thread_cap(body.thread, 0));
        let mut pending: Vec<(u64, u8)> = Vec::new();
        if let Some(Cap::CNode { at, radix }) = root {
            known.insert(at);
            pending.push((at, radix));
        }
        while let Some((at, radix)) = pending.pop() {
            let inside = self.slots.range(at..at + (SLOT << (radix & 31)));
            for (_, cap) in inside {
                // What an instance holds is not securityd's for that.
                if let Cap::CNode { at, radix } = *cap
                    && known.insert(at)
                {
                    pending.push((at, radix));
                }
            }
        }
        let all = facts.iter().filter_map(|fact| if let Cap::CNode { at, .. } = fact.cap { Some(at) } else { None });
        let stray: BTreeSet<u64> = all.filter(|at| !known.contains(at)).collect();
        self.stray_cnodes = stray;
    }

    /// The instance that has this address space.
    #[must_use]
    pub fn of_space(&self, asid: u16) -> Option<u16> {
        self.bodies.iter().find(|(_, body)| body.asid == asid).map(|(id, _)| *id)
    }

    /// The thread whose slots this slot is one of.
    #[must_use]
    pub fn thread_at(&self, slot: u64) -> Option<u64> {
        let thread = slot & !(THREAD_BYTES - 1);
        THREAD_SLOTS.contains(&(slot - thread)).then_some(thread)
    }
}
