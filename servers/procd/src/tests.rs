//! The supervisor over a securityd of a few instances: ends, hangs, crash loops, commands, its own restart.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use libhybrid::interfaces::process::{
    Error, Exit, Life, Phase, Policy, Reason, Restart, ServicesClient, ServicesLoopback, ServicesServer, State,
};

use libhybrid::ipc::CallError;

use crate::{Finding, Power, Supervisor};

const MS: u64 = 1_000_000;
const NAMES: [&str; 8] = ["securityd", "timed", "netd", "httpd", "procd", "auditd", "rng", "entropyd"];

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) now: u64,
    pub(crate) states: Vec<State>,
    pub(crate) generations: Vec<u16>,
    pub(crate) exits: Vec<Exit<'static>>,
    pub(crate) armed: Option<u64>,
    pings: BTreeMap<u16, u64>,
    answers: BTreeMap<u16, u64>,
    pub(crate) cannot_start: Vec<u16>,
    watched: Vec<u16>,
    pub(crate) policies: BTreeMap<u16, Policy>,
    since: BTreeMap<u16, u64>,
    /// securityd says why the supervisor stopped them.
    pub(crate) reasons: BTreeMap<u16, Reason>,
    pub(crate) unwell: Vec<u16>,
    /// Who waits for the verdict.
    pub(crate) held: Vec<u16>,
    /// Who waits for a device.
    pub(crate) on_device: Vec<u16>,
    pub(crate) auditor: Option<u16>,
    /// What the auditor says; `None`: nothing.
    pub(crate) finding: Option<Finding>,
    /// Whoever this is faults just before securityd is asked about it.
    pub(crate) ends_when_seen: Option<u16>,
    pub(crate) done: Vec<String>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self { states: vec![State::Running; 5], generations: vec![1; 5], watched: vec![3], ..Self::default() }
    }

    pub(crate) fn end(&mut self, index: u16, state: State) {
        self.end_by(index, state, None);
    }

    /// Everybody answers what it was asked.
    pub(crate) fn answers_all(&mut self) {
        self.answers.extend(self.pings.clone());
    }

    fn end_by(&mut self, index: u16, state: State, reason: Option<Reason>) {
        self.states[usize::from(index)] = state;
        let sequence = self.exits.len() as u64;
        let generation = self.generations[usize::from(index)];
        self.exits.push(Exit { sequence, index, generation, state, at_ns: self.now, detail: "a test".into(), reason });
    }
}

impl Power for Fake {
    fn now_ns(&self) -> u64 {
        self.now
    }

