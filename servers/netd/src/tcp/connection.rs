//! One TCP connection: its socket, its credits, and what its client was told; knows no other connection.
//!
//! INV-TCP-1: bytes delivered ≤ `RECEIVE_CREDIT` and what the client said it has room for since; `room` is never more than `RECEIVE_CREDIT_MAX`. INV-TCP-2: `send_credit` ≤ free bytes of the socket's
//! transmit buffer, so that a Send within its credit always fits. INV-TCP-3: events follow the order of `ipc-idl/net/stack.idl`.
use crate::demux::Tuple;
use crate::event::{Clients, CloseReason, Event};
use crate::port::{Frames, Port};
use alloc::vec;
use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};

/// Bytes of receive buffer, and of Data under way to the client unless it says that it has room for more.
pub(crate) const RECEIVE_CREDIT: usize = 8192;
/// Bytes of Data under way to a client that has room for them.
pub(crate) const RECEIVE_CREDIT_MAX: usize = 32768;
/// Bytes of the larger receive buffers: each window is worth one round through driver, stack and client, whatever its size.
pub(crate) const RECEIVE_WIDE: usize = 32768;
/// Bytes of transmit buffer, and the largest send credit.
pub(crate) const SEND_CREDIT: usize = 16384;
/// Largest Data and Send.
pub(crate) const CHUNK_MAX: usize = 8192;
/// Credit is given in portions of this size, so that it costs few events. A client with less than that much credit
/// gets more as soon as its queue has drained.
const CREDIT_PORTION: usize = SEND_CREDIT / 2;
/// A peer that answers neither data nor keep-alive probes for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(12);

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) session: u16,
    pub(crate) id: u32,
    /// The listener that it came in by; none for the client's own.
    pub(crate) listener: Option<u16>,
}

/// What [`Connection::serve`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Accepted or Connected was told now.
    pub(crate) is_told_now: bool,
    /// The client's ring has no room: more is to be said.
    pub(crate) is_blocked: bool,
    /// Closed was told, or nobody needs to be told: the client has nothing to do with it any more.
    pub(crate) is_ended: bool,
    /// Data left the socket: the window may have opened.
    pub(crate) has_received: bool,
}

/// What [`Connection::flush`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// False: the driver has no room for the rest.
    pub(crate) is_drained: bool,
    /// When the socket needs attention next, if it was asked; it may be never.
    pub(crate) next: Option<Option<Instant>>,
    /// The socket did something, so its client may have to be told.
    pub(crate) is_changed: bool,
}

/// One connection and the memory for it, which is reused for later ones.
pub(crate) struct Connection {
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    pub(crate) owner: Option<Owner>,
    pub(crate) tuple: Option<Tuple>,
    pub(crate) is_told: bool,
    is_peer_finish_told: bool,
    /// The client sends no more.
    is_finished: bool,
    /// Bytes that the client has room for.
    room: u32,
    send_credit: u32,
    pub(crate) reason: Option<CloseReason>,
    pub(crate) give_up_at: Option<Instant>,
    /// In use.
    pub(crate) is_allocated: bool,
    /// In its session's list of those that found the ring full.
    pub(crate) is_blocked: bool,
    /// Waits for the link-layer address of its next hop, and is in the table's list of those.
    pub(crate) is_waiting: bool,
    /// In the table's ready queue.
    pub(crate) is_ready: bool,
    /// In the table's list of connections without an owner in TIME-WAIT.
    pub(crate) is_resting: bool,
    /// In the table's list of those whose client ended after it had finished with them.
    pub(crate) is_leaving: bool,
    /// The deadline under which the table has it.
    pub(crate) armed: Option<Instant>,
}

