//! Where things are in the kernel's half of the address space; constants and pure arithmetic only.

/// First address of the direct map: physical address 0.
pub const DIRECT_BASE: u64 = 0xffff_0000_0000_0000;
/// Bytes that the direct map can hold: one entry of the root table, 512 GiB.
pub const DIRECT_SIZE: u64 = 1 << 39;
/// Link address of the image; its window is 2 MiB.
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/// Window for device registers, 2 MiB after the image.
pub const DEVICE_BASE: u64 = IMAGE_BASE + 0x20_0000;
/// Bytes of the device window.
pub const DEVICE_SIZE: u64 = 0x20_0000;
/// Window for reading the device tree at boot: at most 2 MiB, at any page.
pub const DEVICE_TREE_BASE: u64 = IMAGE_BASE + 0x40_0000;
/// Bytes of a further core's stack and of the guard page below it.
pub const SECONDARY_STACK: u64 = PAGE_SIZE + 0x8000;
/// Bytes of a page.
pub const PAGE_SIZE: u64 = 4096;

/// The direct map's virtual address of a physical address below [`DIRECT_SIZE`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits on the target; on hosts this is only computed")]
pub const fn direct(physical: u64) -> usize {
    (DIRECT_BASE | physical) as usize
}
