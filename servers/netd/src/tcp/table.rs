//! All connections: found by number and by tuple, queued for work, ordered by deadline; bounded.
use super::connection::{Connection, Owner, RECEIVE_CREDIT, RECEIVE_WIDE};
use crate::demux::Tuple;
use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use smoltcp::time::Instant;

/// Connections of all sessions together, those in TIME-WAIT included.
pub const CONNECTIONS_MAX: usize = 512;
/// Connections that nobody owns any more and that only wait out TIME-WAIT. The oldest makes room for the next.
const RESTING_MAX: usize = 64;
/// So many have a large receive buffer: those that are open while few others are.
const WIDE_MAX: usize = 16;

/// The connections. An index is good until its connection is released.
///
/// INV-TABLE-1: `by_tuple` and `by_owner` name exactly the connections with a tuple and with an owner.
/// INV-TABLE-2: an index is in `ready` at most once, and exactly if `is_ready`.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Connection>,
    /// The lowest first: those have the large buffers.
    free: BinaryHeap<Reverse<u16>>,
    by_tuple: BTreeMap<Tuple, u16>,
    by_owner: BTreeMap<(u16, u32), u16>,
    deadlines: BTreeSet<(Instant, u16)>,
    resting: VecDeque<u16>,
    /// Connections that their clients finished before they ended: the oldest makes room if nothing rests.
    leaving: VecDeque<u16>,
    waiting: Vec<u16>,
    ready: VecDeque<u16>,
}

impl Table {
    /// The connection at an index that this table handed out.
    pub(crate) fn at(&mut self, index: u16) -> &mut Connection {
        &mut self.slots[usize::from(index)]
    }

    pub(crate) fn find(&self, tuple: &Tuple) -> Option<u16> {
        self.by_tuple.get(tuple).copied()
    }

    pub(crate) fn find_owned(&self, session: u16, id: u32) -> Option<u16> {
        self.by_owner.get(&(session, id)).copied()
    }

    /// The connections of a session.
    pub(crate) fn of_session(&self, session: u16) -> Vec<u16> {
        self.by_owner.range((session, 0)..=(session, u32::MAX)).map(|(_, &index)| index).collect()
    }

    /// Connections that have an owner.
    pub(crate) fn owned_count(&self) -> usize {
        self.by_owner.len()
    }

    /// A place for a new connection, at the cost of the one that has rested longest if need be.
    pub(crate) fn allocate(&mut self, owner: Owner, give_up_at: Instant) -> Option<u16> {
        if self.free.is_empty() {
            if let Ok(index) = u16::try_from(self.slots.len())
                && self.slots.len() < CONNECTIONS_MAX
            {
                let receive = if self.slots.len() < WIDE_MAX { RECEIVE_WIDE } else { RECEIVE_CREDIT };
                self.slots.push(Connection::new(receive));
                self.free.push(Reverse(index));
            } else if let Some(&oldest) = self.resting.front().or(self.leaving.front()) {
                self.release(oldest);
            }
        }
        let Reverse(index) = self.free.pop()?;
        self.at(index).assign(owner, give_up_at);
        self.by_owner.insert((owner.session, owner.id), index);
        Some(index)
    }

    /// The connection's ends are known from now on.
    pub(crate) fn set_tuple(&mut self, index: u16, tuple: Tuple) {
        self.at(index).tuple = Some(tuple);
        self.by_tuple.insert(tuple, index);
    }

    /// The client has nothing to do with it any more.
    pub(crate) fn disown(&mut self, index: u16) -> Option<Owner> {
        let owner = self.at(index).owner.take()?;
        self.by_owner.remove(&(owner.session, owner.id));
        Some(owner)
    }

    /// It stays for its TIME-WAIT, if nobody needs the place.
    pub(crate) fn rest(&mut self, index: u16) {
        if self.at(index).is_resting {
            return;
        }
        if self.resting.len() >= RESTING_MAX
            && let Some(&oldest) = self.resting.front()
        {
            self.release(oldest);
        }
        self.no_longer_leaves(index);
        self.at(index).is_resting = true;
        self.resting.push_back(index);
    }

    /// It goes on without its client, until its end was acknowledged.
    pub(crate) fn leave(&mut self, index: u16) {
        if !self.at(index).is_leaving {
            self.at(index).is_leaving = true;
            self.leaving.push_back(index);
        }
    }

