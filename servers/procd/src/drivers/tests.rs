//! Who starts when its device is found: any order of word and verdict, a silent finder, commands, ends.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use libhybrid::interfaces::process::{
    Drivers, DriversClient, DriversLoopback, DriversServer, Error, Phase, Services, State,
};
use libhybrid::ipc::{CallError, ClientId};
use proptest::prelude::*;

use super::WAIT_NS;
use crate::tests::{Fake, done};
use crate::{Finding, OnDifference, Supervisor};

const UDEVD: ClientId = ClientId::of(16);
const SHELL: ClientId = ClientId::of(9);
const NETD: usize = 2;
const RNG: usize = 6;

/// rng waits for its device and netd, which calls entropyd, which calls rng, for the verdict.
fn fake(finding: Option<Finding>) -> Fake {
    let mut fake = Fake::new();
    fake.states.extend([State::Running, State::Starting, State::Running]);
    fake.states[NETD] = State::Starting;
    fake.generations.extend([1; 3]);
    (fake.held, fake.on_device, fake.auditor, fake.finding) = (vec![2], vec![6], Some(5), finding);
    fake
}

fn booted(finding: Option<Finding>) -> Supervisor<Fake> {
    let mut supervisor = Supervisor::new(fake(finding), "procd");
    supervisor.set_on_difference(OnDifference::Isolate);
    supervisor.turn();
    supervisor
}

fn verified() -> Supervisor<Fake> {
    let mut supervisor = booted(Some(Finding::default()));
    assert_eq!(done(&mut supervisor), ["compare", "note: finds live as declared"]);
    supervisor
}

fn phases(supervisor: &Supervisor<Fake>) -> [Phase; 2] {
    [RNG, NETD].map(|index| supervisor.entries[index].record.phase())
}

/// What an operator reads beside one that does not run.
fn detail(supervisor: &mut Supervisor<Fake>, index: u16) -> String {
    supervisor.service(SHELL, index).unwrap().detail.to_string()
}

#[test]
fn driver_starts_when_its_device_is_found_and_whoever_needs_it_after_it() {
    let mut supervisor = verified();
    assert_eq!(phases(&supervisor), [Phase::Held; 2]);
    assert_eq!(
        (detail(&mut supervisor, 6), detail(&mut supervisor, 2)),
        ("waits for its device".into(), "waits for the device of rng".into())
    );
    assert_eq!(supervisor.found(UDEVD, "rng"), Ok(()));
    assert_eq!(
        done(&mut supervisor),
        ["start netd", "start rng"].map(String::from).into_iter().rev().collect::<Vec<_>>()
    );
    assert_eq!(phases(&supervisor), [Phase::Running; 2]);
    assert_eq!(detail(&mut supervisor, 6), "");
    assert_eq!(supervisor.found(UDEVD, "rng"), Ok(()));
    assert_eq!(done(&mut supervisor), [] as [&str; 0], "once");
}

#[test]
fn verdict_and_device_are_both_waited_for_in_any_order() {
    let both = |mut supervisor: Supervisor<Fake>| {
        supervisor.entries[NETD].awaits_device = true;
        supervisor
    };
    let mut supervisor = both(verified());
    supervisor.found(UDEVD, "rng").unwrap();
    assert_eq!(phases(&supervisor), [Phase::Running, Phase::Held]);
    supervisor.found(UDEVD, "netd").unwrap();
    assert_eq!(phases(&supervisor), [Phase::Running; 2]);
    let mut supervisor = both(booted(None));
    supervisor.found(UDEVD, "rng").unwrap();
    supervisor.found(UDEVD, "netd").unwrap();
    assert_eq!(phases(&supervisor), [Phase::Running, Phase::Held]);
    assert_eq!(detail(&mut supervisor, 2), "waits for the auditor's verdict");
    supervisor.power.finding = Some(Finding::default());
    supervisor.power.now = supervisor.power.armed.unwrap();
    supervisor.turn();
    assert_eq!(phases(&supervisor), [Phase::Running; 2]);
}

