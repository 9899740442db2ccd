//! Constants of user address spaces: range, attributes, depths.

/// Highest user virtual address.
pub const USER_TOP: u64 = 0x0000_7fff_ffff_ffff;
/// Attribute: normal write-back memory; without it, device memory.
pub const ATTR_CACHEABLE: u64 = 1;
/// Attribute: ignored.
pub const ATTR_PARITY: u64 = 2;
/// Attribute: not executable.
pub const ATTR_EXECUTE_NEVER: u64 = 4;
/// What libraries pass by default.
pub const ATTR_DEFAULT: u64 = 3;
/// Address bits left where a level-1 table is missing (reported by a failed mapping call).
pub const BITS_LEFT_NO_LEVEL_1: u64 = 39;
/// Address bits left where a level-2 table is missing.
pub const BITS_LEFT_NO_LEVEL_2: u64 = 30;
/// Address bits left where a level-3 table is missing.
pub const BITS_LEFT_NO_LEVEL_3: u64 = 21;
