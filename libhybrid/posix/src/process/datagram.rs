//! Datagram sockets: over the host stack, at the component's own addresses, and by name within the component.
//!
//! What comes to an address of a host and finds no room is lost, as the network may lose it; who sends to a name within the component waits.
mod arrivals;

use super::address::{Encoded, Family, Name};
use super::io::Call;
use super::messages;
use super::object::{Id, Object, poll};
use super::options::Options;
use super::pieces::Pieces;
use super::queue::{MESSAGE_MAX, Payload, Queue};
use super::socket::{NO_NETWORK, free_ports, is_for};
use super::{Pages, Process};
use crate::net::{Address, DATAGRAM, Peer};
use crate::number::{Answer, Errno};
use crate::world::World;
use alloc::vec::Vec;

/// How often another port is tried for who wants any.
const PORT_TRIES: u16 = 16;

/// A socket.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) family: Family,
    pub(super) options: Options,
    own: Own,
    target: Target,
    /// From which of the device's addresses it reaches its peer, as the host stack said when it was connected.
    source: Option<Address>,
    /// Messages that wait; there from when somebody can send it one.
    queue: Option<Queue>,
    /// Told once, by the next call or `SO_ERROR`.
    pub(super) error: Option<Errno>,
    is_read_shut: bool,
    is_write_shut: bool,
    /// The host stack had no room for what it sent last.
    is_stuck: bool,
}

/// Where it is reached.
#[derive(Debug)]
enum Own {
    Nowhere,
    /// At one of the component's own addresses, or at every one; with the number of the port at the host stack if others reach it, too.
    Host(Peer, Option<u16>),
    Path(Vec<u8>),
}

/// Whom it talks to, if it was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Nobody,
    Host(Peer),
    /// Within the component, by name or as a pair.
    Socket(Id),
    /// It was connected to one that is closed.
    Gone,
}

/// Where one message goes.
enum Route {
    /// Within the component; with the sender's address if it is one of a host.
    Socket(Id, Option<Peer>),
    /// Nobody is at that own address.
    Nobody,
    Outside(u16, Peer),
}

impl Datagram {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            options: Options::default(),
            own: Own::Nowhere,
            target: Target::Nobody,
            source: None,
            queue: None,
            error: None,
            is_read_shut: false,
            is_write_shut: false,
            is_stuck: false,
        }
    }

    /// Whether what is sent to `to` from `from` is for it.
    fn is_reached(&self, to: Peer, from: Peer) -> bool {
        let Own::Host(own, _) = self.own else { return false };
        let is_family = is_for(self.family, self.options.is_v6_only, to.address);
        let is_peer = match self.target {
            Target::Host(peer) => peer == from,
            _ => true,
        };
        is_family && is_peer && own.port == to.port && (own.address.is_any() || own.address == to.address)
    }

    /// Whether it may talk to this address from its own.
    fn can_reach(&self, peer: Address) -> bool {
        let own = if let Own::Host(own, _) = self.own { own.address } else { self.family.any() };
        is_for(self.family, self.options.is_v6_only, peer) && own.meets(peer)
    }

    fn has_message(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    fn has_room(&self) -> bool {
        self.queue.as_ref().is_none_or(Queue::has_room)
    }
}

