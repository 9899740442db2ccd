//! A set of small numbers, a bit for each; what they number is nobody's business here.
use alloc::vec::Vec;

const BITS: usize = 64;

/// The numbers.
#[derive(Debug, Default)]
pub(super) struct Marks {
    words: Vec<u64>,
}

impl Marks {
    /// Takes the memory for all numbers below `most` now. False: there is none.
    pub(super) fn make_room(&mut self, most: usize) -> bool {
        let words = most.div_ceil(BITS);
        let has_room = self.words.try_reserve(words.saturating_sub(self.words.len())).is_ok();
        if has_room && words > self.words.len() {
            self.words.resize(words, 0);
        }
        has_room
    }

    /// Marks one; without room for it nothing is marked.
    pub(super) fn insert(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word |= 1 << (at % BITS);
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word &= !(1 << (at % BITS));
        }
    }

    /// The lowest that is marked, from `from` on.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let below = (1_u64 << (from % BITS)) - 1;
        let masked = |(at, word): (usize, &u64)| (at, if at == from / BITS { *word & !below } else { *word });
        let words = self.words.iter().enumerate().skip(from / BITS).map(masked);
        let mut marked = words.filter(|(_, word)| *word != 0);
        marked.next().and_then(|(at, word)| Some(at * BITS + usize::try_from(word.trailing_zeros()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn marks_are_a_set_of_numbers_below_their_room(
            room in 0..300_usize,
            steps in prop::collection::vec((any::<bool>(), 0..400_usize), 0..200),
        ) {
            let (mut marks, mut model) = (Marks::default(), BTreeSet::new());
            prop_assert!(marks.make_room(room));
            for (is_new, at) in steps {
                if is_new { marks.insert(at) } else { marks.remove(at) }
                match is_new {
                    true if at < room.next_multiple_of(BITS) => _ = model.insert(at),
                    true => {}
                    false => _ = model.remove(&at),
                }
                for from in [0, at, at + 1, usize::MAX] {
                    prop_assert_eq!(marks.next(from), model.range(from..).next().copied());
                }
            }
            prop_assert!(marks.make_room(500));
            marks.insert(499);
            prop_assert_eq!(marks.next(400), Some(499));
            prop_assert!(!marks.make_room(usize::MAX));
        }
    }
}
