//! All of httpd but its wiring; no rings, no calls, no clock of its own.
//!
//! What arrives goes into the engines at once (`on_…`); what follows from it happens in `settle`, once for each wake-up.
//!
//! Invariants
//! * INV-HTTPD-1: a request is at one provider at most, and each exchange belongs to one living connection and one session.
//! * INV-HTTPD-2: every table is bounded (`limits`), and what a full one means is stated there.
//! * INV-HTTPD-3: a provider's or a client's fault ends its own requests only.

mod answers;
mod clocks;
mod connection;
mod exchange;
mod requests;
mod settle;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod lives_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use crate::engine::ProtocolEngine;
use crate::http1::{Head, Http1};
use crate::limits::{ABORTS_MAX, CONNECTIONS_MAX, EXCHANGES_MAX, PEER_CONNECTIONS_MAX};
use crate::outside::{Outside, Refusal, Verdict};
use crate::pool::Pool;
use crate::routes::Routes;
use crate::slots::{Key, Slots};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use connection::Connection;
use exchange::{Exchange, Session};
use hybrid_interfaces::net::stack::{AcceptedBody, Address, CreditBody, TcpCommand, TcpEvent};
use hybrid_interfaces::provider::Error;

/// The state of httpd.
#[derive(Debug)]
pub struct Server<E = Http1> {
    connections: Slots<Box<Connection<E>>>,
    /// The stack's connection numbers.
    numbers: BTreeMap<u32, Key>,
    exchanges: Slots<Exchange>,
    sessions: Vec<Session>,
    routes: Routes,
    head: Head,
    pool: Pool,
    /// Connections to attend to in `settle`.
    dirty: VecDeque<Key>,
    /// Connections that found the stack's ring full.
    stalled: Vec<Key>,
    /// The stack's numbers of connections that were forgotten here, and whose resets found no room yet.
    aborts: VecDeque<u32>,
    /// Requests that were refused since their peer had too many open.
    limited: u32,
}

/// How much of everything there is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Open connections.
    pub connections: usize,
    /// Requests at providers.
    pub exchanges: usize,
    /// Requests that wait for room at a provider.
    pub queued: usize,
    /// Cancellations that wait for room in a provider's ring.
    pub cancels: usize,
}

