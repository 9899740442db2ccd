//! The policy as people write it, and its way to a compiled one with every finding; on the host only.

use std::collections::BTreeMap;
use std::ops::Range;

use hybrid_config::{Problem, Source};
use serde::Deserialize;
use toml::Spanned;

use super::bytes::{IDENTITY_MAX, KEEPS_MAX, NAME_MAX, PATTERN_MAX, POLICY_MAX, PRINCIPALS_MAX, RULES_MAX};
use super::check;
use super::policy::{Endpoint, Keep, KeptPeer, Limits, Outcome, Policy, Principal, Rate, Rule, trimmed};
use super::words::{Protocol, Question, Transport, Verb};

/// `[access]` of a product, or a policy file of its own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessText {
    /// For people.
    #[serde(default)]
    pub name: Option<Spanned<String>>,
    /// Principals by a name; roles have no roles.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<Spanned<String>>>,
    /// In order.
    #[serde(default)]
    pub rule: Vec<Spanned<RuleText>>,
    /// What must stay allowed.
    #[serde(default)]
    pub keep: Vec<Spanned<KeepText>>,
}

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// A protocol, or "any".
    #[serde(default = "any")]
    pub protocol: String,
    /// At least.
    #[serde(default = "plain")]
    pub transport: String,
    /// Principals; none: everybody.
    #[serde(default)]
    pub who: Vec<String>,
    /// Verbs; none: all that the protocol has.
    #[serde(default)]
    pub verbs: Vec<String>,
    /// A pattern; none: everything.
    pub endpoint: Option<String>,
    /// "allow" or "deny".
    pub decision: DecisionText,
    /// Open requests.
    pub limit: Option<u32>,
    /// "20/s burst 40".
    pub rate: Option<String>,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionText {
    /// It may be.
    Allow,
    /// It may not.
    Deny,
}

/// What must stay allowed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepText {
    /// A protocol.
    pub protocol: String,
    /// How it comes.
    #[serde(default = "plain")]
    pub transport: String,
    /// A verb.
    pub verb: String,
    /// An address, or `component:NAME`.
    pub peer: String,
    /// Who it proved to be.
    pub identity: Option<String>,
    /// Of what; none with CONNECT.
    pub endpoint: Option<String>,
}

fn any() -> String {
    "any".into()
}

fn plain() -> String {
    "plain".into()
}

/// A policy, and where its rules and keeps stand.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// The policy.
    pub policy: Policy,
    /// Line of each rule.
    pub rule_lines: Vec<usize>,
    /// Line of each keep.
    pub keep_lines: Vec<usize>,
}

/// Reads the access policy of `text`: of its table `[access]` if it has one (as a system.toml does), else of the whole text.
///
/// # Errors
/// Every finding.
pub fn read_policy(source: &Source) -> Result<(AccessText, Compiled), Vec<Problem>> {
    #[derive(Deserialize)]
    struct WithTable {
        access: AccessText,
    }
    let has_table = toml::from_str::<toml::Table>(&source.text).is_ok_and(|table| table.contains_key("access"));
    let text = if has_table { source.parse::<WithTable>().map(|file| file.access) } else { source.parse() };
    let text = text.map_err(|problem| vec![problem])?;
    let path = source.file.strip_suffix("/system.toml").unwrap_or(&source.file);
    let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    let compiled = compile(source, &text, stem)?;
    Ok((text, compiled))
}

/// Compiles; `name` is for a text without one.
///
/// # Errors
/// Every finding.
pub fn compile(source: &Source, text: &AccessText, name: &str) -> Result<Compiled, Vec<Problem>> {
    let mut finder = Finder { source, problems: Vec::new(), span: 0..0 };
    let mut compiled = Compiled::default();
    compiled.policy.name = finder.name(text.name.as_ref(), name);
    let roles = finder.roles(text);
    for rule in &text.rule {
        finder.span = rule.span();
        compiled.rule_lines.push(source.place(finder.span.start).1);
        compiled.policy.rules.push(finder.rule(rule.get_ref(), &roles));
    }
    for keep in &text.keep {
        finder.span = keep.span();
        compiled.keep_lines.push(source.place(finder.span.start).1);
        compiled.policy.keeps.extend(finder.keep(keep.get_ref()));
    }
    if finder.problems.is_empty() {
        finder.whole(&compiled.policy, text);
    }
    if finder.problems.is_empty() { Ok(compiled) } else { Err(finder.problems) }
}

