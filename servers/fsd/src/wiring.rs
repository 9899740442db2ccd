//! Wires the rings of one disk and the clients' sessions to the server of files; knows no file system.
use crate::{Disk, Server, Store, Wait};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use hybrid_quota::Quotas;
use libhybrid::interfaces::block::{DiskClient, DiskClientRings, DiskRings};
use libhybrid::interfaces::fs::{FilesRings, dispatch_files};
use libhybrid::ipc::{Incoming, Outgoing};
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

/// What every component that serves files provides.
const FILES: &str = "files";

/// A component that serves files, some of which are on a disk.
pub struct FileServer {
    env: Env,
    server: Server,
    /// The use of the disk, which is also what prefixes of its files begin with.
    disk: &'static str,
    mount: Mount,
    /// In which of the driver's lives the disk was looked at last; nothing once its files are there.
    looked_at: Option<u64>,
    heard: Rc<RefCell<Heard>>,
    quotas: Quotas<'static>,
    /// There is work that nobody waits for. It is done between calls.
    is_untidy: bool,
    /// A call was served, and its answer goes before anything else.
    owes_answer: bool,
}

impl FileServer {
    /// Serves the files of `mounts`, and those of the use `disk`, for ever.
    pub fn run(env: Env, mounts: Vec<(&'static str, Box<dyn Store>)>, disk: &'static str, mount: Mount) -> ! {
        let heard = Rc::new(RefCell::new(Heard { later: Vec::new(), is_up: true, life: 1 }));
        let quotas = Quotas::new(env.parameter("quotas"));
        let server = Server::new(mounts, env.start().generation, now_ns);
        let (is_untidy, owes_answer) = (false, false);
        let mut this = Self { env, server, disk, mount, looked_at: Some(0), heard, quotas, is_untidy, owes_answer };
        // First the disk, so that nobody is told that there is none. It has ended nobody only when all have their directories.
        let _is_settled_below = this.look_for_files();
        env.provided(FILES).iter().for_each(|session| this.begin(session));
        this.server.settled();
        this.catch_up();
        env.serve(&mut this)
    }

    fn begin(&mut self, session: &SessionHandle) {
        let Some(client) = session.client else { return };
        let rings = FilesRings::server(session.region()).ok();
        let quota = self.quotas.of(session.name, session.prefix());
        self.server.begin(client, session.prefix(), quota, session.max_objects(), rings);
    }

    /// Hands on what was heard of clients; more may come while their files are closed.
    fn catch_up(&mut self) {
        loop {
            let changes = core::mem::take(&mut self.heard.borrow_mut().later);
            if changes.is_empty() {
                break;
            }
            for change in changes {
                match change.of_client(FILES) {
                    Some((client, PeerNews::Gone(_))) => self.server.end(client),
                    Some((_, PeerNews::Back)) => self.begin(&change.session),
                    None => {}
                }
            }
        }
        if self.look_for_files() {
            self.server.settled();
        }
    }

    /// Mounts the disk if it is not; once in each of the driver's lives. True: it is mounted just now.
    fn look_for_files(&mut self) -> bool {
        let (is_up, life) = (self.heard.borrow().is_up, self.heard.borrow().life);
        if !is_up || self.looked_at.is_none_or(|before| before == life) {
            return false;
        }
        self.looked_at = Some(life);
        let Some(store) = self.files() else { return false };
        self.server.mount(self.disk, store);
        self.looked_at = None;
        true
    }

    fn files(&self) -> Option<Box<dyn Store>> {
        let mut client = DiskClient::new(self.env.client(self.disk));
        let (sectors, has_discard) = match client.geometry() {
            Ok(geometry) => (geometry.sectors, geometry.has_discard),
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
        // A driver that died since is one that discards nothing.
        let discard_max = if has_discard { client.discard_max().unwrap_or(0) } else { 0 };
        let driver = Driver { env: self.env, disk: self.disk, heard: self.heard.clone() };
        match (self.mount)(Disk::new(driver, sectors, discard_max), self.env) {
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
        dispatch_files(&mut self.server, incoming, outgoing);
        self.catch_up();
        (self.is_untidy, self.owes_answer) = (self.server.is_untidy(), true);
    }

    /// Whoever rings has no reason to. While there is work left, this comes after each look for a call that found none, and after each call.
    fn on_bell(&mut self, _bits: u64) {
        if self.is_untidy && !core::mem::take(&mut self.owes_answer) {
            self.server.tidy();
            self.catch_up();
            self.is_untidy = self.server.is_untidy();
        }
    }

    fn has_more(&self) -> bool {
        self.is_untidy
    }

    fn on_peer(&mut self, change: &PeerChange) {
        self.heard.borrow_mut().hear(self.disk, change.clone());
        self.catch_up();
    }
}
