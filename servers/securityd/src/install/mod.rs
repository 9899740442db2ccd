//! Makes what the graph says, with one piece of code for every component, and records each grant as it is made.

pub(crate) mod demand;
mod image;
mod own;
mod peers;
#[cfg(feature = "plant")]
mod plant;
pub(crate) mod restart;
mod sessions;
mod stop;
mod thread;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use hybrid_capgraph::{Bundle, Grant, Graph, Instance, ProgramError, layout};
use hybrid_interfaces::process::Reason;
use hybrid_interfaces::security::RecordKind;
use hybrid_start::peers::{Condition, Peer};
use hybrid_sys::{Attributes, CPtr, Error, LookupFailure, ObjectType, Registers, Rights};

use crate::account::Account;
use crate::audit::Audit;
use crate::devices::Devices;
use crate::exits::Exits;
use crate::journal::{Journal, Level};
use crate::kernel::Kernel;
use crate::memory::{Chunk, Memory, MemoryError};
use crate::places::{Installed, Stage};
use crate::space::{OWN_NODE, Space};

use demand::Demand;

pub use hybrid_interfaces::process::State;
pub(crate) use image::Kept;
pub use image::start_info;
pub use restart::NotStarted;

/// One instance and the capabilities that securityd keeps to it.
#[derive(Debug)]
pub struct Live {
    /// Its id in the graph.
    pub id: u16,
    /// How often it was started.
    pub generation: u16,
    /// How it is.
    pub state: State,
    /// It does not run, and somebody is about to start it again.
    pub is_expected: bool,
    /// It is made, and waits for the supervisor to start it.
    pub is_held: bool,
    /// Why it stopped; empty while it runs.
    pub detail: String,
    /// Why the supervisor stopped it, if it did.
    pub reason: Option<Reason>,
    /// What it holds: what it was granted, less the calls and bells to others that stopped; empty once it stopped.
    pub grants: Vec<Grant>,
    /// Bytes of the regions that it shares as a client.
    pub region_bytes: u64,
    /// Processor time that it used in all its lives, as far as it was asked, microseconds.
    pub consumed_us: u64,
    pub(crate) account: Option<Account>,
    /// Of one that is spawned: the pages of its program that nobody can write, filled once (decision 0158).
    pub(crate) kept: Option<Kept>,
    pub(crate) cnode: CPtr,
    pub(crate) cnode_bits: u8,
    pub(crate) endpoint: Option<CPtr>,
    pub(crate) reply: Option<CPtr>,
    pub(crate) notification: CPtr,
    pub(crate) vspace: CPtr,
    pub(crate) thread: CPtr,
    pub(crate) context: CPtr,
    /// Unmapped capability of the page with its IPC buffer, for reading the gauge in it.
    pub(crate) gauge: CPtr,
    /// Bytes of the graph that it is shown.
    pub(crate) shown: u64,
    /// Unmapped capability of its page of peers, for writing it.
    pub(crate) peers: CPtr,
    /// The bell that says that the page changed.
    pub(crate) supervision: CPtr,
    /// The page's words as they were written last.
    pub(crate) words: Vec<u64>,
    pub(crate) registers: Registers,
    /// Further threads, and their time.
    pub(crate) threads: Vec<(CPtr, CPtr)>,
    pub(crate) dma: Vec<u64>,
    /// The memory of `dma`, which stays the instance's while it does not run.
    pub(crate) dma_chunks: Vec<Chunk>,
}

impl Live {
    /// Bytes of everything that was made for it, and of the regions that it shares as a client.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let kept = self.kept.as_ref().map_or(0, |kept| kept.account.bytes());
        self.account.as_ref().map_or(0, Account::bytes) + kept + self.region_bytes
    }

    /// How its peers shall think of it.
    const fn condition(&self) -> Condition {
        match self.state {
            State::Starting | State::Running if !self.is_held => Condition::Up,
            _ if self.is_expected => Condition::Restarting,
            _ => Condition::Down,
        }
    }
}

/// What failed, for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallError {
    /// Instance name.
    pub instance: String,
    /// What was tried.
    pub step: &'static str,
    /// Why it failed.
    pub cause: Cause,
}

