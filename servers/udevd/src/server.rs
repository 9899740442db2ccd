//! The list of devices, what changed in it, and the interface to read both; looks only when it is told to.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use libhybrid::interfaces::device::{
    Bus, Change, Condition, Device, Devices, DevicesChange, DevicesChanged, DevicesSummary, Error,
};
use libhybrid::ipc::ClientId;
use libhybrid::log;

use crate::Look;
use crate::drivers::Driver;
use crate::found::{Found, Presence, conditions, presence};

/// Devices that the list has room for, those that are gone included; further ones are counted.
pub const LIST_MAX: usize = 256;
/// Changes that are kept.
pub const CHANGES_MAX: usize = 64;
/// Clients whose place in the changes is remembered: as many as there can be.
const CLIENTS_MAX: usize = 8;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    bus: Bus,
    kind: String,
    address: u64,
    interrupt: u32,
    condition: Condition,
    driver: String,
}

/// The list.
pub struct Server<L> {
    tree: Vec<u8>,
    registers: L,
    drivers: Vec<Driver>,
    now_ns: fn() -> u64,
    entries: Vec<Entry>,
    beyond: usize,
    changes: VecDeque<Change>,
    next: u64,
    /// Up to which number each client has pulled.
    pulled: Vec<(ClientId, u64)>,
    presences: Vec<Presence>,
}

impl<L: Look> Server<L> {
    /// An empty list; [`Server::look`] fills it.
    pub fn new(tree: Vec<u8>, registers: L, drivers: Vec<Driver>, now_ns: fn() -> u64) -> Self {
        Self {
            tree,
            registers,
            drivers,
            now_ns,
            entries: Vec::new(),
            beyond: 0,
            changes: VecDeque::new(),
            next: 0,
            pulled: Vec::new(),
            presences: Vec::new(),
        }
    }

    /// Looks at everything, and tells the log what is new and has no driver. How many devices changed.
    pub fn look(&mut self) -> usize {
        let (found, beyond) = crate::look(&self.tree, &self.registers);
        let changes = self.take(&found, beyond);
        self.presences = self.drivers.iter().map(|driver| presence(driver, &found)).collect();
        changes
    }

    /// How the device of each instance that has one was at the last look.
    pub fn drivers(&self) -> impl Iterator<Item = (&Driver, Presence)> {
        self.drivers.iter().zip(self.presences.iter().copied())
    }

    /// Brings the list up to date with what was found. A device is the same if it is of the same kind at the same place.
    fn take(&mut self, found: &[Found], beyond: usize) -> usize {
        let before = self.next;
        let drivers = core::mem::take(&mut self.drivers);
        self.beyond = beyond;
        let mut is_here: Vec<bool> = self.entries.iter().map(|_| false).collect();
        for (device, (condition, driver)) in found.iter().zip(conditions(&drivers, found)) {
            let entry = Entry {
                bus: device.bus(),
                kind: device.kind(),
                address: device.address,
                interrupt: device.interrupt,
                condition,
                driver: driver.into(),
            };
            let is_it = |(index, old): &(usize, &Entry)| {
                !is_here.get(*index).copied().unwrap_or(true)
                    && (old.bus, &old.kind, old.address) == (entry.bus, &entry.kind, entry.address)
            };
            match self.entries.iter().enumerate().find(is_it).map(|(index, _)| index) {
                Some(index) => {
                    is_here[index] = true;
                    self.change(index, entry);
                }
                None if self.entries.len() < LIST_MAX => {
                    is_here.push(true);
                    self.entries.push(Entry { condition: Condition::Gone, ..entry.clone() });
                    self.change(self.entries.len() - 1, entry);
                }
                None => self.beyond = self.beyond.saturating_add(1),
            }
        }
        for index in (0..self.entries.len()).filter(|index| !is_here[*index]).collect::<Vec<_>>() {
            let gone = Entry { condition: Condition::Gone, driver: String::new(), ..self.entries[index].clone() };
            self.change(index, gone);
        }
        self.drivers = drivers;
        usize::try_from(self.next - before).unwrap_or(usize::MAX)
    }

    /// Puts `entry` into the list; if its condition is another than before, that is a change.
    fn change(&mut self, index: usize, entry: Entry) {
        let Some(place) = self.entries.get_mut(index) else { return };
        let is_change = place.condition != entry.condition;
        *place = entry;
        if !is_change {
            return;
        }
        match place.condition {
            Condition::NoDriver => log::warn!("no driver for {} at {:#x}", place.kind, place.address),
            Condition::NoInstance => {
                let (kind, address, driver) = (&place.kind, place.address, &place.driver);
                log::warn!("no driver for {kind} at {address:#x}: one like {driver}'s fits, but no instance has it");
            }
            Condition::Gone => log::warn!("{} at {:#x} is gone", place.kind, place.address),
            Condition::Driven | Condition::Platform => {}
        }
        if self.changes.len() >= CHANGES_MAX {
            self.changes.pop_front();
        }
        let (index, condition) = (u16::try_from(index).unwrap_or(u16::MAX), place.condition);
        self.changes.push_back(Change { sequence: self.next, at_ns: (self.now_ns)(), index, condition });
        self.next += 1;
    }

    #[cfg(test)]
    pub(crate) fn replace(&mut self, registers: L) {
        self.registers = registers;
    }

    #[cfg(test)]
    pub(crate) fn take_for_test(&mut self, found: &[Found]) {
        self.take(found, 0);
    }

    /// How many changes there were.
    #[must_use]
    pub fn change_count(&self) -> u64 {
        self.next
    }

    /// Devices in the list, and how many of them nothing drives.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let is_undriven = |entry: &&Entry| matches!(entry.condition, Condition::NoDriver | Condition::NoInstance);
        (self.entries.len(), self.entries.iter().filter(is_undriven).count())
    }

    /// A client died: its next life pulls from the start.
    pub fn forget(&mut self, client: ClientId) {
        self.pulled.retain(|(whose, _)| *whose != client);
    }
}

fn count(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl<L: Look> Devices for Server<L> {
    fn device(&mut self, _: ClientId, index: u16) -> Result<Device<'_>, Error> {
        let entry = self.entries.get(usize::from(index)).ok_or(Error::NoSuchDevice)?;
        Ok(Device {
            index,
            bus: entry.bus,
            kind: Cow::Borrowed(&entry.kind),
            address: entry.address,
            interrupt: entry.interrupt,
            condition: entry.condition,
            driver: Cow::Borrowed(&entry.driver),
        })
    }

    fn summary(&mut self, _: ClientId) -> DevicesSummary {
        let (devices, undriven) = self.counts();
        DevicesSummary { devices: count(devices), undriven: count(undriven), beyond: count(self.beyond) }
    }

    fn scan(&mut self, _: ClientId) -> u16 {
        count(self.look())
    }

    fn change(&mut self, _: ClientId, sequence: u64) -> DevicesChange {
        let change = self.changes.iter().find(|change| change.sequence >= sequence).copied();
        DevicesChange { change, next: change.map_or(self.next, |change| change.sequence + 1) }
    }

    fn pull_changed(&mut self, client: ClientId) -> Option<DevicesChanged> {
        let next = self.next;
        let known = match self.pulled.iter_mut().find(|(whose, _)| *whose == client) {
            Some((_, known)) => core::mem::replace(known, next),
            None => {
                if self.pulled.len() < CLIENTS_MAX {
                    self.pulled.push((client, next));
                }
                0
            }
        };
        (known < next).then_some(DevicesChanged { next })
    }
}
