//! Addresses, UDP, names and echo.
use super::simulation::*;
use crate::*;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{icmp, udp};
use smoltcp::time::Duration;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr,
    Ipv4Address, Ipv6Address,
};
use std::string::String;
use std::vec;
use std::vec::Vec;

const SECOND: Duration = Duration::from_secs(1);
const OFFERED: Ipv4Address = Ipv4Address::new(10, 0, 0, 50);

fn peer_udp(world: &mut World, port: u16) -> SocketHandle {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16384]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(port).expect("free");
    world.peer_sockets.add(socket)
}

fn received(world: &mut World, socket: SocketHandle) -> Option<(Vec<u8>, IpEndpoint)> {
    let socket = world.peer_sockets.get_mut::<udp::Socket<'_>>(socket);
    socket.recv().ok().map(|(bytes, meta)| (bytes.to_vec(), meta.endpoint))
}

/// The stack's IPv4 address, if it has one.
fn address(world: &World) -> Option<IpCidr> {
    world.stack.configuration().addresses.into_iter().find(|cidr| matches!(cidr, IpCidr::Ipv4(_)))
}

/// Answers one DHCP request, if one came.
fn serve_dhcp(world: &mut World, server: SocketHandle, lease: u32) {
    let Some((bytes, _)) = received(world, server) else { return };
    let packet = DhcpPacket::new_checked(&bytes[..]).expect("a DHCP packet");
    let request = DhcpRepr::parse(&packet).expect("a DHCP packet");
    let answer = match request.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request => DhcpMessageType::Ack,
        _ => return,
    };
    let reply = DhcpRepr {
        message_type: answer,
        transaction_id: request.transaction_id,
        secs: 0,
        client_hardware_address: request.client_hardware_address,
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: OFFERED,
        server_ip: PEER_ADDRESS,
        router: Some(PEER_ADDRESS),
        subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: true,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(PEER_ADDRESS),
        parameter_request_list: None,
        dns_servers: Some([Ipv4Address::new(10, 0, 0, 9)].into_iter().collect()),
        max_size: None,
        lease_duration: Some(lease),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; reply.buffer_len()];
    reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).expect("room");
    let socket = world.peer_sockets.get_mut::<udp::Socket<'_>>(server);
    socket.send_slice(&bytes, IpEndpoint::new(IpAddress::v4(255, 255, 255, 255), 68)).expect("room");
}

#[test]
fn dhcp_server_answers_address_router_and_names_are_taken() {
    let mut world = World::with(Parameters::default());
    let server = peer_udp(&mut world, 67);
    world.until("lease", SECOND * 10, |world| {
        serve_dhcp(world, server, 20);
        address(world).is_some()
    });
    let configuration = world.stack.configuration();
    assert!(configuration.is_dhcp);
    assert_eq!(address(&world), Some(IpCidr::new(OFFERED.into(), 24)));
    assert_eq!(configuration.gateway, Some(PEER_ADDRESS.into()));
    assert_eq!(configuration.dns, [IpAddress::v4(10, 0, 0, 9)]);
    // The lease is renewed while the server is there, and given up when it is gone.
    world.until("renewals", SECOND * 60, |world| {
        serve_dhcp(world, server, 20);
        world.now > Instant::from_secs(40)
    });
    assert!(world.stack.configuration().is_dhcp);
    world.run(SECOND * 30);
    assert!(!world.stack.configuration().is_dhcp);
    assert_eq!(address(&world), None);
}

#[test]
fn dhcp_silence_fallback_then_dhcp_wins() {
    let parameters = Parameters::read(|name| (name == "address").then_some("10.0.0.1/24")).expect("right");
    let mut world = World::with(parameters);
    world.run(SECOND * 3);
    assert_eq!(address(&world), None, "patience");
    world.run(SECOND * 2);
    assert_eq!(address(&world), Some(IpCidr::new(ADDRESS.into(), 24)));
    assert!(!world.stack.configuration().is_dhcp);
    let server = peer_udp(&mut world, 67);
    world.until("lease", SECOND * 20, |world| {
        serve_dhcp(world, server, 20);
        world.stack.configuration().is_dhcp
    });
    assert_eq!(address(&world), Some(IpCidr::new(OFFERED.into(), 24)));
}

