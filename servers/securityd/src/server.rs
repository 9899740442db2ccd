//! What securityd does after boot: access decisions, inspection, control, faults; a server like any other.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use hybrid_capgraph::{Limits, Session, layout};
use hybrid_interfaces::security::RecordKind;
use hybrid_interfaces::{process, security as idl};
use hybrid_ipc::{ClientId, Gate, Incoming, Outgoing};

use crate::audit::cut;
use crate::fault::Fault;
use crate::install::{State, World};
use crate::journal::Level;
use crate::kernel::Kernel;
use crate::policy::Decisions;

const NAME_MAX: usize = idl::NAME_MAX;
const TEXT_MAX: usize = idl::TEXT_MAX;

/// Why a receive returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A client calls.
    Call,
    /// An instance faulted.
    Fault(u16),
    /// Bells rang.
    Bells,
}

impl Event {
    /// Bit 63 marks bells, bit 62 faults (capgraph's `layout`); a call's badge has neither.
    #[must_use]
    pub const fn of_badge(badge: u64) -> Self {
        if badge >> 63 == 1 {
            Self::Bells
        } else if badge >> 62 == 1 {
            Self::Fault((badge & 0xffff) as u16)
        } else {
            Self::Call
        }
    }
}

/// The running securityd.
pub struct Server<K> {
    /// The machine.
    pub world: World<K>,
    pub(crate) access: Decisions,
    /// What clients may ask of securityd itself, where that has limits: by client and interface.
    gates: BTreeMap<(ClientId, u8), Gate>,
}

impl<K: Kernel> Server<K> {
    /// After the installation.
    #[must_use]
    pub fn new(world: World<K>) -> Self {
        let to_own = world.graph.sessions.iter().filter(|session| session.server == layout::SECURITYD);
        let narrow = to_own.filter(|session| session.limits != Limits::default());
        let gate = |session: &Session| Gate::new(&session.limits.denied, session.limits.rate);
        let client = |session: &Session| ClientId { instance: session.client, nth: world.graph.nth(session) };
        let gates = narrow.map(|session| ((client(session), session.provided), gate(session))).collect();
        Self { access: Decisions::of(&world.graph), gates, world }
    }

    /// Sees to the supervisor, whom nobody else watches, and sends what was logged meanwhile.
    pub fn after_event(&mut self) {
        self.world.watch_supervisor();
        self.world.see_to_supervisor();
        self.see_to_policy();
        self.world.flush_journal();
    }

    /// Ends the instance that faulted and says why.
    pub fn on_fault(&mut self, instance: u16, label: u64, words: impl Iterator<Item = u64>) {
        let fault = Fault::new(label, words);
        let mut detail = fault.to_string();
        cut(&mut detail, TEXT_MAX);
        self.world.stop(instance, if fault.is_end() { State::Ended } else { State::Faulted }, detail);
    }

    /// Answers a call; the badge says of which interface.
    pub fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        let session = (incoming.client(), incoming.badge().interface());
        if let Some(gate) = self.gates.get_mut(&session)
            && let Err(refusal) = gate.admit(incoming, self.world.kernel.now_ns())
        {
            return outgoing.set_refusal(refusal);
        }
        let graph = Rc::clone(&self.world.graph);
        let provided = graph
            .instance(layout::SECURITYD)
            .and_then(|own| own.provides.get(usize::from(incoming.badge().interface())));
        match provided.map(|provided| provided.interface.as_str()) {
            Some(idl::access::INTERFACE) => idl::dispatch_access(self, incoming, outgoing),
            Some(idl::policy::INTERFACE) => idl::dispatch_policy(self, incoming, outgoing),
            Some(idl::inspect::INTERFACE) => idl::dispatch_inspect(self, incoming, outgoing),
            Some(idl::audit::INTERFACE) => idl::dispatch_audit(self, incoming, outgoing),
            Some(idl::control::INTERFACE) => idl::dispatch_control(self, incoming, outgoing),
            Some(idl::sessions::INTERFACE) => idl::dispatch_sessions(self, incoming, outgoing),
            Some(idl::install::INTERFACE) => idl::dispatch_install(self, incoming, outgoing),
            Some(idl::power::INTERFACE) => idl::dispatch_power(self, incoming, outgoing),
            Some(process::lifecycle::INTERFACE) => process::dispatch_lifecycle(self, incoming, outgoing),
            // Untouched, the answer says that there is no such operation.
            _ => {}
        }
    }

    pub(crate) fn name_of(&self, client: ClientId) -> String {
        self.world.graph.instance(client.instance).map_or_else(|| "?".into(), |instance| instance.name.clone())
    }

    pub(crate) fn tell(&mut self, client: ClientId, kind: RecordKind, what: &str) {
        let line = format!("{} {what}", self.name_of(client));
        let at = self.world.kernel.now_ns();
        self.world.journal.write(Level::Warn, at, line.clone());
        self.world.audit.record(at, kind, line);
    }

    fn grant_count(&self) -> usize {
        self.world.live.iter().map(|live| live.grants.len()).sum()
    }
}

