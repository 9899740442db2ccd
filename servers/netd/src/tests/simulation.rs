//! A world of two hosts, a wire and a clock, all of it repeatable; asserts nothing but invariants.
use crate::*;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Duration;
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};
use std::collections::{BTreeMap, VecDeque};
use std::vec;
use std::vec::Vec;

pub(super) const MAC: EthernetAddress = EthernetAddress([0x02, 0, 0, 0, 0, 1]);
pub(super) const PEER_MAC: EthernetAddress = EthernetAddress([0x02, 0, 0, 0, 0, 2]);
pub(super) const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
pub(super) const PEER_ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);

/// Whichever end of this host fits.
pub(super) const ANY: IpListenEndpoint = IpListenEndpoint { addr: None, port: 0 };

/// A small repeatable source of chance (xorshift64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// One direction of the wire.
pub(super) struct Wire {
    /// Frames with their time of arrival.
    flying: VecDeque<(Instant, Vec<u8>)>,
    pub(super) loss_percent: u64,
    pub(super) is_wild: bool,
    pub(super) carried: u64,
}

impl Wire {
    fn new() -> Self {
        Self { flying: VecDeque::new(), loss_percent: 0, is_wild: false, carried: 0 }
    }

    fn put(&mut self, frame: &[u8], now: Instant, chance: &mut Chance) {
        self.carried += 1;
        if chance.below(100) < self.loss_percent {
            return;
        }
        let copies = if self.is_wild && chance.below(50) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            let delay_us = if self.is_wild { 200 + chance.below(4000) } else { 200 };
            self.flying.push_back((now + Duration::from_micros(delay_us), frame.to_vec()));
        }
    }

    fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        let position = self.flying.iter().position(|(at, _)| *at <= now)?;
        self.flying.remove(position).map(|(_, frame)| frame)
    }

    fn next(&self) -> Option<Instant> {
        self.flying.iter().map(|(at, _)| *at).min()
    }
}

/// The driver of the host under test.
#[derive(Default)]
pub(super) struct Driver {
    pub(super) received: VecDeque<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
    /// Frames that fit into the transmit ring until it is emptied.
    pub(super) room: usize,
}

impl Frames for Driver {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let frame = self.received.pop_front()?;
        buffer.get_mut(..frame.len())?.copy_from_slice(&frame);
        Some(frame.len())
    }

    fn has_room(&mut self) -> bool {
        self.sent.len() < self.room
    }

    fn transmit(&mut self, frame: &[u8]) {
        assert!(self.has_room(), "sent without asking for room");
        self.sent.push(frame.to_vec());
    }
}

/// What a client knows of a connection; checks the order of events.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) is_open: bool,
    pub(super) data: Vec<u8>,
    pub(super) ungiven: u32,
    /// Credit that the client gave beyond what it got.
    pub(super) extra: u32,
    pub(super) credit: u32,
    pub(super) is_peer_finished: bool,
    pub(super) closed: Option<CloseReason>,
}

/// All clients of the host under test.
pub(super) struct Recorder {
    pub(super) connections: BTreeMap<(usize, u32), Known>,
    pub(super) accepted: Vec<(usize, u32, IpEndpoint)>,
    /// This host's ends of the connections that are open or were.
    pub(super) locals: BTreeMap<(usize, u32), IpEndpoint>,
    pub(super) datagrams: Vec<(usize, u16, IpEndpoint, Vec<u8>)>,
    pub(super) bells: Vec<usize>,
    /// Events that fit into the rings until they are emptied.
    pub(super) room: usize,
}

