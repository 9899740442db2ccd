//! One program that hears of signals and is started again, against a model: who runs, who was asked, until when.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use libhybrid::interfaces::process::{Error, Phase, Program, Services, State};
use libhybrid::ipc::ClientId;
use proptest::prelude::*;

use super::GRACE_NS;
use crate::Supervisor;
use crate::tests::{Fake, done};

const HTTPD: ClientId = ClientId::of(103);
const OTHER: ClientId = ClientId::of(102);
const OPERATOR: ClientId = ClientId::of(1);
const INDEX: u16 = 3;

fn hearing() -> Supervisor<Fake> {
    let mut supervisor = Supervisor::new(Fake::new(), "procd");
    supervisor.set_hearers([("httpd", 103), ("nobody", 104)].into_iter());
    supervisor.turn();
    supervisor
}

fn stop(supervisor: &mut Supervisor<Fake>) -> Result<(), Error> {
    Services::stop(supervisor, OPERATOR, "httpd")
}

fn phase(supervisor: &Supervisor<Fake>) -> Phase {
    supervisor.entries[usize::from(INDEX)].record.phase()
}

fn hears(supervisor: &mut Supervisor<Fake>) -> Option<u8> {
    supervisor.pull_signalled(HTTPD).map(|signalled| signalled.signal)
}

#[test]
fn who_hears_is_asked_first_and_its_end_is_the_operators() {
    let mut supervisor = hearing();
    assert_eq!(hears(&mut supervisor), None);
    assert_eq!(stop(&mut supervisor), Ok(()));
    assert_eq!((done(&mut supervisor), phase(&supervisor)), (vec!["ring 103".to_string()], Phase::Running));
    assert!(Services::service(&mut supervisor, OPERATOR, INDEX).unwrap().detail.contains("was asked to end"));
    assert_eq!(supervisor.pull_signalled(OTHER).map(|signalled| signalled.signal), None, "it is somebody else's");
    assert_eq!((hears(&mut supervisor), hears(&mut supervisor)), (Some(15), None));
    // By the signal, which is a fault otherwise: nobody starts it again.
    supervisor.power.now += GRACE_NS / 2;
    supervisor.power.end(INDEX, State::Faulted);
    supervisor.turn();
    assert_eq!((done(&mut supervisor), phase(&supervisor)), (vec!["postpone httpd".to_string()], Phase::Stopped));
    assert_eq!(stop(&mut supervisor), Err(Error::DoesNotRun));
    // Its next life was asked nothing.
    assert_eq!(Services::start(&mut supervisor, OPERATOR, "httpd"), Ok(()));
    assert_eq!(hears(&mut supervisor), None);
    supervisor.power.end(INDEX, State::Faulted);
    supervisor.turn();
    assert_eq!((done(&mut supervisor), phase(&supervisor)), (vec!["start httpd".to_string(); 2], Phase::Running));
}

#[test]
fn who_does_not_end_in_time_or_is_told_twice_is_stopped() {
    for is_told_twice in [true, false] {
        let mut supervisor = hearing();
        assert_eq!(stop(&mut supervisor), Ok(()));
        assert_eq!(done(&mut supervisor), ["ring 103"]);
        if is_told_twice {
            assert_eq!(stop(&mut supervisor), Ok(()));
        } else {
            supervisor.power.now += GRACE_NS;
            supervisor.power.answers_all();
            supervisor.turn();
        }
        assert!(done(&mut supervisor).contains(&"stop httpd".to_string()));
        assert_eq!((phase(&supervisor), hears(&mut supervisor)), (Phase::Stopped, None));
    }
    // Who cannot hear is stopped at once.
    let mut supervisor = hearing();
    assert_eq!(Services::stop(&mut supervisor, OPERATOR, "netd"), Ok(()));
    assert_eq!(done(&mut supervisor), ["stop netd"]);
    // A restart does not wait.
    assert_eq!(stop(&mut supervisor), Ok(()));
    assert_eq!(Services::restart(&mut supervisor, OPERATOR, "httpd"), Ok(()));
    assert_eq!((phase(&supervisor), hears(&mut supervisor)), (Phase::Running, None));
}

