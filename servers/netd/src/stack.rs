//! The whole stack behind one struct: frames and commands in, frames and events out; does no input or output itself.
use crate::addressing::{self, Addressing};
use crate::demux;
use crate::event::{Answer, Clients, Command, Listen, Refusal};
use crate::parameters::Parameters;
use crate::port::{FRAME_SENT_MAX, Frames, Port, Traffic};
use crate::resolver::Resolver;
use crate::slaac::Slaac;
use crate::tcp::{Destination, Tcp};
use crate::train::Train;
use crate::udp::Udp;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress,
    IpAddress, IpCidr, IpEndpoint, Ipv4Address,
};

/// Frames taken in by one [`Stack::poll`], so that commands are not kept waiting by a flood.
const BATCH: usize = 64;
/// smoltcp may ask to be polled "now" again; never more often than this.
const PAUSE: Duration = Duration::from_millis(1);

/// How many clients each interface has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Of Tcp.
    pub tcp: usize,
    /// Of Udp.
    pub udp: usize,
    /// Of Resolver.
    pub resolver: usize,
}

/// What [`Stack::poll`] leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// Poll again at this time at the latest.
    pub deadline: Option<Instant>,
    /// More frames wait: poll again soon.
    pub has_more: bool,
    /// Something waits here for room in the driver's ring: a frame that was taken and will be answered, or one to send. Once there is room, poll again.
    pub awaits_room: bool,
}

/// What a settings or status page may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The hardware address.
    pub mac: [u8; 6],
    /// All addresses with their prefixes.
    pub addresses: Vec<IpCidr>,
    /// The default router for IPv4.
    pub gateway: Option<IpAddress>,
    /// The name servers.
    pub dns: Vec<IpAddress>,
    /// Whether the IPv4 address is from a DHCP server.
    pub is_dhcp: bool,
}

/// The stack.
pub struct Stack {
    interface: Interface,
    /// DHCP, DNS and UDP; the sockets of TCP are in `tcp`.
    base: SocketSet<'static>,
    /// Something may have changed in `base` since it was last served.
    is_base_ready: bool,
    base_deadline: Option<Instant>,
    addressing: Addressing,
    slaac: Slaac,
    tcp: Tcp,
    udp: Udp,
    resolver: Resolver,
    train: Train,
    scratch: Box<[u8]>,
    traffic: Traffic,
}

impl Stack {
    /// A stack for the link with the address `mac`, which must be unicast ([`Stack::is_usable`]). `seed` makes its
    /// sequence numbers, ports and query numbers; it should be hard to guess.
    #[must_use]
    pub fn new(mac: EthernetAddress, parameters: Parameters, sessions: SessionCounts, seed: u64, now: Instant) -> Self {
        let mut config = Config::new(mac.into());
        config.random_seed = seed;
        let mut traffic = Traffic::default();
        let mut no_frames = NoFrames;
        let mut port = Port::new(&mut no_frames, &mut [], &mut traffic);
        let mut interface = Interface::new(config, &mut port, now);
        let mut base = SocketSet::new(vec![]);
        let first_port = u16::try_from(seed >> 48).unwrap_or_default();
        Self {
            addressing: Addressing::new(parameters, now, &mut interface, &mut base),
            resolver: Resolver::new(sessions.resolver, &mut base),
            slaac: Slaac::new(now),
            tcp: Tcp::new(sessions.tcp, first_port),
            udp: Udp::new(sessions.udp, first_port),
            interface,
            base,
            is_base_ready: true,
            base_deadline: None,
            train: Train::new(),
            scratch: vec![0; FRAME_SENT_MAX].into(),
            traffic,
        }
    }

    /// Whether a stack can have this address.
    #[must_use]
    pub fn is_usable(mac: EthernetAddress) -> bool {
        mac.is_unicast() && mac.0 != [0; 6]
    }

    /// Takes in frames, does all work that is due, puts out frames and events.
    pub fn poll<F: Frames, C: Clients>(&mut self, now: Instant, frames: &mut F, clients: &mut C) -> Poll {
        let has_more = self.ingress(now, frames);
        self.serve_base(now, frames, clients);
        let mut port = Port::new(frames, &mut self.scratch, &mut self.traffic);
        self.tcp.run(now, &mut self.interface, &mut port, clients);
        let deadlines =
            [self.base_deadline, self.tcp.next_deadline(), self.addressing.deadline(), self.slaac.deadline()];
        let deadline = deadlines.into_iter().flatten().min().map(|deadline| deadline.max(now + PAUSE));
        let awaits_room = self.train.holds() || self.is_base_ready || self.tcp.is_ready();
        Poll { deadline, has_more, awaits_room }
    }

