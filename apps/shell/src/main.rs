//! Wires the shell to its capabilities; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use libhybrid::interfaces::console::TerminalRings;
use libhybrid::interfaces::device::DevicesClient;
use libhybrid::interfaces::fs::FilesClient;
use libhybrid::interfaces::live::LiveClient;
use libhybrid::interfaces::log::ReaderClient;
use libhybrid::interfaces::net::stack::NetworkClient;
use libhybrid::interfaces::process::ServicesClient;
use libhybrid::interfaces::security::{AuditClient, ControlClient, InspectClient, PolicyClient, PowerClient};
use libhybrid::{EndpointCaller, Env, PeerNews, log, now_ns, stop};
use shell::job::{Clients, Times, Wires};
use shell::screen::Screen;
use shell::shell::Shell;

libhybrid::component!(run);

struct Endpoints;

impl Wires for Endpoints {
    type Inspect = EndpointCaller;
    type Audit = EndpointCaller;
    type Control = EndpointCaller;
    type Policy = EndpointCaller;
    type Power = EndpointCaller;
    type Reader = EndpointCaller;
    type Kept = EndpointCaller;
    type Network = EndpointCaller;
    type Services = EndpointCaller;
    type Live = EndpointCaller;
    type Devices = EndpointCaller;
}

fn run(env: Env) -> ! {
    let clients = Clients::<Endpoints> {
        inspect: InspectClient::new(env.client("inspect")),
        audit: AuditClient::new(env.client("audit")),
        control: ControlClient::new(env.client("control")),
        policy: PolicyClient::new(env.client("policy")),
        power: PowerClient::new(env.client("power")),
        reader: ReaderClient::new(env.client("reader")),
        kept: FilesClient::new(env.client("kept")),
        network: NetworkClient::new(env.client("network")),
        services: ServicesClient::new(env.client("services")),
        live: LiveClient::new(env.client("live")),
        devices: DevicesClient::new(env.client("devices")),
    };
    let terminal = env.session("terminal");
    let Ok(rings) = TerminalRings::client(terminal.region()) else {
        log::error!("the region of the terminal does not fit its interface");
        stop()
    };
    let mut shell = Shell::new(clients, rings.input, Screen::new(rings.output));
    let boot_ns = env.start().boot_ns;
    loop {
        let times = || Times { now_ns: now_ns(), boot_ns };
        if let Err(error) = shell.advance(times, || terminal.bell.ring()) {
            log::error!("the terminal is gone: {error}");
            stop()
        }
        let _bits = env.wait();
        shell.on_bell();
        for change in env.peer_changes() {
            if change.of_use("services") == Some(PeerNews::Back) {
                shell.on_supervisor();
            }
            if change.of_use("terminal") == Some(PeerNews::Back)
                && let Ok(rings) = TerminalRings::client(change.session.region())
            {
                shell.begin_again(rings.input, Screen::new(rings.output));
            }
        }
    }
}
