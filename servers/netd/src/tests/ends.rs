//! This host's ends of connections, told and wished for; places at who accepts slowly; what outlives its client.
use super::simulation::*;
use crate::*;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::Socket;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use std::vec::Vec;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn local(address: Option<IpAddress>, port: u16) -> IpListenEndpoint {
    IpListenEndpoint { addr: address, port }
}

/// Connects session 0 to the peer's port 99 from this end; how that ended at once, or else this host's end.
fn connect(world: &mut World, number: u32, local: IpListenEndpoint) -> Result<IpEndpoint, CloseReason> {
    let connection = FIRST_CLIENT_CONNECTION + number;
    let peer = IpEndpoint::new(PEER_ADDRESS.into(), 99);
    world.peer_listen(99);
    world.command(0, Command::Connect { connection, peer, local });
    world.until("an answer", SECOND * 5, |world| world.clients.connections.contains_key(&(0, connection)));
    match world.known(0, connection).closed {
        Some(reason) => Err(reason),
        None => Ok(world.clients.locals[&(0, connection)]),
    }
}

#[test]
fn own_end_of_each_connection_is_told() {
    let mut world = World::new();
    world.listen(0, 80, 8).expect("free port");
    world.peer_connect(80, 20000);
    world.until("accept", SECOND, |world| world.clients.accepted.len() == 1);
    let (_, connection, peer) = world.clients.accepted[0];
    assert_eq!(peer, IpEndpoint::new(PEER_ADDRESS.into(), 20000));
    assert_eq!(world.clients.locals[&(0, connection)], IpEndpoint::new(ADDRESS.into(), 80));
    let own = connect(&mut world, 0, ANY).expect("the peer listens");
    assert!(own.addr == ADDRESS.into() && own.port >= 49152, "{own}");
}

#[test]
fn own_end_that_was_wished_for_is_the_one_the_peer_sees() {
    let mut world = World::new();
    let wanted = IpEndpoint::new(ADDRESS.into(), 4321);
    assert_eq!(connect(&mut world, 0, local(Some(ADDRESS.into()), 4321)), Ok(wanted));
    let is_seen =
        |socket: &Socket<'_>| matches!(socket, Socket::Tcp(socket) if socket.remote_endpoint() == Some(wanted));
    assert!(world.peer_sockets.iter().any(|(_, socket)| is_seen(socket)));
    assert_eq!(connect(&mut world, 1, local(None, 4321)), Err(CloseReason::InUse), "the same two ends");
    assert_eq!(connect(&mut world, 2, local(None, 4322)).map(|own| own.port), Ok(4322));
    for address in [IpAddress::v4(10, 0, 0, 77), IpAddress::v6(0xfe80, 0, 0, 0, 0, 0, 0, 9)] {
        assert_eq!(connect(&mut world, 3, local(Some(address), 0)), Err(CloseReason::BadAddress), "{address}");
        world.clients.connections.remove(&(0, FIRST_CLIENT_CONNECTION + 3));
    }
    // Where another client listens nobody else's connections begin; one's own may.
    world.listen(1, 80, 8).expect("free port");
    world.listen(0, 81, 8).expect("free port");
    assert_eq!(connect(&mut world, 4, local(None, 80)), Err(CloseReason::InUse));
    assert_eq!(connect(&mut world, 5, local(None, 81)).map(|own| own.port), Ok(81));
}

#[test]
fn listener_at_one_address_hears_that_one_only() {
    let mut world = World::new();
    let other = IpAddress::v4(10, 0, 0, 77);
    let listen = |world: &mut World, address, port| {
        let listen = Listen { local: local(address, port), backlog: 4, keeps_places: false };
        world.stack.listen(0, listen)
    };
    listen(&mut world, Some(ADDRESS.into()), 80).expect("free");
    listen(&mut world, Some(other), 80).expect("another address of the same port");
    listen(&mut world, Some(other), 81).expect("free");
    for address in [None, Some(ADDRESS.into()), Some(other)] {
        assert_eq!(listen(&mut world, address, 80), Err(Refusal::InUse));
    }
    world.peer_connect(80, 20000);
    let refused = world.peer_connect(81, 20001);
    world.until("both ends", SECOND * 5, |world| {
        world.clients.accepted.len() == 1 && world.peer_tcp(refused).state() == State::Closed
    });
    assert!(world.stack.has_address(ADDRESS.into()) && !world.stack.has_address(other));
}

