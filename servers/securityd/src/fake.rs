//! A kernel for host tests: capability spaces, retype rules and mappings as in the ABI, nothing that runs.
//!
//! It refuses what the real kernel refuses: unresolvable or occupied slots, memory that is not there, missing page
//! tables, frames mapped twice, badges on badges. Objects die with the untyped they were made from.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use hybrid_sys::{
    Attributes, CNode, CPtr, Error, LookupFailure, ObjectType, Registers, Rights, SchedParameters, Slot, Trigger,
};

use crate::kernel::{Kernel, ThreadParts, boot};

mod kind;

pub(crate) use kind::{Kind, Page, program};

pub(crate) type Id = usize;

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    parent: Option<Id>,
    is_dead: bool,
    /// Made from it and not destroyed.
    children: BTreeSet<Id>,
    /// CNodes and slots with capabilities to it.
    holders: BTreeSet<(Id, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cap {
    pub(crate) object: Id,
    pub(crate) rights: u64,
    pub(crate) badge: u64,
    guard_bits: u32,
    mapped: Option<(Id, u64)>,
}

/// The machine: boot slots, one device untyped, normal ones.
pub(crate) struct FakeKernel {
    pub(crate) objects: Vec<Object>,
    /// Ids of destroyed objects, for new ones.
    dead: Vec<Id>,
    root: Cap,
    pub(crate) died_answers: Vec<Id>,
    pub(crate) signals: Vec<u64>,
    pub(crate) is_off: bool,
    pub(crate) now_ns: u64,
    pub(crate) own_priority: u8,
    /// Operations left until one fails; `None`: never.
    pub(crate) fuse: Option<usize>,
    pub(crate) operations: usize,
}

const MISSING: Error =
    Error::FailedLookup { is_source: true, failure: LookupFailure::MissingCapability { bits_left: 0 } };

impl FakeKernel {
    /// 128 MiB of memory in blocks as the kernel cuts them, and the device region of QEMU's UART and virtio pages.
    pub(crate) fn new() -> (Self, crate::install::BootFacts) {
        let root = Cap { object: 0, rights: 15, badge: 0, guard_bits: 52, mapped: None };
        let mut kernel = Self {
            objects: Vec::new(),
            dead: Vec::new(),
            root,
            died_answers: Vec::new(),
            signals: Vec::new(),
            is_off: false,
            now_ns: 1_000_000,
            own_priority: 255,
            fuse: None,
            operations: 0,
        };
        kernel.add(Kind::CNode { bits: 12, slots: BTreeMap::new() }, None);
        let thread =
            kernel.add(Kind::Thread { parts: None, registers: None, has_timer: false, is_stopped: false }, None);
        let vspace = kernel.add(Kind::VSpace { has_asid: true, tables: BTreeSet::new(), pages: BTreeMap::new() }, None);
        kernel.put(0, boot::CNODE, root);
        kernel.put(0, boot::THREAD, cap(thread));
        kernel.put(0, boot::VSPACE, cap(vspace));
        let devices = [(0x0800_0000, 27), (0x40_1000_0000, 21)].map(|(base, bits)| (base, bits, true));
        let memory = [(0x4100_0000, 24), (0x4200_0000, 25), (0x4400_0000, 26), (0x4080_0000, 23)];
        let blocks = devices.into_iter().chain(memory.map(|(base, bits)| (base, bits, false)));
        let list = kernel.add(Kind::Audit, None);
        kernel.put(0, 99, cap(list));
        let mut untypeds = Vec::new();
        for (index, (base, bits, is_device)) in blocks.enumerate() {
            let untyped = kernel.add(Kind::Untyped { base, bits, is_device, used: 0 }, None);
            let slot = 100 + index as u64;
            kernel.put(0, slot, cap(untyped));
            untypeds.push((slot, base, bits, is_device));
        }
        let (audit, tree) = (Some(99), &b"a tree"[..]);
        (kernel, crate::install::BootFacts { empty: (600, 4096), untypeds, image_bytes: 3 << 20, audit, tree })
    }

    fn add(&mut self, kind: Kind, parent: Option<Id>) -> Id {
        let object = Object { kind, parent, is_dead: false, children: BTreeSet::new(), holders: BTreeSet::new() };
        let id = self.dead.pop().unwrap_or(self.objects.len());
        if id == self.objects.len() {
            self.objects.push(object);
        } else {
            self.objects[id] = object;
        }
        if let Some(parent) = parent {
            self.objects[parent].children.insert(id);
        }
        id
    }

    fn put(&mut self, cnode: Id, slot: u64, cap: Cap) {
        let Kind::CNode { slots, .. } = &mut self.objects[cnode].kind else { panic!("not a CNode") };
        assert!(slots.insert(slot, cap).is_none());
        self.objects[cap.object].holders.insert((cnode, slot));
    }

    /// Empties a slot, with the mapping that its capability recorded. An interrupt without a handler can be issued again.
    fn remove(&mut self, cnode: Id, slot: u64) {
        let Kind::CNode { slots, .. } = &mut self.objects[cnode].kind else { panic!("not a CNode") };
        let Some(cap) = slots.remove(&slot) else { return };
        let object = &mut self.objects[cap.object];
        object.holders.remove(&(cnode, slot));
        if matches!(object.kind, Kind::Interrupt { .. }) && object.holders.is_empty() {
            object.is_dead = true;
            self.dead.push(cap.object);
        }
        if let Some((vspace, address)) = cap.mapped
            && let Kind::VSpace { pages, .. } = &mut self.objects[vspace].kind
        {
            pages.remove(&address);
        }
    }

    /// Objects that are there, and capabilities in all CNodes.
    pub(crate) fn live(&self) -> (usize, usize) {
        let live = self.objects.iter().filter(|object| !object.is_dead);
        (live.clone().count(), live.map(|object| object.holders.len()).sum())
    }

    /// Puts a capability where a component's own code would.
    pub(crate) fn plant(&mut self, cnode: Id, slot: u64, cap: Cap) {
        self.put(cnode, slot, cap);
    }

    pub(crate) fn slots(&self, cnode: Id) -> &BTreeMap<u64, Cap> {
        let Kind::CNode { slots, .. } = &self.objects[cnode].kind else { panic!("not a CNode") };
        slots
    }

    pub(crate) fn pages(&self, vspace: Id) -> &BTreeMap<u64, Page> {
        let Kind::VSpace { pages, .. } = &self.objects[vspace].kind else { panic!("not a VSpace") };
        pages
    }

    /// The capability at a CPtr of securityd's own space.
    pub(crate) fn cap_at(&self, cptr: CPtr) -> Option<Cap> {
        let (cnode, slot) = self.walk(self.root, cptr.0, 64).ok()?;
        self.slots(cnode).get(&slot).copied()
    }

    fn own(&self, cptr: CPtr) -> Result<Cap, Error> {
        self.cap_at(cptr).ok_or(Error::InvalidCapability { number: 0 })
    }

    /// Kernel ABI §2.4.
    fn walk(&self, mut node: Cap, index: u64, depth: u8) -> Result<(Id, u64), Error> {
        let mut left = u32::from(depth);
        loop {
            let Kind::CNode { bits, slots } = &self.objects[node.object].kind else { return Err(MISSING) };
            let (guard, radix) = (node.guard_bits, u32::from(*bits));
            let address = if left == 64 { index } else { index & ((1 << left) - 1) };
            if guard > left || (guard > 0 && address >> (left - guard) != 0) || guard + radix > left {
                return Err(MISSING);
            }
            left -= guard + radix;
            let slot = (address >> left) & ((1 << radix) - 1);
            match slots.get(&slot).filter(|_| left > 0) {
                Some(next) if matches!(self.objects[next.object].kind, Kind::CNode { .. }) => node = *next,
                _ => return if left == 0 { Ok((node.object, slot)) } else { Err(MISSING) },
            }
        }
    }

    fn place(&self, slot: Slot) -> Result<(Id, u64), Error> {
        self.walk(self.own(slot.root.0)?, slot.index, slot.depth)
    }

    fn take(&self, slot: Slot) -> Result<Cap, Error> {
        let (cnode, index) = self.place(slot)?;
        self.slots(cnode).get(&index).copied().ok_or(MISSING)
    }

    fn insert(&mut self, slot: Slot, cap: Cap) -> Result<(), Error> {
        let (cnode, index) = self.place(slot)?;
        if self.slots(cnode).contains_key(&index) {
            return Err(Error::DeleteFirst);
        }
        self.put(cnode, index, cap);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Error> {
        self.operations += 1;
        match &mut self.fuse {
            Some(0) => Err(Error::IllegalOperation),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn has_children(&self, untyped: Id) -> bool {
        !self.objects[untyped].children.is_empty()
    }

    fn descendants(&self, from: Id, found: &mut Vec<Id>) {
        for child in &self.objects[from].children {
            self.descendants(*child, found);
            found.push(*child);
        }
    }

    fn vspace(&mut self, cptr: CPtr) -> Result<Id, Error> {
        let id = self.own(cptr)?.object;
        match self.objects[id].kind {
            Kind::VSpace { has_asid: true, .. } => Ok(id),
            _ => Err(Error::InvalidCapability { number: 1 }),
        }
    }

    fn frame(&mut self, cptr: CPtr) -> Result<(Cap, Id), Error> {
        let cap = self.own(cptr)?;
        match self.objects[cap.object].kind {
            Kind::Frame { .. } => Ok((cap, cap.object)),
            _ => Err(Error::InvalidCapability { number: 0 }),
        }
    }

    fn set_mapped(&mut self, cptr: CPtr, mapped: Option<(Id, u64)>) {
        let (cnode, slot) = self.walk(self.root, cptr.0, 64).expect("the capability was just used");
        let Kind::CNode { slots, .. } = &mut self.objects[cnode].kind else { panic!("not a CNode") };
        slots.get_mut(&slot).expect("the capability was just used").mapped = mapped;
    }

    /// Destroys objects, every capability to them and in them, and the mappings that those recorded.
    fn destroy(&mut self, dead: &[Id]) {
        for id in dead {
            for (cnode, slot) in self.objects[*id].holders.clone() {
                self.remove(cnode, slot);
            }
            if let Kind::CNode { slots, .. } = &self.objects[*id].kind {
                for slot in slots.keys().copied().collect::<Vec<_>>() {
                    self.remove(*id, slot);
                }
            }
        }
        for id in dead {
            if let Some(parent) = self.objects[*id].parent {
                self.objects[parent].children.remove(id);
            }
            self.objects[*id].is_dead = true;
        }
        self.dead.extend(dead);
    }
}

const fn cap(object: Id) -> Cap {
    Cap { object, rights: 15, badge: 0, guard_bits: 0, mapped: None }
}

impl Kernel for FakeKernel {
    fn retype(
        &mut self,
        untyped: CPtr,
        kind: ObjectType,
        size_bits: u8,
        node: Slot,
        offset: u64,
        count: u64,
    ) -> Result<(), Error> {
        self.tick()?;
        let source = self.own(untyped)?.object;
        let has_children = self.has_children(source);
        let cnode = if node.depth == 0 { self.own(node.root.0)?.object } else { self.take(node)?.object };
        let Kind::CNode { bits: radix, .. } = self.objects[cnode].kind else { return Err(MISSING) };
        let Kind::Untyped { base, bits, is_device, used } = &mut self.objects[source].kind else {
            return Err(Error::InvalidCapability { number: 0 });
        };
        let (base, bits, is_device) = (*base, *bits, *is_device);
        let object_bits = Kind::blank(kind, size_bits, 0, false).1;
        let start = if has_children { used.next_multiple_of(1 << object_bits) } else { 0 };
        if count == 0 || count > 256 || offset + count > 1 << radix {
            return Err(Error::Range { min: 1, max: 256 });
        }
        if start + (count << object_bits) > 1 << bits {
            return Err(Error::NotEnoughMemory { free: 0 });
        }
        if is_device && !matches!(kind, ObjectType::Untyped | ObjectType::SmallPage | ObjectType::LargePage) {
            return Err(Error::InvalidArgument { index: 1 });
        }
        *used = start + (count << object_bits);
        if (offset..offset + count).any(|slot| self.slots(cnode).contains_key(&slot)) {
            return Err(Error::DeleteFirst);
        }
        for index in 0..count {
            let address = base + start + (index << object_bits);
            let id = self.add(Kind::blank(kind, size_bits, address, is_device).0, Some(source));
            self.put(cnode, offset + index, cap(id));
        }
        Ok(())
    }

    fn copy(&mut self, to: Slot, from: Slot, rights: Rights) -> Result<(), Error> {
        self.tick()?;
        let source = self.take(from)?;
        self.insert(to, Cap { rights: source.rights & rights.0, mapped: None, ..source })
    }

    fn mint(&mut self, to: Slot, from: Slot, rights: Rights, data: u64) -> Result<(), Error> {
        self.tick()?;
        let source = self.take(from)?;
        let is_cnode = matches!(self.objects[source.object].kind, Kind::CNode { .. });
        if !is_cnode && source.badge != 0 {
            return Err(Error::IllegalOperation);
        }
        let minted =
            if is_cnode { Cap { guard_bits: (data & 63) as u32, ..source } } else { Cap { badge: data, ..source } };
        self.insert(to, Cap { rights: source.rights & rights.0, mapped: None, ..minted })
    }

    fn mutate(&mut self, to: Slot, from: Slot, data: u64) -> Result<(), Error> {
        self.tick()?;
        let source = self.take(from)?;
        self.insert(to, Cap { guard_bits: (data & 63) as u32, ..source })?;
        self.delete(from)
    }

    fn delete(&mut self, slot: Slot) -> Result<(), Error> {
        let (cnode, index) = self.place(slot)?;
        self.remove(cnode, index);
        Ok(())
    }

    fn revoke(&mut self, slot: Slot) -> Result<(), Error> {
        let (cnode, index) = self.place(slot)?;
        let of = self.take(slot)?;
        if matches!(self.objects[of.object].kind, Kind::Endpoint) {
            // Only a badged one is ever revoked; its copies have its badge.
            assert!(of.badge != 0, "this would take everybody's");
            for (holder, place) in self.objects[of.object].holders.clone() {
                if (holder, place) != (cnode, index) && self.slots(holder)[&place].badge == of.badge {
                    self.remove(holder, place);
                }
            }
            return Ok(());
        }
        let mut dead = Vec::new();
        self.descendants(of.object, &mut dead);
        self.destroy(&dead);
        Ok(())
    }

    fn assign_asid(&mut self, vspace: CPtr) -> Result<(), Error> {
        self.tick()?;
        let id = self.own(vspace)?.object;
        match &mut self.objects[id].kind {
            Kind::VSpace { has_asid, .. } if !*has_asid => *has_asid = true,
            _ => return Err(Error::InvalidCapability { number: 1 }),
        }
        Ok(())
    }

    fn map_table(&mut self, table: CPtr, vspace: CPtr, address: u64) -> Result<(), Error> {
        self.tick()?;
        let (table, space) = (self.own(table)?.object, self.vspace(vspace)?);
        match &mut self.objects[table].kind {
            Kind::Table { is_mapped } if !*is_mapped => *is_mapped = true,
            _ => return Err(Error::InvalidCapability { number: 0 }),
        }
        let Kind::VSpace { tables, .. } = &mut self.objects[space].kind else { unreachable!("checked by vspace") };
        let level = [39, 30, 21].into_iter().find(|level| !tables.contains(&(*level, address >> level)));
        tables.insert(level.map(|level| (level, address >> level)).ok_or(Error::DeleteFirst)?);
        Ok(())
    }

    fn map_frame(
        &mut self,
        frame: CPtr,
        vspace: CPtr,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Error> {
        self.tick()?;
        let ((cap, id), space) = (self.frame(frame)?, self.vspace(vspace)?);
        let Kind::Frame { bits, .. } = self.objects[id].kind else { unreachable!("checked by frame") };
        if cap.mapped.is_some() {
            return Err(Error::InvalidArgument { index: 0 });
        }
        if !address.is_multiple_of(1 << bits) {
            return Err(Error::Alignment);
        }
        let Kind::VSpace { tables, pages, .. } = &mut self.objects[space].kind else {
            unreachable!("checked by vspace")
        };
        let missing = [39, 30, 21]
            .into_iter()
            .filter(|level| *level >= bits && *level > 20)
            .find(|level| (bits < 21 || *level > 21) && !tables.contains(&(*level, address >> level)));
        if let Some(level) = missing {
            return Err(Error::FailedLookup {
                is_source: false,
                failure: LookupFailure::MissingCapability { bits_left: level.into() },
            });
        }
        assert!(
            pages
                .insert(address, Page { frame: id, rights: cap.rights & rights.0 & 3, attributes: attributes.0 })
                .is_none(),
            "a page is replaced"
        );
        self.set_mapped(frame, Some((space, address)));
        Ok(())
    }

    fn unmap_frame(&mut self, frame: CPtr) -> Result<(), Error> {
        self.tick()?;
        let (cap, _) = self.frame(frame)?;
        if let Some((space, address)) = cap.mapped {
            let Kind::VSpace { pages, .. } = &mut self.objects[space].kind else { unreachable!("only spaces map") };
            pages.remove(&address);
        }
        self.set_mapped(frame, None);
        Ok(())
    }

    fn frame_address(&mut self, frame: CPtr) -> Result<u64, Error> {
        let (_, id) = self.frame(frame)?;
        let Kind::Frame { base, .. } = self.objects[id].kind else { unreachable!("checked by frame") };
        Ok(base)
    }

    fn fill(&mut self, frame: CPtr, offset: usize, bytes: &[u8], is_code: bool) -> Result<(), Error> {
        self.tick()?;
        let (cap, id) = self.frame(frame)?;
        assert!(cap.mapped.is_none() && offset + bytes.len() <= 4096);
        let Kind::Frame { content, is_unified, .. } = &mut self.objects[id].kind else {
            unreachable!("checked by frame")
        };
        content.resize(4096, 0);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        *is_unified = is_code;
        Ok(())
    }

    fn read_word(&mut self, frame: CPtr, offset: usize) -> Result<u64, Error> {
        self.tick()?;
        let (cap, id) = self.frame(frame)?;
        assert!(cap.mapped.is_none(), "one capability maps one place");
        let Kind::Frame { content, .. } = &self.objects[id].kind else { unreachable!("checked by frame") };
        let bytes = content.get(offset..offset + 8).map_or([0; 8], |word| word.try_into().expect("eight bytes"));
        Ok(u64::from_le_bytes(bytes))
    }

    fn write_word(&mut self, frame: CPtr, offset: usize, value: u64) -> Result<(), Error> {
        self.fill(frame, offset, &value.to_le_bytes(), false)
    }

    fn configure_context(&mut self, context: CPtr, given: &SchedParameters) -> Result<(), Error> {
        self.tick()?;
        let id = self.own(context)?.object;
        let Kind::Context { parameters } = &mut self.objects[id].kind else {
            return Err(Error::InvalidCapability { number: 1 });
        };
        *parameters = Some(*given);
        Ok(())
    }

    fn take_consumed_us(&mut self, context: CPtr) -> Result<u64, Error> {
        let id = self.own(context)?.object;
        match self.objects[id].kind {
            Kind::Context { .. } => Ok(7),
            _ => Err(Error::InvalidCapability { number: 0 }),
        }
    }

    fn configure_thread(&mut self, thread: CPtr, given: &ThreadParts) -> Result<(), Error> {
        self.tick()?;
        let id = self.own(thread)?.object;
        let Kind::Thread { parts, .. } = &mut self.objects[id].kind else {
            return Err(Error::InvalidCapability { number: 0 });
        };
        *parts = Some(*given);
        Ok(())
    }

    fn bind(&mut self, thread: CPtr, notification: CPtr) -> Result<(), Error> {
        self.tick()?;
        self.own(thread)?;
        self.own(notification).map(|_| ())
    }

    fn start(&mut self, thread: CPtr, given: &Registers) -> Result<(), Error> {
        self.tick()?;
        let id = self.own(thread)?.object;
        let Kind::Thread { registers, .. } = &mut self.objects[id].kind else {
            return Err(Error::InvalidCapability { number: 0 });
        };
        *registers = Some(*given);
        Ok(())
    }

    fn suspend(&mut self, thread: CPtr) -> Result<u64, Error> {
        let id = self.own(thread)?.object;
        let Kind::Thread { is_stopped, registers, .. } = &mut self.objects[id].kind else {
            return Err(Error::InvalidCapability { number: 0 });
        };
        *is_stopped = true;
        Ok(registers.map_or(0, |registers| registers.read(hybrid_sys::abi::register::Register::Pc)))
    }

    fn issue_interrupt(&mut self, irq: u32, _: Trigger, to: Slot) -> Result<(), Error> {
        self.tick()?;
        let is_used = |object: &Object| {
            matches!(object.kind, Kind::Interrupt { irq: other, .. } if other == irq) && !object.is_dead
        };
        if self.objects.iter().any(is_used) {
            return Err(Error::RevokeFirst);
        }
        let id = self.add(Kind::Interrupt { irq, bell: None }, None);
        self.insert(to, cap(id))
    }

    fn connect_interrupt(&mut self, handler: CPtr, notification: CPtr) -> Result<(), Error> {
        self.tick()?;
        let (id, cap) = (self.own(handler)?.object, self.own(notification)?);
        let Kind::Interrupt { bell, .. } = &mut self.objects[id].kind else {
            return Err(Error::InvalidCapability { number: 0 });
        };
        *bell = Some(cap);
        Ok(())
    }

    fn allow_timer(&mut self, thread: CPtr) -> Result<(), Error> {
        self.tick()?;
        let id = self.own(thread)?.object;
        let Kind::Thread { has_timer, .. } = &mut self.objects[id].kind else {
            return Err(Error::InvalidCapability { number: 1 });
        };
        *has_timer = true;
        Ok(())
    }

    fn set_own_root(&mut self, root: CNode) -> Result<(), Error> {
        self.tick()?;
        self.root = self.own(root.0)?;
        Ok(())
    }

    fn start_metronome(&mut self, thread: CPtr, cnode: CPtr, context: CPtr, fault: CPtr) -> Result<(), Error> {
        self.tick()?;
        for cap in [thread, cnode, context, fault] {
            self.cap_at(cap).ok_or(MISSING)?;
        }
        Ok(())
    }

    fn set_own_priority(&mut self, priority: u8) -> Result<(), Error> {
        self.tick()?;
        self.own_priority = priority;
        Ok(())
    }

    fn answer_server_died(&mut self, reply: CPtr) {
        self.died_answers.extend(self.cap_at(reply).map(|cap| cap.object));
    }

    fn signal(&mut self, notification: CPtr) {
        self.signals.extend(self.cap_at(notification).map(|cap| cap.badge));
    }

    fn power_off(&mut self) {
        self.is_off = true;
    }

    fn restart(&mut self) {
        self.is_off = true;
    }

    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }
}