impl Clients for Recorder {
    fn tcp(&mut self, session: usize, event: Event<'_>) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        match event {
            Event::Accepted { connection, peer, local, send_credit, .. } => {
                self.locals.insert((session, connection), local);
                self.accepted.push((session, connection, peer));
                let known = Known { is_open: true, credit: send_credit, ..Known::default() };
                assert!(self.connections.insert((session, connection), known).is_none(), "number used twice");
            }
            Event::Connected { connection, local, send_credit } => {
                self.locals.insert((session, connection), local);
                let known = self.connections.entry((session, connection)).or_default();
                assert!(!known.is_open && known.closed.is_none());
                known.is_open = true;
                known.credit = send_credit;
            }
            Event::Data { connection, data } => {
                let known = self.open(session, connection);
                assert!(!known.is_peer_finished && (1..=8192).contains(&data.len()));
                known.data.extend_from_slice(data);
                known.ungiven += u32::try_from(data.len()).expect("a chunk");
                assert!(known.ungiven <= known.extra.saturating_add(8192).min(32_768), "INV-TCP-1");
            }
            Event::PeerFinished { connection } => {
                let known = self.open(session, connection);
                assert!(!known.is_peer_finished);
                known.is_peer_finished = true;
            }
            Event::Credit { connection, bytes } => {
                let known = self.open(session, connection);
                known.credit += bytes;
                assert!(known.credit <= 16384, "INV-TCP-2");
            }
            Event::Closed { connection, reason } => {
                let known = self.connections.entry((session, connection)).or_default();
                assert_eq!(known.closed, None, "closed twice");
                known.closed = Some(reason);
            }
        }
        true
    }

    fn datagram(&mut self, session: usize, socket: u16, from: IpEndpoint, data: &[u8]) -> bool {
        self.datagrams.push((session, socket, from, data.to_vec()));
        self.datagrams.len() <= 64
    }

    fn resolved(&mut self, session: usize) {
        self.bells.push(session);
    }
}

impl Recorder {
    fn open(&mut self, session: usize, connection: u32) -> &mut Known {
        let known = self.connections.get_mut(&(session, connection)).expect("an event for an unknown connection");
        assert!(known.is_open && known.closed.is_none(), "an event outside of a connection's life");
        known
    }
}

/// The link of the second host.
#[derive(Default)]
pub(super) struct PeerLink {
    pub(super) received: VecDeque<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
}

