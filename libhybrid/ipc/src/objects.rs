//! A server's live resource objects, with a quota per client; knows no resource.
use crate::badge::ClientId;
use alloc::collections::BTreeMap;

/// Object numbers of one kind: the low 12 bits of the object part of the badge, from 1.
const NUMBERS_PER_KIND: u16 = 0x0fff;
const KIND_SHIFT: u32 = 12;

/// The live objects of one resource type of one provided interface.
///
/// Numbers are handed out in a circle, so a number is reused only after 4094 others: a handle of a closed object is
/// [`Refusal::Stale`](crate::Refusal::Stale) for long. A client can only reach its own objects.
///
/// # Invariants
/// INV-OBJ-1: no client has more than `per_client` objects. INV-OBJ-2: every number is in 1..=4095.
#[derive(Debug)]
pub struct Objects<T> {
    kind: u16,
    per_client: u16,
    last: u16,
    live: BTreeMap<u16, (ClientId, T)>,
}

impl<T> Objects<T> {
    /// An empty table for the resource type numbered `kind` (0–15) with a quota of `per_client`.
    #[must_use]
    pub const fn new(kind: u8, per_client: u16) -> Self {
        // The kind is the top four bits of the object part.
        Self { kind: u16::from_le_bytes([0, kind << 4]), per_client, last: 0, live: BTreeMap::new() }
    }

    /// Whether the badge's object part names an object of this kind.
    #[must_use]
    pub const fn is_kind_of(&self, object: u16) -> bool {
        object >> KIND_SHIFT == self.kind >> KIND_SHIFT
    }

    /// Whether `client` may have one more.
    #[must_use]
    pub fn has_room(&self, client: ClientId) -> bool {
        self.count(client) < usize::from(self.per_client) && self.live.len() < usize::from(NUMBERS_PER_KIND)
    }

    /// How many `client` has.
    #[must_use]
    pub fn count(&self, client: ClientId) -> usize {
        self.live.values().filter(|(owner, _)| *owner == client).count()
    }

    /// Keeps `value` for `client` and returns the object part of its badge; `None` beyond the quota.
    pub fn insert(&mut self, client: ClientId, value: T) -> Option<u16> {
        if !self.has_room(client) {
            return None;
        }
        let number = self.free_number()?;
        self.last = number;
        self.live.insert(number, (client, value));
        Some(self.kind | number)
    }

    /// The object, if it is live and of `client`.
    pub fn find(&mut self, object: u16, client: ClientId) -> Option<&mut T> {
        let (owner, value) = self.live.get_mut(&self.number(object)?)?;
        (*owner == client).then_some(value)
    }

    /// Takes the object out, if it is live and of `client`.
    pub fn close(&mut self, object: u16, client: ClientId) -> Option<T> {
        self.find(object, client)?;
        let number = self.number(object)?;
        self.live.remove(&number).map(|(_, value)| value)
    }

    /// Drops all objects of a client, for example when it died.
    pub fn close_client(&mut self, client: ClientId) {
        self.live.retain(|_, (owner, _)| *owner != client);
    }

    /// All live objects, in the order of their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ClientId, &mut T)> {
        self.live.values_mut().map(|(owner, value)| (*owner, value))
    }

    fn number(&self, object: u16) -> Option<u16> {
        self.is_kind_of(object).then_some(object & NUMBERS_PER_KIND)
    }

    fn free_number(&self) -> Option<u16> {
        let after = self.last.saturating_add(1)..=NUMBERS_PER_KIND;
        after.chain(1..=self.last).find(|number| !self.live.contains_key(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientId = ClientId::of(1);
    const B: ClientId = ClientId::of(2);

    #[test]
    fn objects_beyond_the_quota_are_refused_per_client() {
        let mut objects = Objects::new(0, 2);
        assert!(objects.insert(A, 'a').is_some() && objects.insert(A, 'b').is_some());
        assert_eq!(objects.insert(A, 'c'), None);
        assert!(objects.insert(B, 'd').is_some());
        objects.close_client(A);
        assert!(objects.has_room(A));
        assert_eq!(objects.count(B), 1);
    }

    #[test]
    fn object_of_another_client_or_kind_is_not_found() {
        let mut objects = Objects::new(3, 2);
        let object = objects.insert(A, 'a').expect("room");
        assert_eq!(object, 0x3001);
        assert_eq!(objects.find(object, A), Some(&mut 'a'));
        assert_eq!(objects.find(object, B), None);
        assert_eq!(objects.find(0x0001, A), None);
        assert_eq!(objects.close(object, B), None);
        assert_eq!(objects.close(object, A), Some('a'));
        assert_eq!(objects.close(object, A), None);
    }

    #[test]
    fn object_numbers_are_reused_last() {
        let mut objects = Objects::new(0, 4);
        let first = objects.insert(A, 0).expect("room");
        objects.close(first, A);
        for round in 1..4095 {
            let object = objects.insert(A, round).expect("room");
            assert_ne!(object, first, "after {round}");
            objects.close(object, A);
        }
        assert_eq!(objects.insert(A, 0), Some(first));
    }
}