#[test]
fn link_local_address_is_from_the_mac() {
    let world = World::new();
    let expected: Ipv6Address = "fe80::ff:fe00:1".parse().expect("an address");
    assert!(world.stack.configuration().addresses.contains(&IpCidr::new(expected.into(), 64)));
}

#[test]
fn mac_that_is_no_hosts_is_refused() {
    assert!(Stack::is_usable(MAC));
    assert!(!Stack::is_usable(EthernetAddress([0xff; 6])));
    assert!(!Stack::is_usable(EthernetAddress([1, 0, 0, 0, 0, 1])));
    assert!(!Stack::is_usable(EthernetAddress([0; 6])));
}

#[test]
fn echo_request_is_answered_v4_and_v6() {
    let mut world = World::new();
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(7)).expect("free");
    let handle = world.peer_sockets.add(socket);
    let ping = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data: b"abcd" };
    let socket = world.peer_sockets.get_mut::<icmp::Socket<'_>>(handle);
    let bytes = socket.send(ping.buffer_len(), ADDRESS.into()).expect("room");
    ping.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
    world.until("pong", SECOND * 5, |world| {
        world.peer_sockets.get_mut::<icmp::Socket<'_>>(handle).recv().is_ok_and(|(_, from)| from == ADDRESS.into())
    });
    let (source, target): (Ipv6Address, Ipv6Address) =
        ("fe80::ff:fe00:2".parse().expect("an address"), "fe80::ff:fe00:1".parse().expect("an address"));
    let ping = Icmpv6Repr::EchoRequest { ident: 7, seq_no: 2, data: b"efgh" };
    let socket = world.peer_sockets.get_mut::<icmp::Socket<'_>>(handle);
    let bytes = socket.send(ping.buffer_len(), target.into()).expect("room");
    ping.emit(&source, &target, &mut Icmpv6Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
    world.until("pong 6", SECOND * 5, |world| {
        world.peer_sockets.get_mut::<icmp::Socket<'_>>(handle).recv().is_ok_and(|(_, from)| from == target.into())
    });
}

#[test]
fn udp_datagrams_go_both_ways() {
    let mut world = World::new();
    let peer = peer_udp(&mut world, 5000);
    let (socket, port) = world.stack.bind(1, 0).expect("a free port");
    assert!(port >= 49152);
    let to = IpEndpoint::new(PEER_ADDRESS.into(), 5000);
    world.stack.send_datagram(1, socket, to, b"ping");
    let mut got = None;
    world.until("ping", SECOND * 5, |world| {
        got = received(world, peer);
        got.is_some()
    });
    assert_eq!(got, Some((b"ping".to_vec(), IpEndpoint::new(ADDRESS.into(), port))));
    let back = IpEndpoint::new(ADDRESS.into(), port);
    world.peer_sockets.get_mut::<udp::Socket<'_>>(peer).send_slice(b"pong", back).expect("room");
    world.until("pong", SECOND * 5, |world| !world.clients.datagrams.is_empty());
    assert_eq!(world.clients.datagrams, [(1, socket, to, b"pong".to_vec())]);
}

#[test]
fn udp_bounds_hold() {
    let mut world = World::new();
    let sockets: Vec<_> = (0..8).map(|number| world.stack.bind(0, 6000 + number).expect("room").0).collect();
    assert_eq!(world.stack.bind(0, 7000), Err(Refusal::NoRoom));
    assert_eq!(world.stack.bind(1, 6000), Err(Refusal::InUse));
    assert_eq!(world.stack.bind(1, 68), Err(Refusal::InUse), "the DHCP client's");
    assert_eq!(world.stack.bind(5, 9), Err(Refusal::NotFound));
    assert_eq!(world.stack.unbind(1, sockets[0]), Err(Refusal::NotFound), "of another session");
    world.stack.unbind(0, sockets[0]).expect("mine");
    world.stack.bind(1, 6000).expect("free again");
    // Oversize, portless, unknown: lost, counted where it was a datagram, and no harm.
    let to = IpEndpoint::new(PEER_ADDRESS.into(), 5000);
    world.stack.send_datagram(0, sockets[1], to, &[0; 1473]);
    world.stack.send_datagram(0, sockets[1], IpEndpoint::new(PEER_ADDRESS.into(), 0), b"x");
    world.stack.send_datagram(0, 999, to, b"x");
    for _ in 0..100 {
        world.stack.send_datagram(0, sockets[1], to, &[0; 1400]);
    }
    assert!(world.stack.refused().1 > 50);
    world.run(SECOND);
    world.stack.end_udp_session(0);
    world.stack.bind(1, 6001).expect("free again");
}

