//! Two programs of one parent and none of another, against a simple model: who runs, what is told, and in which order.

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use libhybrid::interfaces::process::{
    Ending, Error, Phase, Program, Reason, Services, SpawnError, Spawner, State, Stream, Streams3,
};
use libhybrid::ipc::ClientId;
use proptest::prelude::*;

use crate::requests::GRACE_NS;
use crate::tests::{Fake, done};
use crate::{Kin, Supervisor};

const PARENT: ClientId = ClientId::of(103);
const OTHER: ClientId = ClientId::of(102);
const PATH: &str = "/bin/w";
const STREAMS: Streams3 = Streams3 { input: Stream::Parent, output: Stream::Own, error: Stream::Nothing };

fn id_of(name: &str) -> Option<u16> {
    [("netd", 102), ("httpd", 103), ("rng", 106), ("entropyd", 107)].iter().find(|(of, _)| *of == name).map(|of| of.1)
}

fn kin() -> Vec<Kin> {
    ["spawn.rng", "spawn.entropyd"].iter().map(|key| Kin::of(key, "httpd /bin/w", id_of).unwrap()).collect()
}

fn family_over(fake: Fake) -> Supervisor<Fake> {
    let mut supervisor = Supervisor::with_family(fake, "procd", &kin());
    supervisor.turn();
    supervisor
}

fn family() -> Supervisor<Fake> {
    let mut fake = Fake::new();
    fake.states.extend([State::Running, State::Starting, State::Starting]);
    fake.generations.extend([1; 3]);
    let mut supervisor = family_over(fake);
    assert_eq!(done(&mut supervisor), [] as [&str; 0], "nobody of the family is started at boot");
    supervisor
}

fn spawn(supervisor: &mut Supervisor<Fake>) -> Result<u16, SpawnError> {
    supervisor.put(PARENT, 0, b"w\0a b\0X=1\0").unwrap();
    supervisor.spawn(PARENT, PATH, 2, STREAMS)
}

#[test]
fn parameters_that_name_nobody_are_no_kin() {
    let expected = Kin { name: "rng".into(), id: 106, parent: "httpd".into(), parent_id: 103, path: "/bin/a".into() };
    assert_eq!(Kin::of("spawn.rng", "httpd /bin/a", id_of), Some(expected));
    for (key, value) in
        [("spawn.rng", "httpd"), ("spawn.rng", "nobody /bin/a"), ("spawn.x", "httpd /a"), ("rng", "httpd /a")]
    {
        assert_eq!(Kin::of(key, value, id_of), None, "{key} {value}");
    }
}

#[test]
fn program_has_several_names_and_its_parent_is_told_each_once() {
    let mut fake = Fake::new();
    fake.states.extend([State::Running, State::Starting, State::Starting]);
    fake.generations.extend([1; 3]);
    let kin = [("spawn.rng", "httpd /bin/cat,w"), ("spawn.entropyd", "httpd /bin/w")];
    let kin: Vec<Kin> = kin.iter().map(|(key, value)| Kin::of(key, value, id_of).unwrap()).collect();
    let mut supervisor = Supervisor::with_family(fake, "procd", &kin);
    supervisor.turn();
    let told: Vec<_> = (0..4).map(|number| supervisor.program(PARENT, number).map(|path| path.into_owned())).collect();
    assert_eq!(told, [Some("/bin/cat".into()), Some("/bin/w".into()), None, None]);
    assert_eq!(supervisor.program(OTHER, 0), None, "they are another one's children");
    for (path, expected) in [
        ("/bin/cat,w", Err(SpawnError::NoProgram)),
        ("/bin/", Err(SpawnError::NoProgram)),
        ("/sbin/cat", Err(SpawnError::NoProgram)),
        ("cat", Err(SpawnError::NoProgram)),
        ("/bin/w", Ok(106)),
        ("/bin/cat", Err(SpawnError::Busy)),
        ("/bin/w", Ok(107)),
    ] {
        supervisor.put(PARENT, 0, &[]).unwrap();
        assert_eq!(supervisor.spawn(PARENT, path, 0, STREAMS), expected, "{path}");
    }
}

