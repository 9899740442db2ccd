//! Wires the device tree and the windows to registers to the list; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
extern crate alloc;

use alloc::vec::Vec;

use libhybrid::drv::Mmio;
use libhybrid::interfaces::device::dispatch_devices;
use libhybrid::interfaces::process::DriversClient;
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Bell, Component, EndpointCaller, Env, PeerChange, PeerNews, log, now_ns};
use udevd::Look;
use udevd::drivers::{Driver, windows};
use udevd::server::Server;
use udevd::told::Told;

libhybrid::component!(run);

/// Pages that are mapped read-only, by their physical addresses.
struct Windows(Vec<(u64, Mmio)>);

impl Look for Windows {
    fn word(&self, address: u64) -> Option<u32> {
        self.0.iter().find_map(|(base, page)| {
            let offset = usize::try_from(address.checked_sub(*base)?).ok()?;
            let is_inside = offset.is_multiple_of(4) && offset.checked_add(4).is_some_and(|end| end <= page.len());
            is_inside.then(|| page.read32(offset))
        })
    }
}

struct Udevd {
    server: Server<Windows>,
    supervisor: DriversClient<EndpointCaller>,
    said: Told,
    bells: Vec<Bell>,
    told: u64,
}

impl Component for Udevd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_devices(&mut self.server, incoming, outgoing);
        self.tell();
    }

    fn on_bell(&mut self, _bits: u64) {}

    fn on_peer(&mut self, change: &PeerChange) {
        if let Some((client, PeerNews::Gone(_))) = change.of_client("devices") {
            self.server.forget(client);
        }
        if change.of_use("drivers") == Some(PeerNews::Back) {
            self.said.forget_all();
            self.tell_supervisor();
        }
    }
}

impl Udevd {
    /// Has drivers started whose devices are there. What a supervisor does not hear that is being started anew, its next life is told.
    fn tell_supervisor(&mut self) {
        for (name, is_here) in self.said.news(self.server.drivers()) {
            let result = if is_here { self.supervisor.found(&name) } else { self.supervisor.missing(&name) };
            if let Err(error) = result {
                log::error!("the supervisor was not told of the device of {name}: {error:?}");
                self.said.forget(&name);
            }
        }
    }

    /// Rings everybody when something changed, the supervisor first.
    fn tell(&mut self) {
        self.tell_supervisor();
        let changes = self.server.change_count();
        for bell in &self.bells {
            bell.ring_if(changes != self.told);
        }
        self.told = changes;
    }
}

/// The tree as securityd shows it: its length, then its bytes.
fn tree(shown: &Mmio) -> Vec<u8> {
    if shown.len() < 8 {
        return Vec::new();
    }
    let length = usize::try_from(shown.read64(0)).unwrap_or(usize::MAX).min(shown.len() - 8);
    (8..8 + length).map(|at| shown.read8(at)).collect()
}

fn run(env: Env) -> ! {
    let parameters = &env.start().parameters;
    let windows = windows(parameters).into_iter().map(|(name, base)| (base, env.mmio(name))).collect();
    let mut server = Server::new(tree(&env.mmio("tree")), Windows(windows), Driver::all(parameters), now_ns);
    server.look();
    let bells = env.provided("devices").iter().map(|session| session.bell).collect();
    let supervisor = DriversClient::new(env.client("drivers"));
    let mut udevd = Udevd { server, supervisor, said: Told::default(), bells, told: 0 };
    udevd.tell();
    let (devices, undriven) = udevd.server.counts();
    log::info!("{devices} devices, {undriven} without a driver");
    env.serve(&mut udevd)
}
