//! The Tcp interface's sessions: listeners, commands, and the work for each connection; no IP and no devices.
//!
//! Each connection has a socket set of its own and is found by its tuple, so a segment, a command or a deadline costs the same
//! whether ten or five hundred connections are open (decision 0061). Sockets are made when a SYN for a listened port
//! arrives, never kept listening.
mod connection;
mod table;

use crate::addressing;
use crate::demux::{Segment, Tuple};
use crate::event::{Clients, CloseReason, Command, Event, Listen, Refusal};
use crate::port::{Frames, Port};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use connection::{Flushed, Owner, Service};
use smoltcp::iface::Interface;
use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};
use table::Table;

pub(crate) use connection::{CHUNK_MAX, RECEIVE_CREDIT, RECEIVE_CREDIT_MAX};
pub use table::CONNECTIONS_MAX;

/// Numbers from here on are the client's to choose.
pub const FIRST_CLIENT_CONNECTION: u32 = 1 << 31;
/// Listeners of one session.
pub const LISTENERS_MAX: usize = 8;
/// Largest backlog.
pub const BACKLOG_MAX: u16 = 128;
/// An incoming connection that is not open by then is forgotten.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// So long an incoming connection keeps its place when others want it: a round trip on a near network. The ones of an honest burst
/// are not thrown out by each other, and a backlog of 128 takes 6400 forged SYNs a second before it turns others away.
const KEEP_OPENING: Duration = Duration::from_millis(20);
/// A connection of the client's own that is not open by then has failed.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// After `Finish`, the peer has so long to take the rest and to end its direction.
const LINGER: Duration = Duration::from_secs(60);
/// Local ports of the client's own connections (RFC 6335 §6).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;
/// Failed `Connect`s whose Closed waits for room in the ring; more than that is a client that does not read.
const REFUSED_MAX: usize = CONNECTIONS_MAX;

struct Listener {
    session: u16,
    id: u16,
    listen: Listen,
    /// Connections that came in and were not yet told, the oldest first.
    pending: VecDeque<u16>,
    /// Those that were told and keep their places; with `pending` at most the backlog.
    kept: u16,
}

impl Listener {
    /// Whether a connection to this end is its.
    fn hears(&self, local: IpEndpoint) -> bool {
        let own = self.listen.local;
        own.port == local.port && own.addr.is_none_or(|address| address == local.addr)
    }

    /// Whether both could hear the same connection.
    fn overlaps(&self, local: IpListenEndpoint) -> bool {
        let own = self.listen.local;
        own.port == local.port && (own.addr.is_none() || local.addr.is_none() || own.addr == local.addr)
    }

    fn is_full(&self) -> bool {
        self.pending.len() + usize::from(self.kept) >= usize::from(self.listen.backlog)
    }
}

#[derive(Default)]
struct Session {
    is_dead: bool,
    open_count: usize,
    next_connection: u32,
    next_listener: u16,
    /// Connections with something to say that found the ring full.
    blocked: VecDeque<u16>,
    refused: VecDeque<(u32, CloseReason)>,
}

/// What to do with a segment.
pub(crate) enum Destination {
    /// It belongs to this connection.
    Connection(u16),
    /// It would open a connection for which there is no room: drop it, the peer tries again.
    Nowhere,
    /// It is nobody's: the stack answers with a reset.
    Nobody,
}

/// All Tcp sessions.
pub(crate) struct Tcp {
    table: Table,
    listeners: Vec<Listener>,
    sessions: Vec<Session>,
    /// Connections that one session may have.
    share: usize,
    next_port: u16,
    /// SYNs for which there was no room, and connections that lost their place to a later SYN before they were open.
    pub(crate) turned_away: u64,
}

impl Tcp {
    pub(crate) fn new(session_count: usize, first_port: u16) -> Self {
        let span = EPHEMERAL.end() - EPHEMERAL.start();
        Self {
            table: Table::default(),
            listeners: Vec::new(),
            sessions: (0..session_count).map(|_| Session::default()).collect(),
            share: CONNECTIONS_MAX / session_count.max(1),
            next_port: EPHEMERAL.start() + first_port % span,
            turned_away: 0,
        }
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.table.owned_count()
    }

