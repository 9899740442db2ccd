//! Wires the disk's rings and the clients' sessions to the server; no logic.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use fsd::{Disk, Memory, Quotas, Redox, Server, Store, Wait};
use libhybrid::interfaces::block::{DiskClient, DiskClientRings, DiskRings};
use libhybrid::interfaces::fs::{FilesRings, dispatch_files};
use libhybrid::ipc::{Incoming, Outgoing};
use libhybrid::{Component, Env, PeerChange, PeerNews, SessionHandle, log, now_ns};

libhybrid::component!(run);

/// Bytes of all files in memory together.
const TEMPORARY: u64 = 2 << 20;
const DISK: &str = "data";

/// What was heard of peers, by whoever waited.
struct Heard {
    /// Of clients, while fsd waited for the disk; it is handed on after the call.
    later: Vec<PeerChange>,
    is_up: bool,
    /// The driver's lives so far.
    life: u64,
}

impl Heard {
    fn hear(&mut self, change: PeerChange) {
        match change.of_use(DISK) {
            Some(PeerNews::Gone(_)) => self.is_up = false,
            Some(PeerNews::Back) => {
                self.is_up = true;
                self.life += 1;
            }
            None => self.later.push(change),
        }
    }
}

struct Driver {
    env: Env,
    heard: Rc<RefCell<Heard>>,
}

impl Driver {
    /// Looks at what happened to peers. True: the driver is there.
    fn look(&self) -> bool {
        let mut heard = self.heard.borrow_mut();
        self.env.peer_changes().for_each(|change| heard.hear(change));
        heard.is_up
    }
}

impl Wait for Driver {
    fn life(&self) -> u64 {
        self.heard.borrow().life
    }

    fn rings(&mut self) -> Option<DiskClientRings> {
        if !self.look() {
            // A call waits while its server is being started again; what it answers does not matter here.
            let _geometry = DiskClient::new(self.env.client(DISK)).geometry().ok()?;
        }
        let is_up = self.look();
        DiskRings::client(self.env.session(DISK).region()).ok().filter(|_| is_up)
    }

    fn ring(&mut self) {
        self.env.session(DISK).bell.ring();
    }

    fn wait(&mut self) -> bool {
        let life = self.life();
        // Clients have no reason to ring.
        let _bits = self.env.wait();
        self.look() && self.life() == life
    }
}

struct Fsd {
    server: Server,
    heard: Rc<RefCell<Heard>>,
    quotas: Quotas<'static>,
}

impl Fsd {
    fn begin(&mut self, session: &SessionHandle) {
        let Some(client) = session.client else { return };
        let rings = FilesRings::server(session.region()).ok();
        self.server.begin(client, session.prefix(), self.quotas.of(session.name), session.max_objects(), rings);
    }

    /// Hands on what was heard of clients; more may come while their files are closed.
    fn catch_up(&mut self) {
        loop {
            let changes = core::mem::take(&mut self.heard.borrow_mut().later);
            if changes.is_empty() {
                break;
            }
            for change in changes {
                match change.of_client("files") {
                    Some((client, PeerNews::Gone(_))) => self.server.end(client),
                    Some((_, PeerNews::Back)) => self.begin(&change.session),
                    None => {}
                }
            }
        }
    }
}

impl Component for Fsd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_files(&mut self.server, incoming, outgoing);
        self.catch_up();
    }

    fn on_bell(&mut self, _bits: u64) {}

    fn on_peer(&mut self, change: &PeerChange) {
        self.heard.borrow_mut().hear(change.clone());
        self.catch_up();
    }
}

/// The file system of the data partition, if there is one.
fn data(env: Env, heard: &Rc<RefCell<Heard>>) -> Option<Box<dyn Store>> {
    let sectors = match DiskClient::new(env.client(DISK)).geometry() {
        Ok(geometry) => geometry.sectors,
        Err(error) => {
            // Its next life may find the driver there.
            log::error!("the disk's driver does not answer: {error:?}");
            libhybrid::stop()
        }
    };
    let driver = Driver { env, heard: heard.clone() };
    match Redox::mount(Disk::new(driver, sectors)) {
        Ok(store) => {
            log::info!("files on {sectors} sectors, {} bytes for all quotas", store.capacity());
            Some(Box::new(store))
        }
        Err(error) => {
            log::error!("no files on the disk of {sectors} sectors: {error:?}");
            None
        }
    }
}

fn run(env: Env) -> ! {
    let heard = Rc::new(RefCell::new(Heard { later: Vec::new(), is_up: true, life: 1 }));
    let memory: Box<dyn Store> = Box::new(Memory::new(TEMPORARY));
    let mut mounts = alloc::vec![("tmp", memory)];
    mounts.extend(data(env, &heard).map(|store| ("data", store)));
    let server = Server::new(mounts, env.start().generation, now_ns);
    let mut component = Fsd { server, heard, quotas: Quotas::new(env.parameter("quotas")) };
    env.provided("files").iter().for_each(|session| component.begin(session));
    component.catch_up();
    env.serve(&mut component)
}
