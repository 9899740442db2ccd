//! The socket calls: addresses, options and descriptors of what `tcp` does.
use super::descriptors::{O_CLOEXEC, O_NONBLOCK};
use super::io::Call;
use super::object::Object;
use super::tcp::{Stage, Tcp};
use super::{Pages, Process};
use crate::net::{Address, Peer};
use crate::number::{self, Answer, Errno, int, low};
use crate::world::{self, World};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const IPPROTO_TCP: u32 = 6;
/// What the stack keeps for a listener at most.
const BACKLOG_MAX: u32 = 128;
/// Ports for who wants any.
const FREE_PORTS: u16 = 49_152;
const NS: u64 = 1_000_000_000;

const SOL_SOCKET: u32 = 1;
const SOL_IPV6: u32 = 41;
const IPV6_V6ONLY: u32 = 26;
const TCP_NODELAY: u32 = 1;

/// Options of `SOL_SOCKET` (include/uapi/asm-generic/socket.h).
mod option {
    pub(super) const REUSEADDR: u32 = 2;
    pub(super) const TYPE: u32 = 3;
    pub(super) const ERROR: u32 = 4;
    pub(super) const BROADCAST: u32 = 6;
    pub(super) const SNDBUF: u32 = 7;
    pub(super) const RCVBUF: u32 = 8;
    pub(super) const KEEPALIVE: u32 = 9;
    pub(super) const LINGER: u32 = 13;
    pub(super) const REUSEPORT: u32 = 15;
    pub(super) const RCVTIMEO: u32 = 20;
    pub(super) const SNDTIMEO: u32 = 21;
    pub(super) const ACCEPTCONN: u32 = 30;
    pub(super) const PROTOCOL: u32 = 38;
    pub(super) const DOMAIN: u32 = 39;
}

