//! Numbered places for things that come and go, at most so many; what is in them is nobody's business here.
use crate::number::Errno;
use alloc::vec::Vec;

/// Places for which there is memory from the start.
const FEW: usize = 64;
/// Places beyond those that are used for which there is memory when [`Slab::growth`] was done: what puts more things into a table than that asks in
/// between.
const AHEAD: usize = 8;

/// Places by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    most: usize,
    /// No place below this one is free.
    free_from: usize,
    /// So many places are used or about to be.
    wanted: usize,
    /// That has become more since it was asked last.
    is_grown: bool,
}

impl<T> Slab<T> {
    /// None yet, and at most `most` at once.
    pub(super) const fn new(most: usize) -> Self {
        Self { places: Vec::new(), most, free_from: 0, wanted: 0, is_grown: false }
    }

    /// Puts a thing into the lowest free place from `lowest` on; its number.
    ///
    /// # Errors
    /// `full` if there is none, `ENOMEM` if there is no memory for it.
    pub(super) fn insert(&mut self, lowest: usize, thing: T, full: Errno) -> Result<usize, Errno> {
        let free = self.free(lowest, full)?;
        self.put(free, thing)?;
        Ok(free)
    }

    fn free(&mut self, lowest: usize, full: Errno) -> Result<usize, Errno> {
        let is_free = |at: &usize| self.places.get(*at).is_none_or(Option::is_none);
        let found = (lowest.max(self.free_from)..self.most).find(is_free);
        if lowest <= self.free_from {
            self.free_from = found.unwrap_or(self.most);
        }
        found.ok_or(full)
    }

    /// The lowest free place: what is put there next has its memory.
    ///
    /// # Errors
    /// `full` if there is none, `ENOMEM` if there is no memory for it.
    pub(super) fn reserve(&mut self, full: Errno) -> Result<usize, Errno> {
        let free = self.free(0, full)?;
        self.grow(free)?;
        Ok(free)
    }

    fn grow(&mut self, at: usize) -> Result<(), Errno> {
        if at >= self.places.len() {
            // Also if there is no memory for it now: then it is asked for once more.
            self.expect(at);
            self.places.try_reserve(at + 1 - self.places.len()).map_err(|_| Errno::ENOMEM)?;
            self.places.resize_with(at + 1, || None);
        }
        Ok(())
    }

    /// Puts a thing into a place below the bound; what was there is returned.
    ///
    /// # Errors
    /// `EBADF` beyond the bound, `ENOMEM` if there is no memory for it.
    pub(super) fn put(&mut self, at: usize, thing: T) -> Result<Option<T>, Errno> {
        if at >= self.most {
            return Err(Errno::EBADF);
        }
        self.grow(at)?;
        Ok(self.places.get_mut(at).and_then(|place| place.replace(thing)))
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.places.get(at).and_then(Option::as_ref)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.places.get_mut(at).and_then(Option::as_mut)
    }

    /// Empties a place.
    pub(super) fn take(&mut self, at: usize) -> Option<T> {
        let taken = self.places.get_mut(at).and_then(Option::take);
        if taken.is_some() {
            self.free_from = self.free_from.min(at);
        }
        taken
    }

    /// A place, below the bound or not, is about to be used.
    pub(super) const fn expect(&mut self, at: usize) {
        if at >= self.wanted && at < self.most {
            self.wanted = at + 1;
        }
        self.is_grown |= at >= self.places.len();
    }

    /// Whether places came into use since [`Self::growth`] was asked.
    pub(super) const fn is_grown(&self) -> bool {
        self.is_grown
    }

    /// How many places there is to be memory for, and how many bytes that takes, if it is to be more; asked once each time that places came into use.
    pub(super) fn growth(&mut self) -> Option<(usize, usize)> {
        let (wanted, capacity) = (self.wanted.saturating_add(AHEAD).min(self.most), self.places.capacity());
        if !core::mem::take(&mut self.is_grown) || wanted <= capacity.max(FEW) {
            return None;
        }
        let places = wanted.max(2 * capacity).min(self.most);
        Some((places, places * size_of::<Option<T>>()))
    }

    /// Takes the memory for so many places now, before something else does. Where there is none, each of them takes its own, or there is none for it.
    pub(super) fn enlarge(&mut self, places: usize) {
        let _or_later = self.make_room(places);
    }

    /// As [`Self::enlarge`]; false if there is no memory for all of them.
    pub(super) fn make_room(&mut self, places: usize) -> bool {
        self.places.try_reserve_exact(places.saturating_sub(self.places.len())).is_ok()
    }

