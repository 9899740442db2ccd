//! Tests of the policy: its meaning, its compiled form against its text's, its rates and its replacement.

use std::fmt::Write as _;

use hybrid_config::Source;
use proptest::prelude::*;

use super::force::{InForce, Refused};
use super::policy::{Endpoint, Outcome, Policy, Rate, Reason};
use super::rates::{PAYERS_MAX, Rates};
use super::text::{AccessText, Compiled, Why, explain, read_policy};
use super::words::{Payer, Peer, Protocol, Question, Transport, Verb};
use super::{Fault, decide_by_reference};

fn read(text: &str) -> (AccessText, Compiled) {
    let source = Source::new("test.toml", text);
    read_policy(&source).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn policy(text: &str) -> Policy {
    read(text).1.policy
}

const ASKED: Question<'static> = Question {
    protocol: Protocol::Http,
    transport: Transport::Plain,
    verb: Verb::Get,
    peer: Peer::V4([10, 0, 2, 2]),
    identity: None,
    endpoint: "/api/keys",
};

const HOME: &str = r#"
    roles = { admin = ["identity:alice", "peer:10.0.2.2"] }
    keep = [{ protocol = "Http", verb = "GET", peer = "10.0.2.2", endpoint = "/admin" }]
    rule = [
        { who = ["role:admin"], endpoint = "/admin/*", decision = "allow" },
        { endpoint = "/admin/*", decision = "deny" },
        { protocol = "Http", verbs = ["CONNECT"], decision = "allow", limit = 4 },
        { who = ["identity:any"], verbs = ["GET"], endpoint = "/own/*", decision = "allow" },
        { protocol = "Coap", transport = "tls", verbs = ["PUT"], endpoint = "/lamp", decision = "allow" },
        { verbs = ["GET"], endpoint = "/api/*", decision = "allow", rate = "2/s burst 3" },
    ]
"#;

fn reason(policy: &Policy, question: Question<'_>) -> Option<Reason> {
    match policy.decide(&question) {
        Outcome::Allow(..) => None,
        Outcome::Deny(_, reason) => Some(reason),
    }
}

#[test]
fn first_rule_that_matches_decides_and_a_denial_says_why() {
    let policy = policy(HOME);
    let stranger = Question { peer: Peer::V4([10, 0, 2, 3]), ..ASKED };
    let admin = Question { endpoint: "/admin", ..ASKED };
    assert_eq!(reason(&policy, admin), None);
    assert_eq!(reason(&policy, Question { endpoint: "/admin/x/", ..admin }), None);
    assert_eq!(reason(&policy, Question { endpoint: "/administrator", ..admin }), Some(Reason::NoRule));
    assert_eq!(reason(&policy, Question { endpoint: "/admin", ..stranger }), Some(Reason::Identity));
    assert_eq!(reason(&policy, Question { endpoint: "/admin", identity: Some("bob"), ..stranger }), Some(Reason::Rule));
    assert_eq!(reason(&policy, Question { endpoint: "/admin", identity: Some("alice"), ..stranger }), None);
    assert_eq!(reason(&policy, Question { endpoint: "/own/1", ..stranger }), Some(Reason::Identity));
    assert_eq!(reason(&policy, Question { endpoint: "/own/1", identity: Some("bob"), ..stranger }), None);
    let lamp = Question { protocol: Protocol::Coap, verb: Verb::Put, endpoint: "/lamp", ..stranger };
    assert_eq!(reason(&policy, lamp), Some(Reason::Transport));
    assert_eq!(reason(&policy, Question { transport: Transport::Tls, ..lamp }), None);
    assert_eq!(reason(&policy, Question { protocol: Protocol::Http, ..lamp }), Some(Reason::NoRule));
    let connect = Question { verb: Verb::Connect, endpoint: "", ..stranger };
    assert!(matches!(policy.decide(&connect), Outcome::Allow(2, limits) if limits.open == Some(4)));
    // What cannot be asked is denied, whatever the rules.
    for odd in [
        Question { endpoint: "/", ..connect },
        Question { verb: Verb::Play, ..admin },
        Question { endpoint: "", ..admin },
        Question { endpoint: "admin", ..admin },
    ] {
        assert_eq!(reason(&policy, odd), Some(Reason::NoRule), "{odd:?}");
    }
    assert_eq!(reason(&Policy::default(), ASKED), Some(Reason::NoRule));
    let whys = explain(&policy, &Question { endpoint: "/admin", ..stranger });
    assert_eq!(whys[..3], [Why::NotForThem, Why::Decides, Why::Later]);
}

