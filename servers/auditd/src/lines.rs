//! What each instance really holds, as lines of the golden format; a declared line lends its names.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hybrid_capgraph::{Grant, Instance, Limits, Rights, Session, Trigger, What, layout, own_grant};
use libhybrid::start;

use crate::fact::Cap;
use crate::index::{Body, Index, Page, SLOT};

const SMALL: u64 = 4096;
/// What securityd tells at the start takes at most this.
const START_INFO_MAX: u64 = 16 * SMALL;
/// A page of an instance's own that another maps.
pub(crate) const SHARED_FRAME: &str = "shared-frame";
/// Bits of a badge that number a server's objects; those above name client and interface.
const OBJECT: u64 = 0xffff;

/// Lines that an instance holds, without reasons.
pub(crate) struct Lines<'a, 'g> {
    index: &'a Index<'g>,
    instance: &'g Instance,
    body: &'a Body,
    /// Declared grants by their slot.
    by_slot: BTreeMap<u32, Grant>,
    declared: Vec<Grant>,
    found: Vec<String>,
}

/// The lowest bit that a bell with this badge sets.
fn bit_of(badge: u64) -> u8 {
    u8::try_from((badge & !(1 << 63)).trailing_zeros()).unwrap_or(u8::MAX)
}

/// A line without its reason.
pub(crate) fn key(grant: &Grant) -> String {
    Grant { reason: String::new(), ..grant.clone() }.to_string()
}

/// A capability that no declared line has the form of.
pub(crate) fn other(holder: &str, what: &str, target: &str, facts: &str) -> String {
    format!("{holder:<10} {:<12} {what:<18} {target:<24} {facts}", "other").trim_end().into()
}

const fn slot_of(what: &What) -> Option<u32> {
    match what {
        What::Call { slot, .. }
        | What::Bell { slot, .. }
        | What::Endpoint { slot, .. }
        | What::Reply { slot, .. }
        | What::Notification { slot, .. }
        | What::CNode { slot, .. }
        | What::Audit { slot }
        | What::Interrupt { slot, .. } => Some(*slot),
        _ => None,
    }
}

impl<'a, 'g> Lines<'a, 'g> {
    /// All lines of an instance that runs.
    pub(crate) fn of(index: &'a Index<'g>, instance: &'g Instance, body: &'a Body) -> Vec<String> {
        let declared = index.graph.grants_of(instance);
        let by_slot = declared.iter().filter_map(|grant| Some((slot_of(&grant.what)?, grant.clone()))).collect();
        let mut lines = Self { index, instance, body, by_slot, declared, found: Vec::new() };
        lines.slots();
        if instance.id != layout::SECURITYD {
            lines.thread();
        }
        lines.memory();
        lines.found
    }

    fn push(&mut self, grant: &Grant) {
        self.found.push(key(grant));
    }

    fn other(&mut self, what: &str, target: &str, facts: &str) {
        let line = other(&self.instance.name, what, target, facts);
        self.found.push(line);
    }

    fn name(&self, id: Option<&u16>) -> String {
        id.and_then(|id| self.index.graph.instance(*id)).map_or_else(|| "?".to_string(), |owner| owner.name.clone())
    }

    /// The declared line, if this object is that instance's; else a line that names the real owner.
    fn like(&self, declared: Option<&Grant>, owner: Option<&u16>, what: What) -> Grant {
        let name = self.name(owner);
        match declared.filter(|grant| grant.target.split('.').next() == Some(name.as_str())) {
            Some(grant) => Grant { what, ..grant.clone() },
            None => Grant { target: name, ..own_grant(self.instance, what) },
        }
    }

    fn slots(&mut self) {
        let (node, radix) = self.body.cnode;
        if radix != self.instance.cnode_bits {
            self.other("cnode", "", &format!("slots={}", 1u64 << (radix & 31)));
        }
        let held: Vec<(u32, Cap)> = self
            .index
            .slots
            .range(node..node + (SLOT << (radix & 31)))
            .filter_map(|(at, cap)| Some((u32::try_from((at - node) / SLOT).ok()?, *cap)))
            .collect();
        for (slot, cap) in held {
            let declared = self.by_slot.get(&slot).cloned();
            match self.line(slot, cap, declared.as_ref()) {
                Some(grant) => self.push(&grant),
                None if declared.is_none() && self.is_passed(slot, cap) => {}
                None => {
                    let facts = format!("slot={slot}");
                    self.other(cap.name(), "", &facts);
                }
            }
        }
    }