type Roles = BTreeMap<String, Vec<Principal>>;

/// Looks at one place of the text and collects what is wrong there.
struct Finder<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    span: Range<usize>,
}

impl Finder<'_> {
    fn tell(&mut self, rule: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.source.problem(self.span.clone(), rule, message, help));
    }

    fn word<T: Copy>(&mut self, text: &str, what: &str, of_text: fn(&str) -> Option<T>, all: &[&str]) -> Option<T> {
        let word = of_text(text);
        if word.is_none() {
            self.tell("bad-value", format!("there is no {what} `{text}`"), format!("one of {}", all.join(", ")));
        }
        word
    }

    fn protocol(&mut self, text: &str) -> Option<Protocol> {
        let all: Vec<&str> = Protocol::ALL.iter().map(|word| word.text()).collect();
        self.word(text, "protocol", Protocol::of_text, &all)
    }

    fn transport(&mut self, text: &str) -> Option<Transport> {
        self.word(text, "transport", Transport::of_text, &["plain", "tls"])
    }

    fn verb(&mut self, text: &str) -> Option<Verb> {
        let all: Vec<&str> = Verb::ALL.iter().map(|word| word.text()).collect();
        self.word(text, "verb", Verb::of_text, &all)
    }

    fn name(&mut self, given: Option<&Spanned<String>>, default: &str) -> String {
        let name = given.map_or(default, |name| name.get_ref());
        if name.is_empty() || name.len() > NAME_MAX || name.contains(char::is_control) {
            self.span = given.map_or(0..0, Spanned::span);
            self.tell("bad-value", format!("`{name}` is no name of a policy"), format!("1 to {NAME_MAX} bytes"));
        }
        name.into()
    }

    fn roles(&mut self, text: &AccessText) -> Roles {
        let mut roles = Roles::new();
        for (role, members) in &text.roles {
            let mut of_role = Vec::new();
            for member in members {
                self.span = member.span();
                match principal(member.get_ref()) {
                    Some(Some(member)) => of_role.push(member),
                    Some(None) => self.tell("bad-value", "everybody is no role", "leave `who` out of the rule"),
                    None => self.no_principal(member.get_ref()),
                }
            }
            roles.insert(role.clone(), of_role);
        }
        roles
    }

    fn no_principal(&mut self, text: &str) {
        let help = "peer:ADDRESS, peer:NETWORK/BITS, peer:any, component:NAME, identity:NAME, identity:any; in rules also role:NAME";
        self.tell("bad-value", format!("`{text}` is no principal"), help);
    }

    fn who(&mut self, text: &RuleText, roles: &Roles) -> Vec<Principal> {
        let (mut who, mut is_everybody) = (Vec::new(), text.who.is_empty());
        for member in &text.who {
            match (member.strip_prefix("role:"), principal(member)) {
                (Some(role), _) => match roles.get(role) {
                    Some(members) if !members.is_empty() => who.extend(members.iter().cloned()),
                    _ => self.tell(
                        "access-unknown-role",
                        format!("there is no role `{role}`, or nobody has it"),
                        "add it to `roles`",
                    ),
                },
                (None, Some(Some(principal))) => who.push(principal),
                (None, Some(None)) => is_everybody = true,
                (None, None) => self.no_principal(member),
            }
        }
        if is_everybody { Vec::new() } else { who }
    }

    fn rule(&mut self, text: &RuleText, roles: &Roles) -> Rule {
        let protocols: Vec<Protocol> = match text.protocol.as_str() {
            "any" => Protocol::ALL.to_vec(),
            one => self.protocol(one).into_iter().collect(),
        };
        let endpoint = text.endpoint.as_ref().map_or(Endpoint::Any, |pattern| self.pattern(pattern));
        let verbs = self.verbs(text, &protocols);
        let transport = self.transport(&text.transport).unwrap_or(Transport::Plain);
        let who = self.who(text, roles);
        let rate = text.rate.as_ref().and_then(|rate| self.rate(rate));
        let allows = match text.decision {
            DecisionText::Allow => Some(Limits { open: text.limit, rate }),
            DecisionText::Deny => None,
        };
        if text.limit == Some(0) {
            self.tell("bad-value", "a limit of 0 allows nothing", "write decision = \"deny\"");
        }
        if allows.is_none() && (text.limit.is_some() || text.rate.is_some() || transport != Transport::Plain) {
            let help = "a rule that denies, denies on every transport; allow what is secure in a rule before it";
            self.tell("bad-value", "`limit`, `rate` and `transport` are for what is allowed", help);
        }
        let protocols = protocols.iter().map(|protocol| protocol.bit()).sum();
        Rule { protocols, verbs, transport, who, endpoint, allows }
    }

    /// The verbs of a rule; those of its protocols, but for CONNECT if it has an endpoint.
    fn verbs(&mut self, text: &RuleText, protocols: &[Protocol]) -> u16 {
        let mut possible = protocols.iter().fold(0, |verbs, protocol| verbs | protocol.verbs());
        if text.endpoint.is_some() {
            possible &= !Verb::Connect.bit();
        }
        if text.verbs.is_empty() {
            return possible;
        }
        let mut verbs = 0;
        for name in &text.verbs {
            let Some(verb) = self.verb(name) else { continue };
            if possible & verb.bit() == 0 && possible != 0 {
                let message = format!("`{name}` never comes with protocol {} here", text.protocol);
                self.tell("bad-value", message, "docs/access.md has each protocol's verbs; CONNECT has no endpoint");
            }
            verbs |= verb.bit();
        }
        verbs
    }

    fn pattern(&mut self, text: &str) -> Endpoint {
        let (base, is_below) = text.strip_suffix("/*").map_or((text, false), |base| (base, true));
        let is_path = base.starts_with('/') || (is_below && base.is_empty());
        let is_plain = !base.contains(['*', '\0']) && !base.contains("//") && base.len() <= PATTERN_MAX;
        if !is_path || !is_plain {
            let help = format!(
                "\"/a/b\" is one, \"/a/b/*\" is it and all below it; at most {PATTERN_MAX} bytes, no other `*`, no empty segment"
            );
            self.tell("bad-value", format!("`{text}` is no pattern of endpoints"), help);
        }
        let base = trimmed(base).unwrap_or_default().to_owned();
        if is_below { Endpoint::Below(base) } else { Endpoint::Exact(base) }
    }

    fn rate(&mut self, text: &str) -> Option<Rate> {
        let rate = rate(text);
        if rate.is_none() {
            let help = "\"20/s\", \"20/s burst 40\", \"5/10min\": all numbers from 1 to 65535, in at most 18 hours";
            self.tell("access-bad-rate", format!("`{text}` is no rate"), help);
        }
        rate
    }

    fn keep(&mut self, text: &KeepText) -> Option<Keep> {
        let (protocol, verb) = (self.protocol(&text.protocol)?, self.verb(&text.verb)?);
        let transport = self.transport(&text.transport)?;
        let Some(peer) = single_peer(&text.peer) else {
            self.tell("bad-value", format!("`{}` is no single peer", text.peer), "an address, or component:NAME");
            return None;
        };
        let endpoint = text.endpoint.clone().unwrap_or_default();
        let keep = Keep { protocol, transport, verb, peer, identity: text.identity.clone(), endpoint };
        if !keep.question().is_sound() || keep.endpoint.len() > PATTERN_MAX {
            let help = "an endpoint that begins with `/`, none with CONNECT; docs/access.md has each protocol's verbs";
            self.tell("bad-value", format!("{} cannot {} `{}`", protocol.text(), verb.text(), keep.endpoint), help);
        }
        Some(keep)
    }

    /// What shows only when all rules are there.
    fn whole(&mut self, policy: &Policy, text: &AccessText) {
        let principals: usize = policy.rules.iter().map(|rule| rule.who.len()).sum();
        for (what, count, most) in [
            ("rules", policy.rules.len(), RULES_MAX),
            ("principals", principals, PRINCIPALS_MAX),
            ("keeps", policy.keeps.len(), KEEPS_MAX),
            ("bytes", policy.to_bytes().len(), POLICY_MAX),
        ] {
            if count > most {
                self.span = text.rule.last().map_or(0..0, Spanned::span);
                let help = "fewer rules, or principals that are networks; a role's members count wherever it is named";
                self.tell("access-too-large", format!("{count} {what}, and there is room for {most}"), help);
            }
        }
        for (later, earlier) in check::shadowed(policy) {
            self.span = text.rule[later].span();
            let line = self.source.place(text.rule[earlier].span().start).1;
            let message =
                format!("this rule never decides: all that it is about is decided by the rule in line {line}");
            self.tell("access-shadowed", message, "put it before that one, or take it out");
        }
        for (keep, place) in policy.keeps.iter().zip(&text.keep) {
            if let Outcome::Deny(rule, reason) = policy.decide(&keep.question()) {
                self.span = place.span();
                let by = rule.map_or_else(
                    || "no rule allows it".into(),
                    |rule| format!("denied by the rule in line {}", self.source.place(text.rule[rule].span().start).1),
                );
                let message = format!("this must stay allowed, but it is not: {by} ({reason:?})");
                self.tell("access-locked-out", message, "a rule before that one which allows it");
            }
        }
    }
}

