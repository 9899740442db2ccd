//! Options of sockets: what is kept and told, what changes something, and what is refused.
use super::address::Family;
use super::object::{Id, Object};
use super::socket::{IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM};
use super::{Pages, Process};
use crate::number::{self, Answer, Errno, low};
use crate::world::{self, World};
use core::ops::RangeInclusive;

const NS: u64 = 1_000_000_000;
const SOL_SOCKET: u32 = 1;
const SOL_IP: u32 = 0;
const SOL_IPV6: u32 = 41;
const IP_TTL: u32 = 2;
const IPV6_UNICAST_HOPS: u32 = 16;
const IPV6_V6ONLY: u32 = 26;
const TCP_NODELAY: u32 = 1;
const TCP_KEEPIDLE: u32 = 4;
const TCP_KEEPINTVL: u32 = 5;
const TCP_KEEPCNT: u32 = 6;
const TCP_USER_TIMEOUT: u32 = 18;
/// What the host stack sends everything with.
const HOPS: u32 = 64;
/// The user that stands for those whose number is not known.
const NOBODY: u32 = 65534;

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
    pub(super) const PEERCRED: u32 = 17;
    pub(super) const RCVLOWAT: u32 = 18;
    pub(super) const RCVTIMEO: u32 = 20;
    pub(super) const SNDTIMEO: u32 = 21;
    pub(super) const ACCEPTCONN: u32 = 30;
    pub(super) const PROTOCOL: u32 = 38;
    pub(super) const DOMAIN: u32 = 39;
}

/// What a program has set. What changes nothing is kept and told: `SO_REUSEPORT`, sizes of buffers, `SO_REUSEADDR` of datagrams (no two
/// sockets ever share a port), and `SO_KEEPALIVE` and `TCP_NODELAY`, as the host stack does what both ask for on every connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) receive_ns: u64,
    pub(super) send_ns: u64,
    /// `SO_LINGER`: whether, and seconds. With none, closing resets.
    linger: (bool, u32),
    pub(super) is_reused: bool,
    is_port_reused: bool,
    is_kept_alive: bool,
    pub(super) is_broadcast: bool,
    pub(super) is_v6_only: bool,
    is_nodelay: bool,
    kept: Kept,
}

/// Numbers that are kept and told, and change nothing: `SO_RCVLOWAT`, as who reads may be told of less than it waits for, and when silent peers are
/// probed, how often and for how long, which the host stack decides (`servers/netd`): until they are set they tell what it does.
#[derive(Debug, Clone, Copy)]
struct Kept {
    least: u32,
    idle: u32,
    interval: u32,
    probes: u32,
    patience: u32,
}

impl Default for Kept {
    fn default() -> Self {
        Self { least: 1, idle: 12, interval: 12, probes: 2, patience: 0 }
    }
}

impl Options {
    /// Closing resets the connection.
    pub(super) const fn is_abortive(&self) -> bool {
        matches!(self.linger, (true, 0))
    }

    /// Each level is of one kind of socket.
    fn flag(&mut self, nature: &Nature, level: u32, name: u32) -> Option<&mut bool> {
        Some(match (level, name) {
            (SOL_IPV6, _) if nature.family != Family::V6 => return None,
            (IPPROTO_TCP, _) if !nature.is_stream || nature.family == Family::Unix => return None,
            (SOL_SOCKET, option::REUSEADDR) => &mut self.is_reused,
            (SOL_SOCKET, option::REUSEPORT) => &mut self.is_port_reused,
            (SOL_SOCKET, option::KEEPALIVE) => &mut self.is_kept_alive,
            (SOL_SOCKET, option::BROADCAST) => &mut self.is_broadcast,
            (SOL_IPV6, IPV6_V6ONLY) => &mut self.is_v6_only,
            (IPPROTO_TCP, TCP_NODELAY) => &mut self.is_nodelay,
            _ => return None,
        })
    }