    pub(crate) fn listen(&mut self, session: u16, listen: Listen) -> Result<u16, Refusal> {
        if listen.local.port == 0 || listen.backlog == 0 || listen.backlog > BACKLOG_MAX {
            return Err(Refusal::BadAddress);
        }
        if self.listeners.iter().any(|listener| listener.overlaps(listen.local)) {
            return Err(Refusal::InUse);
        }
        if self.listeners.iter().filter(|listener| listener.session == session).count() >= LISTENERS_MAX {
            return Err(Refusal::NoRoom);
        }
        let state = self.sessions.get_mut(usize::from(session)).ok_or(Refusal::NotFound)?;
        state.next_listener = state.next_listener.wrapping_add(1);
        let mut id = state.next_listener;
        // At most LISTENERS_MAX numbers are taken, so this ends.
        while self.listeners.iter().any(|listener| listener.session == session && listener.id == id) {
            id = id.wrapping_add(1);
        }
        state.next_listener = id;
        self.listeners.push(Listener { session, id, listen, pending: VecDeque::new(), kept: 0 });
        Ok(id)
    }

    pub(crate) fn unlisten(&mut self, session: u16, id: u16) -> Result<(), Refusal> {
        let position = self
            .listeners
            .iter()
            .position(|listener| listener.session == session && listener.id == id)
            .ok_or(Refusal::NotFound)?;
        self.listeners.swap_remove(position);
        for index in self.table.of_session(session) {
            let connection = self.table.at(index);
            if !connection.is_told && connection.owner.is_some_and(|owner| owner.listener == Some(id)) {
                connection.abort(CloseReason::Reset);
                self.table.make_ready(index);
            }
        }
        Ok(())
    }

    /// The session is over: its client gets nothing more, and its peers get resets, but for those of connections that it had finished with.
    pub(crate) fn end_session(&mut self, session: u16) {
        let Some(state) = self.sessions.get_mut(usize::from(session)) else { return };
        state.is_dead = true;
        state.open_count = 0;
        state.blocked.clear();
        state.refused.clear();
        self.listeners.retain(|listener| listener.session != session);
        for index in self.table.of_session(session) {
            let connection = self.table.at(index);
            connection.is_blocked = false;
            if !connection.outlives_client() {
                connection.abort(CloseReason::Violation);
            }
            self.table.disown(index);
            self.table.make_ready(index);
        }
    }

    /// A client that was started anew begins: it has nothing yet.
    pub(crate) fn begin_session(&mut self, session: u16) {
        if let Some(state) = self.sessions.get_mut(usize::from(session)) {
            state.is_dead = false;
        }
    }

    /// The client took events out of its ring.
    pub(crate) fn resume(&mut self, session: u16) {
        let Some(state) = self.sessions.get_mut(usize::from(session)) else { return };
        for index in core::mem::take(&mut state.blocked) {
            self.table.at(index).is_blocked = false;
            self.table.make_ready(index);
        }
    }

    pub(crate) fn command(&mut self, session: u16, command: Command<'_>, now: Instant, interface: &mut Interface) {
        if self.sessions.get(usize::from(session)).is_none_or(|state| state.is_dead) {
            return;
        }
        let (id, act): (u32, &dyn Fn(&mut connection::Connection)) = match command {
            Command::Connect { connection, peer, local } => {
                return self.connect(session, connection, (peer, local), now, interface);
            }
            Command::Taken { listener, connections } => return self.take(session, listener, connections),
            Command::Send { connection, data } => (connection, &move |connection| connection.send(data)),
            Command::Finish { connection } => (connection, &move |connection| connection.finish(now + LINGER)),
            Command::Abort { connection } => (connection, &move |connection| connection.abort(CloseReason::Reset)),
            Command::Credit { connection, bytes } => (connection, &move |connection| connection.has_room_for(bytes)),
        };
        // A connection that the client was not told of has no number that the client can know.
        if let Some(index) = self.table.find_owned(session, id)
            && (self.table.at(index).is_told || id >= FIRST_CLIENT_CONNECTION)
        {
            act(self.table.at(index));
            self.table.make_ready(index);
        }
    }

