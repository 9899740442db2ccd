//! Wires the device's registers, interrupt and DMA memory and the clients' rings to the server; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use blk_virtio::{Blk, DEVICE_ID, Part, Server, partitions};
use hybrid_virtio::transport::mmio::MmioTransport;
use hybrid_virtio::{find, install};
use libhybrid::drv::Irq;
use libhybrid::interfaces::block::{DiskRings, dispatch_disk};
use libhybrid::ipc::{ClientId, Incoming, Outgoing};
use libhybrid::{Bell, Component, Env, PeerChange, PeerNews, SessionHandle, log};

libhybrid::component!(run);

struct BlkVirtio {
    server: Server<MmioTransport<'static>>,
    irq: Irq,
    /// Each client's bell.
    bells: Vec<(ClientId, Bell)>,
    /// Each client's part.
    parts: Vec<(ClientId, Part)>,
    has_more: bool,
}

impl BlkVirtio {
    fn turn(&mut self) {
        let bells = &self.bells;
        self.has_more = self.server.turn(|client| {
            let bell = bells.iter().find(|(whose, _)| *whose == client);
            bell.iter().for_each(|(_, bell)| bell.ring());
        });
        if self.server.is_broken() {
            // Its next life resets the device.
            log::error!("the device broke its queue");
            libhybrid::stop()
        }
    }

    fn begin(&mut self, session: &SessionHandle) {
        let Some(client) = session.client else { return };
        let part = self.parts.iter().find(|(whose, _)| *whose == client);
        let part = part.map(|(_, part)| *part).unwrap_or_default();
        self.server.begin(client, part, DiskRings::server(session.region()).ok());
    }
}

impl Component for BlkVirtio {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_disk(&mut self.server, incoming, outgoing);
    }

    fn on_bell(&mut self, bits: u64) {
        if self.irq.is_in(bits) {
            self.server.interrupted();
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
        match change.of_client("disk") {
            Some((client, PeerNews::Gone(_))) => self.server.end(client),
            Some((_, PeerNews::Back)) => self.begin(&change.session),
            None => {}
        }
    }
}

/// The device on the page; nothing if no slot has one, which is no failure.
fn device(env: &Env) -> Option<Blk<MmioTransport<'static>>> {
    let _is_first = install(env.dma("buffers"));
    let Some(transport) = find(&env.mmio("disk"), DEVICE_ID) else {
        log::warn!("no disk: no modern virtio block device, or more than one, on the page");
        return None;
    };
    match Blk::start(transport) {
        Ok(device) => Some(device),
        Err(error) => {
            log::error!("the device cannot be used: {error:?}");
            libhybrid::stop()
        }
    }
}

fn run(env: Env) -> ! {
    let mut device = device(&env);
    let irq = env.irq("disk");
    let found = device.as_mut().map_or_else(Vec::new, |device| {
        partitions(device, &mut || {
            let _not_acknowledged = irq.ack();
            let _bits = env.wait();
        })
    });
    let sectors = device.as_ref().map_or(0, Blk::sectors);
    let sessions = env.provided("disk");
    let part = |session: &SessionHandle| {
        let part = Part::named(session.prefix(), &found, sectors);
        let (name, prefix) = (session.name, session.prefix().unwrap_or("the whole disk"));
        if part.count > 0 {
            log::info!("{name} has {prefix}: {} sectors from {}", part.count, part.first);
        }
        part
    };
    let parts = sessions.iter().filter_map(|session| Some((session.client?, part(session)))).collect();
    let bells = sessions.iter().filter_map(|session| Some((session.client?, session.bell))).collect();
    let mut component = BlkVirtio { server: Server::new(device), irq, bells, parts, has_more: false };
    sessions.iter().for_each(|session| component.begin(session));
    component.turn();
    if component.irq.ack().is_err() {
        log::error!("interrupt {} cannot be acknowledged", component.irq.number());
    }
    env.serve(&mut component)
}