    fn life(&mut self, index: u16) -> Result<Life<'static>, Error> {
        let place = usize::from(index);
        if self.ends_when_seen == Some(index) {
            self.ends_when_seen = None;
            self.end(index, State::Faulted);
        }
        let state = *self.states.get(place).ok_or(Error::NoSuchInstance)?;
        let heartbeat_ms = if self.watched.contains(&index) { 2000 } else { 0 };
        Ok(Life {
            index,
            name: NAMES[place].into(),
            state,
            generation: self.generations[place],
            restart: Restart {
                policy: self.policies.get(&index).copied().unwrap_or(Policy::Always),
                threshold: 4,
                window_ms: 60_000,
                backoff_ms: 800,
                backoff_max_ms: 10_000,
                heartbeat_ms,
                deadline_ms: DEADLINE_MS,
            },
            consumed_us: 5,
            budget_us: 1,
            period_us: 1,
            priority: [254, 210, 180, 150, 208, 208, 200, 185][place],
            needs: match index {
                2 if self.states.len() > 7 => vec![1, 7],
                2 => vec![1],
                3 => vec![2, 1, 0],
                7 => vec![6],
                4 => self.auditor.into_iter().chain([0, 1]).collect(),
                _ => vec![],
            },
            detail: "".into(),
            reason: self.reasons.get(&index).copied(),
            since: self.since.get(&index).copied().unwrap_or(0),
            awaits_verdict: self.held.contains(&index),
            awaits_device: self.on_device.contains(&index),
            is_auditor: self.auditor == Some(index),
        })
    }

    fn start(&mut self, index: u16) -> Result<(), Error> {
        assert!(index != 0 && index != 4, "it starts neither securityd nor itself");
        if self.states[usize::from(index)] == State::Running {
            return Err(Error::Runs);
        }
        self.generations[usize::from(index)] += 1;
        if self.cannot_start.contains(&index) {
            self.end(index, State::Failed);
            return Err(Error::CannotStart);
        }
        self.states[usize::from(index)] = State::Running;
        self.unwell.retain(|other| *other != index);
        self.done.push(format!("start {}", NAMES[usize::from(index)]));
        Ok(())
    }

    fn stop(&mut self, index: u16, reason: Reason, again: bool) -> Result<(), Error> {
        assert!(index != 0 && index != 4, "it stops neither securityd nor itself");
        self.end_by(index, State::Killed, Some(reason));
        self.done.push(format!("stop {}{}", NAMES[usize::from(index)], if again { " again" } else { "" }));
        Ok(())
    }

    fn postpone(&mut self, index: u16) {
        self.done.push(format!("postpone {}", NAMES[usize::from(index)]));
    }

    fn exit(&mut self, sequence: u64) -> Option<(Option<Exit<'static>>, u64)> {
        let found = self.exits.iter().find(|exit| exit.sequence >= sequence).cloned();
        let next = found.as_ref().map_or(self.exits.len() as u64, |exit| exit.sequence + 1);
        Some((found, next))
    }

    fn ring(&mut self, id: u16) {
        self.done.push(format!("ring {id}"));
    }

    fn ping(&mut self, index: u16, number: u64) {
        self.pings.insert(index, number);
    }

    fn answer(&mut self, index: u16) -> u64 {
        self.answers.get(&index).copied().unwrap_or(0)
    }

    fn is_well(&mut self, index: u16, _: u64) -> bool {
        !self.unwell.contains(&index)
    }

    fn compare(&mut self) -> Option<Finding> {
        self.done.push("compare".into());
        self.finding.clone()
    }

    fn note(&mut self, text: &str) {
        self.done.push(format!("note: {text}"));
    }

    fn arm(&mut self, deadline_ns: Option<u64>) {
        self.armed = deadline_ns;
    }
}

pub(crate) fn done(supervisor: &mut Supervisor<Fake>) -> Vec<String> {
    std::mem::take(&mut supervisor.power.done)
}

fn fresh() -> Supervisor<Fake> {
    let mut supervisor = Supervisor::new(Fake::new(), "procd");
    supervisor.turn();
    assert_eq!(done(&mut supervisor), [] as [&str; 0]);
    supervisor
}

#[test]
fn first_end_is_answered_at_once_the_next_with_growing_back_off_and_a_loop_with_failure() {
    let mut supervisor = fresh();
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start netd"]);
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), [] as [&str; 0]);
    assert_eq!(supervisor.power.armed, Some(800 * MS));
    supervisor.power.now = 800 * MS;
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start netd"]);
    supervisor.power.end(2, State::Killed);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["postpone netd"], "1.6 s are too long to wait for");
    supervisor.power.now = 2400 * MS;
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start netd"]);
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    supervisor.power.now = 1_000_000 * MS;
    supervisor.power.answers.extend(supervisor.power.pings.clone());
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["postpone netd"]);
    assert_eq!(supervisor.entries[2].record.phase(), Phase::Failed);
    assert!([1, 3].into_iter().all(|index| supervisor.entries[index].record.phase() == Phase::Running));
}

#[test]
fn who_holds_the_alarm_is_started_without_back_off() {
    let mut supervisor = fresh();
    for _ in 0..3 {
        supervisor.power.end(1, State::Faulted);
        supervisor.turn();
        assert_eq!(done(&mut supervisor), ["start timed"]);
    }
    supervisor.power.end(1, State::Faulted);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["postpone timed"], "but a loop is a loop");
}

