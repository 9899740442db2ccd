//! IPv6 addresses, router and name servers from advertisements (RFC 4862, 8106); no duplicate detection.
//!
//! smoltcp has its own, but it loses the deadlines of all sockets once no router is known (`Interface::poll_at` takes the
//! minimum with a missing value), so it is not used: decision 0062.
use crate::addressing::{self, add_address};
use crate::port::{Frames, Traffic};
use crate::rdnss::NameServers;
use alloc::vec::Vec;
use smoltcp::iface::Interface;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, Icmpv6Message, Icmpv6Packet,
    Icmpv6Repr, IpCidr, IpProtocol, Ipv6Address, Ipv6Cidr, Ipv6Packet, Ipv6Repr, NdiscPrefixInfoFlags,
    NdiscPrefixInformation, NdiscRepr,
};

/// RFC 4861 §10: MAX_RTR_SOLICITATIONS and RTR_SOLICITATION_INTERVAL.
const SOLICITATIONS: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// Prefixes that give this host an address; further ones are ignored.
const PREFIXES_MAX: usize = 3;
/// RFC 4862 §5.5.3 e: an unauthenticated advertisement cannot shorten a lifetime below this.
const LIFETIME_FLOOR: Duration = Duration::from_secs(2 * 60 * 60);
/// RFC 4861 §6.1.2: a router advertisement comes from this link.
const HOP_LIMIT: u8 = 255;
/// RFC 4861 §4.2: bytes before the options.
const ADVERTISEMENT_HEAD: usize = 16;
const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_ROUTERS_MAC: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 2]);

/// What routers have advertised.
pub(crate) struct Slaac {
    addresses: Vec<(Ipv6Cidr, Instant)>,
    router: Option<(Ipv6Address, Instant)>,
    name_servers: NameServers,
    solicitations_left: u8,
    solicit_at: Instant,
}

struct Advertisement<'a> {
    router: Ipv6Address,
    router_lifetime: Duration,
    prefix: Option<NdiscPrefixInformation>,
    options: &'a [u8],
}

impl Slaac {
    pub(crate) fn new(now: Instant) -> Self {
        let name_servers = NameServers::default();
        Self { addresses: Vec::new(), router: None, name_servers, solicitations_left: SOLICITATIONS, solicit_at: now }
    }

    /// Looks whether a received frame is a router advertisement, and takes over what it says.
    pub(crate) fn observe(&mut self, frame: &[u8], now: Instant, interface: &mut Interface) {
        let Some(advertisement) = advertisement(frame) else { return };
        self.solicitations_left = 0;
        self.name_servers.observe(advertisement.options, now);
        if advertisement.router_lifetime > Duration::ZERO {
            let router = (advertisement.router, now + advertisement.router_lifetime);
            match self.router {
                Some((known, until)) if known != advertisement.router && until > now => {}
                _ => self.set_router(Some(router), interface),
            }
        } else if self.router.is_some_and(|(known, _)| known == advertisement.router) {
            self.set_router(None, interface);
        }
        if let Some(prefix) = advertisement.prefix {
            self.take_prefix(&prefix, now, interface);
        }
    }

    fn take_prefix(&mut self, prefix: &NdiscPrefixInformation, now: Instant, interface: &mut Interface) {
        let is_for_addresses = prefix.flags.contains(NdiscPrefixInfoFlags::ADDRCONF);
        let is_sane = prefix.preferred_lifetime <= prefix.valid_lifetime
            && !prefix.prefix.is_unicast_link_local()
            && !prefix.prefix.is_multicast()
            && !prefix.prefix.is_unspecified()
            && prefix.prefix_len == 64;
        if !is_for_addresses || !is_sane {
            return;
        }
        let network = Ipv6Cidr::new(prefix.prefix, prefix.prefix_len);
        let Some(address) = Ipv6Cidr::from_link_prefix(&network, interface.hardware_addr()) else { return };
        let until = now + prefix.valid_lifetime;
        if let Some((_, known)) = self.addresses.iter_mut().find(|(known, _)| *known == address) {
            *known = until.max((*known).min(now + LIFETIME_FLOOR));
        } else if prefix.valid_lifetime > Duration::ZERO && self.addresses.len() < PREFIXES_MAX {
            self.addresses.push((address, until));
            add_address(interface, IpCidr::Ipv6(address));
            log::info!("router advertisement: address {address}");
        }
    }

