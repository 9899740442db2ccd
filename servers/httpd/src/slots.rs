//! A bounded table with reusable places; in no order to rely on.

use alloc::vec::Vec;

/// Names one entry: the place in the low half, its generation in the high half; an old key of a reused place finds nothing.
pub(crate) type Key = u32;

/// At most `limit` entries.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u16>,
    limit: u16,
}

#[derive(Debug)]
struct Place<T> {
    generation: u16,
    entry: Option<T>,
}

impl<T> Slots<T> {
    /// An empty table; memory is taken as entries come, and kept.
    pub(crate) fn new(limit: u16) -> Self {
        Slots { places: Vec::new(), free: Vec::new(), limit }
    }

    /// Entries now.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether no entry fits.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= usize::from(self.limit)
    }

    /// Stores an entry; gives it back if the table is full.
    pub(crate) fn insert(&mut self, entry: T) -> Result<Key, T> {
        let place = match self.free.pop() {
            Some(place) => place,
            None => match u16::try_from(self.places.len()) {
                Ok(place) if place < self.limit => {
                    self.places.push(Place { generation: 0, entry: None });
                    place
                }
                _ => return Err(entry),
            },
        };
        let slot = &mut self.places[usize::from(place)];
        slot.generation = slot.generation.wrapping_add(1);
        slot.entry = Some(entry);
        Ok(u32::from(slot.generation) << 16 | u32::from(place))
    }

    fn place(key: Key) -> (usize, u16) {
        let [low, high] = [key & 0xffff, key >> 16];
        (low as usize, u16::try_from(high).unwrap_or(0))
    }

    /// The entry of `key`.
    pub(crate) fn find(&mut self, key: Key) -> Option<&mut T> {
        let (place, generation) = Self::place(key);
        self.places.get_mut(place).filter(|slot| slot.generation == generation)?.entry.as_mut()
    }

    /// The entry of `key`, to read.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let (place, generation) = Self::place(key);
        self.places.get(place).filter(|slot| slot.generation == generation)?.entry.as_ref()
    }

    /// Takes the entry out for good.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let (place, generation) = Self::place(key);
        let entry = self.places.get_mut(place).filter(|slot| slot.generation == generation)?.entry.take()?;
        // `place` came out of a u16.
        self.free.push(u16::try_from(place).unwrap_or(0));
        Some(entry)
    }

    /// Takes the entry out for the time of one operation; its place stays reserved until `put_back` or `forget`.
    pub(crate) fn lend(&mut self, key: Key) -> Option<T> {
        let (place, generation) = Self::place(key);
        self.places.get_mut(place).filter(|slot| slot.generation == generation)?.entry.take()
    }

    /// Ends a `lend`.
    pub(crate) fn put_back(&mut self, key: Key, entry: T) {
        if let Some(slot) = self.places.get_mut(Self::place(key).0) {
            slot.entry = Some(entry);
        }
    }

    /// Ends a `lend` whose entry is gone.
    pub(crate) fn forget(&mut self, key: Key) {
        self.free.push(u16::try_from(Self::place(key).0).unwrap_or(0));
    }

    /// All entries with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().zip(0u32..).filter_map(|(slot, place)| {
            slot.entry.as_ref().map(|entry| (u32::from(slot.generation) << 16 | place, entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn slots_old_keys_find_nothing() {
        let mut slots = Slots::new(2);
        let first = slots.insert('a').expect("room");
        let second = slots.insert('b').expect("room");
        assert_eq!((slots.insert('c'), slots.is_full()), (Err('c'), true));
        assert_eq!(slots.remove(first), Some('a'));
        assert_eq!(slots.remove(first), None);
        let third = slots.insert('d').expect("room");
        assert_ne!(first, third);
        assert_eq!(
            (slots.get(first), slots.get(third).copied(), slots.get(second).copied()),
            (None, Some('d'), Some('b'))
        );
        assert_eq!(slots.lend(third), Some('d'));
        assert_eq!((slots.get(third), slots.len()), (None, 2));
        slots.put_back(third, 'e');
        assert_eq!(slots.iter().map(|(_, entry)| *entry).collect::<Vec<_>>(), ['e', 'b']);
        assert_eq!(slots.lend(second), Some('b'));
        slots.forget(second);
        assert_eq!((slots.get(second), slots.len()), (None, 1));
        assert_eq!(slots.find(0xffff_ffff), None);
    }
}