    /// Takes in a batch of frames, and the rest of the last train. True: there may be more.
    fn ingress<F: Frames>(&mut self, now: Instant, frames: &mut F) -> bool {
        let mut left = BATCH;
        while left > 0 {
            // Each frame may be answered at once.
            if !frames.has_room() {
                return false;
            }
            let Some(segment) = self.train.take(frames, &mut self.traffic) else { return false };
            left = left.saturating_sub(self.train.segments());
            let frame = self.train.frame();
            let mut port = Port::new(frames, &mut self.scratch, &mut self.traffic).with(frame);
            // INV-CHECKSUM-1: smoltcp does not look at it.
            if segment.is_some_and(|segment| !segment.is_sound) {
                continue;
            }
            let segment = segment.filter(|each| self.interface.has_ip_addr(each.tuple.local.addr));
            match segment.map(|segment| self.tcp.route(&segment, now)) {
                Some(Destination::Connection(index)) => {
                    let is_joined = self.train.segments() > 1;
                    self.tcp.ingress(index, is_joined, now, &mut self.interface, &mut port);
                }
                Some(Destination::Nowhere) => {}
                Some(Destination::Nobody) | None => {
                    self.slaac.observe(frame, now, &mut self.interface);
                    self.interface.poll_ingress_single(now, &mut port, &mut self.base);
                    self.is_base_ready = true;
                    if demux::is_about_neighbors(frame) {
                        self.tcp.neighbors_changed();
                    }
                }
            }
        }
        true
    }

    /// The work of all that is not TCP.
    fn serve_base<F: Frames, C: Clients>(&mut self, now: Instant, frames: &mut F, clients: &mut C) {
        self.is_base_ready |= self.slaac.update(now, &mut self.interface, frames, &mut self.traffic);
        let is_due = [self.base_deadline, self.addressing.deadline()].into_iter().flatten().any(|at| at <= now);
        if !self.is_base_ready && !is_due {
            return;
        }
        let mut port = Port::new(frames, &mut self.scratch, &mut self.traffic);
        let is_drained = loop {
            if !port.has_room() {
                break false;
            }
            if self.interface.poll_egress(now, &mut port, &mut self.base) == PollResult::None {
                break true;
            }
        };
        self.is_base_ready = !is_drained;
        let (names, advertised) = (self.resolver.socket(), self.slaac.name_servers());
        self.addressing.update(now, &mut self.interface, &mut self.base, names, advertised);
        self.udp.deliver(&mut self.base, clients);
        self.resolver.collect(&mut self.base, clients);
        self.base_deadline = self.interface.poll_at(now, &self.base);
    }

    /// Tcp: accepts connections on a port.
    ///
    /// # Errors
    /// As `ipc-idl/net/stack.idl` says.
    pub fn listen(&mut self, session: u16, listen: Listen) -> Result<u16, Refusal> {
        self.tcp.listen(session, listen)
    }

    /// Tcp: whether this host has the address now.
    #[must_use]
    pub fn has_address(&self, address: IpAddress) -> bool {
        self.interface.has_ip_addr(address)
    }

