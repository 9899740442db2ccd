//! Telling those who give commands that somebody runs no more; what they may command is services.rs.

use alloc::vec::Vec;

use libhybrid::interfaces::process::{Phase, ServicesLeft};

use crate::supervisor::{Power, Supervisor};

/// The clients of `Services`, each with the count that it was told last.
#[derive(Default)]
pub(crate) struct Operators {
    told: Vec<(u16, u64)>,
    left: u64,
    /// By place: whether the one there ran, or waited for its next life.
    ran: Vec<bool>,
    /// The place of who has the console.
    pub(crate) attached: Option<usize>,
}

impl Operators {
    /// Compares with what was; true: somebody left. A place is as it is when it is seen for the first time.
    fn look(&mut self, phases: impl Iterator<Item = Phase>) -> bool {
        let runs = phases.map(|phase| matches!(phase, Phase::Running | Phase::Waiting));
        let mut has_left = false;
        for (place, runs) in runs.enumerate() {
            match self.ran.get_mut(place) {
                Some(ran) => has_left |= core::mem::replace(ran, runs) && !runs,
                None => self.ran.push(runs),
            }
        }
        self.attached = self.attached.filter(|place| self.ran.get(*place) == Some(&true));
        self.left += u64::from(has_left);
        has_left
    }
}

impl<P: Power> Supervisor<P> {
    /// Those with these ids are rung when somebody leaves.
    pub fn set_operators(&mut self, ids: impl Iterator<Item = u16>) {
        self.operators.told = ids.map(|id| (id, self.operators.left)).collect();
    }

    /// Rings them if somebody left since the last time. Called at the end of each turn.
    pub(crate) fn tell_operators(&mut self) {
        // Of those that are spawned their parents are told.
        let phases = self.entries.iter().enumerate().map(|(place, entry)| match self.family.has(place) {
            true => Phase::Idle,
            false => entry.record.phase(),
        });
        if self.operators.look(phases) {
            self.operators.told.iter().for_each(|(id, _)| self.power.ring(*id));
        }
    }

    /// What this client was not told yet.
    pub(crate) fn pull_left_of(&mut self, id: u16) -> Option<ServicesLeft> {
        let left = self.operators.left;
        let (_, told) = self.operators.told.iter_mut().find(|(other, _)| *other == id)?;
        (core::mem::replace(told, left) != left).then_some(ServicesLeft { left })
    }
}

#[cfg(test)]
mod tests;
