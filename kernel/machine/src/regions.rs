//! Sets of physical address ranges; pure arithmetic, owns no memory.
//!
//! A [`RegionSet`] is a bounded, sorted list of disjoint, non-adjacent, non-empty half-open ranges (INV-REGION-1). Firmware
//! tables are hostile input: every operation saturates or reports [`Full`], and none panics.

/// The half-open range of addresses `[start, end)`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address after the range.
    pub end: u64,
}

impl Range {
    /// The range of `size` bytes from `start`; cut at the end of the address space.
    pub const fn of_size(start: u64, size: u64) -> Self {
        Self { start, end: start.saturating_add(size) }
    }

    /// Number of bytes; 0 for an inverted range.
    pub const fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether no byte is in the range.
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether `other` lies completely inside.
    pub const fn contains(&self, other: &Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The common part, possibly empty.
    pub fn intersection(&self, other: &Range) -> Range {
        Range { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// The largest page-aligned range inside; for memory that may be used.
    pub fn shrunk_to_pages(&self) -> Range {
        let start = match self.start.checked_add(PAGE - 1) {
            Some(sum) => sum & !(PAGE - 1),
            None => return Range { start: 0, end: 0 },
        };
        Range { start, end: self.end & !(PAGE - 1) }
    }

    /// The smallest page-aligned range around; for memory that must not be used.
    pub fn grown_to_pages(&self) -> Range {
        let end = match self.end.checked_add(PAGE - 1) {
            Some(sum) => sum & !(PAGE - 1),
            None => !(PAGE - 1),
        };
        Range { start: self.start & !(PAGE - 1), end }
    }
}

/// The set cannot hold another range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A bounded set of addresses; see the module text for its invariant.
#[derive(Clone, Debug)]
pub struct RegionSet<const N: usize> {
    ranges: [Range; N],
    count: usize,
}

impl<const N: usize> Default for RegionSet<N> {
    fn default() -> Self {
        Self { ranges: [Range { start: 0, end: 0 }; N], count: 0 }
    }
}

impl<const N: usize> RegionSet<N> {
    /// The ranges, ascending.
    pub fn as_slice(&self) -> &[Range] {
        self.ranges.get(..self.count).unwrap_or(&[])
    }

    /// Number of bytes in the set.
    pub fn size(&self) -> u64 {
        self.as_slice().iter().fold(0, |sum: u64, range| sum.saturating_add(range.size()))
    }

    /// Whether all of `range` is in the set.
    pub fn contains(&self, range: &Range) -> bool {
        range.is_empty() || self.as_slice().iter().any(|own| own.contains(range))
    }

    /// Adds a range, merging what overlaps or touches.
    ///
    /// # Errors
    /// [`Full`] if it would need one more entry than there is; the set is then unchanged.
    pub fn insert(&mut self, new: Range) -> Result<(), Full> {
        if new.is_empty() {
            return Ok(());
        }
        let touching = |own: &&Range| own.end >= new.start && own.start <= new.end;
        let merged = self
            .as_slice()
            .iter()
            .filter(touching)
            .fold(new, |sum, own| Range { start: sum.start.min(own.start), end: sum.end.max(own.end) });
        self.replace(|own| own.end < new.start, [merged, Range::default()], |own| own.start > new.end)
    }

    /// Removes a range.
    ///
    /// # Errors
    /// [`Full`] if cutting a hole would need one more entry than there is; the set is then unchanged.
    pub fn remove(&mut self, hole: Range) -> Result<(), Full> {
        if hole.is_empty() {
            return Ok(());
        }
        let is_cut = |own: &&Range| own.start < hole.end && own.end > hole.start;
        let (first, last) = (self.as_slice().iter().find(is_cut), self.as_slice().iter().rfind(is_cut));
        let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
        let rest = [Range { start: first.start, end: hole.start }, Range { start: hole.end, end: last.end }];
        self.replace(|own| own.end <= hole.start, rest, |own| own.start >= hole.end)
    }

    /// Keeps the ranges that are `below` and `above`, with `between` (as far as it is not empty) instead of what is between them.
    fn replace(
        &mut self,
        below: impl Fn(&Range) -> bool,
        between: [Range; 2],
        above: impl Fn(&Range) -> bool,
    ) -> Result<(), Full> {
        let mut result = Self::default();
        let own = || self.as_slice().iter();
        let between = between.iter().filter(|range| !range.is_empty());
        for range in own().filter(|range| below(range)).chain(between).chain(own().filter(|range| above(range))) {
            *result.ranges.get_mut(result.count).ok_or(Full)? = *range;
            result.count += 1;
        }
        *self = result;
        Ok(())
    }

    /// Takes `size` bytes aligned to `alignment` (a power of two) from the highest place that has room.
    ///
    /// Returns the start address; `None` if there is no room, or no entry left to record the rest.
    pub fn take_from_end(&mut self, size: u64, alignment: u64) -> Option<u64> {
        if size == 0 || !alignment.is_power_of_two() {
            return None;
        }
        let start = self.as_slice().iter().rev().find_map(|own| {
            let start = own.end.checked_sub(size)? & !(alignment - 1);
            (start >= own.start).then_some(start)
        })?;
        self.remove(Range::of_size(start, size)).ok()?;
        Some(start)
    }
}

const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u64, u64)]) -> RegionSet<8> {
        let mut set = RegionSet::default();
        for &(start, end) in ranges {
            set.insert(Range { start, end }).unwrap();
        }
        set
    }

    #[test]
    fn insert_of_touching_ranges_merges() {
        assert_eq!(set(&[(0, 4), (8, 12), (4, 8)]).as_slice(), &[Range { start: 0, end: 12 }]);
    }

    #[test]
    fn insert_into_full_set_reports_and_keeps() {
        let mut set: RegionSet<1> = RegionSet::default();
        set.insert(Range { start: 0, end: 1 }).unwrap();
        assert_eq!(set.insert(Range { start: 5, end: 6 }), Err(Full));
        assert_eq!(set.as_slice().len(), 1);
    }

    #[test]
    fn take_from_end_honours_alignment() {
        let mut set = set(&[(0x1000, 0x2000), (0x4000, 0x5800)]);
        assert_eq!(set.take_from_end(0x1000, 0x1000), Some(0x4000));
        assert_eq!(set.take_from_end(0x1000, 0x1000), Some(0x1000));
        assert_eq!(set.take_from_end(0x1000, 0x1000), None);
    }

    #[test]
    fn pages_at_the_end_of_the_address_space_do_not_wrap() {
        let end = Range { start: u64::MAX - 5, end: u64::MAX };
        assert!(end.shrunk_to_pages().is_empty());
        assert_eq!(end.grown_to_pages().start, !4095);
    }

    proptest! {
        #[test]
        fn any_sequence_equals_a_bitmap(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..64), 0..24)) {
            let mut set: RegionSet<40> = RegionSet::default();
            let mut map = [false; 64];
            for (add, a, b) in steps {
                let range = Range { start: a.min(b), end: a.max(b) };
                if add { set.insert(range).unwrap() } else { set.remove(range).unwrap() }
                for (bit, is_member) in (0u64..).zip(&mut map) {
                    *is_member = if (range.start..range.end).contains(&bit) { add } else { *is_member };
                    prop_assert_eq!(set.contains(&Range { start: bit, end: bit + 1 }), *is_member);
                }
                prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
