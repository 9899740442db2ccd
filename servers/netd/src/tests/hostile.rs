//! Clients that break every rule, and networks that send anything; the stack stays bounded and serves the others.
use super::simulation::*;
use crate::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber,
};
use std::vec;
use std::vec::Vec;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// One open connection of session 0, with a peer that stays.
fn opened() -> (World, u32, smoltcp::iface::SocketHandle) {
    let mut world = World::new();
    world.listen(0, 80, 16).expect("free port");
    let peer = world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let connection = world.clients.accepted[0].1;
    (world, connection, peer)
}

fn segment(source_port: u16, control: TcpControl, ack: Option<u32>, payload: &[u8]) -> Vec<u8> {
    segment_from(PEER_ADDRESS, source_port, control, ack, payload)
}

fn segment_from(
    source: Ipv4Address,
    source_port: u16,
    control: TcpControl,
    ack: Option<u32>,
    payload: &[u8],
) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let tcp = TcpRepr {
        src_port: source_port,
        dst_port: 80,
        control,
        seq_number: TcpSeqNumber(1000),
        ack_number: ack.map(|ack| TcpSeqNumber(ack.cast_signed())),
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: ADDRESS,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr { src_addr: PEER_MAC, dst_addr: MAC, ethertype: EthernetProtocol::Ipv4 };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(&mut segment, &source.into(), &ADDRESS.into(), &checksums);
    bytes
}

#[test]
fn violations_end_the_connection() {
    type Break = fn(&mut World, u32);
    let violations: [Break; 4] = [
        |world, connection| {
            // One byte more than all credit.
            for _ in 0..2 {
                world.command(0, Command::Send { connection, data: &[0; 8192] });
            }
            world.command(0, Command::Send { connection, data: &[0; 1] });
        },
        |world, connection| world.command(0, Command::Send { connection, data: &[0; 8193] }),
        |world, connection| world.command(0, Command::Credit { connection, bytes: 32_768 - 8_192 + 1 }),
        |world, connection| {
            world.command(0, Command::Finish { connection });
            world.command(0, Command::Send { connection, data: b"x" });
        },
    ];
    for violate in violations {
        let (mut world, connection, peer) = opened();
        violate(&mut world, connection);
        world.until("closed", SECOND, |world| world.known(0, connection).closed.is_some());
        assert_eq!(world.known(0, connection).closed, Some(CloseReason::Violation));
        world.until("reset", SECOND, |world| world.peer_tcp(peer).state() == State::Closed);
        assert_eq!(world.stack.connection_count(), 0);
    }
}

/// The driver may make room after the stack found none, and before netd asks to be rung for it: netd has to know that something waits.
#[test]
fn driver_without_room_is_waited_for_by_whoever_has_something_to_send() {
    type Act = fn(&mut World, u32);
    let senders: [Act; 3] = [
        |world, connection| world.command(0, Command::Send { connection, data: b"x" }),
        |world, connection| world.command(0, Command::Abort { connection }),
        |world, _| {
            let (socket, _) = world.stack.bind(0, 0).expect("room");
            world.stack.send_datagram(0, socket, IpEndpoint::new(PEER_ADDRESS.into(), 9), b"x");
        },
    ];
    for send in senders {
        let (mut world, connection, _) = opened();
        let awaits_room = |world: &mut World, room| {
            world.driver.room = room;
            let poll = world.stack.poll(world.now, &mut world.driver, &mut world.clients);
            (poll.awaits_room, core::mem::take(&mut world.driver.sent).len())
        };
        assert_eq!(awaits_room(&mut world, 0), (false, 0));
        send(&mut world, connection);
        assert_eq!(awaits_room(&mut world, 0), (true, 0));
        assert_eq!(awaits_room(&mut world, 9), (false, 1));
    }
}

#[test]
fn commands_for_strange_numbers_are_ignored() {
    let (mut world, connection, _) = opened();
    let peer = IpEndpoint::new(PEER_ADDRESS.into(), 99);
    for number in [0, connection + 1, u32::MAX, FIRST_CLIENT_CONNECTION] {
        world.command(0, Command::Send { connection: number, data: b"x" });
        world.command(0, Command::Finish { connection: number });
        world.command(0, Command::Abort { connection: number });
        world.command(0, Command::Credit { connection: number, bytes: u32::MAX });
    }
    // Another session's connection, a session that does not exist, numbers that are not the client's to choose.
    world.command(1, Command::Abort { connection });
    world.command(9, Command::Abort { connection });
    world.command(0, Command::Connect { connection: 5, peer, local: ANY });
    world.command(0, Command::Connect { connection, peer, local: ANY });
    world.run(SECOND);
    assert_eq!(world.known(0, connection).closed, None);
    assert_eq!(world.clients.connections.len(), 1);
}