#[test]
fn who_gives_no_sign_of_life_is_stopped_and_started() {
    let mut supervisor = fresh();
    assert_eq!(supervisor.power.armed, Some(2000 * MS));
    for round in 1..5 {
        supervisor.power.now = 2000 * MS * round;
        supervisor.turn();
        assert_eq!(supervisor.power.armed, Some(supervisor.power.now + 500 * MS));
        supervisor.power.answers.extend(supervisor.power.pings.clone());
        supervisor.power.now += 500 * MS;
        supervisor.turn();
        assert_eq!(done(&mut supervisor), [] as [&str; 0]);
    }
    supervisor.power.now = 10_000 * MS;
    supervisor.turn();
    for _ in 0..2 {
        assert_eq!(done(&mut supervisor), [] as [&str; 0]);
        supervisor.power.now += 500 * MS;
        supervisor.turn();
    }
    assert_eq!(done(&mut supervisor), ["stop httpd again", "start httpd"]);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), [] as [&str; 0], "the end of its own hand is no second one");
    assert_eq!(supervisor.entries[3].record.counts(), (1, 1));
}

/// Lets the time go to the next alarm, again and again; `silent` answer no pings. What was done, with the time in milliseconds.
fn wait_for_deeds(supervisor: &mut Supervisor<Fake>, silent: &[u16]) -> Vec<String> {
    for _ in 0..100 {
        let answers: Vec<_> = supervisor.power.pings.iter().filter(|(index, _)| !silent.contains(index)).collect();
        let answers: BTreeMap<u16, u64> = answers.into_iter().map(|(index, number)| (*index, *number)).collect();
        supervisor.power.answers.extend(answers);
        supervisor.power.now = supervisor.power.armed.unwrap();
        supervisor.turn();
        let done = done(supervisor);
        if !done.is_empty() {
            return done;
        }
    }
    panic!("nothing was done");
}

#[test]
fn who_waits_for_one_that_hangs_or_starves_below_it_is_not_stopped() {
    for offset in 0..8 {
        let fake = Fake { watched: vec![2, 3], ..Fake::new() };
        let mut supervisor = Supervisor::new(fake, "procd");
        supervisor.turn();
        // The two are not asked at the same time, in any order of the two.
        supervisor.power.now = offset * 300 * MS;
        supervisor.entries[if offset % 2 == 0 { 2 } else { 3 }].record.started(supervisor.power.now);
        supervisor.turn();
        assert_eq!(wait_for_deeds(&mut supervisor, &[2, 3]), ["stop netd again", "start netd"], "{offset}");
        // httpd was waiting, and answers now; it is asked again before it is judged.
        for _ in 0..20 {
            supervisor.power.answers.extend(supervisor.power.pings.clone());
            supervisor.power.now = supervisor.power.armed.unwrap();
            supervisor.turn();
        }
        assert_eq!(done(&mut supervisor), [] as [&str; 0], "{offset}");
        // It hangs by itself: netd answers.
        assert_eq!(wait_for_deeds(&mut supervisor, &[3]), ["stop httpd again", "start httpd"], "{offset}");
    }
}

/// Of every instance here.
const DEADLINE_MS: u32 = 500;

/// Turns until something is done while these are silent, and what; the others answer at once.
fn turns_until_deeds(silent: &[u16], answers_at: Option<usize>) -> (usize, u64, Vec<String>) {
    let mut supervisor = Supervisor::new(Fake { watched: vec![2, 3], ..Fake::new() }, "procd");
    supervisor.turn();
    for turn in 0..20 {
        let asked = supervisor.power.pings.clone();
        let answers = asked.into_iter().filter(|(index, _)| !silent.contains(index) || answers_at == Some(turn));
        supervisor.power.answers.extend(answers);
        supervisor.power.now = supervisor.power.armed.unwrap();
        supervisor.turn();
        let done = done(&mut supervisor);
        if !done.is_empty() {
            return (turn, supervisor.power.now / MS, done);
        }
    }
    (20, 0, Vec::new())
}

