//! The socket calls: which kind of socket there is, and what of a call is the same for all of them.
use super::address::{self, Family};
use super::datagram::Datagram;
use super::descriptors::{O_CLOEXEC, O_NONBLOCK};
use super::io::Call;
use super::object::{Id, Object};
use super::tcp::{Stage, Tcp};
use super::{Pages, Process};
use crate::net::Address;
use crate::number::{self, Answer, Errno, low};
use crate::world::World;

pub(super) const SOCK_STREAM: u32 = 1;
pub(super) const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
pub(super) const IPPROTO_TCP: u32 = 6;
pub(super) const IPPROTO_UDP: u32 = 17;
pub(super) const NO_NETWORK: &str = "its component was granted no network";
/// Ports for who wants any begin here.
const FREE_PORTS: u16 = 49_152;
/// What the stack keeps for a listener at most.
const BACKLOG_MAX: u32 = 128;

impl<S: Pages> Process<S> {
    /// Calls about sockets that do not wait; `None` for others.
    pub(super) fn socket_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::SOCKET => self.socket(world, args),
            number::SOCKETPAIR => self.socket_pair(world, args),
            number::BIND => self.bind(world, args),
            number::LISTEN => self.listen(world, args),
            number::GETSOCKNAME | number::GETPEERNAME => self.name(world, number, args),
            number::SETSOCKOPT => self.set_option(world, args),
            number::GETSOCKOPT => self.option(world, args),
            number::SHUTDOWN => match low(args[1]) {
                0 => self.shut(world, args[0], true, false),
                1 => self.shut(world, args[0], false, true),
                2 => self.shut(world, args[0], true, true),
                _ => Err(Errno::EINVAL),
            },
            _ => return None,
        })
    }

    fn socket(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (kind, flags) = (low(args[1]) & 15, low(args[1]) & (O_CLOEXEC | O_NONBLOCK));
        let family = self.try_family(world, number::SOCKET, low(args[0]))?;
        match (kind, low(args[2])) {
            (SOCK_STREAM, 0 | IPPROTO_TCP) => self.files.open(Object::Tcp(Tcp::new(family)), flags),
            (SOCK_DGRAM, 0 | IPPROTO_UDP) => self.files.open(Object::Datagram(Datagram::new(family)), flags),
            (SOCK_RAW, _) => {
                self.tell(world, number::SOCKET, "a component has no raw sockets");
                Err(Errno::EPERM)
            }
            (SOCK_STREAM | SOCK_DGRAM, protocol) => {
                self.tell_of(world, number::SOCKET, "sockets of this kind have no such protocol", protocol);
                Err(Errno::EPROTONOSUPPORT)
            }
            _ => Err(self.no_kind(world, number::SOCKET, kind)),
        }
    }

    fn try_family(&mut self, world: &mut impl World, number: u64, family: u32) -> Result<Family, Errno> {
        Family::try_from_number(family).map_err(|_| self.refuse_family(world, number, family))
    }

    fn no_kind(&mut self, world: &mut impl World, number: u64, kind: u32) -> Errno {
        self.tell_of(world, number, "sockets are for streams or for datagrams, not of this type", kind);
        Errno::EPROTONOSUPPORT
    }

    fn socket_pair(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (kind, flags) = (low(args[1]) & 15, low(args[1]) & !15);
        if self.try_family(world, number::SOCKETPAIR, low(args[0]))? != Family::Unix {
            return Err(Errno::EOPNOTSUPP);
        }
        if low(args[2]) > 1 {
            return Err(Errno::EPROTONOSUPPORT);
        }
        if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
            return Err(Errno::EINVAL);
        }
        let make: fn() -> Object = match kind {
            SOCK_STREAM => || Object::Tcp(Tcp::new(Family::Unix)),
            SOCK_DGRAM => || Object::Datagram(Datagram::new(Family::Unix)),
            _ => return Err(self.no_kind(world, number::SOCKETPAIR, kind)),
        };
        let first = self.files.open(make(), flags)?;
        let second = self.files.open(make(), flags);
        let paired = second.and_then(|second| {
            let (a, b) = (self.files.id(first)?, self.files.id(second)?);
            if kind == SOCK_STREAM { self.link(world, a, b) } else { self.pair_datagrams(world, a, b) }?;
            world.write(args[3], &two_numbers(first, second))
        });
        if paired.is_err() {
            let numbers = core::iter::once(first).chain(second.ok());
            numbers.for_each(|number| _ = self.close(world, number));
        }
        paired.map(|()| 0)
    }

    /// Whose addresses a socket has.
    fn family(&self, id: Id) -> Result<Family, Errno> {
        match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Tcp(tcp)) => Ok(tcp.family),
            Some(Object::Datagram(datagram)) => Ok(datagram.family),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    pub(super) fn is_datagram(&self, id: Id) -> bool {
        matches!(self.files.objects.get(id).map(|held| &held.object), Some(Object::Datagram(_)))
    }

    fn bind(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let name = address::read(world, args[1], args[2], self.family(id)?)?;
        if self.is_datagram(id) { self.bind_datagram(world, id, name) } else { self.bind_stream(world, id, name) }
    }

    fn listen(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        if self.is_datagram(id) {
            return Err(Errno::EOPNOTSUPP);
        }
        // As on Linux one more may wait than it asks for.
        let places = u16::try_from(low(args[1]).saturating_add(1).min(BACKLOG_MAX)).unwrap_or(1);
        self.listen_stream(world, id, places)
    }

    /// `None`: it waits for the peer's answer.
    pub(super) fn try_connect(&mut self, world: &mut impl World, call: &mut Call) -> Result<Option<u64>, Errno> {
        let id = self.files.id(call.args[0])?;
        if self.is_datagram(id) {
            let (at, length) = (call.args[1], call.args[2]);
            let is_forgotten = address::is_unspecified(world, at, length);
            let name = if is_forgotten { None } else { Some(address::read(world, at, length, self.family(id)?)?) };
            return self.connect_datagram(world, id, name).map(Some);
        }
        let (id, tcp) = self.tcp(call.args[0])?;
        let is_begun = call.done > 0;
        // A refusal that was told is over: the same socket may try again. Not who waited for that one beside who was told.
        let may_try_again = tcp.has_failed || tcp.family == Family::Unix;
        if tcp.stage == Stage::Closed && may_try_again && tcp.error.is_none() && !is_begun {
            self.begin_anew(id);
        }
        let (id, tcp) = self.tcp(call.args[0])?;
        let (stage, family) = (tcp.stage, tcp.family);
        match stage {
            Stage::Fresh => {
                let name = address::read(world, call.args[1], call.args[2], family)?;
                self.connect_stream(world, id, name)?;
                call.done = 1;
                let is_open = self.tcp_of(id).is_some_and(|tcp| matches!(tcp.stage, Stage::Within(_)));
                self.owe_connect(id, !is_open);
                Ok(is_open.then_some(0))
            }
            Stage::Connecting(_) | Stage::Knocking(..) | Stage::Calling(_) => {
                let waits = is_begun || self.files.objects.get(id).is_some_and(|held| !held.is_nonblocking);
                if waits { Ok(None) } else { Err(Errno::EALREADY) }
            }
            // Of two calls that waited for it both are told.
            Stage::Open(_) | Stage::Within(_) if self.owe_connect(id, false) || is_begun => Ok(Some(0)),
            Stage::Open(_) | Stage::Within(_) | Stage::Listening { .. } => Err(Errno::EISCONN),
            Stage::Closed => {
                let error = self.tcp_of(id).and_then(|tcp| tcp.error.take());
                Err(error.unwrap_or(Errno::ECONNABORTED))
            }
        }
    }

    /// Whether the first call that finds the connection open says so, also one made anew after a signal ended the wait of the one that began
    /// it (Linux, connect(2): `EISCONN` comes afterwards). Tells what was so before.
    fn owe_connect(&mut self, id: Id, is_owed: bool) -> bool {
        let held = self.files.objects.get_mut(id);
        held.is_some_and(|held| core::mem::replace(&mut held.owes_connect, is_owed))
    }

    /// `None`: nobody waits.
    pub(super) fn try_accept(&mut self, world: &mut impl World, call: &Call) -> Result<Option<u64>, Errno> {
        if self.is_datagram(self.files.id(call.args[0])?) {
            return Err(Errno::EOPNOTSUPP);
        }
        let flags = if call.number == number::ACCEPT4 { low(call.args[3]) } else { 0 };
        let Some(id) = self.take_waiting(call.args[0])? else { return Ok(None) };
        // Before it is taken: who cannot be told finds it the next time.
        if call.args[1] != 0 {
            self.stream_peer(id)?.put(world, call.args[1], call.args[2])?;
        }
        // Of many threads each may get one at once.
        self.feed_tables(world);
        let number = self.files.descriptor(id, 0, flags & O_CLOEXEC != 0)?;
        let listener = self.files.id(call.args[0])?;
        self.is_taken(world, listener);
        self.let_in(world, listener);
        if let Some(held) = self.files.objects.get_mut(id) {
            held.is_nonblocking = flags & O_NONBLOCK != 0;
        }
        Ok(Some(number))
    }

    fn name(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let named = match (number, self.is_datagram(id)) {
            (number::GETSOCKNAME, true) => self.datagram_name(id)?,
            (_, true) => self.datagram_peer(id)?,
            (number::GETSOCKNAME, false) => self.stream_name(id)?,
            (_, false) => self.stream_peer(id)?,
        };
        named.put(world, args[1], args[2])?;
        Ok(0)
    }

    /// Ends a direction, or both.
    fn shut(&mut self, world: &mut impl World, argument: u64, reading: bool, writing: bool) -> Answer {
        let id = self.files.id(argument)?;
        if self.is_datagram(id) {
            return self.shut_datagram(id, reading, writing);
        }
        self.shut_stream(world, argument, reading, writing)
    }
}

/// Ports for who wants any, from one on that nobody can count to.
pub(super) fn free_ports(now_ns: u64) -> impl Iterator<Item = u16> {
    let [low, high, ..] = (now_ns / 977).to_le_bytes();
    let from = u16::from_le_bytes([low, high]);
    (0..u16::MAX - FREE_PORTS).map(move |at| FREE_PORTS + from.wrapping_add(at) % (u16::MAX - FREE_PORTS))
}

/// Two descriptors as the program finds them.
pub(super) fn two_numbers(first: u64, second: u64) -> [u8; 8] {
    (u64::from(low(first)) | u64::from(low(second)) << 32).to_le_bytes()
}

/// Whether a listener or socket of this family is for an address; those of IPv6 are for both unless they are to be for IPv6 alone.
pub(super) const fn is_for(family: Family, is_v6_only: bool, address: Address) -> bool {
    match address {
        Address::V4(_) => matches!(family, Family::V4) || matches!(family, Family::V6) && !is_v6_only,
        Address::V6(_) => matches!(family, Family::V6),
    }
}
