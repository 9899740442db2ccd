//! Wires the driver's link, the alarm and the clients' sessions to the stack; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;
use libhybrid::interfaces::entropy::RandomClient;
use libhybrid::interfaces::net::link::{LinkClient, LinkRings};
use libhybrid::interfaces::net::stack::{TcpRings, UdpRings};
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::{ClientId, Incoming, Outgoing};
use libhybrid::{Component, EndpointCaller, Env, PeerChange, PeerNews, SessionHandle, log, now_ns};
use netd::{
    EthernetAddress, Interfaces, Kind, LinkPort, Netd, Parameters, ResolverSession, Stack, TcpSession, UdpSession,
};

libhybrid::component!(run);

struct Wired {
    netd: Netd<EndpointCaller>,
    link: LinkClient<EndpointCaller>,
}

impl Component for Wired {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        self.netd.call(incoming, outgoing);
    }

    fn on_bell(&mut self, _bits: u64) {
        self.netd.turn();
    }

    fn has_more(&self) -> bool {
        self.netd.has_more()
    }

    fn on_peer(&mut self, change: &PeerChange) {
        match (change.of_use("link"), change.of_use("alarm")) {
            (Some(PeerNews::Gone(_)), _) => self.netd.on_link_gone(),
            (Some(PeerNews::Back), _) => self.on_link(&change.session),
            (_, Some(PeerNews::Gone(_))) => self.netd.on_alarm_gone(),
            (_, Some(PeerNews::Back)) => self.netd.on_alarm(),
            (None, None) => self.on_client(change),
        }
    }
}

impl Wired {
    fn on_link(&mut self, session: &SessionHandle) {
        match (self.link.properties(), LinkRings::client(session.region())) {
            (Ok(properties), Ok(rings)) => self.netd.on_link(EthernetAddress(properties.mac), rings),
            // It died once more, and its next instance is told as this one was.
            (Err(error), _) => log::warn!("the driver does not answer: {error}"),
            (_, Err(error)) => log::error!("the link cannot be used: {error}"),
        }
    }

    fn on_client(&mut self, change: &PeerChange) {
        for (name, kind) in [("tcp", Kind::Tcp), ("udp", Kind::Udp), ("resolver", Kind::Resolver)] {
            match (change.of_client(name), kind) {
                (Some((client, PeerNews::Gone(_))), _) => self.netd.on_client_gone(kind, client),
                (Some((client, PeerNews::Back)), Kind::Tcp) => {
                    self.netd.on_tcp_client(client, TcpRings::server(change.session.region()).ok());
                }
                (Some((client, PeerNews::Back)), Kind::Udp) => {
                    self.netd.on_udp_client(client, UdpRings::server(change.session.region()).ok());
                }
                (Some((_, PeerNews::Back)), Kind::Resolver) | (None, _) => {}
            }
        }
    }
}

fn run(env: Env) -> ! {
    let parameters = Parameters::read(|name| env.parameter(name)).unwrap_or_else(|name| {
        log::error!("parameter `{name}` makes no sense; all are ignored");
        Parameters::default()
    });
    let mut link = LinkClient::new(env.client("link"));
    let mac = match link.properties() {
        Ok(properties) => EthernetAddress(properties.mac),
        Err(error) => {
            log::error!("the driver does not answer: {error:?}");
            libhybrid::stop()
        }
    };
    let session = env.session("link");
    let Some(rings) = LinkRings::client(session.region()).ok().filter(|_| Stack::is_usable(mac)) else {
        log::error!("the link cannot be used (address {mac})");
        libhybrid::stop()
    };
    let tcp = sessions(&env, "tcp", |client, session| {
        TcpSession::new(client, TcpRings::server(session.region()).ok(), session.bell)
    });
    let udp = sessions(&env, "udp", |client, session| {
        UdpSession::new(client, UdpRings::server(session.region()).ok(), session.bell)
    });
    let resolver = sessions(&env, "resolver", |client, session| ResolverSession::new(client, session.bell));
    let interfaces = Interfaces {
        tcp: env.interface_index("tcp"),
        udp: env.interface_index("udp"),
        resolver: env.interface_index("resolver"),
        network: env.interface_index("network"),
    };
    let mut netd = Netd::new(
        mac,
        parameters,
        seed(&env),
        LinkPort::new(rings, session.bell),
        (tcp, udp, resolver),
        interfaces,
        AlarmClient::new(env.client("alarm")),
        now_ns,
    );
    netd.turn();
    env.serve(&mut Wired { netd, link })
}

fn sessions<T>(env: &Env, name: &str, make: impl Fn(ClientId, &SessionHandle) -> T) -> Vec<T> {
    env.provided(name).iter().filter_map(|session| Some(make(session.client?, session))).collect()
}

/// Comes from entropyd, which answers once it is seeded: there is no network before. smoltcp's own generator makes the rest of it.
fn seed(env: &Env) -> u64 {
    let numbers = RandomClient::new(env.client("random")).fill(8);
    match numbers.as_deref().ok().and_then(|numbers| numbers.first_chunk()) {
        Some(numbers) => u64::from_le_bytes(*numbers),
        None => {
            log::error!("no random numbers, so no sequence number would be safe");
            libhybrid::stop()
        }
    }
}
