//! Datagrams: over a stack that a test plays, at own addresses, by name; a queue against a simple model.
use super::readiness as bits;
use super::*;
use crate::net::{Address, Arrival, DATAGRAM, Peer};
use std::collections::VecDeque;

const FROM: u64 = STACK.0;
const TO: u64 = STACK.0 + 0x1000;
const NONBLOCK: u64 = 0o4000;
const AGAIN: i64 = -11;
const V4: u64 = 2;
const V6: u64 = 10;
const UNIX: u64 = 1;
pub(super) const OWN: [u8; 4] = [127, 0, 0, 1];
const SOURCE: [u8; 4] = [10, 0, 2, 15];
const PEER: Peer = Peer { address: Address::V4([10, 0, 2, 2]), port: 5353 };

#[derive(Default)]
pub(super) struct FakePorts {
    /// Numbers and ports.
    pub(super) bound: Vec<(u16, u16)>,
    sent: Vec<(u16, Peer, usize)>,
    arrivals: VecDeque<Arrival<'static>>,
    /// Happened, and nobody has looked yet.
    pub(super) unnoticed: Vec<Arrival<'static>>,
    pub(super) is_full: bool,
    is_away: bool,
    /// It is full until just before the next datagram comes.
    pub(super) makes_room: bool,
    pub(super) servers: Vec<Address>,
}

impl FakePorts {
    pub(super) fn notice(&mut self) {
        self.arrivals.extend(self.unnoticed.drain(..));
    }

    pub(super) fn bind(&mut self, port: u16) -> Result<(u16, u16), Errno> {
        if port != 0 && self.bound.iter().any(|(_, bound)| *bound == port) {
            return Err(Errno::EADDRINUSE);
        }
        let number = self.bound.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        self.bound.push((number, if port == 0 { 50_000 + number } else { port }));
        Ok(*self.bound.last().unwrap())
    }

    /// A host with an address of IPv4 and a router, and no router for IPv6.
    pub(super) fn source(&self, to: Address) -> Result<Address, Errno> {
        match to {
            Address::V4(_) if self.is_away => Err(Errno::ENETDOWN),
            Address::V4(_) => Ok(Address::V4(SOURCE)),
            Address::V6(_) => Err(Errno::ENETUNREACH),
        }
    }

    pub(super) fn send(&mut self, socket: u16, peer: Peer, bytes: &[u8]) -> Result<bool, Errno> {
        self.is_full &= !self.makes_room;
        if !self.is_full {
            self.sent.push((socket, peer, bytes.len()));
        }
        Ok(!self.is_full)
    }

    pub(super) fn arrival<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Arrival<'a>> {
        let arrival = self.arrivals.pop_front()?;
        let Arrival::Datagram { socket, peer, data } = arrival else { return Some(arrival) };
        scratch.clear();
        scratch.extend_from_slice(data);
        Some(Arrival::Datagram { socket, peer, data: scratch })
    }
}

pub(super) fn v4(address: [u8; 4], port: u16) -> Vec<u8> {
    [&[2, 0][..], &port.to_be_bytes(), &address, &[0; 8]].concat()
}

pub(super) fn path(name: &[u8]) -> Vec<u8> {
    [&[1, 0][..], name].concat()
}

impl Program {
    fn with_ports() -> Self {
        let mut program = Self::new();
        program.world.udp = Some(FakePorts::default());
        program
    }

    fn ports(&mut self) -> &mut FakePorts {
        self.world.udp.as_mut().unwrap()
    }

    pub(super) fn datagrams(&mut self, family: u64, flags: u64) -> u64 {
        self.call(number::SOCKET, &[family, 2 | flags, 0]).cast_unsigned()
    }

    /// A call with a socket and an address.
    pub(super) fn with_address(&mut self, number: u64, socket: u64, address: &[u8]) -> i64 {
        self.world.write(AT, address).unwrap();
        self.call(number, &[socket, AT, address.len() as u64])
    }