/// A principal that is no role; `Some(None)` is everybody.
#[expect(clippy::option_option, reason = "no principal, everybody, somebody")]
fn principal(text: &str) -> Option<Option<Principal>> {
    let (kind, name) = text.split_once(':')?;
    let is_name = |most: usize| !name.is_empty() && name.len() <= most && !name.contains(char::is_control);
    match (kind, name) {
        ("peer", "any") => Some(None),
        ("peer", net) => network(net).map(Some),
        ("component", name) if is_name(NAME_MAX) => Some(Some(Principal::Component(name.into()))),
        ("identity", "any") => Some(Some(Principal::AnyIdentity)),
        ("identity", name) if is_name(IDENTITY_MAX) => Some(Some(Principal::Identity(name.into()))),
        _ => None,
    }
}

/// An address, or `component:NAME`.
#[must_use]
pub fn single_peer(text: &str) -> Option<KeptPeer> {
    match principal(&format!("peer:{text}")).or_else(|| principal(text)).flatten()? {
        Principal::Net4(address, 32) => Some(KeptPeer::V4(address)),
        Principal::Net6(address, 128) => Some(KeptPeer::V6(address)),
        Principal::Component(name) => Some(KeptPeer::Component(name)),
        _ => None,
    }
}

fn network(text: &str) -> Option<Principal> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let bits = |most: u8| bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most));
    match address.parse().ok()? {
        std::net::IpAddr::V4(address) => Some(Principal::Net4(address.octets(), bits(32)?)),
        // Such addresses come as IPv4.
        std::net::IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => None,
        std::net::IpAddr::V6(address) => Some(Principal::Net6(address.octets(), bits(128)?)),
    }
}