    fn set_router(&mut self, router: Option<(Ipv6Address, Instant)>, interface: &mut Interface) {
        let is_new = self.router.map(|(address, _)| address) != router.map(|(address, _)| address);
        self.router = router;
        if !is_new {
            return;
        }
        interface.routes_mut().remove_default_ipv6_route();
        if let Some((address, _)) = router
            && interface.routes_mut().add_default_ipv6_route(address).is_err()
        {
            log::warn!("no room for the route by {address}");
        }
    }

    /// Asks for routers, and forgets what has expired. Whether that was a name server.
    pub(crate) fn update<F: Frames>(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        frames: &mut F,
        traffic: &mut Traffic,
    ) -> bool {
        if self.solicitations_left > 0 && self.solicit_at <= now && frames.has_room() {
            self.solicitations_left -= 1;
            self.solicit_at = now + SOLICITATION_INTERVAL;
            let frame = solicitation(interface);
            frames.transmit(&frame);
            traffic.frames_out += 1;
            traffic.bytes_out += frame.len() as u64;
        }
        if self.router.is_some_and(|(_, until)| until <= now) {
            self.set_router(None, interface);
        }
        if self.addresses.iter().any(|&(_, until)| until <= now) {
            let expired = |cidr: &IpCidr, known: &[(Ipv6Cidr, Instant)]| {
                known.iter().any(|&(address, until)| *cidr == IpCidr::Ipv6(address) && until <= now)
            };
            interface.update_ip_addrs(|all| all.retain(|cidr| !expired(cidr, &self.addresses)));
            self.addresses.retain(|&(_, until)| until > now);
        }
        self.name_servers.expire(now)
    }

    /// The name servers that routers told.
    pub(crate) fn name_servers(&self) -> impl Iterator<Item = Ipv6Address> {
        self.name_servers.addresses()
    }

    /// When to update although nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let solicit = (self.solicitations_left > 0).then_some(self.solicit_at);
        let router = self.router.map(|(_, until)| until);
        let others = [solicit, router, self.name_servers.deadline()].into_iter().flatten();
        self.addresses.iter().map(|&(_, until)| until).chain(others).min()
    }
}

/// A valid router advertisement (RFC 4861 §6.1.2), if the frame is one.
fn advertisement(frame: &[u8]) -> Option<Advertisement<'_>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv6 {
        return None;
    }
    let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let is_here = destination == ALL_NODES || destination.is_unicast_link_local();
    if packet.next_header() != IpProtocol::Icmpv6
        || packet.hop_limit() != HOP_LIMIT
        || !source.is_unicast_link_local()
        || !is_here
    {
        return None;
    }
    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    if message.msg_type() != Icmpv6Message::RouterAdvert || message.msg_code() != 0 {
        return None;
    }
    match Icmpv6Repr::parse(&source, &destination, &message, &ChecksumCapabilities::default()).ok()? {
        Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert { router_lifetime, prefix_info, .. }) => {
            let options = packet.payload().get(ADVERTISEMENT_HEAD..)?;
            Some(Advertisement { router: source, router_lifetime, prefix: prefix_info, options })
        }
        _ => None,
    }
}

/// A router solicitation from the link-local address.
fn solicitation(interface: &Interface) -> Vec<u8> {
    let source = interface.get_source_address_ipv6(&ALL_ROUTERS);
    let mac = EthernetAddress(addressing::mac(interface));
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr: Some(HardwareAddress::Ethernet(mac).into()) });
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: ALL_ROUTERS,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: HOP_LIMIT,
    };
    let ethernet = EthernetRepr { src_addr: mac, dst_addr: ALL_ROUTERS_MAC, ethertype: EthernetProtocol::Ipv6 };
    let mut bytes = alloc::vec![0; ethernet.buffer_len() + ip.buffer_len() + message.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    let mut icmp = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&source, &ALL_ROUTERS, &mut icmp, &ChecksumCapabilities::default());
    bytes
}