#[test]
fn request_is_for_one_life_and_whoever_is_stopped_takes_its_children_along() {
    let mut supervisor = family();
    supervisor.set_hearers([("rng", 106), ("httpd", 103)].into_iter());
    let (child, operator) = (ClientId::of(106), ClientId::of(1));
    assert_eq!(spawn(&mut supervisor), Ok(106));
    assert_eq!(Services::stop(&mut supervisor, operator, "rng"), Ok(()));
    // Its parent spawns it anew before the supervisor had a turn.
    supervisor.power.end(6, State::Ended);
    assert!(supervisor.pull_ended(PARENT).is_some());
    assert_eq!((supervisor.forget(PARENT, 106), spawn(&mut supervisor)), (Ok(()), Ok(106)));
    assert!(supervisor.pull_signalled(child).is_none(), "that was for its last life");
    supervisor.turn();
    assert_eq!(supervisor.power.states[6], State::Running);
    // The parent is asked and does not end.
    assert_eq!(Services::stop(&mut supervisor, operator, "httpd"), Ok(()));
    let _before = done(&mut supervisor);
    supervisor.power.now += GRACE_NS;
    supervisor.power.answers_all();
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["stop httpd", "stop rng"]);
}

#[test]
fn child_gets_what_it_is_given_and_its_end_is_told_once() {
    let mut supervisor = family();
    let child = ClientId::of(106);
    assert_eq!(Program::start(&mut supervisor, child), Err(SpawnError::NotSpawned));
    assert_eq!(spawn(&mut supervisor), Ok(106));
    assert_eq!(done(&mut supervisor), ["start rng"]);
    let start = Program::start(&mut supervisor, child).unwrap();
    assert_eq!((start.parent, start.arguments, start.bytes), (103, 2, 10));
    assert_eq!(start.streams, STREAMS);
    assert_eq!(&*supervisor.given(child, 0).unwrap(), b"w\0a b\0X=1\0");
    assert_eq!((supervisor.given(child, 10).unwrap().len(), supervisor.given(child, 9999).unwrap().len()), (0, 0));
    assert_eq!(supervisor.signal(PARENT, 106, 15), Ok(()));
    assert_eq!(supervisor.signal(PARENT, 106, 2), Ok(()));
    assert_eq!(done(&mut supervisor), ["ring 106", "ring 106"]);
    let signals: Vec<u8> = (0..3).filter_map(|_| Some(supervisor.pull_signalled(child)?.signal)).collect();
    assert_eq!(signals, [2, 15]);
    assert_eq!(supervisor.ending(child, Ending::Exited(7)), Ok(()));
    for signal in [0, 65, 127, 255] {
        assert_eq!(supervisor.ending(child, Ending::Signalled(signal)), Err(SpawnError::Malformed));
    }
    supervisor.power.end(6, State::Faulted);
    supervisor.turn();
    assert_eq!(supervisor.forget(PARENT, 106), Err(SpawnError::NoProcess), "it was not told yet");
    assert_eq!(done(&mut supervisor), ["ring 103"], "its parent is told, and nobody starts it again");
    let told = supervisor.pull_ended(PARENT).unwrap();
    assert_eq!((told.process, told.ending), (106, Ending::Exited(7)));
    assert_eq!((supervisor.pull_ended(PARENT), supervisor.pull_ended(OTHER)), (None, None));
    assert_eq!(supervisor.signal(PARENT, 106, 0), Err(SpawnError::NoProcess));
    assert_eq!((supervisor.forget(OTHER, 106), supervisor.forget(PARENT, 106)), (Err(SpawnError::NoProcess), Ok(())));
}

/// In as many messages as it takes.
fn put_all(supervisor: &mut Supervisor<Fake>, parent: ClientId, bytes: &[u8]) -> Result<(), SpawnError> {
    let mut pieces = bytes.chunks(800).zip((0..).step_by(800));
    pieces.try_for_each(|(piece, at)| supervisor.put(parent, at, piece))
}