    /// Connections have left the client's queue, so their places are free. More than have one are nobody's.
    fn take(&mut self, session: u16, id: u16, connections: u16) {
        let mut all = self.listeners.iter_mut();
        if let Some(listener) = all.find(|listener| listener.session == session && listener.id == id) {
            listener.kept = listener.kept.saturating_sub(connections);
        }
    }

    fn connect(
        &mut self,
        session: u16,
        id: u32,
        ends: (IpEndpoint, IpListenEndpoint),
        now: Instant,
        interface: &mut Interface,
    ) {
        if id < FIRST_CLIENT_CONNECTION || self.table.find_owned(session, id).is_some() {
            return;
        }
        if let Err(reason) = self.try_connect(session, id, ends, now, interface) {
            let refused = &mut self.sessions[usize::from(session)].refused;
            if refused.len() < REFUSED_MAX {
                refused.push_back((id, reason));
            }
        }
    }

    fn try_connect(
        &mut self,
        session: u16,
        id: u32,
        (peer, wanted): (IpEndpoint, IpListenEndpoint),
        now: Instant,
        interface: &mut Interface,
    ) -> Result<(), CloseReason> {
        if self.sessions[usize::from(session)].open_count >= self.share {
            return Err(CloseReason::NoRoom);
        }
        let source = addressing::source(interface, &peer.addr);
        let is_here = |own: IpAddress| own.version() == peer.addr.version() && interface.has_ip_addr(own);
        let local = match (wanted.addr, source) {
            (Some(own), _) if !is_here(own) => return Err(CloseReason::BadAddress),
            (_, None) => return Err(CloseReason::Unreachable),
            (wanted, Some(source)) => wanted.unwrap_or(source),
        };
        let port = match wanted.port {
            0 => self.free_port(local, peer).ok_or(CloseReason::NoRoom)?,
            port if self.is_taken(session, IpEndpoint::new(local, port), peer) => return Err(CloseReason::InUse),
            port => port,
        };
        let local = IpEndpoint::new(local, port);
        let owner = Owner { session, id, listener: None };
        let index = self.table.allocate(owner, now + CONNECT_WITHIN).ok_or(CloseReason::NoRoom)?;
        if self.table.at(index).socket().connect(interface.context(), peer, local).is_err() {
            self.table.release(index);
            return Err(CloseReason::Unreachable);
        }
        self.table.set_tuple(index, Tuple { local, remote: peer });
        self.table.make_ready(index);
        self.sessions[usize::from(session)].open_count += 1;
        Ok(())
    }

    /// Whether a local end that a client asks for cannot be used for this peer. One of its own may listen there: its connections are others.
    fn is_taken(&self, session: u16, local: IpEndpoint, remote: IpEndpoint) -> bool {
        self.listeners.iter().any(|listener| listener.session != session && listener.hears(local))
            || self.table.find(&Tuple { local, remote }).is_some()
    }