    fn bound(&mut self, family: u64, address: &[u8]) -> u64 {
        let socket = self.datagrams(family, NONBLOCK);
        assert_eq!(self.with_address(number::BIND, socket, address), 0);
        socket
    }

    fn send_to(&mut self, socket: u64, bytes: &[u8], address: &[u8]) -> i64 {
        self.world.write(FROM, bytes).unwrap();
        self.world.write(AT, address).unwrap();
        self.call(number::SENDTO, &[socket, FROM, bytes.len() as u64, 0, AT, address.len() as u64])
    }

    /// What comes next, with its sender's address, or the error.
    fn receive(&mut self, socket: u64) -> Result<(Vec<u8>, Vec<u8>), i64> {
        self.world.write(AT + 128, &128_u32.to_le_bytes()).unwrap();
        let result = self.call(number::RECVFROM, &[socket, TO, 0x4000, 0, AT, AT + 128]);
        let length = usize::try_from(result).map_err(|_| result)?;
        Ok((self.bytes(TO, length), self.named()))
    }

    pub(super) fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.world.read(address, &mut bytes).unwrap();
        bytes
    }

    fn named(&self) -> Vec<u8> {
        let length = self.world.words::<1>(AT + 128)[0] as u32;
        self.bytes(AT, length as usize)
    }

    pub(super) fn name(&mut self, number: u64, socket: u64) -> Result<Vec<u8>, i64> {
        self.world.write(AT + 128, &128_u32.to_le_bytes()).unwrap();
        match self.call(number, &[socket, AT, AT + 128]) {
            0 => Ok(self.named()),
            error => Err(error),
        }
    }

    pub(super) fn ready(&mut self, socket: u64) -> u32 {
        self.put(AT + 256, &[socket | u64::from(bits::IN | bits::OUT) << 32]);
        self.put(AT + 272, &[0, 0]);
        self.call(number::PPOLL, &[AT + 256, 1, AT + 272]);
        (self.world.words::<1>(AT + 256)[0] >> 48) as u32
    }

    fn arrive(&mut self, arrival: Arrival<'static>) {
        self.ports().arrivals.push_back(arrival);
        self.process.take_events(&mut self.world);
        self.process.expire(&mut self.world);
    }

    pub(super) fn all_is_free(&self) -> bool {
        self.process.areas.free_bytes() == PAGES as u64 * PAGE
    }
}

#[test]
fn own_address_reaches_the_components_own_sockets_without_a_network() {
    let mut program = Program::new();
    let server = program.bound(V4, &v4(OWN, 9000));
    let client = program.datagrams(V4, NONBLOCK);
    assert_eq!(program.send_to(client, b"ping", &v4(OWN, 9000)), 4);
    let (bytes, from) = program.receive(server).unwrap();
    assert_eq!((&bytes[..], &from[4..8]), (&b"ping"[..], &OWN[..]));
    let port = u16::from_be_bytes([from[2], from[3]]);
    assert_eq!(
        program.name(number::GETSOCKNAME, client).unwrap(),
        v4([0; 4], port),
        "at every address, as with a network"
    );
    assert_eq!(program.send_to(client, b"x", &v4([127, 0, 0, 2], 9000)), 1, "nobody is there");
    assert_eq!(program.send_to(server, b"pong!", &from), 5);
    assert_eq!(program.receive(client).unwrap(), (b"pong!".to_vec(), v4(OWN, 9000)));
    assert_eq!(program.receive(client), Err(AGAIN));
    let twin = program.datagrams(V4, 0);
    assert_eq!(program.with_address(number::BIND, twin, &v4(OWN, 9000)), Errno::EADDRINUSE.negated());
    assert_eq!(program.with_address(number::BIND, twin, &v4([10, 0, 2, 15], 9000)), Errno::EADDRNOTAVAIL.negated());
    assert_eq!(program.with_address(number::BIND, twin, &v4([0; 4], 9001)), Errno::EACCES.negated());
    assert_eq!(program.send_to(twin, b"x", &v4([10, 0, 2, 2], 9)), Errno::EACCES.negated());
    assert_eq!(program.world.told.len(), 2, "both refusals are told: {:?}", program.world.told);
    for socket in [server, client, twin] {
        assert_eq!(program.call(number::CLOSE, &[socket]), 0);
    }
    assert!(program.all_is_free());
}

