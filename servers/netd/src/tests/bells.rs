//! How often a client and the server ring each other while much is transferred; a peer sends, and all share one clock.
use super::service::{World, at, pass, world};
use super::simulation::{ADDRESS, PEER_ADDRESS, PEER_MAC, PeerLink};
use crate::*;
use libhybrid::interfaces::net::stack::{CreditBody, RECEIVE_CREDIT, TcpClient, TcpCommand, TcpEvent};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use std::vec;
use std::vec::Vec;

const BYTES: usize = 1 << 20;
/// A round of everybody.
const ROUND_NS: u64 = 200_000;

#[derive(Debug, Default)]
struct Counted {
    segments: u32,
    to_client: u32,
    to_server: u32,
}

/// The host at the other end of the driver's rings.
pub(super) struct Peer {
    link: PeerLink,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    sent: usize,
}

impl Peer {
    /// It begins to connect to port 80.
    pub(super) fn new() -> Self {
        let mut link = PeerLink::default();
        let mut interface = Interface::new(Config::new(PEER_MAC.into()), &mut link, Instant::from_micros(pass(0)));
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(PEER_ADDRESS.into(), 24)).expect("room");
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; 65535]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let remote = (IpAddress::Ipv4(ADDRESS), 80);
        socket.connect(interface.context(), remote, 20000).expect("can connect");
        let mut sockets = SocketSet::new(vec![]);
        let socket = sockets.add(socket);
        Self { link, interface, sockets, socket, sent: 0 }
    }

    /// It does not send anything.
    pub(super) fn silent() -> Self {
        Self { sent: BYTES, ..Self::new() }
    }

    /// What came.
    pub(super) fn received(&mut self) -> Vec<u8> {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap_or_default()
    }

    /// Takes and sends frames, data as far as there is room for it. So many segments went out.
    pub(super) fn step(&mut self, world: &mut World, now: Instant) -> u32 {
        let mut scratch = Vec::new();
        while let Some(frame) = world.driver.transmit.pop(&mut scratch).expect("sound") {
            self.link.received.push_back(frame.to_vec());
        }
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.socket);
        if socket.can_send() {
            let rest = vec![7; (BYTES - self.sent).min(65535)];
            self.sent += socket.send_slice(&rest).expect("open");
        }
        self.interface.poll(now, &mut self.link, &mut self.sockets);
        let frames = core::mem::take(&mut self.link.sent);
        frames.iter().for_each(|frame| world.driver.received.push(frame).expect("room"));
        u32::try_from(frames.len()).expect("few")
    }

    pub(super) fn state(&self) -> tcp::State {
        self.sockets.get::<tcp::Socket<'_>>(self.socket).state()
    }
}

/// A transfer to a client that asks to be rung before it sleeps, or that looks by itself all the time.
fn transfer(sleeps: bool) -> Counted {
    let (mut world, mut peer, mut counted) = (world(0), Peer::new(), Counted::default());
    TcpClient::new(world.netd.connect(7)).listen(&at(80), 4, true).expect("free");
    let (mut taken, mut owed, mut scratch) = (0, 0, Vec::new());
    for _ in 0..100_000 {
        let now = Instant::from_micros(pass(ROUND_NS));
        counted.segments += peer.step(&mut world, now);
        world.turn();
        let client = &mut world.tcp[0].1;
        let mut connection = 0;
        while let Some(event) = client.events.pop(&mut scratch).expect("sound") {
            if let TcpEvent::Data(body) = event {
                connection = body.connection;
                taken += body.data.len();
                owed += body.data.len();
            }
        }
        if owed >= RECEIVE_CREDIT / 2 {
            let bytes = u32::try_from(core::mem::take(&mut owed)).expect("a window");
            client.commands.push(&TcpCommand::Credit(CreditBody { connection, bytes })).expect("room");
        }
        counted.to_server += u32::from(client.commands.publish() | client.events.release());
        if sleeps {
            assert!(client.events.request_bell().expect("sound"), "nobody wrote meanwhile");
        }
        if taken == BYTES {
            counted.to_client = world.netd.server().0.bells_of(0);
            return counted;
        }
    }
    panic!("{taken} bytes came, {counted:?}");
}

/// No call but the one that listens, and bells by the window, not by the packet.
#[test]
fn bulk_rings_by_the_window_and_a_busy_client_never() {
    let busy = transfer(false);
    assert_eq!(busy.to_client, 0, "{busy:?}");
    let sleeping = transfer(true);
    assert!(sleeping.to_client > 0, "{sleeping:?}");
    for counted in [busy, sleeping] {
        assert!(counted.segments as usize > BYTES / 1460, "{counted:?}");
        let windows = u32::try_from(BYTES / RECEIVE_CREDIT).expect("few");
        // The server sleeps after each round, and is rung when there is credit for half a window or more.
        assert!(counted.to_server <= 2 * windows + 2, "{counted:?}");
        assert!(counted.to_client <= 2 * windows + 2, "{counted:?}");
    }
}