    /// A local port with which the tuple is new.
    fn free_port(&mut self, local: IpAddress, remote: IpEndpoint) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next_port;
            self.next_port = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            let is_listened = self.listeners.iter().any(|listener| listener.listen.local.port == port);
            let tuple = Tuple { local: IpEndpoint::new(local, port), remote };
            if !is_listened && self.table.find(&tuple).is_none() {
                return Some(port);
            }
        }
        None
    }

    /// Finds the connection of a segment, or makes one.
    pub(crate) fn route(&mut self, segment: &Segment, now: Instant) -> Destination {
        if let Some(index) = self.table.find(&segment.tuple) {
            let connection = self.table.at(index);
            // A new SYN for a pair of ports whose last connection only waits out TIME-WAIT starts a new one (RFC 9293 §3.6.1
            // allows it; smoltcp's random initial sequence numbers take the place of the comparison with the old one's).
            let is_reuse = segment.is_open && connection.owner.is_none() && connection.state() == State::TimeWait;
            if !is_reuse {
                return Destination::Connection(index);
            }
            self.table.release(index);
        }
        if !segment.is_open {
            return Destination::Nobody;
        }
        let Some(place) = self.listeners.iter().position(|listener| listener.hears(segment.tuple.local)) else {
            return Destination::Nobody;
        };
        if !self.make_room(place, now) {
            self.turned_away += 1;
            return Destination::Nowhere;
        }
        let listener = &mut self.listeners[place];
        let session = &mut self.sessions[usize::from(listener.session)];
        let owner = Owner {
            session: listener.session,
            id: next_connection(session, listener.session, &self.table),
            listener: Some(listener.id),
        };
        let Some(index) = self.table.allocate(owner, now + OPEN_WITHIN) else {
            self.turned_away += 1;
            return Destination::Nowhere;
        };
        session.open_count += 1;
        listener.pending.push_back(index);
        self.table.at(index).listen(segment.tuple.local.port);
        self.table.set_tuple(index, segment.tuple);
        Destination::Connection(index)
    }

    /// Whether a connection may come in by a listener. If its backlog or its session's share is full, the oldest of its connections
    /// whose peer has not answered for `KEEP_OPENING` loses its place without a word: honest peers answer within a round trip, forged
    /// ones never, so that a flood of SYNs does not close the port.
    fn make_room(&mut self, place: usize, now: Instant) -> bool {
        let listener = &self.listeners[place];
        if !listener.is_full() && self.sessions[usize::from(listener.session)].open_count < self.share {
            return true;
        }
        let table = &mut self.table;
        let oldest = listener.pending.iter().copied().find(|&index| table.at(index).state() == State::SynReceived);
        let Some(oldest) = oldest else { return false };
        let until = now + (OPEN_WITHIN - KEEP_OPENING);
        if table.at(oldest).give_up_at.is_none_or(|give_up_at| give_up_at > until) {
            return false;
        }
        self.turned_away += 1;
        self.forget_untold(oldest);
        true
    }

    /// A neighbour may have become known.
    pub(crate) fn neighbors_changed(&mut self) {
        self.table.wake_waiting();
    }

    /// Gives the port's frame to a connection that [`Tcp::route`] named. `is_joined`: it was several.
    pub(crate) fn ingress<F: Frames>(
        &mut self,
        index: u16,
        is_joined: bool,
        now: Instant,
        interface: &mut Interface,
        port: &mut Port<'_, F>,
    ) {
        self.table.at(index).ingress(is_joined, now, interface, port);
        if self.table.at(index).state() == State::Listen {
            // Not a segment that opens a connection after all (a bad checksum of its IP header, say; TCP's is checked before), or its peer reset it at once.
            self.forget_untold(index);
        } else {
            self.table.make_ready(index);
        }
    }

    /// Does the work of all connections that have some, until the driver has no room.
    pub(crate) fn run<F: Frames, C: Clients>(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        port: &mut Port<'_, F>,
        clients: &mut C,
    ) {
        self.table.expire(now);
        self.tell_refused(clients);
        while let Some(index) = self.table.next_ready() {
            if !self.step(index, now, interface, port, clients) {
                self.table.put_back(index);
                break;
            }
        }
    }

    /// Whether a connection has work left, since the driver had no room.
    pub(crate) fn is_ready(&self) -> bool {
        self.table.is_any_ready()
    }

    /// When to run again although nothing happens.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.table.next_deadline()
    }

    /// The work of one connection. False: the driver has no room.
    fn step<F: Frames, C: Clients>(
        &mut self,
        index: u16,
        now: Instant,
        interface: &mut Interface,
        port: &mut Port<'_, F>,
        clients: &mut C,
    ) -> bool {
        let connection = self.table.at(index);
        if connection.give_up_at.is_some_and(|give_up_at| give_up_at <= now) {
            connection.give_up_at = None;
            connection.abort(CloseReason::TimedOut);
        }
        let before = connection.serve(clients);
        self.account(index, before);
        let connection = self.table.at(index);
        port.is_unresolved = false;
        let Flushed { is_drained, next, is_changed } = connection.flush(now, interface, port);
        if port.is_unresolved {
            self.table.wait_for_neighbor(index);
        }
        let after = if is_changed { self.table.at(index).serve(clients) } else { Service::default() };
        self.account(index, after);
        self.settle(index, is_drained);
        let connection = self.table.at(index);
        if connection.tuple.is_some() {
            // Whoever takes data out of the socket, or aborts it, may make it due.
            let known = next.filter(|_| !after.has_received && connection.owner.is_some());
            let deadline = connection.deadline(now, interface, known);
            self.table.arm(index, deadline);
        }
        is_drained
    }

    /// Books what the client was told.
    fn account(&mut self, index: u16, service: Service) {
        let Some(owner) = self.table.at(index).owner else { return };
        if service.is_told_now
            && let Some(listener) = self.settle_pending(owner, index)
            && listener.listen.keeps_places
        {
            listener.kept += 1;
        }
        let Some(session) = self.sessions.get_mut(usize::from(owner.session)) else { return };
        if service.is_blocked && !self.table.at(index).is_blocked {
            self.table.at(index).is_blocked = true;
            session.blocked.push_back(index);
        }
        if service.is_ended {
            if self.table.at(index).is_blocked {
                session.blocked.retain(|&blocked| blocked != index);
                self.table.at(index).is_blocked = false;
            }
            session.open_count = session.open_count.saturating_sub(1);
            if !self.table.at(index).is_told {
                _ = self.settle_pending(owner, index);
            }
            self.table.disown(index);
            self.table.at(index).give_up_at = None;
        }
    }

    /// A connection without an owner is released, rests, or goes on to its end; but not if something comes for who is gone.
    fn settle(&mut self, index: u16, is_drained: bool) {
        let connection = self.table.at(index);
        if connection.owner.is_some() {
            return;
        }
        match connection.state() {
            State::TimeWait => {
                connection.give_up_at = None;
                self.table.rest(index);
            }
            // The reset was sent, or cannot be.
            State::Closed if is_drained => self.table.release(index),
            State::Closed => {}
            _ if connection.outlives_client() && !connection.has_unread() => self.table.leave(index),
            _ => {
                connection.abort(CloseReason::Reset);
                self.table.make_ready(index);
            }
        }
    }

    /// It is not pending any more; the listener that it came in by.
    fn settle_pending(&mut self, owner: Owner, index: u16) -> Option<&mut Listener> {
        let mut all = self.listeners.iter_mut();
        let listener = all.find(|listener| listener.session == owner.session && Some(listener.id) == owner.listener)?;
        listener.pending.retain(|&pending| pending != index);
        Some(listener)
    }

    fn forget_untold(&mut self, index: u16) {
        if let Some(owner) = self.table.at(index).owner {
            _ = self.settle_pending(owner, index);
            if let Some(session) = self.sessions.get_mut(usize::from(owner.session)) {
                session.open_count = session.open_count.saturating_sub(1);
                session.blocked.retain(|&blocked| blocked != index);
            }
        }
        self.table.release(index);
    }

    fn tell_refused<C: Clients>(&mut self, clients: &mut C) {
        for (number, session) in self.sessions.iter_mut().enumerate() {
            while let Some(&(connection, reason)) = session.refused.front() {
                if !clients.tcp(number, Event::Closed { connection, reason }) {
                    break;
                }
                session.refused.pop_front();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        self.table.check();
        for (number, session) in self.sessions.iter().enumerate() {
            let number = u16::try_from(number).expect("few sessions");
            assert_eq!(session.open_count, self.table.of_session(number).len(), "open_count");
        }
        for listener in &self.listeners {
            let places = listener.pending.len() + usize::from(listener.kept);
            assert!(places <= usize::from(listener.listen.backlog), "backlog");
            let owned = self.table.of_session(listener.session);
            assert!(listener.pending.iter().all(|index| owned.contains(index)), "pending");
        }
    }
}

/// The next number of the session that is not in use.
fn next_connection(session: &mut Session, number: u16, table: &Table) -> u32 {
    loop {
        session.next_connection = (session.next_connection + 1) % FIRST_CLIENT_CONNECTION;
        // At most CONNECTIONS_MAX numbers are in use, so this ends.
        if table.find_owned(number, session.next_connection).is_none() {
            return session.next_connection;
        }
    }
}
