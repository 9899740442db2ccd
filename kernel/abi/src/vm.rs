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
