//! Streams within the component: at its own addresses, which is what localhost means here, by name, and as pairs.
//!
//! A connection is two pipes (`pipe`). A listener's queue is those who were connected and not accepted yet; who finds it full knocks, and is let
//! in when somebody was accepted (INV-WITHIN-1: nobody knocks at a listener that has room, or is none).
use super::address::{self, Encoded, Family, Name};
use super::object::{Ends, Held, Id, Object, PIPE_ATOMIC, poll};
use super::pieces::Pieces;
use super::socket::{NO_NETWORK, free_ports, is_for};
use super::tcp::{Line, Stage, Tcp};
use super::{Pages, Process};
use crate::net::{Address, Peer};
use crate::number::{self, Answer, Errno};
use crate::world::World;

impl Tcp {
    /// Where it is reached, or would be if it listened.
    pub(super) const fn own(&self) -> Peer {
        Peer { address: self.address, port: self.port }
    }

    /// Whether it may talk to this address from its own.
    fn can_reach(&self, peer: Address) -> bool {
        is_for(self.family, self.options.is_v6_only, peer) && self.address.meets(peer)
    }

    /// Whether it listens for what is sent to this address.
    fn listens_at(&self, to: Peer) -> bool {
        self.is_listening()
            && self.path.is_none()
            && self.port == to.port
            && (self.address.is_any() || self.address == to.address)
            && is_for(self.family, self.options.is_v6_only, to.address)
    }

    /// Whether it is the one that was given this name, and still has it; who was accepted shares its listener's.
    fn has_name(&self, path: &[u8]) -> bool {
        !self.is_hidden && self.path.as_deref() == Some(path)
    }

    /// Whether both could be meant by one address.
    fn overlaps(&self, own: Peer) -> bool {
        let is_any = self.address.is_any() || own.address.is_any();
        self.path.is_none() && self.port == own.port && (is_any || self.address == own.address)
    }
}

impl<S: Pages> Process<S> {
    /// `bind`
    pub(super) fn bind_stream(&mut self, world: &mut impl World, id: Id, name: Name) -> Answer {
        let tcp = self.tcp_of(id).ok_or(Errno::ENOTSOCK)?;
        if tcp.stage != Stage::Fresh || tcp.port != 0 || tcp.path.is_some() {
            return Err(Errno::EINVAL);
        }
        let is_reused = tcp.options.is_reused;
        match name {
            Name::Path(path) if path.is_empty() => return Err(Errno::EINVAL),
            Name::Path(path) if self.is_name_taken(&path) => return Err(Errno::EADDRINUSE),
            Name::Path(path) => {
                if let Some(tcp) = self.tcp_of(id) {
                    tcp.path = Some(path);
                }
            }
            Name::Host(wanted) => {
                if wanted.address.is_any() && !world.has_tcp() {
                    self.tell(world, number::BIND, NO_NETWORK);
                    return Err(Errno::EACCES);
                }
                let is_known = wanted.address.is_any() || wanted.address.is_own();
                // Without the network no address of the device is known.
                if !(is_known || world.has_tcp() && world.has_address(wanted.address)?) {
                    return Err(Errno::EADDRNOTAVAIL);
                }
                let port = self.free_port(world, wanted, is_reused)?;
                if let Some(tcp) = self.tcp_of(id) {
                    (tcp.address, tcp.port) = (wanted.address, port);
                    tcp.bound = tcp.own();
                }
            }
        }
        Ok(0)
    }

    /// The wanted port, or any free one. A port that was used before is in use only as long as somebody listens. Who
    /// asks has none yet.
    fn free_port(&self, world: &impl World, wanted: Peer, is_reused: bool) -> Result<u16, Errno> {
        let is_taken = |port: u16| {
            let own = Peer { port, ..wanted };
            self.sockets().any(|(_, tcp)| {
                let is_bound = tcp.stage == Stage::Fresh && !(is_reused && tcp.options.is_reused);
                tcp.overlaps(own) && (tcp.is_listening() || is_bound)
            })
        };
        if wanted.port != 0 {
            return if is_taken(wanted.port) { Err(Errno::EADDRINUSE) } else { Ok(wanted.port) };
        }
        free_ports(world.now_ns())
            .find(|port| !is_taken(*port) && !self.sockets().any(|(_, tcp)| tcp.port == *port))
            .ok_or(Errno::EADDRINUSE)
    }