    /// One of the numbers, and which it may be (Linux, net/ipv4/tcp.c).
    fn number(&mut self, nature: &Nature, level: u32, name: u32) -> Option<(&mut u32, RangeInclusive<u32>)> {
        let kept = &mut self.kept;
        let signed = i32::MAX.unsigned_abs();
        Some(match (level, name) {
            (SOL_SOCKET, option::RCVLOWAT) => (&mut kept.least, 0..=signed),
            (IPPROTO_TCP, _) if !nature.is_stream || nature.family == Family::Unix => return None,
            (IPPROTO_TCP, TCP_KEEPIDLE) => (&mut kept.idle, 1..=32_767),
            (IPPROTO_TCP, TCP_KEEPINTVL) => (&mut kept.interval, 1..=32_767),
            (IPPROTO_TCP, TCP_KEEPCNT) => (&mut kept.probes, 1..=127),
            (IPPROTO_TCP, TCP_USER_TIMEOUT) => (&mut kept.patience, 0..=signed),
            _ => return None,
        })
    }

    fn time(&mut self, level: u32, name: u32) -> Option<&mut u64> {
        match (level, name) {
            (SOL_SOCKET, option::RCVTIMEO) => Some(&mut self.receive_ns),
            (SOL_SOCKET, option::SNDTIMEO) => Some(&mut self.send_ns),
            _ => None,
        }
    }
}

/// What a socket is, for options that tell it.
struct Nature {
    family: Family,
    is_stream: bool,
    is_listening: bool,
    buffer: u64,
}

impl<S: Pages> Process<S> {
    fn nature(&self, argument: u64) -> Result<Nature, Errno> {
        Ok(match &self.files.held(argument)?.object {
            Object::Tcp(tcp) => {
                let is_listening = tcp.is_listening();
                Nature { family: tcp.family, is_stream: true, is_listening, buffer: crate::net::WINDOW }
            }
            Object::Datagram(datagram) => {
                let buffer = super::queue::QUEUE;
                Nature { family: datagram.family, is_stream: false, is_listening: false, buffer }
            }
            _ => return Err(Errno::ENOTSOCK),
        })
    }