    /// Tcp: stops accepting.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn unlisten(&mut self, session: u16, listener: u16) -> Result<(), Refusal> {
        self.tcp.unlisten(session, listener)
    }

    /// Tcp: a command out of the session's ring. Takes effect with the next [`Stack::poll`].
    pub fn command(&mut self, session: u16, command: Command<'_>, now: Instant) {
        self.tcp.command(session, command, now, &mut self.interface);
    }

    /// Tcp: the client took events out of its ring, so there is room.
    pub fn resume(&mut self, session: u16) {
        self.tcp.resume(session);
    }

    /// Tcp: the client corrupted its rings, or died; the session is over. Its ports are closed, its peers get resets, but for those
    /// of connections that it had finished, which go on.
    pub fn end_tcp_session(&mut self, session: u16) {
        self.tcp.end_session(session);
    }

    /// Tcp: the client was started anew; its session begins again, with nothing.
    pub fn begin_tcp_session(&mut self, session: u16) {
        self.tcp.begin_session(session);
    }

    /// Udp: binds a socket; returns it and its port.
    ///
    /// # Errors
    /// As `ipc-idl/net/stack.idl` says.
    pub fn bind(&mut self, session: u16, port: u16) -> Result<(u16, u16), Refusal> {
        self.udp.bind(session, port, &mut self.base)
    }

    /// Udp: from which address this host would send to `peer` now.
    ///
    /// # Errors
    /// [`Refusal::Unreachable`].
    pub fn source(&self, peer: IpAddress) -> Result<IpAddress, Refusal> {
        addressing::source(&self.interface, &peer).ok_or(Refusal::Unreachable)
    }

    /// Udp: releases a socket.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub fn unbind(&mut self, session: u16, socket: u16) -> Result<(), Refusal> {
        self.udp.unbind(session, socket, &mut self.base)
    }

    /// Udp: sends a datagram, with the next [`Stack::poll`]. It is lost if the socket is unknown or its queue full.
    pub fn send_datagram(&mut self, session: u16, socket: u16, to: IpEndpoint, data: &[u8]) {
        self.udp.send(session, socket, to, data, &mut self.base);
        self.is_base_ready = true;
    }

    /// Udp: the client corrupted its rings, or died; the session is over. It can bind again.
    pub fn end_udp_session(&mut self, session: u16) {
        self.udp.end_session(session, &mut self.base);
    }

    /// Resolver: starts a query.
    ///
    /// # Errors
    /// As `ipc-idl/net/stack.idl` says.
    pub fn resolve(&mut self, session: u16, name: &str) -> Result<u16, Refusal> {
        let has_server = !self.addressing.servers().is_empty();
        self.is_base_ready = true;
        self.resolver.resolve(session, name, has_server, &mut self.interface, &mut self.base)
    }

    /// Resolver: the client died; the session is over. It can ask again.
    pub fn end_resolver_session(&mut self, session: u16) {
        self.resolver.end_session(session, &mut self.base);
    }

    /// The driver was started anew: tells the neighbourhood where this host is (RFC 5227 §3), since a switch may have learnt otherwise.
    /// All else goes on: addresses and lease are still good, what was lost meanwhile is sent again.
    pub fn announce<F: Frames>(&mut self, frames: &mut F) {
        let HardwareAddress::Ethernet(mac) = self.interface.hardware_addr();
        for address in self.interface.ip_addrs() {
            if let IpCidr::Ipv4(cidr) = address
                && frames.has_room()
            {
                let frame = announcement(mac, cidr.address());
                frames.transmit(&frame);
                self.traffic.frames_out += 1;
                self.traffic.bytes_out += frame.len() as u64;
            }
        }
        self.tcp.neighbors_changed();
        self.is_base_ready = true;
    }

    /// Resolver: the next answer.
    pub fn pull_resolved(&mut self, session: u16) -> Option<Answer> {
        self.resolver.pull(session)
    }

    /// Network: the configuration now.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        Configuration {
            mac: addressing::mac(&self.interface),
            addresses: self.interface.ip_addrs().to_vec(),
            gateway: self.addressing.gateway().map(IpAddress::Ipv4),
            dns: self.addressing.servers().to_vec(),
            is_dhcp: self.addressing.is_dhcp(),
        }
    }

    /// Network: frames and bytes so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Network: connections that clients have.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.tcp.connection_count()
    }

    /// SYNs and datagrams for which there was no room.
    #[must_use]
    pub fn refused(&self) -> (u64, u64) {
        (self.tcp.turned_away, self.udp.lost)
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        self.tcp.check();
    }
}

/// An ARP announcement: a request for the own address, which everybody hears.
fn announcement(mac: EthernetAddress, address: Ipv4Address) -> Vec<u8> {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: address,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: address,
    };
    let ethernet =
        EthernetRepr { src_addr: mac, dst_addr: EthernetAddress::BROADCAST, ethertype: EthernetProtocol::Arp };
    let mut bytes = vec![0; ethernet.buffer_len() + arp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// Stands in where the interface only asks what its link can do.
struct NoFrames;

impl Frames for NoFrames {
    fn receive(&mut self, _buffer: &mut [u8]) -> Option<usize> {
        None
    }

    fn has_room(&mut self) -> bool {
        false
    }

    fn transmit(&mut self, _frame: &[u8]) {}
}
