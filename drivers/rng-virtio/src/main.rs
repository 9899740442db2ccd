//! Wires the device's registers, interrupt and DMA memory to the one client; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use hybrid_virtio::transport::mmio::MmioTransport;
use hybrid_virtio::{find, install};
use libhybrid::drv::Irq;
use libhybrid::interfaces::entropy::dispatch_source;
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Bell, Component, Env, PeerChange, PeerNews, log};
use rng_virtio::{DEVICE_ID, Rng, Server};

libhybrid::component!(run);

struct RngVirtio {
    server: Server<MmioTransport<'static>>,
    irq: Irq,
    bell: Bell,
}

impl Component for RngVirtio {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_source(&mut self.server, incoming, outgoing);
        if self.server.is_broken() {
            // Its next life resets the device.
            log::error!("the device broke its queue");
            libhybrid::stop()
        }
    }

    fn on_bell(&mut self, bits: u64) {
        if self.irq.is_in(bits) {
            self.bell.ring_if(self.server.interrupted());
            if self.irq.ack().is_err() {
                log::error!("interrupt {} cannot be acknowledged", self.irq.number());
            }
        }
    }

    fn on_peer(&mut self, change: &PeerChange) {
        if let Some((_, PeerNews::Gone(_))) = change.of_client("source") {
            self.server.forget();
        }
    }
}

fn run(env: Env) -> ! {
    let _is_first = install(env.dma("buffers"));
    let Some(transport) = find(&env.mmio("rng"), DEVICE_ID) else {
        log::error!("no modern virtio entropy device, or more than one, on the page");
        libhybrid::stop()
    };
    let rng = match Rng::start(transport) {
        Ok(rng) => rng,
        Err(error) => {
            log::error!("the device cannot be used: {error:?}");
            libhybrid::stop()
        }
    };
    let bell = env.provided("source").first().map_or_else(Bell::default, |session| session.bell);
    let mut component = RngVirtio { server: Server::new(rng), irq: env.irq("rng"), bell };
    if component.irq.ack().is_err() {
        log::error!("interrupt {} cannot be acknowledged", component.irq.number());
    }
    env.serve(&mut component)
}
