//! What securityd does after boot: access decisions, inspection, control, faults; a server like any other.

use alloc::borrow::Cow;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

use hybrid_capgraph::{Decision, RequestFacts, layout, text_of};
use hybrid_interfaces::security::RecordKind;
use hybrid_interfaces::{process, security as idl};
use hybrid_ipc::{ClientId, Incoming, Outgoing};

use crate::audit::cut;
use crate::denials::Denials;
use crate::fault::Fault;
use crate::install::{State, World};
use crate::journal::Level;
use crate::kernel::Kernel;

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
    allowed: u64,
    denied: u64,
    connections: Denials,
    requests: Denials,
    sessions: Denials,
}

/// Of what there can be too much to record one by one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Connections that were denied.
    Connection,
    /// Requests that were denied.
    Request,
    /// Sessions that clients opened and closed.
    Session,
}

impl<K: Kernel> Server<K> {
    /// After the installation.
    #[must_use]
    pub const fn new(world: World<K>) -> Self {
        Self {
            world,
            allowed: 0,
            denied: 0,
            connections: Denials::new(),
            requests: Denials::new(),
            sessions: Denials::new(),
        }
    }

    /// How many connections and requests were allowed and denied.
    #[must_use]
    pub const fn decisions(&self) -> (u64, u64) {
        (self.allowed, self.denied)
    }

    /// Sees to the supervisor, whom nobody else watches, and sends what was logged meanwhile.
    pub fn after_event(&mut self) {
        self.world.see_to_supervisor();
        let now = self.world.kernel.now_ns();
        self.tell_untold(Kind::Connection, now);
        self.tell_untold(Kind::Request, now);
        self.tell_untold(Kind::Session, now);
        self.world.flush_journal();
    }

    /// Ends the instance that faulted and says why.
    pub fn on_fault(&mut self, instance: u16, label: u64, words: impl Iterator<Item = u64>) {
        let mut detail = Fault::new(label, words).to_string();
        cut(&mut detail, TEXT_MAX);
        self.world.stop(instance, State::Faulted, detail);
    }

    /// Answers a call; the badge says of which interface.
    pub fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        let graph = Rc::clone(&self.world.graph);
        let provided = graph
            .instance(layout::SECURITYD)
            .and_then(|own| own.provides.get(usize::from(incoming.badge().interface())));
        match provided.map(|provided| provided.interface.as_str()) {
            Some(idl::access::INTERFACE) => idl::dispatch_access(self, incoming, outgoing),
            Some(idl::inspect::INTERFACE) => idl::dispatch_inspect(self, incoming, outgoing),
            Some(idl::audit::INTERFACE) => idl::dispatch_audit(self, incoming, outgoing),
            Some(idl::control::INTERFACE) => idl::dispatch_control(self, incoming, outgoing),
            Some(idl::sessions::INTERFACE) => idl::dispatch_sessions(self, incoming, outgoing),
            Some(idl::power::INTERFACE) => idl::dispatch_power(self, incoming, outgoing),
            Some(process::lifecycle::INTERFACE) => process::dispatch_lifecycle(self, incoming, outgoing),
            // Untouched, the answer says that there is no such operation.
            _ => {}
        }
    }

    pub(crate) const fn denials(&mut self, kind: Kind) -> &mut Denials {
        match kind {
            Kind::Session => &mut self.sessions,
            Kind::Connection => &mut self.connections,
            Kind::Request => &mut self.requests,
        }
    }

    /// Tells how many denials were not told by themselves, when their window is over.
    pub(crate) fn tell_untold(&mut self, kind: Kind, now: u64) {
        if let Some(untold) = self.denials(kind).untold(now) {
            let what = match kind {
                Kind::Connection => format!("denied {untold} more connections"),
                Kind::Request => format!("denied {untold} more requests"),
                Kind::Session => format!("{untold} more sessions were opened or closed"),
            };
            let line = format!("{what}, which are not kept one by one");
            self.world.journal.write(Level::Warn, now, line.clone());
            self.world.audit.record(now, RecordKind::Gap, line);
        }
    }

    /// Counts a decision; denials stand in the audit trail and in the log: one by one, unless there are too many.
    fn decide(
        &mut self,
        client: ClientId,
        decision: Decision,
        kind: Kind,
        what: impl FnOnce() -> String,
    ) -> (idl::Decision, u32) {
        if decision != Decision::Deny {
            self.allowed += 1;
            return match decision {
                Decision::Limit(limit) => (idl::Decision::Limit, limit),
                _ => (idl::Decision::Allow, 0),
            };
        }
        self.denied += 1;
        let at = self.world.kernel.now_ns();
        self.tell_untold(kind, at);
        if self.denials(kind).count(at) {
            let line = format!("denied {} (asked by {})", what(), self.name_of(client));
            self.world.journal.write(Level::Warn, at, line.clone());
            self.world.audit.record(at, RecordKind::Denied, line);
        }
        (idl::Decision::Deny, 0)
    }

    pub(crate) fn name_of(&self, client: ClientId) -> String {
        self.world.graph.instance(client.instance).map_or_else(|| "?".into(), |instance| instance.name.clone())
    }

    fn tell(&mut self, client: ClientId, kind: RecordKind, what: &str) {
        let line = format!("{} {what}", self.name_of(client));
        let at = self.world.kernel.now_ns();
        self.world.journal.write(Level::Warn, at, line.clone());
        self.world.audit.record(at, kind, line);
    }

    fn grant_count(&self) -> usize {
        self.world.live.iter().map(|live| live.grants.len()).sum()
    }
}

