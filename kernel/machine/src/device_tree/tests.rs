//! Device trees, built by hand and damaged at random.

use super::*;
use crate::regions::Range;
use hybrid_tree_writer::Writer;
use proptest::prelude::*;

fn virt() -> Writer {
    let mut b = Writer::default();
    b.reserve(0x4700_0100, 0x10);
    b.begin("").cells("#address-cells", &[2]).cells("#size-cells", &[2]);
    b.begin("psci").text("compatible", "arm,psci-1.0\0arm,psci-0.2").text("method", "hvc").end();
    b.begin("memory@40000000").text("device_type", "memory").cells("reg", &[0, 0x4000_0000, 0, 0x0800_0000]).end();
    b.begin("reserved-memory").cells("#address-cells", &[2]).cells("#size-cells", &[2]).property("ranges", b"");
    b.begin("firmware@46000000").cells("reg", &[0, 0x4600_0000, 0, 0x1800]).end().end();
    b.begin("soc")
        .text("compatible", "simple-bus")
        .cells("#address-cells", &[1])
        .cells("#size-cells", &[1])
        .cells("ranges", &[0x7e00_0000, 0, 0x0900_0000, 0x0100_0000]);
    b.begin("uart@7e000000").text("compatible", "arm,pl011\0arm,primecell").cells("reg", &[0x7e00_0000, 0x1000]).end();
    b.begin("uart@7e040000").text("compatible", "arm,pl011").cells("reg", &[0x7e04_0000, 0x1000]).end().end();
    b.begin("intc@8000000")
        .text("compatible", "arm,cortex-a15-gic")
        .cells("reg", &[0, 0x0800_0000, 0, 0x1_0000, 0, 0x0801_0000, 0, 0x1_0000])
        .end();
    b.begin("timer")
        .text("compatible", "arm,armv8-timer\0arm,armv7-timer")
        .cells("interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4])
        .end();
    b.begin("aliases").text("serial0", "/soc/uart@7e040000").end();
    b.begin("chosen")
        .text("stdout-path", "serial0:115200n8")
        .cells("linux,initrd-start", &[0, 0x4400_0000])
        .cells("linux,initrd-end", &[0x4400_5000])
        .end();
    b.begin("cpus").cells("#address-cells", &[1]).cells("#size-cells", &[0]);
    b.begin("cpu@0").text("device_type", "cpu").cells("reg", &[0]).end();
    b.begin("cpu@1").text("device_type", "cpu").text("enable-method", "psci").cells("reg", &[1]).end();
    b.begin("cpu@2").text("device_type", "cpu").text("status", "disabled").cells("reg", &[2]).end();
    b.begin("cpu@100").text("device_type", "cpu").text("enable-method", "spin-table").cells("reg", &[0x100]);
    b.cells("cpu-release-addr", &[0, 0x4600_0008]).end().end();
    b.end();
    b
}

fn machine(blob: &[u8]) -> Result<Machine, MachineError> {
    Machine::read(&DeviceTree::try_new(blob)?).1
}

#[test]
fn virt_machine_is_understood() {
    let machine = machine(&virt().blob()).unwrap();
    assert_eq!(machine.memory.as_slice(), &[Range { start: 0x4000_0000, end: 0x4800_0000 }]);
    let reserved = [Range { start: 0x4600_0000, end: 0x4600_2000 }, Range { start: 0x4700_0000, end: 0x4700_1000 }];
    assert_eq!(machine.reserved.as_slice(), &reserved);
    assert_eq!(machine.initrd, Some(Range { start: 0x4400_0000, end: 0x4400_5000 }));
    assert_eq!(Machine::read(&DeviceTree::try_new(&virt().blob()).unwrap()).0, Some(0x0904_0000));
    assert_eq!(machine.psci, Some(PsciConduit::Hvc));
    assert_eq!(machine.cpu_count, 3);
    let processor = |affinity, method| Some(Processor { affinity, method });
    let expected = [
        processor(0, EnableMethod::Unknown),
        processor(1, EnableMethod::Psci),
        processor(0x100, EnableMethod::SpinTable(0x4600_0008)),
        None,
    ];
    assert_eq!(machine.cpus[..4], expected);
    assert!(matches!(machine.gic, Gic { is_v3: false, distributor: Range { start: 0x0800_0000, .. }, .. }));
}

#[test]
fn console_without_chosen_is_first_uart() {
    let mut b = Writer::default();
    b.begin("")
        .begin("pl011@9000000")
        .text("compatible", "arm,pl011")
        .cells("reg", &[0, 0x0900_0000, 0x1000])
        .end()
        .end();
    let blob = b.blob();
    assert_eq!(Machine::read(&DeviceTree::try_new(&blob).unwrap()).0, Some(0x0900_0000), "although there is no memory");
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(machine(&[0; 64]).unwrap_err(), MachineError::Magic);
    let mut b = Writer::default();
    b.begin("").end();
    assert_eq!(machine(&b.blob()).unwrap_err(), MachineError::NoMemory);
    let mut b = Writer::default();
    b.begin("").begin("memory").text("device_type", "memory").cells("reg", &[0, 0x4000_0000, 0x10_0000]).end();
    b.begin("chosen").cells("linux,initrd-start", &[8]).end().end();
    assert_eq!(machine(&b.blob()).unwrap_err(), MachineError::BadInitrd);
    let mut truncated = virt().blob();
    truncated.truncate(100);
    assert_eq!(machine(&truncated).unwrap_err(), MachineError::Header);
}

#[test]
fn root_cnode_bits_are_read_from_the_command_line() {
    let with = |line: &str| {
        let mut b = virt();
        b.cut(); // the root's end
        b.begin("chosen").text("bootargs", line).end().end();
        machine(&b.blob()).map(|machine| machine.root_cnode_bits)
    };
    assert_eq!(machine(&virt().blob()).unwrap().root_cnode_bits, None);
    assert_eq!(with("console=ttyAMA0 quiet"), Ok(None));
    assert_eq!(with("quiet root_cnode_bits=13"), Ok(Some(13)));
    assert_eq!(with("root_cnode_bits=12 root_cnode_bits=20"), Ok(Some(20)));
    for bad in
        ["root_cnode_bits=11", "root_cnode_bits=21", "root_cnode_bits=", "root_cnode_bits=0x0d", "root_cnode_bits=-13"]
    {
        assert_eq!(with(bad), Err(MachineError::BadRootCnodeBits), "{bad}");
    }
}

#[test]
fn padding_behind_the_blocks_is_not_used() {
    let exact = virt().blob();
    let mut padded = exact.clone();
    padded.resize(exact.len() + 5000, 0);
    let total = u32::try_from(padded.len()).unwrap();
    padded[4..8].copy_from_slice(&total.to_be_bytes());
    assert_eq!(DeviceTree::try_new(&padded).unwrap().used_size(), exact.len());
    assert_eq!(DeviceTree::try_new(&exact).unwrap().used_size(), exact.len());
}

#[test]
fn deep_nesting_is_survived() {
    let mut b = Writer::default();
    for _ in 0..1000 {
        b.begin("node");
    }
    assert_eq!(machine(&b.blob()).unwrap_err(), MachineError::NoMemory);
}

proptest! {
    #[test]
    fn damaged_tree_never_panics(damage in prop::collection::vec((0usize..1200, any::<u8>()), 1..16)) {
        let mut blob = virt().blob();
        let length = blob.len();
        for (position, value) in damage { blob[position % length] = value; }
        let _ = machine(&blob).is_ok();
    }
}
