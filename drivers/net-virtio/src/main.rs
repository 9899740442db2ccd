//! Wires the device's registers, interrupt and DMA memory and the client's rings to the driver; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use hybrid_virtio::transport::mmio::MmioTransport;
use hybrid_virtio::{find, install};
use libhybrid::drv::Irq;
use libhybrid::interfaces::net::link::{LinkRings, dispatch_link};
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Bell, Component, Env, PeerChange, PeerNews, log};
use net_virtio::{DEVICE_ID, Driver, Nic};

libhybrid::component!(run);

struct NetVirtio {
    driver: Driver<Nic<MmioTransport<'static>>>,
    irq: Irq,
    bell: Bell,
    /// Losses that were logged.
    told: u64,
    has_more: bool,
}

impl NetVirtio {
    fn turn(&mut self) {
        let turn = self.driver.turn();
        self.bell.ring_if(turn.rings_client);
        self.has_more = turn.has_more;
        let counters = self.driver.counters();
        let losses = counters.dropped + counters.malformed + counters.refused;
        // Only when they have doubled, so that a flood of losses does not become a flood of messages.
        if losses > self.told && losses >= self.told.saturating_mul(2) {
            log::warn!("so far: {counters:?}");
            self.told = losses;
        }
    }
}

impl Component for NetVirtio {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_link(&mut self.driver, incoming, outgoing);
    }

    fn on_bell(&mut self, bits: u64) {
        if self.irq.is_in(bits) {
            self.driver.interrupted();
        }
        self.turn();
        if self.irq.is_in(bits) && self.irq.ack().is_err() {
            log::error!("interrupt {} cannot be acknowledged", self.irq.number());
        }
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn on_peer(&mut self, change: &PeerChange) {
        match change.of_client("link") {
            Some((_, PeerNews::Gone(_))) => self.driver.end(),
            Some((_, PeerNews::Back)) => self.driver.begin(LinkRings::server(change.session.region()).ok()),
            None => {}
        }
    }
}

fn run(env: Env) -> ! {
    let _is_first = install(env.dma("buffers"));
    let Some(transport) = find(&env.mmio("nic"), DEVICE_ID) else {
        log::error!("no modern virtio network device, or more than one, on the page");
        libhybrid::stop()
    };
    let nic = match Nic::start(transport) {
        Ok(nic) => nic,
        Err(error) => {
            log::error!("the device cannot be used: {error:?}");
            libhybrid::stop()
        }
    };
    let session = env.provided("link").into_iter().next();
    let bell = session.as_ref().map_or_else(Bell::default, |session| session.bell);
    let rings = session.and_then(|session| LinkRings::server(session.region()).ok());
    let mut component =
        NetVirtio { driver: Driver::new(nic, rings), irq: env.irq("nic"), bell, told: 0, has_more: false };
    component.turn();
    if component.irq.ack().is_err() {
        log::error!("interrupt {} cannot be acknowledged", component.irq.number());
    }
    env.serve(&mut component)
}