/// Answers one DNS question: A with two addresses, AAAA with one; names that start with "no" do not exist.
fn serve_dns(world: &mut World, server: SocketHandle) {
    let Some((question, from)) = received(world, server) else { return };
    let name_end = 12 + question[12..].iter().position(|&byte| byte == 0).expect("a name") + 1;
    let kind = question[name_end + 1];
    let exists = &question[13..15] != b"no";
    let addresses: Vec<Vec<u8>> = match (exists, kind) {
        (true, 1) => vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]],
        (true, 28) => vec![vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]],
        _ => vec![],
    };
    let mut answer = question[..name_end + 4].to_vec();
    answer[2] = 0x81;
    answer[3] = if exists { 0x80 } else { 0x83 };
    answer[7] = u8::try_from(addresses.len()).expect("few");
    for address in addresses {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(address.len()).expect("16 at most")]);
        answer.extend(address);
    }
    world.peer_sockets.get_mut::<udp::Socket<'_>>(server).send_slice(&answer, from).expect("room");
}

#[test]
fn resolver_known_and_unknown_names_are_answered() {
    let mut world = World::new();
    let server = peer_udp(&mut world, 53);
    let good = world.stack.resolve(0, "example.org").expect("room");
    let bad = world.stack.resolve(1, "nowhere.example").expect("room");
    let literal = world.stack.resolve(1, "192.0.2.77").expect("room");
    world.until("answers", SECOND * 20, |world| {
        serve_dns(world, server);
        world.clients.bells.len() == 3
    });
    let answer = world.stack.pull_resolved(0).expect("rung for");
    assert_eq!(answer.query, good);
    let expected: Vec<IpAddress> =
        ["192.0.2.1", "192.0.2.2", "2001:db8::7"].iter().map(|text| text.parse().expect("an address")).collect();
    assert_eq!(answer.addresses, expected);
    assert_eq!(world.stack.pull_resolved(0), None);
    let mut answers = [world.stack.pull_resolved(1), world.stack.pull_resolved(1)].map(|each| each.expect("rung for"));
    answers.sort_by_key(|answer| answer.query);
    assert_eq!(answers[0], Answer { query: bad, addresses: vec![] });
    assert_eq!(answers[1], Answer { query: literal, addresses: vec![IpAddress::v4(192, 0, 2, 77)] });
}

#[test]
fn resolver_bounds_hold_and_silence_ends() {
    let mut world = World::new();
    assert_eq!(world.stack.resolve(0, ""), Err(Refusal::BadAddress));
    assert_eq!(world.stack.resolve(0, "a b"), Err(Refusal::BadAddress));
    assert_eq!(world.stack.resolve(5, "a"), Err(Refusal::NotFound));
    for number in 0..4 {
        let name = String::from("host") + &["a", "b", "c", "d"][number].repeat(3);
        world.stack.resolve(0, &name).expect("room");
    }
    assert_eq!(world.stack.resolve(0, "one.more"), Err(Refusal::NoRoom));
    world.stack.resolve(1, "one.more").expect("the other session has its own");
    world.until("time-outs", SECOND * 60, |world| world.clients.bells.len() == 5);
    assert_eq!(world.stack.resolve(0, "one.more"), Err(Refusal::NoRoom), "answers that were not pulled count");
    assert!(world.stack.pull_resolved(0).expect("rung for").addresses.is_empty());
    world.stack.resolve(0, "one.more").expect("room again");
    let mut nameless = World::with(Parameters::default());
    assert_eq!(nameless.stack.resolve(0, "example.org"), Err(Refusal::Unreachable));
}