#[test]
fn both_families_meet_unless_one_is_for_ipv6_alone() {
    let mut program = Program::with_ports();
    let any_v6 = [&[10, 0, 0x23, 0x28][..], &[0; 24]].concat();
    let server = program.bound(V6, &any_v6);
    let client = program.datagrams(V4, 0);
    assert_eq!(program.send_to(client, b"a", &v4(OWN, 9000)), 1);
    let (_, from) = program.receive(server).unwrap();
    assert_eq!((from.len(), &from[18..24]), (28, &[0xff, 0xff, 127, 0, 0, 1][..]));
    let mut own_v6 = any_v6.clone();
    own_v6[23] = 1;
    assert_eq!(program.send_to(server, b"bb", &own_v6), 2);
    assert_eq!(program.receive(server).unwrap(), (b"bb".to_vec(), own_v6));
    program.put(AT, &[1]);
    assert_eq!(program.call(number::SETSOCKOPT, &[server, 41, 26, AT, 4]), 0);
    assert_eq!(program.send_to(client, b"a", &v4(OWN, 9000)), 1);
    assert_eq!(program.receive(server), Err(AGAIN));
    program.arrive(Arrival::Datagram { socket: 0, peer: PEER, data: &[7; 3] });
    assert_eq!(program.receive(server), Err(AGAIN));
    let peer = Peer { address: Address::V6([0xfd; 16]), port: 1 };
    program.arrive(Arrival::Datagram { socket: 0, peer, data: &[7; 3] });
    assert_eq!(program.receive(server).unwrap().0, [7; 3]);
}

#[test]
fn addresses_of_both_families_do_not_meet() {
    let own_v6 = |port: u16| [&[10, 0][..], &port.to_be_bytes(), &[0; 4], &[0; 15], &[1], &[0; 4]].concat();
    let mapped = |port: u16| [&[10, 0][..], &port.to_be_bytes(), &[0; 4], &[0; 10], &[0xff; 2], &OWN, &[0; 4]].concat();
    let unreachable = Errno::ENETUNREACH.negated();
    let mut program = Program::new();
    let server = program.bound(V4, &v4(OWN, 9000));
    let client = program.bound(V6, &own_v6(9001));
    assert_eq!(program.send_to(client, b"a", &mapped(9000)), unreachable);
    assert_eq!(program.with_address(number::CONNECT, client, &mapped(9000)), unreachable);
    assert_eq!(program.receive(server), Err(AGAIN));
    let any = program.datagrams(V6, 0);
    assert_eq!(program.send_to(any, b"a", &mapped(9000)), 1);
    assert_eq!(program.receive(server).unwrap().1[4..8], OWN);
    let listener = program.call(number::SOCKET, &[V4, 1, 0]).cast_unsigned();
    assert_eq!(program.with_address(number::BIND, listener, &v4(OWN, 80)), 0);
    assert_eq!(program.call(number::LISTEN, &[listener, 5]), 0);
    let stream = program.call(number::SOCKET, &[V6, 1, 0]).cast_unsigned();
    assert_eq!(program.with_address(number::BIND, stream, &own_v6(9001)), 0);
    assert_eq!(program.with_address(number::CONNECT, stream, &mapped(80)), unreachable);
    let only = program.call(number::SOCKET, &[V6, 1, 0]).cast_unsigned();
    program.put(AT, &[1]);
    assert_eq!(program.call(number::SETSOCKOPT, &[only, 41, 26, AT, 4]), 0);
    assert_eq!(program.with_address(number::CONNECT, only, &mapped(80)), unreachable);
}

