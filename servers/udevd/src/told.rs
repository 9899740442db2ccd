//! What the supervisor is to be told of which drivers, and what it was told; calls nobody.

use alloc::string::String;
use alloc::vec::Vec;

use crate::drivers::Driver;
use crate::found::Presence;

/// What was said last of each instance that starts when its devices are found.
#[derive(Debug, Default)]
pub struct Told(Vec<(String, bool)>);

impl Told {
    /// Instances of which something else is to be said than before, and whether all their devices are there. An instance has one line for each device. What is
    /// returned counts as said, until it is [forgotten](Self::forget).
    pub fn news<'a>(&mut self, drivers: impl Iterator<Item = (&'a Driver, Presence)>) -> Vec<(String, bool)> {
        let mut now: Vec<(String, bool)> = Vec::new();
        for (driver, presence) in drivers.filter(|(driver, _)| driver.starts_when_found) {
            let is_here = presence == Presence::Here;
            match now.iter_mut().find(|(name, _)| *name == driver.name) {
                Some((_, is_whole)) => *is_whole &= is_here,
                None => now.push((driver.name.clone(), is_here)),
            }
        }
        let news = now.iter().filter(|line| !self.0.contains(line)).cloned().collect();
        self.0 = now;
        news
    }

    /// This was not heard: it is to be said again.
    pub fn forget(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// The supervisor begins a new life, and knows nothing.
    pub fn forget_all(&mut self) {
        self.0.clear();
    }
}
