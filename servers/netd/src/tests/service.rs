//! The server behind real rings and the interfaces' own clients; the network is a handful of frames.
use super::bells::Peer;
use super::simulation::{MAC, PEER_ADDRESS, PEER_MAC};
use crate::*;
use libhybrid::Bell;
use libhybrid::interfaces::net::link::{LinkRings, LinkServerRings, link};
use libhybrid::interfaces::net::stack::{
    self as idl, NetworkClient, ResolverClient, TcpClient, TcpClientRings, TcpCommand, TcpRings, UdpClient,
    UdpClientRings, UdpRings, tcp, udp,
};
use libhybrid::interfaces::time::{Alarm, AlarmClient, AlarmExpired, AlarmLoopback, AlarmServer};
use libhybrid::ipc::{CallError, ClientId, Dispatch, Incoming, Loopback, LoopbackCaller, Outgoing};
use libhybrid::ring::{Producer, Region};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Ipv4Address,
};
use std::borrow::Cow;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const PEER: idl::Address = idl::Address::V4([10, 0, 0, 9]);

/// A port at every address, or any port.
pub(super) fn at(port: u16) -> idl::Local {
    idl::Local { address: None, port }
}

#[derive(Default)]
pub(super) struct Timed {
    deadline_ns: Option<u64>,
    sets: u32,
}

impl Alarm for Timed {
    fn set(&mut self, _: ClientId, deadline_ns: u64) {
        self.deadline_ns = Some(deadline_ns);
        self.sets += 1;
    }
    fn cancel(&mut self, _: ClientId) {}
    fn pull_expired(&mut self, _: ClientId) -> Option<AlarmExpired> {
        None
    }
}

std::thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(5_000_000_000) };
    /// What others do while the server looks at the clock, which it does once a round.
    static MEANWHILE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

fn clock() -> u64 {
    MEANWHILE.with_borrow_mut(|act| act.iter_mut().for_each(|act| act()));
    CLOCK.get()
}

/// Time goes by; the microseconds until then.
pub(super) fn pass(ns: u64) -> i64 {
    CLOCK.set(CLOCK.get() + ns);
    i64::try_from(CLOCK.get() / 1000).expect("not in this test's life")
}

fn meanwhile(act: impl FnMut() + 'static) {
    MEANWHILE.set(Some(Box::new(act)));
}

pub(super) struct Served(pub(super) Netd<LoopbackCaller<AlarmServer<Timed>>>);

impl Dispatch for Served {
    fn dispatch(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        self.0.call(incoming, outgoing);
    }
}

pub(super) struct World {
    pub(super) netd: Loopback<Served>,
    link: Region,
    pub(super) driver: LinkServerRings,
    pub(super) tcp: Vec<(Region, TcpClientRings)>,
    udp: UdpClientRings,
    timed: AlarmLoopback<Timed>,
}

/// A server with two clients of Tcp (instances 7 and 8) and one of the others (7). All interfaces have index 0 in a loopback's
/// badges, so `index` says which one is meant.
pub(super) fn world(index: u8) -> World {
    let link = Region::on_heap(link::REGION_BYTES);
    let regions = [Region::on_heap(tcp::REGION_BYTES), Region::on_heap(tcp::REGION_BYTES)];
    let datagrams = Region::on_heap(udp::REGION_BYTES);
    let timed = AlarmLoopback::new(AlarmServer::new(Timed::default()));
    let indices: Vec<u8> = (0..4).map(|interface| if interface == index { 0 } else { 10 + interface }).collect();
    let interfaces = Interfaces { tcp: indices[0], udp: indices[1], resolver: indices[2], network: indices[3] };
    let parameters = Parameters::read(|name| match name {
        "address" => Some("10.0.0.1/24"),
        "dns" => Some("10.0.0.2"),
        "dhcp_patience_ms" => Some("0"),
        _ => None,
    });
    let clients = (
        regions
            .iter()
            .zip([7, 8].map(ClientId::of))
            .map(|(region, client)| {
                TcpSession::new(client, Some(TcpRings::server(region).expect("fits")), Bell::default())
            })
            .collect(),
        vec![UdpSession::new(ClientId::of(7), Some(UdpRings::server(&datagrams).expect("fits")), Bell::default())],
        vec![ResolverSession::new(ClientId::of(7), Bell::default())],
    );
    let mut netd = Netd::new(
        MAC,
        parameters.expect("right"),
        1,
        LinkPort::new(LinkRings::client(&link).expect("fits"), Bell::default()),
        clients,
        interfaces,
        AlarmClient::new(timed.connect(6)),
        clock,
    );
    netd.turn();
    World {
        netd: Loopback::new(Served(netd)),
        driver: LinkRings::server(&link).expect("fits"),
        link,
        tcp: regions.into_iter().map(|region| (region.clone(), TcpRings::client(&region).expect("fits"))).collect(),
        udp: UdpRings::client(&datagrams).expect("fits"),
        timed,
    }
}

