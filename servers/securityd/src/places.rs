//! Components that are installed into places: sent in pieces, judged by the build's rules, started, taken out.

use alloc::borrow::Cow;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hybrid_capgraph::{Bundle, Instance, MANIFEST_MAX, Manifest, Problem, Program, Session, fill, has_use, rule};
use hybrid_interfaces::security::{self as idl, InstallError, Outcome, RecordKind};
use hybrid_ipc::ClientId;
use hybrid_sys::CPtr;

use crate::audit::cut;
use crate::install::{State, World};
use crate::kernel::Kernel;
use crate::policy::Kind;
use crate::server::Server;
use crate::space::{OWN_NODE, Space};

/// What is installed in a place.
#[derive(Debug)]
pub(crate) struct Installed {
    /// Kept for starting it again.
    pub(crate) program: Rc<Vec<u8>>,
    manifest: Manifest,
    /// The number of the first end that can be its own.
    pub(crate) since: u64,
}

/// What an installer is sending.
#[derive(Debug)]
pub(crate) struct Stage {
    place: u16,
    manifest: Vec<u8>,
    program: Vec<u8>,
    /// Bytes that were announced.
    sizes: (usize, usize),
}

impl Stage {
    const fn missing(&self) -> usize {
        self.sizes.0 + self.sizes.1 - self.manifest.len() - self.program.len()
    }

    /// The manifest's bytes first. False, and nothing taken, if they are more than are missing.
    fn take(&mut self, data: &[u8]) -> bool {
        if data.len() > self.missing() {
            return false;
        }
        let (manifest, program) = data.split_at(data.len().min(self.sizes.0 - self.manifest.len()));
        self.manifest.extend_from_slice(manifest);
        self.program.extend_from_slice(program);
        true
    }
}

/// Why a place stays empty.
#[derive(Debug)]
enum NotFilled {
    BadManifest,
    Refused(Vec<Problem>),
    BadProgram(&'static str),
    NotStarted(String),
}

impl<K: Kernel> World<K> {
    /// Whether the client of a session uses it: not if it is a place, and what is installed there does not, or nothing is.
    pub(crate) fn is_used(&self, session: &Session) -> bool {
        let Some(client) = self.graph.instance(session.client).filter(|client| client.place.is_some()) else {
            return true;
        };
        let used = client.uses.get(usize::from(session.client_use));
        let installed = self.installed.get(&client.id);
        used.zip(installed).is_some_and(|(used, installed)| has_use(&installed.manifest, used))
    }

    /// Installs and starts what was sent for the empty place `id`.
    fn fill_place(&mut self, id: u16, manifest: &[u8], program: Vec<u8>) -> Result<(), NotFilled> {
        let declared = Rc::clone(&self.declared);
        let contract = declared.instance(id).ok_or(NotFilled::BadManifest)?;
        let book = self.bundle.as_ref().and_then(|bundle| bundle.rulebook().ok()?);
        let manifest = Manifest::decode(manifest).map_err(|_| NotFilled::BadManifest)?;
        // Without the rules nothing can be judged.
        let book = book.ok_or_else(|| NotFilled::NotStarted("the image has no rules for it".into()))?;
        let filled = fill(&self.graph, contract, &manifest, &book).map_err(NotFilled::Refused)?;
        let parsed = Program::of(contract.runtime, &program).map_err(|error| NotFilled::BadProgram(error.text()))?;
        if parsed.pages().saturating_mul(4096) > contract.program_max {
            return Err(NotFilled::BadProgram("it is larger than its place"));
        }
        drop(parsed);
        self.set_instance(filled);
        self.installed.insert(id, Installed { program: Rc::new(program), manifest, since: self.exits.next() });
        let Some(place) = self.place(id) else { return Err(NotFilled::BadManifest) };
        let result = self.clear_regions(place).and_then(|()| self.start_again(place).map_err(|_| ()));
        if result.is_err() {
            let detail = self.live[place].detail.clone();
            self.empty_place(id, String::new());
            return Err(NotFilled::NotStarted(detail));
        }
        self.ring_supervisor();
        Ok(())
    }

    /// Ends what is in a place, and forgets it. Its peers learn that there is no session any more.
    fn empty_place(&mut self, id: u16, detail: String) {
        let Some(place) = self.place(id) else { return };
        // First: so that nobody is promised that it comes back.
        self.installed.remove(&id);
        self.stop(id, State::Killed, detail);
        self.live[place].state = State::Empty;
        self.live[place].is_expected = false;
        let contract = self.declared.instance(id).cloned();
        contract.into_iter().for_each(|contract| self.set_instance(contract));
        self.tell_peers();
        self.ring_supervisor();
    }

    /// Slots, sessions and ports are the same (INV-PLACE-1), so nothing that was made from the graph of before becomes wrong.
    fn set_instance(&mut self, instance: Instance) {
        let mut graph = (*self.graph).clone();
        if let Some(old) = graph.instances.iter_mut().find(|old| old.id == instance.id) {
            *old = instance;
        }
        self.graph = Rc::new(graph);
    }

    /// What was there before has left its words in the memory that it shared: nothing for the next one to read.
    fn clear_regions(&mut self, place: usize) -> Result<(), ()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let graph = Rc::clone(&self.graph);
        for (number, session) in graph.sessions.iter().enumerate() {
            if let (true, Some(bytes)) = (session.client == self.live[place].id, session.region) {
                let first = self.region(number, place, bytes).map_err(drop)?;
                for page in 0..bytes / 4096 {
                    self.kernel.fill(CPtr(first.0 + page), 0, &ZEROS, false).map_err(drop)?;
                }
            }
        }
        Ok(())
    }