impl<S: Pages> Process<S> {
    /// Calls about sockets that do not wait; `None` for others.
    pub(super) fn socket_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::SOCKET => self.socket(world, args),
            number::SOCKETPAIR => Err(Errno::EAFNOSUPPORT),
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
        let family = u16::try_from(low(args[0])).map_err(|_| Errno::EAFNOSUPPORT)?;
        if !matches!(family, AF_INET | AF_INET6) {
            return Err(Errno::EAFNOSUPPORT);
        }
        match (kind, low(args[2])) {
            (SOCK_STREAM, 0 | IPPROTO_TCP) => {}
            (SOCK_RAW, _) => {
                self.tell(world, number::SOCKET, "a component has no raw sockets");
                return Err(Errno::EPERM);
            }
            (SOCK_DGRAM, _) => {
                self.tell(world, number::SOCKET, "datagrams are not there yet");
                return Err(Errno::EACCES);
            }
            _ => return Err(Errno::EPROTONOSUPPORT),
        }
        if !world.has_tcp() {
            self.tell(world, number::SOCKET, "its component was granted no network");
            return Err(Errno::EACCES);
        }
        self.files.open(Object::Tcp(Tcp::new(family == AF_INET6)), flags)
    }

    /// The stack serves every address of the machine, so only that can be had; nobody is reached at 127.0.0.1.
    fn bind(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let is_v6 = self.tcp(args[0])?.1.is_v6;
        let wanted = read_address(world, args[1], args[2], is_v6)?;
        let is_any = matches!(
            wanted.address,
            Address::V4([0, 0, 0, 0]) | Address::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        );
        if !is_any {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let now = world.now_ns();
        let (_, tcp) = self.tcp(args[0])?;
        if tcp.stage != Stage::Fresh || tcp.port != 0 {
            return Err(Errno::EINVAL);
        }
        let [low, high, ..] = (now / 977).to_le_bytes();
        let any = FREE_PORTS + u16::from_le_bytes([low, high]) % (u16::MAX - FREE_PORTS);
        tcp.port = if wanted.port == 0 { any } else { wanted.port };
        Ok(0)
    }

    fn listen(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (_, tcp) = self.tcp(args[0])?;
        if let Stage::Listening { .. } = tcp.stage {
            return Ok(0);
        }
        if tcp.stage != Stage::Fresh || tcp.port == 0 {
            return Err(Errno::EINVAL);
        }
        let backlog = u16::try_from(low(args[1]).clamp(1, BACKLOG_MAX)).unwrap_or(1);
        let listener = world.listen(tcp.port, backlog)?;
        let (_, tcp) = self.tcp(args[0])?;
        tcp.stage = Stage::Listening { listener, backlog };
        Ok(0)
    }

    /// `None`: it waits for the peer's answer.
    pub(super) fn try_connect(&mut self, world: &mut impl World, call: &mut Call) -> Result<Option<u64>, Errno> {
        let (id, tcp) = self.tcp(call.args[0])?;
        let (stage, is_v6, is_begun) = (tcp.stage, tcp.is_v6, call.done > 0);
        match stage {
            Stage::Fresh => {
                let peer = read_address(world, call.args[1], call.args[2], is_v6)?;
                self.open_connection(world, id, peer)?;
                call.done = 1;
                Ok(None)
            }
            Stage::Connecting(_) if is_begun => Ok(None),
            Stage::Connecting(_) => Err(Errno::EALREADY),
            Stage::Open(_) if is_begun => Ok(Some(0)),
            Stage::Open(_) | Stage::Listening { .. } => Err(Errno::EISCONN),
            Stage::Closed => Err(tcp.error.take().unwrap_or(Errno::ECONNABORTED)),
        }
    }

    /// `None`: nobody waits.
    pub(super) fn try_accept(&mut self, world: &mut impl World, call: &Call) -> Result<Option<u64>, Errno> {
        let flags = if call.number == number::ACCEPT4 { low(call.args[3]) } else { 0 };
        let Some(id) = self.take_waiting(call.args[0])? else { return Ok(None) };
        let number = self.files.descriptor(id, 0, flags & O_CLOEXEC != 0)?;
        self.is_taken(id);
        if let Some(held) = self.files.objects.get_mut(id) {
            held.is_nonblocking = flags & O_NONBLOCK != 0;
        }
        if call.args[1] != 0 {
            let (_, tcp) = self.tcp(number)?;
            let (peer, is_v6) = (tcp.peer, tcp.is_v6);
            write_address(world, peer, is_v6, call.args[1], call.args[2])?;
        }
        Ok(Some(number))
    }

    fn name(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Answer {
        let (_, tcp) = self.tcp(args[0])?;
        let (is_v6, own) = (tcp.is_v6, Peer { address: Address::V4([0; 4]), port: tcp.port });
        let named = if number == number::GETSOCKNAME {
            // The stack does not say at which of its addresses it was reached.
            own
        } else if matches!(tcp.stage, Stage::Open(_) | Stage::Closed) {
            tcp.peer.ok_or(Errno::ENOTCONN)?
        } else {
            return Err(Errno::ENOTCONN);
        };
        let named = match named.address {
            Address::V4([0, 0, 0, 0]) if is_v6 => Peer { address: Address::V6([0; 16]), ..named },
            _ => named,
        };
        write_address(world, Some(named), is_v6, args[1], args[2])?;
        Ok(0)
    }

    fn set_option(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [socket, level, name, value, length, _] = args;
        let (level, name) = (low(level), low(name));
        self.tcp(socket)?;
        let mut word = [0; 4];
        if low(length) < 4 {
            return Err(Errno::EINVAL);
        }
        world.read(value, &mut word)?;
        let word = u32::from_le_bytes(word);
        let time = |world: &mut _| {
            let [seconds, micros] = world::read_words(world, value)?;
            let is_time = micros < 1_000_000 && i64::try_from(seconds).is_ok();
            let ns = seconds.saturating_mul(NS).saturating_add(micros * 1000);
            if is_time { Ok(ns) } else { Err(Errno::EDOM) }
        };
        match (level, name) {
            (SOL_SOCKET, option::RCVTIMEO) => self.tcp(socket)?.1.receive_ns = time(world)?,
            (SOL_SOCKET, option::SNDTIMEO) => self.tcp(socket)?.1.send_ns = time(world)?,
            (SOL_SOCKET, option::LINGER) => {
                // struct linger: whether, and seconds
                let seconds = world::read_u32(world, value.wrapping_add(4))?;
                self.tcp(socket)?.1.is_abortive = word != 0 && seconds == 0;
            }
            // The stack does these always, or has one size of buffer.
            (
                SOL_SOCKET,
                option::REUSEADDR
                | option::REUSEPORT
                | option::KEEPALIVE
                | option::BROADCAST
                | option::SNDBUF
                | option::RCVBUF,
            )
            | (SOL_IPV6, IPV6_V6ONLY) => {}
            (IPPROTO_TCP, TCP_NODELAY) => self.tcp(socket)?.1.is_nodelay = word != 0,
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(0)
    }

    fn option(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [socket, level, name, value, length, _] = args;
        let (_, tcp) = self.tcp(socket)?;
        let word: u32 = match (low(level), low(name)) {
            (SOL_SOCKET, option::RCVTIMEO) => return write_option(world, value, length, &timeval(tcp.receive_ns)),
            (SOL_SOCKET, option::SNDTIMEO) => return write_option(world, value, length, &timeval(tcp.send_ns)),
            (SOL_SOCKET, option::LINGER) => {
                let word = u64::from(tcp.is_abortive).to_le_bytes();
                return write_option(world, value, length, &word);
            }
            (SOL_SOCKET, option::ERROR) => tcp.error.take().map_or(0, Errno::number),
            (SOL_SOCKET, option::TYPE) => SOCK_STREAM,
            (SOL_SOCKET, option::PROTOCOL) => IPPROTO_TCP,
            (SOL_SOCKET, option::DOMAIN) => u32::from(if tcp.is_v6 { AF_INET6 } else { AF_INET }),
            (SOL_SOCKET, option::ACCEPTCONN) => matches!(tcp.stage, Stage::Listening { .. }).into(),
            (SOL_SOCKET, option::RCVBUF) => u32::try_from(crate::net::WINDOW).unwrap_or(0),
            (SOL_SOCKET, option::SNDBUF) => u32::try_from(crate::net::WINDOW).unwrap_or(0),
            (SOL_SOCKET, option::REUSEADDR | option::REUSEPORT | option::KEEPALIVE | option::BROADCAST) => 0,
            (SOL_IPV6, IPV6_V6ONLY) => 0,
            (IPPROTO_TCP, TCP_NODELAY) => tcp.is_nodelay.into(),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        write_option(world, value, length, &word.to_le_bytes())
    }
}

/// `struct timeval`
fn timeval(ns: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    let words = [ns / NS, ns % NS / 1000];
    for (to, from) in bytes.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes())) {
        *to = from;
    }
    bytes
}

fn write_option(world: &mut impl World, value: u64, length: u64, bytes: &[u8]) -> Answer {
    let room = usize::try_from(world::read_u32(world, length)?).unwrap_or(0);
    let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
    world.write(value, bytes)?;
    world.write(length, &u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes())?;
    Ok(0)
}

/// `struct sockaddr_in` and `sockaddr_in6`. An IPv4 address in a socket of the other family is told as a mapped one.
fn read_address(world: &impl World, address: u64, length: u64, is_v6: bool) -> Result<Peer, Errno> {
    let mut bytes = [0; 28];
    let length = usize::try_from(int(length)).unwrap_or(0).min(bytes.len());
    world.read(address, bytes.get_mut(..length).unwrap_or_default())?;
    let [f, g, p, q, a, b, c, d, rest @ ..] = bytes;
    let port = u16::from_be_bytes([p, q]);
    match (u16::from_le_bytes([f, g]), is_v6) {
        (AF_INET, false) if length >= 16 => Ok(Peer { address: Address::V4([a, b, c, d]), port }),
        (AF_INET6, true) if length >= 24 => {
            let host: [u8; 16] = rest.first_chunk().copied().ok_or(Errno::EINVAL)?;
            let address = match host {
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Address::V4([a, b, c, d]),
                host => Address::V6(host),
            };
            Ok(Peer { address, port })
        }
        (AF_INET | AF_INET6, _) if length >= 16 => Err(Errno::EAFNOSUPPORT),
        _ => Err(Errno::EINVAL),
    }
}

fn write_address(
    world: &mut impl World,
    peer: Option<Peer>,
    is_v6: bool,
    address: u64,
    length: u64,
) -> Result<(), Errno> {
    let peer = peer.unwrap_or(Peer { address: Address::V4([0; 4]), port: 0 });
    let mut bytes = [0; 28];
    let [p, q] = peer.port.to_be_bytes();
    let size = if is_v6 { 28 } else { 16 };
    let host = match (peer.address, is_v6) {
        (Address::V4([a, b, c, d]), true) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
        (Address::V4([a, b, c, d]), false) => [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        (Address::V6(host), _) => host,
    };
    let [f, g] = if is_v6 { AF_INET6 } else { AF_INET }.to_le_bytes();
    let (head, from) = ([f, g, p, q], if is_v6 { 8 } else { 4 });
    for (to, byte) in bytes.iter_mut().zip(head) {
        *to = byte;
    }
    for (to, byte) in bytes.iter_mut().skip(from).zip(host) {
        *to = byte;
    }
    let room = usize::try_from(world::read_u32(world, length)?).unwrap_or(0);
    world.write(address, bytes.get(..size.min(room)).unwrap_or_default())?;
    world.write(length, &u32::try_from(size).unwrap_or(0).to_le_bytes())
}
