//! A compiled policy, and what it says to a question; it counts nothing and knows no time.

use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::words::{Peer, Protocol, Question, Transport, Verb};

/// Of what a rule speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Of everything, connections too.
    Any,
    /// Of this one. A slash at the end says nothing, here and in questions; so the root is the empty text.
    Exact(String),
    /// Of this one and everything below it, by whole segments.
    Below(String),
}

impl Endpoint {
    /// Whether a question is about it.
    #[must_use]
    pub fn covers(&self, endpoint: &str) -> bool {
        let Some(plain) = trimmed(endpoint) else { return *self == Self::Any };
        match self {
            Self::Any => true,
            Self::Exact(own) => plain == own,
            Self::Below(own) => {
                plain.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

/// Without a slash at the end; none for what is no endpoint.
pub(crate) fn trimmed(endpoint: &str) -> Option<&str> {
    endpoint.starts_with('/').then(|| endpoint.strip_suffix('/').unwrap_or(endpoint))
}

/// Of whom a rule speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A network: its address and how many bits of it count (0 to 32).
    Net4([u8; 4], u8),
    /// The same (0 to 128).
    Net6([u8; 16], u8),
    /// A component of this device.
    Component(String),
    /// Whoever proved to be that.
    Identity(String),
    /// Whoever proved to be somebody.
    AnyIdentity,
}

impl Principal {
    fn is(&self, peer: Peer<'_>, identity: Option<&str>) -> bool {
        match (self, peer) {
            (Self::Net4(net, bits), Peer::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                (u32::from_be_bytes(*net) ^ u32::from_be_bytes(address)) & mask == 0
            }
            (Self::Net6(net, bits), Peer::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                (u128::from_be_bytes(*net) ^ u128::from_be_bytes(address)) & mask == 0
            }
            (Self::Component(own), Peer::Component(name)) => own == name,
            (Self::Identity(own), _) => identity == Some(own.as_str()),
            (Self::AnyIdentity, _) => identity.is_some(),
            _ => false,
        }
    }

    pub(crate) const fn is_identity(&self) -> bool {
        matches!(self, Self::Identity(_) | Self::AnyIdentity)
    }
}

/// So many in so many seconds, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, 1 or more.
    pub count: u16,
    /// In how many seconds, 1 or more.
    pub seconds: u16,
    /// How many at once after a pause, 1 or more.
    pub burst: u16,
}

impl Rate {
    /// The time that one takes.
    pub(crate) fn interval_ns(self) -> u64 {
        u64::from(self.seconds) * 1_000_000_000 / u64::from(self.count).max(1)
    }
}

/// What bounds that which is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many requests a peer has open, 1 or more.
    pub open: Option<u32>,
    /// How often.
    pub rate: Option<Rate>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Set of protocols.
    pub protocols: u16,
    /// Set of verbs.
    pub verbs: u16,
    /// At least; [`Transport::Plain`] in a rule that denies.
    pub transport: Transport,
    /// Whom; empty: everybody.
    pub who: Vec<Principal>,
    /// Of what.
    pub endpoint: Endpoint,
    /// What is allowed within which limits; none: it is denied.
    pub allows: Option<Limits>,
}

impl Rule {
    pub(crate) fn is_about(&self, question: &Question<'_>) -> bool {
        self.protocols & question.protocol.bit() != 0
            && self.verbs & question.verb.bit() != 0
            && self.endpoint.covers(question.endpoint)
    }

    pub(crate) fn is_for(&self, question: &Question<'_>) -> bool {
        let peer = question.peer.canonical();
        self.who.is_empty() || self.who.iter().any(|principal| principal.is(peer, question.identity))
    }
}

/// Who must be able to do something under this policy and each that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// What is spoken.
    pub protocol: Protocol,
    /// How it comes.
    pub transport: Transport,
    /// What is wanted.
    pub verb: Verb,
    /// From where.
    pub peer: KeptPeer,
    /// By whom.
    pub identity: Option<String>,
    /// Of what.
    pub endpoint: String,
}

/// The peer of a [`Keep`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptPeer {
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 address.
    V6([u8; 16]),
    /// A component.
    Component(String),
}

impl Keep {
    /// The question that it wants to be allowed.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        let peer = match &self.peer {
            KeptPeer::V4(address) => Peer::V4(*address),
            KeptPeer::V6(address) => Peer::V6(*address),
            KeptPeer::Component(name) => Peer::Component(name),
        };
        let identity = self.identity.as_deref();
        let Self { protocol, transport, verb, .. } = *self;
        Question { protocol, transport, verb, peer, identity, endpoint: &self.endpoint }
    }

    /// Whether a question is what is to be kept. Who has proved to be somebody may come from anywhere.
    #[must_use]
    pub fn is(&self, question: &Question<'_>) -> bool {
        let own = self.question();
        let is_peer = own.identity.is_some() || own.peer.canonical() == question.peer.canonical();
        is_peer
            && own.identity == question.identity
            && (own.protocol, own.verb) == (question.protocol, question.verb)
            && own.transport <= question.transport
            && trimmed(own.endpoint) == trimmed(question.endpoint)
    }
}

/// Why it is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No rule allows it.
    NoRule,
    /// A rule denies it.
    Rule,
    /// A rule before would allow it over a better transport.
    Transport,
    /// A rule before would allow it to somebody who has proved who he is, and this one has not.
    Identity,
    /// It came too soon after others.
    Rate,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may be, within these limits; by the rule of that place.
    Allow(usize, Limits),
    /// It may not be; by the rule of that place, if by one.
    Deny(Option<usize>, Reason),
}

/// All rules; the first that matches decides, and what none matches is denied. The empty one denies everything.
///
/// # Invariants
/// INV-ACCESS-1: at most [`RULES_MAX`](super::RULES_MAX) rules with at most 128 principals in all, names of at most 64 and patterns of at most 128 bytes: so what a
/// decision costs is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// For people.
    pub name: String,
    /// What must stay allowed.
    pub keeps: Vec<Keep>,
    /// In order.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Decides. The reason of a denial tells of the first rule that would have allowed it but for the transport or the identity.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Outcome {
        if !question.is_sound() {
            return Outcome::Deny(None, Reason::NoRule);
        }
        let mut nearly = None;
        for (place, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.is_about(question)) {
            let (is_for, is_secure) = (rule.is_for(question), rule.transport <= question.transport);
            match rule.allows {
                Some(limits) if is_for && is_secure => return Outcome::Allow(place, limits),
                Some(_) if is_for => nearly = nearly.or(Some(Reason::Transport)),
                Some(_) if is_secure && question.identity.is_none() && rule.who.iter().any(Principal::is_identity) => {
                    nearly = nearly.or(Some(Reason::Identity));
                }
                None if is_for => return Outcome::Deny(Some(place), nearly.unwrap_or(Reason::Rule)),
                _ => {}
            }
        }
        Outcome::Deny(None, nearly.unwrap_or(Reason::NoRule))
    }

    /// The start of the SHA-256 of its bytes, by which people tell policies apart.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let hash: [u8; 32] = Sha256::digest(self.to_bytes()).into();
        hash.first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
    }

    /// The place of the first of `keeps` that this policy would deny.
    pub fn locks_out<'a>(&self, mut keeps: impl Iterator<Item = &'a Keep>) -> Option<usize> {
        keeps.position(|keep| matches!(self.decide(&keep.question()), Outcome::Deny(..)))
    }
}
