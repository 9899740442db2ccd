//! Tests of decisions and of the policy's replacement, through the generated clients.

use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::Source;
use hybrid_capgraph::access::{Policy, read_policy};
use hybrid_interfaces::security as idl;
use hybrid_ipc::CallError;
use hybrid_start::peers::POLICY;

use crate::fake::FakeKernel;
use crate::install::tests::installed;
use crate::kernel::Kernel as _;
use crate::server::Server;
use crate::server::tests::{audit_of, caller};

const HOST: idl::Peer<'static> = idl::Peer::V4([10, 0, 2, 2]);

fn ask(server: &mut Server<FakeKernel>, verb: idl::Verb, endpoint: &str) -> idl::AccessDecide {
    let mut client = idl::AccessClient::new(caller(server, "httpd", "access"));
    client.decide(idl::Protocol::Http, idl::Transport::Plain, verb, &HOST, None, endpoint, 0).unwrap()
}

fn policy<'a>(server: &'a mut Server<FakeKernel>) -> idl::PolicyClient<impl hybrid_ipc::Caller + use<'a>> {
    idl::PolicyClient::new(caller(server, "shell", "policy"))
}

fn compiled(text: &str) -> Vec<u8> {
    let source = Source::new("office.toml", text);
    read_policy(&source).unwrap_or_else(|problems| panic!("{problems:#?}")).1.policy.to_bytes()
}

fn submit(server: &mut Server<FakeKernel>, bytes: &[u8]) {
    for (number, piece) in bytes.chunks(100).enumerate() {
        policy(server).submit(u16::try_from(number * 100).unwrap(), piece).unwrap();
    }
}

/// The epoch that the pages of all components tell.
fn epoch(server: &mut Server<FakeKernel>) -> u64 {
    let pages: Vec<_> = server.world.live.iter().skip(1).map(|live| live.peers).collect();
    let mut epochs: Vec<u64> =
        pages.into_iter().map(|page| server.world.kernel.read_word(page, POLICY * 8).unwrap()).collect();
    epochs.dedup();
    assert_eq!(epochs.len(), 1, "{epochs:?}");
    epochs[0]
}

fn policies(server: &Server<FakeKernel>) -> Vec<String> {
    audit_of(server).into_iter().filter(|line| line.starts_with("Policy ")).collect()
}

const OFFICE: &str = r#"
    rule = [
        { protocol = "Http", verbs = ["CONNECT"], decision = "allow", limit = 4 },
        { protocol = "Http", endpoint = "/api/*", decision = "deny" },
        { protocol = "Http", verbs = ["GET"], endpoint = "/slow", decision = "allow", rate = "1/s" },
        { protocol = "Http", verbs = ["GET"], endpoint = "/*", decision = "allow" },
    ]
"#;

#[test]
fn words_of_the_idl_are_those_of_the_policy() {
    for word in idl::Protocol::ALL.iter().copied() {
        let same = super::protocol_of(word);
        assert_eq!((same as u8, same.text()), (word as u8, word.name()));
    }
    for word in idl::Transport::ALL.iter().copied() {
        let same = super::transport_of(word);
        assert_eq!((same as u8, same.text()), (word as u8, word.name().to_lowercase().as_str()));
    }
    for word in idl::Verb::ALL.iter().copied() {
        let same = super::verb_of(word);
        assert_eq!((same as u8, same.text()), (word as u8, word.name().to_uppercase().as_str()));
    }
    assert_eq!(idl::POLICY_MAX, hybrid_capgraph::access::POLICY_MAX);
}

