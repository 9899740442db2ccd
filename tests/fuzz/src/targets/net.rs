//! netd's stack between any network and clients that break every rule.

use crate::input::Input;
use netd::{
    Clients, Command, EthernetAddress, Event, FIRST_CLIENT_CONNECTION, FRAME_MAX, FRAME_SENT_MAX, Frames, Instant,
    IpAddress, IpEndpoint, IpListenEndpoint, Listen, Parameters, SessionCounts, Stack,
};
use smoltcp::time::Duration;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4Packet, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber,
    UdpPacket,
};
use std::collections::{BTreeMap, VecDeque};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SESSIONS: SessionCounts = SessionCounts { tcp: 2, udp: 2, resolver: 2 };

/// The driver.
#[derive(Default)]
struct Driver {
    received: VecDeque<Vec<u8>>,
    room: usize,
    heard: Heard,
}

/// What a peer knows from the stack's own frames: without it, random frames would never get past the first step.
#[derive(Clone, Copy, Default)]
struct Heard {
    /// What acknowledges the last segment.
    ack: u32,
    /// Ports and numbers of the last two queries for a name, the older one first: one name is asked for twice.
    queries: [(u16, [u8; 2]); 2],
}

impl Heard {
    fn listen(&mut self, frame: &[u8]) {
        let Ok(packet) = EthernetFrame::new_checked(frame).and_then(|frame| Ipv4Packet::new_checked(frame.payload()))
        else {
            return;
        };
        match packet.next_header() {
            IpProtocol::Tcp => {
                if let Ok(segment) = TcpPacket::new_checked(packet.payload()) {
                    let end = segment.seq_number() + segment.segment_len();
                    self.ack = end.0.cast_unsigned();
                }
            }
            IpProtocol::Udp => {
                if let Ok(datagram) = UdpPacket::new_checked(packet.payload())
                    && let (53, Some(number)) = (datagram.dst_port(), datagram.payload().first_chunk())
                {
                    self.queries = [self.queries[1], (datagram.src_port(), *number)];
                }
            }
            _ => {}
        }
    }
}

impl Frames for Driver {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let frame = self.received.pop_front()?;
        buffer.get_mut(..frame.len())?.copy_from_slice(&frame);
        Some(frame.len())
    }

    fn has_room(&mut self) -> bool {
        self.room > 0
    }

    fn transmit(&mut self, frame: &[u8]) {
        assert!((14..=FRAME_SENT_MAX).contains(&frame.len()));
        self.room = self.room.checked_sub(1).expect("sent without asking for room");
        self.heard.listen(frame);
    }
}

/// The clients; they check what they hear.
#[derive(Default)]
struct Listeners {
    room: usize,
    /// Bytes delivered and not given back, of each open connection.
    open: BTreeMap<(usize, u32), u32>,
    newest: u32,
    reached: [usize; 3],
}

impl Clients for Listeners {
    fn tcp(&mut self, session: usize, event: Event<'_>) -> bool {
        assert!(session < SESSIONS.tcp);
        let Some(room) = self.room.checked_sub(1) else { return false };
        self.room = room;
        match event {
            Event::Accepted { connection, .. } | Event::Connected { connection, .. } => {
                self.newest = connection;
                self.reached[0] += 1;
                assert!(self.open.insert((session, connection), 0).is_none(), "a number is used twice");
            }
            Event::Data { connection, data } => {
                let ungiven = self.open.get_mut(&(session, connection)).expect("an open connection");
                assert!((1..=2048).contains(&data.len()));
                *ungiven += u32::try_from(data.len()).unwrap_or(u32::MAX);
                assert!(*ungiven <= 8192, "INV-TCP-1");
                self.reached[1] += data.len();
            }
            Event::PeerFinished { connection } | Event::Credit { connection, .. } => {
                assert!(self.open.contains_key(&(session, connection)), "an event outside of a connection's life");
            }
            Event::Closed { connection, .. } => _ = self.open.remove(&(session, connection)),
        }
        true
    }

    fn datagram(&mut self, session: usize, _socket: u16, _from: IpEndpoint, data: &[u8]) -> bool {
        assert!(session < SESSIONS.udp && data.len() <= FRAME_MAX);
        self.room > 0
    }

    fn resolved(&mut self, session: usize) {
        assert!(session < SESSIONS.resolver);
        self.reached[2] += 1;
    }
}

/// Frames (with checksums put right, or not), commands and calls from two clients, and time.
pub fn target_netd(data: &[u8]) {
    let _reached = run(data);
}

