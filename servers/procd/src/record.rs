//! One instance's life as a state machine: ends, times and commands go in, verdicts come out; it calls nobody.

use alloc::collections::VecDeque;

use libhybrid::interfaces::process::{Phase, Policy, Restart};

const MS: u64 = 1_000_000;
/// Longer waits are not worth waiting for: clients are told that it is down.
pub const PROMISE_NS: u64 = 1_000 * MS;

/// Why an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A fault of its own.
    Fault,
    /// None: it came to a good end.
    End,
    /// Somebody else than the supervisor stopped it.
    Killed,
    /// It gave no sign of life.
    Hang,
    /// It could not even be started.
    CannotStart,
}

/// What is to be done about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start it now.
    Start,
    /// Start it then.
    Wait(u64),
    /// It is a crash loop: leave it until a command.
    Fail,
    /// Its policy does not cover this end.
    Leave,
}

/// What is to be done for its heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing now.
    Nothing,
    /// Ask for this number.
    Ping(u64),
    /// See what it answered, and tell [`Record::answered`].
    Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heart {
    Quiet,
    Next(u64),
    Asked { number: u64, until: u64, patience: Patience, asked: u64 },
}

/// What one that owes a sign of life gets when its deadline passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Another deadline.
    Deadline,
    /// A respite, if it may have waited for somebody.
    Respite,
    /// Nothing.
    None,
}

/// What is remembered of one instance.
#[derive(Debug, Clone)]
pub struct Record {
    rules: Restart,
    /// Nobody could wait for its back-off: the alarm is its own.
    is_urgent: bool,
    phase: Phase,
    /// When a waiting one is due.
    until: u64,
    /// Ends within the window, at most the threshold.
    recent: VecDeque<u64>,
    ends: u32,
    hangs: u32,
    heart: Heart,
    number: u64,
    /// When the newest ping was asked that it answered in this life.
    alive: u64,
}

impl Record {
    /// One that runs since `now`. `is_urgent`: it is started again without back-off.
    #[must_use]
    pub const fn new(rules: Restart, is_urgent: bool, now: u64) -> Self {
        let mut record = Self {
            rules,
            is_urgent,
            phase: Phase::Running,
            until: 0,
            recent: VecDeque::new(),
            ends: 0,
            hangs: 0,
            heart: Heart::Quiet,
            number: 0,
            alive: 0,
        };
        record.started(now);
        record
    }

    /// How it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Ends that were not commanded, and how many of them were hangs.
    #[must_use]
    pub const fn counts(&self) -> (u32, u32) {
        (self.ends, self.hangs)
    }

