//! What follows from the auditor's verdict: who was held at boot starts, who holds what is not declared is isolated.
//!
//! The auditor only looks and tells; it can stop nobody. The supervisor makes it look: at boot, after each new life, and slowly in between.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use libhybrid::interfaces::process::{Life, Phase, Reason, State};
use libhybrid::log;

use crate::supervisor::{Entry, Power, Supervisor};

/// How long the first verdict is waited for; then the product's policy decides without one.
const WAIT_NS: u64 = 5_000_000_000;
/// New lives that follow each other within this are looked at together.
const GAP_NS: u64 = 250_000_000;
/// How long an auditor that gave no verdict is left alone.
const RETRY_NS: u64 = 1_000_000_000;
/// How long nobody looks when nobody begins a life.
const INTERVAL_NS: u64 = 10_000_000_000;

/// What the product wants done about a difference; `on_difference` of `[audit]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDifference {
    /// It is told.
    Log,
    /// Who holds what is not declared is isolated; if it cannot be, whoever waited for the verdict at boot is.
    Isolate,
}

impl OnDifference {
    /// The word of `[audit]`; what is no such word isolates, since nobody said that it need not.
    #[must_use]
    pub fn of(word: Option<&str>) -> Self {
        match word {
            None | Some("log") => Self::Log,
            Some(_) => Self::Isolate,
        }
    }
}

/// Who holds what is not declared (`?`: nobody who is), and the first such line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Its name.
    pub name: String,
    /// The line.
    pub line: String,
}

/// A verdict. One without differences has no suspects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// Lines that differ.
    pub differences: u32,
    /// Each once.
    pub suspects: Vec<Suspect>,
}

/// When the auditor is to look, and what was made of what it said.
pub(crate) struct Audit {
    pub(crate) on_difference: OnDifference,
    /// Its place among the instances.
    auditor: Option<usize>,
    /// When it is to look next.
    due: u64,
    looked: Option<u64>,
    /// Until when the first verdict is waited for.
    until: Option<u64>,
    /// Who waits for the verdict may be started.
    pub(crate) is_released: bool,
    /// What was told last, so that it is told once.
    told: String,
}

impl Audit {
    pub(crate) fn new(lives: &[Life<'_>], now: u64) -> Self {
        let is_awaited = lives.iter().any(|life| life.awaits_verdict && life.state == State::Starting);
        Self {
            on_difference: OnDifference::Log,
            auditor: lives.iter().position(|life| life.is_auditor),
            due: now,
            looked: None,
            until: is_awaited.then_some(now.saturating_add(WAIT_NS)),
            is_released: false,
            told: String::new(),
        }
    }

    /// Somebody began a life: the auditor looks at once, unless it has just looked.
    pub(crate) fn has_new_life(&mut self) {
        self.due = self.looked.map_or(0, |looked| looked.saturating_add(GAP_NS)).min(self.due);
    }

    /// When something is to be done next.
    pub(crate) fn next(&self) -> Option<u64> {
        self.auditor.map(|_| self.due).into_iter().chain(self.until).min()
    }

    fn looked(&mut self, now: u64, after: u64) {
        self.looked = Some(now);
        self.due = now.saturating_add(after);
    }
}

impl<P: Power> Supervisor<P> {
    /// What follows from a difference; to be said before the first turn.
    pub const fn set_on_difference(&mut self, on_difference: OnDifference) {
        self.audit.on_difference = on_difference;
    }

    /// Has the auditor look when it is time, and does what follows; decides without a verdict when there is none in time.
    pub(crate) fn see_to_verdict(&mut self) {
        let now = self.power.now_ns();
        if self.audit.due <= now && self.is_auditor_well() {
            let finding = self.power.compare();
            let has_isolated = finding.as_ref().map(|finding| {
                self.audit.until = None;
                self.follow(finding)
            });
            let now = self.power.now_ns();
            self.audit.looked(
                now,
                match has_isolated {
                    None => RETRY_NS,
                    // Whether that was all.
                    Some(true) => GAP_NS,
                    // What has just been released was part of what it looked at.
                    Some(false) => INTERVAL_NS,
                },
            );
        }
        if self.audit.until.is_some_and(|until| until <= self.power.now_ns()) {
            self.audit.until = None;
            self.go_on_without_verdict();
        }
    }