#[test]
fn connected_socket_hears_its_peer_alone_and_learns_that_nobody_is_there() {
    let mut program = Program::with_ports();
    let socket = program.datagrams(V4, NONBLOCK);
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 1]), Errno::EDESTADDRREQ.negated());
    assert_eq!(program.with_address(number::CONNECT, socket, &v4([10, 0, 2, 2], 5353)), 0);
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 100]), 100);
    assert_eq!(program.ports().sent, [(0, PEER, 100)]);
    program.arrive(Arrival::Datagram { socket: 0, peer: Peer { port: 1, ..PEER }, data: &[7; 5] });
    assert_eq!(program.receive(socket), Err(AGAIN));
    program.arrive(Arrival::Datagram { socket: 0, peer: PEER, data: &[7; 6] });
    assert_eq!(program.receive(socket).unwrap(), (vec![7; 6], v4([10, 0, 2, 2], 5353)));
    assert_eq!(program.name(number::GETPEERNAME, socket).unwrap(), v4([10, 0, 2, 2], 5353));
    assert_eq!(program.with_address(number::CONNECT, socket, &v4(OWN, 1234)), 0);
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 1]), 1);
    assert_eq!(program.ready(socket) & bits::ERR, bits::ERR);
    assert_eq!(program.call(number::WRITE, &[socket, FROM, 1]), Errno::ECONNREFUSED.negated());
    assert_eq!(program.with_address(number::CONNECT, socket, &[0; 16]), 0);
    assert_eq!(program.name(number::GETPEERNAME, socket), Err(Errno::ENOTCONN.negated()));
    assert_eq!(program.call(number::CLOSE, &[socket]), 0);
    assert!(program.ports().bound.is_empty() && program.all_is_free());
}

#[test]
fn what_does_not_go_out_says_why() {
    let mut program = Program::with_ports();
    let socket = program.bound(V4, &v4([0; 4], 4000));
    let broadcast = v4([255; 4], 9);
    assert_eq!(program.send_to(socket, b"x", &broadcast), Errno::EACCES.negated());
    program.put(AT, &[1]);
    assert_eq!(program.call(number::SETSOCKOPT, &[socket, 1, 6, AT, 4]), 0);
    assert_eq!(program.send_to(socket, b"x", &broadcast), 1);
    let out = v4([10, 0, 2, 2], 9);
    assert_eq!(program.send_to(socket, &[1; DATAGRAM + 1], &out), Errno::EMSGSIZE.negated());
    assert_eq!(program.send_to(socket, &[1; DATAGRAM], &out), DATAGRAM as i64);
    assert_eq!(program.send_to(socket, b"x", &v4([10, 0, 2, 2], 0)), Errno::EINVAL.negated());
    assert_eq!(program.send_to(socket, b"x", &out[..8]), Errno::EINVAL.negated());
    // Groups: the host stack joins none. Control data: there is none.
    assert_eq!(program.call(number::SETSOCKOPT, &[socket, 0, 35, AT, 8]), Errno::ENOPROTOOPT.negated());
    program.put(AT + 8, &[4]);
    for (level, name) in [(6, 1), (41, 26)] {
        assert_eq!(program.call(number::GETSOCKOPT, &[socket, level, name, AT, AT + 8]), Errno::ENOPROTOOPT.negated());
    }
    assert_eq!(program.call(number::LISTEN, &[socket, 1]), Errno::EOPNOTSUPP.negated());
    let inner = program.bound(V4, &v4(OWN, 4001));
    assert_eq!(program.send_to(inner, b"x", &out), Errno::EINVAL.negated());
}