/// Connections that were accepted, bytes and answers that came.
fn run(data: &[u8]) -> [usize; 3] {
    let mut input = Input::new(data);
    let parameters =
        |name: &str| (name == "address").then_some("10.0.0.1/24").or((name == "dns").then_some("10.0.0.2"));
    let parameters = Parameters::read(|name| if name == "dhcp_patience_ms" { Some("0") } else { parameters(name) });
    let mut now = Instant::from_millis(0);
    let mut stack = Stack::new(EthernetAddress(MAC), parameters.expect("good ones"), SESSIONS, 7 << 40, now);
    let (mut driver, mut clients) =
        (Driver { room: 64, ..Driver::default() }, Listeners { room: 64, ..Listeners::default() });
    let local = IpListenEndpoint { addr: None, port: 80 };
    stack.listen(0, Listen { local, backlog: 8, keeps_places: false }).expect("a free port");
    stack.bind(0, 53).expect("a free port");
    now += Duration::from_millis(10);
    let _ = stack.poll(now, &mut driver, &mut clients);
    while let Some(step) = input.byte() {
        let session = u16::from(step >> 7);
        match step & 31 {
            0..=11 => {
                let frame = frame(step, &mut input, &mut driver.heard);
                driver.received.push_back(frame);
            }
            12..=17 => command(&mut stack, &mut clients, session, now, &mut input),
            18 => {
                let local = IpListenEndpoint { addr: None, port: u16::from(input.any()) };
                let listen = Listen { local, backlog: u16::from(input.any()), keeps_places: step & 32 != 0 };
                let _ = stack.listen(session, listen);
            }
            19 => _ = stack.unlisten(session, u16::from(input.any() % 10)),
            20 => _ = stack.bind(session, u16::from(input.any())),
            21 => _ = stack.unbind(session, u16::from(input.any() % 10)),
            22 => {
                let to = IpEndpoint::new(IpAddress::v4(10, 0, 0, input.any()), u16::from(input.any()));
                stack.send_datagram(session, u16::from(input.any() % 10), to, input.piece(1600));
            }
            23 => _ = stack.resolve(session, &String::from_utf8_lossy(input.piece(300))),
            24 => _ = stack.pull_resolved(session),
            25 => stack.resume(session),
            26 => (driver.room, clients.room) = (input.below(64), input.below(64)),
            27 if step == 27 => stack.end_tcp_session(u16::from(input.any() % 3)),
            28 if step == 28 => stack.end_udp_session(u16::from(input.any() % 3)),
            _ => now += Duration::from_millis(u64::from(input.any()) << (step >> 5)),
        }
        let poll = stack.poll(now, &mut driver, &mut clients);
        assert!(poll.deadline.is_none_or(|deadline| deadline > now));
    }
    let _ = (stack.configuration(), stack.traffic(), stack.refused());
    assert!(stack.connection_count() <= netd::CONNECTIONS_MAX);
    clients.reached
}

fn command(stack: &mut Stack, clients: &mut Listeners, session: u16, now: Instant, input: &mut Input<'_>) {
    let kind = input.any();
    let connection = match kind >> 4 {
        0..=9 => clients.newest,
        10 => FIRST_CLIENT_CONNECTION + u32::from(input.any() % 4),
        _ => u32::from(input.any()),
    };
    let command = match kind % 8 {
        0..=2 => Command::Send { connection, data: input.piece(2100) },
        3 => Command::Finish { connection },
        4 => Command::Abort { connection },
        5 => {
            let bytes = clients.open.get(&(usize::from(session), connection)).copied().unwrap_or(1);
            // Honest, so that the sum in `Listeners` stays true; a wrong credit ends the connection.
            clients.open.entry((usize::from(session), connection)).and_modify(|ungiven| *ungiven = 0);
            Command::Credit { connection, bytes }
        }
        6 if kind & 8 != 0 => Command::Taken { listener: u16::from(kind >> 4), connections: 1 },
        6 => Command::Credit { connection, bytes: 1 << 20 },
        _ => Command::Connect {
            connection: FIRST_CLIENT_CONNECTION + u32::from(input.any() % 4),
            peer: IpEndpoint::new(IpAddress::v4(10, 0, 0, input.any()), u16::from(input.any())),
            local: IpListenEndpoint { addr: None, port: u16::from(kind & 8) },
        },
    };
    stack.command(session, command, now);
}

/// A frame: as it is, or addressed to us and with its checksums put right; also with the numbers that only a peer on the link knows.
fn frame(step: u8, input: &mut Input<'_>, heard: &mut Heard) -> Vec<u8> {
    let mut frame = input.piece(FRAME_MAX).to_vec();
    if step & 64 == 0 && frame.len() >= 14 {
        frame[..6].copy_from_slice(&MAC);
        put_right(&mut frame, (step & 32 == 0).then_some(heard));
    }
    frame
}