/// The option of RFC 8106 with one name server.
fn rdnss_option(seconds: u8, server: &str) -> Vec<u8> {
    let server: Ipv6Address = server.parse().expect("an address");
    [&[25, 3, 0, 0, 0, 0, 0, seconds][..], &server.octets()].concat()
}

#[test]
fn router_advertisement_gives_address_and_route() {
    use smoltcp::wire::{
        EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscPrefixInfoFlags,
        NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags,
    };
    let advertise = |valid: u64, router_lifetime: u64, hop_limit: u8| {
        let rdnss = rdnss_option(5, "fe80::ff:fe00:2");
        let source: Ipv6Address = "fe80::ff:fe00:2".parse().expect("an address");
        let target: Ipv6Address = "ff02::1".parse().expect("an address");
        let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
            hop_limit: 64,
            flags: NdiscRouterFlags::empty(),
            router_lifetime: Duration::from_secs(router_lifetime),
            reachable_time: Duration::ZERO,
            retrans_time: Duration::ZERO,
            lladdr: None,
            mtu: None,
            prefix_info: Some(NdiscPrefixInformation {
                prefix_len: 64,
                flags: NdiscPrefixInfoFlags::ADDRCONF,
                valid_lifetime: Duration::from_secs(valid),
                preferred_lifetime: Duration::from_secs(valid.min(10)),
                prefix: "2001:db8::".parse().expect("an address"),
            }),
        });
        let ip = Ipv6Repr {
            src_addr: source,
            dst_addr: target,
            next_header: IpProtocol::Icmpv6,
            payload_len: message.buffer_len() + rdnss.len(),
            hop_limit,
        };
        let ethernet = EthernetRepr {
            src_addr: PEER_MAC,
            dst_addr: EthernetAddress([0x33, 0x33, 0, 0, 0, 1]),
            ethertype: EthernetProtocol::Ipv6,
        };
        let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + message.buffer_len() + rdnss.len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.emit(&mut frame);
        let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet);
        let (head, options) = packet.payload_mut().split_at_mut(message.buffer_len());
        let mut icmp = Icmpv6Packet::new_unchecked(head);
        message.emit(&source, &target, &mut icmp, &ChecksumCapabilities::default());
        options.copy_from_slice(&rdnss);
        Icmpv6Packet::new_unchecked(packet.payload_mut()).fill_checksum(&source, &target);
        bytes
    };
    let expected = IpCidr::new("2001:db8::ff:fe00:1".parse().expect("an address"), 64);
    let mut world = World::new();
    world.run(SECOND);
    world.driver.received.push_back(advertise(100, 50, 254));
    world.poll_stack();
    assert!(!world.stack.configuration().addresses.contains(&expected), "came through a router");
    let static_server = IpAddress::Ipv4(PEER_ADDRESS);
    assert_eq!(world.stack.configuration().dns, [static_server]);
    world.driver.received.push_back(advertise(100, 50, 255));
    world.poll_stack();
    assert!(world.stack.configuration().addresses.contains(&expected));
    let advertised = "fe80::ff:fe00:2".parse().expect("an address");
    assert_eq!(world.stack.configuration().dns, [static_server, advertised], "behind the one that was configured");
    world.run(SECOND * 6);
    assert_eq!(world.stack.configuration().dns, [static_server], "its time is over");
    world.driver.received.push_back(advertise(1, 0, 255));
    world.poll_stack();
    world.run(SECOND * 90);
    assert!(world.stack.configuration().addresses.contains(&expected), "an advertisement cannot shorten a short life");
    world.run(SECOND * 20);
    assert!(!world.stack.configuration().addresses.contains(&expected));
}

#[test]
fn idle_stack_with_a_lease_sleeps() {
    let mut world = World::with(Parameters::default());
    let server = peer_udp(&mut world, 67);
    world.until("lease", SECOND * 10, |world| {
        serve_dhcp(world, server, 86400);
        world.stack.configuration().is_dhcp
    });
    world.run(SECOND * 20);
    let before = world.polls;
    world.run(SECOND * 100);
    // The world itself polls twenty times a second.
    assert!(
        world.polls - before < 100 * 21,
        "{} polls, deadline {:?} at {}",
        world.polls - before,
        world.deadline,
        world.now
    );
}
