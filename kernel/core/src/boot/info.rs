//! Writing boot info, its extra blocks, and the list of untyped memory (kernel-abi §10.1, §10.5, §10.6).

use core::cell::Cell;

use hybrid_abi::bootinfo::{EXTRA_DEVICE_TREE, word};
use hybrid_abi::extension::BOOT_BLOCK_ID;
use hybrid_abi::limits::BOOT_UNTYPED_CAPS;
use hybrid_abi::object::{UNTYPED_MAX_BITS, UNTYPED_MIN_BITS};

use crate::boot::memory::{blocks, gaps};
use crate::boot::{BootError, BootParameters, Layout, PAGE, Slots};
use crate::cap::Cap;
use crate::kernel::Kernel;
use crate::platform::{PhysRange, Platform};

const HEADER_BYTES: u64 = 16;
const PLATFORM_BLOCK_BYTES: u64 = HEADER_BYTES + 16;

/// A region of slots, first and first after, and where boot info has it.
pub(super) type Region = (usize, (u64, u64));

/// Bytes of all extra blocks.
pub(super) fn extra_len(parameters: &BootParameters<'_>) -> u64 {
    let tree = parameters.device_tree.map_or(0, |(_, bytes)| bytes.saturating_add(HEADER_BYTES));
    PLATFORM_BLOCK_BYTES.saturating_add(tree)
}

impl<P: Platform> Kernel<P> {
    pub(super) fn write_boot_info(&self, frame: u64, layout: &Layout, regions: &[Region]) {
        let words: &[Cell<u64>; 512] = self.platform.words(frame);
        let put = |at: usize, value: u64| {
            if let Some(cell) = words.get(at) {
                cell.set(value);
            }
        };
        put(word::EXTRA_LEN, layout.extra_len);
        put(word::NUM_NODES, self.core_count.get() as u64);
        put(word::IPC_BUFFER, layout.ipc_buffer);
        put(word::CNODE_BITS, u64::from(layout.cnode_bits));
        for (at, (first, end)) in regions {
            put(*at, *first);
            put(at.wrapping_add(1), *end);
        }
    }

    /// Inserts all untyped capabilities and describes them: device memory, recycled, free.
    pub(super) fn insert_untyped(
        &self,
        parameters: &BootParameters<'_>,
        block: PhysRange,
        slots: &mut Slots,
        boot_info: u64,
    ) -> Result<(), BootError> {
        let words: &[Cell<u64>; 512] = self.platform.words(boot_info);
        let smallest = smallest_listed(parameters, block);
        let mut at = word::UNTYPED_LIST;
        let mut result = Ok(());
        let mut lost = 0u64;
        each_block(parameters, block, |base, bits, is_device| {
            let bytes = 1u64.unbounded_shl(bits);
            if bits < smallest {
                lost = lost.saturating_add(if is_device { 0 } else { bytes });
                return;
            }
            match slots.take() {
                Ok(slot) => {
                    let size_bits = u8::try_from(bits).unwrap_or(0);
                    self.insert_root(slot, Cap::Untyped { base, bits: size_bits, is_device, watermark: bytes });
                }
                Err(error) => result = Err(error),
            }
            let description = [base, u64::from(bits) | (u64::from(is_device) << 8)];
            for (cell, value) in words.iter().skip(at).zip(description) {
                cell.set(value);
            }
            at = at.wrapping_add(2);
        });
        self.lost_memory.set(lost);
        result
    }

    /// Writes the extra blocks: the slots of the Platform and Audit capabilities, then the device tree (without padding behind it).
    pub(super) fn write_extra(&self, frames: u64, parameters: &BootParameters<'_>, [platform, audit]: [u64; 2]) {
        let put = |offset: u64, value: u64| {
            let [word] = self.platform.words::<1>(frames.wrapping_add(offset));
            word.set(value);
        };
        put(0, BOOT_BLOCK_ID);
        put(8, PLATFORM_BLOCK_BYTES);
        put(16, platform);
        put(24, audit);
        let Some((tree, bytes)) = parameters.device_tree else { return };
        put(PLATFORM_BLOCK_BYTES, EXTRA_DEVICE_TREE);
        put(PLATFORM_BLOCK_BYTES + 8, bytes.saturating_add(HEADER_BYTES));
        let start = PLATFORM_BLOCK_BYTES + HEADER_BYTES;
        for offset in (0..bytes).step_by(8) {
            let [word] = self.platform.words::<1>(tree.wrapping_add(offset));
            let left = bytes.saturating_sub(offset);
            let value = if left < 8 { word.get() & !(u64::MAX << left.wrapping_mul(8)) } else { word.get() };
            put(start.wrapping_add(offset), value);
        }
        // Bytes 4 to 7 are the total size, big endian: it may have counted padding that was not copied.
        let [head] = self.platform.words::<1>(tree);
        let size = u32::try_from(bytes).unwrap_or(u32::MAX).swap_bytes();
        put(start, (head.get() & 0xffff_ffff) | (u64::from(size) << 32));
    }
}

/// Visits every block of untyped memory, in the order of the list.
fn each_block(parameters: &BootParameters<'_>, taken: PhysRange, mut visit: impl FnMut(u64, u32, bool)) {
    let everything = [PhysRange { start: 0, end: parameters.device_top }];
    // The first page of memory is never an object (references are not 0).
    let (taken, first_page) = ([taken], [PhysRange { start: 0, end: PAGE }]);
    let lists: [(&[_], &[&[_]], _); 3] = [
        (&everything, &[parameters.ram, parameters.reserved], true),
        (parameters.recycled, &[&first_page], false),
        (parameters.ram, &[parameters.reserved, &taken, &first_page], false),
    ];
    for (ranges, holes, is_device) in lists {
        for range in ranges {
            gaps(*range, holes, |gap| blocks(gap, |base, bits| visit(base, bits, is_device)));
        }
    }
}

/// log2 bytes of the smallest blocks that all fit the list of boot info together with the larger ones.
fn smallest_listed(parameters: &BootParameters<'_>, taken: PhysRange) -> u32 {
    let fits = |smallest: &u32| {
        let mut count = 0usize;
        each_block(parameters, taken, |_, bits, _| {
            count = count.wrapping_add(usize::from(bits >= *smallest));
        });
        count <= BOOT_UNTYPED_CAPS
    };
    (UNTYPED_MIN_BITS..UNTYPED_MAX_BITS).find(fits).unwrap_or(UNTYPED_MAX_BITS)
}

#[cfg(test)]
mod tests;
