//! Joins a client with its server: the badged endpoint, the region in both address spaces, the bells.

use alloc::rc::Rc;

use hybrid_capgraph::{Rights, Session, What, layout};
use hybrid_sys::{Attributes, CPtr, ObjectType};

use super::{Cause, World, rights};
use crate::account::slot_in;
use crate::kernel::Kernel;

const PAGE: u64 = 4096;

impl<K: Kernel> World<K> {
    /// Makes everything of one session.
    pub(super) fn join(&mut self, session: &Session) -> Result<(), Cause> {
        let (client, server) = (self.expect(session.client)?, self.expect(session.server)?);
        if let Some(bytes) = session.region {
            self.share_region(session, client, server, bytes)?;
        }
        if session.has_operations {
            self.give_call(session, client, server)?;
        }
        let graph = Rc::clone(&self.graph);
        if let (true, Some(bit)) = (session.rings_server, session.server_port) {
            let slot = layout::bell_slot(usize::from(session.client_use));
            self.give_bell(client, server, slot, bit)?;
            self.record(client, graph.client_grant(session, What::Bell { slot, rights: Rights::WRITE, bit }));
        }
        if let (true, Some(bit), Some(port)) = (session.rings_client, session.client_port, session.server_port) {
            let slot = layout::session_slot(port);
            self.give_bell(server, client, slot, bit)?;
            self.record(server, graph.server_grant(session, What::Bell { slot, rights: Rights::WRITE, bit }));
        }
        Ok(())
    }

    /// The frames belong to securityd, so that the death of one side takes nothing from the other.
    fn share_region(&mut self, session: &Session, client: usize, server: usize, bytes: u64) -> Result<(), Cause> {
        let (Some(client_port), Some(server_port)) = (session.client_port, session.server_port) else { return Ok(()) };
        let pages = bytes / PAGE;
        let own = self.expect(layout::SECURITYD)?;
        let first = self.make(own, ObjectType::SmallPage, 12, pages)?;
        for (place, port, is_client) in [(client, client_port, true), (server, server_port, false)] {
            let address = layout::region_address(port);
            for page in 0..pages {
                let original = CPtr(first.0 + page);
                // A frame capability remembers one mapping: the server's side maps a copy.
                let frame = if is_client { original } else { self.copy_frame(place, original)? };
                self.map(place, frame, address + page * PAGE, rights(Rights::READ_WRITE), Attributes::DATA)?;
            }
            let graph = Rc::clone(&self.graph);
            let what = What::Region { bytes, address, rights: Rights::READ_WRITE };
            let grant = if is_client { graph.client_grant(session, what) } else { graph.server_grant(session, what) };
            self.record(place, grant);
        }
        self.live[client].region_bytes += bytes;
        Ok(())
    }

    pub(super) fn copy_frame(&mut self, place: usize, original: CPtr) -> Result<CPtr, Cause> {
        let slot = self.take_slot(place)?;
        self.kernel.copy(self.space.slot(slot), self.space.slot(original), rights(Rights::READ_WRITE))?;
        Ok(slot)
    }

    fn give_call(&mut self, session: &Session, client: usize, server: usize) -> Result<(), Cause> {
        let Some(endpoint) = self.live[server].endpoint else { return Ok(()) };
        let slot = layout::call_slot(usize::from(session.client_use));
        let badge = layout::badge(session.client, session.provided, 1);
        let target = slot_in(self.live[client].cnode, self.live[client].cnode_bits, slot);
        self.kernel.mint(target, self.space.slot(endpoint), rights(Rights::CALL), badge)?;
        let graph = Rc::clone(&self.graph);
        self.record(client, graph.client_grant(session, What::Call { slot, rights: Rights::CALL, badge }));
        Ok(())
    }

    /// Lets `holder` set `bit` of `target`'s notification.
    fn give_bell(&mut self, holder: usize, target: usize, slot: u32, bit: u8) -> Result<(), Cause> {
        let place = slot_in(self.live[holder].cnode, self.live[holder].cnode_bits, slot);
        let notification = self.space.slot(self.live[target].notification);
        Ok(self.kernel.mint(place, notification, rights(Rights::WRITE), layout::bell_badge(bit))?)
    }
}