impl<E: ProtocolEngine> Server<E> {
    /// httpd with these possible providers; the names are for the log.
    pub fn new<'a>(providers: impl IntoIterator<Item = &'a str>) -> Self {
        let limit = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        Server {
            connections: Slots::new(limit(CONNECTIONS_MAX)),
            numbers: BTreeMap::new(),
            exchanges: Slots::new(limit(EXCHANGES_MAX)),
            sessions: providers.into_iter().map(Session::new).collect(),
            routes: Routes::default(),
            head: Head::default(),
            pool: Pool::default(),
            dirty: VecDeque::new(),
            stalled: Vec::new(),
            aborts: VecDeque::new(),
            limited: 0,
        }
    }

    /// A provider wants to serve `endpoint` and all below. A provider that was given up is taken back by this.
    ///
    /// # Errors
    /// As the interface says.
    pub fn register(&mut self, session: usize, endpoint: &str) -> Result<(), Error> {
        let state = self.sessions.get_mut(session).filter(|state| !state.is_lost).ok_or(Error::NoRoom)?;
        state.is_stalled = false;
        if core::mem::take(&mut state.is_gone) {
            // The first word of a new life: what the last one served is over.
            self.routes.unregister_all(session);
        }
        if let Some(owner) = self.routes.owner(endpoint)
            && (self.sessions[owner].is_lost || self.sessions[owner].is_gone)
        {
            self.routes.unregister_all(owner);
        }
        self.routes.register(session, endpoint)
    }

    /// A provider serves `endpoint` no more; requests that it has are still answered.
    pub fn unregister(&mut self, session: usize, endpoint: &str) {
        self.routes.unregister(session, endpoint);
    }

    /// The stack says something.
    pub fn on_tcp(&mut self, event: TcpEvent<'_>, now: u64, outside: &mut impl Outside) {
        match event {
            TcpEvent::Accepted(accepted) => self.on_accepted(&accepted, now, outside),
            TcpEvent::Data(data) => self.with_number(data.connection, |connection, pool| {
                if connection.engine.needs_buffer() {
                    connection.engine.lend_buffer(pool.take());
                }
                connection.engine.receive(&data.data);
                connection.received = connection.received.saturating_add(data.data.len());
            }),
            TcpEvent::PeerFinished(number) => {
                self.with_number(number, |connection, _| connection.engine.peer_finished())
            }
            TcpEvent::Credit(credit) => self.with_number(credit.connection, |connection, _| {
                connection.send_credit = connection.send_credit.saturating_add(credit.bytes);
            }),
            TcpEvent::Closed(closed) => self.on_closed(closed.connection, outside),
            TcpEvent::Connected(_) => {}
        }
    }

    /// Whether `on_tick` should be called once a second.
    pub fn wants_ticks(&self) -> bool {
        self.connections.len() > 0
    }

    /// What there is now; all zero when nobody is connected.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.connections.len(),
            exchanges: self.exchanges.len(),
            queued: self.connections.iter().filter(|(_, connection)| connection.queue.is_some()).count(),
            cancels: self.sessions.iter().map(|session| session.cancels.len()).sum(),
        }
    }

    /// Whether no table holds anything but memory for reuse, and that within its bounds.
    #[cfg(test)]
    fn is_empty_but_for_reserves(&self) -> bool {
        self.counts() == Counts::default()
            && self.numbers.is_empty()
            && self.dirty.is_empty()
            && self.stalled.is_empty()
            && self.aborts.is_empty()
            && self
                .sessions
                .iter()
                .all(|session| session.in_flight == 0 && session.queue.is_empty() && session.blocked.is_empty())
            && self.pool.len() <= 64
    }

    fn on_accepted(&mut self, accepted: &AcceptedBody, now: u64, outside: &mut impl Outside) {
        let mut connection = Connection::new(accepted, now);
        let limit = match outside.decide_connection(&connection.address) {
            Verdict::Allow => None,
            Verdict::Limit(limit) if limit > 0 => Some(limit),
            Verdict::Limit(_) | Verdict::Deny(_) => return self.refuse(accepted.connection, outside),
        };
        connection.limit = limit;
        if !self.make_room(connection.origin, outside) {
            return self.refuse(accepted.connection, outside);
        }
        match self.connections.insert(Box::new(connection)) {
            Ok(key) => {
                self.numbers.insert(accepted.connection, key);
            }
            Err(_) => self.refuse(accepted.connection, outside),
        }
    }

    /// Resets a connection that is in no table, now or once there is room.
    fn refuse(&mut self, number: u32, outside: &mut impl Outside) {
        self.aborts.push_back(number);
        self.send_aborts(outside);
        if self.aborts.len() > ABORTS_MAX {
            // A stack that keeps its word has no more connections than that.
            self.aborts.pop_back();
            log::warn!("no room to reset connection {number}");
        }
    }

    /// Says the resets that wait for room.
    fn send_aborts(&mut self, outside: &mut impl Outside) {
        while let Some(&number) = self.aborts.front() {
            match outside.tcp(&TcpCommand::Abort(number)) {
                Ok(()) => self.aborts.pop_front(),
                Err(Refusal::Full) => return,
                // There is nobody to say it to.
                Err(Refusal::Corrupt) => return self.aborts.clear(),
            };
        }
    }

    /// Makes room for a connection of that peer, at the cost of an idle one if need be. False: there is none.
    fn make_room(&mut self, origin: Address, outside: &mut impl Outside) -> bool {
        if self.connections.iter().filter(|(_, other)| other.origin == origin).count() >= PEER_CONNECTIONS_MAX {
            return self.evict(Some(origin), outside);
        }
        !self.connections.is_full() || self.evict(None, outside)
    }

    /// Resets the idle connection that has waited longest, of all or of one peer. False: none is idle.
    fn evict(&mut self, origin: Option<Address>, outside: &mut impl Outside) -> bool {
        let is_meant = |other: &Connection<E>| other.is_idle() && origin.is_none_or(|origin| other.origin == origin);
        let idle = self.connections.iter().filter(|(_, connection)| is_meant(connection));
        if let Some(key) = idle.min_by_key(|(_, connection)| connection.idle_since()).map(|(key, _)| key)
            && let Some(connection) = self.connections.lend(key)
        {
            self.abort(key, connection, outside);
            return true;
        }
        false
    }

    fn on_closed(&mut self, number: u32, outside: &mut impl Outside) {
        // The stack may use the number again.
        self.aborts.retain(|&waiting| waiting != number);
        if let Some(&key) = self.numbers.get(&number)
            && let Some(connection) = self.connections.lend(key)
        {
            self.release(key, connection, outside);
        }
    }

    /// Changes a connection and has it attended to.
    fn with_number(&mut self, number: u32, change: impl FnOnce(&mut Connection<E>, &mut Pool)) {
        let Some(&key) = self.numbers.get(&number) else { return };
        if let Some(connection) = self.connections.find(key) {
            change(connection, &mut self.pool);
            Self::mark(&mut self.dirty, key, connection);
        }
    }

    fn mark(dirty: &mut VecDeque<Key>, key: Key, connection: &mut Connection<E>) {
        if !core::mem::replace(&mut connection.is_dirty, true) {
            dirty.push_back(key);
        }
    }

    /// Ends a connection with a reset; it was lent.
    fn abort(&mut self, key: Key, connection: Box<Connection<E>>, outside: &mut impl Outside) {
        self.refuse(connection.number, outside);
        self.release(key, connection, outside);
    }

    /// Forgets a connection, which was lent, and what it had under way.
    fn release(&mut self, key: Key, mut connection: Box<Connection<E>>, outside: &mut impl Outside) {
        self.cancel_exchange(&mut connection, outside);
        self.numbers.remove(&connection.number);
        self.pool.put(core::mem::take(&mut connection.out));
        connection.engine.end();
        if let Some(buffer) = connection.engine.take_idle_buffer() {
            self.pool.put(buffer);
        }
        self.connections.forget(key);
    }

    /// The stack's session is lost, or the stack died: all connections are gone.
    pub fn on_stack_lost(&mut self, outside: &mut impl Outside) {
        self.aborts.clear();
        let keys: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(connection) = self.connections.lend(key) {
                self.release(key, connection, outside);
            }
        }
    }

    fn give_credit(connection: &Connection<E>, bytes: u32) -> TcpCommand<'static> {
        TcpCommand::Credit(CreditBody { connection: connection.number, bytes })
    }
}