    fn no_longer_leaves(&mut self, index: u16) {
        if core::mem::take(&mut self.at(index).is_leaving) {
            self.leaving.retain(|&leaving| leaving != index);
        }
    }

    /// Frees the place.
    pub(crate) fn release(&mut self, index: u16) {
        debug_assert!(self.at(index).is_allocated, "released twice");
        self.disown(index);
        self.disarm(index);
        if let Some(tuple) = self.at(index).tuple.take() {
            self.by_tuple.remove(&tuple);
        }
        if self.at(index).is_resting {
            self.resting.retain(|&resting| resting != index);
        }
        self.no_longer_leaves(index);
        if self.at(index).is_ready {
            self.ready.retain(|&ready| ready != index);
            self.at(index).is_ready = false;
        }
        self.at(index).clear();
        self.free.push(Reverse(index));
    }

    /// There is work to do for it.
    pub(crate) fn make_ready(&mut self, index: u16) {
        let connection = self.at(index);
        if connection.is_allocated && !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_back(index);
        }
    }

    /// It waits for a neighbour.
    pub(crate) fn wait_for_neighbor(&mut self, index: u16) {
        if !self.at(index).is_waiting {
            self.at(index).is_waiting = true;
            self.waiting.push(index);
        }
    }

    /// All that wait for a neighbour try again.
    pub(crate) fn wake_waiting(&mut self) {
        for index in core::mem::take(&mut self.waiting) {
            self.at(index).is_waiting = false;
            self.make_ready(index);
        }
    }

    /// The next one that has work to do.
    pub(crate) fn next_ready(&mut self) -> Option<u16> {
        let index = self.ready.pop_front()?;
        self.at(index).is_ready = false;
        Some(index)
    }

    /// Whether one has work to do.
    pub(crate) fn is_any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// It could not do its work now: it is the first next time.
    pub(crate) fn put_back(&mut self, index: u16) {
        let connection = self.at(index);
        if connection.is_allocated && !connection.is_ready {
            connection.is_ready = true;
            self.ready.push_front(index);
        }
    }

    /// Sees to it that the connection is looked at by `deadline`. An earlier entry stays: it fires once in vain, which is
    /// cheaper than moving it with each segment.
    pub(crate) fn arm(&mut self, index: u16, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.at(index).armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        self.disarm(index);
        self.at(index).armed = Some(deadline);
        self.deadlines.insert((deadline, index));
    }

    fn disarm(&mut self, index: u16) {
        if let Some(armed) = self.at(index).armed.take() {
            self.deadlines.remove(&(armed, index));
        }
    }

    /// Makes those ready whose deadline has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(deadline, index)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            self.disarm(index);
            self.make_ready(index);
        }
    }

    /// The next deadline of all.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        for (tuple, &index) in &self.by_tuple {
            assert_eq!(self.slots[usize::from(index)].tuple.as_ref(), Some(tuple), "INV-TABLE-1");
        }
        for (&(session, id), &index) in &self.by_owner {
            let owner = self.slots[usize::from(index)].owner.expect("INV-TABLE-1");
            assert_eq!((owner.session, owner.id), (session, id), "INV-TABLE-1");
        }
        assert_eq!(self.by_owner.len(), self.slots.iter().filter(|slot| slot.owner.is_some()).count(), "INV-TABLE-1");
        assert_eq!(self.by_tuple.len(), self.slots.iter().filter(|slot| slot.tuple.is_some()).count(), "INV-TABLE-1");
        assert_eq!(self.ready.len(), self.slots.iter().filter(|slot| slot.is_ready).count(), "INV-TABLE-2");
        assert_eq!(self.resting.len(), self.slots.iter().filter(|slot| slot.is_resting).count());
        assert_eq!(self.leaving.len(), self.slots.iter().filter(|slot| slot.is_leaving).count());
        let is_left = |index: &u16| self.slots[usize::from(*index)].owner.is_none();
        assert!(self.leaving.iter().chain(&self.resting).all(is_left), "an owned one would lose its place");
        assert_eq!(self.waiting.len(), self.slots.iter().filter(|slot| slot.is_waiting).count());
        assert!(self.slots.len() <= CONNECTIONS_MAX && self.resting.len() <= RESTING_MAX);
    }
}
