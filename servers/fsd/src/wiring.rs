//! Wires the rings of one disk and the clients' sessions to servers of files; knows no file system.
use crate::{Disk, Quotas, Server, Store, Wait};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use libhybrid::interfaces::block::{DiskClient, DiskClientRings, DiskRings};
use libhybrid::interfaces::fs::{FilesRings, dispatch_files};
use libhybrid::ipc::{Incoming, Outgoing, Refusal};
use libhybrid::{Component, Env, PeerChange, PeerNews, SessionHandle, log, now_ns};

/// What was heard of peers, by whoever waited.
struct Heard {
    /// Of clients, while the disk was waited for; it is handed on after the call.
    later: Vec<PeerChange>,
    is_up: bool,
    /// The driver's lives so far.
    life: u64,
}

/// The driver of the component's one disk.
pub struct Driver {
    env: Env,
    /// The use that it is.
    disk: &'static str,
    heard: Rc<RefCell<Heard>>,
}

impl Heard {
    fn hear(&mut self, disk: &str, change: PeerChange) {
        match change.of_use(disk) {
            Some(PeerNews::Gone(_)) => self.is_up = false,
            Some(PeerNews::Back) => {
                self.is_up = true;
                self.life += 1;
            }
            None => self.later.push(change),
        }
    }
}

impl Driver {
    /// Looks at what happened to peers. True: the driver is there.
    fn look(&self) -> bool {
        let mut heard = self.heard.borrow_mut();
        self.env.peer_changes().for_each(|change| heard.hear(self.disk, change));
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
            let _geometry = DiskClient::new(self.env.client(self.disk)).geometry().ok()?;
        }
        let is_up = self.look();
        DiskRings::client(self.env.session(self.disk).region()).ok().filter(|_| is_up)
    }

    fn ring(&mut self) {
        self.env.session(self.disk).bell.ring();
    }

    fn wait(&mut self) -> bool {
        let life = self.life();
        // Clients have no reason to ring.
        let _bits = self.env.wait();
        self.look() && self.life() == life
    }
}

/// The file system of a disk, or why there is none; told in the log.
pub type Mount = fn(Disk<Driver>, Env) -> Result<Box<dyn Store>, String>;

/// A component that serves files, some of which are on a disk.
pub struct FileServer {
    env: Env,
    /// By the provided interface. The first has the disk.
    servers: Vec<(&'static str, Server)>,
    /// The use of the disk, which is also what prefixes of its files begin with.
    disk: &'static str,
    mount: Mount,
    /// In which of the driver's lives the disk was looked at last; nothing once its files are there.
    looked_at: Option<u64>,
    heard: Rc<RefCell<Heard>>,
    quotas: Quotas<'static>,
}

impl FileServer {
    /// Serves for ever: the provided interfaces by `servers`, the first of which gets the files of the use `disk`.
    pub fn run(env: Env, servers: Vec<(&'static str, Server)>, disk: &'static str, mount: Mount) -> ! {
        let heard = Rc::new(RefCell::new(Heard { later: Vec::new(), is_up: true, life: 1 }));
        let quotas = Quotas::new(env.parameter("quotas"));
        let mut this = Self { env, servers, disk, mount, looked_at: Some(0), heard, quotas };
        // First the disk, so that nobody is told that there is none.
        this.look_for_files();
        let names: Vec<&str> = this.servers.iter().map(|(name, _)| *name).collect();
        for name in names {
            env.provided(name).iter().for_each(|session| this.begin(name, session));
        }
        this.servers.iter_mut().for_each(|(_, server)| server.settled());
        this.catch_up();
        env.serve(&mut this)
    }

    fn server(&mut self, name: &str) -> Option<&mut Server> {
        self.servers.iter_mut().find(|(provided, _)| *provided == name).map(|(_, server)| server)
    }

    fn begin(&mut self, name: &str, session: &SessionHandle) {
        let Some(client) = session.client else { return };
        let rings = FilesRings::server(session.region()).ok();
        let quota = self.quotas.of(session.name);
        if let Some(server) = self.server(name) {
            server.begin(client, session.prefix(), quota, session.max_objects(), rings);
        }
    }

    /// Hands on what was heard of clients; more may come while their files are closed.
    fn catch_up(&mut self) {
        loop {
            let changes = core::mem::take(&mut self.heard.borrow_mut().later);
            if changes.is_empty() {
                break;
            }
            for change in changes {
                match change.of_client(change.interface) {
                    Some((client, PeerNews::Gone(_))) => {
                        self.server(change.interface).into_iter().for_each(|server| server.end(client));
                    }
                    Some((_, PeerNews::Back)) => self.begin(change.interface, &change.session),
                    None => {}
                }
            }
        }
        self.look_for_files();
    }

    /// Mounts the disk if it is not; once in each of the driver's lives.
    fn look_for_files(&mut self) {
        let (is_up, life) = (self.heard.borrow().is_up, self.heard.borrow().life);
        if !is_up || self.looked_at.is_none_or(|before| before == life) {
            return;
        }
        self.looked_at = Some(life);
        let store = self.files();
        if let Some((server, store)) = self.servers.first_mut().map(|(_, server)| server).zip(store) {
            server.mount(self.disk, store);
            self.looked_at = None;
        }
    }

    fn files(&self) -> Option<Box<dyn Store>> {
        let sectors = match DiskClient::new(self.env.client(self.disk)).geometry() {
            Ok(geometry) => geometry.sectors,
            Err(error) => {
                // It died, or was not started since there is no disk.
                log::warn!("the disk's driver does not answer, so there is nothing at /{}: {error:?}", self.disk);
                return None;
            }
        };
        if sectors == 0 {
            log::info!("no disk: nothing is at /{}", self.disk);
            return None;
        }
        let driver = Driver { env: self.env, disk: self.disk, heard: self.heard.clone() };
        match (self.mount)(Disk::new(driver, sectors), self.env) {
            Ok(store) => {
                log::info!("/{} is on {sectors} sectors, {} bytes for all quotas", self.disk, store.capacity());
                Some(store)
            }
            Err(reason) => {
                log::error!("nothing is at /{}, a disk of {sectors} sectors: {reason}", self.disk);
                None
            }
        }
    }
}

impl Component for FileServer {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        let (interface, env) = (incoming.badge().interface(), self.env);
        match self.servers.iter_mut().find(|(name, _)| env.interface_index(name) == interface) {
            Some((_, server)) => dispatch_files(server, incoming, outgoing),
            None => outgoing.set_refusal(Refusal::UnknownOperation),
        }
        self.catch_up();
    }

    fn on_bell(&mut self, _bits: u64) {}

    fn on_peer(&mut self, change: &PeerChange) {
        self.heard.borrow_mut().hear(self.disk, change.clone());
        self.catch_up();
    }
}

/// An empty server of this life of the component, with `mounts`.
#[must_use]
pub fn server_of(env: &Env, mounts: Vec<(&'static str, Box<dyn Store>)>) -> Server {
    Server::new(mounts, env.start().generation, now_ns)
}