fn arp_request() -> Vec<u8> {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: PEER_MAC,
        source_protocol_addr: PEER_ADDRESS,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: ADDRESS,
    };
    let ethernet =
        EthernetRepr { src_addr: PEER_MAC, dst_addr: EthernetAddress::BROADCAST, ethertype: EthernetProtocol::Arp };
    let mut bytes = vec![0; ethernet.buffer_len() + arp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

impl World {
    /// The frames that the server has sent, by their types.
    fn sent(&mut self) -> Vec<EthernetProtocol> {
        let mut scratch = Vec::new();
        let mut types = Vec::new();
        while let Some(frame) = self.driver.transmit.pop(&mut scratch).expect("sound") {
            types.push(EthernetFrame::new_checked(frame).expect("a frame").ethertype());
        }
        types
    }

    /// As the runtime does it.
    pub(super) fn turn(&mut self) {
        self.netd.server().0.turn();
        while self.netd.server().0.has_more() {
            self.netd.server().0.turn();
        }
    }
}

#[test]
fn frames_through_the_link_are_answered() {
    let mut world = world(3);
    assert_eq!(world.sent(), [EthernetProtocol::Ipv6, EthernetProtocol::Ipv4], "router solicitation, DHCP");
    for _ in 0..100 {
        world.driver.received.push(&arp_request()).expect("room");
    }
    assert!(world.driver.received.publish(), "the server asked for its bell before it slept");
    world.turn();
    assert_eq!(world.sent(), [EthernetProtocol::Arp; 100], "more than one batch in one turn");
    let counters = NetworkClient::new(world.netd.connect(7)).counters().expect("served");
    assert_eq!((counters.frames_in, counters.frames_out, counters.connections), (100, 102, 0));
    let configuration = NetworkClient::new(world.netd.connect(7)).configuration().expect("served");
    assert_eq!(configuration.mac, MAC.0);
    assert!(
        configuration.addresses.contains(&idl::AddressBlock { address: idl::Address::V4([10, 0, 0, 1]), prefix: 24 })
    );
    assert_eq!(configuration.dns, [idl::Address::V4([10, 0, 0, 2])]);
}

#[test]
fn full_transmit_ring_holds_back_and_resumes() {
    let mut world = world(3);
    let mut answered = 0;
    for _ in 0..40 {
        for _ in 0..200 {
            world.driver.received.push(&arp_request()).expect("room");
        }
        world.turn(); // The driver takes nothing: after some thousand answers there is no room.
    }
    for _ in 0..40 {
        answered += world.sent().iter().filter(|&&kind| kind == EthernetProtocol::Arp).count();
        let is_awaited = world.driver.transmit.release();
        world.turn();
        assert!(is_awaited || answered == 8000, "the server waits for room and nobody would tell it");
    }
    assert_eq!(answered, 8000);
}

/// While somebody keeps the server busy each turn ends, and calls are answered. When the flood is over it gets done, and says what it counted.
fn keeps_serving(netd: &Loopback<Served>) -> idl::NetworkCounters {
    for _ in 0..5 {
        netd.server().0.turn();
        assert!(netd.server().0.has_more());
    }
    let mut network = NetworkClient::new(netd.connect(7));
    assert!(network.counters().is_ok(), "a call comes through");
    MEANWHILE.set(None);
    while netd.server().0.has_more() {
        netd.server().0.turn();
    }
    network.counters().expect("served")
}

#[test]
fn flood_that_never_ends_keeps_nobody_from_being_heard() {
    let World { netd, mut driver, .. } = world(3);
    let sent = Rc::new(Cell::new(0));
    let count = sent.clone();
    meanwhile(move || {
        let mut scratch = Vec::new();
        while driver.transmit.pop(&mut scratch).expect("sound").is_some() {}
        for _ in 0..64 {
            driver.received.push(&arp_request()).expect("room");
            count.set(count.get() + 1);
        }
    });
    let counters = keeps_serving(&netd);
    assert_eq!(counters.frames_in, sent.get(), "nothing is left, and nothing was lost");
}

#[test]
fn client_that_never_stops_sending_keeps_nobody_from_being_heard() {
    let World { netd, udp: mut client, .. } = world(3);
    meanwhile(move || {
        for _ in 0..256 {
            // From no socket: each is taken, and dropped.
            let peer = idl::Peer { address: idl::Address::V4([10, 0, 0, 2]), port: 9 };
            client.transmit.push(&idl::Datagram { socket: 99, peer, data: Cow::Borrowed(b"x") }).expect("room");
        }
    });
    keeps_serving(&netd);
}

#[test]
fn alarm_is_set_when_it_would_be_late_only() {
    let mut world = world(3);
    let first = world.timed.server().server.deadline_ns.expect("DHCP repeats");
    assert!(first > CLOCK.get());
    let sets = world.timed.server().server.sets;
    for _ in 0..50 {
        world.driver.received.push(&arp_request()).expect("room");
        world.turn();
    }
    assert_eq!(world.timed.server().server.sets, sets);
    CLOCK.set(first + 1_000_000);
    world.turn();
    assert!(world.timed.server().server.deadline_ns.expect("again") > CLOCK.get());
}

#[test]
fn tcp_listeners_belong_to_their_session() {
    let world = world(0);
    let (mut seven, mut eight) = (TcpClient::new(world.netd.connect(7)), TcpClient::new(world.netd.connect(8)));
    let listener = seven.listen(&at(80), 64, false).expect("free");
    assert_eq!(eight.listen(&at(80), 64, false), Err(CallError::Domain(idl::Error::InUse)));
    assert_eq!(eight.unlisten(listener), Err(CallError::Domain(idl::Error::NotFound)));
    assert_eq!(eight.listen(&at(81), 0, false), Err(CallError::Domain(idl::Error::BadAddress)));
    assert_eq!(
        TcpClient::new(world.netd.connect(9)).listen(&at(82), 4, false),
        Err(CallError::Domain(idl::Error::NotFound))
    );
    seven.unlisten(listener).expect("its own");
    eight.listen(&at(80), 64, false).expect("free again");
}

#[test]
fn tcp_connect_through_the_ring_asks_the_network_and_fails_in_the_end() {
    let mut world = world(0);
    world.sent();
    let peer = idl::Peer { address: idl::Address::V4([10, 0, 0, 9]), port: 5 };
    let connection = 1 << 31;
    let rings = &mut world.tcp[1].1;
    rings.commands.push(&TcpCommand::Connect(idl::ConnectBody { connection, peer, local: at(0) })).expect("room");
    rings.commands.push(&TcpCommand::Send(idl::DataBody { connection: 77, data: Cow::Borrowed(b"x") })).expect("room");
    assert!(rings.commands.publish(), "the server sleeps");
    world.turn();
    assert_eq!(world.sent(), [EthernetProtocol::Arp]);
    for _ in 0..60 {
        CLOCK.set(CLOCK.get() + 500_000_000);
        world.turn();
    }
    let mut scratch = Vec::new();
    let event = world.tcp[1].1.events.pop(&mut scratch).expect("sound");
    let closed = idl::ClosedBody { connection, reason: idl::CloseReason::TimedOut };
    assert_eq!(event, Some(idl::TcpEvent::Closed(closed)));
    assert_eq!(world.tcp[0].1.events.pop(&mut scratch).expect("sound"), None);
}

#[test]
fn tcp_session_with_broken_ring_ends_alone() {
    let mut world = world(0);
    TcpClient::new(world.netd.connect(7)).listen(&at(80), 4, false).expect("free");
    TcpClient::new(world.netd.connect(8)).listen(&at(81), 4, false).expect("free");
    let region = world.tcp[0].0.clone();
    let mut wild = Producer::new(&region, tcp::COMMANDS_RING_OFFSET, tcp::COMMANDS_RING_BYTES).expect("fits");
    wild.try_push(&[0xff; 40]).expect("room");
    world.turn();
    let mut eight = TcpClient::new(world.netd.connect(8));
    eight.listen(&at(80), 4, false).expect("the broken session's port is free");
    assert_eq!(eight.listen(&at(81), 4, false), Err(CallError::Domain(idl::Error::InUse)), "its own still is there");
    world.turn();
}

/// The client wrote, finished and ended before the server looked.
#[test]
fn last_commands_of_a_client_that_is_gone_are_taken() {
    let (mut world, mut peer) = (world(0), Peer::silent());
    TcpClient::new(world.netd.connect(7)).listen(&at(80), 4, true).expect("free");
    let step = |world: &mut World, peer: &mut Peer| {
        peer.step(world, Instant::from_micros(pass(1000)));
        world.turn();
    };
    (0..9).for_each(|_| step(&mut world, &mut peer));
    assert_eq!(peer.state(), State::Established);
    let mut scratch = Vec::new();
    let accepted = world.tcp[0].1.events.pop(&mut scratch).expect("sound");
    let Some(idl::TcpEvent::Accepted(body)) = accepted else { panic!("{accepted:?}") };
    let connection = body.connection;
    let commands = &mut world.tcp[0].1.commands;
    commands.push(&TcpCommand::Send(idl::DataBody { connection, data: Cow::Borrowed(b"bye") })).expect("room");
    commands.push(&TcpCommand::Finish(connection)).expect("room");
    assert!(commands.publish(), "it is rung, and told of the end first");
    world.netd.server().0.on_client_gone(Kind::Tcp, ClientId::of(7));
    assert_eq!(world.netd.server().0.connection_count(), 0);
    (0..9).for_each(|_| step(&mut world, &mut peer));
    assert_eq!((peer.received(), peer.state()), (b"bye".to_vec(), State::CloseWait));
}

#[test]
fn peers_of_a_session_that_ends_after_the_poll_get_their_resets_at_once() {
    let (mut world, mut peer) = (world(0), Peer::new());
    TcpClient::new(world.netd.connect(7)).listen(&at(80), 4, true).expect("free");
    for _ in 0..9 {
        peer.step(&mut world, Instant::from_micros(pass(1000)));
        world.turn();
    }
    assert_eq!(peer.state(), State::Established);
    // Each is refused with an event, until the ring is full.
    let local = idl::Local { address: Some(idl::Address::V4([10, 0, 0, 7])), port: 0 };
    let refused = idl::ConnectBody { connection: 1 << 31, peer: idl::Peer { address: PEER, port: 5 }, local };
    for _ in 0..tcp::EVENTS_RING_BYTES / 16 / 64 {
        (0..64).for_each(|_| world.tcp[0].1.commands.push(&TcpCommand::Connect(refused)).expect("room"));
        world.turn();
    }
    // The client's index in that ring, of the first epoch: no record ends there.
    world.tcp[0].0.scribble(tcp::EVENTS_RING_OFFSET + 64, 1 << 32 | 4).expect("inside");
    assert_eq!(world.netd.server().0.connection_count(), 1);
    world.turn();
    assert_eq!(world.netd.server().0.connection_count(), 0, "the session is ended");
    peer.step(&mut world, Instant::from_micros(pass(1000)));
    assert_eq!(peer.state(), State::Closed);
}

#[test]
fn udp_through_the_rings() {
    let mut world = world(1);
    world.sent();
    let mut client = UdpClient::new(world.netd.connect(7));
    let bound = client.bind(5353).expect("free");
    assert_eq!(bound.port, 5353);
    let peer = idl::Peer { address: idl::Address::V4([10, 0, 0, 9]), port: 5 };
    let datagram = idl::Datagram { socket: bound.socket, peer, data: Cow::Borrowed(b"hi") };
    world.udp.transmit.push(&datagram).expect("room");
    world.turn();
    assert_eq!(world.sent(), [EthernetProtocol::Arp]);
    client.unbind(bound.socket).expect("bound");
    assert_eq!(client.unbind(bound.socket), Err(CallError::Domain(idl::Error::NotFound)));
}

#[test]
fn resolver_literal_is_answered_by_the_event() {
    let world = world(2);
    let mut client = ResolverClient::new(world.netd.connect(7));
    let query = client.resolve("2001:db8::1").expect("room");
    let resolved = client.pull_resolved().expect("served").expect("answered");
    let octets = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!((resolved.query, resolved.error), (query, None));
    assert_eq!(resolved.addresses, [idl::Address::V6(octets)]);
    assert_eq!(client.pull_resolved(), Ok(None));
    assert_eq!(client.resolve("no such name!"), Err(CallError::Domain(idl::Error::BadAddress)));
}

#[test]
fn alarm_that_died_is_not_asked_again() {
    let mut world = world(3);
    world.timed.kill();
    for _ in 0..3 {
        CLOCK.set(CLOCK.get() + 10_000_000_000);
        world.turn();
    }
    world.driver.received.push(&arp_request()).expect("room");
    world.turn();
    assert!(world.sent().contains(&EthernetProtocol::Arp), "what bells bring is still served");
}

#[test]
fn alarm_that_comes_back_is_set_again() {
    let mut world = world(3);
    world.timed.kill();
    CLOCK.set(CLOCK.get() + 10_000_000_000);
    world.turn();
    world.netd.server().0.on_alarm_gone();
    world.timed.restart(AlarmServer::new(Timed::default()));
    world.netd.server().0.renew_alarm(AlarmClient::new(world.timed.connect(6)));
    world.netd.server().0.on_alarm();
    assert!(world.timed.server().server.deadline_ns.is_some(), "the new alarm was set");
}

/// Connects, binds, asks and dies, more often than anything of it could be kept.
#[test]
fn client_that_dies_ten_thousand_times_leaves_nothing() {
    let seven = ClientId::of(7);
    let mut tcp = world(0);
    TcpClient::new(tcp.netd.connect(8)).listen(&at(81), 4, false).expect("free");
    let region = tcp.tcp[0].0.clone();
    for round in 0..10_000_u32 {
        TcpClient::new(tcp.netd.connect(7)).listen(&at(80), 64, false).expect("the last life's port is free");
        let peer = idl::Peer { address: idl::Address::V4([10, 0, 0, 9]), port: 5 };
        let connect = idl::ConnectBody { connection: 1 << 31, peer, local: at(0) };
        let mut rings = TcpRings::client(&region.at_epoch(round + 1)).expect("fits");
        rings.commands.push(&TcpCommand::Connect(connect)).expect("room");
        tcp.turn();
        assert_eq!(tcp.netd.server().0.connection_count(), 1);
        tcp.netd.server().0.on_client_gone(Kind::Tcp, seven);
        assert_eq!(tcp.netd.server().0.connection_count(), 0);
        let anew = TcpRings::server(&region.at_epoch(round + 2)).expect("fits");
        tcp.netd.server().0.on_tcp_client(seven, Some(anew));
        tcp.sent();
    }
    let eight = TcpClient::new(tcp.netd.connect(8)).listen(&at(81), 4, false);
    assert_eq!(eight, Err(CallError::Domain(idl::Error::InUse)), "the other client keeps what it has");
    let (udp, resolver) = (world(1), world(2));
    for _ in 0..10_000 {
        UdpClient::new(udp.netd.connect(7)).bind(5353).expect("the last life's port is free");
        udp.netd.server().0.on_client_gone(Kind::Udp, seven);
        let mut client = ResolverClient::new(resolver.netd.connect(7));
        client.resolve("example.org").expect("the last life's queries are gone");
        client.resolve("10.0.0.3").expect("the last life's queries are gone");
        resolver.netd.server().0.on_client_gone(Kind::Resolver, seven);
        assert_eq!(client.pull_resolved(), Ok(None), "it was the dead one's");
    }
}

#[test]
fn link_that_comes_back_is_told_the_address_and_goes_on() {
    let mut world = world(3);
    world.sent();
    world.netd.server().0.on_link_gone();
    world.driver.received.push(&arp_request()).expect("room");
    for _ in 0..100 {
        CLOCK.set(CLOCK.get() + 1_000_000_000);
        world.turn();
    }
    assert_eq!(world.sent(), [], "nothing goes to a driver that is gone, and nothing waits for it");
    let region = world.link.at_epoch(2);
    world.driver = LinkRings::server(&region).expect("fits");
    world.netd.server().0.on_link(MAC, LinkRings::client(&region).expect("fits"));
    assert_eq!(world.sent().first(), Some(&EthernetProtocol::Arp), "an announcement of the address");
    world.driver.received.push(&arp_request()).expect("room");
    world.turn();
    assert!(world.sent().contains(&EthernetProtocol::Arp));
}
