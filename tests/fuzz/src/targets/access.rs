//! The access policy: its bytes on the device, its text on the host, and that both say the same.

use hybrid_capgraph::Source;
use hybrid_capgraph::access::{
    InForce, Outcome, POLICY_MAX, Peer, Policy, Protocol, Question, RULES_MAX, Transport, Verb, decide_by_reference,
    explain, read_policy,
};

/// Questions that come close to what policies are about.
fn questions() -> impl Iterator<Item = Question<'static>> {
    let peers = [Peer::V4([10, 0, 2, 2]), Peer::V6([0xfe; 16]), Peer::Component("shell")];
    let asked = [("/", None), ("/api/keys/", Some("alice")), ("/a", Some("")), ("", None)];
    Protocol::ALL.iter().flat_map(move |protocol| {
        Verb::ALL.iter().zip(Transport::ALL.iter().cycle()).flat_map(move |(verb, transport)| {
            peers.into_iter().flat_map(move |peer| {
                asked.into_iter().map(move |(endpoint, identity)| {
                    let (protocol, transport, verb) = (*protocol, *transport, *verb);
                    Question { protocol, transport, verb, peer, identity, endpoint }
                })
            })
        })
    })
}

/// Bytes as a component hands them to securityd: refused, or exactly one policy within the bounds, which answers every question.
pub fn target_access_policy(data: &[u8]) {
    let Ok(policy) = Policy::try_new(data) else { return };
    assert_eq!(policy.to_bytes(), data, "two encodings of one policy");
    assert!(policy.rules.len() <= RULES_MAX && data.len() <= POLICY_MAX);
    let is_locked_out = policy.locks_out(policy.keeps.iter()).is_some();
    let mut force = InForce::new(Policy::default());
    assert_eq!(force.try_until(policy.clone(), 10).is_err(), is_locked_out);
    for (now, question) in questions().enumerate() {
        let said = policy.decide(&question);
        assert_eq!(said, policy.decide(&Question { peer: question.peer.canonical(), ..question }));
        let answer = force.decide(&question, now as u64);
        assert!(answer.epoch == 0, "nothing is remembered of a trial, and nothing is allowed without a policy");
        if is_locked_out {
            assert!(matches!(answer.outcome, Outcome::Deny(..)));
        }
    }
    let _ = (policy.digest(), force.confirm(), force.expire(u64::MAX));
}

/// A policy's text: findings with known rules, or a policy that says what the text says.
pub fn target_access_text(data: &[u8]) {
    let source = Source::new("policy.toml", String::from_utf8_lossy(data));
    match read_policy(&source) {
        Err(problems) => {
            assert!(!problems.is_empty() && problems.iter().all(|found| hybrid_capgraph::rule(found.rule).is_some()));
        }
        Ok((text, compiled)) => {
            let policy = Policy::try_new(&compiled.policy.to_bytes()).expect("what has no finding compiles");
            assert_eq!(policy, compiled.policy);
            for question in questions() {
                let said = match policy.decide(&question) {
                    Outcome::Allow(rule, _) => (Some(rule), None),
                    Outcome::Deny(rule, reason) => (rule, Some(reason)),
                };
                assert_eq!(said, decide_by_reference(&text, &question), "{question:?}");
                assert_eq!(explain(&policy, &question).len(), policy.rules.len());
            }
        }
    }
}

const TEXT: &str = r#"
name = "office"
roles = { admin = ["identity:alice", "peer:10.0.2.2", "peer:fe80::/10", "component:shell"] }
keep = [
    { protocol = "Http", verb = "GET", peer = "10.0.2.2", endpoint = "/admin" },
    { protocol = "Bus", transport = "tls", verb = "CONNECT", peer = "component:shell", identity = "alice" },
]
rule = [
    { who = ["role:admin"], endpoint = "/admin/*", decision = "allow", limit = 4 },
    { endpoint = "/admin/*", decision = "deny" },
    { verbs = ["CONNECT"], decision = "allow" },
    { protocol = "Coap", transport = "tls", who = ["identity:any"], verbs = ["GET", "PUT"], endpoint = "/", decision = "allow" },
    { verbs = ["GET"], endpoint = "/api/*", decision = "allow", rate = "2/s burst 3" },
]
"#;

pub(super) fn texts() -> Vec<Vec<u8>> {
    vec![TEXT.into()]
}

pub(super) fn policies() -> Vec<Vec<u8>> {
    let source = Source::new("policy.toml", TEXT);
    read_policy(&source)
        .map(|(_, compiled)| compiled.policy.to_bytes())
        .into_iter()
        .chain([Policy::default().to_bytes()])
        .collect()
}

pub(super) fn is_policy(data: &[u8]) -> bool {
    Policy::try_new(data).is_ok()
}

pub(super) fn is_sound(data: &[u8]) -> bool {
    let source = Source::new("policy.toml", String::from_utf8_lossy(data));
    read_policy(&source).is_ok()
}