/// Peers whose connection is open.
fn open(world: &mut World, peers: &[SocketHandle]) -> usize {
    peers.iter().filter(|&&peer| world.peer_tcp(peer).state() == State::Established).count()
}

/// Who finds the client's queue full is not answered, and comes in when there is room: nobody is told that he is connected and then reset.
#[test]
fn full_queue_of_the_client_leaves_peers_unanswered_until_there_is_room() {
    let mut world = World::new();
    let listen = Listen { local: local(None, 80), backlog: 8, keeps_places: true };
    let listener = world.stack.listen(0, listen).expect("free port");
    let peers: Vec<_> = (0..20).map(|number| world.peer_connect(80, 20000 + number)).collect();
    world.run(SECOND * 4);
    assert_eq!((world.clients.accepted.len(), open(&mut world, &peers)), (8, 8));
    // Not of this client, and not of this listener.
    world.command(1, Command::Taken { listener, connections: 8 });
    world.command(0, Command::Taken { listener: listener + 1, connections: 8 });
    world.run(SECOND * 4);
    assert_eq!(world.clients.accepted.len(), 8);
    // One that was reset is in the queue until it is taken.
    world.peer_tcp(peers[0]).abort();
    world.run(SECOND * 4);
    assert_eq!((world.clients.accepted.len(), open(&mut world, &peers)), (8, 7));
    world.command(0, Command::Taken { listener, connections: 3 });
    world.until("three more", MINUTE, |world| world.clients.accepted.len() == 11);
    world.run(SECOND * 4);
    assert_eq!((world.clients.accepted.len(), open(&mut world, &peers)), (11, 10));
    // More than were told: nothing is owed for them.
    world.command(0, Command::Taken { listener, connections: u16::MAX });
    world.until("eight more", MINUTE, |world| world.clients.accepted.len() == 19);
    world.run(SECOND * 4);
    assert_eq!(world.clients.accepted.len(), 19);
    world.command(0, Command::Taken { listener, connections: 1 });
    world.until("the last", MINUTE, |world| open(world, &peers) == 19);
}

/// Connects session 0 to a peer, which is told.
fn connected(world: &mut World, number: u32) -> (u32, SocketHandle) {
    let peer = world.peer_listen(99);
    let (connection, to) = (FIRST_CLIENT_CONNECTION + number, IpEndpoint::new(PEER_ADDRESS.into(), 99));
    world.command(0, Command::Connect { connection, peer: to, local: ANY });
    world.until("open", SECOND, |world| world.clients.locals.contains_key(&(0, connection)));
    (connection, peer)
}

/// What was sent and finished arrives after the client's end; what was not finished is reset.
#[test]
fn finished_connections_outlive_their_client_and_others_do_not() {
    let mut world = World::new();
    let [(finished, there), (open, cut)] = [0, 1].map(|number| connected(&mut world, number));
    for connection in [finished, open] {
        assert_eq!(world.send(0, connection, &[7; 10_000]), 10_000);
    }
    world.command(0, Command::Finish { connection: finished });
    world.stack.end_tcp_session(0);
    assert_eq!(world.stack.connection_count(), 0);
    let mut got = 0;
    world.until("all of it and the end", SECOND * 5, |world| {
        let peer = world.peer_tcp(there);
        got += peer.recv(|bytes| (bytes.len(), bytes.len())).unwrap_or(0);
        peer.state() == State::CloseWait && got == 10_000
    });
    assert_eq!(world.peer_tcp(cut).state(), State::Closed);
    // In the next life the same number is another connection.
    world.stack.begin_tcp_session(0);
    world.clients.connections.clear();
    world.clients.locals.clear();
    let (again, anew) = connected(&mut world, 0);
    world.peer_tcp(there).close();
    world.until("the end", SECOND * 5, |world| world.peer_tcp(there).state() == State::Closed);
    assert_eq!((again, world.peer_tcp(anew).state()), (finished, State::Established));
}