    /// Places for which there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// All numbers that may have a thing.
    pub(super) fn numbers(&self) -> core::ops::Range<usize> {
        0..self.places.len()
    }

    /// All things with their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &T)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Places are found, the lowest that is free is taken, and none is beyond the bound.
        #[test]
        fn slab_is_a_map_of_bounded_numbers(steps in prop::collection::vec((0_usize..3, 0_usize..450), 0..900)) {
            const MOST: usize = 400;
            let (mut slab, mut model) = (Slab::new(MOST), BTreeMap::new());
            for (count, (step, at)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        let free = (at..MOST).find(|at| !model.contains_key(at));
                        prop_assert_eq!(slab.insert(at, count, Errno::EMFILE), free.ok_or(Errno::EMFILE));
                        free.map(|free| model.insert(free, count));
                    }
                    1 => prop_assert_eq!(slab.take(at), model.remove(&at)),
                    _ if at < MOST => prop_assert_eq!(slab.put(at, count), Ok(model.insert(at, count))),
                    _ => prop_assert_eq!(slab.put(at, count), Err(Errno::EBADF)),
                }
                prop_assert_eq!(slab.get(at), model.get(&at));
                prop_assert!(slab.numbers().end <= MOST && model.keys().all(|at| slab.numbers().contains(at)));
            }
            prop_assert!(slab.all().eq(model.iter().map(|(at, count)| (*at, count))));
            let free = (0..MOST).find(|at| !model.contains_key(at)).ok_or(Errno::ENFILE);
            prop_assert_eq!(slab.reserve(Errno::ENFILE), free);
        }
    }

    /// As its owner does: whenever places came into use, the memory for more of them.
    fn feed(slab: &mut Slab<u64>, is_fed: bool) -> Option<usize> {
        let growth = slab.growth().filter(|_| is_fed);
        growth.map(|(places, bytes)| {
            assert_eq!(bytes, places * size_of::<Option<u64>>());
            slab.enlarge(places);
            assert_eq!(slab.growth(), None);
            places
        })
    }

    #[test]
    fn table_asks_for_its_growth_before_it_needs_it_whatever_comes_at_once() {
        for at_once in [1, 2, 3, 5, AHEAD] {
            let (mut slab, mut said) = (Slab::new(1024), Vec::new());
            for count in (0..1024).step_by(at_once) {
                let before = slab.capacity();
                (count..(count + at_once).min(1024))
                    .for_each(|at| assert_eq!(slab.insert(0, 7, Errno::ENFILE), Ok(at)));
                assert!(slab.capacity() <= before.max(FEW), "{count}: the table grew by itself");
                said.extend(feed(&mut slab, true));
                // One thing goes and another comes: that is no growth.
                slab.take(0);
                assert!(slab.insert(0, 7, Errno::ENFILE).is_ok());
                assert!(!slab.is_grown());
            }
            assert_eq!(said, [128, 256, 512, 1024], "{at_once}");
            assert_eq!(slab.insert(0, 7, Errno::ENFILE), Err(Errno::ENFILE));
        }
    }

    #[test]
    fn growth_that_failed_is_asked_for_again() {
        let mut slab = Slab::new(1024);
        for at in 0..100 {
            assert_eq!(slab.insert(0, 7, Errno::ENFILE), Ok(at));
            // Nobody has memory to give until then.
            assert_eq!(feed(&mut slab, false), None);
        }
        while slab.growth().is_none() {
            assert!(slab.insert(0, 7, Errno::ENFILE).is_ok());
        }
        // So it is if there is no memory for the thing itself: of so many there never is.
        let (mut slab, far) = (Slab::new(usize::MAX), 1 << 59);
        for _ in 0..2 {
            assert_eq!(slab.put(far, 7), Err(Errno::ENOMEM));
            assert_eq!(feed(&mut slab, true), Some(far + 1 + AHEAD));
        }
    }

    #[test]
    fn far_place_asks_for_all_that_is_before_it() {
        let mut slab = Slab::new(1024);
        slab.expect(700);
        assert_eq!(feed(&mut slab, true), Some(701 + AHEAD));
        assert_eq!(slab.put(700, 7), Ok(None));
        assert_eq!(feed(&mut slab, true), None);
        slab.expect(1023);
        assert_eq!(feed(&mut slab, true), Some(1024));
        slab.expect(usize::MAX);
        assert_eq!(feed(&mut slab, true), None, "there is no such place");
    }
}
