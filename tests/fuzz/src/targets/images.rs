//! What the boot reads: programs and device trees.

use hybrid_capgraph::Program;
use hybrid_kernel_machine::device_tree::{DeviceTree, Machine};
use hybrid_kernel_machine::elf::Executable;
use hybrid_tree_writer::Writer;

/// First address that user space may not have.
const USER_END: u64 = 1 << 47;
const PAGE: u64 = 4096;

/// securityd's ELF reader: what it accepts obeys INV-PROGRAM-1.
pub fn target_program(data: &[u8]) {
    let Ok(program) = Program::parse(data) else { return };
    for segment in &program.segments {
        assert!(segment.data.len() as u64 <= segment.bytes && segment.data.len() <= data.len());
        assert!(segment.address >= 0x40_0000 && segment.address + segment.bytes <= 0x1000_0000);
        assert!(!(segment.is_executable && segment.rights.0 & 1 != 0), "writable and executable");
    }
    let ends = program.segments.iter().map(|segment| segment.first_page() + segment.pages() * PAGE);
    assert!(program.segments.iter().skip(1).zip(ends).all(|(next, end)| end <= next.first_page()), "a shared page");
    assert!(program.pages() <= (0x1000_0000 - 0x40_0000) / PAGE);
}

/// The kernel's ELF reader: the image lies in user space and around every segment.
pub fn target_kernel_elf(data: &[u8]) {
    let Ok(executable) = Executable::try_new(data, USER_END) else { return };
    assert!(executable.start.is_multiple_of(PAGE) && executable.end.is_multiple_of(PAGE));
    assert!(executable.start < executable.end && executable.end <= USER_END);
    let mut has_entry = false;
    for segment in executable.segments() {
        assert!(segment.data.len() as u64 <= segment.size);
        let end = segment.address.checked_add(segment.size).expect("inside of user space");
        assert!(executable.start <= segment.address && end <= executable.end);
        has_entry |= (segment.address..end).contains(&executable.entry);
    }
    assert!(has_entry);
}

/// The kernel's device-tree reader: ranges come sorted, page aligned, and not empty.
pub fn target_device_tree(data: &[u8]) {
    let Ok(tree) = DeviceTree::try_new(data) else { return };
    let _ = (tree.reservations().take(1000).count(), tree.nodes().count());
    let Ok(machine) = Machine::read(&tree).1 else { return };
    for set in [&machine.memory, &machine.reserved] {
        let ranges = set.as_slice();
        assert!(ranges.iter().all(|range| !range.is_empty() && (range.start | range.end) % PAGE == 0), "{ranges:x?}");
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
    }
    assert!(!machine.memory.as_slice().is_empty());
    assert!(machine.initrd.is_none_or(|initrd| initrd.start <= initrd.end));
}

pub(super) fn is_program(data: &[u8]) -> bool {
    Program::parse(data).is_ok()
}

pub(super) fn is_executable(data: &[u8]) -> bool {
    Executable::try_new(data, USER_END).is_ok()
}

pub(super) fn is_machine(data: &[u8]) -> bool {
    DeviceTree::try_new(data).is_ok_and(|tree| Machine::read(&tree).1.is_ok())
}

pub(super) fn programs() -> Vec<Vec<u8>> {
    vec![elf()]
}

/// A small program: an ELF header and two segments, whose bytes follow at once.
pub(super) fn elf() -> Vec<u8> {
    let mut file = vec![0; 64 + 2 * 56 + 32];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 183, 0, 1, 0, 0, 0]);
    put(24, &0x40_00b0_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 2, 0]);
    for (index, flags) in [5_u32, 6].into_iter().enumerate() {
        let (header, place) = (64 + index * 56, 176 + 16 * index as u64);
        put(header, &1_u32.to_le_bytes());
        put(header + 4, &flags.to_le_bytes());
        let address = 0x40_0000 + 0x1000 * index as u64 + place;
        for (at, value) in [(8, place), (16, address), (24, address), (32, 16), (40, 16), (48, 0x1000)] {
            put(header + at, &u64::to_le_bytes(value));
        }
    }
    file
}

pub(super) fn device_trees() -> Vec<Vec<u8>> {
    vec![virt(true), virt(false)]
}

/// A tree like that of QEMU's `virt`, with GICv2 or GICv3.
fn virt(is_gic_v2: bool) -> Vec<u8> {
    let mut tree = Writer::default();
    tree.reserve(0x4700_0000, 0x1000);
    tree.begin("").cells("#address-cells", &[2]).cells("#size-cells", &[2]);
    tree.begin("psci").text("compatible", "arm,psci-1.0\0arm,psci-0.2").text("method", "hvc").end();
    tree.begin("memory@40000000").text("device_type", "memory").cells("reg", &[0, 0x4000_0000, 0, 0x0800_0000]).end();
    tree.begin("reserved-memory").cells("#address-cells", &[2]).cells("#size-cells", &[2]).property("ranges", b"");
    tree.begin("firmware@46000000").cells("reg", &[0, 0x4600_0000, 0, 0x1800]).end().end();
    tree.begin("soc").cells("#address-cells", &[1]).cells("#size-cells", &[1]);
    tree.cells("ranges", &[0x7e00_0000, 0, 0x0900_0000, 0x0100_0000]);
    tree.begin("uart@7e000000").text("compatible", "arm,pl011\0arm,primecell").cells("reg", &[0x7e00_0000, 0x1000]);
    tree.end().end();
    let gic = if is_gic_v2 { "arm,cortex-a15-gic" } else { "arm,gic-v3" };
    tree.begin("intc@8000000").text("compatible", gic);
    tree.cells("reg", &[0, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0xf6_0000]).end();
    for slot in [0, 1, 8] {
        tree.begin("virtio_mmio")
            .text("compatible", "virtio,mmio")
            .cells("reg", &[0, 0x0a00_0000 + slot * 512, 0, 512]);
        tree.cells("interrupts", &[0, 16, 1]).end();
    }
    tree.begin("pcie@10000000").text("compatible", "pci-host-ecam-generic").cells("#address-cells", &[3]);
    tree.cells("reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]).end();
    tree.begin("timer").text("compatible", "arm,armv8-timer");
    tree.cells("interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]).end();
    tree.begin("aliases").text("serial0", "/soc/uart@7e000000").end();
    tree.begin("chosen").text("stdout-path", "serial0:115200n8");
    tree.cells("linux,initrd-start", &[0, 0x4400_0000]).cells("linux,initrd-end", &[0x4400_5000]).end();
    tree.begin("cpus").cells("#address-cells", &[1]).cells("#size-cells", &[0]);
    tree.begin("cpu@0").text("device_type", "cpu").cells("reg", &[0]).end().end();
    tree.end();
    tree.blob()
}