#[test]
fn driver_without_a_device_is_down_until_it_is_found_and_so_is_who_needs_it() {
    let mut supervisor = verified();
    assert_eq!(supervisor.missing(UDEVD, "rng"), Ok(()));
    assert_eq!(done(&mut supervisor), ["postpone rng"]);
    assert_eq!(phases(&supervisor), [Phase::NoDevice, Phase::Held]);
    assert_eq!(
        (detail(&mut supervisor, 6), detail(&mut supervisor, 2)),
        ("waits for its device, which is not there".into(), "waits for the device of rng, which is not there".into())
    );
    supervisor.power.now = 100 * WAIT_NS;
    supervisor.power.answers_all();
    supervisor.turn();
    assert_eq!(
        (done(&mut supervisor), phases(&supervisor)),
        (vec!["compare".to_string()], [Phase::NoDevice, Phase::Held])
    );
    // Commands say so, but for the driver itself: the operator may know better than the finder.
    assert_eq!(Services::start(&mut supervisor, SHELL, "netd"), Err(Error::NoDevice));
    assert_eq!(supervisor.restart(SHELL, "netd"), Err(Error::NoDevice));
    assert_eq!(supervisor.restart(SHELL, "httpd"), Ok(()), "it makes do with errors");
    assert_eq!(done(&mut supervisor), ["stop httpd again", "start httpd"]);
    // Somebody looks again, and there it is.
    assert_eq!(supervisor.found(UDEVD, "rng"), Ok(()));
    assert_eq!(done(&mut supervisor), ["start rng", "start netd"]);
}

#[test]
fn driver_that_ends_without_its_device_is_not_started_again_and_counts_as_no_crash_loop() {
    let mut supervisor = verified();
    supervisor.found(UDEVD, "rng").unwrap();
    assert_eq!(supervisor.missing(UDEVD, "rng"), Ok(()));
    assert_eq!(phases(&supervisor), [Phase::Running; 2], "the finder stops nobody");
    done(&mut supervisor);
    supervisor.power.end(6, State::Faulted);
    supervisor.turn();
    assert_eq!((done(&mut supervisor), phases(&supervisor)[0]), (vec!["postpone rng".to_string()], Phase::NoDevice));
    supervisor.found(UDEVD, "rng").unwrap();
    assert_eq!(done(&mut supervisor), ["start rng"]);
    // A command tries it without a device: the same.
    supervisor.missing(UDEVD, "rng").unwrap();
    supervisor.power.end(6, State::Faulted);
    supervisor.turn();
    assert_eq!(Services::start(&mut supervisor, SHELL, "rng"), Ok(()));
    supervisor.power.end(6, State::Faulted);
    supervisor.turn();
    assert_eq!(phases(&supervisor)[0], Phase::NoDevice);
    // And one that was in a crash loop, because nobody had said it yet.
    let mut supervisor = verified();
    supervisor.power.now = WAIT_NS;
    supervisor.turn();
    for _ in 0..4 {
        supervisor.power.end(6, State::Ended);
        supervisor.turn();
        supervisor.power.now += WAIT_NS;
        supervisor.power.answers_all();
        supervisor.turn();
    }
    assert_eq!(phases(&supervisor)[0], Phase::Failed);
    supervisor.found(UDEVD, "rng").unwrap();
    assert_eq!(phases(&supervisor)[0], Phase::Failed, "its device is no reason to try anew");
    supervisor.missing(UDEVD, "rng").unwrap();
    assert_eq!(phases(&supervisor)[0], Phase::NoDevice);
}

#[test]
fn finder_that_says_nothing_in_time_keeps_nobody_down() {
    let mut supervisor = verified();
    assert_eq!(supervisor.power.armed, Some(2_000_000_000), "httpd's heartbeat");
    supervisor.power.now = WAIT_NS - 1;
    supervisor.power.answers_all();
    supervisor.turn();
    assert_eq!((phases(&supervisor), supervisor.power.armed), ([Phase::Held; 2], Some(WAIT_NS)));
    supervisor.power.now = WAIT_NS;
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start rng", "start netd"]);
    // One that had spoken of everybody is not waited for, whatever it said.
    let mut supervisor = verified();
    supervisor.missing(UDEVD, "rng").unwrap();
    assert_eq!(supervisor.finder_until, None);
}

