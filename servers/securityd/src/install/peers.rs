//! The page that tells an instance how its peers are: made, filled and changed here; what follows from it is the runtime's.

use alloc::rc::Rc;
use alloc::vec::Vec;

use hybrid_capgraph::{Instance, Rights, layout, peers_grant};
use hybrid_start::peers::{Condition, Peer, WORDS, client_word, use_word};
use hybrid_sys::{Attributes, ObjectType};

use super::{Cause, World, rights};
use crate::kernel::Kernel;

const _: () = assert!(
    layout::PEERS_ADDRESS == hybrid_start::PEERS_ADDRESS
        && layout::SUPERVISION_BIT == hybrid_start::peers::SUPERVISION_BIT
        && layout::PORTS <= layout::SUPERVISION_BIT
        && layout::USES_MAX <= hybrid_start::peers::CLIENTS - hybrid_start::peers::USES
);

impl<K: Kernel> World<K> {
    /// Makes and maps the page, with how each peer is now, and the bell that says that it changed.
    pub(super) fn make_peers(&mut self, place: usize, instance: &Instance) -> Result<(), Cause> {
        let frame = self.make(place, ObjectType::SmallPage, 12, 1)?;
        let page = self.copy_frame(place, frame)?;
        let bytes: Vec<u8> = self.peers_of(instance).iter().flat_map(|word| word.to_le_bytes()).collect();
        self.kernel.fill(page, 0, &bytes, false)?;
        self.map(place, frame, layout::PEERS_ADDRESS, rights(Rights::READ), Attributes::DATA)?;
        let bell = self.take_slot(place)?;
        let notification = self.space.slot(self.live[place].notification);
        let badge = layout::bell_badge(layout::SUPERVISION_BIT);
        self.kernel.mint(self.space.slot(bell), notification, rights(Rights::WRITE), badge)?;
        self.live[place].peers = page;
        self.live[place].supervision = bell;
        self.record(place, peers_grant(instance));
        Ok(())
    }

    /// All words of an instance's page.
    pub(super) fn peers_of(&self, instance: &Instance) -> Vec<u64> {
        let graph = Rc::clone(&self.graph);
        let mut words = alloc::vec![0; WORDS];
        let mut set = |at: Option<usize>, peer: Peer| {
            if let Some(word) = at.and_then(|at| words.get_mut(at)) {
                *word = peer.word();
            }
        };
        for (index, used) in instance.uses.iter().enumerate() {
            let server = graph.session_of(used).map_or(0, |session| session.server);
            set(use_word(index), self.peer(server, used.session));
        }
        let sessions = instance.provides.iter().flat_map(|provided| &provided.sessions);
        for (index, number) in sessions.enumerate() {
            let client = graph.sessions.get(usize::from(*number)).map_or(0, |session| session.client);
            set(client_word(index), self.peer(client, *number));
        }
        words
    }

    /// How `peer` is, in the session of that number.
    fn peer(&self, peer: u16, session: u16) -> Peer {
        let condition = match self.place(peer).and_then(|place| self.live.get(place)) {
            Some(live) => live.condition(),
            None => Condition::Up,
        };
        Peer { condition, epoch: self.epochs.get(usize::from(session)).copied().unwrap_or(Peer::FIRST.epoch) }
    }
}
