//! Datagrams and names for programs, with a peer at the other end of the cable that echoes, and answers for names as it likes.
use super::std::all_said;
use crate::cable::{ADDRESS_V6, MAC, Peer};
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, LAST, SAY_WITHIN, Scenario, Stage, last_lines};
use anyhow::{Context, Result, ensure};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp::UdpMetadata;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet, IpAddress, IpEndpoint, IpProtocol,
    Ipv6Address, Ipv6Packet, Ipv6Repr,
};
use std::time::{Duration, Instant};

/// The guest's addresses: the fallback of images/gateway, and link-local.
const GUEST: IpAddress = IpAddress::v4(10, 0, 2, 15);
const GUEST_V6: IpAddress = IpAddress::v6(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe12, 0x3456);
/// The peer's first address, from which no name server answers.
const OTHER: IpAddress = IpAddress::v4(10, 0, 2, 2);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(500);
/// Addresses of `many.test`: more than a datagram of 512 bytes holds.
const MANY: u8 = 40;
/// Bytes before the question of a query.
const HEADER: usize = 12;
const A: u16 = 1;
const AAAA: u16 = 28;

/// What the two programs must have said, whatever comes first.
const LINES: [&str; 13] = [
    "I echo-udp: nothing comes: true",
    "I echo-udp: a broadcast: Err(PermissionDenied)",
    "I echo-udp: a broadcast allowed: Some(1)",
    "I echo-udp: a group: Err(Some(92))",
    "I echo-udp: too long: Err(Some(90))",
    "I echo-udp: localhost is Ok([[::1]:80, 127.0.0.1:80])",
    "I names: answer of 17 bytes, 12 taken: hello, other, cut off: yes, from the peer: yes",
    "I names: both.test: 10.0.2.2 fd00::77, 2 in all",
    "I names: none.test: Name does not resolve",
    "I names: forged.test: 10.0.2.77, 1 in all",
    "I names: silent.test: Try again",
    "I names: ended with status 0",
    "I names: loop.test: Name has no usable address",
];

pub(super) fn all() -> Vec<Scenario> {
    let hardware = || Hardware { has_open_cable: true, ..Hardware::default() };
    vec![Scenario {
        name: "datagrams".into(),
        about: "programs echo datagrams of both families and look up names: found, none, too long, forged, broken, no answer"
            .into(),
        image: Image::Product("gateway-std"),
        hardware: hardware(),
        run: datagrams,
    },
    Scenario {
        name: "names-v6".into(),
        about: "a router tells a name server that is reached over IPv6 only: names are looked up, a long answer over a connection, too".into(),
        image: Image::Product("gateway-std"),
        hardware: hardware(),
        run: names_over_v6,
    }]
}

/// The peer and its sockets.
struct Host {
    peer: Peer,
    names: SocketHandle,
    long_names: SocketHandle,
    echo: SocketHandle,
    own: SocketHandle,
    /// What came of a query over a connection.
    long_query: Vec<u8>,
    /// Queries over a connection that were answered.
    long_answers: u32,
    /// Names are answered for at the IPv6 address only.
    is_v6_only: bool,
}

impl Host {
    fn plug_in(stage: &Stage, is_v6_only: bool) -> Result<Self> {
        let mut peer = Peer::plug_in(stage.port, SAY_WITHIN)?;
        let (names, long_names) = (peer.datagrams(53)?, peer.listen(53)?);
        let (echo, own) = (peer.datagrams(9)?, peer.datagrams(4000)?);
        Ok(Self { peer, names, long_names, echo, own, long_query: Vec::new(), long_answers: 0, is_v6_only })
    }
}

/// The name server of the fallback, at 10.0.2.3, is silent.
fn names_over_v6(stage: &mut Stage) -> Result<()> {
    let mut host = Host::plug_in(stage, true)?;
    host.until(stage, "no DHCP server answers: address 10.0.2.15/24", BOOT_WITHIN)?;
    host.peer.send_raw(&advertisement())?;
    host.until(stage, "names: ended with status", SAY_WITHIN)?;
    let log = all_said(
        stage,
        &["I names: both.test: 10.0.2.2 fd00::77, 2 in all", "I names: none.test: Name does not resolve"],
    )?;
    ensure!(
        log.contains(&format!(", {MANY} in all")) && host.long_answers > 0,
        "the long answer was not asked for again"
    );
    stage.compare_live()?;
    stage.power_off()
}

