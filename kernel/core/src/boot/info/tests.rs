//! The list of untyped memory on machines of many sizes, as QEMU's `virt` lays them out; without a machine.

use super::{each_block, smallest_listed};
use crate::boot::{BootParameters, PAGE, boot_block};
use crate::platform::PhysRange;
use hybrid_abi::limits::BOOT_UNTYPED_CAPS;
use hybrid_abi::object::UNTYPED_MIN_BITS;

const RAM_START: u64 = 0x4000_0000;
const MIB: u64 = 1 << 20;
const DEVICE_TOP: u64 = 1 << 40;

fn range(start: u64, bytes: u64) -> PhysRange {
    PhysRange { start, end: start + bytes }
}

/// One core, no device tree, nothing to be used again after boot.
fn parameters<'a>(ram: &'a [PhysRange], reserved: &'a [PhysRange], image: PhysRange) -> BootParameters<'a> {
    BootParameters {
        ram,
        reserved,
        recycled: &[],
        image,
        image_vaddr: 0x40_0000,
        entry: 0x40_0000,
        device_tree: None,
        device_top: DEVICE_TOP,
        cores: 1,
        root_cnode_bits: 12,
    }
}

/// Base, log2 bytes, and whether it is device memory.
type Block = (u64, u32, bool);

/// The list of a machine with so much RAM and a root task of so many bytes, and the memory that boot objects take.
fn list(ram_bytes: u64, image_bytes: u64) -> (Vec<Block>, PhysRange, u32) {
    let ram = [range(RAM_START, ram_bytes)];
    // QEMU puts the initial RAM disk in the middle, at 128 MiB at most, and the device tree behind it; the image is copied elsewhere.
    let tree = RAM_START + (ram_bytes / 2).min(128 * MIB);
    let image = range(RAM_START + 4 * MIB, image_bytes);
    let reserved = [
        range(0x800_0000, PAGE),
        range(0x801_0000, PAGE),
        range(RAM_START + 2 * MIB, 160 << 10),
        image,
        range(tree, 2 * PAGE),
    ];
    let recycled = [range(RAM_START + 2 * MIB, 4 * PAGE)];
    let parameters = BootParameters { recycled: &recycled, ..parameters(&ram, &reserved, image) };
    let taken = boot_block(&parameters, 60 * PAGE + (128 << 10), 128 << 10).expect("no room for the boot objects");
    let mut blocks = Vec::new();
    each_block(&parameters, taken, |base, bits, is_device| blocks.push((base, bits, is_device)));
    (blocks, taken, smallest_listed(&parameters, taken))
}

/// Everything that kernel-abi §10.6 promises, on machines of 128 MiB to 8 GiB and with root tasks of 100 KiB to 64 MiB.
#[test]
fn untyped_memory_of_every_size_of_machine_is_listed() {
    for ram_mib in [128, 192, 256, 512, 1000, 1024, 2048, 3072, 4096, 6144, 8192] {
        for image_bytes in [25 * PAGE, 8 * MIB, 48 * MIB + PAGE] {
            let (blocks, taken, smallest) = list(ram_mib * MIB, image_bytes);
            let case = format!("{ram_mib} MiB, root task of {image_bytes} bytes");
            assert!(blocks.len() <= BOOT_UNTYPED_CAPS, "{case}: {} blocks", blocks.len());
            assert_eq!(smallest, UNTYPED_MIN_BITS, "{case}: blocks are lost");
            check_blocks(&blocks, RAM_START + ram_mib * MIB, &case);
            let free: u64 = blocks.iter().filter(|block| !block.2).map(|block| 1 << block.1).sum();
            let used = image_bytes + (taken.end - taken.start) + (160 << 10) - 4 * PAGE + 2 * PAGE;
            assert_eq!(free, ram_mib * MIB - used, "{case}: memory is missing");
            assert!(blocks.iter().any(|block| !block.2 && block.1 >= 24), "{case}: no large block");
        }
    }
}

/// Devices before memory, each part ascending; blocks aligned and disjoint; RAM is no device, and the UART is one.
fn check_blocks(blocks: &[Block], ram_end: u64, case: &str) {
    let devices = blocks.iter().take_while(|block| block.2).count();
    assert!(blocks[devices..].iter().all(|block| !block.2), "{case}: a device behind memory");
    for (base, bits, is_device) in blocks {
        let end = base + (1 << bits);
        assert_eq!(base & ((1 << bits) - 1), 0, "{case}: {base:#x} is not aligned");
        let is_ram = *base >= RAM_START && end <= ram_end;
        assert!(is_ram != *is_device && (is_ram || end <= RAM_START || *base >= ram_end), "{case}: {base:#x}");
    }
    let mut sorted = blocks.to_vec();
    sorted.sort_unstable();
    assert!(sorted.windows(2).all(|pair| pair[0].0 + (1 << pair[0].1) <= pair[1].0), "{case}: blocks overlap");
    assert!(blocks[..devices].is_sorted() && blocks[..devices].contains(&(0x900_0000, 24, true)), "{case}: devices");
}

/// A list that is too long loses the smallest blocks first, and says from which size on it has all of them.
#[test]
fn a_list_that_is_too_long_loses_the_smallest_blocks() {
    let ram = [range(RAM_START, 512 * MIB)];
    let reserved: Vec<PhysRange> = (0..200).map(|n| range(RAM_START + (4 * n + 1) * PAGE, PAGE)).collect();
    let parameters = parameters(&ram, &reserved, range(RAM_START, PAGE));
    let taken = range(RAM_START + 511 * MIB, MIB);
    let mut sizes = Vec::new();
    each_block(&parameters, taken, |_, bits, _| sizes.push(bits));
    assert!(sizes.len() > BOOT_UNTYPED_CAPS);
    let smallest = smallest_listed(&parameters, taken);
    let fitting = |bits: u32| sizes.iter().filter(|size| **size >= bits).count();
    assert!(fitting(smallest) <= BOOT_UNTYPED_CAPS && fitting(smallest - 1) > BOOT_UNTYPED_CAPS);
}