    /// `listen`: at the host stack, too, unless it is reached within the component only.
    pub(super) fn listen_stream(&mut self, world: &mut impl World, id: Id, places: u16) -> Answer {
        let tcp = self.tcp_of(id).ok_or(Errno::ENOTSOCK)?;
        if tcp.stage == Stage::Fresh && tcp.port == 0 && tcp.family != Family::Unix {
            // Who was bound to none is found by any.
            let any = Name::Host(Peer { address: tcp.family.any(), port: 0 });
            self.bind_stream(world, id, any)?;
        }
        let tcp = self.tcp_of(id).ok_or(Errno::ENOTSOCK)?;
        let (own, is_path) = (tcp.own(), tcp.path.is_some());
        match &mut tcp.stage {
            Stage::Listening { places: kept, .. } => {
                *kept = places;
                self.let_in(world, id);
                return Ok(0);
            }
            Stage::Fresh if own.port != 0 || is_path => {}
            _ => return Err(Errno::EINVAL),
        }
        if !is_path && self.sockets().any(|(_, other)| other.is_listening() && other.overlaps(own)) {
            return Err(Errno::EADDRINUSE);
        }
        // A stack that died and came back meanwhile would be asked twice for what it grants now: news of it come first.
        world.notice_peers();
        self.take_events(world);
        let listener = if is_path || own.address.is_own() { None } else { Some(world.listen(own, places)?) };
        if let Some(tcp) = self.tcp_of(id) {
            tcp.stage = Stage::Listening { listener, places, free: 0, line: Line::default() };
        }
        Ok(0)
    }

    /// Whether a stream has this name itself.
    pub(super) fn is_path_taken(&self, path: &[u8]) -> bool {
        self.sockets().any(|(_, tcp)| tcp.has_name(path))
    }

    /// `unlink` of the name of a stream, as the program wrote it when it bound it: nobody finds it there any more. False: no stream has it.
    pub(super) fn unlink_name(&mut self, world: &impl World, address: u64) -> Result<bool, Errno> {
        if !self.files.has_sockets {
            return Ok(false);
        }
        let path = super::fs::text(world, address)?;
        let found = self.sockets().find(|(_, tcp)| tcp.has_name(path.as_bytes())).map(|(id, _)| id);
        let tcp = found.and_then(|id| self.tcp_of(id));
        Ok(tcp.map(|tcp| tcp.is_hidden = true).is_some())
    }

    /// Begins a connection: it is open, begun, or refused.
    pub(super) fn connect_stream(&mut self, world: &mut impl World, id: Id, name: Name) -> Result<(), Errno> {
        match name {
            Name::Path(path) => {
                let is_nonblocking = self.files.objects.get(id).is_some_and(|held| held.is_nonblocking);
                let listener = match self.path_listener(&path) {
                    Err(nobody) if !self.is_name_taken(&path) => {
                        return self.cross(world, id, &path, !is_nonblocking, nobody);
                    }
                    found => found?,
                };
                if is_nonblocking && !self.has_room_at(listener) {
                    return Err(Errno::EAGAIN);
                }
                self.knock(world, id, listener)
            }
            Name::Host(peer) if peer.port == 0 => Err(Errno::ECONNREFUSED),
            Name::Host(peer) if !self.tcp_of(id).is_some_and(|tcp| tcp.can_reach(peer.address)) => {
                Err(Errno::ENETUNREACH)
            }
            Name::Host(peer) if peer.address.is_any() || peer.address.is_own() => {
                let address = if peer.address.is_any() { peer.address.own() } else { peer.address };
                self.connect_within(world, id, Peer { address, ..peer })
            }
            Name::Host(peer) => self.connect_outside(world, id, peer),
        }
    }

    fn connect_within(&mut self, world: &mut impl World, id: Id, peer: Peer) -> Result<(), Errno> {
        let found = self.sockets().find(|(_, tcp)| tcp.listens_at(peer)).map(|(listener, _)| listener);
        let listener = found.ok_or(Errno::ECONNREFUSED)?;
        if self.tcp_of(id).is_some_and(|tcp| tcp.port == 0) {
            let own = Peer { address: peer.address.own(), port: 0 };
            let port = self.free_port(world, own, false)?;
            if let Some(tcp) = self.tcp_of(id) {
                tcp.port = port;
            }
        }
        if let Some(tcp) = self.tcp_of(id) {
            tcp.address = if tcp.address.is_any() { peer.address.own() } else { tcp.address };
            tcp.peer = Some(peer);
        }
        self.knock(world, id, listener)
    }

    fn connect_outside(&mut self, world: &mut impl World, id: Id, peer: Peer) -> Result<(), Errno> {
        if !world.has_tcp() {
            self.tell(world, number::CONNECT, NO_NETWORK);
            return Err(Errno::EACCES);
        }
        let tcp = self.tcp_of(id).ok_or(Errno::ENOTSOCK)?;
        // From such an address nobody else is reached.
        if tcp.address.is_own() {
            return Err(Errno::EINVAL);
        }
        self.open_connection(world, id, peer)
    }

