//! The page that tells an instance how its peers are: made and changed here; what follows is the runtime's.

use alloc::rc::Rc;
use alloc::vec::Vec;

use hybrid_capgraph::{Instance, Rights, layout, peers_grant};
use hybrid_start::peers::{CHANGES, Condition, PING, POLICY, Peer, WORDS, client_word, use_word};
use hybrid_sys::{Attributes, ObjectType};

use super::{Cause, State, World, rights};
use crate::kernel::Kernel;

const _: () = assert!(
    layout::PEERS_ADDRESS == hybrid_start::PEERS_ADDRESS
        && layout::SUPERVISION_BIT == hybrid_start::peers::SUPERVISION_BIT
        && layout::PORTS <= layout::SUPERVISION_BIT
        && layout::USES_MAX <= hybrid_start::peers::CLIENTS - hybrid_start::peers::USES
);

/// Bytes of a word.
const WORD: usize = 8;

impl super::Live {
    /// It runs, and is not securityd, which needs no page.
    fn is_watched(&self) -> bool {
        self.state == State::Running && self.id != layout::SECURITYD
    }
}

impl<K: Kernel> World<K> {
    /// Makes and maps the page, with how each peer is now, and the bell that says that it changed.
    pub(super) fn make_peers(&mut self, place: usize, instance: &Instance) -> Result<(), Cause> {
        let frame = self.make(place, ObjectType::SmallPage, 12, 1)?;
        // Mapped is a copy that cannot be written through: the kernel's list shows what a capability may, not what a mapping does.
        let shown = self.take_slot(place)?;
        self.kernel.copy(self.space.slot(shown), self.space.slot(frame), rights(Rights::READ))?;
        let mut words = alloc::vec![0; WORDS];
        words[POLICY] = self.policy_epoch;
        for (index, word) in self.peers_of(instance) {
            words[index] = word;
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.kernel.fill(frame, 0, &bytes, false)?;
        self.map(place, shown, layout::PEERS_ADDRESS, rights(Rights::READ), Attributes::DATA)?;
        let bell = self.take_slot(place)?;
        let notification = self.space.slot(self.live[place].notification);
        let badge = layout::bell_badge(layout::SUPERVISION_BIT);
        self.kernel.mint(self.space.slot(bell), notification, rights(Rights::WRITE), badge)?;
        self.live[place].peers = frame;
        self.live[place].supervision = bell;
        self.live[place].words = words;
        self.record(place, peers_grant(instance));
        Ok(())
    }

    /// Brings the pages of all that run up to date, and rings those whose page changed.
    pub(crate) fn tell_peers(&mut self) {
        let graph = Rc::clone(&self.graph);
        for instance in graph.instances.iter().filter(|instance| instance.id != layout::SECURITYD) {
            if let Some(place) = self.place(instance.id).filter(|place| self.live[*place].state == State::Running) {
                self.tell(place, instance);
            }
        }
    }

    /// The peers' words first, then the word that says that they changed (INV-PEERS-1).
    fn tell(&mut self, place: usize, instance: &Instance) {
        let (page, mut has_changed) = (self.live[place].peers, false);
        for (index, word) in self.peers_of(instance) {
            if self.live[place].words.get(index).is_some_and(|old| *old != word) {
                // If the page cannot be written, its reader is told nothing: it then finds out by its calls.
                if self.kernel.write_word(page, index * WORD, word).is_ok() {
                    self.live[place].words[index] = word;
                    has_changed = true;
                }
            }
        }
        if has_changed {
            let changes = self.live[place].words[CHANGES].wrapping_add(1);
            self.live[place].words[CHANGES] = changes;
            let _its_reader_is_told_nothing = self.kernel.write_word(page, CHANGES * WORD, changes);
            self.kernel.signal(self.live[place].supervision);
        }
    }

    /// Tells all that run that another access policy is in force, before it answers anything (INV-PEERS-3). Who cannot be told is ended:
    /// it would go on with what the old one said.
    pub(crate) fn tell_policy(&mut self, epoch: u64) {
        self.policy_epoch = epoch;
        for place in 0..self.live.len() {
            let Some(live) = self.live.get_mut(place).filter(|live| live.is_watched()) else { continue };
            live.words[POLICY] = epoch;
            let (id, page) = (live.id, live.peers);
            if self.kernel.write_word(page, POLICY * WORD, epoch).is_err() {
                self.stop(id, State::Faulted, "it could not be told of the new access policy".into());
            }
        }
    }

    /// Asks an instance for a sign of life: it writes `number` back when it has done with what it is at. False if it does not run.
    pub fn ping(&mut self, place: usize, number: u64) -> bool {
        self.tell_word(place, PING, number)
    }

    /// Orders an instance to fail, in images of the fault campaign only. `order` is `NAME/DEED/STEP/PASSING`.
    #[cfg(feature = "faults")]
    pub fn order(&mut self, order: &str) -> bool {
        // The time tells two equal orders apart.
        let number = u32::try_from(self.kernel.now_ns() >> 10 & u64::from(u32::MAX)).unwrap_or(0);
        let parsed = order.split_once('/').and_then(|(name, order)| {
            let id = self.graph.named(name)?.id;
            Some((self.place(id)?, hybrid_start::fault::Order::parse(order)?.word(number)))
        });
        parsed.is_some_and(|(place, word)| self.tell_word(place, hybrid_start::fault::ORDER, word))
    }

    /// Writes a word that is no peer's, and rings. False if the instance does not run.
    pub(super) fn tell_word(&mut self, place: usize, index: usize, word: u64) -> bool {
        let Some(live) = self.live.get(place).filter(|live| live.is_watched()) else { return false };
        let (page, bell) = (live.peers, live.supervision);
        let is_written = self.kernel.write_word(page, index * WORD, word).is_ok();
        self.kernel.signal(bell);
        is_written
    }

    /// The number of the last ping that an instance says it saw; 0 if it does not run.
    pub fn answer(&mut self, place: usize) -> u64 {
        match self.live.get(place).filter(|live| live.is_watched()).map(|live| live.gauge) {
            Some(gauge) => self.kernel.read_word(gauge, hybrid_start::ANSWER_OFFSET).unwrap_or(0),
            None => 0,
        }
    }

    /// How each of an instance's peers is, and the word of its page that says so; all others are of nobody.
    pub(super) fn peers_of(&self, instance: &Instance) -> Vec<(usize, u64)> {
        let graph = &self.graph;
        let used = instance.uses.iter().enumerate().map(|(index, used)| {
            let server = graph.session_of(used).map_or(0, |session| session.server);
            (use_word(index), server, used.session)
        });
        let sessions = instance.provides.iter().flat_map(|provided| &provided.sessions);
        let clients = sessions.enumerate().map(|(index, number)| {
            let client = graph.sessions.get(usize::from(*number)).map_or(0, |session| session.client);
            (client_word(index), client, *number)
        });
        let told = |(at, peer, session): (Option<usize>, u16, u16)| Some((at?, self.peer(peer, session).word()));
        used.chain(clients).filter_map(told).collect()
    }

    /// How `peer` is, in the session of that number.
    fn peer(&self, peer: u16, session: u16) -> Peer {
        let condition = match self.place(peer).and_then(|place| self.live.get(place)) {
            _ if !self.is_open(usize::from(session)) => Condition::Closed,
            Some(live) => live.condition(),
            None => Condition::Up,
        };
        Peer { condition, epoch: self.epochs.get(usize::from(session)).copied().unwrap_or(Peer::FIRST.epoch) }
    }
}