    /// Whether it is asked for signs of life.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.rules.heartbeat_ms > 0
    }

    /// It was started.
    pub const fn started(&mut self, now: u64) {
        self.phase = Phase::Running;
        self.alive = 0;
        self.heart = if self.is_watched() { Heart::Next(now.saturating_add(self.heartbeat())) } else { Heart::Quiet };
    }

    /// It runs, as the supervisor finds; what led to anything else before is forgotten, since a command must have started it.
    pub fn resume(&mut self, now: u64) {
        if !matches!(self.phase, Phase::Running | Phase::Waiting) {
            self.forgive();
        }
        self.started(now);
    }

    /// It was stopped by command; only a command starts it again.
    pub const fn stopped(&mut self) {
        self.phase = Phase::Stopped;
        self.heart = Heart::Quiet;
    }

    /// It waits for the auditor's verdict, or for its device to be found.
    pub const fn held(&mut self) {
        self.phase = Phase::Held;
        self.heart = Heart::Quiet;
    }

    /// It is started only when another component spawns it.
    pub const fn idle(&mut self) {
        self.phase = Phase::Idle;
        self.heart = Heart::Quiet;
    }

    /// It held what is not declared and was stopped for that; only a command starts it again.
    pub const fn isolated(&mut self) {
        self.phase = Phase::Isolated;
        self.heart = Heart::Quiet;
    }

    /// It is a driver without a device; it is started when that is found, or by a command.
    pub const fn no_device(&mut self) {
        self.phase = Phase::NoDevice;
        self.heart = Heart::Quiet;
    }

    /// A command starts it: what it did before is forgotten.
    pub fn forgive(&mut self) {
        self.recent.clear();
    }

    /// It ended without a command.
    pub fn ended(&mut self, now: u64, cause: Cause) -> Verdict {
        self.heart = Heart::Quiet;
        self.ends = self.ends.saturating_add(1);
        self.hangs = self.hangs.saturating_add(u32::from(cause == Cause::Hang));
        let window = u64::from(self.rules.window_ms) * MS;
        self.recent.retain(|end| now.saturating_sub(*end) < window);
        self.recent.push_back(now);
        let is_covered = match self.rules.policy {
            Policy::Always => true,
            Policy::OnFault => !matches!(cause, Cause::Killed | Cause::End),
            Policy::Never => false,
        };
        let verdict = if !is_covered {
            Verdict::Leave
        } else if self.recent.len() >= usize::from(self.rules.threshold.max(1)) {
            Verdict::Fail
        } else {
            match self.back_off() {
                0 => Verdict::Start,
                delay => Verdict::Wait(now.saturating_add(delay)),
            }
        };
        self.phase = match verdict {
            Verdict::Start | Verdict::Wait(_) => Phase::Waiting,
            Verdict::Fail => Phase::Failed,
            Verdict::Leave => Phase::Ended,
        };
        self.until = if let Verdict::Wait(until) = verdict { until } else { now };
        verdict
    }

    /// Nothing after the first end within the window; after the others it doubles, up to the most.
    fn back_off(&self) -> u64 {
        let further = self.recent.len().saturating_sub(2).min(31);
        if self.is_urgent || self.recent.len() < 2 {
            return 0;
        }
        let delay = u64::from(self.rules.backoff_ms) << further;
        delay.min(self.rules.backoff_max_ms.into()) * MS
    }

    /// Whether it waits, and may be started now.
    #[must_use]
    pub const fn is_due(&self, now: u64) -> bool {
        matches!(self.phase, Phase::Waiting) && self.until <= now
    }

    /// What is to be done for its heartbeat.
    pub fn beat(&mut self, now: u64) -> Beat {
        match self.heart {
            Heart::Next(at) if at <= now => Beat::Ping(self.ask(now)),
            Heart::Asked { until, .. } if until <= now => Beat::Check,
            _ => Beat::Nothing,
        }
    }

    /// Asks it now: the number of the ping.
    pub fn ask(&mut self, now: u64) -> u64 {
        self.number += 1;
        self.heart =
            Heart::Asked { number: self.number, until: self.deadline(now), patience: Patience::Deadline, asked: now };
        self.number
    }

    /// The last number that it answered with, at its deadline; false: it hangs, unless it is [excused](Self::excuse). It gets a second
    /// deadline: after a pause of the whole machine the supervisor runs before it, and would judge it by time that nobody had.
    pub fn answered(&mut self, now: u64, answer: u64) -> bool {
        if self.heard(now, answer) {
            return true;
        }
        match self.heart {
            Heart::Asked { number, patience: Patience::Deadline, asked, .. } => {
                self.heart = Heart::Asked { number, until: self.deadline(now), patience: Patience::Respite, asked };
                true
            }
            Heart::Asked { .. } => false,
            _ => true,
        }
    }

    /// The last number that it answered with, at any time; true if that is the one that it was asked for.
    pub fn heard(&mut self, now: u64, answer: u64) -> bool {
        match self.heart {
            Heart::Asked { number, asked, .. } if number == answer => {
                self.alive = asked;
                let rest = self.heartbeat().saturating_sub(now.saturating_sub(asked)).max(MS);
                self.heart = if self.is_watched() { Heart::Next(now.saturating_add(rest)) } else { Heart::Quiet };
                true
            }
            _ => false,
        }
    }

    /// It cannot be blamed for its silence yet: it gets one more deadline.
    pub fn excuse(&mut self, now: u64) {
        if let Heart::Asked { number, asked, .. } = self.heart {
            self.heart = Heart::Asked { number, until: self.deadline(now), patience: Patience::Respite, asked };
        }
    }

    /// Whom it waited for may have come back this very moment: it gets a quarter of a deadline to say so, once; false: it had that.
    pub fn respite(&mut self, now: u64) -> bool {
        let Heart::Asked { number, patience: Patience::Respite, asked, .. } = self.heart else { return false };
        let until = now.saturating_add(self.rules.deadline_ms as u64 * MS / 4);
        self.heart = Heart::Asked { number, until, patience: Patience::None, asked };
        true
    }

    /// When it was asked for the sign of life that it owes.
    #[must_use]
    pub const fn owes_since(&self) -> Option<u64> {
        if let Heart::Asked { asked, .. } = self.heart { Some(asked) } else { None }
    }

    /// Whether it answered a ping that was not asked before `since`.
    #[must_use]
    pub const fn is_alive_since(&self, since: u64) -> bool {
        self.alive >= since
    }

    const fn deadline(&self, now: u64) -> u64 {
        now.saturating_add(self.rules.deadline_ms as u64 * MS)
    }

    const fn heartbeat(&self) -> u64 {
        self.rules.heartbeat_ms as u64 * MS
    }

    /// When something is to be done next.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        match (self.phase, self.heart) {
            (Phase::Waiting, _) => Some(self.until),
            (Phase::Running, Heart::Next(at) | Heart::Asked { until: at, .. }) => Some(at),
            _ => None,
        }
    }
}