    /// Who listens by a name.
    pub(super) fn path_listener(&self, path: &[u8]) -> Result<Id, Errno> {
        let mut named = self.sockets().filter(|(_, tcp)| tcp.has_name(path));
        match named.next() {
            Some((id, tcp)) if tcp.is_listening() => Ok(id),
            Some(_) => Err(Errno::ECONNREFUSED),
            None if self.is_name_taken(path) => Err(Errno::EPROTOTYPE),
            None if path.first().is_none_or(|first| *first == 0) => Err(Errno::ECONNREFUSED),
            None => Err(Errno::ENOENT),
        }
    }

    /// Joins the listener's line, or waits for room in it.
    pub(super) fn knock(&mut self, world: &mut impl World, id: Id, listener: Id) -> Result<(), Errno> {
        if self.has_room_at(listener) {
            return self.join(world, id, listener);
        }
        self.knocks(id, listener);
        Ok(())
    }

    /// Opens a connection between a socket and a new one in the listener's queue.
    fn join(&mut self, world: &mut impl World, id: Id, listener: Id) -> Result<(), Errno> {
        // Many may be let in at once.
        self.feed_tables(world);
        let client = self.tcp_of(id).ok_or(Errno::ENOTSOCK)?;
        let (to, from, by) = (client.peer, client.own(), client.by);
        let at = self.tcp_of(listener).ok_or(Errno::ECONNREFUSED)?;
        let mut accepted = Tcp::new(at.family);
        if at.family != Family::Unix {
            accepted.options = at.options;
        }
        (accepted.is_hidden, accepted.port, accepted.address, accepted.by) = (true, at.port, at.address, by);
        if let Some(path) = &at.path {
            accepted.path = Some(address::copy(path)?);
        }
        if let Some(to) = to {
            let address = if from.address.is_any() { to.address.own() } else { from.address };
            accepted.peer = Some(Peer { address, ..from });
            accepted.address = to.address;
        }
        let other = self.files.objects.insert(0, Held::new(Object::Tcp(accepted)), Errno::ENOBUFS)?;
        if let Err(errno) = self.link(world, id, other) {
            self.files.objects.take(other);
            return Err(errno);
        }
        self.line_up(other, listener, false);
        Ok(())
    }

    /// Makes two sockets the ends of one connection.
    pub(super) fn link(&mut self, world: &mut impl World, first: Id, second: Id) -> Result<(), Errno> {
        let there = self.new_pipe(world)?;
        let back = self.new_pipe(world).inspect_err(|_| self.free_pipe(there))?;
        for (id, reads, writes) in [(first, back, there), (second, there, back)] {
            if let Some(pipe) = self.files.pipes.get_mut(reads) {
                pipe.reader = Some(id);
            }
            if let Some(pipe) = self.files.pipes.get_mut(writes) {
                pipe.writer = Some(id);
            }
            if let Some(tcp) = self.tcp_of(id) {
                tcp.stage = Stage::Within(Ends { reads: Some(reads), writes: Some(writes) });
            }
        }
        Ok(())
    }

    /// Somebody was accepted, or the queue became longer: who knocks first is let in.
    pub(super) fn let_in(&mut self, world: &mut impl World, listener: Id) {
        while self.has_room_at(listener)
            && let Some(id) = self.take_knocking(listener)
        {
            if let Err(errno) = self.join(world, id, listener) {
                self.refuse(id, errno);
            }
            self.files.touch(Some(id), true, true);
        }
    }

    fn refuse(&mut self, id: Id, errno: Errno) {
        if let Some(tcp) = self.tcp_of(id) {
            (tcp.stage, tcp.error, tcp.has_failed) = (Stage::Closed, Some(errno), true);
        }
    }

    /// The listener is gone, and this was its line.
    pub(super) fn turn_away(&mut self, listener: Id, line: Line) {
        for _ in 0..line.knocking() {
            let Some(id) = self.first_knocking(listener) else { return };
            self.refuse(id, Errno::ECONNREFUSED);
            self.files.touch(Some(id), true, true);
        }
    }

    /// Who has the other end.
    pub(super) fn other_end(&self, ends: Ends) -> Option<Id> {
        let of = |at: Option<usize>| at.and_then(|at| self.files.pipes.get(at));
        of(ends.writes).and_then(|pipe| pipe.reader).or_else(|| of(ends.reads).and_then(|pipe| pipe.writer))
    }

    /// What can be read at once.
    pub(super) fn readable_within(&self, ends: Ends) -> u64 {
        ends.reads.and_then(|at| self.files.pipes.get(at)).map_or(0, |pipe| pipe.buffer.len())
    }