impl Connection {
    /// `receive`: bytes of its receive buffer.
    pub(crate) fn new(receive: usize) -> Self {
        let mut socket = Socket::new(SocketBuffer::new(vec![0; receive]), SocketBuffer::new(vec![0; SEND_CREDIT]));
        socket.set_nagle_enabled(false);
        // Before the socket is opened: set on an open one, the first probe goes out at once.
        socket.set_timeout(Some(DEAD_AFTER));
        socket.set_keep_alive(Some(KEEP_ALIVE));
        let mut sockets = SocketSet::new(vec![]);
        let handle = sockets.add(socket);
        Self {
            sockets,
            handle,
            owner: None,
            tuple: None,
            is_told: false,
            is_peer_finish_told: false,
            is_finished: false,
            room: credit(RECEIVE_CREDIT),
            send_credit: 0,
            reason: None,
            give_up_at: None,
            is_allocated: false,
            is_blocked: false,
            is_waiting: false,
            is_ready: false,
            is_resting: false,
            is_leaving: false,
            armed: None,
        }
    }

    /// Prepares for a new connection of `owner`.
    pub(crate) fn assign(&mut self, owner: Owner, give_up_at: Instant) {
        self.clear();
        self.is_allocated = true;
        self.owner = Some(owner);
        self.give_up_at = Some(give_up_at);
    }

    /// Forgets everything; the socket is closed without a word to the peer.
    pub(crate) fn clear(&mut self) {
        self.socket().abort();
        // A fresh entry of the set also forgets which neighbour the old connection was waiting for.
        let socket = self.sockets.remove(self.handle);
        if let smoltcp::socket::Socket::Tcp(mut socket) = socket {
            socket.set_congestion_control(CongestionControl::Reno);
            self.handle = self.sockets.add(socket);
        }
        self.owner = None;
        self.tuple = None;
        self.is_told = false;
        self.is_peer_finish_told = false;
        self.is_finished = false;
        self.room = credit(RECEIVE_CREDIT);
        self.send_credit = 0;
        self.reason = None;
        self.give_up_at = None;
        self.is_allocated = false;
        self.is_blocked = false;
        self.is_resting = false;
        self.is_leaving = false;
    }

    pub(crate) fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(crate) fn state(&self) -> State {
        self.sockets.get::<Socket<'static>>(self.handle).state()
    }

    /// Opens the socket for the one segment that asked for this connection.
    pub(crate) fn listen(&mut self, port: u16) -> bool {
        self.socket().listen(port).is_ok()
    }

    /// Gives the port's frame to the socket.
    pub(crate) fn ingress<F: Frames>(
        &mut self,
        is_joined: bool,
        now: Instant,
        interface: &mut Interface,
        port: &mut Port<'_, F>,
    ) {
        let before = self.state();
        if is_joined {
            // The socket counts it as one and would wait for a second one; two segments are acknowledged at once (RFC 9293 §3.8.6.3).
            let delay = self.socket().ack_delay();
            self.socket().set_ack_delay(Some(Duration::ZERO));
            interface.poll_ingress_single(now, port, &mut self.sockets);
            self.socket().set_ack_delay(delay);
        } else {
            interface.poll_ingress_single(now, port, &mut self.sockets);
        }
        self.observe(before, CloseReason::Reset);
    }

    /// Sends what the socket has to send.
    pub(crate) fn flush<F: Frames>(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        port: &mut Port<'_, F>,
    ) -> Flushed {
        if self.holds_last_data() {
            return Flushed { is_drained: true, next: None, is_changed: false };
        }
        let (before, had_reason) = (self.state(), self.reason.is_some());
        let mut sent = 0_u32;
        let flushed = loop {
            let is_changed = sent > 0;
            // To ask whether anything is due costs half of being told that nothing is. But what has sent twice will have more.
            if sent < 2 {
                let next = interface.poll_at(now, &self.sockets);
                if next.is_none_or(|due| due > now) {
                    break Flushed { is_drained: true, next: Some(next), is_changed };
                }
            }
            if !port.has_room() {
                break Flushed { is_drained: false, next: None, is_changed };
            }
            if interface.poll_egress(now, port, &mut self.sockets) == PollResult::None {
                break Flushed { is_drained: true, next: None, is_changed: true };
            }
            sent = sent.saturating_add(1);
        };
        self.observe(before, CloseReason::TimedOut);
        Flushed { is_changed: flushed.is_changed || self.reason.is_some() != had_reason, ..flushed }
    }