    /// The line of a capability in a slot, if it has the form of one.
    fn line(&self, slot: u32, cap: Cap, declared: Option<&Grant>) -> Option<Grant> {
        let own = |what| Some(own_grant(self.instance, what));
        let is_mine = |at: u64| self.index.owners.get(&at) == Some(&self.instance.id);
        match cap {
            Cap::Endpoint { at, badge: 0, rights } if slot == layout::SLOT_ENDPOINT && is_mine(at) => {
                own(What::Endpoint { slot, rights })
            }
            Cap::Endpoint { at, badge, rights } if slot < layout::SLOT_FREE => {
                // What the server's runtime keeps a session to is in no capability.
                let limits = match declared.map(|grant| &grant.what) {
                    Some(What::Call { limits, .. }) => limits.clone(),
                    _ => Limits::default(),
                };
                Some(self.like(declared, self.index.owners.get(&at), What::Call { slot, rights, badge, limits }))
            }
            Cap::Notification { at, badge: 0, rights } if self.is_own_bell(slot) && is_mine(at) => {
                own(What::Notification { slot, rights })
            }
            Cap::Notification { at, badge, rights } if slot < layout::SLOT_FREE => {
                let bit = bit_of(badge);
                if badge != layout::bell_badge(bit) {
                    return None;
                }
                Some(self.like(declared, self.index.owners.get(&at), What::Bell { slot, rights, bit }))
            }
            Cap::Reply { rights } if slot == layout::SLOT_REPLY => own(What::Reply { slot, rights }),
            Cap::CNode { at, radix } if slot == layout::SLOT_CNODE && at == self.body.cnode.0 => {
                own(What::CNode { slot, slots: 1 << (radix & 31) })
            }
            Cap::Interrupt { irq } => {
                let (bit, owner) = self.interrupt(irq)?;
                let declared = declared.filter(|_| owner == self.instance.id);
                let trigger = match declared.map(|grant| &grant.what) {
                    Some(What::Interrupt { trigger, irq: number, .. }) if *number == irq => *trigger,
                    _ => Trigger::Level,
                };
                let what = What::Interrupt { irq, trigger, slot, bit };
                Some(match declared {
                    Some(grant) => Grant { what, ..grant.clone() },
                    None => own_grant(self.instance, what),
                })
            }
            Cap::Audit { .. } => {
                let what = What::Audit { slot };
                Some(declared.map_or_else(|| own_grant(self.instance, what.clone()), Clone::clone))
            }
            _ => None,
        }
    }

    /// Whether an instance has a notification of its own there: its first thread's, or one for each further thread.
    fn is_own_bell(&self, slot: u32) -> bool {
        let mut further = (1..=self.instance.further_threads()).map(layout::thread_slot);
        slot == layout::SLOT_NOTIFICATION || further.any(|own| own == slot)
    }

    /// Whom an interrupt rings, and with which bit.
    fn interrupt(&self, irq: u32) -> Option<(u8, u16)> {
        match self.index.slots.get(&(self.index.interrupt_table + SLOT * u64::from(irq)))? {
            Cap::Notification { at, badge, .. } => Some((bit_of(*badge), *self.index.owners.get(at)?)),
            _ => None,
        }
    }

    /// A server's object, which its client was handed in an answer, or which the server keeps to hand it out.
    fn is_passed(&self, slot: u32, cap: Cap) -> bool {
        let Cap::Endpoint { at, badge, rights } = cap else { return false };
        if slot < layout::SLOT_FREE || !self.instance.own_cnode || rights.0 & !Rights::CALL.0 != 0 {
            return false;
        }
        let owner = self.index.owners.get(&at);
        let is_of_session = |grant: &Grant| {
            matches!(grant.what, What::Call { badge: declared, .. }
                if layout::declared_badge(badge & !OBJECT) == layout::declared_badge(declared))
                && grant.target.split('.').next() == Some(self.name(owner).as_str())
        };
        owner == Some(&self.instance.id) || self.declared.iter().any(is_of_session)
    }

