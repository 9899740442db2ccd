//! Sessions on demand: given when the client asks, taken back when it lets go, dies, or loses them.

use alloc::rc::Rc;

use hybrid_capgraph::{Grant, Session, What, layout};
use hybrid_sys::CPtr;

use super::{State, World};
use crate::account::slot_in;
use crate::kernel::Kernel;

/// How a session on demand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demand {
    /// Nobody asked for it, or it ended.
    #[default]
    Closed,
    /// The client holds the endpoint: copies of the capability in this slot of boot, so that revoking it takes them all.
    Open(u64),
    /// It may not be asked for.
    Revoked,
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// The client has no use of that name, or not on demand.
    NotListed,
    /// The server does not run.
    ServerDown,
    /// The server has as many open as it may have.
    Full,
    /// It was revoked, and not permitted since.
    Revoked,
    /// Memory or slots are short.
    Failed,
}

impl<K: Kernel> World<K> {
    /// The number of the session of `client`'s use `name`, if that is on demand.
    ///
    /// # Errors
    /// [`NotOpened::NotListed`].
    pub fn on_demand(&self, client: u16, name: &str) -> Result<usize, NotOpened> {
        let used = self.graph.instance(client).and_then(|client| client.uses.iter().find(|used| used.name == name));
        let is_it = |session: &Session| session.is_on_demand && self.is_used(session);
        let used = used.filter(|used| self.graph.session_of(used).is_some_and(is_it));
        used.map(|used| usize::from(used.session)).ok_or(NotOpened::NotListed)
    }

    /// Whether both sides have the session, as far as they run.
    pub(super) fn is_open(&self, number: usize) -> bool {
        let Some(session) = self.graph.sessions.get(number) else { return false };
        self.is_used(session) && (!session.is_on_demand || matches!(self.demands.get(number), Some(Demand::Open(_))))
    }

    /// Gives the client the endpoint, and tells the server of it before its first call. One that is open stays as it is. Whether it is new.
    ///
    /// # Errors
    /// [`NotOpened`]; nothing is held then.
    pub fn open_session(&mut self, number: usize) -> Result<bool, NotOpened> {
        let graph = Rc::clone(&self.graph);
        let session = graph.sessions.get(number).ok_or(NotOpened::NotListed)?;
        match self.demands.get(number) {
            Some(Demand::Closed) => {}
            Some(Demand::Open(_)) => return Ok(false),
            Some(Demand::Revoked) => return Err(NotOpened::Revoked),
            None => return Err(NotOpened::NotListed),
        }
        let server = self.place(session.server).and_then(|place| self.live.get(place));
        if server.is_none_or(|server| server.state != State::Running) {
            return Err(NotOpened::ServerDown);
        }
        let provided =
            graph.instance(session.server).and_then(|server| server.provides.get(usize::from(session.provided)));
        let is_open = |other: &&u16| matches!(self.demands.get(usize::from(**other)), Some(Demand::Open(_)));
        if provided.is_none_or(|offer| offer.sessions.iter().filter(is_open).count() >= usize::from(offer.max_open)) {
            return Err(NotOpened::Full);
        }
        let slot = self.space.take_slot().map_err(|_| NotOpened::Failed)?;
        self.demands[number] = Demand::Open(slot);
        self.epochs[number] = self.epochs[number].checked_add(1).unwrap_or(1);
        if self.join(number, None).is_err() {
            self.end_session(number, Demand::Closed);
            return Err(NotOpened::Failed);
        }
        self.tell_peers();
        Ok(true)
    }

    /// Takes the session back, if it is open, and leaves it closed or revoked. Whether it was open. Both sides are told first, so that a call that
    /// fails from now on finds out why; then every copy that the client made of its capability goes with securityd's own.
    pub fn end_session(&mut self, number: usize, after: Demand) -> bool {
        let graph = Rc::clone(&self.graph);
        let (Some(session), Some(demand)) = (graph.sessions.get(number), self.demands.get_mut(number)) else {
            return false;
        };
        let Demand::Open(slot) = *demand else {
            // Closing does not take back what an operator has decided.
            if after == Demand::Revoked {
                *demand = after;
            }
            return false;
        };
        *demand = after;
        self.tell_peers();
        let own = self.space.slot(CPtr(slot));
        // Nothing to revoke or delete if the server's death took it already.
        let _is_gone = self.kernel.revoke(own);
        let _is_gone = self.kernel.delete(own);
        self.space.give_slot(slot);
        self.forget_session(session);
        true
    }

    /// The bell to the client, and the lines of both sides.
    fn forget_session(&mut self, session: &Session) {
        let call = layout::call_slot(usize::from(session.client_use));
        let bell = session.server_port.filter(|_| session.rings_client).map(layout::session_slot);
        if let Some(live) = self.place(session.client).and_then(|place| self.live.get_mut(place)) {
            live.grants.retain(|grant| !matches!(grant.what, What::Call { slot, .. } if slot == call));
        }
        let server = self.place(session.server).and_then(|place| self.live.get_mut(place));
        let (Some(live), Some(bell)) = (server, bell) else { return };
        let is_it = |grant: &Grant| matches!(grant.what, What::Bell { slot, .. } if slot == bell);
        let before = live.grants.len();
        live.grants.retain(|grant| !is_it(grant));
        if live.grants.len() < before {
            let place = slot_in(live.cnode, live.cnode_bits, bell);
            let _the_server_runs = self.kernel.delete(place);
        }
    }

    /// The sessions on demand that an instance has as a client end with it.
    pub(super) fn end_sessions_of(&mut self, client: u16) {
        let graph = Rc::clone(&self.graph);
        for (number, session) in graph.sessions.iter().enumerate() {
            if session.client == client && session.is_on_demand {
                self.end_session(number, Demand::Closed);
            }
        }
    }

    /// The client may ask again, if that was revoked.
    pub fn permit_session(&mut self, number: usize) {
        if let Some(demand) = self.demands.get_mut(number).filter(|demand| **demand == Demand::Revoked) {
            *demand = Demand::Closed;
        }
    }
}

#[cfg(test)]
mod tests;