#[test]
fn random_commands_keep_invariants() {
    let mut world = World::new();
    world.listen(0, 80, 16).expect("free port");
    let peer = world.peer_listen(99);
    for round in 0..4000_u32 {
        if round % 40 == 0 && round < 2000 {
            world.peer_connect(80, 20000 + u16::try_from(round).expect("small"));
        }
        let known: Vec<u32> = world.clients.connections.keys().map(|&(_, connection)| connection).collect();
        let connection = match world.chance.below(4) {
            0 => world.chance.below(1 << 32) as u32,
            1 => FIRST_CLIENT_CONNECTION + world.chance.below(20) as u32,
            _ => known.get(world.chance.below(known.len() as u64) as usize).copied().unwrap_or(1),
        };
        let data = vec![7; world.chance.below(2100) as usize];
        let session = world.chance.below(3) as u16;
        let peer = IpEndpoint::new(PEER_ADDRESS.into(), 99 - world.chance.below(2) as u16);
        let command = match world.chance.below(12) {
            0 => Command::Finish { connection },
            1 => Command::Abort { connection },
            2 => Command::Connect { connection, peer, local: ANY },
            3..6 => Command::Credit { connection, bytes: world.chance.below(3000) as u32 },
            _ => Command::Send { connection, data: &data },
        };
        // A number that the client of the recorder thinks closed may be opened again by Connect.
        if let Command::Connect { connection, .. } = command {
            let entry = world.clients.connections.get(&(session.into(), connection));
            if entry.is_some_and(|known| known.closed.is_some()) {
                world.clients.connections.remove(&(session.into(), connection));
            }
        }
        forgive_credit(&mut world, session, &command);
        world.command(session, command);
        if round % 3 == 0 {
            world.step(Duration::from_millis(3));
        }
    }
    assert!(world.peer_tcp(peer).is_open() || !world.peer_tcp(peer).is_open());
    world.stack.end_tcp_session(0);
    world.stack.end_tcp_session(1);
    world.run(SECOND);
    assert_eq!(world.stack.connection_count(), 0);
}

/// The recorder checks credits of honest clients; this one is told what the wild client did.
fn forgive_credit(world: &mut World, session: u16, command: &Command<'_>) {
    match *command {
        Command::Send { connection, data } => {
            if let Some(known) = world.clients.connections.get_mut(&(session.into(), connection)) {
                known.credit = known.credit.saturating_sub(u32::try_from(data.len()).expect("small"));
            }
        }
        Command::Credit { connection, bytes } => {
            if let Some(known) = world.clients.connections.get_mut(&(session.into(), connection)) {
                known.extra = known.extra.saturating_add(bytes.saturating_sub(known.ungiven));
                known.ungiven = known.ungiven.saturating_sub(bytes);
            }
        }
        _ => {}
    }
}

#[test]
fn syn_flood_is_bounded_and_forgotten() {
    let (mut world, connection, peer) = opened();
    for port in 0..1000 {
        world.driver.received.push_back(segment(30000 + port, TcpControl::Syn, None, &[]));
    }
    world.step(Duration::from_millis(1));
    assert_eq!(world.stack.connection_count(), 1 + 16);
    world.peer_tcp(peer).send_slice(b"still here").expect("open");
    world.until("data", SECOND, |world| world.known(0, connection).data == b"still here");
    world.run(SECOND * 6);
    assert_eq!(world.stack.connection_count(), 1);
    world.peer_connect(80, 20001);
    world.until("accept", SECOND * 10, |world| world.clients.accepted.len() == 2);
}

#[test]
fn syn_flood_does_not_keep_an_honest_peer_out() {
    let mut world = World::new();
    world.listen(0, 80, 128).expect("free port");
    let mut forged = 0_u16;
    let mut flood = |world: &mut World| {
        for _ in 0..5 {
            forged += 1;
            // A host that does not exist: it neither answers nor resets.
            let source = Ipv4Address::new(192, 0, 2, 9);
            world.driver.received.push_back(segment_from(source, 10000 + forged, TcpControl::Syn, None, &[]));
        }
        world.step(Duration::from_millis(1));
    };
    for _ in 0..100 {
        flood(&mut world);
    }
    assert_eq!(world.stack.connection_count(), 128, "the flood has the whole backlog");
    let peer = world.peer_connect(80, 20001);
    for _ in 0..100 {
        flood(&mut world);
    }
    assert_eq!(world.clients.accepted.len(), 1, "5,000 forged SYNs a second");
    assert_eq!(world.peer_tcp(peer).state(), State::Established);
    assert!(world.stack.connection_count() <= 1 + 128);
    world.run(SECOND * 6);
    assert_eq!(world.stack.connection_count(), 1);
}