/// A router that is none for other traffic, and that tells the peer as a name server for an hour (RFC 8106).
fn advertisement() -> Vec<u8> {
    let (source, target) = (ADDRESS_V6, Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let mut message = vec![134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([25, 3, 0, 0, 0, 0, 14, 16]);
    message.extend(source.octets());
    Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&source, &target);
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: target,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.len(),
        hop_limit: 255,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(MAC),
        dst_addr: EthernetAddress([0x33, 0x33, 0, 0, 0, 1]),
        ethertype: EthernetProtocol::Ipv6,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + message.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    packet.payload_mut().copy_from_slice(&message);
    bytes
}

fn datagrams(stage: &mut Stage) -> Result<()> {
    let mut host = Host::plug_in(stage, false)?;
    host.until(stage, "echo-udp: listening on [::]:7", BOOT_WITHIN)?;
    host.until(stage, "no DHCP server answers: address 10.0.2.15/24", BOOT_WITHIN)?;
    for guest in [GUEST, GUEST_V6] {
        host.talk(guest).with_context(|| format!("with {guest}"))?;
    }
    host.until(stage, "names: ended with status", SAY_WITHIN)?;
    let log = all_said(stage, &LINES)?;
    // The addresses of an answer that was too long for a datagram came over a connection.
    ensure!(
        log.contains(&format!(", {MANY} in all")) && host.long_answers > 0,
        "the long answer was not asked for again"
    );
    ensure!(!log.contains("66.66.66.66"), "a forged answer was believed");
    stage.command("kill netd", "\n> ")?;
    host.talk(GUEST).context("after the host stack came back")?;
    stage.compare_live()?;
    stage.power_off()
}

impl Host {
    /// Serves until the console has said something.
    fn until(&mut self, stage: &mut Stage, text: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !stage.console().text().contains(text) {
            let last = || last_lines(&stage.machine.console.text(), LAST);
            ensure!(Instant::now() < deadline, "not on the console: {text}. Its last lines:\n{}", last());
            let until = Instant::now() + Duration::from_millis(100);
            while Instant::now() < until {
                self.serve()?;
            }
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        if let Some((bytes, from)) = self.peer.next_datagram(self.echo)? {
            self.peer.send_datagram(self.echo, &bytes, from)?;
        }
        if let Some((query, from)) = self.peer.next_datagram(self.names)? {
            self.answer(&query, from)?;
        }
        // Length and query are pieces of a stream: how they are cut is the guest's matter.
        self.long_query.extend(self.peer.take_received(self.long_names));
        if let Some(query) = whole_message(&self.long_query) {
            let answer = found(query, &many());
            let length = u16::try_from(answer.len())?.to_be_bytes();
            self.peer.send_and_finish(self.long_names, &[&length[..], &answer].concat())?;
            self.long_names = self.peer.listen(53)?;
            self.long_query.clear();
            self.long_answers += 1;
        }
        Ok(())
    }

    /// Plays the name server. What comes goes back from the address to which it came.
    fn answer(&mut self, query: &[u8], from: UdpMetadata) -> Result<()> {
        let Some((name, kind)) = question(query) else { return Ok(()) };
        if self.is_v6_only && !matches!(from.local_address, Some(IpAddress::Ipv6(_))) {
            return Ok(());
        }
        let v4 = |last: u8| found(query, &[vec![10, 0, 2, last]]);
        let forged = found(query, &[vec![66, 66, 66, 66]]);
        let answer = match (name.as_str(), kind) {
            ("both.test", A) => v4(2),
            ("both.test", AAAA) => found(query, &[[&[0xfd][..], &[0; 14], &[0x77]].concat()]),
            ("many.test", A) => truncated(query),
            ("forged.test", A) => {
                // Of another query, and from another host.
                let mut other = forged.clone();
                other[0] ^= 1;
                self.peer.send_datagram(self.names, &other, from)?;
                if !self.is_v6_only {
                    self.peer.send_datagram(self.names, &forged, UdpMetadata { local_address: Some(OTHER), ..from })?;
                }
                v4(77)
            }
            ("loop.test", A) => looping(query),
            ("silent.test", _) => return Ok(()),
            ("none.test", _) => none(query, 3),
            _ => none(query, 0),
        };
        self.peer.send_datagram(self.names, &answer, from)
    }

    /// Datagrams of some lengths come back as they were, to the peer as which they were seen.
    fn talk(&mut self, guest: IpAddress) -> Result<()> {
        for length in [1, 64, 1400] {
            let sent: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
            let back = self.ask(guest, &sent)?;
            ensure!(back == sent, "{length} bytes came back as {}", back.len());
        }
        self.ask(guest, b"who am I").context("which says as whom it sees the peer")?;
        Ok(())
    }

    /// Sends it until an answer comes: the network may lose it, and the guest may not be there yet.
    fn ask(&mut self, guest: IpAddress, bytes: &[u8]) -> Result<Vec<u8>> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < deadline {
            self.peer.send_datagram(self.own, bytes, IpEndpoint::new(guest, 7).into())?;
            let until = Instant::now() + AGAIN;
            while Instant::now() < until {
                self.serve()?;
                if let Some((answer, from)) = self.peer.next_datagram(self.own)?
                    && (if bytes == b"who am I" { answer.ends_with(b":4000") } else { answer.len() == bytes.len() })
                {
                    ensure!(from.endpoint.addr == guest, "an answer from {}", from.endpoint);
                    return Ok(answer);
                }
            }
        }
        anyhow::bail!("no answer")
    }
}

/// The message behind its length, once all of it is there.
fn whole_message(stream: &[u8]) -> Option<&[u8]> {
    let (length, rest) = stream.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// The name and type that a query asks for.
fn question(query: &[u8]) -> Option<(String, u16)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at + 1..=at + length)?).into_owned());
        at += 1 + length;
    }
    let kind = query.get(at + 1..at + 3)?;
    Some((labels.join("."), u16::from_be_bytes([kind[0], kind[1]])))
}