/// Why an instance could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Memory or slots are short, or the kernel refused.
    Memory(MemoryError),
    /// The bundle has no program for it.
    NoProgram,
    /// The program is unusable.
    Program(ProgramError),
    /// Its start information does not fit.
    StartInfo,
}

impl fmt::Display for InstallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot make `{}`: {}: {:?}", self.instance, self.step, self.cause)
    }
}

impl From<MemoryError> for Cause {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Memory(MemoryError::Kernel(error))
    }
}

/// What the kernel told at boot, as plain numbers.
#[derive(Debug, Clone, Default)]
pub struct BootFacts {
    /// Empty slots of the root CNode.
    pub empty: (u64, u64),
    /// Untyped capabilities: CPtr, physical address, log2 bytes, whether it is device memory.
    pub untypeds: Vec<(u64, u64, u8, bool)>,
    /// Bytes of securityd's own image.
    pub image_bytes: u64,
    /// The kernel's list of all capabilities, if it has one.
    pub audit: Option<u64>,
    /// The device tree; empty if there is none.
    pub tree: &'static [u8],
}

/// The machine under securityd's hands.
pub struct World<K> {
    /// The kernel.
    pub kernel: K,
    /// What is to be, with what is installed.
    pub graph: Rc<Graph>,
    /// What the image declares: places as they were built.
    pub(crate) declared: Rc<Graph>,
    /// What is installed in places, by their ids.
    pub(crate) installed: BTreeMap<u16, Installed>,
    /// What installers are sending, by their ids.
    pub(crate) stages: BTreeMap<u16, Stage>,
    /// What is, in the order of the graph's instances.
    pub live: Vec<Live>,
    /// What happened.
    pub audit: Audit,
    /// What is told to logd.
    pub journal: Journal,
    /// When securityd began, nanoseconds since the counter started.
    pub boot_ns: u64,
    pub(crate) space: Space,
    pub(crate) memory: Memory,
    pub(crate) devices: Devices,
    /// Which meeting of its two sides each session is in.
    pub(crate) epochs: Vec<u32>,
    /// How each session on demand is; the others count as closed and do not care.
    pub(crate) demands: Vec<Demand>,
    /// The first frame of each session's region, once it was made.
    pub(crate) regions: Vec<Option<CPtr>>,
    /// The programs, for starting again.
    pub(crate) bundle: Option<Bundle<'static>>,
    /// Who ended, and who is to be told.
    pub exits: Exits,
    /// Of the supervisor.
    pub(crate) watch: crate::watch::Watch,
    pub(crate) image_bytes: u64,
    /// Of the access policy in force, as pages of peers tell it.
    pub(crate) policy_epoch: u64,
    /// The kernel's list of all capabilities.
    pub(crate) list: Option<CPtr>,
    /// The device tree of boot.
    pub(crate) tree: &'static [u8],
}

impl<K: Kernel> World<K> {
    /// Takes over the machine: the two-level capability space, all memory, all device memory.
    ///
    /// # Errors
    /// When the kernel's boot state is not what the ABI says.
    pub fn new(mut kernel: K, graph: Graph, boot: &BootFacts) -> Result<Self, InstallError> {
        let fail = |step, cause: Cause| InstallError { instance: "securityd".into(), step, cause };
        let mut space = Space::of_boot(boot.empty);
        let chunk = |cap, bits| crate::memory::Chunk { cap: CPtr(cap), bits };
        let normal = boot.untypeds.iter().filter(|(.., is_device)| !is_device);
        let mut memory = Memory::new(normal.map(|(cap, _, bits, _)| chunk(*cap, *bits)));
        let device = boot.untypeds.iter().filter(|(.., is_device)| *is_device);
        let devices = Devices::new(device.map(|(cap, address, bits, _)| (*address, chunk(*cap, *bits))));
        let slots = space.take_slot_pair().map_err(|error| fail("take slots", MemoryError::from(error).into()))?;
        let root = memory.take(&mut kernel, &mut space, 13).map_err(|error| fail("take memory", error.into()))?;
        let established = space.establish(&mut kernel, root.cap, (slots, slots + 1));
        established.map_err(|error| fail("make the capability space", error.into()))?;
        let boot_ns = kernel.now_ns();
        let epochs = alloc::vec![Peer::FIRST.epoch; graph.sessions.len()];
        let graph = Rc::new(graph);
        Ok(Self {
            kernel,
            epochs,
            demands: alloc::vec![Demand::default(); graph.sessions.len()],
            regions: alloc::vec![None; graph.sessions.len()],
            bundle: None,
            exits: Exits::of(&graph),
            declared: Rc::clone(&graph),
            installed: BTreeMap::new(),
            stages: BTreeMap::new(),
            watch: crate::watch::Watch::default(),
            graph,
            live: Vec::new(),
            audit: Audit::default(),
            journal: Journal::default(),
            boot_ns,
            space,
            memory,
            devices,
            image_bytes: boot.image_bytes,
            policy_epoch: 1,
            list: boot.audit.map(CPtr),
            tree: boot.tree,
        })
    }

