//! Access decisions, their record, and the replacement of the policy behind them; what a policy says is capgraph's.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::Graph;
use hybrid_capgraph::access::{
    Answer, Fault, InForce, Outcome, Peer, Policy, Protocol, Question, Reason, Refused, Transport, Verb,
};
use hybrid_interfaces::security as idl;
use hybrid_interfaces::security::RecordKind;
use hybrid_ipc::ClientId;

use crate::audit::cut;
use crate::denials::Denials;
use crate::journal::Level;
use crate::kernel::Kernel;
use crate::server::{Server, short};

/// The longest trial, seconds.
const TRIAL_MAX_S: u16 = 3600;

/// What is decided by, and what was decided.
#[derive(Debug)]
pub struct Decisions {
    force: InForce,
    /// What was submitted.
    pending: Vec<u8>,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    /// By [`Kind`].
    denials: [Denials; 4],
}

/// Of what there can be too much to record one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Connections that were denied.
    Connection,
    /// Requests that were denied.
    Request,
    /// Sessions that clients opened and closed.
    Session,
    /// What installers may not install.
    Install,
}

impl Decisions {
    /// By the image's policy, which a coherent graph has; else everything is denied.
    pub(crate) fn of(graph: &Graph) -> Self {
        let policy = Policy::try_new(&graph.access).unwrap_or_default();
        let denials = [const { Denials::new() }; 4];
        Self { force: InForce::new(policy), pending: Vec::new(), allowed: 0, denied: 0, denials }
    }

    /// Denials that have no record yet.
    pub(crate) const fn waiting(&self) -> u32 {
        let [connections, requests, ..] = &self.denials;
        connections.waiting().saturating_add(requests.waiting())
    }

    /// What was submitted, if it can be tried; else what is wrong, and at which entry.
    fn submitted(&self) -> Result<Policy, (idl::PolicyError, u16, String)> {
        let policy = Policy::try_new(&self.pending).map_err(|fault| {
            let index = match fault {
                Fault::Keep(index) | Fault::Rule(index) => index.into(),
                _ => u16::MAX,
            };
            (idl::PolicyError::Unsound, index, format!("these {} bytes are no policy: {fault:?}", self.pending.len()))
        })?;
        match self.force.check(&policy) {
            Err(Refused::LockedOut(index)) => {
                let image = self.force.keeps();
                let keep = image.iter().chain(&policy.keeps).nth(index).map(|keep| told(&keep.question()));
                let text = format!("it would deny what must stay allowed: {}", keep.unwrap_or_default());
                Err((idl::PolicyError::LockedOut, u16::try_from(index).unwrap_or(u16::MAX), text))
            }
            _ => Ok(policy),
        }
    }
}

impl<K: Kernel> Server<K> {
    /// Ends a trial whose time is over, and tells of denials that were not kept one by one when their window is over.
    pub(crate) fn see_to_policy(&mut self) {
        let now = self.world.kernel.now_ns();
        self.end_late_trial(now);
        for kind in [Kind::Connection, Kind::Request, Kind::Session, Kind::Install] {
            self.tell_untold(kind, now);
        }
    }

    fn end_late_trial(&mut self, now: u64) {
        if let Some(late) = self.access.force.expire(now) {
            self.changed(now, &format!("{:?} was not confirmed in time", late.name));
        }
    }

    /// Another policy is in force: every cache of decisions is void before it answers anything.
    fn changed(&mut self, at: u64, why: &str) {
        let (policy, epoch) = (self.access.force.policy(), self.access.force.epoch());
        let (name, rules, digest) = (&policy.name, policy.rules.len(), policy.digest());
        let line = format!("{why}: {name:?} ({rules} rules, sha256 {digest:016x}…) is in force as epoch {epoch}");
        self.world.tell_policy(epoch);
        self.note_policy(at, line);
    }

    fn note_policy(&mut self, at: u64, line: String) {
        self.world.journal.write(Level::Warn, at, line.clone());
        self.world.audit.record(at, RecordKind::Policy, line);
    }

    pub(crate) const fn denials(&mut self, kind: Kind) -> &mut Denials {
        let [connections, requests, sessions, installs] = &mut self.access.denials;
        match kind {
            Kind::Connection => connections,
            Kind::Request => requests,
            Kind::Session => sessions,
            Kind::Install => installs,
        }
    }