fn put_right(frame: &mut [u8], heard: Option<&mut Heard>) {
    let Ok(mut ethernet) = EthernetFrame::new_checked(frame) else { return };
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let Ok(mut packet) = Ipv4Packet::new_checked(ethernet.payload_mut()) else { return };
            packet.fill_checksum();
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            put_transport_right(packet.next_header(), from, to, packet.payload_mut(), heard);
        }
        EthernetProtocol::Ipv6 => {
            let Ok(mut packet) = Ipv6Packet::new_checked(ethernet.payload_mut()) else { return };
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            put_transport_right(packet.next_header(), from, to, packet.payload_mut(), heard);
        }
        _ => {}
    }
}

fn put_transport_right(
    protocol: IpProtocol,
    from: IpAddress,
    to: IpAddress,
    payload: &mut [u8],
    heard: Option<&mut Heard>,
) {
    match protocol {
        IpProtocol::Tcp => {
            if let Ok(mut segment) = TcpPacket::new_checked(payload) {
                if let Some(heard) = heard.filter(|_| segment.ack()) {
                    segment.set_ack_number(TcpSeqNumber(heard.ack.cast_signed()));
                }
                segment.fill_checksum(&from, &to);
            }
        }
        IpProtocol::Udp => {
            if let Ok(mut datagram) = UdpPacket::new_checked(payload) {
                if let Some(heard) = heard.filter(|_| datagram.src_port() == 53) {
                    heard.queries.swap(0, 1);
                    let (port, number) = heard.queries[1];
                    datagram.set_dst_port(port);
                    datagram.payload_mut().iter_mut().zip(number).for_each(|(to, from)| *to = from);
                }
                datagram.fill_checksum(&from, &to);
            }
        }
        IpProtocol::Icmp => {
            if let Ok(mut message) = Icmpv4Packet::new_checked(payload) {
                message.fill_checksum();
            }
        }
        _ => {}
    }
}

/// netd's parameters: four lines.
pub fn target_netd_parameters(data: &[u8]) {
    let _ = read_parameters(data);
}

fn read_parameters(data: &[u8]) -> Result<Parameters, &'static str> {
    let text = String::from_utf8_lossy(data);
    let names = ["address", "gateway", "dns", "dhcp_patience_ms"];
    Parameters::read(|name| text.lines().nth(names.iter().position(|known| *known == name)?))
}

pub(super) fn are_parameters(data: &[u8]) -> bool {
    read_parameters(data).is_ok()
}

pub(super) fn parameters() -> Vec<Vec<u8>> {
    vec![b"192.168.7.2/24\n192.168.7.1\n192.168.7.1, fd00::1\n1500".to_vec()]
}

const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Ethernet and IPv4 headers, without checksums, in front of a payload.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(20 + payload.len()).unwrap_or(0);
    let header = [0x45, 0, 0, length, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
    [&MAC[..], &PEER, &[8, 0], &header, payload].concat()
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let send = |frame: &[u8]| [&[0, 0, u8::try_from(frame.len()).unwrap_or(0)], frame].concat();
    let arp =
        [&MAC[..], &PEER, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &PEER, &[10, 0, 0, 2], &[0; 6], &[10, 0, 0, 1]].concat();
    let syn =
        ipv4(6, &[&[0x4e, 0x20, 0, 80, 0, 0, 0, 9, 0, 0, 0, 0, 0x60, 2, 4, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4][..]].concat());
    let text =
        ipv4(6, &[&[0x4e, 0x20, 0, 80, 0, 0, 0, 10, 0, 0, 0, 0, 0x50, 0x18, 4, 0, 0, 0, 0, 0][..], b"hello"].concat());
    let ping = ipv4(1, &[8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4]);
    let dns = [&[0, 53, 0, 53, 0, 27, 0, 0, 0, 1, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0][..], &[1, b'a', 0]].concat();
    let answer = |kind: u8| {
        let kind = [0, kind, 0, 1];
        send(&ipv4(17, &[&dns[..], &kind].concat()))
    };
    let wait = [29, 20];
    let server = [&send(&arp)[..], &wait, &send(&syn), &wait, &send(&text), &send(&ping), &[12, 3, 31, 255]].concat();
    let client = [
        &send(&arp)[..],
        &[12, 7, 1, 2, 80, 29, 50, 23, 0, 1, b'a'],
        &answer(1),
        &answer(28),
        &[24, 22, 2, 9, 0, 0, 2, 1, 2],
    ]
    .concat();
    vec![server, client]
}

#[cfg(test)]
mod tests {
    use super::{run, samples};

    #[test]
    fn samples_reach_connections_their_data_and_answers_to_queries() {
        let reached: Vec<[usize; 3]> = samples().iter().map(|sample| run(sample)).collect();
        assert!((0..3).all(|what| reached.iter().any(|reached| reached[what] > 0)), "{reached:?}");
    }
}
