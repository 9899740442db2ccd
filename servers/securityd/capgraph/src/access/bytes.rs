//! A policy as bytes: written on the host, read and bounded on the device; every sound text has one encoding.
//!
//! Little endian. `HYACCES1`, name, number of keeps, keeps, number of rules, rules, nothing more. A text is its length (a byte) and UTF-8.
//! Keep: protocol, transport, verb, peer (1: 4 bytes, 2: 16 bytes, 3: text), whether there is an identity (0, or 1 and the text), endpoint.
//! Rule: protocols (u16), verbs (u16), transport, endpoint (1, or 2 exact, 3 below: and the text), number of principals, principals, decision:
//! 0 denies; 1 allows: open requests (u32, 0: any number), rate (count, seconds, burst: u16 each, all 0: none).
//! Principal: 1: 4 bytes and bits, 2: 16 bytes and bits, 3: component, 4: identity, 5: any identity.

use alloc::string::String;
use alloc::vec::Vec;

use super::policy::{Endpoint, Keep, KeptPeer, Limits, Policy, Principal, Rate, Rule};
use super::words::{Protocol, Transport, Verb};

/// The longest encoding.
pub const POLICY_MAX: usize = 4096;
/// The most rules.
pub const RULES_MAX: usize = 64;
/// The most principals of all rules together, a role's members counted wherever it is named.
pub(crate) const PRINCIPALS_MAX: usize = 128;
/// The most keeps.
pub(crate) const KEEPS_MAX: usize = 8;
/// The longest name of a policy or a component.
pub(crate) const NAME_MAX: usize = 32;
/// The longest identity.
pub(crate) const IDENTITY_MAX: usize = 64;
/// The longest pattern.
pub(crate) const PATTERN_MAX: usize = 128;

const MAGIC: &[u8; 8] = b"HYACCES1";

/// Why bytes are no policy, and in which entry (a keep or a rule, from 0) that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They do not begin as one, or not of this version.
    Magic,
    /// They are longer than [`POLICY_MAX`].
    TooLong,
    /// The name is none.
    Name,
    /// There are too many keeps, or the one of that number is none.
    Keep(u8),
    /// There are too many rules, or the one of that number is none.
    Rule(u8),
    /// Something follows the last rule.
    Trailing,
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn text(&mut self, most: usize) -> Option<String> {
        let length = usize::from(self.u8()?);
        let text = core::str::from_utf8(self.take(length)?).ok()?;
        (length <= most).then(|| text.into())
    }

    fn keep(&mut self) -> Option<Keep> {
        let protocol = Protocol::of_number(self.u8()?)?;
        let transport = Transport::of_number(self.u8()?)?;
        let verb = Verb::of_number(self.u8()?)?;
        let peer = match self.u8()? {
            1 => KeptPeer::V4(self.array()?),
            2 => KeptPeer::V6(self.array()?),
            3 => KeptPeer::Component(self.text(NAME_MAX)?),
            _ => return None,
        };
        let identity = match self.u8()? {
            0 => None,
            1 => Some(self.text(IDENTITY_MAX)?),
            _ => return None,
        };
        let keep = Keep { protocol, transport, verb, peer, identity, endpoint: self.text(PATTERN_MAX)? };
        keep.question().is_sound().then_some(keep)
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        let kind = self.u8()?;
        if kind == 1 {
            return Some(Endpoint::Any);
        }
        let text = self.text(PATTERN_MAX)?;
        // As `trimmed` makes them, so that what is compared has one form.
        let is_plain = text.is_empty() || (text.starts_with('/') && !text.ends_with('/'));
        match kind {
            2 if is_plain => Some(Endpoint::Exact(text)),
            3 if is_plain => Some(Endpoint::Below(text)),
            _ => None,
        }
    }

    fn principal(&mut self) -> Option<Principal> {
        Some(match self.u8()? {
            1 => Principal::Net4(self.array()?, self.u8().filter(|bits| *bits <= 32)?),
            2 => Principal::Net6(self.array()?, self.u8().filter(|bits| *bits <= 128)?),
            3 => Principal::Component(self.text(NAME_MAX)?),
            4 => Principal::Identity(self.text(IDENTITY_MAX)?),
            5 => Principal::AnyIdentity,
            _ => return None,
        })
    }

    fn limits(&mut self) -> Option<Limits> {
        let open = u32::from_le_bytes(self.array()?);
        let rate = Rate { count: self.u16()?, seconds: self.u16()?, burst: self.u16()? };
        let rate = match (rate.count, rate.seconds, rate.burst) {
            (0, 0, 0) => None,
            (1.., 1.., 1..) => Some(rate),
            _ => return None,
        };
        Some(Limits { open: Some(open).filter(|open| *open > 0), rate })
    }

    fn rule(&mut self, room: usize) -> Option<Rule> {
        let (protocols, verbs) = (self.u16()?, self.u16()?);
        let transport = Transport::of_number(self.u8()?)?;
        let endpoint = self.endpoint()?;
        let count = usize::from(self.u8()?);
        if count > room || !is_set(protocols, Protocol::ALL.len()) || !is_set(verbs, Verb::ALL.len()) {
            return None;
        }
        let who = (0..count).map(|_| self.principal()).collect::<Option<Vec<_>>>()?;
        let allows = match self.u8()? {
            0 if transport == Transport::Plain => None,
            1 => Some(self.limits()?),
            _ => return None,
        };
        Some(Rule { protocols, verbs, transport, who, endpoint, allows })
    }
}

