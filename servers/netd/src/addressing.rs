//! The host's addresses, routes and name servers: DHCP, static fallback, IPv6 link-local; answers nobody.
use crate::parameters::{DNS_MAX, Parameters};
use alloc::vec::Vec;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, dns};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Address, Ipv4Cidr, Ipv6Address, Ipv6Cidr};

/// A DISCOVER is repeated so often.
const DISCOVER_AGAIN: Duration = Duration::from_secs(2);

/// Where the addresses come from.
pub(crate) struct Addressing {
    parameters: Parameters,
    dhcp: SocketHandle,
    /// Without an answer by then, the fallback is used.
    fall_back_at: Option<Instant>,
    gateway: Option<Ipv4Address>,
    /// Name servers of DHCP, or those that were configured.
    own_servers: Vec<IpAddress>,
    /// These, and then those that routers tell, as far as there is room.
    servers: Vec<IpAddress>,
    is_dhcp: bool,
}

impl Addressing {
    /// Sets the link-local address and starts DHCP.
    pub(crate) fn new(
        parameters: Parameters,
        now: Instant,
        interface: &mut Interface,
        base: &mut SocketSet<'static>,
    ) -> Self {
        let mut socket = dhcpv4::Socket::new();
        let mut retry = socket.get_retry_config();
        retry.discover_timeout = DISCOVER_AGAIN;
        socket.set_retry_config(retry);
        let link_local = Ipv6Cidr::new(Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);
        if let Some(address) = Ipv6Cidr::from_link_prefix(&link_local, interface.hardware_addr()) {
            add_address(interface, IpCidr::Ipv6(address));
        }
        Self {
            fall_back_at: parameters.fallback.as_ref().map(|_| now + parameters.patience),
            own_servers: parameters.dns.clone(),
            servers: parameters.dns.clone(),
            parameters,
            dhcp: base.add(socket),
            gateway: None,
            is_dhcp: false,
        }
    }

    /// Takes over what DHCP has learnt, and falls back when its time has come.
    pub(crate) fn update(
        &mut self,
        now: Instant,
        interface: &mut Interface,
        base: &mut SocketSet<'static>,
        names: SocketHandle,
        advertised: impl Iterator<Item = Ipv6Address>,
    ) {
        match base.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll() {
            Some(dhcpv4::Event::Configured(config)) => {
                let (address, router) = (config.address, config.router);
                let offered: Vec<IpAddress> = config.dns_servers.iter().map(|&server| server.into()).collect();
                self.is_dhcp = true;
                self.fall_back_at = None;
                self.own_servers = if offered.is_empty() { self.parameters.dns.clone() } else { offered };
                self.set_ipv4(Some(address), router, interface);
                log::info!("DHCP: address {address}, router {}", Shown(router));
            }
            Some(dhcpv4::Event::Deconfigured) if self.is_dhcp => {
                self.is_dhcp = false;
                self.fall_back_at = self.parameters.fallback.as_ref().map(|_| now + self.parameters.patience);
                self.own_servers = self.parameters.dns.clone();
                self.set_ipv4(None, None, interface);
                log::warn!("DHCP: the lease has ended");
            }
            Some(dhcpv4::Event::Deconfigured) | None => {}
        }
        if self.fall_back_at.is_some_and(|at| at <= now) {
            self.fall_back_at = None;
            if let Some(fallback) = self.parameters.fallback.clone() {
                self.set_ipv4(Some(fallback.address), fallback.gateway, interface);
                log::info!("no DHCP server answers: address {}, router {}", fallback.address, Shown(fallback.gateway));
            }
        }
        self.servers.clear();
        let all = self.own_servers.iter().copied().chain(advertised.map(IpAddress::Ipv6));
        self.servers.extend(all.take(DNS_MAX));
        base.get_mut::<dns::Socket<'_>>(names).update_servers(&self.servers);
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.fall_back_at
    }

    fn set_ipv4(&mut self, address: Option<Ipv4Cidr>, router: Option<Ipv4Address>, interface: &mut Interface) {
        let has_it = |interface: &Interface, address| interface.ip_addrs().contains(&IpCidr::Ipv4(address));
        if !address.is_some_and(|address| has_it(interface, address)) {
            interface.update_ip_addrs(|addresses| addresses.retain(|cidr| !matches!(cidr, IpCidr::Ipv4(_))));
            if let Some(address) = address {
                add_address(interface, IpCidr::Ipv4(address));
            }
        }
        self.gateway = router;
        interface.routes_mut().remove_default_ipv4_route();
        if let Some(router) = router
            && interface.routes_mut().add_default_ipv4_route(router).is_err()
        {
            log::warn!("no room for the route by {router}");
        }
    }

    pub(crate) fn gateway(&self) -> Option<Ipv4Address> {
        self.gateway
    }

    pub(crate) fn servers(&self) -> &[IpAddress] {
        &self.servers
    }

    pub(crate) fn is_dhcp(&self) -> bool {
        self.is_dhcp
    }
}

/// Adds an address unless it is there. Room: decision 0062 counts the addresses that can come together.
pub(crate) fn add_address(interface: &mut Interface, address: IpCidr) {
    let mut has_room = true;
    interface.update_ip_addrs(|addresses| {
        has_room = addresses.contains(&address) || addresses.push(address).is_ok();
    });
    if !has_room {
        log::warn!("no room for the address {address}");
    }
}

/// From which address the host sends to `peer`; none if that is neither on the link nor behind a router of its family.
pub(crate) fn source(interface: &Interface, peer: &IpAddress) -> Option<IpAddress> {
    let is_near = interface.ip_addrs().iter().any(|cidr| cidr.contains_addr(peer));
    let routes = interface.routes();
    let has_router = match peer {
        IpAddress::Ipv4(_) => routes.get_default_ipv4_route().is_some(),
        IpAddress::Ipv6(_) => routes.get_default_ipv6_route().is_some(),
    };
    let has_way = is_near || has_router || peer.is_multicast() || peer.is_broadcast();
    if has_way { interface.get_source_address(peer) } else { None }
}

/// The interface's MAC address; it has no other kind of hardware address.
pub(crate) fn mac(interface: &Interface) -> [u8; 6] {
    match interface.hardware_addr() {
        HardwareAddress::Ethernet(address) => address.0,
    }
}

struct Shown(Option<Ipv4Address>);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("none"),
        }
    }
}
