//! Tests: what is remembered is what securityd would say now, whatever was asked and replaced in between.

use crate::cache::{Cache, PLACES};
use crate::{Access, Peer, Protocol, Question, Reason, Transport, Verb, Verdict};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use hybrid_interfaces::security::{self as idl, AccessDecide, AccessLoopback, AccessServer, Decision};
use hybrid_ipc::ClientId;
use proptest::prelude::*;
use std::format;
use std::string::String;

/// A securityd whose policy is a rule of arithmetic: it changes with the epoch, and some answers may not be remembered.
struct Policy {
    epoch: Rc<Cell<u64>>,
    asked: u32,
    told_hits: u32,
}

/// What is right for a question in an epoch, and whether it may be remembered.
fn right(question: &str, epoch: u64) -> (Verdict, bool) {
    let sum = question.bytes().fold(epoch, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    match sum % 5 {
        0 => (Verdict::Deny(Reason::Rule), false),
        1 => (Verdict::Limit(7), true),
        2 => (Verdict::Allow, false),
        _ => (Verdict::Allow, true),
    }
}

fn text(question: &Question<'_>) -> String {
    format!("{question:?}")
}

impl idl::Access for Policy {
    fn decide(
        &mut self,
        _: ClientId,
        protocol: Protocol,
        transport: Transport,
        verb: Verb,
        peer: Peer<'_>,
        identity: Option<&str>,
        endpoint: &str,
        hits: u32,
    ) -> AccessDecide {
        (self.asked, self.told_hits) = (self.asked + 1, self.told_hits + hits);
        let (verdict, may_keep) =
            right(&text(&Question { protocol, transport, verb, peer, identity, endpoint }), self.epoch.get());
        let (decision, reason, limit) = match verdict {
            Verdict::Allow => (Decision::Allow, Reason::Granted, 0),
            Verdict::Limit(limit) => (Decision::Limit, Reason::Granted, limit),
            Verdict::Deny(reason) => (Decision::Deny, reason, 0),
        };
        AccessDecide { decision, reason, limit, epoch: if may_keep { self.epoch.get() } else { 0 } }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u8, u8, u8, Option<u8>, u8),
    Replace,
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (0..2_u8, 0..2_u8, 0..4_u8, prop::option::of(0..2_u8), 0..60_u8);
    prop_oneof![
        40 => ask.prop_map(|(protocol, verb, peer, identity, path)| Step::Ask(protocol, verb, peer, identity, path)),
        1 => Just(Step::Replace),
    ]
}

const NAMES: [&str; 2] = ["alice", "bob"];

proptest! {
    #[test]
    fn verdict_is_always_that_of_the_policy_in_force(steps in prop::collection::vec(step(), 1..400)) {
        let epoch = Rc::new(Cell::new(1));
        let server = AccessLoopback::new(AccessServer { server: Policy { epoch: Rc::clone(&epoch), asked: 0, told_hits: 0 } });
        let page = Rc::clone(&epoch);
        let mut access = Access::new(server.connect(7), move || page.get());
        let mut asked = 0;
        for step in steps {
            let Step::Ask(protocol, verb, peer, identity, path) = step else {
                epoch.set(epoch.get() + 1);
                continue;
            };
            let path = format!("/{path}");
            let peer = match peer {
                0 => Peer::V4([10, 0, 2, 2]),
                1 => Peer::V4([10, 0, 2, 3]),
                2 => Peer::V6([0; 16]),
                _ => Peer::Component("shell".into()),
            };
            let question = Question {
                protocol: [Protocol::Http, Protocol::Coap][usize::from(protocol)],
                transport: Transport::Plain,
                verb: [Verb::Get, Verb::Put][usize::from(verb)],
                peer,
                identity: identity.map(|name| NAMES[usize::from(name)]),
                endpoint: &path,
            };
            asked += 1;
            prop_assert_eq!(access.ask(&question).unwrap(), right(&text(&question), epoch.get()).0);
            prop_assert!(access.cache.len() <= PLACES);
        }
        let securityd = server.server();
        let answered = securityd.server.asked + securityd.server.told_hits + access.hits;
        prop_assert_eq!(answered, asked, "each question is answered once and counted once");
    }
}

fn question(endpoint: &str) -> Question<'_> {
    let (protocol, transport, verb) = (Protocol::Http, Transport::Plain, Verb::Get);
    Question { protocol, transport, verb, peer: Peer::V4([1; 4]), identity: None, endpoint }
}

#[test]
fn answer_is_taken_again_only_when_it_may_be_and_not_without_a_page() {
    for page in [1, 0] {
        let epoch = Rc::new(Cell::new(1));
        let server = AccessLoopback::new(AccessServer { server: Policy { epoch, asked: 0, told_hits: 0 } });
        let mut access = Access::new(server.connect(7), || page);
        let paths: Vec<String> = (0..12).map(|number| format!("/{number}")).collect();
        for path in &paths {
            let (verdict, may_keep) = right(&text(&question(path)), 1);
            let before = server.server().server.asked;
            assert_eq!(access.ask(&question(path)).unwrap(), verdict);
            assert_eq!(access.ask(&question(path)).unwrap(), verdict);
            let calls = if may_keep && page == 1 { 1 } else { 2 };
            assert_eq!(server.server().server.asked - before, calls, "{path}");
        }
        let keepable = paths.iter().filter(|path| right(&text(&question(path)), 1).1).count();
        let kept = if page == 1 { keepable } else { 0 };
        assert_eq!(access.cache.len(), kept, "what may not be remembered takes nobody's place");
    }
}

#[test]
fn question_beyond_the_bounds_is_an_error_and_not_remembered() {
    let server = AccessLoopback::new(AccessServer { server: Policy { epoch: Rc::default(), asked: 0, told_hits: 0 } });
    let mut access = Access::new(server.connect(7), || 1);
    assert!(access.ask(&question(&format!("/{}", "x".repeat(256)))).is_err());
    assert_eq!((server.server().server.asked, access.cache.len()), (0, 0));
}

#[test]
fn same_hash_is_not_the_same_question() {
    let own = Question { identity: Some("alice"), ..question("/a") };
    let mut cache = Cache::new();
    cache.keep(&own, 7, 1, Verdict::Allow);
    assert_eq!(cache.find(&own, 7, 1), Some(Verdict::Allow));
    for other in [
        Question { protocol: Protocol::Coap, ..own.clone() },
        Question { transport: Transport::Tls, ..own.clone() },
        Question { verb: Verb::Put, ..own.clone() },
        Question { peer: Peer::V4([2; 4]), ..own.clone() },
        Question { identity: Some("bob"), ..own.clone() },
        Question { identity: None, ..own.clone() },
        Question { endpoint: "/b", ..own.clone() },
    ] {
        assert_eq!(cache.find(&other, 7, 1), None, "{other:?}");
    }
    assert_eq!((cache.find(&own, 8, 1), cache.find(&own, 7, 2)), (None, None));
}
