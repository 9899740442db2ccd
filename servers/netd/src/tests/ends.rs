//! This host's ends of connections, told and wished for; places in the queue of who accepts slowly.
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
