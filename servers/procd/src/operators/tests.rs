//! Who is told that somebody left, how often, and of whom.

use std::string::ToString;
use std::vec;

use libhybrid::interfaces::process::{Error, Policy, Services, ServicesLeft, State};
use libhybrid::ipc::ClientId;

use crate::Supervisor;
use crate::tests::{Fake, done};

const SHELL: ClientId = ClientId::of(105);
const STRANGER: ClientId = ClientId::of(106);
const HTTPD: u16 = 3;

fn told() -> Supervisor<Fake> {
    let mut fake = Fake::new();
    fake.policies.insert(HTTPD, Policy::Never);
    let mut supervisor = Supervisor::new(fake, "procd");
    supervisor.set_operators([105].into_iter());
    supervisor.turn();
    supervisor
}

#[test]
fn end_that_nobody_follows_up_is_told_once_to_each_operator() {
    let mut supervisor = told();
    assert_eq!((done(&mut supervisor), supervisor.pull_left(SHELL)), (vec![], None), "nobody left yet");
    supervisor.power.end(HTTPD, State::Ended);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["postpone httpd", "ring 105"]);
    assert_eq!(supervisor.pull_left(STRANGER), None, "nobody declared it");
    assert_eq!(supervisor.pull_left(SHELL), Some(ServicesLeft { left: 1 }));
    assert_eq!(supervisor.pull_left(SHELL), None);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), [] as [&str; 0], "it left once");
    // Twice before it asks is one answer.
    for _ in 0..2 {
        Services::start(&mut supervisor, SHELL, "httpd").unwrap();
        supervisor.power.end(HTTPD, State::Faulted);
        supervisor.turn();
    }
    assert_eq!(supervisor.pull_left(SHELL), Some(ServicesLeft { left: 3 }));
    assert_eq!(supervisor.pull_left(SHELL), None);
}

#[test]
fn next_life_is_no_leave_and_a_command_is_one() {
    let mut supervisor = told();
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!((done(&mut supervisor), supervisor.pull_left(SHELL)), (vec!["start netd".to_string()], None));
    // It waits for its back-off: whoever has the console has it then, too.
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!(supervisor.pull_left(SHELL), None);
    Services::stop(&mut supervisor, SHELL, "netd").unwrap();
    assert_eq!(supervisor.pull_left(SHELL), Some(ServicesLeft { left: 1 }));
}

#[test]
fn who_was_attached_is_known_until_it_leaves() {
    let mut supervisor = told();
    assert_eq!(supervisor.attached(SHELL), None);
    assert_eq!(supervisor.attach(SHELL, "httpd"), Err(Error::Runs));
    assert_eq!(supervisor.attach(SHELL, "nobody"), Err(Error::NoSuchInstance));
    assert_eq!(supervisor.attached(SHELL), None);
    Services::stop(&mut supervisor, SHELL, "httpd").unwrap();
    assert_eq!(supervisor.attach(SHELL, "httpd"), Ok(()));
    assert_eq!(supervisor.attached(SHELL), Some(HTTPD));
    // Somebody else's end is not its.
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!(supervisor.attached(SHELL), Some(HTTPD));
    supervisor.power.end(HTTPD, State::Faulted);
    supervisor.turn();
    assert_eq!(supervisor.attached(SHELL), None);
    // Started in another way it has no console.
    Services::start(&mut supervisor, SHELL, "httpd").unwrap();
    assert_eq!(supervisor.attached(SHELL), None);
    Services::stop(&mut supervisor, SHELL, "httpd").unwrap();
    supervisor.power.cannot_start.push(HTTPD);
    assert_eq!((supervisor.attach(SHELL, "httpd"), supervisor.attached(SHELL)), (Err(Error::CannotStart), None));
}
