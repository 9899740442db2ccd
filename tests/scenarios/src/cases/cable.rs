//! The network from the other end of the cable: no DHCP server, IPv6, floods and noise.
use crate::cable::{MAC, Peer};
use crate::hardware::Hardware;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Result, ensure};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet,
    Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};
use std::time::Duration;

/// QEMU's default address of the first card, and the guest's addresses: the fallback of images/gateway, and link-local.
const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const GUEST: IpAddress = IpAddress::v4(10, 0, 2, 15);
const GUEST_V6: IpAddress = IpAddress::v6(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe12, 0x3456);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
const NOISE_FRAMES: usize = 30_000;
const FLOOD_SYNS: u16 = 5_000;

pub(super) fn all() -> Vec<Scenario> {
    let scenario = |name: &str, about: &str, run: fn(&mut Stage) -> Result<()>| {
        let hardware = Hardware { has_open_cable: true, ..Hardware::default() };
        Scenario { name: name.into(), about: about.into(), image: Image::Product("gateway"), hardware, run }
    };
    vec![
        scenario(
            "cable-addresses",
            "without a DHCP server the fallback address is used; IPv4 and IPv6 answer pings and serve the page",
            addresses,
        ),
        scenario("cable-hostile", "floods of SYNs and frames of noise harm nobody", hostile),
    ]
}

/// Plugs the peer in and waits for the fallback address.
fn fallen_back(stage: &mut Stage) -> Result<Peer> {
    let peer = Peer::plug_in(stage.port, SAY_WITHIN)?;
    stage.console().expect("no DHCP server answers: address 10.0.2.15/24", BOOT_WITHIN)?;
    Ok(peer)
}

fn page(peer: &mut Peer, target: IpAddress) -> Result<()> {
    let answer = peer.exchange(target, 80, REQUEST, ANSWER_WITHIN)?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(text.starts_with("HTTP/1.1 200 ") && text.contains("gateway"), "not the page: {:.300}", text);
    Ok(())
}

fn addresses(stage: &mut Stage) -> Result<()> {
    let mut peer = fallen_back(stage)?;
    for target in [GUEST, GUEST_V6] {
        ensure!(peer.ping(target, ANSWER_WITHIN)?, "{target} does not answer pings");
        page(&mut peer, target)?;
    }
    stage.finish()
}

fn hostile(stage: &mut Stage) -> Result<()> {
    let mut peer = fallen_back(stage)?;
    page(&mut peer, GUEST)?;
    for number in 0..FLOOD_SYNS {
        peer.send_raw(&syn(number))?;
    }
    peer.ignore_received()?;
    // The half-open connections fill the backlog for some seconds; this one's SYN is repeated until they are forgotten.
    page(&mut peer, GUEST)?;
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..NOISE_FRAMES {
        peer.send_raw(&noise(&mut chance))?;
    }
    peer.ignore_received()?;
    ensure!(peer.ping(GUEST, ANSWER_WITHIN)?, "no answer to pings after noise");
    page(&mut peer, GUEST)?;
    stage.finish()
}

/// A request for a connection from a host and port of its own each time, which never goes on.
fn syn(number: u16) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let [high, low] = number.to_be_bytes();
    let source = Ipv4Address::new(10, 0, 2, 20 + high);
    let IpAddress::Ipv4(target) = GUEST else { unreachable!("the constant is an IPv4 address") };
    let tcp = TcpRepr {
        src_port: 1024 + u16::from(low),
        dst_port: 80,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(number.into()),
        ack_number: None,
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: target,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(MAC),
        dst_addr: EthernetAddress(GUEST_MAC),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(&mut segment, &source.into(), &GUEST, &checksums);
    bytes
}

/// A frame whose first bytes look like something, and whose rest is chance (xorshift64).
fn noise(chance: &mut u64) -> Vec<u8> {
    let mut below = |bound: u64| {
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        usize::try_from(*chance % bound).unwrap_or(0)
    };
    let len = [1, 14, 20, 34, 54, 60, 1514, 1536, 2000, 14 + below(1500)][below(10)];
    let mut frame: Vec<u8> = (0..len).map(|_| below(256).to_le_bytes()[0]).collect();
    if len > 54 {
        frame[..6].copy_from_slice(&[GUEST_MAC, [0xff; 6], [0x33, 0x33, 0, 0, 0, 1]][below(3)]);
        frame[6..12].copy_from_slice(&MAC);
        frame[12..14].copy_from_slice(&[[0x08, 0x00], [0x08, 0x06], [0x86, 0xdd]][below(3)]);
        if frame[12..14] == [0x08, 0x00] && below(4) > 0 {
            header(&mut frame, [1, 6, 17][below(3)]);
        }
    }
    frame
}

/// Makes the IPv4 header right, so that the noise gets to the layer above.
fn header(frame: &mut [u8], protocol: u8) {
    let IpAddress::Ipv4(target) = GUEST else { unreachable!("the constant is an IPv4 address") };
    let ip = Ipv4Repr {
        src_addr: Ipv4Address::new(10, 0, 2, 2),
        dst_addr: target,
        next_header: protocol.into(),
        payload_len: frame.len() - 34,
        hop_limit: 64,
    };
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &ChecksumCapabilities::default());
}
