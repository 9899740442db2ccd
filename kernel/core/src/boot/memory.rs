//! Arithmetic on physical ranges: gaps between ranges, and cutting ranges into blocks of untyped memory.

use hybrid_abi::object::{UNTYPED_MAX_BITS, UNTYPED_MIN_BITS};

use crate::platform::PhysRange;

const PAGE: u64 = 4096;

/// True if the ranges are page aligned, not empty, sorted and disjoint.
pub(super) fn is_well_formed(ranges: &[PhysRange]) -> bool {
    let aligned = ranges.iter().all(|r| r.start < r.end && (r.start | r.end) & (PAGE - 1) == 0);
    aligned && ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| a.end <= b.start)
}

/// Visits, in ascending order, the parts of `base` that no range of `holes` covers.
pub(super) fn gaps(base: PhysRange, holes: &[&[PhysRange]], mut visit: impl FnMut(PhysRange)) {
    let mut start = base.start;
    while start < base.end {
        let next = holes
            .iter()
            .flat_map(|list| list.iter())
            .filter(|hole| hole.end > start && hole.start < base.end && hole.start < hole.end)
            .min_by_key(|hole| hole.start);
        match next {
            None => {
                visit(PhysRange { start, end: base.end });
                return;
            }
            Some(hole) => {
                if hole.start > start {
                    visit(PhysRange { start, end: hole.start });
                }
                start = hole.end;
            }
        }
    }
}

/// Visits (base, log2 bytes) of the aligned power-of-two blocks that a range consists of, cut greedily from its start.
pub(super) fn blocks(range: PhysRange, mut visit: impl FnMut(u64, u32)) {
    let mut start = range.start;
    while start < range.end {
        let room = range.end.saturating_sub(start);
        let fits = room.checked_ilog2().unwrap_or(0);
        let aligned = if start == 0 { UNTYPED_MAX_BITS } else { start.trailing_zeros() };
        let bits = fits.min(aligned).min(UNTYPED_MAX_BITS);
        if bits >= UNTYPED_MIN_BITS {
            visit(start, bits);
        }
        start = start.saturating_add(1u64 << (bits & 63));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange { start, end }
    }

    #[test]
    fn gaps_of_overlapping_lists_are_disjoint_and_complete() {
        let mut found = Vec::new();
        let holes = [range(0x2000, 0x4000), range(0x6000, 0x7000)];
        let more = [range(0x3000, 0x5000), range(0x9000, 0xb000)];
        gaps(range(0x1000, 0xa000), &[&holes, &more], |gap| found.push(gap));
        assert_eq!(found, [range(0x1000, 0x2000), range(0x5000, 0x6000), range(0x7000, 0x9000)]);
    }

    #[test]
    fn blocks_match_the_measured_device_list_of_qemu_virt() {
        // kernel-abi §10.6, GICv2.
        let ram = [range(0x4000_0000, 0x8000_0000)];
        let gic = [range(0x800_0000, 0x800_1000), range(0x801_0000, 0x801_1000)];
        let mut found = Vec::new();
        gaps(range(0, 1 << 40), &[&ram, &gic], |gap| blocks(gap, |base, bits| found.push((base, bits))));
        let expected = [
            (0x0, 27),
            (0x800_1000, 12),
            (0x800_2000, 13),
            (0x800_4000, 14),
            (0x800_8000, 15),
            (0x801_1000, 12),
            (0x801_2000, 13),
            (0x801_4000, 14),
            (0x801_8000, 15),
            (0x802_0000, 17),
            (0x804_0000, 18),
            (0x808_0000, 19),
            (0x810_0000, 20),
            (0x820_0000, 21),
            (0x840_0000, 22),
            (0x880_0000, 23),
            (0x900_0000, 24),
            (0xa00_0000, 25),
            (0xc00_0000, 26),
            (0x1000_0000, 28),
            (0x2000_0000, 29),
            (0x8000_0000, 31),
            (0x1_0000_0000, 32),
            (0x2_0000_0000, 33),
            (0x4_0000_0000, 34),
            (0x8_0000_0000, 35),
            (0x10_0000_0000, 36),
            (0x20_0000_0000, 37),
            (0x40_0000_0000, 38),
            (0x80_0000_0000, 39),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn malformed_lists_are_seen() {
        assert!(is_well_formed(&[range(0, 0x1000), range(0x1000, 0x2000)]));
        assert!(!is_well_formed(&[range(0x1000, 0x2000), range(0, 0x1000)]));
        assert!(!is_well_formed(&[range(0, 0x1800)]));
        assert!(!is_well_formed(&[range(0x1000, 0x1000)]));
    }
}