impl<S: Pages> Process<S> {
    fn datagram(&self, id: Id) -> Option<&Datagram> {
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Datagram(datagram)) => Some(datagram),
            _ => None,
        }
    }

    fn datagram_mut(&mut self, id: Id) -> Result<&mut Datagram, Errno> {
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Datagram(datagram)) => Ok(datagram),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    fn datagrams(&self) -> impl Iterator<Item = (Id, &Datagram)> {
        self.files.objects.all().filter_map(|(id, held)| match &held.object {
            Object::Datagram(datagram) => Some((id, datagram)),
            _ => None,
        })
    }

    /// Readiness. Who talks to a socket within the component can write when that has room for the longest message.
    pub(super) fn datagram_state(&self, datagram: &Datagram) -> u32 {
        let when = |is: bool, bits: u32| if is { bits } else { 0 };
        let has_room = match datagram.target {
            Target::Socket(target) => self.datagram(target).is_none_or(Datagram::has_room),
            _ => !datagram.is_stuck,
        };
        let is_shut = datagram.is_read_shut && datagram.is_write_shut;
        when(datagram.has_message() || datagram.is_read_shut, poll::IN)
            | when(has_room, poll::OUT)
            | when(datagram.is_read_shut, poll::RDHUP)
            | when(is_shut, poll::HUP)
            | when(datagram.error.is_some(), poll::ERR | poll::IN | poll::OUT)
    }

    /// Bytes of the message that is next.
    pub(super) fn next_message(&self, world: &impl World, id: Id) -> u64 {
        let queue = self.datagram(id).and_then(|datagram| datagram.queue.as_ref());
        queue.and_then(|queue| queue.front(world).ok()).map_or(0, |front| front.length)
    }

    fn make_queue(&mut self, world: &mut impl World, id: Id) -> Result<(), Errno> {
        if self.datagram_mut(id)?.queue.is_none() {
            let queue = Queue::new(&mut self.areas, world)?;
            self.datagram_mut(id)?.queue = Some(queue);
        }
        Ok(())
    }

    /// Makes two talk to each other.
    pub(super) fn pair_datagrams(&mut self, world: &mut impl World, first: Id, second: Id) -> Result<(), Errno> {
        for (id, other) in [(first, second), (second, first)] {
            self.make_queue(world, id)?;
            self.datagram_mut(id)?.target = Target::Socket(other);
        }
        Ok(())
    }

    /// `bind`
    pub(super) fn bind_datagram(&mut self, world: &mut impl World, id: Id, name: Name) -> Answer {
        if !matches!(self.datagram_mut(id)?.own, Own::Nowhere) {
            return Err(Errno::EINVAL);
        }
        let own = match name {
            Name::Path(path) if path.is_empty() => return Err(Errno::EINVAL),
            Name::Path(path) if self.is_name_taken(&path) => return Err(Errno::EADDRINUSE),
            Name::Path(path) => {
                self.make_queue(world, id)?;
                Own::Path(path)
            }
            Name::Host(peer) if peer.address.is_any() => return self.bind_everywhere(world, id, peer),
            Name::Host(peer) if peer.address.is_own() => {
                self.make_queue(world, id)?;
                Own::Host(self.own_port(world, peer)?, None)
            }
            Name::Host(_) => return Err(Errno::EADDRNOTAVAIL),
        };
        self.datagram_mut(id)?.own = own;
        Ok(0)
    }

    /// Whether a socket within the component has this name.
    pub(super) fn is_name_taken(&self, path: &[u8]) -> bool {
        let is_it = |datagram: &Datagram| matches!(&datagram.own, Own::Path(own) if own == path);
        self.datagrams().any(|(_, datagram)| is_it(datagram)) || self.is_path_taken(path)
    }

    /// At every address: the host stack's, and the component's own.
    fn bind_everywhere(&mut self, world: &mut impl World, id: Id, wanted: Peer) -> Answer {
        if !world.has_udp() {
            self.tell(world, crate::number::BIND, NO_NETWORK);
            return Err(Errno::EACCES);
        }
        if wanted.port != 0 && self.is_port_taken(wanted) {
            return Err(Errno::EADDRINUSE);
        }
        self.make_queue(world, id)?;
        // As in `listen_stream`.
        world.notice_peers();
        self.take_events(world);
        for _ in 0..PORT_TRIES {
            let (socket, port) = world.bind_port(wanted.port)?;
            let own = Peer { port, ..wanted };
            if wanted.port != 0 || !self.is_port_taken(own) {
                self.datagram_mut(id)?.own = Own::Host(own, Some(socket));
                return Ok(0);
            }
            world.unbind_port(socket);
        }
        Err(Errno::EADDRINUSE)
    }

    /// Whether a socket could be meant by the same address. Who asks has none yet.
    fn is_port_taken(&self, wanted: Peer) -> bool {
        self.datagrams().any(|(_, datagram)| {
            let Own::Host(own, _) = datagram.own else { return false };
            let is_any = own.address.is_any() || wanted.address.is_any();
            own.port == wanted.port && (is_any || own.address == wanted.address)
        })
    }

    /// The wanted port at one of the component's own addresses, or a free one.
    fn own_port(&self, world: &impl World, wanted: Peer) -> Result<Peer, Errno> {
        let is_free = |port: &u16| !self.is_port_taken(Peer { port: *port, ..wanted });
        let found =
            if wanted.port == 0 { free_ports(world.now_ns()).find(is_free) } else { Some(wanted.port).filter(is_free) };
        found.map(|port| Peer { port, ..wanted }).ok_or(Errno::EADDRINUSE)
    }

    /// A port for who sends without one. Who was granted no network gets one of its own.
    fn bind_for(&mut self, world: &mut impl World, id: Id, peer: Peer) -> Result<(), Errno> {
        let datagram = self.datagram_mut(id)?;
        if !matches!(datagram.own, Own::Nowhere) {
            return Ok(());
        }
        let address = datagram.family.any();
        if world.has_udp() {
            return self.bind_everywhere(world, id, Peer { address, port: 0 }).map(|_| ());
        }
        if !peer.address.is_own() {
            self.tell(world, crate::number::CONNECT, NO_NETWORK);
            return Err(Errno::EACCES);
        }
        self.make_queue(world, id)?;
        let own = self.own_port(world, Peer { address, port: 0 })?;
        self.datagram_mut(id)?.own = Own::Host(own, None);
        Ok(())
    }

    /// `connect`; `None` forgets the peer.
    pub(super) fn connect_datagram(&mut self, world: &mut impl World, id: Id, name: Option<Name>) -> Answer {
        let (target, source) = match name {
            None => (Target::Nobody, None),
            Some(Name::Host(peer)) => {
                let peer = self.allowed(id, peer)?;
                let source = outer_source(world, peer.address)?;
                self.bind_for(world, id, peer)?;
                (Target::Host(peer), source)
            }
            Some(Name::Path(path)) => (Target::Socket(self.named(world, &path)?), None),
        };
        let datagram = self.datagram_mut(id)?;
        (datagram.target, datagram.source) = (target, source);
        // Another target may have the room that the last one had not: an edge, too.
        self.files.touch(Some(id), false, true);
        Ok(0)
    }

    /// A peer's address as this socket may have it; no address means the component's own.
    fn allowed(&mut self, id: Id, peer: Peer) -> Result<Peer, Errno> {
        let datagram = self.datagram_mut(id)?;
        match peer.address {
            _ if peer.port == 0 => Err(Errno::EINVAL),
            Address::V4([255, 255, 255, 255]) if !datagram.options.is_broadcast => Err(Errno::EACCES),
            address if !datagram.can_reach(address) => Err(Errno::ENETUNREACH),
            address if address.is_any() => Ok(Peer { address: address.own(), ..peer }),
            _ => Ok(peer),
        }
    }

    /// The socket of a name within the component.
    fn named(&mut self, world: &mut impl World, path: &[u8]) -> Result<Id, Errno> {
        let is_it = |datagram: &Datagram| matches!(&datagram.own, Own::Path(own) if own == path);
        let found = self.datagrams().find(|(_, datagram)| is_it(datagram)).map(|(id, _)| id);
        if let Some(found) = found {
            return Ok(found);
        }
        if self.is_path_taken(path) {
            return Err(Errno::EPROTOTYPE);
        }
        if super::crossing::leads_to(world, path) {
            self.tell(world, crate::number::CONNECT, "only streams lead to another component");
            return Err(Errno::EPROTOTYPE);
        }
        let is_abstract = path.first().is_none_or(|first| *first == 0);
        Err(if is_abstract { Errno::ECONNREFUSED } else { Errno::ENOENT })
    }

    fn route(&mut self, world: &mut impl World, id: Id, to: Option<Name>) -> Result<Route, Errno> {
        let peer = match (to, self.datagram_mut(id)?.target) {
            (Some(Name::Path(path)), _) => return Ok(Route::Socket(self.named(world, &path)?, None)),
            (Some(Name::Host(peer)), _) => self.allowed(id, peer)?,
            (None, Target::Socket(target)) => return Ok(Route::Socket(target, None)),
            (None, Target::Host(peer)) => peer,
            (None, Target::Gone) => {
                self.datagram_mut(id)?.target = Target::Nobody;
                return Err(Errno::ECONNREFUSED);
            }
            (None, Target::Nobody) => {
                let is_unix = self.datagram_mut(id)?.family == Family::Unix;
                return Err(if is_unix { Errno::ENOTCONN } else { Errno::EDESTADDRREQ });
            }
        };
        self.bind_for(world, id, peer)?;
        let Own::Host(own, socket) = self.datagram_mut(id)?.own else { return Err(Errno::EINVAL) };
        if peer.address.is_own() {
            let from = source(own, peer);
            let found = self.datagrams().find(|(_, datagram)| datagram.is_reached(peer, from));
            return Ok(found.map_or(Route::Nobody, |(target, _)| Route::Socket(target, Some(from))));
        }
        match socket {
            Some(socket) => Ok(Route::Outside(socket, peer)),
            // The host stack that came back did not give it its port again.
            None if world.has_udp() && own.address.is_any() => Err(Errno::ENETDOWN),
            // It is bound to an address from which nobody else is reached.
            None if world.has_udp() => Err(Errno::EINVAL),
            None => {
                self.tell(world, crate::number::SENDTO, NO_NETWORK);
                Err(Errno::EACCES)
            }
        }
    }

    /// `None`: there is no room for it yet. A message goes whole or not at all.
    pub(super) fn send(
        &mut self,
        world: &mut impl World,
        id: Id,
        call: &Call,
        pieces: Pieces,
    ) -> Result<Option<u64>, Errno> {
        let to = messages::receiver(world, call, self.datagram_mut(id)?.family)?;
        let total = pieces.total(world)?;
        let datagram = self.datagram_mut(id)?;
        if let Some(error) = datagram.error.take() {
            return Err(error);
        }
        if datagram.is_write_shut {
            return Err(Errno::EPIPE);
        }
        match self.route(world, id, to)? {
            Route::Outside(socket, peer) => self.send_outside(world, id, socket, peer, pieces, total),
            _ if total > MESSAGE_MAX => Err(Errno::EMSGSIZE),
            Route::Socket(target, from) => self.send_within(world, id, target, from, Payload::Program(pieces, total)),
            Route::Nobody => {
                // Only who is connected is told that nobody is there.
                let datagram = self.datagram_mut(id)?;
                if datagram.target != Target::Nobody {
                    datagram.error = Some(Errno::ECONNREFUSED);
                    self.files.touch(Some(id), true, true);
                }
                Ok(Some(total))
            }
        }
    }

    fn send_outside(
        &mut self,
        world: &mut impl World,
        id: Id,
        socket: u16,
        peer: Peer,
        pieces: Pieces,
        total: u64,
    ) -> Result<Option<u64>, Errno> {
        let mut bytes = [0; DATAGRAM];
        let length = usize::try_from(total).ok().filter(|length| *length <= DATAGRAM).ok_or(Errno::EMSGSIZE)?;
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        pieces.read_whole(world, 0, bytes)?;
        let is_sent = world.send_datagram(socket, peer, bytes)?;
        let was_stuck = core::mem::replace(&mut self.datagram_mut(id)?.is_stuck, !is_sent);
        self.files.has_stuck |= !is_sent;
        if was_stuck && is_sent {
            // Found by this call, and told to nobody yet.
            self.files.touch(Some(id), false, true);
        }
        Ok(is_sent.then_some(total))
    }

    fn send_within(
        &mut self,
        world: &mut impl World,
        id: Id,
        target: Id,
        from: Option<Peer>,
        payload: Payload<'_>,
    ) -> Result<Option<u64>, Errno> {
        let family = self.datagram(target).map_or(Family::Unix, |target| target.family);
        let sender = match (&self.datagram_mut(id)?.own, from) {
            (_, Some(from)) => Encoded::host(from, family),
            (Own::Path(path), None) => Encoded::path(path),
            _ => Encoded::path(&[]),
        };
        if self.datagram(target).is_some_and(|target| target.is_read_shut) {
            return Err(Errno::EPIPE);
        }
        let is_kept = self.deliver_message(world, target, sender, payload)?;
        let is_lossy = family != Family::Unix;
        Ok((is_kept || is_lossy).then_some(payload.length()))
    }

    /// Whether there was room for it.
    fn deliver_message(
        &mut self,
        world: &mut impl World,
        target: Id,
        sender: Encoded,
        payload: Payload<'_>,
    ) -> Result<bool, Errno> {
        let Some(queue) = self.datagram_mut(target)?.queue.as_mut() else { return Ok(false) };
        let is_kept = queue.push(world, &sender, payload)?;
        if is_kept {
            self.files.touch(Some(target), true, false);
        }
        Ok(is_kept)
    }

    /// `None`: no message is there. The bytes of the message that were put where the program wants them, or all its bytes if it asks for those.
    pub(super) fn receive_message(
        &mut self,
        world: &mut impl World,
        id: Id,
        call: &Call,
        pieces: Pieces,
        (is_peek, wants_length): (bool, bool),
    ) -> Result<Option<u64>, Errno> {
        let datagram = self.datagram_mut(id)?;
        if let Some(error) = datagram.error.take() {
            return Err(error);
        }
        let Some(queue) = datagram.queue.as_mut().filter(|queue| !queue.is_empty()) else {
            if !datagram.is_read_shut {
                return Ok(None);
            }
            messages::tell_nobody(world, call)?;
            return Ok(Some(0));
        };
        let front = queue.front(world)?;
        let most = front.length.min(pieces.total(world)?);
        let given = queue.copy(world, &front, pieces, most)?;
        let flags = if most < front.length { messages::MSG_TRUNC } else { 0 };
        messages::tell_sender(world, call, front.sender, flags)?;
        if !is_peek {
            queue.drop_front(&front);
            // Nobody waits for room at an address of a host: without it a message is lost.
            if datagram.family == Family::Unix {
                self.has_room_again(id);
            }
        }
        Ok(Some(if wants_length { front.length } else { given }))
    }

    /// Who sends to it by name may have waited.
    fn has_room_again(&mut self, id: Id) {
        for other in self.files.objects.numbers() {
            if self.datagram(other).is_some_and(|other| other.target == Target::Socket(id)) {
                self.files.touch(Some(other), false, true);
            }
        }
        // Also who is not connected to it.
        self.files.is_changed = true;
    }

    /// `getsockname`
    pub(super) fn datagram_name(&self, id: Id) -> Result<Encoded, Errno> {
        let datagram = self.datagram(id).ok_or(Errno::ENOTSOCK)?;
        Ok(match &datagram.own {
            Own::Path(path) => Encoded::path(path),
            Own::Host(own, _) => {
                // An own peer is reached from an own address.
                let own = match datagram.target {
                    Target::Host(peer) if peer.address.is_own() => source(*own, peer),
                    _ if own.address.is_any() => Peer { address: datagram.source.unwrap_or(own.address), ..*own },
                    _ => *own,
                };
                Encoded::host(own, datagram.family)
            }
            Own::Nowhere if datagram.family == Family::Unix => Encoded::path(&[]),
            Own::Nowhere => Encoded::host(Peer { address: datagram.family.any(), port: 0 }, datagram.family),
        })
    }

    /// `getpeername`
    pub(super) fn datagram_peer(&self, id: Id) -> Result<Encoded, Errno> {
        let datagram = self.datagram(id).ok_or(Errno::ENOTSOCK)?;
        match datagram.target {
            Target::Host(peer) => Ok(Encoded::host(peer, datagram.family)),
            Target::Socket(target) => self.datagram_name(target),
            Target::Nobody | Target::Gone => Err(Errno::ENOTCONN),
        }
    }

    /// `shutdown`
    pub(super) fn shut_datagram(&mut self, id: Id, reading: bool, writing: bool) -> Answer {
        let datagram = self.datagram_mut(id)?;
        if datagram.target == Target::Nobody {
            return Err(Errno::ENOTCONN);
        }
        datagram.is_read_shut |= reading;
        datagram.is_write_shut |= writing;
        self.files.touch(Some(id), true, true);
        Ok(0)
    }

    /// The last descriptor is gone: so is what waited, and who was connected to it by name learns of it with the next message.
    pub(super) fn close_datagram(&mut self, world: &mut impl World, id: Id, datagram: Datagram) {
        if let Own::Host(_, Some(socket)) = datagram.own {
            world.unbind_port(socket);
        }
        if let Some(queue) = datagram.queue {
            queue.free(&mut self.areas);
        }
        self.has_room_again(id);
        for other in self.files.objects.numbers() {
            if let Ok(other) = self.datagram_mut(other)
                && other.target == Target::Socket(id)
            {
                other.target = Target::Gone;
            }
        }
    }
}

/// From where the network's peer is reached, if the host stack can be asked.
///
/// # Errors
/// `ENETUNREACH`.
fn outer_source(world: &mut impl World, to: Address) -> Result<Option<Address>, Errno> {
    if to.is_own() || !world.has_udp() {
        return Ok(None);
    }
    match world.source(to) {
        Err(Errno::ENETUNREACH) => Err(Errno::ENETUNREACH),
        // One that is away says so to who sends.
        source => Ok(source.ok()),
    }
}

/// The sender's address as the receiver at an own address sees it.
fn source(own: Peer, to: Peer) -> Peer {
    let address = if own.address.is_any() { to.address.own() } else { own.address };
    Peer { address, ..own }
}
