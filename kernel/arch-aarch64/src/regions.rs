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
        Self::new()
    }
}

impl<const N: usize> RegionSet<N> {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: [Range { start: 0, end: 0 }; N], count: 0 }
    }

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
        let mut merged = new;
        let mut result = Self::new();
        for own in self.as_slice() {
            if own.end < new.start || own.start > new.end {
                continue;
            }
            merged = Range { start: merged.start.min(own.start), end: merged.end.max(own.end) };
        }
        let below = self.as_slice().iter().filter(|own| own.end < new.start);
        let above = self.as_slice().iter().filter(|own| own.start > new.end);
        for range in below.chain(core::iter::once(&merged)).chain(above) {
            result.append(*range)?;
        }
        *self = result;
        Ok(())
    }

    /// Removes a range.
    ///
    /// # Errors
    /// [`Full`] if cutting a hole would need one more entry than there is; the set is then unchanged.
    pub fn remove(&mut self, hole: Range) -> Result<(), Full> {
        if hole.is_empty() {
            return Ok(());
        }
        let mut result = Self::new();
        for own in self.as_slice() {
            let below = Range { start: own.start, end: own.end.min(hole.start) };
            let above = Range { start: own.start.max(hole.end), end: own.end };
            for part in [below, above] {
                if !part.is_empty() {
                    result.append(part)?;
                }
            }
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

    fn append(&mut self, range: Range) -> Result<(), Full> {
        *self.ranges.get_mut(self.count).ok_or(Full)? = range;
        self.count += 1;
        Ok(())
    }
}

const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u64, u64)]) -> RegionSet<8> {
        let mut set = RegionSet::new();
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
        let mut set: RegionSet<1> = RegionSet::new();
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
            let mut set: RegionSet<40> = RegionSet::new();
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