/// A length as the messages have it; no message of these tests is near the largest.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// An answer's header with these flags and so many records, and the question again.
fn head(query: &[u8], flags: u16, records: u16) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2..4].copy_from_slice(&flags.to_be_bytes());
    answer[6..8].copy_from_slice(&records.to_be_bytes());
    answer[8..12].fill(0);
    answer
}

/// All these addresses, of the kind that was asked for.
fn found(query: &[u8], addresses: &[Vec<u8>]) -> Vec<u8> {
    let mut answer = head(query, 0x8180, short(addresses.len()));
    let kind = question(query).map_or(A, |(_, kind)| kind).to_be_bytes();
    for address in addresses {
        // The name is that of the question; class IN, a minute to live.
        answer.extend([0xc0, 0x0c, kind[0], kind[1], 0, 1, 0, 0, 0, 60]);
        answer.extend(short(address.len()).to_be_bytes());
        answer.extend(address);
    }
    answer
}

fn many() -> Vec<Vec<u8>> {
    (0..MANY).map(|last| vec![10, 0, 9, last]).collect()
}

/// The first of many, and that there are more.
fn truncated(query: &[u8]) -> Vec<u8> {
    let mut answer = found(query, &many()[..8]);
    answer[2] |= 2;
    answer
}

/// No such name (3), or none of this type (0).
fn none(query: &[u8], code: u16) -> Vec<u8> {
    head(query, 0x8180 | code, 0)
}

/// A record whose name refers to itself, and whose length is more than there is.
fn looping(query: &[u8]) -> Vec<u8> {
    let mut answer = head(query, 0x8180, 2);
    let own = (short(answer.len()) | 0xc000).to_be_bytes();
    answer.extend([own[0], own[1], 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, own[0], own[1]]);
    answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 66, 66]);
    answer
}

#[cfg(test)]
mod tests {
    use super::whole_message;

    #[test]
    fn message_of_a_stream_is_whole_when_all_its_bytes_are_there() {
        let stream = [0, 3, b'a', b'b', b'c', 0];
        assert!((0..5).all(|length| whole_message(&stream[..length]).is_none()));
        assert_eq!(whole_message(&stream), Some(&b"abc"[..]));
    }
}
