//! What only tests ask of connections with neighbours: how many there are, and whether all that is to be said is due.
use crate::process::descriptors::Files;
use crate::process::{Pages, Process};
use crate::world::World;
use alloc::vec::Vec;

impl<S: Pages> Process<S> {
    pub(in crate::process) fn crossing_count(&self) -> usize {
        self.crossings.all.all().count()
    }

    pub(in crate::process) fn crossing_room(&self) -> usize {
        self.crossings.all.capacity()
    }

    /// Holds INV-CROSSING-4 against all connections: of those that are not due there is nothing to say. What is due stays so.
    pub(in crate::process) fn check_due(&mut self, world: &mut impl World) {
        let is_due = |files: &Files, at: usize| files.due.next(at) == Some(at);
        let others = self.crossings.all.numbers().filter(|at| !is_due(&self.files, *at));
        for at in others.collect::<Vec<_>>() {
            let before = self.crossings.all.get(at).copied();
            self.tell_crossing(world, at);
            assert!(!is_due(&self.files, at), "{before:?} had something to say, and was not due");
            assert_eq!(self.crossings.all.get(at).copied(), before, "it had something to say, and was not due");
        }
    }
}