#[test]
fn policy_is_called_as_it_says_else_as_its_file_or_product() {
    let name = |file: &str, text: &str| read_policy(&Source::new(file, text)).unwrap().1.policy.name;
    assert_eq!(name("images/gateway/system.toml", "[product]\nname = \"x\"\n[access]\nrule = []"), "gateway");
    assert_eq!(name("some/where/office.toml", ""), "office");
    assert_eq!(name("office.toml", "name = \"home\""), "home");
    assert!(read_policy(&Source::new("office.toml", "name = \"\"")).is_err());
}

#[test]
fn example_of_the_page_is_a_policy() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/access.md")).unwrap();
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let policy = policy(example);
    assert_eq!((policy.rules.len(), policy.keeps.len()), (4, 1));
    // Every verb of every protocol stands in the page's table.
    for protocol in Protocol::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| {} |", protocol.text()))).unwrap();
        for verb in Verb::ALL.iter().filter(|verb| **verb != Verb::Connect) {
            let has_verb = protocol.verbs() & verb.bit() != 0;
            let words = row.split(|letter: char| !letter.is_ascii_uppercase());
            assert_eq!(words.into_iter().any(|word| word == verb.text()), has_verb, "{row} {}", verb.text());
        }
    }
}

#[test]
fn pattern_is_matched_by_whole_segments() {
    let below = |base: &str| Endpoint::Below(base.into());
    for (pattern, endpoint, is_match) in [
        (below("/api"), "/api", true),
        (below("/api"), "/api/", true),
        (below("/api"), "/api/keys", true),
        (below("/api"), "/apikeys", false),
        (below("/api"), "/ap", false),
        (below("/api"), "/x/api", false),
        (below(""), "/", true),
        (below(""), "/x", true),
        (below(""), "", false),
        (Endpoint::Exact("/api".into()), "/api/", true),
        (Endpoint::Exact("/api".into()), "/api/x", false),
        (Endpoint::Exact(String::new()), "/", true),
        (Endpoint::Exact(String::new()), "/x", false),
        (Endpoint::Any, "", true),
    ] {
        assert_eq!(pattern.covers(endpoint), is_match, "{pattern:?} {endpoint}");
    }
}

#[test]
fn address_of_ipv4_in_ipv6_is_the_ipv4_peer() {
    let policy = policy("rule = [{ who = [\"peer:10.0.0.0/8\"], decision = \"allow\" }]");
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 2, 2];
    assert_eq!(reason(&policy, Question { peer: Peer::V6(mapped), ..ASKED }), None);
    assert!(reason(&policy, Question { peer: Peer::V6([0; 16]), ..ASKED }).is_some());
}

#[test]
fn principals_of_no_and_all_bits_match_everybody_and_one() {
    for (who, given, is_match) in [
        ("peer:0.0.0.0/0", Peer::V4([1, 2, 3, 4]), true),
        ("peer:0.0.0.0/0", Peer::V6([1; 16]), false),
        ("peer:::/0", Peer::V6([1; 16]), true),
        ("peer:10.0.2.2", Peer::V4([10, 0, 2, 3]), false),
        ("peer:10.0.2.2/31", Peer::V4([10, 0, 2, 3]), true),
        ("component:shell", Peer::Component("shell"), true),
        ("component:shell", Peer::Component("she"), false),
        ("peer:any", Peer::Component("she"), true),
    ] {
        let policy = policy(&format!("rule = [{{ who = [\"{who}\"], decision = \"allow\" }}]"));
        assert_eq!(reason(&policy, Question { peer: given, ..ASKED }).is_none(), is_match, "{who} {given:?}");
    }
}