#[test]
fn who_is_given_much_leaves_everybody_what_is_little() {
    let mut supervisor = family();
    let large = vec![b'x'; 32 * 1024];
    let mut ended = large.clone();
    ended[32 * 1024 - 1] = 0;
    for _ in 0..2 {
        assert_eq!(put_all(&mut supervisor, PARENT, &ended), Ok(()));
        assert!(supervisor.spawn(PARENT, PATH, 1, STREAMS).is_ok());
    }
    assert_eq!(supervisor.given(ClientId::of(107), 32_000).unwrap().len(), 768);
    assert_eq!(put_all(&mut supervisor, OTHER, &[0; 4096]), Ok(()), "as if nobody were given more");
    assert_eq!(put_all(&mut supervisor, OTHER, &[0; 4097]), Err(SpawnError::TooLarge));
    // Whoever has ended needs none of it.
    supervisor.power.end(6, State::Ended);
    supervisor.turn();
    assert_eq!(put_all(&mut supervisor, OTHER, &large), Ok(()));
    assert_eq!(put_all(&mut supervisor, OTHER, &large), Ok(()), "in place of the other draft");
    assert_eq!(put_all(&mut supervisor, PARENT, &[0; 4097]), Err(SpawnError::TooLarge));
}

#[test]
fn draft_that_nobody_will_use_is_in_nobodys_way() {
    let mut supervisor = family();
    let large = vec![b'x'; 32 * 1024];
    assert_eq!(put_all(&mut supervisor, PARENT, &large), Ok(()));
    assert_eq!(put_all(&mut supervisor, OTHER, &large[..31 * 1024]), Ok(()));
    assert_eq!(put_all(&mut supervisor, OTHER, &large), Ok(()), "all of what there is");
    let third = ClientId::of(104);
    assert_eq!(put_all(&mut supervisor, third, &large), Err(SpawnError::TooLarge));
    assert!(supervisor.family.drafts.iter().all(|(of, _)| *of != 104), "it gave up");
    supervisor.turn();
    assert_eq!(supervisor.family.large(0), 32 * 1024, "it may spawn yet");
    Services::stop(&mut supervisor, OTHER, "httpd").unwrap();
    supervisor.turn();
    assert_eq!(supervisor.family.large(0), 0, "it is not there any more");
}

#[test]
fn what_is_put_together_wrongly_starts_nobody() {
    let mut supervisor = family();
    let spawn = |supervisor: &mut Supervisor<Fake>, arguments| supervisor.spawn(PARENT, PATH, arguments, STREAMS);
    assert_eq!(supervisor.put(PARENT, 1, b"x"), Err(SpawnError::Malformed));
    supervisor.put(PARENT, 0, b"no end").unwrap();
    assert_eq!(spawn(&mut supervisor, 0), Err(SpawnError::Malformed));
    supervisor.put(PARENT, 0, b"one\0").unwrap();
    assert_eq!(spawn(&mut supervisor, 2), Err(SpawnError::Malformed));
    assert_eq!(put_all(&mut supervisor, PARENT, &[0; 1025]), Ok(()));
    assert_eq!(spawn(&mut supervisor, 2), Err(SpawnError::TooLarge));
    assert_eq!(put_all(&mut supervisor, PARENT, &[b'x'; 32 * 1024]), Ok(()));
    assert_eq!(supervisor.put(PARENT, 32_001, &[b'x'; 768]), Err(SpawnError::TooLarge));
    assert_eq!(supervisor.put(PARENT, 32_000, &[0; 768]), Ok(()));
    assert_eq!(supervisor.put(PARENT, 32_001, &[]), Ok(()), "what is behind it is dropped");
    assert_eq!(supervisor.spawn(PARENT, "/bin/x", 1, STREAMS), Err(SpawnError::NoProgram));
    assert_eq!(supervisor.spawn(OTHER, PATH, 0, STREAMS), Err(SpawnError::NoProgram), "it is another one's child");
    assert_eq!(supervisor.signal(PARENT, 106, 15), Err(SpawnError::NoProcess));
    assert_eq!(done(&mut supervisor), [] as [&str; 0]);
}