    /// Tells how many were not told by themselves, when their window is over.
    pub(crate) fn tell_untold(&mut self, kind: Kind, now: u64) {
        if let Some(untold) = self.denials(kind).untold(now) {
            let what = match kind {
                Kind::Connection => format!("denied {untold} more connections"),
                Kind::Request => format!("denied {untold} more requests"),
                Kind::Session => format!("{untold} more sessions were opened or closed"),
                Kind::Install => format!("refused {untold} more installations"),
            };
            let line = format!("{what}, which are not kept one by one");
            self.world.journal.write(Level::Warn, now, line.clone());
            self.world.audit.record(now, RecordKind::Gap, line);
        }
    }

    /// Denials stand in the audit trail and in the log: one by one, unless there are too many.
    fn record_denial(&mut self, client: ClientId, question: &Question<'_>, reason: Reason, now: u64) {
        self.access.denied += 1;
        let kind = if question.verb == Verb::Connect { Kind::Connection } else { Kind::Request };
        self.tell_untold(kind, now);
        if self.denials(kind).count(now) {
            let line = format!("denied {} ({reason:?}, asked by {})", told(question), self.name_of(client));
            self.world.journal.write(Level::Warn, now, line.clone());
            self.world.audit.record(now, RecordKind::Denied, line);
        }
    }
}

impl<K: Kernel> idl::Access for Server<K> {
    fn decide(
        &mut self,
        client: ClientId,
        protocol: idl::Protocol,
        transport: idl::Transport,
        verb: idl::Verb,
        peer: idl::Peer<'_>,
        identity: Option<&str>,
        endpoint: &str,
        hits: u32,
    ) -> idl::AccessDecide {
        let now = self.world.kernel.now_ns();
        self.end_late_trial(now);
        self.access.allowed += u64::from(hits);
        let peer = match &peer {
            idl::Peer::V4(address) => Peer::V4(*address),
            idl::Peer::V6(address) => Peer::V6(*address),
            idl::Peer::Component(name) => Peer::Component(name),
        };
        let (protocol, transport, verb) = (protocol_of(protocol), transport_of(transport), verb_of(verb));
        let question = Question { protocol, transport, verb, peer, identity, endpoint };
        let Answer { outcome, epoch } = self.access.force.decide(&question, now);
        match outcome {
            Outcome::Allow(_, limits) => {
                self.access.allowed += 1;
                let decision = if limits.open.is_some() { idl::Decision::Limit } else { idl::Decision::Allow };
                let (reason, limit) = (idl::Reason::Granted, limits.open.unwrap_or(0));
                idl::AccessDecide { decision, reason, limit, epoch }
            }
            Outcome::Deny(_, reason) => {
                self.record_denial(client, &question, reason, now);
                idl::AccessDecide { decision: idl::Decision::Deny, reason: reason_of(reason), limit: 0, epoch: 0 }
            }
        }
    }
}

impl<K: Kernel> idl::Policy for Server<K> {
    fn submit(&mut self, _: ClientId, offset: u16, data: &[u8]) -> Result<(), idl::PolicyError> {
        let offset = usize::from(offset);
        let pending = &mut self.access.pending;
        if offset > pending.len() {
            return Err(idl::PolicyError::Unsound);
        }
        if offset + data.len() > idl::POLICY_MAX {
            return Err(idl::PolicyError::TooLong);
        }
        pending.truncate(offset);
        pending.extend_from_slice(data);
        Ok(())
    }