    fn thread(&mut self) {
        if let Some((at, badge)) = self.index.fault(self.body.thread) {
            let target = self.name(self.index.owners.get(&at));
            let grant = Grant { target, ..own_grant(self.instance, What::Fault { badge }) };
            self.push(&grant);
        }
        let further = self.index.further.get(&self.instance.id).into_iter().flatten().copied();
        for thread in further.chain([self.body.thread]) {
            if let Some(cap) = self.index.timeout(thread) {
                self.other("timeout-handler", cap.name(), "");
            }
        }
    }

    fn memory(&mut self) {
        let empty = BTreeMap::new();
        let pages = self.index.pages.get(&self.body.asid).unwrap_or(&empty);
        let mut seen: Vec<(u64, u64)> = Vec::new();
        for grant in self.declared.clone() {
            let range = match grant.what {
                What::Region { address, .. } => self.region(pages, &grant, address),
                What::Device { address, .. } => self.device(pages, &grant, address),
                What::Dma { address, .. } => {
                    let (bytes, _) = run(pages, address, layout::DMA_STRIDE, true);
                    self.ranged(&grant, (address, bytes), What::Dma { bytes, address })
                }
                What::Peers { address } => {
                    let (bytes, rights) = run(pages, address, SMALL, false);
                    let is_it = bytes == SMALL && rights == Rights::READ;
                    self.ranged(&grant, (address, if is_it { bytes } else { 0 }), What::Peers { address })
                }
                What::Memory { thread_stacks: (count, bytes), .. } => {
                    let bottom = start::STACK_TOP - self.instance.stack;
                    let (stack, _) = run(pages, bottom, self.instance.stack, false);
                    let (heap, _) = run(pages, start::HEAP_BASE, layout::REGION_BASE - start::HEAP_BASE, false);
                    seen.push((bottom, stack));
                    let of_threads = (0..count).map(|index| {
                        let bottom = layout::stack_address(index, bytes);
                        (bottom, run(pages, bottom, bytes, false).0)
                    });
                    let of_threads: Vec<(u64, u64)> = of_threads.collect();
                    let whole = of_threads.iter().filter(|(_, mapped)| *mapped == bytes).map(|_| 1).sum();
                    seen.extend(of_threads);
                    self.ranged(
                        &grant,
                        (start::HEAP_BASE, heap),
                        What::Memory { stack, heap, thread_stacks: (whole, bytes) },
                    )
                }
                What::Shown { address } => {
                    let (bytes, rights) = run(pages, address, layout::DEVICE_STRIDE, false);
                    let bytes = if rights == Rights::READ { bytes } else { 0 };
                    self.ranged(&grant, (address, bytes), What::Shown { address })
                }
                What::Audit { .. } => {
                    let place = self.instance.devices.iter().position(hybrid_capgraph::Device::is_audit).unwrap_or(0);
                    (layout::device_address(place), layout::DEVICE_STRIDE)
                }
                _ => continue,
            };
            seen.push(range);
        }
        if self.instance.id == layout::SECURITYD {
            return;
        }
        seen.extend([
            (start::IMAGE_BASE, self.instance.program_max),
            (start::START_INFO_BASE, START_INFO_MAX),
            (start::IPC_BUFFER_ADDRESS, SMALL),
        ]);
        let spans = self.instance.thread_spans().map(u64::from);
        seen.extend(spans.map(|span| (start::THREAD_BASE + span * start::THREAD_STRIDE, start::THREAD_PAGES * SMALL)));
        self.rest(pages, &seen);
    }

    fn ranged(&mut self, grant: &Grant, range: (u64, u64), what: What) -> (u64, u64) {
        if range.1 > 0 {
            let grant = Grant { what, ..grant.clone() };
            self.push(&grant);
        }
        range
    }

    fn device(&mut self, pages: &BTreeMap<u64, Page>, grant: &Grant, address: u64) -> (u64, u64) {
        let Some(page) = pages.get(&address).filter(|page| page.is_device) else { return (address, 0) };
        let bits = u8::try_from(page.bytes.trailing_zeros()).unwrap_or(0);
        let what = What::Device { page: page.page, bits, address, rights: page.rights };
        self.ranged(grant, (address, page.bytes), what)
    }