    /// It is called only when it answers: nobody could watch it while the supervisor waits for it.
    fn is_auditor_well(&mut self) -> bool {
        let Some(index) = self.audit.auditor else { return false };
        let now = self.power.now_ns();
        let Some((entry, number)) = self.entries.get_mut(index).zip(u16::try_from(index).ok()) else { return false };
        if entry.record.phase() != Phase::Running {
            self.audit.looked(now, RETRY_NS);
            return false;
        }
        let count = entry.record.ask(now);
        if self.power.is_well(number, count) {
            entry.record.heard(now, count);
            return true;
        }
        log::error!("{} gave no sign of life when it was to look: it is stopped", entry.name);
        self.end_of_hang(index);
        false
    }

    /// Whether anybody was isolated.
    fn follow(&mut self, finding: &Finding) -> bool {
        let before = self.isolated();
        let Finding { differences, suspects } = finding;
        if *differences == 0 {
            self.tell(String::from("finds live as declared"));
        } else {
            let first = suspects.first().map_or("something declared is missing", |suspect| suspect.line.as_str());
            self.tell(format!("finds live not as declared, {differences} differences: {first}"));
        }
        let is_contained = self.audit.on_difference == OnDifference::Log || self.isolate_all(suspects);
        self.audit.is_released = is_contained;
        self.release();
        for index in (0..self.entries.len()).filter(|_| !is_contained) {
            let entry = &self.entries[index];
            let is_there = matches!(entry.record.phase(), Phase::Held | Phase::Running | Phase::NoDevice);
            if entry.awaits_verdict && is_there {
                self.isolate(index, "what is not declared is held by one who cannot be isolated");
            }
        }
        self.isolated() != before
    }

    fn isolated(&self) -> usize {
        self.entries.iter().filter(|entry| entry.record.phase() == Phase::Isolated).count()
    }

    /// False if one of them cannot be isolated: nobody who is declared, securityd, the supervisor, and whom it calls.
    fn isolate_all(&mut self, suspects: &[Suspect]) -> bool {
        let mut is_contained = true;
        for Suspect { name, line } in suspects {
            let found = self.entries.iter().position(|entry| entry.name == *name);
            let is_needed = |index: usize| {
                let entry = &self.entries[index];
                entry.is_foreign || entry.is_own_need || self.audit.auditor == Some(index)
            };
            match found.filter(|index| !is_needed(*index)) {
                Some(index) => self.isolate(index, line),
                None => is_contained = false,
            }
        }
        is_contained
    }

    fn isolate(&mut self, index: usize, why: &str) {
        if self.entries[index].record.phase() == Phase::Isolated {
            return;
        }
        self.end_by_own_hand(index, Reason::Isolation, false);
        let entry = &mut self.entries[index];
        entry.record.isolated();
        let text = format!("isolates {}: {why}", entry.name);
        self.power.note(&text);
    }

    /// The network does not come up unverified where a difference would isolate; else it is worth more than the verdict.
    fn go_on_without_verdict(&mut self) {
        let is_held = |entry: &&Entry| entry.awaits_verdict && entry.record.phase() == Phase::Held;
        let names: Vec<&str> = self.entries.iter().filter(is_held).map(|entry| entry.name.as_str()).collect();
        let names = names.join(", ");
        match self.audit.on_difference {
            OnDifference::Isolate => self.tell(format!("has no verdict in time: {names} stay held until there is one")),
            OnDifference::Log => {
                self.tell(format!("has no verdict in time: {names} wait for it no longer"));
                self.audit.is_released = true;
            }
        }
    }

    fn tell(&mut self, text: String) {
        if self.audit.told != text {
            self.power.note(&text);
            self.audit.told = text;
        }
    }
}

#[cfg(test)]
mod tests;
