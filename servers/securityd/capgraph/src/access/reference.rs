//! What a policy's text means, as plainly as it can be said; slow, for holding the compiled form against it.

use super::policy::Reason;
use super::text::{AccessText, DecisionText, RuleText};
use super::words::{Peer, Question};

/// What the text says: the rule that decides, if one does, and why it is denied, if it is.
#[must_use]
pub fn decide(text: &AccessText, question: &Question<'_>) -> (Option<usize>, Option<Reason>) {
    if !question.is_sound() {
        return (None, Some(Reason::NoRule));
    }
    let mut nearly = None;
    for (place, rule) in text.rule.iter().enumerate() {
        let rule = rule.get_ref();
        if !is_about(rule, question) {
            continue;
        }
        let is_for = rule.who.is_empty() || rule.who.iter().any(|name| is_one(text, name, question));
        let is_secure = rule.transport == "plain" || question.transport.text() == "tls";
        let asks_identity = rule.who.iter().any(|name| wants_identity(text, name));
        if rule.decision == DecisionText::Deny && is_for {
            return (Some(place), Some(nearly.unwrap_or(Reason::Rule)));
        }
        if rule.decision == DecisionText::Allow {
            if is_for && is_secure {
                return (Some(place), None);
            }
            if is_for && nearly.is_none() {
                nearly = Some(Reason::Transport);
            }
            if !is_for && is_secure && question.identity.is_none() && asks_identity && nearly.is_none() {
                nearly = Some(Reason::Identity);
            }
        }
    }
    (None, Some(nearly.unwrap_or(Reason::NoRule)))
}

fn is_about(rule: &RuleText, question: &Question<'_>) -> bool {
    let is_protocol = rule.protocol == "any" || rule.protocol == question.protocol.text();
    let is_verb = rule.verbs.is_empty() || rule.verbs.iter().any(|verb| verb == question.verb.text());
    is_protocol && is_verb && rule.endpoint.as_ref().is_none_or(|pattern| is_match(pattern, question.endpoint))
}

fn segments(path: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = path.split('/').collect();
    if segments.last() == Some(&"") {
        segments.pop();
    }
    segments
}

fn is_match(pattern: &str, endpoint: &str) -> bool {
    if !endpoint.starts_with('/') {
        return false;
    }
    let (mut wanted, given) = (segments(pattern), segments(endpoint));
    if wanted.last() == Some(&"*") {
        wanted.pop();
        return given.len() >= wanted.len() && given[..wanted.len()] == wanted[..];
    }
    wanted == given
}

/// Whether the question comes from that principal.
fn is_one(text: &AccessText, name: &str, question: &Question<'_>) -> bool {
    let (kind, name) = name.split_once(':').unwrap_or_default();
    match kind {
        "role" => text.roles[name].iter().any(|member| is_one(text, member.get_ref(), question)),
        "identity" => question.identity.is_some_and(|identity| name == "any" || name == identity),
        "component" => question.peer == Peer::Component(name),
        _ => name == "any" || is_in(name, question.peer),
    }
}

fn is_in(network: &str, peer: Peer<'_>) -> bool {
    let (address, bits) = network.split_once('/').unwrap_or((network, "128"));
    let bits_of = |bytes: &[u8]| bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let net: Vec<u8> = match address.parse().unwrap() {
        std::net::IpAddr::V4(address) => bits_of(&address.octets()),
        std::net::IpAddr::V6(address) => bits_of(&address.octets()),
    };
    let given: Vec<u8> = match peer.canonical() {
        Peer::V4(address) => bits_of(&address),
        Peer::V6(address) => bits_of(&address),
        Peer::Component(_) => return false,
    };
    net.len() == given.len() && net.iter().zip(&given).take(bits.parse().unwrap()).all(|(one, other)| one == other)
}

fn wants_identity(text: &AccessText, name: &str) -> bool {
    match name.split_once(':') {
        Some(("role", role)) => text.roles[role].iter().any(|member| member.get_ref().starts_with("identity:")),
        Some((kind, _)) => kind == "identity",
        None => false,
    }
}