#[test]
fn children_end_with_their_parent_and_with_the_supervisor_that_knew_them() {
    let mut supervisor = family();
    assert_eq!((spawn(&mut supervisor), spawn(&mut supervisor)), (Ok(106), Ok(107)));
    done(&mut supervisor);
    supervisor.power.end(3, State::Faulted);
    supervisor.turn();
    let deeds = done(&mut supervisor);
    assert_eq!(deeds, ["stop rng", "stop entropyd", "start httpd"]);
    assert_eq!(supervisor.power.exits.last().unwrap().reason, Some(Reason::Parent));
    supervisor.turn();
    assert_eq!(supervisor.pull_ended(PARENT), None, "the new one knows nothing of them");
    // It can spawn them at once.
    assert_eq!(spawn(&mut supervisor), Ok(106));
    done(&mut supervisor);
    let fake = std::mem::take(&mut supervisor.power);
    let mut next = family_over(fake);
    assert_eq!(done(&mut next), ["stop rng"]);
    assert_eq!((next.pull_ended(PARENT), spawn(&mut next)), (None, Ok(106)));
}

#[test]
fn operator_can_stop_a_child_and_start_none() {
    let mut supervisor = family();
    let operator = ClientId::of(9);
    assert_eq!(Services::start(&mut supervisor, operator, "rng"), Err(Error::NotAllowed));
    assert_eq!(supervisor.stop(operator, "rng"), Err(Error::DoesNotRun));
    let service = supervisor.service(operator, 6).unwrap();
    assert_eq!((service.phase, &*service.detail), (Phase::Idle, "waits for httpd to spawn it"));
    spawn(&mut supervisor).unwrap();
    assert_eq!(supervisor.service(operator, 6).unwrap().phase, Phase::Running);
    assert_eq!(supervisor.restart(operator, "rng"), Err(Error::NotAllowed));
    assert_eq!(supervisor.stop(operator, "rng"), Ok(()));
    assert_eq!(supervisor.pull_ended(PARENT).unwrap().ending, Ending::Signalled(9));
}

#[test]
fn operator_lets_one_that_was_isolated_be_spawned_again() {
    let mut supervisor = family();
    let operator = ClientId::of(9);
    supervisor.entries[6].record.isolated();
    supervisor.entries[7].record.isolated();
    assert_eq!(spawn(&mut supervisor), Err(SpawnError::NotAllowed));
    assert_eq!(Services::start(&mut supervisor, operator, "rng"), Ok(()));
    assert_eq!(supervisor.entries[6].record.phase(), Phase::Idle);
    assert_eq!(done(&mut supervisor), [] as [&str; 0], "its parent starts it, and nobody else");
    assert_eq!(spawn(&mut supervisor), Ok(106));
    assert_eq!(Services::start(&mut supervisor, operator, "rng"), Err(Error::NotAllowed));
}

#[test]
fn one_that_cannot_be_started_is_idle_still_and_one_that_was_isolated_is_not() {
    let mut supervisor = family();
    supervisor.power.cannot_start = vec![6];
    assert_eq!(spawn(&mut supervisor), Err(SpawnError::CannotStart));
    assert_eq!(supervisor.entries[6].record.phase(), Phase::Idle);
    supervisor.power.cannot_start.clear();
    supervisor.entries[6].record.isolated();
    assert_eq!(spawn(&mut supervisor), Ok(107));
    assert_eq!(spawn(&mut supervisor), Err(SpawnError::Busy));
    supervisor.entries[7].record.isolated();
    supervisor.power.end(7, State::Killed);
    supervisor.turn();
    assert_eq!(supervisor.pull_ended(PARENT).map(|told| told.process), Some(107));
    supervisor.forget(PARENT, 107).unwrap();
    assert_eq!(spawn(&mut supervisor), Err(SpawnError::NotAllowed));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Spawn,
    Ends(u16, State),
    Says(u16, u8),
    Kill(u16),
    Pull,
    Forget(u16),
    ParentEnds,
}

