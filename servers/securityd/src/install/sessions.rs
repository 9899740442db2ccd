//! Joins a client with its server: the badged endpoint, the region in both address spaces, the bells.

use alloc::rc::Rc;

use hybrid_capgraph::{Rights, Session, What, layout};
use hybrid_sys::{Attributes, CPtr, ObjectType, Slot};

use super::demand::Demand;
use super::{Cause, World, rights};
use crate::account::slot_in;
use crate::kernel::Kernel;

const PAGE: u64 = 4096;

impl<K: Kernel> World<K> {
    /// Makes everything of a session. When one side was started `anew`: what it maps, and what either holds of the other's objects;
    /// a side that is not there gets and gives nothing until it is started itself.
    pub(super) fn join(&mut self, number: usize, anew: Option<u16>) -> Result<(), Cause> {
        let graph = Rc::clone(&self.graph);
        let Some(session) = graph.sessions.get(number) else { return Ok(()) };
        let (client, server) = (self.expect(session.client)?, self.expect(session.server)?);
        if let Some(bytes) = session.region {
            let first = self.region(number, client, bytes)?;
            for (id, is_client) in [(session.client, true), (session.server, false)] {
                let has_space = if is_client { client } else { server };
                if anew.is_none_or(|anew| anew == id) && self.live[has_space].account.is_some() {
                    self.map_region(session, first, bytes, is_client)?;
                }
            }
        }
        if self.live[client].account.is_none() || self.live[server].account.is_none() || !self.is_open(number) {
            return Ok(());
        }
        if session.has_operations {
            self.give_call(number, session, client, server)?;
        }
        if let (true, Some(bit)) = (session.rings_server, session.server_port) {
            let slot = layout::bell_slot(usize::from(session.client_use));
            self.give_bell(client, server, slot, bit)?;
            let what = What::Bell { slot, rights: Rights::WRITE, bit };
            self.record(client, graph.client_grant(session, what));
        }
        if let Some(grant) = graph.client_bell_grant(session)
            && let What::Bell { slot, bit, .. } = grant.what
        {
            self.give_bell(server, client, slot, bit)?;
            self.record(server, grant);
        }
        Ok(())
    }

    /// The frames of a session's region; the first of them. They belong to securityd, so that the death of one side takes nothing
    /// from the other, and are mapped by nobody: a frame capability remembers one mapping, so each side maps copies of its own.
    pub(crate) fn region(&mut self, number: usize, client: usize, bytes: u64) -> Result<CPtr, Cause> {
        if let Some(first) = self.regions.get(number).copied().flatten() {
            return Ok(first);
        }
        let own = self.expect(layout::SECURITYD)?;
        let first = self.make(own, ObjectType::SmallPage, 12, bytes / PAGE)?;
        self.live[client].region_bytes += bytes;
        if let Some(kept) = self.regions.get_mut(number) {
            *kept = Some(first);
        }
        Ok(first)
    }

    fn map_region(&mut self, session: &Session, first: CPtr, bytes: u64, is_client: bool) -> Result<(), Cause> {
        let (id, port) =
            if is_client { (session.client, session.client_port) } else { (session.server, session.server_port) };
        let (place, Some(port)) = (self.expect(id)?, port) else { return Ok(()) };
        let address = layout::region_address(port);
        for page in 0..bytes / PAGE {
            let frame = self.copy_frame(place, CPtr(first.0 + page), Rights::READ_WRITE)?;
            self.map(place, frame, address + page * PAGE, rights(Rights::READ_WRITE), Attributes::DATA)?;
        }
        let graph = Rc::clone(&self.graph);
        let what = What::Region { bytes, address, rights: Rights::READ_WRITE };
        let grant = if is_client { graph.client_grant(session, what) } else { graph.server_grant(session, what) };
        self.record(place, grant);
        Ok(())
    }

    pub(super) fn copy_frame(&mut self, place: usize, original: CPtr, granted: Rights) -> Result<CPtr, Cause> {
        let slot = self.take_slot(place)?;
        self.kernel.copy(self.space.slot(slot), self.space.slot(original), rights(granted))?;
        Ok(slot)
    }

    /// On demand, the client's is a copy of one that securityd keeps: so it can be taken back, with all copies that the client made.
    fn give_call(&mut self, number: usize, session: &Session, client: usize, server: usize) -> Result<(), Cause> {
        let Some(endpoint) = self.live[server].endpoint else { return Ok(()) };
        let slot = layout::call_slot(usize::from(session.client_use));
        let badge = self.graph.badge(session, self.live[server].generation);
        let (target, original) = (self.emptied(client, slot), self.space.slot(endpoint));
        if let Some(Demand::Open(kept)) = self.demands.get(number) {
            let kept = self.space.slot(CPtr(*kept));
            self.kernel.mint(kept, original, rights(Rights::CALL), badge)?;
            self.kernel.copy(target, kept, rights(Rights::CALL))?;
        } else {
            self.kernel.mint(target, original, rights(Rights::CALL), badge)?;
        }
        let grant = self.graph.call_grant(session, self.live[server].generation);
        self.record(client, grant);
        Ok(())
    }

    /// Lets `holder` set `bit` of `target`'s notification.
    fn give_bell(&mut self, holder: usize, target: usize, slot: u32, bit: u8) -> Result<(), Cause> {
        let place = self.emptied(holder, slot);
        let notification = self.space.slot(self.live[target].notification);
        Ok(self.kernel.mint(place, notification, rights(Rights::WRITE), layout::bell_badge(bit))?)
    }

    /// A slot of a component's CNode, empty: who holds its own CNode can put something there, and so keep nobody from starting.
    fn emptied(&mut self, holder: usize, slot: u32) -> Slot {
        let place = slot_in(self.live[holder].cnode, self.live[holder].cnode_bits, slot);
        // If it cannot be emptied, the mint that follows says so.
        let _minting_fails_then = self.kernel.delete(place);
        place
    }
}
