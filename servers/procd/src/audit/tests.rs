//! What follows from verdicts: who is held, released, isolated; when the auditor looks; what is done without one.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use libhybrid::interfaces::process::{Error, Phase, Reason, ServicesClient, ServicesLoopback, ServicesServer, State};
use libhybrid::ipc::CallError;

use super::{Finding, GAP_NS, INTERVAL_NS, OnDifference, RETRY_NS, Suspect, WAIT_NS};
use crate::Supervisor;
use crate::tests::{Fake, done};

const TIMED: usize = 1;
const NETD: usize = 2;
const HTTPD: usize = 3;
/// Among the instances of the fake; the supervisor is not its own subject, so the auditor is one more.
const AUDITD: u16 = 5;

fn different(suspects: &[&str]) -> Option<Finding> {
    let suspect = |name: &&str| Suspect { name: (*name).to_string(), line: format!("+ {name} call x") };
    Some(Finding { differences: 3, suspects: suspects.iter().map(suspect).collect() })
}

/// netd waits for the verdict.
fn fake(finding: Option<Finding>) -> Fake {
    let mut fake = Fake::new();
    fake.states[NETD] = State::Starting;
    fake.states.push(State::Running);
    fake.generations.push(1);
    (fake.held, fake.auditor, fake.finding) = (vec![2], Some(AUDITD), finding);
    fake
}

fn booted(finding: Option<Finding>, on_difference: OnDifference) -> Supervisor<Fake> {
    let mut supervisor = Supervisor::new(fake(finding), "procd");
    supervisor.set_on_difference(on_difference);
    supervisor.turn();
    supervisor
}

fn as_declared() -> Supervisor<Fake> {
    let mut supervisor = booted(Some(Finding::default()), OnDifference::Isolate);
    assert_eq!(done(&mut supervisor), ["compare", "note: finds live as declared", "start netd"]);
    supervisor
}

fn phase(supervisor: &Supervisor<Fake>, index: usize) -> Phase {
    supervisor.entries[index].record.phase()
}

#[test]
fn who_waits_for_the_verdict_is_started_when_it_is_there_and_not_before() {
    let supervisor = Supervisor::new(fake(Some(Finding::default())), "procd");
    assert_eq!((phase(&supervisor, NETD), supervisor.power.done.len()), (Phase::Held, 0));
    let supervisor = as_declared();
    assert_eq!(phase(&supervisor, NETD), Phase::Running);
    assert_eq!(supervisor.audit.due, INTERVAL_NS, "what was released was part of what was looked at");
}

#[test]
fn without_a_verdict_in_time_the_policy_decides_and_a_late_one_still_counts() {
    let mut supervisor = booted(None, OnDifference::Log);
    assert_eq!((done(&mut supervisor), supervisor.power.armed), (vec!["compare".to_string()], Some(RETRY_NS)));
    supervisor.power.now = WAIT_NS;
    supervisor.turn();
    let told = "note: has no verdict in time: netd wait for it no longer";
    assert_eq!(done(&mut supervisor), ["compare", told, "start netd"]);
    let mut supervisor = booted(None, OnDifference::Isolate);
    supervisor.power.now = WAIT_NS;
    supervisor.turn();
    let told = "note: has no verdict in time: netd stay held until there is one";
    assert_eq!(done(&mut supervisor), ["compare", "compare", told]);
    supervisor.power.now += RETRY_NS;
    supervisor.power.finding = Some(Finding::default());
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["compare", "note: finds live as declared", "start netd"]);
}

#[test]
fn auditor_that_is_down_or_hangs_is_not_called() {
    let mut fake = fake(Some(Finding::default()));
    fake.states[usize::from(AUDITD)] = State::Failed;
    let mut supervisor = Supervisor::new(fake, "procd");
    supervisor.entries[usize::from(AUDITD)].record.stopped();
    supervisor.turn();
    assert!(!done(&mut supervisor).contains(&"compare".to_string()));
    let mut supervisor = as_declared();
    supervisor.power.unwell.push(AUDITD);
    supervisor.power.now = INTERVAL_NS;
    supervisor.power.answers_all();
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["stop auditd again", "start auditd"]);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["compare"], "its new life looks at once");
}

#[test]
fn difference_that_is_only_told_is_told_once_and_keeps_nobody_down() {
    let mut supervisor = booted(different(&["httpd"]), OnDifference::Log);
    let told = "note: finds live not as declared, 3 differences: + httpd call x";
    assert_eq!(done(&mut supervisor), ["compare", told, "start netd"]);
    supervisor.power.now = INTERVAL_NS;
    supervisor.power.answers_all();
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["compare"]);
    supervisor.power.finding = Some(Finding { differences: 1, suspects: Vec::new() });
    supervisor.power.now += INTERVAL_NS;
    supervisor.power.answers_all();
    supervisor.turn();
    let told = "note: finds live not as declared, 1 differences: something declared is missing";
    assert_eq!(done(&mut supervisor), ["compare", told]);
}