    fn check(&mut self, _: ClientId) -> idl::PolicyCheck<'_> {
        match self.access.submitted() {
            Ok(_) => idl::PolicyCheck { fault: None, index: 0, text: Cow::Borrowed("") },
            Err((fault, index, mut text)) => {
                cut(&mut text, idl::TEXT_MAX);
                idl::PolicyCheck { fault: Some(fault), index, text: Cow::Owned(text) }
            }
        }
    }

    fn try_for(&mut self, client: ClientId, seconds: u16) -> Result<u64, idl::PolicyError> {
        let now = self.world.kernel.now_ns();
        self.end_late_trial(now);
        let seconds = seconds.clamp(1, TRIAL_MAX_S);
        let deadline = now.saturating_add(u64::from(seconds) * 1_000_000_000);
        let tried = self.access.submitted().and_then(|policy| {
            let refused = |refused| (error_of(refused), 0, String::from("one is on trial already"));
            self.access.force.try_until(policy, deadline).map_err(refused)
        });
        if let Err((error, _, text)) = tried {
            let line = format!("a policy is refused to {}: {text}", self.name_of(client));
            self.note_policy(now, line);
            return Err(error);
        }
        let why = format!("{} tries a policy for {seconds} s", self.name_of(client));
        self.changed(now, &why);
        Ok(self.access.force.epoch())
    }

    fn confirm(&mut self, client: ClientId) -> Result<(), idl::PolicyError> {
        let now = self.world.kernel.now_ns();
        self.end_late_trial(now);
        let confirmed = self.access.force.confirm().map_err(error_of);
        let (name, policy) = (self.name_of(client), &self.access.force.policy().name);
        let line = match confirmed {
            Ok(()) => format!("{name} confirms the policy {policy:?}: it stays"),
            Err(error) => format!("{name} could not confirm the policy {policy:?}: {error:?}"),
        };
        self.note_policy(now, line);
        confirmed
    }

    fn roll_back(&mut self, client: ClientId) -> Result<(), idl::PolicyError> {
        let now = self.world.kernel.now_ns();
        self.end_late_trial(now);
        let _ended = self.access.force.roll_back().map_err(error_of)?;
        let why = format!("{} ends the trial", self.name_of(client));
        self.changed(now, &why);
        Ok(())
    }

    fn current(&mut self, _: ClientId) -> idl::PolicyState<'_> {
        let now = self.world.kernel.now_ns();
        self.end_late_trial(now);
        let (policy, trial) = (self.access.force.policy(), self.access.force.trial());
        let (deadline_ns, is_proven) = trial.unwrap_or_default();
        idl::PolicyState {
            epoch: self.access.force.epoch(),
            name: short(&policy.name, idl::NAME_MAX),
            digest: policy.digest(),
            rules: u16::try_from(policy.rules.len()).unwrap_or(u16::MAX),
            is_trial: trial.is_some(),
            deadline_ns,
            is_proven,
            pending: u16::try_from(self.access.pending.len()).unwrap_or(u16::MAX),
            allowed: self.access.allowed,
            denied: self.access.denied,
        }
    }
}

/// A question in one line of people's words.
fn told(question: &Question<'_>) -> String {
    let peer = match question.peer.canonical() {
        Peer::V4(address) => format!("{}", core::net::Ipv4Addr::from(address)),
        Peer::V6(address) => format!("{}", core::net::Ipv6Addr::from(address)),
        Peer::Component(name) => quoted(name),
    };
    let who = question.identity.map_or_else(String::new, |identity| format!(" as {}", quoted(identity)));
    let (protocol, verb, endpoint) = (question.protocol.text(), question.verb.text(), quoted(question.endpoint));
    format!("{protocol} {verb} {endpoint} to {peer}{who} ({})", question.transport.text())
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

const fn error_of(refused: Refused) -> idl::PolicyError {
    match refused {
        Refused::LockedOut(_) => idl::PolicyError::LockedOut,
        Refused::OnTrial => idl::PolicyError::OnTrial,
        Refused::NoTrial => idl::PolicyError::NoTrial,
        Refused::NotProven => idl::PolicyError::NotProven,
    }
}

const fn reason_of(reason: Reason) -> idl::Reason {
    match reason {
        Reason::NoRule => idl::Reason::NoRule,
        Reason::Rule => idl::Reason::Rule,
        Reason::Transport => idl::Reason::Transport,
        Reason::Identity => idl::Reason::Identity,
        Reason::Rate => idl::Reason::Rate,
    }
}

const fn protocol_of(protocol: idl::Protocol) -> Protocol {
    match protocol {
        idl::Protocol::Http => Protocol::Http,
        idl::Protocol::WebSocket => Protocol::WebSocket,
        idl::Protocol::Coap => Protocol::Coap,
        idl::Protocol::Mqtt => Protocol::Mqtt,
        idl::Protocol::Rtmp => Protocol::Rtmp,
        idl::Protocol::Bus => Protocol::Bus,
    }
}

const fn transport_of(transport: idl::Transport) -> Transport {
    match transport {
        idl::Transport::Plain => Transport::Plain,
        idl::Transport::Tls => Transport::Tls,
    }
}

const fn verb_of(verb: idl::Verb) -> Verb {
    match verb {
        idl::Verb::Connect => Verb::Connect,
        idl::Verb::Get => Verb::Get,
        idl::Verb::Head => Verb::Head,
        idl::Verb::Post => Verb::Post,
        idl::Verb::Put => Verb::Put,
        idl::Verb::Patch => Verb::Patch,
        idl::Verb::Delete => Verb::Delete,
        idl::Verb::Options => Verb::Options,
        idl::Verb::Fetch => Verb::Fetch,
        idl::Verb::Publish => Verb::Publish,
        idl::Verb::Subscribe => Verb::Subscribe,
        idl::Verb::Play => Verb::Play,
        idl::Verb::Call => Verb::Call,
    }
}

#[cfg(test)]
mod tests;
