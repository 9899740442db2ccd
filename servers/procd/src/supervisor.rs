//! All instances over the power of securityd: ends, what is due, dependencies; the policy is record.rs.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use libhybrid::interfaces::process::{Error, Exit, Life, Phase, Reason, State};
use libhybrid::log;

use crate::audit::{Audit, Finding};
use crate::drivers::{Presence, WAIT_NS};
use crate::family::{Family, Kin};
use crate::operators::Operators;
use crate::record::{Beat, Cause, PROMISE_NS, Record, Verdict};
use crate::requests::Requests;

/// Ends that the console can ask for.
pub const ENDS_MAX: usize = 64;

/// What securityd does on the supervisor's word, and the alarm. A failed call is an [`Error::NotAllowed`].
pub trait Power {
    /// Nanoseconds since the counter started.
    fn now_ns(&self) -> u64;
    /// One instance.
    ///
    /// # Errors
    /// There is none.
    fn life(&mut self, index: u16) -> Result<Life<'static>, Error>;
    /// Starts it.
    ///
    /// # Errors
    /// It runs, or cannot be started.
    fn start(&mut self, index: u16) -> Result<(), Error>;
    /// Stops it; `again`: to be started within a second.
    ///
    /// # Errors
    /// It does not run.
    fn stop(&mut self, index: u16, reason: Reason, again: bool) -> Result<(), Error>;
    /// Nobody need wait for it.
    fn postpone(&mut self, index: u16);
    /// The oldest end that is kept and not before `sequence`, and the number to ask for then.
    fn exit(&mut self, sequence: u64) -> Option<(Option<Exit<'static>>, u64)>;
    /// Asks for a sign of life.
    fn ping(&mut self, index: u16, number: u64);
    /// The last sign of life.
    fn answer(&mut self, index: u16) -> u64;
    /// Asks one with precedence of the supervisor for a sign of life, and waits for the moment that it takes one that is well.
    fn is_well(&mut self, index: u16, number: u64) -> bool;
    /// Makes the auditor compare; `None` if it does not answer, or cannot read the kernel's list.
    fn compare(&mut self) -> Option<Finding>;
    /// Puts what was decided by the auditor's verdict into the audit trail and the log.
    fn note(&mut self, text: &str);
    /// Rings whoever has this id, if it uses an interface of the supervisor that tells it something.
    fn ring(&mut self, id: u16);
    /// Sets the alarm, or none.
    fn arm(&mut self, deadline_ns: Option<u64>);
}

/// One instance.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) record: Record,
    /// It is securityd or the supervisor itself.
    pub(crate) is_foreign: bool,
    needs: Vec<u16>,
    priority: u8,
    /// The supervisor calls it, the auditor aside.
    pub(crate) is_own_need: bool,
    /// At boot it is held until the auditor's verdict.
    pub(crate) awaits_verdict: bool,
    /// At boot it is held until its devices are found.
    pub(crate) awaits_device: bool,
    pub(crate) presence: Presence,
    /// The life whose end was seen to.
    pub(crate) ended: Option<u16>,
    /// It is a place in which nothing is installed.
    is_vacant: bool,
}

pub(crate) const fn is_up(state: State) -> bool {
    matches!(state, State::Running | State::Starting)
}

/// It was made at boot and waits for the auditor or its device. Those that are spawned are the family's.
const fn is_held(life: &Life<'_>) -> bool {
    (life.awaits_verdict || life.awaits_device) && matches!(life.state, State::Starting)
}

/// Of an end that was not the supervisor's doing.
const fn cause(state: State) -> Cause {
    match state {
        State::Faulted => Cause::Fault,
        State::Failed => Cause::CannotStart,
        State::Ended => Cause::End,
        _ => Cause::Killed,
    }
}

