//! The objects that every instance has of its own: CNode, endpoint, reply, notification, address space.

use alloc::vec::Vec;

use hybrid_capgraph::{Bundle, Instance, Rights, What, layout, own_grant};
use hybrid_sys::{CNodeData, CPtr, ObjectType};

use super::image::parsed;
use super::{Cause, Live, State, World, rights};
use crate::account::{Account, slot_in};
use crate::kernel::{Kernel, boot};
use crate::space::{OWN_NODE, Space};

impl<K: Kernel> World<K> {
    /// Makes an instance's own objects; nothing of others yet.
    pub(super) fn make_objects(&mut self, instance: &Instance, bundle: &Bundle<'_>) -> Result<(), Cause> {
        if instance.place.is_some() && self.place(instance.id).is_none() {
            self.live.push(blank(instance, State::Empty, None));
            return Ok(());
        }
        let is_own = instance.id == layout::SECURITYD;
        if is_own {
            // Node 1 is kept for securityd's own slots, so its account gets the next one.
            let node = self.space.take_node().map_err(crate::memory::MemoryError::from)?;
            debug_assert_eq!(node, OWN_NODE);
        }
        let caps = if is_own {
            layout::MADE_MAX
        } else {
            self.graph.slots_for(instance, parsed(instance.runtime, &self.file_of(instance, bundle)?)?.pages())
        };
        let account = Account::open(&mut self.kernel, &mut self.space, &mut self.memory, caps)?;
        let place = match self.place(instance.id) {
            Some(place) => {
                self.live[place].begin_again(account);
                place
            }
            None => {
                self.live.push(blank(instance, State::Starting, Some(account)));
                self.live.len() - 1
            }
        };
        let cnode = self.make(place, ObjectType::CapTable, instance.cnode_bits, 1)?;
        let notification = self.make(place, ObjectType::Notification, 6, 1)?;
        self.live[place].cnode = cnode;
        self.live[place].notification = notification;
        if is_own {
            self.adopt_own(place, instance)?;
        } else {
            let vspace = self.make(place, ObjectType::VSpace, 12, 1)?;
            self.kernel.assign_asid(vspace)?;
            self.live[place].vspace = vspace;
        }
        self.fill_fixed_slots(place, instance)
    }

    /// securityd's own slots become node 1, and its thread is woken by its notification.
    fn adopt_own(&mut self, place: usize, instance: &Instance) -> Result<(), Cause> {
        let live = &mut self.live[place];
        live.vspace = CPtr(boot::VSPACE);
        live.thread = CPtr(boot::THREAD);
        live.state = State::Running;
        let (cnode, notification) = (live.cnode, live.notification);
        let guard = Space::node_guard(u32::from(instance.cnode_bits));
        self.kernel.mint(
            self.space.slot_of_node(OWN_NODE),
            self.space.slot(cnode),
            hybrid_sys::Rights::ALL,
            guard.0,
        )?;
        self.kernel.bind(CPtr(boot::THREAD), notification)?;
        Ok(self.kernel.set_own_priority(instance.priority)?)
    }

    fn fill_fixed_slots(&mut self, place: usize, instance: &Instance) -> Result<(), Cause> {
        let (cnode, bits) = (self.live[place].cnode, instance.cnode_bits);
        if let Some(endpoint) = instance.endpoint {
            let original = self.make(place, ObjectType::Endpoint, 4, 1)?;
            let granted = if endpoint.mints { Rights::SERVE_AND_MINT } else { Rights::READ };
            let what = |slot, rights| What::Endpoint { slot, rights };
            self.give_own(place, instance, layout::SLOT_ENDPOINT, original, granted, what)?;
            self.live[place].endpoint = Some(original);
            let original = self.make(place, ObjectType::Reply, 5, 1)?;
            let granted = if endpoint.mints { Rights::GRANT } else { Rights::NONE };
            let what = |slot, rights| What::Reply { slot, rights };
            self.give_own(place, instance, layout::SLOT_REPLY, original, granted, what)?;
            self.live[place].reply = Some(original);
        }
        let notification = self.live[place].notification;
        let what = |slot, rights| What::Notification { slot, rights };
        self.give_own(place, instance, layout::SLOT_NOTIFICATION, notification, Rights::READ, what)?;
        if instance.own_cnode {
            let slot = layout::SLOT_CNODE;
            let guard = component_guard(bits);
            self.kernel.mint(slot_in(cnode, bits, slot), self.space.slot(cnode), hybrid_sys::Rights::ALL, guard.0)?;
            self.record(place, own_grant(instance, What::CNode { slot, slots: 1 << bits }));
        }
        Ok(())
    }

    pub(super) fn give_own(
        &mut self,
        place: usize,
        instance: &Instance,
        slot: u32,
        original: CPtr,
        granted: Rights,
        what: impl FnOnce(u32, Rights) -> What,
    ) -> Result<(), Cause> {
        let target = slot_in(self.live[place].cnode, instance.cnode_bits, slot);
        self.kernel.copy(target, self.space.slot(original), rights(granted))?;
        self.record(place, own_grant(instance, what(slot, granted)));
        Ok(())
    }
}

/// The guard that makes a component's CPtr equal to its slot number.
pub(super) fn component_guard(bits: u8) -> CNodeData {
    CNodeData::new(0, 64 - u32::from(bits))
}

fn blank(instance: &Instance, state: State, account: Option<Account>) -> Live {
    Live {
        id: instance.id,
        // The first life of a place begins when something is installed there.
        generation: u16::from(account.is_some()),
        state,
        is_expected: false,
        is_held: instance.is_held_at_boot(),
        detail: alloc::string::String::new(),
        reason: None,
        grants: Vec::new(),
        region_bytes: 0,
        consumed_us: 0,
        account,
        kept: None,
        cnode: CPtr::NULL,
        cnode_bits: instance.cnode_bits,
        endpoint: None,
        reply: None,
        notification: CPtr::NULL,
        vspace: CPtr::NULL,
        thread: CPtr::NULL,
        context: CPtr::NULL,
        gauge: CPtr::NULL,
        shown: 0,
        peers: CPtr::NULL,
        supervision: CPtr::NULL,
        words: Vec::new(),
        threads: Vec::new(),
        registers: hybrid_sys::Registers::default(),
        dma: Vec::new(),
        dma_chunks: Vec::new(),
    }
}

impl Live {
    /// Forgets what the ended one was, but for what outlives it. The generation goes round after 65,535 starts, without 0.
    fn begin_again(&mut self, account: Account) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.account = Some(account);
        self.state = State::Starting;
        self.detail.clear();
        self.reason = None;
        self.grants.clear();
        self.dma.clear();
        (self.endpoint, self.reply) = (None, None);
        self.words.clear();
    }
}
