//! Stage-1 translation descriptors of user mappings (Arm ARM D8.3); pure functions, no memory access.

use hybrid_abi::vm::{ATTR_CACHEABLE, ATTR_EXECUTE_NEVER};

use crate::cap::VmRights;

/// Index of device nGnRnE memory in `MAIR_EL1`.
pub const ATTR_INDEX_DEVICE: u64 = 0;
/// Index of normal write-back memory in `MAIR_EL1`.
pub const ATTR_INDEX_NORMAL: u64 = 4;
/// `MAIR_EL1` that the attribute indices mean: nGnRnE, nGnRE, GRE, NC, WB, WT.
pub const MAIR: u64 = 0x0000_aaff_440c_0400;

const VALID: u64 = 1;
/// Bit 1: table at levels 0–2, page at level 3; clear = block.
const TABLE_OR_PAGE: u64 = 2;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const AP_SHIFT: u32 = 6;
const AP_EL0: u64 = 1;
const AP_READ_ONLY: u64 = 2;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
const USER_EXECUTE_NEVER: u64 = 1 << 54;

/// Level of a table: 0 = root, 3 = last.
pub type Level = u32;
/// The last level.
pub const LAST_LEVEL: Level = 3;

/// What an entry of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing is mapped.
    Invalid,
    /// The next table is at this physical address.
    Table(u64),
    /// A block or page at this physical address.
    Leaf {
        /// Physical base.
        base: u64,
        /// What EL0 may do.
        rights: VmRights,
    },
}

/// log2 of the bytes that one entry of a table of this level covers: 39, 30, 21, 12.
#[must_use]
pub const fn covered_bits(level: Level) -> u32 {
    39u32.saturating_sub(level.saturating_mul(9))
}

/// Index of `vaddr` in a table of this level.
#[must_use]
pub const fn index(vaddr: u64, level: Level) -> u64 {
    (vaddr >> covered_bits(level)) & 511
}

/// The descriptor of a next-level table.
#[must_use]
pub const fn table(paddr: u64) -> u64 {
    (paddr & ADDRESS) | TABLE_OR_PAGE | VALID
}

/// The descriptor of a frame, mapped by a table of `level`.
#[must_use]
pub const fn leaf(paddr: u64, level: Level, rights: VmRights, attributes: u64) -> u64 {
    let access = match rights {
        VmRights::ReadWrite => AP_EL0,
        VmRights::ReadOnly => AP_EL0 | AP_READ_ONLY,
        VmRights::KernelOnly => 0,
    };
    let memory = if attributes & ATTR_CACHEABLE != 0 {
        // Inner shareable also on one core: it costs nothing and DMA masters and later cores agree with it.
        (ATTR_INDEX_NORMAL << 2) | INNER_SHAREABLE
    } else {
        ATTR_INDEX_DEVICE << 2
    };
    // Without EL0 access (AP[1] = 0) a page would still be executable at EL0: kernel-only must say so.
    let is_executable = attributes & ATTR_EXECUTE_NEVER == 0 && !matches!(rights, VmRights::KernelOnly);
    let execute = if is_executable { 0 } else { USER_EXECUTE_NEVER };
    let kind = if level == LAST_LEVEL { TABLE_OR_PAGE } else { 0 };
    (paddr & ADDRESS)
        | execute
        | PRIVILEGED_EXECUTE_NEVER
        | NOT_GLOBAL
        | ACCESSED
        | memory
        | (access << AP_SHIFT)
        | kind
        | VALID
}

/// The table that an entry of a level other than the last leads to.
#[inline]
#[must_use]
pub const fn next_table(entry: u64) -> Option<u64> {
    if entry & (TABLE_OR_PAGE | VALID) == TABLE_OR_PAGE | VALID { Some(entry & ADDRESS) } else { None }
}

/// Whether two valid leaves translate alike and differ at most in what is allowed: such a change needs no break (Arm ARM D8.16.1).
#[must_use]
pub const fn differ_in_access_only(old: u64, new: u64) -> bool {
    (old ^ new) & !(((AP_EL0 | AP_READ_ONLY) << AP_SHIFT) | USER_EXECUTE_NEVER) == 0
}

/// Reads an entry of a table of `level`.
#[must_use]
pub const fn decode(entry: u64, level: Level) -> Entry {
    if entry & VALID == 0 {
        return Entry::Invalid;
    }
    let base = entry & ADDRESS;
    if level != LAST_LEVEL && entry & TABLE_OR_PAGE != 0 {
        return Entry::Table(base);
    }
    let access = (entry >> AP_SHIFT) & 3;
    let rights = if access & AP_EL0 == 0 {
        VmRights::KernelOnly
    } else if access & AP_READ_ONLY == 0 {
        VmRights::ReadWrite
    } else {
        VmRights::ReadOnly
    };
    Entry::Leaf { base, rights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_round_trips_for_every_level_and_right() {
        for level in 1..=LAST_LEVEL {
            for rights in [VmRights::KernelOnly, VmRights::ReadOnly, VmRights::ReadWrite] {
                for attributes in 0..8 {
                    let base = 1u64 << covered_bits(level);
                    let entry = leaf(base, level, rights, attributes);
                    assert_eq!(decode(entry, level), Entry::Leaf { base, rights });
                }
            }
        }
    }

    #[test]
    fn leaf_bits_are_those_of_the_architecture() {
        let page = leaf(0x4000_1000, 3, VmRights::ReadWrite, ATTR_CACHEABLE);
        assert_eq!(page, 0x4000_1000 | (1 << 53) | (1 << 11) | (1 << 10) | (3 << 8) | (1 << 6) | (4 << 2) | 3);
        let device = leaf(0x900_0000, 3, VmRights::ReadOnly, ATTR_EXECUTE_NEVER);
        assert_eq!(device, 0x900_0000 | (3 << 53) | (1 << 11) | (1 << 10) | (3 << 6) | 3);
        let hidden = leaf(0x20_0000, 2, VmRights::KernelOnly, ATTR_CACHEABLE);
        assert_eq!((hidden & 0xc3, hidden & USER_EXECUTE_NEVER), (1, USER_EXECUTE_NEVER));
    }

    #[test]
    fn table_decodes_only_above_the_last_level() {
        assert_eq!(decode(table(0x5000), 0), Entry::Table(0x5000));
        assert!(matches!(decode(table(0x5000), 3), Entry::Leaf { base: 0x5000, .. }));
        assert_eq!(decode(0, 1), Entry::Invalid);
    }

    #[test]
    fn index_covers_the_edges_of_user_space() {
        let top = hybrid_abi::vm::USER_TOP;
        assert_eq!([index(top, 0), index(top, 1), index(top, 2), index(top, 3)], [255, 511, 511, 511]);
        assert_eq!([covered_bits(0), covered_bits(1), covered_bits(2), covered_bits(3)], [39, 30, 21, 12]);
        assert_eq!(index(0, 0), 0);
    }
}