#[test]
fn requests_are_decided_by_the_policy_and_denials_stand_in_the_audit_trail() {
    let mut server = Server::new(installed());
    let allowed = ask(&mut server, idl::Verb::Get, "/");
    assert_eq!((allowed.decision, allowed.reason, allowed.epoch), (idl::Decision::Allow, idl::Reason::Granted, 1));
    assert_eq!(ask(&mut server, idl::Verb::Head, "/api/status").decision, idl::Decision::Allow);
    let before = audit_of(&server).len();
    let denied = ask(&mut server, idl::Verb::Post, "/x\n10 granted");
    assert_eq!((denied.decision, denied.reason, denied.epoch), (idl::Decision::Deny, idl::Reason::NoRule, 0));
    let lines = audit_of(&server);
    assert_eq!(lines.len(), before + 1);
    let last = lines.last().unwrap();
    assert_eq!(last, r#"Denied denied Http POST "/x\n10 granted" to 10.0.2.2 (plain) (NoRule, asked by httpd)"#);
    let mut client = idl::AccessClient::new(caller(&mut server, "httpd", "access"));
    client.decide(idl::Protocol::Http, idl::Transport::Plain, idl::Verb::Get, &HOST, None, "/", 40).unwrap();
    assert_eq!(server.decisions(), (43, 1), "what a cache answered counts too");
}

#[test]
fn flood_of_denials_pushes_no_grant_and_no_fault_out_of_the_trail_and_gives_few_log_lines() {
    const FLOOD: usize = 3000;
    let mut server = Server::new(installed());
    let events = |server: &Server<FakeKernel>| {
        audit_of(server)
            .into_iter()
            .filter(|line| !line.starts_with("Denied ") && !line.starts_with("Gap "))
            .collect::<Vec<_>>()
    };
    let status = server.world.graph.named("status").unwrap().id;
    server.on_fault(status, 6, [0x40_0010, 0xdead_0000, 0, 0x9200_0046].into_iter());
    let (before, waiting) = (events(&server), server.world.journal.waiting());
    for _ in 0..FLOOD {
        assert_eq!(ask(&mut server, idl::Verb::Post, "/").decision, idl::Decision::Deny);
        server.after_event();
    }
    assert_eq!(events(&server), before);
    let one_by_one = crate::denials::LINES_MAX as usize;
    assert_eq!(audit_of(&server).len(), before.len() + one_by_one);
    assert_eq!(server.decisions(), (0, FLOOD as u64));
    let mut client = idl::AuditClient::new(caller(&mut server, "shell", "audit"));
    assert_eq!(client.span(idl::Chain::Denials).unwrap().waiting as usize, FLOOD - one_by_one);
    assert_eq!(server.world.journal.waiting(), waiting + one_by_one);
    server.world.kernel.now_ns += 1_000_000_000;
    server.after_event();
    server.after_event();
    assert_eq!(server.world.journal.waiting(), waiting + one_by_one + 1, "one line sums up the rest");
    let mark = format!("Gap denied {} more requests, which are not kept one by one", FLOOD - one_by_one);
    assert_eq!(audit_of(&server).last(), Some(&mark));
}

#[test]
fn denied_text_of_any_length_fits_the_audit_trail() {
    let mut server = Server::new(installed());
    let mut client = idl::AccessClient::new(caller(&mut server, "httpd", "access"));
    let path = format!("/{}", "\u{1}é".repeat(80));
    let (peer, identity) = (idl::Peer::Component("\u{2}".repeat(32).into()), "i".repeat(64));
    let (protocol, transport) = (idl::Protocol::Bus, idl::Transport::Tls);
    let answer = client.decide(protocol, transport, idl::Verb::Call, &peer, Some(&identity), &path, 0).unwrap();
    assert_eq!(answer.decision, idl::Decision::Deny);
    assert!(audit_of(&server).last().unwrap().len() <= "Denied ".len() + crate::audit::LINE_MAX);
}

#[test]
fn connections_are_limited_by_the_policy() {
    let mut server = Server::new(installed());
    let answer = ask(&mut server, idl::Verb::Connect, "");
    assert_eq!((answer.decision, answer.limit), (idl::Decision::Limit, 512));
    let mut client = idl::AccessClient::new(caller(&mut server, "httpd", "access"));
    let (protocol, transport) = (idl::Protocol::Rtmp, idl::Transport::Plain);
    let answer = client.decide(protocol, transport, idl::Verb::Connect, &HOST, None, "", 0).unwrap();
    assert_eq!(answer.decision, idl::Decision::Deny);
}

#[test]
fn policy_is_replaced_at_once_and_confirmed_after_the_way_in_was_used() {
    let mut server = Server::new(installed());
    assert_eq!(epoch(&mut server), 1);
    submit(&mut server, &compiled(OFFICE));
    assert_eq!(policy(&mut server).check().unwrap().fault, None);
    assert_eq!(policy(&mut server).confirm().unwrap_err(), CallError::Domain(idl::PolicyError::NoTrial));
    assert_eq!(policy(&mut server).try_for(60).unwrap(), 2);
    assert_eq!(epoch(&mut server), 2, "who remembers decisions sees at once that they are void");
    assert_eq!(policy(&mut server).try_for(60).unwrap_err(), CallError::Domain(idl::PolicyError::OnTrial));
    assert_eq!(ask(&mut server, idl::Verb::Get, "/api/status").reason, idl::Reason::Rule);
    assert_eq!(policy(&mut server).confirm().unwrap_err(), CallError::Domain(idl::PolicyError::NotProven));
    assert_eq!(ask(&mut server, idl::Verb::Get, "/").epoch, 0, "not to be remembered while on trial");
    let state = policy(&mut server).current().unwrap().into_owned();
    assert_eq!((state.epoch, state.name.as_ref(), state.rules), (2, "office", 4));
    assert!(state.is_trial && state.is_proven && state.deadline_ns > 0);
    assert_eq!(state.digest, Policy::try_new(&compiled(OFFICE)).unwrap().digest());
    policy(&mut server).confirm().unwrap();
    server.world.kernel.now_ns += 3_600_000_000_000;
    server.after_event();
    assert_eq!((ask(&mut server, idl::Verb::Get, "/").epoch, epoch(&mut server)), (2, 2));
    assert_eq!(ask(&mut server, idl::Verb::Get, "/slow").epoch, 0, "a rate is counted here");
    assert_eq!(ask(&mut server, idl::Verb::Get, "/slow").reason, idl::Reason::Rate);
    let told = policies(&server);
    for (line, start) in
        told.iter().zip(["shell could not", "shell tries", "a policy is refused", "shell could not", "shell confirms"])
    {
        assert!(line.starts_with(&format!("Policy {start}")), "{line}: {start}");
    }
    assert_eq!(told.len(), 5);
}

#[test]
fn trial_that_nobody_confirms_is_over_with_the_next_event_or_decision() {
    for is_decision in [true, false] {
        let mut server = Server::new(installed());
        submit(&mut server, &compiled(OFFICE));
        policy(&mut server).try_for(60).unwrap();
        assert_eq!(ask(&mut server, idl::Verb::Get, "/api/x").decision, idl::Decision::Deny);
        server.world.kernel.now_ns += 60_000_000_000;
        if is_decision {
            assert_eq!(ask(&mut server, idl::Verb::Get, "/api/x").decision, idl::Decision::Allow);
        } else {
            server.after_event();
        }
        assert_eq!(epoch(&mut server), 3);
        let last = policies(&server).pop().unwrap();
        assert!(last.contains(r#""office" was not confirmed in time: "gateway" (2 rules"#), "{last}");
        assert_eq!(policy(&mut server).roll_back().unwrap_err(), CallError::Domain(idl::PolicyError::NoTrial));
    }
}

#[test]
fn trial_is_ended_by_hand_and_a_component_that_starts_anew_learns_the_epoch() {
    let mut server = Server::new(installed());
    submit(&mut server, &compiled(OFFICE));
    policy(&mut server).try_for(60).unwrap();
    policy(&mut server).roll_back().unwrap();
    let status = server.world.graph.named("status").unwrap().id;
    let place = server.world.place(status).unwrap();
    server.world.stop(status, crate::install::State::Killed, String::new());
    server.world.start_again(place).unwrap();
    assert_eq!(epoch(&mut server), 3);
}

#[test]
fn what_is_no_policy_or_locks_out_is_refused_with_the_finding() {
    let mut server = Server::new(installed());
    for (bytes, error, text) in [
        (Vec::new(), idl::PolicyError::Unsound, "these 0 bytes are no policy: Magic"),
        (b"HYACCES1\x01".to_vec(), idl::PolicyError::Unsound, "these 9 bytes are no policy: Name"),
        (
            compiled("rule = [{ who = [\"peer:10.0.2.9\"], decision = \"allow\" }]"),
            idl::PolicyError::LockedOut,
            r#"it would deny what must stay allowed: Http CONNECT "" to 10.0.2.2 (plain)"#,
        ),
    ] {
        submit(&mut server, &bytes);
        let check = policy(&mut server).check().unwrap().into_owned();
        assert_eq!((check.fault, check.text.as_ref()), (Some(error), text));
        assert_eq!(policy(&mut server).try_for(60).unwrap_err(), CallError::Domain(error));
        assert_eq!(policies(&server).pop().unwrap(), format!("Policy a policy is refused to shell: {text}"));
    }
    assert_eq!(epoch(&mut server), 1);
    assert_eq!(policy(&mut server).submit(900, &[1]).unwrap_err(), CallError::Domain(idl::PolicyError::Unsound));
    let most = vec![0; 512];
    for piece in 0..8 {
        policy(&mut server).submit(piece * 512, &most).unwrap();
    }
    assert_eq!(policy(&mut server).submit(4096, &[1]).unwrap_err(), CallError::Domain(idl::PolicyError::TooLong));
    assert_eq!(policy(&mut server).current().unwrap().pending, 4096);
}
