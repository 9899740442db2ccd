//! Who starts when its device is found: what the finder of devices says, and what is done when nobody says it.
//!
//! The finder stops nobody: of a driver that runs its word only decides whether it is started again.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libhybrid::interfaces::process::{Drivers, Error, Phase};
use libhybrid::ipc::ClientId;
use libhybrid::log;

use crate::supervisor::{Entry, Power, Supervisor};

/// How long a finder's word is waited for; then drivers are started without it, and find out themselves.
pub(crate) const WAIT_NS: u64 = 5_000_000_000;

/// What the finder said last of an instance's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing yet.
    Unknown,
    /// They are there, or nobody said so in time.
    Here,
    /// One is not there.
    Missing,
}

/// What somebody who is held waits for.
enum Awaited {
    /// The auditor's.
    Verdict,
    /// The device of the instance in this place: the finder has not told of it, or told that it is missing.
    Device { place: usize, is_missing: bool },
}

impl<P: Power> Supervisor<P> {
    /// Starts everybody who was held and waits for nothing any more, and before it whom it calls and who was held like it.
    pub(crate) fn release(&mut self) {
        for index in 0..self.entries.len() {
            if self.entries[index].record.phase() != Phase::Held || self.waits_for(index).is_some() {
                continue;
            }
            let mut order = Vec::new();
            self.needed(index, &mut order);
            for place in order {
                if self.entries.get(place).is_some_and(|entry| entry.record.phase() == Phase::Held) {
                    self.entries[place].record.forgive();
                    let _told_in_the_log = self.start(place);
                }
            }
        }
    }

    /// What one that is held, or has no device, waits for: it, or one that it calls, was not released yet. `None`: nothing.
    fn waits_for(&self, index: usize) -> Option<Awaited> {
        let mut order = Vec::new();
        self.needed(index, &mut order);
        order.into_iter().rev().find_map(|place| {
            let entry = self.entries.get(place)?;
            match (entry.record.phase(), entry.presence) {
                (Phase::NoDevice, _) => Some(Awaited::Device { place, is_missing: true }),
                (Phase::Held, Presence::Unknown | Presence::Missing) if entry.awaits_device => {
                    Some(Awaited::Device { place, is_missing: false })
                }
                (Phase::Held, _) if entry.awaits_verdict && !self.audit.is_released => Some(Awaited::Verdict),
                _ => None,
            }
        })
    }

    /// The same, as a person reads it behind "waits for".
    pub(crate) fn waits_for_in_words(&self, index: usize) -> Option<String> {
        let Awaited::Device { place, is_missing } = self.waits_for(index)? else {
            return Some("the auditor's verdict".to_string());
        };
        let whose = if place == index {
            "its device".into()
        } else {
            format!("the device of {}", self.entries.get(place)?.name)
        };
        Some(if is_missing { format!("{whose}, which is not there") } else { whose })
    }

    /// Whether it is one that is held at boot, and calls one that has no device. Others make do without: they get errors.
    pub(crate) fn lacks_device(&self, index: usize) -> bool {
        let is_held_at_boot = |entry: &Entry| entry.awaits_verdict || entry.awaits_device;
        let mut order = Vec::new();
        self.needed(index, &mut order);
        let has_none = |place: &usize| self.entries.get(*place).is_some_and(|it| it.record.phase() == Phase::NoDevice);
        self.entries.get(index).is_some_and(is_held_at_boot)
            && order.iter().any(|place| *place != index && has_none(place))
    }

    /// Nobody waits for ever for a finder that is dead or hangs.
    pub(crate) fn see_to_finder(&mut self) {
        if self.finder_until.is_none_or(|until| until > self.power.now_ns()) {
            return;
        }
        self.finder_until = None;
        for entry in self.entries.iter_mut().filter(|entry| entry.awaits_device && entry.presence == Presence::Unknown)
        {
            entry.presence = Presence::Here;
            if entry.record.phase() == Phase::Held {
                log::error!(
                    "nobody said in time whether the device of {} is there: it is taken for granted",
                    entry.name
                );
            }
        }
    }

    /// It has no device: it is not started, and nobody need wait for it.
    pub(crate) fn leave_without_device(&mut self, index: usize) {
        let Some((entry, number)) = self.entries.get_mut(index).zip(u16::try_from(index).ok()) else { return };
        entry.record.no_device();
        log::warn!("{} is not started: its device is not there", entry.name);
        self.power.postpone(number);
        for held in 0..self.entries.len() {
            let entry = &self.entries[held];
            if entry.record.phase() == Phase::Held && self.lacks_device(held) {
                log::warn!(
                    "{} is held: it waits for {}",
                    entry.name,
                    self.waits_for_in_words(held).unwrap_or_default()
                );
            }
        }
    }

    /// Only who is declared to start on its device can be named.
    fn driver(&mut self, name: &str, presence: Presence) -> Result<usize, Error> {
        let index = self.entries.iter().position(|entry| entry.name == name).ok_or(Error::NoSuchInstance)?;
        let entry = &mut self.entries[index];
        if !entry.awaits_device || entry.is_foreign {
            return Err(Error::NotAllowed);
        }
        entry.presence = presence;
        if !self.entries.iter().any(|entry| entry.awaits_device && entry.presence == Presence::Unknown) {
            self.finder_until = None;
        }
        Ok(index)
    }
}

impl<P: Power> Drivers for Supervisor<P> {
    fn found(&mut self, _: ClientId, name: &str) -> Result<(), Error> {
        let index = self.driver(name, Presence::Here)?;
        let entry = &mut self.entries[index];
        if entry.record.phase() == Phase::NoDevice {
            log::info!("the device of {} is there now", entry.name);
            entry.record.held();
        }
        self.turn();
        Ok(())
    }

    fn missing(&mut self, _: ClientId, name: &str) -> Result<(), Error> {
        let index = self.driver(name, Presence::Missing)?;
        if matches!(self.entries[index].record.phase(), Phase::Held | Phase::Waiting | Phase::Failed) {
            self.leave_without_device(index);
        }
        self.turn();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