#[test]
fn who_waited_for_one_that_came_back_at_the_last_moment_gets_a_respite_and_who_waits_for_nobody_none() {
    let (last, stopped, done) = turns_until_deeds(&[3], None);
    assert_eq!(done, ["stop httpd again", "start httpd"]);
    let (_, above, done) = turns_until_deeds(&[2], None);
    assert_eq!(done, ["stop netd again", "start netd"]);
    assert_eq!(stopped - above, u64::from(DEADLINE_MS / 4), "{stopped} {above}");
    // The turn before is the one in which it would have been stopped without a respite: netd was heard in it.
    assert!(turns_until_deeds(&[3], Some(last)).0 > last + 1, "it answered in its respite, and is asked anew");
}

#[test]
fn who_starved_below_one_that_hung_gets_time_to_answer_also_while_that_one_waits_for_its_back_off() {
    let mut supervisor = Supervisor::new(Fake { watched: vec![2, 3], ..Fake::new() }, "procd");
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start netd"]);
    assert_eq!(wait_for_deeds(&mut supervisor, &[2, 3]), ["stop netd again"]);
    assert_eq!(wait_for_deeds(&mut supervisor, &[]), ["start netd"]);
}

#[test]
fn alarm_that_hangs_is_stopped_before_it_is_called() {
    let mut supervisor = fresh();
    supervisor.power.unwell.push(1);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["stop timed again", "start timed"]);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), [] as [&str; 0]);
    assert_eq!(supervisor.entries[1].record.counts(), (1, 1));
}

#[test]
fn start_that_fails_again_and_again_is_a_crash_loop() {
    let mut supervisor = fresh();
    supervisor.power.cannot_start.push(2);
    supervisor.power.end(2, State::Faulted);
    for _ in 0..20 {
        supervisor.power.now += 20_000 * MS;
        supervisor.power.now = supervisor.power.armed.map_or(supervisor.power.now, |at| at.min(supervisor.power.now));
        supervisor.power.answers.extend(supervisor.power.pings.clone());
        supervisor.turn();
    }
    assert_eq!(supervisor.entries[2].record.phase(), Phase::Failed);
    assert_eq!(supervisor.entries[2].record.counts().0, 4, "its fault and three starts");
}

#[test]
fn supervisor_that_was_down_itself_finds_who_ended_meanwhile() {
    let mut fake = Fake::new();
    fake.end(3, State::Faulted);
    fake.start(3).unwrap();
    fake.end(2, State::Killed);
    fake.done.clear();
    let mut supervisor = Supervisor::new(fake, "procd");
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start netd"]);
}

#[test]
fn next_life_of_the_supervisor_knows_what_was_stopped_what_failed_and_what_hung() {
    let loopback = ServicesLoopback::new(ServicesServer::new(fresh()));
    let mut client = ServicesClient::new(loopback.connect(9));
    client.stop("httpd").unwrap();
    client.start("httpd").unwrap();
    client.stop("timed").unwrap();
    let supervisor = &mut loopback.server().server;
    for second in 1..=4 {
        supervisor.power.now = second * 10_000 * MS;
        supervisor.power.end(2, State::Faulted);
        supervisor.turn();
        supervisor.power.now += 5000 * MS;
        supervisor.power.answers.extend(supervisor.power.pings.clone());
        supervisor.turn();
    }
    let phases = |supervisor: &Supervisor<Fake>| -> Vec<Phase> {
        supervisor.entries[1..4].iter().map(|entry| entry.record.phase()).collect()
    };
    assert_eq!(phases(supervisor), [Phase::Stopped, Phase::Failed, Phase::Running]);
    let mut fake = std::mem::take(&mut supervisor.power);
    (fake.now, fake.done) = (200_000 * MS, Vec::new());
    fake.end(3, State::Faulted);
    let mut next = Supervisor::new(fake, "procd");
    next.turn();
    assert_eq!(done(&mut next), ["start httpd"], "nobody had seen to its end");
    assert_eq!(phases(&next), [Phase::Stopped, Phase::Failed, Phase::Running]);
    assert_eq!(next.entries[2].record.counts().0, 4);
    // What was started by command meanwhile runs, and its past is forgotten.
    next.power.start(2).unwrap();
    let fake = std::mem::take(&mut next.power);
    let mut last = Supervisor::new(fake, "procd");
    last.power.end(2, State::Faulted);
    last.power.done.clear();
    last.turn();
    assert_eq!(done(&mut last), ["start netd"]);
}