    /// `None`: nothing is there yet. What was sent before an error is read before it is told.
    pub(super) fn receive_within(
        &mut self,
        world: &mut impl World,
        id: Id,
        ends: Ends,
        pieces: Pieces,
        is_peek: bool,
    ) -> Result<Option<u64>, Errno> {
        if self.readable_within(ends) == 0
            && let Some(error) = self.tcp_of(id).and_then(|tcp| tcp.error.take())
        {
            return Err(error);
        }
        if ends.reads.is_none() { Ok(Some(0)) } else { self.read_pipe(world, ends, pieces, is_peek) }
    }

    /// `None`: it would wait for more room; `done` bytes are written.
    pub(super) fn transmit_within(
        &mut self,
        world: &mut impl World,
        ends: Ends,
        pieces: Pieces,
        done: &mut u64,
    ) -> Result<Option<u64>, Errno> {
        if ends.writes.is_none() { Err(Errno::EPIPE) } else { self.write_pipe(world, ends, pieces, done) }
    }

    /// `shutdown`: what is not to be read any more cannot be written by the other end.
    pub(super) fn shut_within(&mut self, id: Id, ends: Ends, reading: bool, writing: bool) -> Answer {
        let only = |is: bool, at: Option<usize>| if is { at } else { None };
        let closed = Ends { reads: only(reading, ends.reads), writes: only(writing, ends.writes) };
        let left = Ends { reads: only(!reading, ends.reads), writes: only(!writing, ends.writes) };
        if let Some(tcp) = self.tcp_of(id) {
            tcp.stage = Stage::Within(left);
            tcp.is_read_shut |= reading;
            tcp.is_write_shut |= writing;
        }
        self.close_ends(closed);
        self.files.touch(Some(id), true, true);
        Ok(0)
    }

    /// The last descriptor is gone. The other end learns that what it sent will not be read.
    pub(super) fn close_within(&mut self, ends: Ends, is_reset: bool) {
        if is_reset && let Some(tcp) = self.other_end(ends).and_then(|other| self.tcp_of(other)) {
            tcp.error = Some(Errno::ECONNRESET);
        }
        self.close_ends(ends);
    }

    /// Readiness.
    pub(super) fn stream_state(&self, tcp: &Tcp) -> u32 {
        let ends = match tcp.stage {
            Stage::Within(ends) => ends,
            _ => return tcp.state(),
        };
        let when = |is: bool, bits: u32| if is { bits } else { 0 };
        let of = |at: Option<usize>| at.and_then(|at| self.files.pipes.get(at));
        let is_at_end = of(ends.reads).is_none_or(|pipe| pipe.writer.is_none());
        let is_gone = of(ends.writes).is_none_or(|pipe| pipe.reader.is_none());
        let has_room = of(ends.writes).is_some_and(|pipe| pipe.buffer.room() >= PIPE_ATOMIC);
        let is_over = is_at_end && (tcp.is_write_shut || tcp.family == Family::Unix && is_gone);
        when(self.readable_within(ends) > 0 || is_at_end, poll::IN)
            | when(is_at_end, poll::RDHUP)
            | when(is_gone || has_room, poll::OUT)
            | when(is_over, poll::HUP)
            | when(tcp.error.is_some(), poll::ERR | poll::IN | poll::OUT)
    }

    /// `getsockname`. At which address of the device a connection is, and at which port if the program bound none, is known once it is open.
    pub(super) fn stream_name(&self, id: Id) -> Result<Encoded, Errno> {
        let tcp = self.stream(id)?;
        Ok(match (&tcp.path, tcp.family) {
            (Some(path), _) => Encoded::path(path),
            (None, Family::Unix) => Encoded::path(&[]),
            (None, family) => Encoded::host(alike(tcp.own(), family), family),
        })
    }

    /// `getpeername`
    pub(super) fn stream_peer(&self, id: Id) -> Result<Encoded, Errno> {
        let tcp = self.stream(id)?;
        match (tcp.stage, tcp.family) {
            (Stage::Within(ends), Family::Unix) => match self.other_end(ends) {
                Some(other) => self.stream_name(other),
                None => Ok(Encoded::path(&[])),
            },
            (Stage::Within(_) | Stage::Open(_) | Stage::Closed, family) => {
                tcp.peer.map(|peer| Encoded::host(peer, family)).ok_or(Errno::ENOTCONN)
            }
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn stream(&self, id: Id) -> Result<&Tcp, Errno> {
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Tcp(tcp)) => Ok(tcp),
            _ => Err(Errno::ENOTSOCK),
        }
    }
}

/// The address of none of a socket of IPv6 is that of IPv6, too.
fn alike(own: Peer, family: Family) -> Peer {
    let address = if own.address.is_any() { family.any() } else { own.address };
    Peer { address, ..own }
}
