//! Wires the driver's link, the alarm and the clients' sessions to the stack; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;
use libhybrid::interfaces::net::link::{LinkClient, LinkRings};
use libhybrid::interfaces::net::stack::{TcpRings, UdpRings};
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Component, EndpointCaller, Env, SessionHandle, log, now_ns};
use netd::{EthernetAddress, Interfaces, LinkPort, Netd, Parameters, ResolverSession, Stack, TcpSession, UdpSession};

libhybrid::component!(run);

struct Wired(Netd<EndpointCaller>);

impl Component for Wired {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        self.0.call(incoming, outgoing);
    }

    fn on_bell(&mut self, _bits: u64) {
        self.0.turn();
    }
}

fn run(env: Env) -> ! {
    let parameters = Parameters::read(|name| env.parameter(name)).unwrap_or_else(|name| {
        log::error!("parameter `{name}` makes no sense; all are ignored");
        Parameters::default()
    });
    let mac = match LinkClient::new(env.client("link")).properties() {
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
        seed(&env, mac),
        LinkPort::new(rings, session.bell),
        (tcp, udp, resolver),
        interfaces,
        AlarmClient::new(env.client("alarm")),
        now_ns,
    );
    netd.turn();
    env.serve(&mut Wired(netd))
}

fn sessions<T>(env: &Env, name: &str, make: impl Fn(u16, &SessionHandle) -> T) -> Vec<T> {
    let client = |session: &SessionHandle| session.client.map_or(0, |client| client.instance);
    env.provided(name).iter().map(|session| make(client(session), session)).collect()
}

/// Differs from boot to boot by the counter, from device to device by the address. It can be guessed: this version of the system
/// has no source of randomness (KNOWN-PROBLEMS.md).
fn seed(env: &Env, mac: EthernetAddress) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    let address = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    // The finaliser of SplitMix64 (Steele, Lea, Flood 2014) spreads the few bits that differ.
    let mut seed = now_ns() ^ env.start().boot_ns.rotate_left(32) ^ address.rotate_left(16);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}