#[test]
fn ends_of_what_was_in_a_place_earlier_are_not_those_of_what_is_there_now() {
    let mut supervisor = fresh();
    for _ in 0..3 {
        supervisor.power.end(3, State::Faulted);
    }
    // It was taken out while it was down, so that no end tells of it; the next one has ended once.
    supervisor.power.since.insert(3, 3);
    supervisor.power.end(3, State::Faulted);
    let mut next = Supervisor::new(std::mem::take(&mut supervisor.power), "procd");
    next.turn();
    assert_eq!(done(&mut next), ["start httpd"], "four ends would have been a crash loop");
    assert_eq!(next.entries[3].record.counts(), (1, 0));
    next.power.since.insert(3, 4);
    next.power.states[3] = State::Running;
    let mut last = Supervisor::new(std::mem::take(&mut next.power), "procd");
    last.turn();
    assert_eq!((last.entries[3].record.counts(), last.entries[3].record.phase()), ((0, 0), Phase::Running));
}

#[test]
fn good_end_is_no_fault_and_only_the_policy_always_starts_it_again() {
    for (policy, deeds, phase) in [
        (Policy::Always, &["start netd"][..], Phase::Running),
        (Policy::OnFault, &["postpone netd"], Phase::Ended),
        (Policy::Never, &["postpone netd"], Phase::Ended),
    ] {
        let mut supervisor =
            Supervisor::new(Fake { policies: [(2, policy)].into(), watched: vec![], ..Fake::new() }, "procd");
        supervisor.turn();
        supervisor.power.end(2, State::Ended);
        supervisor.turn();
        assert_eq!(
            (done(&mut supervisor), supervisor.entries[2].record.phase()),
            (deeds.iter().map(ToString::to_string).collect(), phase)
        );
        // Its next life knows the same.
        let mut next = Supervisor::new(std::mem::take(&mut supervisor.power), "procd");
        next.turn();
        assert_eq!(next.entries[2].record.phase(), phase);
    }
    let mut supervisor = Supervisor::new(Fake { policies: [(2, Policy::OnFault)].into(), ..Fake::new() }, "procd");
    supervisor.power.end(2, State::Faulted);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start netd"], "a bad end is a fault");
}

#[test]
fn end_that_fell_out_of_the_list_is_found() {
    let mut supervisor = fresh();
    supervisor.power.end(2, State::Faulted);
    supervisor.power.end(3, State::Faulted);
    supervisor.power.exits.remove(0);
    supervisor.turn();
    assert_eq!(done(&mut supervisor), ["start httpd", "start netd"]);
}