pub(super) struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Sink<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sink<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for PeerLink {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Sink<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Sink<'_>)> {
        Some((Frame(self.received.pop_front()?), Sink(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sink<'_>> {
        Some(Sink(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_SENT_MAX;
        capabilities
    }
}

/// Everything.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) stack: Stack,
    pub(super) driver: Driver,
    pub(super) clients: Recorder,
    pub(super) to_peer: Wire,
    pub(super) to_stack: Wire,
    pub(super) peer: Interface,
    pub(super) peer_link: PeerLink,
    pub(super) peer_sockets: SocketSet<'static>,
    pub(super) chance: Chance,
    pub(super) deadline: Option<Instant>,
    pub(super) polls: u64,
    /// Rooms that are restored after each poll; tests make them small.
    pub(super) driver_room: usize,
    pub(super) event_room: usize,
    /// Whether the clients read their rings at all.
    pub(super) is_reading: bool,
}

impl World {
    /// A host with the static address at once, two clients of each interface; a peer; a perfect wire.
    pub(super) fn new() -> Self {
        let parameters = Parameters::read(|name| match name {
            "address" => Some("10.0.0.1/24"),
            "gateway" => Some("10.0.0.2"),
            "dns" => Some("10.0.0.2"),
            "dhcp_patience_ms" => Some("0"),
            _ => None,
        });
        Self::with(parameters.expect("right parameters"))
    }

    pub(super) fn with(parameters: Parameters) -> Self {
        let now = Instant::from_millis(1000);
        let sessions = SessionCounts { tcp: 2, udp: 2, resolver: 2 };
        let mut peer_link = PeerLink::default();
        let mut config = Config::new(PEER_MAC.into());
        config.random_seed = 77;
        let mut peer = Interface::new(config, &mut peer_link, now);
        peer.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(PEER_ADDRESS, 24))).expect("room");
            addresses.push(IpCidr::new("fe80::ff:fe00:2".parse().expect("an address"), 64)).expect("room");
        });
        let mut world = Self {
            now,
            stack: Stack::new(MAC, parameters, sessions, 0x1234_5678_9abc_def0, now),
            driver: Driver { room: 256, ..Driver::default() },
            clients: Recorder {
                connections: BTreeMap::new(),
                accepted: Vec::new(),
                locals: BTreeMap::new(),
                datagrams: Vec::new(),
                bells: Vec::new(),
                room: 10_000,
            },
            to_peer: Wire::new(),
            to_stack: Wire::new(),
            peer,
            peer_link,
            peer_sockets: SocketSet::new(vec![]),
            chance: Chance(0x9e37_79b9_7f4a_7c15),
            deadline: None,
            polls: 0,
            driver_room: 256,
            event_room: 10_000,
            is_reading: true,
        };
        world.poll_stack();
        world
    }

    /// One wake-up of the host under test.
    pub(super) fn poll_stack(&mut self) {
        loop {
            self.polls += 1;
            self.driver.room = self.driver_room;
            self.clients.room = if self.is_reading { self.event_room } else { 0 };
            for session in 0..2 {
                if self.is_reading {
                    self.stack.resume(session);
                }
            }
            let poll = self.stack.poll(self.now, &mut self.driver, &mut self.clients);
            self.stack.check();
            assert!(
                poll.has_more || !poll.awaits_room || !self.driver.has_room(),
                "it waits for the room that there is"
            );
            let was_full = self.driver.sent.len() >= self.driver_room || (self.is_reading && self.clients.room == 0);
            for frame in core::mem::take(&mut self.driver.sent) {
                self.to_peer.put(&frame, self.now, &mut self.chance);
            }
            self.deadline = poll.deadline;
            assert!(poll.deadline.is_none_or(|deadline| deadline > self.now), "no progress");
            if !poll.has_more && !was_full {
                break;
            }
        }
    }

    fn poll_peer(&mut self) {
        self.peer.poll(self.now, &mut self.peer_link, &mut self.peer_sockets);
        for frame in core::mem::take(&mut self.peer_link.sent) {
            self.to_stack.put(&frame, self.now, &mut self.chance);
        }
    }

    /// Lets both hosts do what is due now, then moves the clock to whatever comes next, at most `step` later.
    pub(super) fn step(&mut self, step: Duration) {
        self.poll_stack();
        self.poll_peer();
        let peer = self.peer.poll_at(self.now, &self.peer_sockets);
        let next = [self.to_peer.next(), self.to_stack.next(), self.deadline, peer];
        let soonest = next.into_iter().flatten().min().unwrap_or(self.now + step);
        self.now = soonest.clamp(self.now + Duration::from_micros(10), self.now + step);
        while let Some(frame) = self.to_stack.take(self.now) {
            self.driver.received.push_back(frame);
        }
        while let Some(frame) = self.to_peer.take(self.now) {
            self.peer_link.received.push_back(frame);
        }
    }

    /// Steps until `done`, or panics after `limit` of the world's time.
    pub(super) fn until(&mut self, what: &str, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "{what}: not within {limit}");
            self.step(Duration::from_millis(5));
        }
    }

    /// Steps for a time.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let left = end - self.now;
            self.step(left.min(Duration::from_millis(50)));
        }
    }

    /// Listens at every address, for a client that keeps no queue.
    pub(super) fn listen(&mut self, session: u16, port: u16, backlog: u16) -> Result<u16, Refusal> {
        let local = IpListenEndpoint { addr: None, port };
        self.stack.listen(session, Listen { local, backlog, keeps_places: false })
    }

    pub(super) fn peer_connect(&mut self, port: u16, local_port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65535]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let remote = (IpAddress::Ipv4(ADDRESS), port);
        socket.connect(self.peer.context(), remote, local_port).expect("can connect");
        self.peer_sockets.add(socket)
    }

    pub(super) fn peer_listen(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65535]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.listen(port).expect("can listen");
        self.peer_sockets.add(socket)
    }

    pub(super) fn peer_tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.peer_sockets.get_mut(handle)
    }

    pub(super) fn command(&mut self, session: u16, command: Command<'_>) {
        self.stack.command(session, command, self.now);
    }

    pub(super) fn known(&mut self, session: usize, connection: u32) -> &mut Known {
        self.clients.connections.get_mut(&(session, connection)).expect("known")
    }

    /// Gives back all credit of a connection.
    pub(super) fn give_back(&mut self, session: u16, connection: u32) {
        let known = self.known(session.into(), connection);
        let bytes = core::mem::take(&mut known.ungiven);
        self.command(session, Command::Credit { connection, bytes });
    }

    /// Sends as much of `data` as the credit allows; returns how much.
    pub(super) fn send(&mut self, session: u16, connection: u32, data: &[u8]) -> usize {
        let mut sent = 0;
        while sent < data.len() {
            let known = self.known(session.into(), connection);
            let len = (data.len() - sent).min(known.credit as usize).min(2048);
            if len == 0 {
                break;
            }
            known.credit -= u32::try_from(len).expect("a chunk");
            self.command(session, Command::Send { connection, data: &data[sent..sent + len] });
            sent += len;
        }
        sent
    }
}