impl<K: Kernel> idl::Inspect for Server<K> {
    fn summary(&mut self, _: ClientId) -> idl::InspectSummary<'_> {
        let (memory_total, memory_free) = self.world.memory();
        idl::InspectSummary {
            product: short(&self.world.graph.product, NAME_MAX),
            version: short(&self.world.graph.version, NAME_MAX),
            instances: u16::try_from(self.world.live.len()).unwrap_or(u16::MAX),
            memory_total,
            memory_free,
            grants: u32::try_from(self.grant_count()).unwrap_or(u32::MAX),
        }
    }

    fn instance(&mut self, _: ClientId, index: u16) -> Result<idl::Instance<'_>, idl::Error> {
        let place = usize::from(index);
        let heap_bytes = self.world.heap_in_use(place);
        let live = self.world.live.get(place).ok_or(idl::Error::NoSuchInstance)?;
        let instance = self.world.graph.instance(live.id).ok_or(idl::Error::NoSuchInstance)?;
        Ok(idl::Instance {
            index,
            name: short(&instance.name, NAME_MAX),
            component: short(instance.program(), NAME_MAX),
            state: match live.state {
                State::Starting => idl::State::Starting,
                State::Running => idl::State::Running,
                State::Faulted => idl::State::Faulted,
                State::Killed => idl::State::Killed,
                State::Failed => idl::State::Failed,
                State::Empty => idl::State::Empty,
                State::Ended => idl::State::Ended,
            },
            generation: live.generation,
            priority: instance.priority,
            memory_bytes: self.world.bytes_of(place),
            heap_bytes,
            capabilities: u16::try_from(live.grants.len()).unwrap_or(u16::MAX),
            detail: short(&live.detail, TEXT_MAX),
        })
    }

    fn grant(&mut self, _: ClientId, index: u16, number: u16) -> Result<idl::InspectGrant<'_>, idl::Error> {
        let live = self.world.live.get(usize::from(index)).ok_or(idl::Error::NoSuchInstance)?;
        let number = usize::from(number);
        let mut line = live.grants.get(number).map(ToString::to_string).unwrap_or_default();
        cut(&mut line, TEXT_MAX);
        Ok(idl::InspectGrant { line: Cow::Owned(line), more: number + 1 < live.grants.len() })
    }
}

impl<K: Kernel> idl::Audit for Server<K> {
    fn span(&mut self, _: ClientId, chain: idl::Chain) -> idl::AuditSpan {
        let waiting = match chain {
            idl::Chain::Events => 0,
            idl::Chain::Denials => self.access.waiting(),
        };
        self.world.audit.span(chain, waiting)
    }

    fn record(&mut self, _: ClientId, chain: idl::Chain, sequence: u64) -> Option<idl::AuditRecord<'_>> {
        self.world.audit.at(chain, sequence)
    }
}

/// The start of a text, at most `max` bytes.
pub(crate) fn short(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let mut text = text.to_string();
    cut(&mut text, max);
    Cow::Owned(text)
}

impl<K: Kernel> idl::Control for Server<K> {
    fn kill(&mut self, client: ClientId, name: &str) -> Result<(), idl::Error> {
        #[cfg(feature = "faults")]
        if self.world.order(name) {
            return Ok(());
        }
        let id = self.world.graph.named(name).map(|instance| instance.id).ok_or(idl::Error::NoSuchInstance)?;
        if id == layout::SECURITYD {
            self.tell(client, RecordKind::Refused, "tried to stop securityd");
            return Err(idl::Error::NotAllowed);
        }
        let detail = format!("stopped by {}", self.name_of(client));
        if self.world.stop(id, State::Killed, detail) { Ok(()) } else { Err(idl::Error::NotAllowed) }
    }

    fn revoke(&mut self, by: ClientId, client: &str, name: &str) -> Result<(), idl::Error> {
        self.set_permitted(by, client, name, false)
    }

    fn permit(&mut self, by: ClientId, client: &str, name: &str) -> Result<(), idl::Error> {
        self.set_permitted(by, client, name, true)
    }
}

impl<K: Kernel> idl::Power for Server<K> {
    fn off(&mut self, client: ClientId) {
        self.tell(client, RecordKind::Power, "switches the system off");
        self.world.kernel.power_off();
    }

    fn restart(&mut self, client: ClientId) {
        self.tell(client, RecordKind::Power, "restarts the system");
        self.world.kernel.restart();
    }
}

#[cfg(test)]
pub(crate) mod tests;
