//! Numbered places for things that come and go, at most so many; what is in them is nobody's business here.
use crate::number::Errno;
use alloc::vec::Vec;

/// Places for which there is memory from the start.
const FEW: usize = 64;

/// Places by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    most: usize,
    /// No place below this one is free.
    free_from: usize,
    /// The capacity for which it was said what more takes.
    told: usize,
}

impl<T> Slab<T> {
    /// None yet, and at most `most` at once.
    pub(super) const fn new(most: usize) -> Self {
        Self { places: Vec::new(), most, free_from: 0, told: 0 }
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

    /// Bytes that the table takes when the next thing comes, said once for each time that it grows; 0 if there is a place for it, or if there is
    /// memory for so few.
    pub(super) fn need(&mut self) -> usize {
        let (length, capacity) = (self.places.len(), self.places.capacity());
        if length < capacity.max(FEW) || capacity >= self.most || self.told == capacity {
            return 0;
        }
        self.told = capacity;
        2 * capacity * size_of::<Option<T>>()
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

    #[test]
    fn table_says_once_what_its_growth_takes() {
        let mut slab = Slab::new(1024);
        let mut said = 0;
        for count in 0..1024_u64 {
            assert!(slab.insert(0, count, Errno::ENFILE).is_ok());
            let need = slab.need();
            // One thing goes and another comes: that is no growth.
            slab.take(0);
            assert!(slab.insert(0, count, Errno::ENFILE).is_ok());
            assert_eq!(slab.need(), 0);
            if need > 0 {
                assert!(count + 1 >= FEW as u64 && need == 2 * slab.places.capacity() * size_of::<Option<u64>>());
                said += 1;
            }
        }
        assert_eq!(said, 4, "from 64, 128, 256 and 512 on");
    }
}