impl<K: Kernel> idl::Access for Server<K> {
    fn connection(
        &mut self,
        client: ClientId,
        protocol: idl::Protocol,
        transport: idl::Transport,
        peer: &str,
    ) -> idl::AccessConnection {
        let (protocol, transport) = (protocol.name(), transport.name());
        let decision = self.world.graph.access.connection(protocol, transport, peer);
        let (decision, limit) =
            self.decide(client, decision, Kind::Connection, || format!("{protocol} connection of {}", quoted(peer)));
        idl::AccessConnection { decision, limit }
    }

    fn request(
        &mut self,
        client: ClientId,
        protocol: idl::Protocol,
        transport: idl::Transport,
        peer: &str,
        identity: Option<&str>,
        endpoint: &str,
        operation: &str,
        path: &str,
    ) -> idl::AccessRequest {
        let facts = RequestFacts { protocol: protocol.name(), transport: transport.name(), endpoint, operation, path };
        let decision = self.world.graph.access.request(&facts);
        let (decision, limit) = self.decide(client, decision, Kind::Request, || {
            let who =
                identity.map_or_else(|| quoted(peer), |identity| format!("{} as {}", quoted(peer), quoted(identity)));
            format!(
                "{} {} {} of endpoint {} to {who}",
                facts.protocol,
                quoted(operation),
                quoted(path),
                quoted(endpoint)
            )
        });
        idl::AccessRequest { decision, limit }
    }
}

/// What a peer sent, so that it can neither end a line nor be taken for another part of it.
fn quoted(text: &str) -> String {
    let mut quoted = format!("{text:?}");
    if quoted.len() > 96 {
        cut(&mut quoted, 92);
        quoted.push_str("…\"");
    }
    quoted
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
            idl::Chain::Denials => self.connections.waiting().saturating_add(self.requests.waiting()),
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

    fn dump_grants(&mut self, _: ClientId) -> u32 {
        let grants: alloc::vec::Vec<_> = self.world.live.iter().flat_map(|live| live.grants.iter().cloned()).collect();
        let at = self.world.kernel.now_ns();
        for line in text_of(&grants).lines() {
            self.world.journal.write(Level::Info, at, line);
        }
        let count = u32::try_from(grants.len()).unwrap_or(u32::MAX);
        self.world.journal.write(
            Level::Info,
            at,
            format!("{count} grants in all; {} connections and requests allowed, {} denied", self.allowed, self.denied),
        );
        count
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