    /// When the connection needs attention although nothing happens. `known` is when its socket does, if nothing was done with that since.
    pub(crate) fn deadline(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        known: Option<Option<Instant>>,
    ) -> Option<Instant> {
        let socket = match known {
            Some(socket) => socket,
            None if self.holds_last_data() => None,
            None => interface.poll_at(now, &self.sockets),
        };
        match (socket, self.give_up_at) {
            (Some(socket), Some(give_up)) => Some(socket.min(give_up)),
            (one, other) => one.or(other),
        }
    }

    /// The end of TIME-WAIT would empty the socket's buffers: wait until the client took what is in them.
    fn holds_last_data(&self) -> bool {
        let socket = self.sockets.get::<Socket<'static>>(self.handle);
        socket.state() == State::TimeWait && self.owner.is_some() && socket.recv_queue() > 0
    }

    /// Finds the reason when a step closed the socket. `cause` is what such a step means for an open connection.
    fn observe(&mut self, before: State, cause: CloseReason) {
        if self.reason.is_some() || self.owner.is_none() {
            return;
        }
        let is_orderly = matches!(before, State::LastAck | State::Closing | State::TimeWait);
        match self.state() {
            State::TimeWait => self.reason = Some(CloseReason::Finished),
            State::Closed if is_orderly => self.reason = Some(CloseReason::Finished),
            State::Closed => self.reason = Some(cause),
            _ => {}
        }
    }

    /// The peer gets a reset, the client `reason`.
    pub(crate) fn abort(&mut self, reason: CloseReason) {
        self.reason.get_or_insert(reason);
        self.socket().abort();
    }

    /// Takes over bytes to send.
    pub(crate) fn send(&mut self, data: &[u8]) {
        let len = data.len();
        if self.is_finished || len > CHUNK_MAX || len > self.send_credit as usize {
            return self.abort(CloseReason::Violation);
        }
        if len == 0 || !self.socket().may_send() {
            return; // The peer's reset or a time-out is on its way to the client.
        }
        match self.socket().send_slice(data) {
            // INV-TCP-2 makes `taken` equal to `len`.
            Ok(taken) => self.send_credit = self.send_credit.saturating_sub(credit(taken)),
            Err(_) => self.abort(CloseReason::Violation),
        }
    }

    /// The client has room for more bytes: it consumed some, or says for the first time how many it has room for.
    pub(crate) fn has_room_for(&mut self, bytes: u32) {
        match self.room.checked_add(bytes).filter(|&room| room <= credit(RECEIVE_CREDIT_MAX)) {
            Some(room) => self.room = room,
            None => self.abort(CloseReason::Violation),
        }
    }

    /// No more from this side.
    pub(crate) fn finish(&mut self, give_up_at: Instant) {
        if !self.is_finished {
            self.is_finished = true;
            self.give_up_at = Some(give_up_at);
            self.socket().close();
        }
    }

    /// Whether it goes on without its client, who finished with it in order: what was sent and the end go out still.
    pub(crate) fn outlives_client(&self) -> bool {
        self.is_finished && matches!(self.reason, None | Some(CloseReason::Finished))
    }

    /// Whether something came for a client that is gone.
    pub(crate) fn has_unread(&self) -> bool {
        self.sockets.get::<Socket<'static>>(self.handle).recv_queue() > 0
    }