#[test]
fn full_ring_makes_the_sender_wait_and_the_next_life_of_the_stack_has_the_port_again() {
    let mut program = Program::with_ports();
    let socket = program.bound(V4, &v4([0; 4], 4000));
    assert_eq!(program.ready(socket), bits::OUT);
    program.ports().is_full = true;
    assert_eq!(program.send_to(socket, b"x", &v4([10, 0, 2, 2], 9)), AGAIN);
    program.put(AT + 256, &[socket | u64::from(bits::OUT) << 32]);
    assert_eq!(program.on(1, number::PPOLL, &[AT + 256, 1, 0]), Outcome::Park);
    program.ports().is_full = false;
    program.process.take_events(&mut program.world);
    program.process.expire(&mut program.world);
    assert_eq!(program.process.take_result(1), Some(1));
    program.ports().bound.clear();
    program.arrive(Arrival::Back);
    assert_eq!(program.ports().bound, [(0, 4000)]);
    // Another component was faster: the number may be that of its port, so nothing goes there or comes from there.
    program.ports().bound = vec![(7, 4000)];
    program.arrive(Arrival::Back);
    assert_eq!(program.ready(socket) & bits::ERR, bits::ERR);
    let sent = program.ports().sent.len();
    let to = v4([10, 0, 2, 2], 9);
    assert_eq!(program.send_to(socket, b"x", &to), Errno::EADDRINUSE.negated());
    assert_eq!(program.send_to(socket, b"x", &to), Errno::ENETDOWN.negated());
    program.arrive(Arrival::Datagram { socket: 0, peer: PEER, data: &[7; 3] });
    assert_eq!((program.ports().sent.len(), program.receive(socket)), (sent, Err(AGAIN)));
    program.ports().bound.clear();
    program.arrive(Arrival::Back);
    assert_eq!(program.send_to(socket, b"x", &to), 1);
}

/// Whether anybody is to be told is remembered for all sockets together.
#[test]
fn socket_that_waits_for_room_is_told_though_another_has_found_it() {
    let mut program = Program::with_ports();
    let (waiting, other) = (program.bound(V4, &v4([0; 4], 4000)), program.bound(V4, &v4([0; 4], 4001)));
    let to = v4([10, 0, 2, 2], 9);
    program.ports().is_full = true;
    assert_eq!(program.send_to(waiting, b"x", &to), AGAIN);
    program.process.take_events(&mut program.world);
    assert_eq!((program.ready(waiting), program.ready(other)), (0, bits::OUT));
    program.ports().is_full = false;
    assert_eq!(program.send_to(other, b"x", &to), 1);
    program.process.take_events(&mut program.world);
    assert_eq!(program.ready(waiting), bits::OUT);
    // And once more, after all were told.
    program.ports().is_full = true;
    assert_eq!(program.send_to(other, b"x", &to), AGAIN);
    assert_eq!((program.ready(waiting), program.ready(other)), (bits::OUT, 0));
    program.ports().is_full = false;
    program.process.take_events(&mut program.world);
    assert_eq!(program.ready(other), bits::OUT);
}

/// Its return would otherwise be told after the new life has given the port, which is then asked for once more.
#[test]
fn port_is_asked_for_once_when_the_stack_has_come_back_unnoticed() {
    let mut program = Program::with_ports();
    program.ports().unnoticed.push(Arrival::Back);
    let socket = program.bound(V4, &v4([0; 4], 4000));
    program.ports().notice();
    program.process.take_events(&mut program.world);
    assert_eq!((program.ready(socket), program.ports().bound.as_slice()), (bits::OUT, [(0, 4000)].as_slice()));
    assert_eq!(program.send_to(socket, b"x", &v4([10, 0, 2, 2], 9)), 1);
}