    /// The supervisor looks who is in the places.
    fn ring_supervisor(&mut self) {
        if let Some(slot) = self.exits.bell() {
            self.kernel.signal(Space::cptr(OWN_NODE, slot));
        }
    }
}

impl<K: Kernel> Server<K> {
    /// The caller's place of that name.
    fn place_of(&self, client: ClientId, name: &str) -> Result<Instance, InstallError> {
        let is_its = |instance: &&Instance| instance.place.is_some_and(|place| place.installer == client.instance);
        self.world.declared.named(name).filter(is_its).cloned().ok_or(InstallError::NoPlace)
    }

    /// In the trail and the log; an installer that is refused again and again fills neither.
    fn record_install(&mut self, kind: RecordKind, line: String) {
        let at = self.world.kernel.now_ns();
        self.tell_untold(Kind::Install, at);
        if kind != RecordKind::Refused || self.denials(Kind::Install).count(at) {
            self.world.journal.write(crate::journal::Level::Warn, at, line.clone());
            self.world.audit.record(at, kind, line);
        }
    }
}

impl<K: Kernel> idl::Install for Server<K> {
    fn begin(&mut self, by: ClientId, place: &str, manifest: u32, program: u32) -> Result<(), InstallError> {
        let contract = self.place_of(by, place)?;
        self.world.stages.remove(&by.instance);
        if self.world.installed.contains_key(&contract.id) {
            return Err(InstallError::Occupied);
        }
        let sizes = (usize::try_from(manifest).unwrap_or(usize::MAX), usize::try_from(program).unwrap_or(usize::MAX));
        if sizes.0 > MANIFEST_MAX || u64::from(program) > contract.program_max {
            return Err(InstallError::TooLarge);
        }
        let mut stage = Stage { place: contract.id, manifest: Vec::new(), program: Vec::new(), sizes };
        let has_room =
            stage.manifest.try_reserve_exact(sizes.0).and_then(|()| stage.program.try_reserve_exact(sizes.1));
        has_room.map_err(|_| InstallError::Failed)?;
        self.world.stages.insert(by.instance, stage);
        Ok(())
    }

    fn send(&mut self, by: ClientId, data: &[u8]) -> Result<u32, InstallError> {
        let stage = self.world.stages.get_mut(&by.instance).ok_or(InstallError::NotBegun)?;
        if !stage.take(data) {
            return Err(InstallError::NotBegun);
        }
        Ok(u32::try_from(stage.missing()).unwrap_or(u32::MAX))
    }

    fn commit(&mut self, by: ClientId) -> Result<idl::InstallCommit<'_>, InstallError> {
        let stage = self.world.stages.remove(&by.instance).filter(|stage| stage.missing() == 0);
        let stage = stage.ok_or(InstallError::NotBegun)?;
        let (id, bytes) = (stage.place, stage.program.len());
        let result = self.world.fill_place(id, &stage.manifest, stage.program);
        let instance = self.world.graph.instance(id).ok_or(InstallError::NoPlace)?;
        let (name, component, by) = (instance.name.clone(), instance.component.clone(), self.name_of(by));
        let (outcome, findings, finding) = match result {
            Ok(()) => {
                let line = format!("{by} filled {name} with {component} ({bytes} bytes)");
                self.record_install(RecordKind::Granted, line);
                return Ok(idl::InstallCommit { outcome: Outcome::Runs, findings: 0, finding: Cow::Borrowed("") });
            }
            Err(NotFilled::BadManifest) => (Outcome::BadManifest, 1, "the manifest cannot be read".to_string()),
            Err(NotFilled::Refused(problems)) => {
                let count = u16::try_from(problems.len()).unwrap_or(u16::MAX);
                (Outcome::Refused, count, problems.first().map(told).unwrap_or_default())
            }
            Err(NotFilled::BadProgram(why)) => (Outcome::BadProgram, 1, why.to_string()),
            Err(NotFilled::NotStarted(why)) => (Outcome::NotStarted, 1, why),
        };
        self.record_install(RecordKind::Refused, format!("{by} may not fill {name}: {finding}"));
        let mut finding = finding;
        cut(&mut finding, idl::TEXT_MAX);
        Ok(idl::InstallCommit { outcome, findings, finding: Cow::Owned(finding) })
    }

    fn uninstall(&mut self, by: ClientId, place: &str) -> Result<(), InstallError> {
        let id = self.place_of(by, place)?.id;
        if self.world.installed.contains_key(&id) {
            let by = self.name_of(by);
            self.world.empty_place(id, format!("uninstalled by {by}"));
            self.record_install(RecordKind::Revoked, format!("{by} uninstalled what was in {place}"));
        }
        Ok(())
    }

    fn shipped(&mut self, by: ClientId, place: &str, offset: u32) -> Result<idl::InstallShipped<'_>, InstallError> {
        let contract = self.place_of(by, place)?;
        let bundle: Option<Bundle<'static>> = self.world.bundle;
        let file: &'static [u8] = bundle.and_then(|bundle| bundle.program(contract.program())).unwrap_or_default();
        let rest = file.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let data = rest.get(..idl::PIECE_MAX).unwrap_or(rest);
        Ok(idl::InstallShipped { data: Cow::Borrowed(data), bytes: u32::try_from(file.len()).unwrap_or(u32::MAX) })
    }
}

/// A finding on one line, with its rule.
fn told(problem: &Problem) -> String {
    let id = rule(problem.rule).map_or("", |rule| rule.id);
    format!("{id} {}: {}", problem.rule, problem.message)
}

#[cfg(test)]
mod tests;