/// Whatever comes for who is gone is answered by a reset, and a peer that never ends its direction has a minute.
#[test]
fn what_outlives_its_client_does_not_live_for_ever() {
    let mut world = World::new();
    let [(first, talks), (second, waits)] = [0, 1].map(|number| connected(&mut world, number));
    for connection in [first, second] {
        world.command(0, Command::Finish { connection });
    }
    world.stack.end_tcp_session(0);
    world.run(SECOND);
    world.peer_tcp(talks).send_slice(b"hello").expect("half open");
    world.run(SECOND * 50);
    assert_eq!([talks, waits].map(|peer| world.peer_tcp(peer).state()), [State::Closed, State::CloseWait]);
    world.run(SECOND * 10);
    assert_eq!(world.peer_tcp(waits).state(), State::Closed);
}

/// They keep nobody else's place: the oldest goes.
#[test]
fn what_outlives_its_client_makes_room() {
    let mut world = World::new();
    let mut peers = Vec::new();
    // Each session may have half of all.
    for life in 0..3 {
        for number in 0..200 {
            peers.push(connected(&mut world, number));
            world.command(0, Command::Finish { connection: FIRST_CLIENT_CONNECTION + number });
        }
        world.stack.end_tcp_session(0);
        world.stack.begin_tcp_session(0);
        world.clients.connections.clear();
        world.clients.locals.clear();
        world.run(Duration::from_millis(100));
        assert_eq!(world.stack.connection_count(), 0, "life {life}");
    }
    let ended = peers.iter().filter(|(_, peer)| world.peer_tcp(*peer).state() == State::CloseWait).count();
    assert_eq!(ended, 600, "none was told otherwise than by the end");
}

/// Neither on the link nor behind a router of its family: that is told at once, and where there is a way, its source.
#[test]
fn way_to_a_peer_and_its_source_are_told() {
    let mut world = World::new();
    let far = [IpAddress::v4(1, 2, 3, 4), IpAddress::v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)];
    assert_eq!(far.map(|peer| world.stack.source(peer)), [Ok(ADDRESS.into()), Err(Refusal::Unreachable)]);
    let near = IpAddress::v6(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    assert!(world.stack.source(near).is_ok_and(|own| world.stack.has_address(own)));
    let connect = |world: &mut World, number, peer| {
        let connection = FIRST_CLIENT_CONNECTION + number;
        world.command(0, Command::Connect { connection, peer: IpEndpoint::new(peer, 9), local: ANY });
        world.run(Duration::from_millis(100));
        world.clients.connections.get(&(0, connection)).and_then(|known| known.closed)
    };
    assert_eq!(connect(&mut world, 0, far[1]), Some(CloseReason::Unreachable));
    assert_eq!([far[0], near].map(|peer| connect(&mut world, u32::from(peer == near) + 1, peer)), [None, None]);
    let parameters = Parameters::read(|name| match name {
        "address" => Some("10.0.0.1/24"),
        "dhcp_patience_ms" => Some("0"),
        _ => None,
    });
    let mut world = World::with(parameters.expect("right parameters"));
    assert_eq!(world.stack.source(far[0]), Err(Refusal::Unreachable), "without a router");
    assert_eq!(connect(&mut world, 0, far[0]), Some(CloseReason::Unreachable));
    assert_eq!(world.stack.source(PEER_ADDRESS.into()), Ok(ADDRESS.into()));
}