#[test]
fn names_within_the_component_are_found_until_their_socket_closes() {
    let mut program = Program::new();
    let server = program.bound(UNIX, &path(b"/run/log\0"));
    let client = program.datagrams(UNIX, NONBLOCK);
    assert_eq!(program.with_address(number::CONNECT, client, &path(b"/run/other")), Errno::ENOENT.negated());
    assert_eq!(program.with_address(number::CONNECT, client, &path(b"\0other")), Errno::ECONNREFUSED.negated());
    assert_eq!(program.call(number::WRITE, &[client, FROM, 1]), Errno::ENOTCONN.negated());
    assert_eq!(program.with_address(number::CONNECT, client, &path(b"/run/log")), 0);
    assert_eq!(program.call(number::WRITE, &[client, FROM, 3]), 3);
    assert_eq!(program.receive(server).unwrap(), (vec![0; 3], path(b"")));
    let twin = program.datagrams(UNIX, 0);
    assert_eq!(program.with_address(number::BIND, twin, &path(b"/run/log")), Errno::EADDRINUSE.negated());
    assert_eq!(program.with_address(number::BIND, twin, &path(b"\0mine")), 0);
    assert_eq!(program.send_to(twin, b"hello", &path(b"/run/log")), 5);
    assert_eq!(program.receive(server).unwrap(), (b"hello".to_vec(), path(b"\0mine")));
    assert_eq!(program.name(number::GETPEERNAME, client).unwrap(), path(b"/run/log\0"));
    assert_eq!(program.call(number::CLOSE, &[server]), 0);
    assert_eq!(program.call(number::WRITE, &[client, FROM, 3]), Errno::ECONNREFUSED.negated());
    assert_eq!(program.with_address(number::BIND, client, &path(b"/run/log")), 0);
}

#[test]
fn resolver_file_has_the_integrators_servers_or_those_of_the_host_stack() {
    let read = |program: &mut Program| {
        program.world.write(FROM, b"/etc/resolv.conf\0").unwrap();
        let file = program.call(number::OPENAT, &[u64::MAX, FROM, 0]).cast_unsigned();
        let length = program.call(number::READ, &[file, TO, 500]);
        String::from_utf8(program.bytes(TO, length as usize)).unwrap()
    };
    let mut program = Program::with_ports();
    assert_eq!(read(&mut program), "nameserver 10.0.2.3\n");
    program.process.identity.name_servers = " ";
    program.process.identity.name_options = "timeout:1";
    assert_eq!(read(&mut program), "options timeout:1\n");
    program.ports().servers = vec![Address::V4([9, 9, 9, 9]), Address::V6([0xfd; 16])];
    let all = "nameserver 9.9.9.9\nnameserver fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd\noptions timeout:1\n";
    assert_eq!(read(&mut program), all);
}

#[test]
fn pair_waits_for_room_and_its_reader_wakes_the_writer() {
    let mut program = Program::new();
    assert_eq!(program.call(number::SOCKETPAIR, &[1, 2, 0, AT]), 0);
    let [both] = program.world.words(AT);
    let (first, second) = (both & 0xffff_ffff, both >> 32);
    let big = 16 * 1024;
    assert_eq!(program.call(number::WRITE, &[first, FROM, big + 1]), Errno::EMSGSIZE.negated());
    assert_eq!(program.call(number::WRITE, &[first, FROM, big]), big as i64);
    assert_eq!(program.ready(first), 0, "there is no room for another of these");
    assert_eq!(program.on(1, number::WRITE, &[first, FROM, big]), Outcome::Park);
    assert_eq!(program.call(number::READ, &[second, TO, 10]), 10, "the rest of a message is lost");
    assert_eq!(program.process.take_result(1), Some(big as i64));
    assert_eq!(program.on(1, number::WRITE, &[first, FROM, big]), Outcome::Park);
    assert_eq!(program.call(number::CLOSE, &[second]), 0);
    assert_eq!(program.process.take_result(1), Some(Errno::ECONNREFUSED.negated()));
    assert_eq!(program.call(number::CLOSE, &[first]), 0);
    assert!(program.all_is_free());
}

