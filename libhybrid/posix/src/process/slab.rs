//! Numbered places for things that come and go, at most so many; what is in them is nobody's business here.
use crate::number::Errno;
use alloc::vec::Vec;

/// Places by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    most: usize,
    /// No place below this one is free.
    free_from: usize,
}

impl<T> Slab<T> {
    /// None yet, and at most `most` at once.
    pub(super) const fn new(most: usize) -> Self {
        Self { places: Vec::new(), most, free_from: 0 }
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

    /// All numbers that may have a thing.
    pub(super) fn numbers(&self) -> core::ops::Range<usize> {
        0..self.places.len()
    }

    /// All things with their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &T)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.as_ref()?)))
    }

    /// All things with their numbers, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.places.iter_mut().enumerate().filter_map(|(at, place)| Some((at, place.as_mut()?)))
    }
}