/// Not empty, and only bits 1 to `count`.
const fn is_set(bits: u16, count: usize) -> bool {
    bits != 0 && bits & 1 == 0 && bits >> (count + 1) == 0
}

impl Policy {
    /// Reads what [`Policy::to_bytes`] wrote, and nothing else (INV-ACCESS-1).
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn try_new(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > POLICY_MAX {
            return Err(Fault::TooLong);
        }
        let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(Fault::Magic)?);
        let mut policy = Self { name: reader.text(NAME_MAX).ok_or(Fault::Name)?, ..Self::default() };
        let keeps = reader.u8().filter(|count| usize::from(*count) <= KEEPS_MAX).ok_or(Fault::Keep(u8::MAX))?;
        for number in 0..keeps {
            policy.keeps.push(reader.keep().ok_or(Fault::Keep(number))?);
        }
        let rules = reader.u8().filter(|count| usize::from(*count) <= RULES_MAX).ok_or(Fault::Rule(u8::MAX))?;
        let mut room = PRINCIPALS_MAX;
        for number in 0..rules {
            let rule = reader.rule(room).ok_or(Fault::Rule(number))?;
            room -= rule.who.len();
            policy.rules.push(rule);
        }
        if reader.0.is_empty() { Ok(policy) } else { Err(Fault::Trailing) }
    }

    /// As bytes; what is beyond the bounds is refused when they are read.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        text(&mut out, &self.name);
        out.push(small(self.keeps.len()));
        self.keeps.iter().for_each(|keep| write_keep(&mut out, keep));
        out.push(small(self.rules.len()));
        self.rules.iter().for_each(|rule| write_rule(&mut out, rule));
        out
    }
}

/// A length as a byte; one that is too large as the largest, which no bound lets through.
fn small(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(small(text.len()));
    out.extend_from_slice(text.as_bytes());
}

fn write_keep(out: &mut Vec<u8>, keep: &Keep) {
    out.extend([keep.protocol as u8, keep.transport as u8, keep.verb as u8]);
    match &keep.peer {
        KeptPeer::V4(address) => tagged(out, 1, address),
        KeptPeer::V6(address) => tagged(out, 2, address),
        KeptPeer::Component(name) => named(out, 3, name),
    }
    match &keep.identity {
        None => out.push(0),
        Some(identity) => named(out, 1, identity),
    }
    text(out, &keep.endpoint);
}

fn write_rule(out: &mut Vec<u8>, rule: &Rule) {
    out.extend(rule.protocols.to_le_bytes());
    out.extend(rule.verbs.to_le_bytes());
    out.push(rule.transport as u8);
    match &rule.endpoint {
        Endpoint::Any => out.push(1),
        Endpoint::Exact(path) => named(out, 2, path),
        Endpoint::Below(path) => named(out, 3, path),
    }
    out.push(small(rule.who.len()));
    for principal in &rule.who {
        match principal {
            Principal::Net4(address, bits) => tagged(out, 1, &[address, &[*bits][..]].concat()),
            Principal::Net6(address, bits) => tagged(out, 2, &[address, &[*bits][..]].concat()),
            Principal::Component(name) => named(out, 3, name),
            Principal::Identity(name) => named(out, 4, name),
            Principal::AnyIdentity => out.push(5),
        }
    }
    let Some(limits) = rule.allows else { return out.push(0) };
    out.push(1);
    out.extend(limits.open.unwrap_or(0).to_le_bytes());
    let rate = limits.rate.map_or([0; 3], |rate| [rate.count, rate.seconds, rate.burst]);
    rate.iter().for_each(|number| out.extend(number.to_le_bytes()));
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn named(out: &mut Vec<u8>, tag: u8, name: &str) {
    out.push(tag);
    text(out, name);
}