#[test]
fn who_holds_what_is_not_declared_is_isolated_until_a_command_and_the_rest_goes_on() {
    let mut supervisor = booted(different(&["httpd"]), OnDifference::Isolate);
    let told = "note: finds live not as declared, 3 differences: + httpd call x";
    let deeds = ["compare", told, "stop httpd", "note: isolates httpd: + httpd call x", "start netd"];
    assert_eq!(done(&mut supervisor), deeds);
    assert_eq!(supervisor.power.armed, Some(GAP_NS), "whether that was all is looked at soon");
    supervisor.power.finding = Some(Finding::default());
    for _ in 0..20 {
        supervisor.power.now = supervisor.power.armed.unwrap();
        supervisor.power.answers_all();
        supervisor.turn();
    }
    let deeds = done(&mut supervisor);
    assert!(!deeds.iter().any(|deed| deed.starts_with("start") || deed.starts_with("stop")), "{deeds:?}");
    assert_eq!(phase(&supervisor, HTTPD), Phase::Isolated);
    // Its next life knows, also when the list of ends has forgotten.
    let mut power = std::mem::take(&mut supervisor.power);
    power.reasons.insert(3, Reason::Isolation);
    power.exits.clear();
    let next = Supervisor::new(power, "procd");
    assert_eq!(phase(&next, HTTPD), Phase::Isolated);
    let loopback = ServicesLoopback::new(ServicesServer::new(next));
    let mut client = ServicesClient::new(loopback.connect(9));
    assert_eq!(client.stop("httpd"), Err(CallError::Domain(Error::DoesNotRun)), "it is down, and stays isolated");
    assert_eq!(client.start("httpd"), Ok(()));
    assert_eq!(phase(&loopback.server().server, HTTPD), Phase::Running);
}

#[test]
fn who_cannot_be_isolated_isolates_those_that_waited_for_the_verdict() {
    // securityd, the supervisor, whom it calls, the auditor, and nobody who is declared.
    for name in ["securityd", "procd", "timed", "auditd", "?", "nobody"] {
        let mut supervisor = booted(different(&[name, "httpd"]), OnDifference::Isolate);
        let deeds = done(&mut supervisor);
        assert!(deeds.contains(&"stop netd".to_string()) && deeds.contains(&"stop httpd".to_string()), "{deeds:?}");
        let phases = [NETD, HTTPD, TIMED].map(|index| phase(&supervisor, index));
        assert_eq!(phases, [Phase::Isolated, Phase::Isolated, Phase::Running], "{name}");
        let mut supervisor = as_declared();
        supervisor.power.finding = different(&[name]);
        supervisor.power.now = INTERVAL_NS;
        supervisor.power.answers_all();
        supervisor.turn();
        let why = "note: isolates netd: what is not declared is held by one who cannot be isolated";
        assert_eq!(done(&mut supervisor)[2..], ["stop netd", why], "also while it runs");
    }
}

#[test]
fn who_only_lacks_something_is_not_isolated() {
    let mut supervisor = booted(different(&[]), OnDifference::Isolate);
    assert_eq!(done(&mut supervisor).last().unwrap(), "start netd");
}

#[test]
fn new_lives_are_looked_at_at_once_and_a_burst_of_them_together() {
    let mut supervisor = as_declared();
    supervisor.power.now = 1_000_000_000;
    supervisor.power.end(3, State::Faulted);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start httpd", "compare"]);
    // timed is started without a back-off, again and again.
    for _ in 0..3 {
        supervisor.power.end(1, State::Faulted);
        supervisor.turn();
    }
    assert_eq!(done(&mut supervisor), ["start timed", "start timed", "start timed"]);
    assert_eq!(supervisor.power.armed, Some(1_000_000_000 + GAP_NS));
    supervisor.power.now += GAP_NS;
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["compare"]);
    supervisor.power.now += INTERVAL_NS;
    supervisor.power.answers_all();
    supervisor.turn();
    assert!(done(&mut supervisor).contains(&"compare".to_string()), "and slowly when nobody begins a life");
}

#[test]
fn who_is_killed_while_it_waits_goes_on_waiting_and_a_command_starts_it_without_a_verdict() {
    let mut supervisor = booted(None, OnDifference::Isolate);
    supervisor.power.end(2, State::Killed);
    supervisor.turn();
    assert_eq!((done(&mut supervisor), phase(&supervisor, NETD)), (vec!["compare".to_string()], Phase::Held));
    let loopback = ServicesLoopback::new(ServicesServer::new(supervisor));
    let mut client = ServicesClient::new(loopback.connect(9));
    assert_eq!(client.start("netd"), Ok(()));
    assert_eq!(done(&mut loopback.server().server), ["start netd"]);
    let mut client = ServicesClient::new(loopback.connect(9));
    assert_eq!(client.stop("netd"), Ok(()));
    assert_eq!(phase(&loopback.server().server, NETD), Phase::Stopped);
}

#[test]
fn word_of_the_policy_that_is_unknown_isolates() {
    assert_eq!([None, Some("log")].map(OnDifference::of), [OnDifference::Log; 2]);
    assert_eq!([Some("isolate"), Some("isolat")].map(OnDifference::of), [OnDifference::Isolate; 2]);
}