#[test]
fn datagrams_that_are_shut_raise_no_signal_and_tell_their_end_whole() {
    let mut program = Program::new();
    assert_eq!(program.call(number::SOCKETPAIR, &[1, 2, 0, AT]), 0);
    let [both] = program.world.words(AT);
    let (first, second) = (both & 0xffff_ffff, both >> 32);
    assert_eq!(program.call(number::SHUTDOWN, &[first, 2]), 0);
    let epipe = Errno::EPIPE.negated();
    assert_eq!(program.call(number::WRITE, &[first, FROM, 1]), epipe);
    assert_eq!(program.call(number::SENDTO, &[second, FROM, 1, 0, 0, 0]), epipe);
    program.put(AT + 0x300, &[TO, 8]);
    program.put(AT + 0x200, &[TO, 64, AT + 0x300, 1, 0, 5, u64::MAX]);
    assert_eq!(program.call(number::RECVMSG, &[first, AT + 0x200, 0]), 0);
    let words = program.world.words::<7>(AT + 0x200);
    assert_eq!((words[1] as u32, words[5], words[6] as u32), (0, 0, 0));
}

#[test]
fn message_in_pieces_is_told_with_its_sender_and_what_was_cut_off() {
    let mut program = Program::new();
    let server = program.bound(V4, &v4(OWN, 9000));
    let client = program.bound(V4, &v4(OWN, 9001));
    let (head, list, name) = (AT + 0x200, AT + 0x300, AT + 0x400);
    program.world.write(FROM, b"one two three").unwrap();
    program.world.write(name, &v4(OWN, 9000)).unwrap();
    program.put(list, &[FROM, 4, FROM + 4, 9]);
    program.put(head, &[name, 16, list, 2, 0, 0, 0]);
    assert_eq!(program.call(number::SENDMSG, &[client, head, 0]), 13);
    program.put(list, &[TO, 3, TO + 64, 5]);
    program.put(head, &[name, 64, list, 2, 0, 0, u64::MAX]);
    assert_eq!(program.call(number::RECVMSG, &[server, head, 2 | 0x20]), 13, "peeked at, with its whole length");
    assert_eq!(program.call(number::RECVMSG, &[server, head, 0]), 8);
    assert_eq!((program.bytes(TO, 3), program.bytes(TO + 64, 5)), (b"one".to_vec(), b" two ".to_vec()));
    assert_eq!(program.bytes(name, 16), v4(OWN, 9001));
    let words = program.world.words::<7>(head);
    assert_eq!((words[1] as u32, words[5], words[6] as u32), (16, 0, 0x20));
    program.put(head, &[name, 16, list, 2, FROM, 24, 0]);
    assert_eq!(program.call(number::SENDMSG, &[client, head, 0]), Errno::EINVAL.negated(), "control data");
    program.put(head, &[name, 16, 12, 2, 0, 0, 0]);
    assert_eq!(program.call(number::SENDMSG, &[client, head, 0]), Errno::EFAULT.negated());
    program.put(list, &[FROM, 4, 12, 9]);
    program.put(head, &[name, 16, list, 2, 0, 0, 0]);
    assert_eq!(program.call(number::SENDMSG, &[client, head, 0]), Errno::EFAULT.negated());
    assert_eq!(program.receive(server), Err(AGAIN), "half a message is none");
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Receive(u64),
    Peek(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop_oneof![0_usize..64, 3_000_usize..5_000, 12_000_usize..16_384];
    prop_oneof![
        2 => length().prop_map(Step::Send),
        1 => length().prop_map(|length| Step::Receive(length as u64)),
        1 => length().prop_map(|length| Step::Peek(length as u64)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A queue is a list of messages, bounded by their bytes and names; who is full loses what comes from a host and refuses what comes by name.
    #[test]
    fn queue_does_what_a_bounded_list_of_messages_does(is_unix: bool, steps in prop::collection::vec(step(), 1..60)) {
        let mut program = Program::new();
        let (family, to, from) = if is_unix {
            (UNIX, path(b"to"), path(b"from"))
        } else {
            (V4, v4(OWN, 1), v4(OWN, 2))
        };
        let (receiver, sender) = (program.bound(family, &to), program.bound(family, &from));
        let head = 4 + if is_unix { from.len() + 1 } else { 16 };
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(length) => {
                    let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + number) as u8).collect();
                    let used: usize = model.iter().map(|message| head + message.len()).sum();
                    let has_room = used + head + length <= 32 * 1024;
                    let sent = program.send_to(sender, &bytes, &to);
                    prop_assert_eq!(sent, if has_room || !is_unix { length as i64 } else { AGAIN });
                    if has_room {
                        model.push_back(bytes);
                    }
                }
                Step::Receive(room) | Step::Peek(room) => {
                    let is_peek = matches!(step, Step::Peek(_));
                    program.world.write(AT + 128, &128_u32.to_le_bytes()).unwrap();
                    let args = [receiver, TO, room, if is_peek { 2 } else { 0 }, AT, AT + 128];
                    let result = program.call(number::RECVFROM, &args);
                    let Some(message) = model.front() else {
                        prop_assert_eq!(result, AGAIN);
                        continue;
                    };
                    let given = message.len().min(room as usize);
                    prop_assert_eq!(result, given as i64);
                    prop_assert_eq!(&program.bytes(TO, given)[..], &message[..given]);
                    prop_assert_eq!(&program.named()[..from.len()], &from[..]);
                    if !is_peek {
                        model.pop_front();
                    }
                }
            }
            prop_assert_eq!(program.ready(receiver) & bits::IN != 0, !model.is_empty());
        }
        prop_assert_eq!(program.call(number::CLOSE, &[receiver]), 0);
        prop_assert_eq!(program.call(number::CLOSE, &[sender]), 0);
        prop_assert!(program.all_is_free());
    }
}