    /// Tells the client all there is to tell, as far as its ring and credit allow.
    pub(crate) fn serve<C: Clients>(&mut self, clients: &mut C) -> Service {
        let mut service = Service::default();
        let Some(owner) = self.owner else { return service };
        if !self.is_told && !self.introduce(owner, clients, &mut service) {
            return service;
        }
        let is_orderly = matches!(self.reason, None | Some(CloseReason::Finished));
        let is_delivered = !self.is_told || !is_orderly || self.deliver(owner, clients, &mut service);
        let reason = self.reason;
        match reason {
            Some(reason) if is_delivered => self.tell_closed(owner, reason, clients, &mut service),
            Some(_) => {}
            // Also while data waits for the client: it may read no more before it has written, as an echo does.
            None if !self.give_credit(owner, clients) => service.is_blocked = true,
            None => {}
        }
        service
    }

    /// Tells of a new connection. True: go on.
    fn introduce<C: Clients>(&mut self, owner: Owner, clients: &mut C, service: &mut Service) -> bool {
        if self.reason.is_some() {
            service.is_ended = owner.listener.is_some();
            return owner.listener.is_none();
        }
        let Tuple { local, remote: peer } = match (self.state(), self.tuple) {
            (State::Listen | State::SynSent | State::SynReceived | State::Closed, _) | (_, None) => return false,
            (_, Some(tuple)) => tuple,
        };
        let (connection, send_credit) = (owner.id, credit(SEND_CREDIT));
        let event = match owner.listener {
            Some(listener) => Event::Accepted { connection, listener, peer, local, send_credit },
            None => Event::Connected { connection, local, send_credit },
        };
        if !clients.tcp(owner.session.into(), event) {
            service.is_blocked = true;
            return false;
        }
        self.is_told = true;
        self.send_credit = send_credit;
        self.give_up_at = None;
        service.is_told_now = true;
        true
    }

    /// Delivers data, then the peer's end. True: all that has arrived was delivered.
    fn deliver<C: Clients>(&mut self, owner: Owner, clients: &mut C, service: &mut Service) -> bool {
        while self.socket().can_recv() {
            let room = (self.room as usize).min(CHUNK_MAX);
            if room == 0 {
                return false;
            }
            let taken = self.socket().recv(|data| {
                let chunk = &data[..data.len().min(room)];
                let is_told = clients.tcp(owner.session.into(), Event::Data { connection: owner.id, data: chunk });
                let taken = if is_told { chunk.len() } else { 0 };
                (taken, taken)
            });
            match taken {
                Ok(taken) if taken > 0 => {
                    self.room = self.room.saturating_sub(credit(taken));
                    service.has_received = true;
                }
                _ => {
                    service.is_blocked = true;
                    return false;
                }
            }
        }
        let has_ended = matches!(self.state(), State::CloseWait | State::Closing | State::LastAck | State::TimeWait);
        if has_ended && !self.is_peer_finish_told {
            if !clients.tcp(owner.session.into(), Event::PeerFinished { connection: owner.id }) {
                service.is_blocked = true;
                return false;
            }
            self.is_peer_finish_told = true;
        }
        true
    }

    fn tell_closed<C: Clients>(&self, owner: Owner, reason: CloseReason, clients: &mut C, service: &mut Service) {
        if clients.tcp(owner.session.into(), Event::Closed { connection: owner.id, reason }) {
            service.is_ended = true;
        } else {
            service.is_blocked = true;
        }
    }

    /// False: the ring has no room.
    fn give_credit<C: Clients>(&mut self, owner: Owner, clients: &mut C) -> bool {
        if self.is_finished || !self.is_told {
            return true;
        }
        let free = SEND_CREDIT.saturating_sub(self.socket().send_queue());
        let bytes = free.saturating_sub(self.send_credit as usize);
        if bytes < CREDIT_PORTION {
            return true;
        }
        let bytes = credit(bytes);
        let is_told = clients.tcp(owner.session.into(), Event::Credit { connection: owner.id, bytes });
        if is_told {
            self.send_credit += bytes;
        }
        is_told
    }
}

/// A number of buffer bytes as credit; buffers are far smaller than 4 GiB.
fn credit(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