#[test]
fn open_connections_never_lose_their_place_to_a_syn() {
    let mut world = World::new();
    world.listen(0, 80, 16).expect("free port");
    let first = world.peer_connect(80, 20001);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    for port in 0..2000 {
        let source = Ipv4Address::new(192, 0, 2, 9);
        world.driver.received.push_back(segment_from(source, 30000 + port, TcpControl::Syn, None, &[]));
    }
    world.run(SECOND);
    assert_eq!(world.stack.connection_count(), 1 + 16);
    assert_eq!(world.peer_tcp(first).state(), State::Established);
}

#[test]
fn syn_with_bad_checksum_takes_no_connection() {
    let (mut world, _, _) = opened();
    for port in 0..100 {
        let mut frame = segment(30000 + port, TcpControl::Syn, None, &[]);
        let last = frame.len() - 1;
        frame[last] ^= 0xff;
        world.driver.received.push_back(frame);
    }
    world.step(Duration::from_millis(1));
    assert_eq!(world.stack.connection_count(), 1);
}

#[test]
fn segments_of_nobody_are_reset_not_kept() {
    let (mut world, _, _) = opened();
    world.driver.received.push_back(segment(40000, TcpControl::None, Some(55), b"boo"));
    world.driver.received.push_back(segment(40001, TcpControl::Fin, Some(55), &[]));
    world.driver.received.push_back(segment(40002, TcpControl::Rst, None, &[]));
    let before = world.to_peer.carried;
    world.poll_stack();
    assert_eq!(world.to_peer.carried - before, 2, "a reset for each that is not a reset itself");
    assert_eq!(world.stack.connection_count(), 1);
}

#[test]
fn frames_of_noise_are_survived() {
    let (mut world, connection, peer) = opened();
    let template = segment(20000, TcpControl::Psh, Some(1), &[9; 400]);
    for round in 0..20_000 {
        let mut frame = template.clone();
        for _ in 0..=world.chance.below(6) {
            let position = world.chance.below(frame.len() as u64) as usize;
            frame[position] = world.chance.below(256) as u8;
        }
        frame.truncate(world.chance.below(frame.len() as u64 + 1) as usize);
        if round % 3 == 0 {
            frame = (0..world.chance.below(1536)).map(|_| world.chance.below(256) as u8).collect();
            if frame.len() > 14 {
                frame[12..14].copy_from_slice(if round % 2 == 0 { &[0x08, 0x00] } else { &[0x86, 0xdd] });
            }
        }
        world.driver.received.push_back(frame);
        if round % 50 == 0 {
            world.poll_stack();
        }
    }
    world.peer_tcp(peer).send_slice(b"fine").expect("open");
    world.until("data", MINUTE, |world| world.known(0, connection).data.ends_with(b"fine"));
}

#[test]
fn listen_rejects_what_the_interface_rejects() {
    let mut world = World::new();
    assert_eq!(world.listen(0, 0, 5), Err(Refusal::BadAddress));
    assert_eq!(world.listen(0, 80, 0), Err(Refusal::BadAddress));
    assert_eq!(world.listen(0, 80, BACKLOG_MAX + 1), Err(Refusal::BadAddress));
    assert_eq!(world.listen(7, 80, 5), Err(Refusal::NotFound));
    for port in 1..=8 {
        world.listen(0, port, 5).expect("room");
    }
    assert_eq!(world.listen(0, 80, 5), Err(Refusal::NoRoom));
    assert_eq!(world.listen(1, 8, 5), Err(Refusal::InUse));
    world.listen(1, 80, 5).expect("the other session has its own share");
}

#[test]
fn session_end_resets_its_peers_only() {
    let (mut world, connection, peer) = opened();
    world.listen(1, 81, 4).expect("free port");
    let other = world.peer_connect(81, 20001);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 2);
    world.stack.end_tcp_session(0);
    world.until("reset", SECOND, |world| world.peer_tcp(peer).state() == State::Closed);
    assert_eq!(world.known(0, connection).closed, None, "nothing more is said to a dead session");
    assert_eq!(world.peer_tcp(other).state(), State::Established);
    assert_eq!(world.stack.connection_count(), 1);
}