/// As musl's `getaddrinfo` finds out which of a name's addresses lead anywhere, and from where.
#[test]
fn connect_tells_at_once_whether_there_is_a_way_and_from_where() {
    let name = |program: &mut Program, socket| {
        program.world.write(AT + 128, &128_u32.to_le_bytes()).unwrap();
        assert_eq!(program.call(number::GETSOCKNAME, &[socket, AT, AT + 128]), 0);
        program.named()
    };
    let v6 = |address: [u8; 16], port: u16| [&[10, 0][..], &port.to_be_bytes(), &[0; 4], &address, &[0; 4]].concat();
    let mut program = Program::with_ports();
    let far = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let socket = program.datagrams(V6, 0);
    assert_eq!(program.with_address(number::CONNECT, socket, &v6(far, 53)), Errno::ENETUNREACH.negated());
    assert!(program.ports().bound.is_empty(), "it took no port");
    // The same socket reaches IPv4.
    let mapped = |[a, b, c, d]: [u8; 4]| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d];
    assert_eq!(program.with_address(number::CONNECT, socket, &v6(mapped([10, 0, 2, 2]), 53)), 0);
    let own = name(&mut program, socket);
    assert_eq!(own[8..24], mapped(SOURCE));
    let socket = program.datagrams(V4, 0);
    assert_eq!(program.with_address(number::CONNECT, socket, &v4([10, 0, 2, 2], 53)), 0);
    assert_eq!(name(&mut program, socket), v4(SOURCE, 50_001));
    // Who is connected to nobody any more is at every address again, and so is who found the host stack away.
    assert_eq!(program.with_address(number::CONNECT, socket, &[0; 16]), 0);
    assert_eq!(name(&mut program, socket), v4([0; 4], 50_001));
    program.ports().is_away = true;
    assert_eq!(program.with_address(number::CONNECT, socket, &v4([10, 0, 2, 2], 53)), 0);
    assert_eq!(name(&mut program, socket), v4([0; 4], 50_001));
}