    /// Makes every instance and starts them, servers first.
    ///
    /// # Errors
    /// The first failure; what was made before stays.
    pub fn install(&mut self, bundle: Bundle<'static>) -> Result<(), InstallError> {
        self.bundle = Some(bundle);
        let bundle = &bundle;
        let graph = Rc::clone(&self.graph);
        for instance in &graph.instances {
            self.step(instance, "make its objects", |world| world.make_objects(instance, bundle))?;
        }
        if let Some(own) = graph.instance(layout::SECURITYD) {
            self.step(own, "make a window", Self::prepare_window)?;
            self.step(own, "start its metronome", Self::start_metronome)?;
        }
        for (number, session) in graph.sessions.iter().enumerate() {
            if let Some(client) = graph.instance(session.client) {
                self.step(client, "join it with its servers", |world| world.join(number, None))?;
            }
        }
        let is_built_in = |instance: &&Instance| instance.id != layout::SECURITYD && instance.place.is_none();
        for instance in graph.instances.iter().filter(is_built_in) {
            self.step(instance, "give it its devices", |world| world.give_devices(instance))?;
            self.step(instance, "load its program", |world| world.load(instance, bundle))?;
            self.step(instance, "prepare its thread", |world| world.prepare(instance, bundle))?;
        }
        #[cfg(feature = "plant")]
        if let Some(own) = graph.instance(layout::SECURITYD) {
            self.step(own, "plant wrong capabilities", Self::plant)?;
        }
        self.report_grants();
        let at_boot = graph.start_order.iter().filter_map(|id| graph.instance(*id)).filter(is_built_in);
        for instance in at_boot.filter(|instance| !instance.is_held_at_boot()) {
            self.step(instance, "start it", |world| world.start(instance))?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        instance: &Instance,
        step: &'static str,
        make: impl FnOnce(&mut Self) -> Result<(), Cause>,
    ) -> Result<(), InstallError> {
        make(self).map_err(|cause| InstallError { instance: instance.name.clone(), step, cause })
    }

    /// Where securityd shares its log ring, if it has one.
    #[must_use]
    pub fn log_region(&self) -> Option<(u64, u64)> {
        let session = self.log_session()?;
        Some((layout::region_address(session.client_port?), session.region?))
    }

    /// Moves messages to logd, and rings its bell if it sleeps.
    pub fn flush_journal(&mut self) {
        if self.journal.flush() {
            let place = self.log_session().map(|session| usize::from(session.client_use));
            let slot = place.map(|index| Space::cptr(OWN_NODE, u64::from(layout::bell_slot(index))));
            slot.iter().for_each(|slot| self.kernel.signal(*slot));
        }
    }

    fn log_session(&self) -> Option<&hybrid_capgraph::Session> {
        let own = self.graph.instance(layout::SECURITYD)?;
        own.uses.iter().find(|used| used.name == "log").and_then(|used| self.graph.session_of(used))
    }

    /// Bytes of everything that was made for an instance; for securityd, of its image and of what is nobody else's.
    #[must_use]
    pub fn bytes_of(&self, place: usize) -> u64 {
        let regions: u64 = self.live.iter().map(|live| live.region_bytes).sum();
        let Some(live) = self.live.get(place) else { return 0 };
        if live.id == layout::SECURITYD {
            self.image_bytes + live.bytes().saturating_sub(regions)
        } else {
            live.bytes()
        }
    }

    /// Bytes of its heap that an instance says it uses; 0 if it does not run. Nothing may be decided by it.
    pub fn heap_in_use(&mut self, place: usize) -> u64 {
        match self.live.get(place) {
            Some(live) if live.id == layout::SECURITYD => hybrid_rt::heap_in_use(),
            Some(live) if live.state == State::Running => {
                self.kernel.read_word(live.gauge, hybrid_start::HEAP_GAUGE_OFFSET).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Memory at boot and memory that nobody has, bytes.
    #[must_use]
    pub fn memory(&self) -> (u64, u64) {
        (self.memory.total() + self.image_bytes, self.memory.free())
    }

    /// Makes the page tables of the window through which frames are filled.
    fn prepare_window(&mut self) -> Result<(), Cause> {
        let place = self.expect(layout::SECURITYD)?;
        let frame = self.make(place, ObjectType::SmallPage, 12, 1)?;
        self.map(place, frame, crate::window::ADDRESS as u64, Rights::READ.or(Rights::WRITE), Attributes::DATA)?;
        Ok(self.kernel.unmap_frame(frame)?)
    }

    fn report_grants(&mut self) {
        let count: usize = self.live.iter().map(|live| live.grants.len()).sum();
        let lines: Vec<String> = self.live.iter().flat_map(|live| &live.grants).map(ToString::to_string).collect();
        for line in lines {
            self.note(RecordKind::Granted, line);
        }
        let text = alloc::format!("{} components, {count} grants", self.live.len());
        self.journal.write(Level::Info, self.boot_ns, text);
    }

    /// The place of an instance in `live`, which has the order of the graph.
    pub(crate) fn place(&self, id: u16) -> Option<usize> {
        self.live.binary_search_by_key(&id, |live| live.id).ok()
    }

    /// The instance with that id, as far as it was made.
    ///
    /// # Errors
    /// A slot error when it was not, which a coherent graph excludes.
    pub(crate) fn expect(&self, id: u16) -> Result<usize, Cause> {
        self.place(id).ok_or(Cause::Memory(MemoryError::Slots))
    }

    /// Records a grant that was just made.
    pub(crate) fn record(&mut self, place: usize, grant: Grant) {
        if let Some(live) = self.live.get_mut(place) {
            live.grants.push(grant);
        }
    }

    /// Makes an object for an instance.
    pub(crate) fn make(&mut self, place: usize, kind: ObjectType, size_bits: u8, count: u64) -> Result<CPtr, Cause> {
        let account = self.live.get_mut(place).and_then(|live| live.account.as_mut());
        let account = account.ok_or(Cause::Memory(MemoryError::Slots))?;
        Ok(account.make_many(&mut self.kernel, &mut self.space, &mut self.memory, (kind, size_bits), count)?)
    }

    /// Takes an empty slot of an instance's node.
    pub(crate) fn take_slot(&mut self, place: usize) -> Result<CPtr, Cause> {
        let account = self.live.get_mut(place).and_then(|live| live.account.as_mut());
        Ok(account.ok_or(MemoryError::Slots)?.take_slot()?)
    }

    /// Maps a frame for an instance, making the page tables that are missing.
    pub(crate) fn map(
        &mut self,
        place: usize,
        frame: CPtr,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Cause> {
        let vspace = self.live.get(place).map_or(CPtr::NULL, |live| live.vspace);
        // Three levels below the root; a fourth failure is a real one.
        for _ in 0..3 {
            match self.kernel.map_frame(frame, vspace, address, rights, attributes) {
                Err(Error::FailedLookup { failure: LookupFailure::MissingCapability { .. }, .. }) => {
                    let table = self.make(place, ObjectType::PageTable, 12, 1)?;
                    self.kernel.map_table(table, vspace, address)?;
                }
                result => return Ok(result?),
            }
        }
        Ok(self.kernel.map_frame(frame, vspace, address, rights, attributes)?)
    }

    /// Maps `pages` neighbouring small frames from `address` on.
    pub(crate) fn map_all(
        &mut self,
        place: usize,
        first: CPtr,
        pages: u64,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Cause> {
        for page in 0..pages {
            self.map(place, CPtr(first.0 + page), address + page * 4096, rights, attributes)?;
        }
        Ok(())
    }
}

/// The kernel's word for the graph's rights.
pub(crate) const fn rights(rights: hybrid_capgraph::Rights) -> Rights {
    Rights(rights.0 as u64)
}

#[cfg(test)]
pub(crate) mod tests;