#[test]
fn commands_stop_start_and_restart_by_name_and_dependencies() {
    let loopback = ServicesLoopback::new(ServicesServer::new(fresh()));
    let mut client = ServicesClient::new(loopback.connect(9));
    let done = || done(&mut loopback.server().server);
    assert_eq!(client.stop("netd"), Ok(()));
    assert_eq!(client.stop("timed"), Ok(()));
    assert_eq!(client.stop("httpd"), Ok(()));
    assert_eq!(done(), ["stop netd", "stop timed", "stop httpd"]);
    assert_eq!(client.stop("netd"), Err(CallError::Domain(Error::DoesNotRun)));
    loopback.server().server.turn();
    assert_eq!(done(), [] as [&str; 0], "what a command stopped stays stopped");
    assert_eq!(client.start("httpd"), Ok(()));
    assert_eq!(done(), ["start timed", "start netd", "start httpd"]);
    assert_eq!(client.start("httpd"), Err(CallError::Domain(Error::Runs)));
    assert_eq!(client.restart("httpd"), Ok(()));
    assert_eq!(done(), ["stop httpd again", "start httpd"]);
    for name in ["securityd", "procd"] {
        assert_eq!(client.stop(name), Err(CallError::Domain(Error::NotAllowed)));
        assert_eq!(client.restart(name), Err(CallError::Domain(Error::NotAllowed)));
        assert_eq!(client.start(name), Err(CallError::Domain(Error::NotAllowed)));
    }
    assert_eq!(client.stop("nobody"), Err(CallError::Domain(Error::NoSuchInstance)));
    let service = client.service(3).unwrap().into_owned();
    assert_eq!((service.phase, service.generation, service.ends, service.is_watched), (Phase::Running, 3, 0, true));
    assert_eq!(client.service(5).map(|_| ()), Err(CallError::Domain(Error::NoSuchInstance)));
    let end = client.end(0).unwrap();
    assert_eq!((end.name.as_ref(), end.exit.generation), ("httpd", 2));
    assert_eq!(client.end(4).map(|_| ()), Err(CallError::Domain(Error::NoSuchInstance)));
}

#[test]
fn place_is_watched_while_something_is_installed_there_and_left_alone_while_it_is_empty() {
    let mut fake = Fake::new();
    fake.states[3] = State::Empty;
    let mut supervisor = Supervisor::new(fake, "procd");
    supervisor.turn();
    let phase = |supervisor: &Supervisor<Fake>| supervisor.entries[3].record.phase();
    assert_eq!((phase(&supervisor), supervisor.power.done.len()), (Phase::Stopped, 0), "nothing to start");
    // Three moved in and out between two looks; the fourth is there.
    for _ in 0..3 {
        supervisor.power.end(3, State::Killed);
        supervisor.power.generations[3] += 1;
    }
    supervisor.power.states[3] = State::Running;
    supervisor.turn();
    assert_eq!((phase(&supervisor), supervisor.power.done.len()), (Phase::Running, 0));
    assert_eq!(supervisor.entries[3].record.counts(), (0, 0), "their ends were not its own");
    supervisor.power.end(3, State::Faulted);
    supervisor.turn();
    assert_eq!(
        (phase(&supervisor), supervisor.power.done.as_slice()),
        (Phase::Running, &["start httpd".to_string()][..])
    );
    supervisor.power.end(3, State::Killed);
    supervisor.power.states[3] = State::Empty;
    supervisor.turn();
    assert_eq!((phase(&supervisor), supervisor.power.done.len()), (Phase::Stopped, 1), "taken out, not started");
}

#[test]
fn who_waits_for_a_command_is_stopped_until_one_comes_also_in_the_supervisors_next_life() {
    let mut power = Fake::new();
    power.states[3] = State::Starting;
    let mut supervisor = Supervisor::new(power, "procd");
    supervisor.await_commands(["httpd", "nobody"].into_iter());
    supervisor.turn();
    let phase = |supervisor: &Supervisor<Fake>| supervisor.entries[3].record.phase();
    assert_eq!((phase(&supervisor), supervisor.power.done.len()), (Phase::Stopped, 0));
    let mut next = Supervisor::new(supervisor.power, "procd");
    next.await_commands(["httpd"].into_iter());
    next.turn();
    assert_eq!((phase(&next), next.power.done.len()), (Phase::Stopped, 0));
    let loopback = ServicesLoopback::new(ServicesServer::new(next));
    assert_eq!(ServicesClient::new(loopback.connect(9)).start("httpd"), Ok(()));
    let next = &mut loopback.server().server;
    assert_eq!((phase(next), done(next)), (Phase::Running, vec!["start httpd".to_string()]));
    // One that runs is left alone.
    next.await_commands(["httpd"].into_iter());
    assert_eq!(phase(next), Phase::Running);
}