#[test]
fn end_that_is_seen_before_it_is_told_of_is_still_the_operators() {
    let mut supervisor = hearing();
    assert_eq!(stop(&mut supervisor), Ok(()));
    assert_eq!((done(&mut supervisor), hears(&mut supervisor)), (vec!["ring 103".to_string()], Some(15)));
    supervisor.power.ends_when_seen = Some(INDEX);
    supervisor.turn();
    assert_eq!(supervisor.power.ends_when_seen, None, "it did not end within the turn");
    assert_eq!((done(&mut supervisor), phase(&supervisor)), (vec![], Phase::Running));
    supervisor.turn();
    assert_eq!((done(&mut supervisor), phase(&supervisor)), (vec!["postpone httpd".to_string()], Phase::Stopped));
    supervisor.power.now += GRACE_NS;
    supervisor.turn();
    assert_eq!((supervisor.requests.next(), phase(&supervisor)), (None, Phase::Stopped));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Stop,
    Start,
    End(State),
    Wait(u64),
    Pull,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Stop),
        Just(Step::Start),
        proptest::sample::select(vec![State::Faulted, State::Ended, State::Killed]).prop_map(Step::End),
        (1..GRACE_NS).prop_map(Step::Wait),
        Just(Step::Pull),
    ]
}

proptest! {
    #[test]
    fn requests_under_random_steps_are_as_in_the_model(steps in proptest::collection::vec(step(), 0..40)) {
        let mut supervisor = hearing();
        // Until when it may run, if it was asked; whether it has not heard of it; whether an operator has it stopped.
        let (mut asked, mut owes, mut is_stopped) = (None::<u64>, false, false);
        for step in steps {
            let was_up = supervisor.power.states[usize::from(INDEX)] == State::Running;
            match step {
                Step::Stop => {
                    let expected = if is_stopped { Err(Error::DoesNotRun) } else { Ok(()) };
                    prop_assert_eq!(stop(&mut supervisor), expected);
                    if was_up && asked.is_none() {
                        (asked, owes) = (Some(supervisor.power.now + GRACE_NS), true);
                    } else {
                        (asked, owes, is_stopped) = (None, false, true);
                    }
                }
                Step::Start => {
                    let started = Services::start(&mut supervisor, OPERATOR, "httpd");
                    prop_assert_eq!(started, if was_up { Err(Error::Runs) } else { Ok(()) });
                    is_stopped &= was_up;
                }
                Step::End(state) if was_up => {
                    supervisor.power.end(INDEX, state);
                    supervisor.turn();
                    is_stopped = asked.is_some();
                    (asked, owes) = (None, false);
                }
                Step::End(_) => {}
                Step::Wait(ns) => {
                    supervisor.power.answers_all();
                    supervisor.power.now += ns;
                    supervisor.turn();
                    supervisor.power.answers_all();
                    supervisor.turn();
                    if asked.is_some_and(|until| until <= supervisor.power.now) {
                        (asked, owes, is_stopped) = (None, false, true);
                    }
                }
                Step::Pull => {
                    prop_assert_eq!(hears(&mut supervisor), owes.then_some(15));
                    owes = false;
                }
            }
            let is_up = supervisor.power.states[usize::from(INDEX)] == State::Running;
            prop_assert_eq!(phase(&supervisor) == Phase::Stopped, is_stopped, "{:?}", step);
            prop_assert!(!is_stopped || !is_up, "{:?}", step);
            prop_assert!(asked.is_none() || is_up, "{:?}", step);
            let armed = supervisor.power.armed;
            prop_assert!(asked.is_none_or(|until| armed.is_some_and(|armed| armed <= until)));
        }
        let left: Vec<_> = done(&mut supervisor);
        prop_assert!(left.iter().all(|what| !what.contains("netd")));
    }
}