fn step() -> impl Strategy<Value = Step> {
    let child = 106_u16..108;
    let state = prop_oneof![Just(State::Ended), Just(State::Faulted), Just(State::Killed)];
    prop_oneof![
        3 => Just(Step::Spawn),
        2 => (child.clone(), state).prop_map(|(child, state)| Step::Ends(child, state)),
        1 => (child.clone(), any::<u8>()).prop_map(|(child, status)| Step::Says(child, status)),
        1 => child.clone().prop_map(Step::Kill),
        2 => Just(Step::Pull),
        2 => child.prop_map(Step::Forget),
        1 => Just(Step::ParentEnds),
    ]
}

/// What a parent may think of a child.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    Runs(Option<u8>),
    Ended(Ending),
    Told,
}

proptest! {
    /// Any order of what parent, children and securityd do: a child runs only once, only for a parent that lives, and every end is told once.
    #[test]
    fn children_are_as_a_simple_model_says(steps in proptest::collection::vec(step(), 1..60)) {
        let mut supervisor = family();
        let mut model: BTreeMap<u16, Known> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Spawn => {
                    let expected = [106, 107].into_iter().find(|child| !model.contains_key(child));
                    prop_assert_eq!(spawn(&mut supervisor), expected.ok_or(SpawnError::Busy));
                    model.extend(expected.map(|child| (child, Known::Runs(None))));
                }
                Step::Ends(child, state) => {
                    let Some(Known::Runs(said)) = model.get(&child).copied() else { continue };
                    supervisor.power.end(child - 100, state);
                    supervisor.turn();
                    let alone = match state {
                        State::Ended => Ending::Exited(0),
                        State::Faulted => Ending::Signalled(11),
                        _ => Ending::Signalled(9),
                    };
                    model.insert(child, Known::Ended(said.map_or(alone, Ending::Exited)));
                }
                Step::Says(child, status) => {
                    let runs = matches!(model.get(&child), Some(Known::Runs(_)));
                    let said = supervisor.ending(ClientId::of(child), Ending::Exited(status));
                    prop_assert_eq!(said.is_ok(), runs);
                    if runs {
                        model.insert(child, Known::Runs(Some(status)));
                    }
                }
                Step::Kill(child) => {
                    let runs = matches!(model.get(&child), Some(Known::Runs(_)));
                    prop_assert_eq!(supervisor.signal(PARENT, child, 9).is_ok(), runs);
                    if runs {
                        model.insert(child, Known::Ended(Ending::Signalled(9)));
                    }
                }
                Step::Pull => {
                    let expected = model.iter().find_map(|(child, known)| match known {
                        Known::Ended(ending) => Some((*child, *ending)),
                        _ => None,
                    });
                    let told = supervisor.pull_ended(PARENT).map(|told| (told.process, told.ending));
                    prop_assert_eq!(told, expected);
                    model.extend(expected.map(|(child, _)| (child, Known::Told)));
                }
                Step::Forget(child) => {
                    let is_told = matches!(model.get(&child), Some(Known::Told));
                    prop_assert_eq!(supervisor.forget(PARENT, child).is_ok(), is_told);
                    if is_told {
                        model.remove(&child);
                    }
                }
                Step::ParentEnds => {
                    supervisor.power.now += 100_000_000_000;
                    supervisor.power.answers_all();
                    supervisor.power.end(3, State::Faulted);
                    supervisor.turn();
                    supervisor.turn();
                    model.clear();
                }
            }
            for child in [106_u16, 107] {
                let runs = supervisor.power.states[usize::from(child - 100)] == State::Running;
                prop_assert_eq!(runs, matches!(model.get(&child), Some(Known::Runs(_))), "{} {:?}", child, step);
            }
        }
    }
}
