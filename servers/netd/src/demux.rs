//! Finds out which connection a frame belongs to, before the stack proper looks at it; decides nothing else.
//!
//! Headers are read and TCP's checksum is checked; addresses and sequence numbers are smoltcp's to check once the frame
//! has been handed to the right socket. Frames that this page does not understand (fragments,
//! IPv6 extension headers) count as no connection's.
use crate::checksum;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpEndpoint, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

/// The two ends of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tuple {
    /// This host's end.
    pub(crate) local: IpEndpoint,
    /// The peer's end.
    pub(crate) remote: IpEndpoint,
}

/// What the headers say about a TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it belongs.
    pub(crate) tuple: Tuple,
    /// It asks for a new connection: SYN without ACK or RST.
    pub(crate) is_open: bool,
    /// Its checksum is right.
    pub(crate) is_sound: bool,
}

/// The TCP segment in a received frame, if there is a whole one.
pub(crate) fn segment(frame: &[u8]) -> Option<Segment> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
            if packet.next_header() != IpProtocol::Tcp || packet.more_frags() || packet.frag_offset() != 0 {
                return None;
            }
            tcp(packet.dst_addr().into(), packet.src_addr().into(), packet.payload())
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
            if packet.next_header() != IpProtocol::Tcp {
                return None;
            }
            tcp(packet.dst_addr().into(), packet.src_addr().into(), packet.payload())
        }
        _ => None,
    }
}

/// Whether a received frame can make a neighbour known: ARP, or ICMPv6.
pub(crate) fn is_about_neighbors(frame: &[u8]) -> bool {
    let Ok(frame) = EthernetFrame::new_checked(frame) else { return false };
    match frame.ethertype() {
        EthernetProtocol::Arp => true,
        EthernetProtocol::Ipv6 => {
            Ipv6Packet::new_checked(frame.payload()).is_ok_and(|packet| packet.next_header() == IpProtocol::Icmpv6)
        }
        _ => false,
    }
}

fn tcp(local: IpAddress, remote: IpAddress, payload: &[u8]) -> Option<Segment> {
    let packet = TcpPacket::new_checked(payload).ok()?;
    let tuple =
        Tuple { local: IpEndpoint::new(local, packet.dst_port()), remote: IpEndpoint::new(remote, packet.src_port()) };
    let is_sound = checksum::is_right(local, remote, payload);
    Some(Segment { tuple, is_open: packet.syn() && !packet.ack() && !packet.rst(), is_sound })
}