    /// A region is the session's if the other side has the same pages.
    fn region(&mut self, pages: &BTreeMap<u64, Page>, grant: &Grant, address: u64) -> (u64, u64) {
        let (bytes, rights) = run(pages, address, layout::REGION_STRIDE, false);
        let port = u8::try_from((address - layout::REGION_BASE) / layout::REGION_STRIDE).unwrap_or(u8::MAX);
        let mut grant = grant.clone();
        if bytes > 0 && !self.is_shared_with_peer(pages, port, address, bytes) {
            grant.target = "?".into();
        }
        self.ranged(&grant, (address, bytes), What::Region { bytes, address, rights })
    }

    fn session_at(&self, port: u8) -> Option<(&'g Session, bool)> {
        let id = self.instance.id;
        let sessions = self.index.graph.sessions.iter();
        sessions.filter(|session| session.region.is_some()).find_map(|session| match session {
            _ if session.client == id && session.client_port == Some(port) => Some((session, true)),
            _ if session.server == id && session.server_port == Some(port) => Some((session, false)),
            _ => None,
        })
    }

    fn is_shared_with_peer(&self, pages: &BTreeMap<u64, Page>, port: u8, address: u64, bytes: u64) -> bool {
        let Some((session, is_client)) = self.session_at(port) else { return false };
        let (peer, port) =
            if is_client { (session.server, session.server_port) } else { (session.client, session.client_port) };
        let other = self.index.bodies.get(&peer);
        let other_pages = other.and_then(|body| self.index.pages.get(&body.asid));
        let is_between = |page: &Page| {
            let mut users = self.index.users_of(page.page);
            users.all(|asid| asid == self.body.asid || other.is_some_and(|body| body.asid == asid))
        };
        let theirs = layout::region_address(port.unwrap_or(0));
        pages.range(address..address + bytes).all(|(at, page)| {
            let same = other_pages.and_then(|pages| pages.get(&(theirs + (at - address))));
            is_between(page) && (other.is_none() || same.is_some_and(|other| other.page == page.page))
        })
    }

    /// Pages beside what is declared, and private ones that somebody else has too. Registers can have several holders, each with a line of its
    /// own: one who drives, others who only read.
    fn rest(&mut self, pages: &BTreeMap<u64, Page>, seen: &[(u64, u64)]) {
        let root = self.index.bodies.get(&layout::SECURITYD).map(|body| body.asid);
        for (address, page) in pages {
            let is_seen = seen.iter().any(|(base, bytes)| (*base..base.saturating_add(*bytes)).contains(address));
            let is_region = (layout::REGION_BASE..layout::DEVICE_BASE).contains(address);
            let users = self.index.users_of(page.page);
            let others: Vec<String> = users
                .filter(|asid| *asid != self.body.asid && Some(*asid) != root)
                .map(|asid| self.name(self.index.of_space(asid).as_ref()))
                .collect();
            let is_stray = !is_seen || (page.is_device && !(layout::DEVICE_BASE..layout::DMA_BASE).contains(address));
            let is_shared = !is_region && !page.is_device && !others.is_empty();
            // Nearly every page is as it should be, and needs no words.
            if !is_stray && !is_shared {
                continue;
            }
            let facts = format!("at={address:#x} rights={} page={:#x}", page.rights, page.page);
            let kind = match (is_stray, page.is_device) {
                (false, _) => SHARED_FRAME,
                (true, true) => "device-frame",
                (true, false) => "frame",
            };
            self.other(kind, &others.join(","), &facts);
        }
    }
}

/// How many bytes are mapped without a gap from `address` on (at most `most`), with which rights; `is_contiguous`: physically too.
fn run(pages: &BTreeMap<u64, Page>, address: u64, most: u64, is_contiguous: bool) -> (u64, Rights) {
    let mut end = address;
    let mut rights = None;
    let mut physical = None;
    for (at, page) in pages.range(address..address.saturating_add(most)) {
        let is_next = *at == end && !page.is_device && physical.is_none_or(|next| !is_contiguous || next == page.page);
        if !is_next || *rights.get_or_insert(page.rights) != page.rights {
            break;
        }
        end = at + page.bytes;
        physical = Some(page.page + page.bytes);
    }
    (end - address, rights.unwrap_or(Rights::NONE))
}
