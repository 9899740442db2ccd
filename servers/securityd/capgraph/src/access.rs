//! The access decisions of protocol servers, as rules; the first that matches decides.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not.
    Deny,
    /// It may, with so many at a time.
    Limit(u32),
}

/// For connections. An absent field matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRule {
    /// Name of a `hybrid.security.Protocol`.
    pub protocol: Option<String>,
    /// Name of a `hybrid.security.Transport`.
    pub transport: Option<String>,
    /// The whole address.
    pub peer: Option<String>,
    /// The answer.
    pub decision: Decision,
}

/// For requests. An absent field matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRule {
    /// Name of a `hybrid.security.Protocol`.
    pub protocol: Option<String>,
    /// Name of a `hybrid.security.Transport`.
    pub transport: Option<String>,
    /// The registered endpoint.
    pub endpoint: Option<String>,
    /// Any of them, if there are any.
    pub operations: Vec<String>,
    /// What the path is, or is below of, by whole segments: "/api" is for "/api" and "/api/x", not for "/apikeys".
    pub path: Option<String>,
    /// The answer.
    pub decision: Decision,
}

/// All rules. What no rule matches is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicy {
    /// For connections.
    pub connections: Vec<ConnectionRule>,
    /// For requests.
    pub requests: Vec<RequestRule>,
}

/// A request as a protocol server describes it.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Name of the protocol.
    pub protocol: &'a str,
    /// Name of the transport.
    pub transport: &'a str,
    /// The registered endpoint.
    pub endpoint: &'a str,
    /// "GET".
    pub operation: &'a str,
    /// Below the endpoint.
    pub path: &'a str,
}

impl AccessPolicy {
    /// May this peer connect?
    #[must_use]
    pub fn connection(&self, protocol: &str, transport: &str, peer: &str) -> Decision {
        let matches = |rule: &&ConnectionRule| {
            is(&rule.protocol, protocol) && is(&rule.transport, transport) && is(&rule.peer, peer)
        };
        self.connections.iter().find(matches).map_or(Decision::Deny, |rule| rule.decision)
    }

    /// May this be done?
    #[must_use]
    pub fn request(&self, facts: &RequestFacts<'_>) -> Decision {
        let matches = |rule: &&RequestRule| {
            is(&rule.protocol, facts.protocol)
                && is(&rule.transport, facts.transport)
                && is(&rule.endpoint, facts.endpoint)
                && (rule.operations.is_empty() || rule.operations.iter().any(|operation| operation == facts.operation))
                && rule.path.as_deref().is_none_or(|path| is_below(facts.path, path))
        };
        self.requests.iter().find(matches).map_or(Decision::Deny, |rule| rule.decision)
    }
}

fn is(wanted: &Option<String>, given: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted == given)
}

/// Whether `path` is `base` or below it, by whole segments. A slash at the end of `base` says nothing.
fn is_below(path: &str, base: &str) -> bool {
    let base = base.strip_suffix('/').unwrap_or(base);
    path.strip_prefix(base).is_some_and(|rest| base.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{AccessPolicy, ConnectionRule, Decision, RequestFacts, RequestRule};

    fn policy() -> AccessPolicy {
        let read = RequestRule {
            protocol: Some("Http".into()),
            transport: None,
            endpoint: Some("/".into()),
            operations: vec!["GET".into(), "HEAD".into()],
            path: None,
            decision: Decision::Allow,
        };
        let secret = RequestRule {
            path: Some("/secret".into()),
            operations: Vec::new(),
            decision: Decision::Deny,
            ..read.clone()
        };
        let connection =
            ConnectionRule { protocol: Some("Http".into()), transport: None, peer: None, decision: Decision::Limit(4) };
        AccessPolicy { connections: vec![connection], requests: vec![secret, read] }
    }

    #[test]
    fn request_is_decided_by_the_first_rule_that_matches_else_denied() {
        let facts =
            RequestFacts { protocol: "Http", transport: "Plain", endpoint: "/", operation: "GET", path: "/api" };
        let policy = policy();
        assert_eq!(policy.request(&facts), Decision::Allow);
        for other in [
            RequestFacts { operation: "POST", ..facts },
            RequestFacts { endpoint: "/x", ..facts },
            RequestFacts { protocol: "Coap", ..facts },
            RequestFacts { path: "/secret/1", ..facts },
        ] {
            assert_eq!(policy.request(&other), Decision::Deny, "{other:?}");
        }
        assert_eq!(AccessPolicy::default().request(&facts), Decision::Deny);
    }

    #[test]
    fn path_of_a_rule_is_matched_by_whole_segments() {
        let facts = |path| RequestFacts { protocol: "Http", transport: "Plain", endpoint: "/", operation: "GET", path };
        let rules = |base: &str, decision| {
            let mut policy = policy();
            policy.requests.truncate(1);
            policy.requests[0].path = Some(base.into());
            policy.requests[0].decision = decision;
            policy
        };
        for base in ["/api", "/api/"] {
            for (path, expected) in [
                ("/api", Decision::Allow),
                ("/api/", Decision::Allow),
                ("/api/keys", Decision::Allow),
                ("/apikeys", Decision::Deny),
                ("/ap", Decision::Deny),
                ("/x/api", Decision::Deny),
                ("", Decision::Deny),
            ] {
                assert_eq!(rules(base, Decision::Allow).request(&facts(path)), expected, "{base} {path}");
            }
        }
        for path in ["", "/", "/api", "x"] {
            assert_eq!(rules("/", Decision::Allow).request(&facts(path)), Decision::Allow, "{path}");
        }
        // A rule that denies "/secret/" denies "/secret" too, and nothing that is merely spelled alike.
        let mut policy = policy();
        policy.requests[0].path = Some("/secret/".into());
        assert_eq!(policy.request(&facts("/secret")), Decision::Deny);
        assert_eq!(policy.request(&facts("/secret/x")), Decision::Deny);
        assert_eq!(policy.request(&facts("/secrets")), Decision::Allow);
    }

    #[test]
    fn connection_of_an_unknown_protocol_is_denied() {
        assert_eq!(policy().connection("Http", "Tls", "10.0.2.2"), Decision::Limit(4));
        assert_eq!(policy().connection("Rtmp", "Tls", "10.0.2.2"), Decision::Deny);
    }
}
