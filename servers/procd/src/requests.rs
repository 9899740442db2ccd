//! Asking a program to end before it is stopped: SIGTERM to whoever can hear of it, and so long for its last work.
//!
//! INV-REQUEST-1: who was asked is stopped when its time is over, and its end until then is the operator's doing: nobody starts it again.

use alloc::vec::Vec;

use libhybrid::interfaces::process::Reason;
use libhybrid::log;

use crate::supervisor::{Power, Supervisor, is_up};

/// `SIGTERM`
const SIGTERM: u8 = 15;
/// How long one that was asked to end has for it.
pub(crate) const GRACE_NS: u64 = 2_000_000_000;

/// A program that hears of signals, spawned or not.
struct Hearer {
    id: u16,
    index: usize,
    /// It was asked to end: which life, and until when it may run.
    asked: Option<(u16, u64)>,
    /// It has not heard of that yet.
    owes: bool,
}

/// All programs that hear of signals.
#[derive(Default)]
pub(crate) struct Requests(Vec<Hearer>);

impl Requests {
    /// When the next one is to be stopped.
    pub(crate) fn next(&self) -> Option<u64> {
        self.0.iter().filter_map(|hearer| hearer.asked).map(|(_, until)| until).min()
    }

    /// Whether the one in this place was asked to end, and did not yet.
    pub(crate) fn is_asked(&self, index: usize) -> bool {
        self.0.iter().any(|hearer| hearer.index == index && hearer.asked.is_some())
    }

    /// What the caller is to hear, once.
    pub(crate) fn pull(&mut self, id: u16) -> Option<u8> {
        let hearer = self.0.iter_mut().find(|hearer| hearer.id == id)?;
        core::mem::take(&mut hearer.owes).then_some(SIGTERM)
    }

    pub(crate) fn forget(&mut self, index: usize) {
        for hearer in self.0.iter_mut().filter(|hearer| hearer.index == index) {
            (hearer.asked, hearer.owes) = (None, false);
        }
    }
}

impl<P: Power> Supervisor<P> {
    /// Who can be asked to end: names and ids of those that use `hybrid.process.Program`.
    pub fn set_hearers<'a>(&mut self, programs: impl Iterator<Item = (&'a str, u16)>) {
        let hearer = |(name, id)| Some(Hearer { id, index: self.named(name).ok()?, asked: None, owes: false });
        self.requests = Requests(programs.filter_map(hearer).collect());
    }

    /// Asks the one in this place to end; false if it cannot hear, or was asked before: then it is stopped at once.
    pub(crate) fn ask_to_end(&mut self, index: usize) -> bool {
        let (now, life) = (self.power.now_ns(), self.life_of(index));
        let Some((_, generation)) = life.filter(|(state, _)| is_up(*state)) else { return false };
        let own = self.requests.0.iter_mut().find(|hearer| hearer.index == index);
        let Some(hearer) = own.filter(|hearer| hearer.asked.is_none()) else { return false };
        (hearer.asked, hearer.owes) = (Some((generation, now.saturating_add(GRACE_NS))), true);
        self.power.ring(hearer.id);
        true
    }

    /// Forgets who ended, and stops whose time is over.
    pub(crate) fn see_to_requests(&mut self) {
        let now = self.power.now_ns();
        for at in 0..self.requests.0.len() {
            let Some((index, (generation, until))) = self.requests.0.get(at).and_then(|it| Some((it.index, it.asked?)))
            else {
                continue;
            };
            let (runs, is_over) = match self.life_of(index) {
                Some((state, life)) if life == generation => (is_up(state), !is_up(state)),
                _ => (false, false),
            };
            // What ended since this turn saw to the ends is judged by the next one, which has to know of the request.
            let is_to_be_judged = is_over && self.entries[index].ended != Some(generation);
            if runs && now < until || is_to_be_judged {
                continue;
            }
            self.requests.forget(index);
            if runs {
                log::warn!("{} did not end when it was asked to: it is stopped", self.entries[index].name);
                self.stop_now(index);
                // It may have had children.
                self.see_to_family();
            }
        }
    }

    /// Stops the one in this place by an operator's command.
    pub(crate) fn stop_now(&mut self, index: usize) {
        self.requests.forget(index);
        self.end_by_own_hand(index, Reason::Stop, false);
        if !self.family.has(index) {
            self.entries[index].record.stopped();
        }
    }
}

#[cfg(test)]
mod tests;