    /// The options of a socket.
    pub(super) fn options(&mut self, id: Id) -> Option<&mut Options> {
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Tcp(tcp)) => Some(&mut tcp.options),
            Some(Object::Datagram(datagram)) => Some(&mut datagram.options),
            _ => None,
        }
    }

    /// What the next call, or `SO_ERROR`, is told.
    fn take_error(&mut self, id: Id) -> Option<Errno> {
        match self.files.objects.get_mut(id).map(|held| &mut held.object) {
            Some(Object::Tcp(tcp)) => tcp.error.take(),
            Some(Object::Datagram(datagram)) => datagram.error.take(),
            _ => None,
        }
    }

    /// `setsockopt`
    pub(super) fn set_option(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [socket, level, name, value, length, _] = args;
        let (level, name, nature) = (low(level), low(name), self.nature(socket)?);
        let id = self.files.id(socket)?;
        if low(length) < 4 {
            return Err(Errno::EINVAL);
        }
        let word = world::read_u32(world, value)?;
        let options = self.options(id).ok_or(Errno::ENOTSOCK)?;
        if let Some(time) = options.time(level, name) {
            *time = read_timeval(world, value)?;
            return Ok(0);
        }
        if let Some((number, range)) = options.number(&nature, level, name) {
            *number = Some(word).filter(|word| range.contains(word)).ok_or(Errno::EINVAL)?;
            options.kept.least = options.kept.least.max(1);
            return Ok(0);
        }
        match (level, name) {
            (SOL_SOCKET, option::LINGER) => {
                options.linger = (word != 0, world::read_u32(world, value.wrapping_add(4))?);
                Ok(0)
            }
            (SOL_SOCKET, option::SNDBUF | option::RCVBUF) => Ok(0),
            (SOL_IP, IP_TTL) | (SOL_IPV6, IPV6_UNICAST_HOPS) if word == HOPS => Ok(0),
            _ => match options.flag(&nature, level, name) {
                Some(flag) => {
                    *flag = word != 0;
                    Ok(0)
                }
                None => Err(self.no_option(world, number::SETSOCKOPT, level, name)),
            },
        }
    }

    /// `getsockopt`
    pub(super) fn option(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let [socket, level, name, value, length, _] = args;
        let (level, name, nature) = (low(level), low(name), self.nature(socket)?);
        let id = self.files.id(socket)?;
        let own = u32::from(self.identity.instance);
        let by = world.neighbours().is_some().then(|| self.tcp_of(id)?.by).flatten();
        let options = self.options(id).ok_or(Errno::ENOTSOCK)?;
        if let Some(time) = options.time(level, name) {
            let bytes = timeval(*time);
            return write_option(world, value, length, &bytes);
        }
        if let Some((number, _)) = options.number(&nature, level, name) {
            let bytes = number.to_le_bytes();
            return write_option(world, value, length, &bytes);
        }
        let word: u32 = match (level, name) {
            (SOL_SOCKET, option::LINGER) => {
                let (is_on, seconds) = options.linger;
                let word = (u64::from(is_on) | u64::from(seconds) << 32).to_le_bytes();
                return write_option(world, value, length, &word);
            }
            (SOL_SOCKET, option::PEERCRED) if nature.family == Family::Unix => {
                // struct ucred: process, user, group. Without a route that leads elsewhere it is the component itself; whose number nobody tells is
                // process 0, user and group 65534, as on Linux one of another name space.
                let (process, user) = match by {
                    None => (own, own),
                    Some(Some(instance)) => (instance.into(), instance.into()),
                    Some(None) => (0, NOBODY),
                };
                let words = [process, user, user].map(u32::to_le_bytes);
                return write_option(world, value, length, words.as_flattened());
            }
            (SOL_SOCKET, option::ERROR) => self.take_error(id).map_or(0, Errno::number),
            (SOL_SOCKET, option::TYPE) => {
                if nature.is_stream {
                    SOCK_STREAM
                } else {
                    SOCK_DGRAM
                }
            }
            (SOL_SOCKET, option::PROTOCOL) => match nature {
                Nature { family: Family::Unix, .. } => 0,
                Nature { is_stream: true, .. } => IPPROTO_TCP,
                Nature { is_stream: false, .. } => IPPROTO_UDP,
            },
            (SOL_SOCKET, option::DOMAIN) => nature.family.number().into(),
            (SOL_SOCKET, option::ACCEPTCONN) => nature.is_listening.into(),
            (SOL_SOCKET, option::RCVBUF | option::SNDBUF) => u32::try_from(nature.buffer).unwrap_or(0),
            (SOL_IP, IP_TTL) | (SOL_IPV6, IPV6_UNICAST_HOPS) => HOPS,
            _ => match options.flag(&nature, level, name) {
                Some(flag) => (*flag).into(),
                None => return Err(self.no_option(world, number::GETSOCKOPT, level, name)),
            },
        };
        write_option(world, value, length, &word.to_le_bytes())
    }

    /// One that the socket does not have, or that cannot be set to this.
    fn no_option(&mut self, world: &mut impl World, number: u64, level: u32, name: u32) -> Errno {
        let why = match level {
            SOL_SOCKET => "nothing here goes by this option of SOL_SOCKET",
            SOL_IP => "nothing here goes by this option of IPPROTO_IP",
            SOL_IPV6 => "nothing here goes by this option of IPPROTO_IPV6",
            IPPROTO_TCP => "nothing here goes by this option of IPPROTO_TCP",
            _ => "nothing here goes by this option of another level",
        };
        self.tell_of(world, number, why, name);
        Errno::ENOPROTOOPT
    }
}

/// Nanoseconds of a `struct timeval`.
fn read_timeval(world: &impl World, address: u64) -> Result<u64, Errno> {
    let [seconds, micros] = world::read_words(world, address)?;
    let is_time = micros < 1_000_000 && i64::try_from(seconds).is_ok();
    let ns = seconds.saturating_mul(NS).saturating_add(micros.saturating_mul(1000));
    if is_time { Ok(ns) } else { Err(Errno::EDOM) }
}

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