fn rate(text: &str) -> Option<Rate> {
    let mut words = text.split(' ');
    let (count, time) = words.next()?.split_once('/')?;
    let (number, unit) = time.split_at(time.find(|letter: char| !letter.is_ascii_digit())?);
    let unit: u16 = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u16 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let (count, seconds): (u16, _) = (count.parse().ok()?, number.checked_mul(unit)?);
    let burst = match (words.next(), words.next(), words.next()) {
        (None, ..) => count,
        (Some("burst"), Some(burst), None) => burst.parse().ok()?,
        _ => return None,
    };
    (count > 0 && seconds > 0 && burst > 0).then_some(Rate { count, seconds, burst })
}

/// Why a rule decides a question or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is the one that decides.
    Decides,
    /// Another protocol, verb or endpoint.
    Other,
    /// Not for this peer or identity.
    NotForThem,
    /// It asks for a better transport.
    Transport,
    /// One before it decided.
    Later,
}

/// What each rule has to do with a question, in order; the same conditions as those that decide.
#[must_use]
pub fn explain(policy: &Policy, question: &Question<'_>) -> Vec<Why> {
    let decides = match policy.decide(question) {
        Outcome::Allow(place, _) | Outcome::Deny(Some(place), _) => place,
        Outcome::Deny(None, _) => policy.rules.len(),
    };
    let why = |(place, rule): (usize, &Rule)| match place {
        _ if place == decides => Why::Decides,
        _ if place > decides => Why::Later,
        _ if !rule.is_about(question) => Why::Other,
        _ if !rule.is_for(question) => Why::NotForThem,
        _ => Why::Transport,
    };
    policy.rules.iter().enumerate().map(why).collect()
}