/// The supervisor.
pub struct Supervisor<P> {
    pub(crate) power: P,
    pub(crate) entries: Vec<Entry>,
    /// The newest last.
    pub(crate) ends: VecDeque<Exit<'static>>,
    next_exit: u64,
    pub(crate) audit: Audit,
    /// Until when the word of a finder of devices is waited for.
    pub(crate) finder_until: Option<u64>,
    pub(crate) family: Family,
    pub(crate) requests: Requests,
    pub(crate) operators: Operators,
}

impl<P: Power> Supervisor<P> {
    /// A supervisor of whom nobody is spawned.
    #[cfg(test)]
    pub(crate) fn new(power: P, own: &str) -> Self {
        Self::with_family(power, own, &[])
    }

    /// Looks at every instance. `own` is the supervisor's name, `kin` are those that are spawned. What does not run, ended while nobody looked.
    pub fn with_family(mut power: P, own: &str, kin: &[Kin]) -> Self {
        let lives: Vec<Life<'static>> = (0..).map_while(|index| power.life(index).ok()).collect();
        let own_needs = lives.iter().find(|life| life.name == own).map(|life| life.needs.clone()).unwrap_or_default();
        let now = power.now_ns();
        let own_needs = |life: &Life<'static>| own_needs.contains(&life.index) && !life.is_auditor;
        let entry = |life: &Life<'static>| Entry {
            name: life.name.clone().into_owned(),
            record: Record::new(life.restart, own_needs(life), now),
            is_foreign: life.index == 0 || life.name == own,
            needs: life.needs.clone(),
            priority: life.priority,
            is_own_need: own_needs(life),
            awaits_verdict: life.awaits_verdict,
            awaits_device: life.awaits_device,
            presence: Presence::Unknown,
            ended: None,
            is_vacant: false,
        };
        let entries = lives.iter().map(entry).collect();
        let family = Family::new(kin, |name| lives.iter().position(|life| life.name == name));
        let audit = Audit::new(&lives, now);
        let is_awaited = lives.iter().any(|life| life.awaits_device && is_held(life));
        let finder_until = is_awaited.then_some(now.saturating_add(WAIT_NS));
        let (ends, requests, operators) = (VecDeque::new(), Requests::default(), Operators::default());
        let mut supervisor =
            Self { power, entries, ends, next_exit: 0, audit, finder_until, family, requests, operators };
        while let Some((Some(exit), next)) = supervisor.power.exit(supervisor.next_exit) {
            // Ends before that were of what was in its place earlier.
            if lives.get(usize::from(exit.index)).is_some_and(|life| exit.sequence >= life.since) {
                supervisor.take_over(&exit);
            }
            supervisor.keep(exit);
            supervisor.next_exit = next;
        }
        for (life, entry) in lives.iter().zip(&mut supervisor.entries) {
            match life.reason.filter(|_| !is_up(life.state)) {
                // The list of ends may have forgotten it.
                Some(Reason::Stop) => entry.record.stopped(),
                Some(Reason::Isolation) => entry.record.isolated(),
                _ if is_held(life) => entry.record.held(),
                _ => {}
            }
        }
        for (index, life) in lives.iter().enumerate().filter(|(_, life)| is_up(life.state) && !is_held(life)) {
            supervisor.entries[index].record.resume(supervisor.power.now_ns());
            supervisor.entries[index].ended = life.generation.checked_sub(1);
        }
        for (index, _) in lives.iter().enumerate().filter(|(_, life)| life.state == State::Empty) {
            supervisor.vacate(index);
        }
        supervisor.begin_family();
        // Ends that fell out of the list.
        supervisor.look_at_all();
        supervisor
    }

    /// Those that a command starts are stopped until one does, also by the supervisor's next life.
    pub fn await_commands<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            let Ok(index) = self.named(name) else { continue };
            if self.life_of(index).is_some_and(|(state, _)| state == State::Starting) {
                self.entries[index].record.stopped();
            }
        }
    }

    /// An end that its own last life saw, or that nobody saw: what followed is decided again, by the same rules at the same time.
    fn take_over(&mut self, exit: &Exit<'static>) {
        let Some(entry) = self.entries.get_mut(usize::from(exit.index)).filter(|entry| !entry.is_foreign) else {
            return;
        };
        entry.ended = Some(exit.generation);
        match exit.reason {
            Some(Reason::Stop | Reason::Parent) => entry.record.stopped(),
            Some(Reason::Isolation) => entry.record.isolated(),
            Some(Reason::Restart) => entry.record.forgive(),
            Some(Reason::Hang) | None => {
                if entry.record.phase() != Phase::Running {
                    entry.record.resume(exit.at_ns);
                }
                let cause = exit.reason.map_or_else(|| cause(exit.state), |_| Cause::Hang);
                let _done_when_it_is_due = entry.record.ended(exit.at_ns, cause);
            }
        }
    }

    /// Sees to all ends since the last time, to what is due, and to the alarm. Call it whenever a bell rang.
    pub fn turn(&mut self) {
        self.look_at_places();
        // Children end before the next life of their parent begins.
        self.see_to_family();
        self.see_ends();
        self.see_to_family();
        self.see_to_requests();
        let now = self.power.now_ns();
        for index in 0..self.entries.len() {
            self.see_to(index, now);
        }
        self.see_to_own_needs();
        self.see_to_finder();
        self.see_to_verdict();
        self.release();
        let next = self.entries.iter().filter(|entry| !entry.is_foreign).filter_map(|entry| entry.record.next());
        let next = next.chain(self.audit.next()).chain(self.finder_until).chain(self.requests.next()).min();
        self.power.arm(next);
        self.tell_operators();
    }

    fn see_ends(&mut self) {
        while let Some((Some(exit), next)) = self.power.exit(self.next_exit) {
            let has_gap = exit.sequence != self.next_exit;
            self.next_exit = next;
            let (index, generation, state) = (usize::from(exit.index), exit.generation, exit.state);
            self.keep(exit);
            self.end(index, generation, state);
            if has_gap {
                self.look_at_all();
            }
        }
    }

    /// Finds those that do not run though nobody told.
    fn look_at_all(&mut self) {
        for index in 0..self.entries.len() {
            let Some(life) = u16::try_from(index).ok().and_then(|index| self.power.life(index).ok()) else { continue };
            let is_down = !is_up(life.state) && life.state != State::Empty;
            if is_down && self.entries[index].record.phase() == Phase::Running {
                self.end(index, life.generation, life.state);
            }
        }
    }

    /// Nothing is installed there (any more): nothing to watch, nothing to start.
    fn vacate(&mut self, index: usize) {
        self.requests.forget(index);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.is_vacant = true;
            entry.record.stopped();
        }
    }

    /// What was installed in a place runs already: it is watched from now on, and its ends count anew.
    fn look_at_places(&mut self) {
        let now = self.power.now_ns();
        for (index, entry) in self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.is_vacant) {
            let life = u16::try_from(index).ok().and_then(|index| self.power.life(index).ok());
            if let Some(life) = life.filter(|life| life.state != State::Empty) {
                entry.is_vacant = false;
                (entry.priority, entry.needs) = (life.priority, life.needs);
                self.audit.has_new_life();
                entry.record.forgive();
                entry.record.started(now);
            }
        }
    }

    fn keep(&mut self, exit: Exit<'static>) {
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back(exit);
    }

    /// A life ended without the supervisor's doing, unless it was seen to already.
    fn end(&mut self, index: usize, generation: u16, state: State) {
        // Something else may be in its place already, or nothing.
        let life = u16::try_from(index).ok().and_then(|index| self.power.life(index).ok());
        match life.map(|life| (life.state, life.generation)) {
            Some((State::Empty, _)) => return self.vacate(index),
            Some((State::Running, other)) if other != generation => return,
            _ => {}
        }
        let is_new = self.entries.get(index).is_some_and(|entry| !entry.is_foreign && entry.ended != Some(generation));
        if is_new {
            self.entries[index].ended = Some(generation);
            if matches!(self.entries[index].record.phase(), Phase::Held | Phase::NoDevice) {
                return; // It is still to be started when what it waits for is there.
            }
            self.judge(index, cause(state));
        }
    }

    /// Decides what follows from an end, and does it.
    fn judge(&mut self, index: usize, cause: Cause) {
        // An end of one that was spawned is an end: only its parent may spawn it again.
        if self.family.has(index) {
            return;
        }
        let now = self.power.now_ns();
        let is_asked = self.requests.is_asked(index);
        let Some((entry, number)) = self.entries.get_mut(index).zip(u16::try_from(index).ok()) else { return };
        if is_asked {
            entry.record.stopped();
            return self.power.postpone(number);
        }
        let verdict = entry.record.ended(now, cause);
        if entry.presence == Presence::Missing && verdict != Verdict::Leave {
            return self.leave_without_device(index);
        }
        match verdict {
            Verdict::Start => self.see_to(index, now),
            Verdict::Wait(until) => {
                let delay = until.saturating_sub(now);
                log::warn!("{} is started again in {} ms", entry.name, delay / 1_000_000);
                if delay > PROMISE_NS {
                    self.power.postpone(number);
                }
            }
            Verdict::Fail => {
                log::error!("{} is failed: it ended again and again; svc start {} tries anew", entry.name, entry.name);
                self.power.postpone(number);
            }
            Verdict::Leave => self.power.postpone(number),
        }
    }

    /// Does what is due for one instance.
    fn see_to(&mut self, index: usize, now: u64) {
        let Some((entry, number)) = self.entries.get_mut(index).zip(u16::try_from(index).ok()) else { return };
        if entry.is_foreign {
            return;
        }
        if entry.record.is_due(now) {
            let _told_in_the_log = self.start(index);
            return;
        }
        match entry.record.beat(now) {
            Beat::Nothing => {}
            Beat::Ping(count) => self.power.ping(number, count),
            Beat::Check => {
                let answer = self.power.answer(number);
                if entry.record.answered(now, answer) {
                    return;
                }
                if !self.bears_with(index, now)
                    && let Some(entry) = self.entries.get(index)
                {
                    log::error!("{} gave no sign of life: it is stopped", entry.name);
                    self.end_of_hang(index);
                }
            }
        }
    }

    /// Starts an instance that does not run.
    pub(crate) fn start(&mut self, index: usize) -> Result<(), Error> {
        self.begin(index).inspect_err(|_| self.judge_failed_start(index))
    }

    /// The same, without what follows if it fails.
    pub(crate) fn begin(&mut self, index: usize) -> Result<(), Error> {
        let number = u16::try_from(index).map_err(|_| Error::NoSuchInstance)?;
        // Nothing of one that was made at boot, and is started only now, has changed since the auditor first looked.
        let is_made = self.power.life(number).ok().as_ref().is_some_and(is_held);
        let result = self.power.start(number);
        let now = self.power.now_ns();
        let entry = self.entries.get_mut(index).ok_or(Error::NoSuchInstance)?;
        match result {
            Ok(()) | Err(Error::Runs) => {
                entry.record.started(now);
                // Its last life may have been asked to end.
                self.requests.forget(index);
                if !is_made {
                    self.audit.has_new_life();
                }
                Ok(())
            }
            Err(error) => {
                log::error!("{} cannot be started", entry.name);
                entry.ended = self.power.life(number).ok().map(|life| life.generation);
                Err(error)
            }
        }
    }

    /// Who is called by the supervisor itself must not hang when it does: nobody would watch anybody any more. So it is asked first.
    fn see_to_own_needs(&mut self) {
        for index in 0..self.entries.len() {
            let now = self.power.now_ns();
            let Some((entry, number)) = self.entries.get_mut(index).zip(u16::try_from(index).ok()) else { continue };
            if !entry.is_own_need || entry.is_foreign || entry.record.phase() != Phase::Running {
                continue;
            }
            let count = entry.record.ask(now);
            if self.power.is_well(number, count) {
                entry.record.heard(now, count);
            } else {
                log::error!("{} gave no sign of life when it was to be called: it is stopped", entry.name);
                self.end_of_hang(index);
            }
        }
    }

    /// Stops one that hangs. Whoever is silent at that moment may have waited for it, and gets time to answer.
    pub(crate) fn end_of_hang(&mut self, index: usize) {
        self.end_by_own_hand(index, Reason::Hang, true);
        self.judge(index, Cause::Hang);
        let now = self.power.now_ns();
        self.entries.iter_mut().for_each(|entry| entry.record.excuse(now));
    }

    /// Whether somebody else may be why an instance is silent: one that it calls, or one with precedence that loops. It is judged when each of
    /// those gave a sign of life that was asked for no earlier than its own, and a moment after that; who was not asked since is asked now.
    /// Calls and precedence both lead uphill, so there is always somebody without an excuse.
    fn bears_with(&mut self, index: usize, now: u64) -> bool {
        let Some(since) = self.entries[index].record.owes_since() else { return false };
        let mut needs = Vec::new();
        self.needed(index, &mut needs);
        let (mut is_excused, mut is_below, priority) = (false, false, self.entries[index].priority);
        for other in (0..self.entries.len()).filter(|other| *other != index) {
            let Some((entry, number)) = self.entries.get_mut(other).zip(u16::try_from(other).ok()) else { continue };
            let runs = !entry.is_foreign && entry.record.is_watched() && entry.record.phase() == Phase::Running;
            if !runs || !(entry.priority > priority || needs.contains(&other)) {
                continue;
            }
            if entry.record.owes_since().is_some() {
                entry.record.heard(now, self.power.answer(number));
            } else if !entry.record.is_alive_since(since) {
                let count = entry.record.ask(now);
                self.power.ping(number, count);
            }
            is_below = true;
            is_excused |= !entry.record.is_alive_since(since);
        }
        let record = &mut self.entries[index].record;
        if is_excused {
            record.excuse(now);
        }
        is_excused || is_below && record.respite(now)
    }

    /// A start that failed is an end; the next try waits for the next turn, so that this does not recurse.
    fn judge_failed_start(&mut self, index: usize) {
        let now = self.power.now_ns();
        if let Some(entry) = self.entries.get_mut(index) {
            let verdict = entry.record.ended(now, Cause::CannotStart);
            if verdict == Verdict::Fail {
                log::error!("{} is failed: svc start {} tries anew", entry.name, entry.name);
            }
        }
    }

    /// Stops an instance, and remembers that this end was the supervisor's doing.
    pub(crate) fn end_by_own_hand(&mut self, index: usize, reason: Reason, again: bool) {
        let Ok(number) = u16::try_from(index) else { return };
        let generation = self.power.life(number).ok().map(|life| life.generation);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.ended = generation;
        }
        let _it_ended_by_itself_meanwhile = self.power.stop(number, reason, again);
    }

    /// Starts by command: first, of what it calls, what was stopped by command.
    pub(crate) fn start_with_needs(&mut self, index: usize) -> Result<(), Error> {
        let mut order = Vec::new();
        self.needed(index, &mut order);
        let mut result = Ok(());
        for place in order {
            let is_subject = place == index;
            let can_run = is_subject || !self.lacks_device(place);
            let Some(entry) = self.entries.get_mut(place).filter(|entry| !entry.is_foreign) else { continue };
            let is_down = can_run && entry.record.phase() != Phase::Running;
            if is_down && (is_subject || matches!(entry.record.phase(), Phase::Stopped | Phase::Held)) {
                entry.record.forgive();
                result = self.start(place);
            }
        }
        result
    }

    /// What it calls, before itself; each once, as calls have no cycle and none is followed twice.
    pub(crate) fn needed(&self, index: usize, order: &mut Vec<usize>) {
        let needs = self.entries.get(index).map(|entry| entry.needs.as_slice()).unwrap_or_default();
        for need in needs {
            if !order.contains(&usize::from(*need)) {
                self.needed(usize::from(*need), order);
            }
        }
        if !order.contains(&index) {
            order.push(index);
        }
    }
}