#[test]
fn bytes_cut_off_or_continued_are_no_policy() {
    let bytes = policy(HOME).to_bytes();
    assert_eq!(Policy::try_new(&bytes).map(|again| again.to_bytes()), Ok(bytes.clone()));
    for length in 0..bytes.len() {
        assert!(Policy::try_new(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(Policy::try_new(&[&bytes[..], &[0]].concat()), Err(Fault::Trailing));
    assert_eq!(Policy::try_new(&[0; 5000]), Err(Fault::TooLong));
    assert_eq!(Policy::try_new(b"HYACCES2"), Err(Fault::Magic));
}

#[test]
fn bytes_beyond_the_bounds_are_no_policy() {
    let one = policy("rule = [{ who = [\"peer:10.0.2.2\"], endpoint = \"/a\", decision = \"deny\" }]");
    let with = |change: fn(&mut Policy)| {
        let mut changed = one.clone();
        change(&mut changed);
        Policy::try_new(&changed.to_bytes())
    };
    let many = |policy: &mut Policy, count: usize| {
        let rule = policy.rules[0].clone();
        policy.rules = vec![rule; count];
    };
    assert!(with(|_| ()).is_ok());
    let mut rules = one.clone();
    many(&mut rules, 64);
    assert!(Policy::try_new(&rules.to_bytes()).is_ok());
    many(&mut rules, 65);
    assert_eq!(Policy::try_new(&rules.to_bytes()), Err(Fault::Rule(u8::MAX)));
    // 128 principals of all rules together, not of each.
    let mut who = one.clone();
    who.rules[0].who = vec![who.rules[0].who[0].clone(); 64];
    many(&mut who, 2);
    assert!(Policy::try_new(&who.to_bytes()).is_ok());
    who.rules.push(one.rules[0].clone());
    assert_eq!(Policy::try_new(&who.to_bytes()), Err(Fault::Rule(2)));
    // Only what is allowed has a transport; sets have no unknown members; rates let something through.
    assert_eq!(with(|policy| policy.rules[0].transport = Transport::Tls), Err(Fault::Rule(0)));
    assert_eq!(with(|policy| policy.rules[0].protocols = 1), Err(Fault::Rule(0)));
    assert_eq!(with(|policy| policy.rules[0].verbs = 1 << 14), Err(Fault::Rule(0)));
    assert_eq!(with(|policy| policy.rules[0].endpoint = Endpoint::Below("/a/".into())), Err(Fault::Rule(0)));
    assert_eq!(with(|policy| policy.rules[0].endpoint = Endpoint::Exact("a".into())), Err(Fault::Rule(0)));
    let nothing = Rate { count: 0, seconds: 1, burst: 1 };
    let allows = super::Limits { open: None, rate: Some(nothing) };
    let mut idle = one.clone();
    idle.rules[0].allows = Some(allows);
    assert_eq!(Policy::try_new(&idle.to_bytes()), Err(Fault::Rule(0)));
    let mut kept = policy(HOME);
    kept.keeps = vec![kept.keeps[0].clone(); 9];
    assert_eq!(Policy::try_new(&kept.to_bytes()), Err(Fault::Keep(u8::MAX)));
    kept.keeps.truncate(1);
    kept.keeps[0].verb = Verb::Play;
    assert_eq!(Policy::try_new(&kept.to_bytes()), Err(Fault::Keep(0)));
}

const PATHS: [&str; 7] = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b"];
const WHO: [&str; 9] = [
    "peer:any",
    "peer:10.0.0.0/8",
    "peer:10.0.2.2",
    "peer:fe80::/10",
    "component:shell",
    "identity:alice",
    "identity:any",
    "role:admin",
    "role:mixed",
];
const PEERS: [Peer<'static>; 5] = [
    Peer::V4([10, 0, 2, 2]),
    Peer::V4([11, 0, 2, 2]),
    Peer::V6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    Peer::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 2, 2]),
    Peer::Component("shell"),
];

/// One rule as text; none where the language refuses it.
fn rule_text() -> impl Strategy<Value = String> {
    let protocol = prop::sample::select(vec!["any", "Http", "Coap", "Mqtt", "Bus"]);
    let who = prop::collection::vec(prop::sample::select(WHO.to_vec()), 0..3);
    let patterns = vec!["", "/", "/*", "/a", "/a/*", "/a/b/*", "/b"];
    let verbs = prop::collection::vec(prop::sample::select(vec!["GET", "PUT", "SUBSCRIBE"]), 0..2);
    (protocol, any::<bool>(), who, prop::sample::select(patterns), verbs, any::<bool>()).prop_map(
        |(protocol, is_tls, who, pattern, verbs, is_allowed)| {
            let possible = Protocol::of_text(protocol).map_or(u16::MAX, Protocol::verbs);
            let verbs: Vec<_> =
                verbs.into_iter().filter(|verb| possible & Verb::of_text(verb).unwrap().bit() != 0).collect();
            let mut text = format!("{{ protocol = {protocol:?}, who = {who:?}, verbs = {verbs:?}, ");
            if !pattern.is_empty() {
                write!(text, "endpoint = {pattern:?}, ").unwrap();
            }
            if is_tls && is_allowed {
                text += "transport = \"tls\", ";
            }
            text + if is_allowed { "decision = \"allow\" }" } else { "decision = \"deny\" }" }
        },
    )
}

fn question() -> impl Strategy<Value = Question<'static>> {
    let identity = prop::sample::select(vec![None, Some("alice"), Some("bob")]);
    let (peer, path) = (prop::sample::select(PEERS.to_vec()), prop::sample::select(PATHS.to_vec()));
    let (protocol, verb) = (prop::sample::select(Protocol::ALL), prop::sample::select(Verb::ALL));
    (protocol, any::<bool>(), verb, peer, identity, path, any::<u8>()).prop_map(
        |(protocol, is_tls, verb, peer, identity, path, odd)| {
            let transport = if is_tls { Transport::Tls } else { Transport::Plain };
            let has_endpoint = (verb != Verb::Connect) ^ (odd == 0);
            Question { protocol, transport, verb, peer, identity, endpoint: if has_endpoint { path } else { "" } }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn compiled_policy_says_what_its_text_says(
        rules in prop::collection::vec(rule_text(), 0..6),
        questions in prop::collection::vec(question(), 60),
    ) {
        // A rule that never decides is refused, and as harmless here as it is useless: it goes.
        let mut kept: Vec<String> = Vec::new();
        let mut found = read("");
        for rule in rules {
            kept.push(rule);
            let roles = "roles = { admin = [\"identity:alice\"], mixed = [\"identity:bob\", \"peer:10.0.2.2\", \"component:shell\"] }";
            let source = Source::new("test.toml", format!("{roles}\nrule = [{}]\n", kept.join(",\n")));
            match read_policy(&source) {
                Ok(read) => found = read,
                Err(problems) => {
                    prop_assert!(problems.iter().all(|problem| problem.rule == "access-shadowed"), "{problems:#?}");
                    kept.pop();
                }
            }
        }
        let (text, compiled) = found;
        let policy = Policy::try_new(&compiled.policy.to_bytes()).unwrap();
        prop_assert_eq!(&policy, &compiled.policy);
        for question in questions {
            let expected = decide_by_reference(&text, &question);
            let said = match policy.decide(&question) {
                Outcome::Allow(rule, _) => (Some(rule), None),
                Outcome::Deny(rule, reason) => (rule, Some(reason)),
            };
            prop_assert_eq!(said, expected, "{:?}", question);
        }
    }

    #[test]
    fn rule_that_is_called_shadowed_never_decides(
        rules in prop::collection::vec(rule_text(), 2..5),
        questions in prop::collection::vec(question(), 100),
    ) {
        let roles = "roles = { admin = [\"identity:alice\"], mixed = [\"identity:bob\", \"peer:10.0.2.2\"] }";
        let one = |rule: &String| policy(&format!("{roles}\nrule = [{rule}]")).rules.remove(0);
        let policy = Policy { rules: rules.iter().map(one).collect(), ..Policy::default() };
        let dead: Vec<usize> = super::check::shadowed(&policy).into_iter().map(|(later, _)| later).collect();
        for question in questions {
            if let Outcome::Allow(rule, _) | Outcome::Deny(Some(rule), _) = policy.decide(&question) {
                prop_assert!(!dead.contains(&rule), "{:?}", question);
            }
        }
    }

    /// The model: in each stretch of time from any taken one to any later taken one, at most the burst and what the time allows.
    #[test]
    fn rate_lets_no_more_through_than_it_says_and_as_much_as_it_says(
        count in 1..50_u16, seconds in 1..4_u16, burst in 1..20_u16, pauses in prop::collection::vec(0..400_000_000_u64, 1..120),
    ) {
        let rate = Rate { count, seconds, burst };
        let (mut rates, mut now, mut taken) = (Rates::default(), 1_000_000_000, Vec::new());
        let most = |from: u64, to: u64| u64::from(burst) + (to - from) / rate.interval_ns();
        for pause in pauses {
            now += pause;
            // What was let through, held against a bucket that holds `burst` and gets one back in each interval.
            if rates.take(0, Payer::V4([1; 4]), rate, now) {
                taken.push(now);
                for (index, from) in taken.iter().enumerate() {
                    prop_assert!((taken.len() - index) as u64 <= most(*from, now), "too many since {from}");
                }
            } else {
                let is_full = taken.iter().enumerate().any(|(index, from)| (taken.len() - index + 1) as u64 > most(*from, now));
                prop_assert!(is_full, "refused at {now} without need: {taken:?}");
            }
        }
    }
}

#[test]
fn flood_of_principals_takes_no_more_memory_and_gets_no_more_than_one() {
    let (mut rates, rate) = (Rates::default(), Rate { count: 1, seconds: 1, burst: 2 });
    let payer = |number: u32| Payer::V4(number.to_be_bytes());
    assert!(rates.take(0, payer(0), rate, 1));
    let passed = (1..100_000).filter(|number| rates.take(0, payer(*number), rate, 1)).count();
    assert_eq!((rates.len(), passed), (PAYERS_MAX, PAYERS_MAX - 1 + 2), "the rest share one burst");
    // Who was counted before is not harmed.
    assert!(rates.take(0, payer(0), rate, 2) && !rates.take(0, payer(0), rate, 3));
    // Those that paused are forgotten, and make room.
    assert!(rates.take(0, payer(1 << 20), rate, 3_000_000_000));
    assert_eq!(rates.len(), 1);
}

fn answer(force: &mut InForce, question: Question<'_>, now: u64) -> (Option<Reason>, u64) {
    let answer = force.decide(&question, now);
    let reason = match answer.outcome {
        Outcome::Allow(..) => None,
        Outcome::Deny(_, reason) => Some(reason),
    };
    (reason, answer.epoch)
}

#[test]
fn rate_is_counted_by_identity_or_address_and_never_remembered() {
    let mut force = InForce::new(policy(HOME));
    for _ in 0..3 {
        assert_eq!(answer(&mut force, ASKED, 5), (None, 0));
    }
    assert_eq!(answer(&mut force, ASKED, 5), (Some(Reason::Rate), 0));
    let other = Question { identity: Some("alice"), ..ASKED };
    assert_eq!(answer(&mut force, other, 5), (None, 0));
    assert_eq!(answer(&mut force, Question { peer: Peer::V4([1; 4]), ..ASKED }, 5), (None, 0));
    assert_eq!(answer(&mut force, ASKED, 600_000_000), (None, 0));
    assert_eq!(answer(&mut force, Question { endpoint: "/admin", ..ASKED }, 5), (None, 1), "this may be remembered");
    assert_eq!(answer(&mut force, Question { endpoint: "/x", ..ASKED }, 5), (Some(Reason::NoRule), 0));
}

#[test]
fn trial_that_nobody_confirms_is_over_at_its_deadline() {
    let mut force = InForce::new(policy(HOME));
    let next = policy("rule = [{ who = [\"peer:10.0.2.2\"], decision = \"allow\" }]");
    force.try_until(next.clone(), 100).unwrap();
    assert_eq!((force.epoch(), force.trial()), (2, Some((100, false))));
    assert_eq!(force.try_until(next, 100), Err(Refused::OnTrial));
    assert_eq!(force.confirm(), Err(Refused::NotProven));
    assert_eq!(answer(&mut force, ASKED, 50), (None, 0), "an answer of a trial is not remembered");
    assert_eq!(force.confirm(), Err(Refused::NotProven), "that request is not what must stay allowed");
    let next = force.policy().clone();
    assert_eq!((force.expire(99), force.expire(100), force.expire(101)), (None, Some(next), None));
    assert_eq!((force.epoch(), force.trial(), force.policy()), (3, None, &policy(HOME)));
    assert_eq!((force.confirm(), force.roll_back()), (Err(Refused::NoTrial), Err(Refused::NoTrial)));
}

#[test]
fn trial_is_confirmed_after_what_must_stay_allowed_has_passed() {
    let mut force = InForce::new(policy(HOME));
    let next = policy("name = \"next\"\nrule = [{ who = [\"peer:10.0.2.2\"], decision = \"allow\" }]");
    force.try_until(next.clone(), 100).unwrap();
    let admin = Question { endpoint: "/admin/", ..ASKED };
    assert_eq!(answer(&mut force, Question { peer: Peer::V4([9; 4]), ..admin }, 5).0, Some(Reason::NoRule));
    assert_eq!(force.confirm(), Err(Refused::NotProven));
    assert_eq!(answer(&mut force, Question { transport: Transport::Tls, ..admin }, 5), (None, 0));
    assert_eq!(force.confirm(), Ok(()));
    assert_eq!(force.expire(u64::MAX), None);
    assert_eq!(answer(&mut force, admin, 200), (None, 2), "what was confirmed may be remembered");
    assert_eq!(force.policy(), &next);
}

#[test]
fn connection_alone_proves_nothing_and_without_keeps_time_decides() {
    let keeps = r#"keep = [{ protocol = "Http", verb = "CONNECT", peer = "10.0.2.2" }, { protocol = "Http", verb = "GET", peer = "10.0.2.2", endpoint = "/" }]"#;
    let all = "rule = [{ decision = \"allow\" }]";
    let mut force = InForce::new(policy(&format!("{keeps}\n{all}")));
    force.try_until(policy(all), 100).unwrap();
    assert_eq!(answer(&mut force, Question { verb: Verb::Connect, endpoint: "", ..ASKED }, 5).0, None);
    assert_eq!(force.confirm(), Err(Refused::NotProven));
    assert_eq!(answer(&mut force, Question { endpoint: "/", ..ASKED }, 5).0, None);
    assert_eq!(force.confirm(), Ok(()));
    let mut force = InForce::new(policy(all));
    force.try_until(Policy::default(), 100).unwrap();
    assert_eq!(force.confirm(), Ok(()));
}

#[test]
fn policy_that_locks_out_never_comes_into_force() {
    let mut force = InForce::new(policy(HOME));
    let shut = policy("rule = [{ who = [\"peer:10.0.2.3\"], decision = \"allow\" }]");
    assert_eq!(force.try_until(shut.clone(), 100), Err(Refused::LockedOut(0)));
    assert_eq!((force.epoch(), force.trial()), (1, None));
    // A policy's own keeps count as well; and those of the image never go.
    let mut own = policy("rule = [{ decision = \"allow\" }]");
    own.keeps = policy(HOME).keeps;
    own.keeps[0].peer = super::KeptPeer::V4([7; 4]);
    own.rules = policy(&HOME.replace("10.0.2.2\"] }", "10.0.2.2\", \"peer:8.8.8.8\"] }")).rules;
    assert_eq!(force.check(&own), Err(Refused::LockedOut(1)));
    force.try_until(policy("rule = [{ decision = \"allow\" }]"), 100).unwrap();
    answer(&mut force, Question { endpoint: "/admin", ..ASKED }, 5);
    force.confirm().unwrap();
    assert_eq!(force.check(&shut), Err(Refused::LockedOut(0)));
}