#[test]
fn next_life_of_the_supervisor_waits_for_the_finders_word_again() {
    let mut supervisor = verified();
    supervisor.missing(UDEVD, "rng").unwrap();
    let power = std::mem::take(&mut supervisor.power);
    let mut next = Supervisor::new(power, "procd");
    next.turn();
    done(&mut next);
    assert_eq!(phases(&next), [Phase::Held; 2]);
    next.missing(UDEVD, "rng").unwrap();
    assert_eq!(phases(&next), [Phase::NoDevice, Phase::Held]);
    next.found(UDEVD, "rng").unwrap();
    assert_eq!(done(&mut next)[1..], ["start rng", "start netd"]);
}

#[test]
fn finder_names_only_who_is_declared_to_start_on_its_device() {
    let loopback = DriversLoopback::new(DriversServer::new(verified()));
    let mut client = DriversClient::new(loopback.connect(16));
    for name in ["netd", "httpd", "securityd", "procd", "timed"] {
        assert_eq!(client.found(name), Err(CallError::Domain(Error::NotAllowed)), "{name}");
        assert_eq!(client.missing(name), Err(CallError::Domain(Error::NotAllowed)), "{name}");
    }
    assert_eq!(client.found("nobody"), Err(CallError::Domain(Error::NoSuchInstance)));
    assert_eq!(client.found("rng"), Ok(()));
}

#[test]
fn what_a_command_stopped_stays_stopped() {
    let mut supervisor = verified();
    assert_eq!(supervisor.stop(SHELL, "rng"), Ok(()));
    supervisor.found(UDEVD, "rng").unwrap();
    assert_eq!(
        phases(&supervisor),
        [Phase::Stopped, Phase::Running],
        "who needs it gets errors, as of any that is stopped"
    );
    let mut supervisor = verified();
    supervisor.missing(UDEVD, "rng").unwrap();
    assert_eq!(supervisor.stop(SHELL, "rng"), Ok(()));
    supervisor.found(UDEVD, "rng").unwrap();
    assert_eq!(phases(&supervisor)[0], Phase::Stopped);
}

proptest! {
    /// Whatever the finder, the auditor, the clock and ends do: rng is started by nobody while its device is said to be missing, and at the end, when
    /// everything is there and no loop was found, everybody runs.
    #[test]
    fn nobody_is_started_without_its_device(steps in prop::collection::vec(0_u8..6, 1..60)) {
        let mut supervisor = booted(None);
        let mut is_missing = false;
        for step in steps {
            done(&mut supervisor);
            match step {
                0 => {
                    is_missing = false;
                    supervisor.found(UDEVD, "rng").unwrap();
                }
                1 => {
                    is_missing = true;
                    supervisor.missing(UDEVD, "rng").unwrap();
                }
                2 => {
                    if supervisor.power.states[RNG] == State::Running {
                        supervisor.power.end(6, State::Faulted);
                    }
                    supervisor.turn();
                }
                3 => {
                    supervisor.power.finding = Some(Finding::default());
                    supervisor.turn();
                }
                4 => {
                    supervisor.power.finding = None;
                    supervisor.turn();
                }
                _ => {
                    supervisor.power.now += 700_000_000;
                    supervisor.power.answers_all();
                    supervisor.turn();
                }
            }
            let deeds = done(&mut supervisor);
            prop_assert!(!is_missing || !deeds.contains(&"start rng".to_string()), "{:?}", deeds);
            let is_up = supervisor.power.states[RNG] == State::Running;
            prop_assert_eq!(is_up, phases(&supervisor)[0] == Phase::Running);
            prop_assert!(supervisor.finder_until.is_some() || phases(&supervisor)[0] != Phase::Held);
        }
        supervisor.power.finding = Some(Finding::default());
        supervisor.found(UDEVD, "rng").unwrap();
        for _ in 0..40 {
            supervisor.power.now += 700_000_000;
            supervisor.power.answers_all();
            supervisor.turn();
        }
        prop_assert!(matches!(phases(&supervisor), [Phase::Running | Phase::Failed, Phase::Running]));
    }
}
