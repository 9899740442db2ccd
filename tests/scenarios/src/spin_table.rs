//! A board whose other cores wait in a spin table: firmware before the kernel, and its device tree; no scenario.
//!
//! QEMU's `virt` board has PSCI only. So a small program is put in front of the kernel, both together in one file in the arm64 `Image`
//! format: it starts the other cores by PSCI, which then wait as firmware without PSCI lets them wait, and goes on to the kernel. The
//! device tree is the one that QEMU makes, with other words at the processors.
use crate::hardware::{Hardware, ImageFiles, QEMU};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where QEMU loads an `Image`: 2 MiB above the start of RAM.
const LOADED_AT: u64 = 0x4020_0000;
/// The firmware's page, which stays its own.
const FIRMWARE_BYTES: u64 = 0x1000;
/// The kernel, seen from the firmware: the next address that the boot protocol allows.
const KERNEL_OFFSET: usize = 0x20_0000;
/// A word for each core, seen from the firmware: where that core is to go on.
const WORDS_OFFSET: u64 = 0x100;

/// Offset 0x40 and on. Entered as a kernel is: x0 = device tree.
const FIRMWARE: [u32; 25] = [
    0xaa00_03f4, // mov x20, x0
    0x1000_0215, // adr x21, spin
    0xd280_0033, // mov x19, #1
    0x52b8_8000, // next: mov w0, #0xc4000000
    0x7280_0060, // movk w0, #3 (PSCI CPU_ON)
    0xaa13_03e1, // mov x1, x19 (the core)
    0xaa15_03e2, // mov x2, x21 (where it begins)
    0xaa13_03e3, // mov x3, x19 (what it finds in x0)
    0xd400_0002, // hvc #0
    0x9100_0673, // add x19, x19, #1
    0xf100_127f, // cmp x19, #4
    0x54ff_ff03, // b.lo next
    0xaa14_03e0, // mov x0, x20
    0xaa1f_03e1, // mov x1, xzr
    0xaa1f_03e2, // mov x2, xzr
    0xaa1f_03e3, // mov x3, xzr
    0x1407_ffe0, // b kernel
    0x1000_03e1, // spin: adr x1, words
    0x8b00_0c21, // add x1, x1, x0, lsl #3
    0xf940_0022, // wait: ldr x2, [x1]
    0xb500_0062, // cbnz x2, go
    0xd503_205f, // wfe
    0x17ff_fffd, // b wait
    0xaa1f_03e0, // go: mov x0, xzr
    0xd61f_0040, // br x2
];

/// Makes both files in `folder` and lets `hardware` boot from them; gives the image to boot.
///
/// # Errors
/// QEMU does not tell its device tree, or a file cannot be written.
pub fn prepare(hardware: &mut Hardware, image: &ImageFiles, folder: &Path) -> Result<ImageFiles> {
    let (tree, kernel) = (folder.join("spin-table.dtb"), folder.join("spin-table.Image"));
    let mut arguments = hardware.arguments(image, false);
    arguments.extend(["-machine".into(), format!("dumpdtb={}", tree.display()).into()]);
    let output = Command::new(QEMU).args(arguments).output().with_context(|| format!("cannot start {QEMU}"))?;
    ensure!(output.status.success(), "{QEMU} does not tell its device tree");
    fs::write(&tree, with_spin_table(&fs::read(&tree)?)?)?;
    fs::write(&kernel, with_firmware(&fs::read(&image.kernel)?)?)?;
    hardware.device_tree = Some(tree);
    Ok(ImageFiles { kernel, root: image.root.clone() })
}

/// The kernel with the firmware in front of it, as one image.
fn with_firmware(kernel: &[u8]) -> Result<Vec<u8>> {
    let size = kernel.get(16..24).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let size = size.context("the kernel is no Image")?;
    let mut image = vec![0; KERNEL_OFFSET];
    image[..4].copy_from_slice(&0x1400_0010u32.to_le_bytes()); // b 0x40
    image[16..24].copy_from_slice(&(KERNEL_OFFSET as u64 + size).to_le_bytes());
    image[24..32].copy_from_slice(&0xau64.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    for (place, word) in image[64..].chunks_exact_mut(4).zip(FIRMWARE) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    image.extend(kernel);
    Ok(image)
}

/// The device tree with spin tables in place of PSCI, and the firmware's page reserved.
fn with_spin_table(tree: &[u8]) -> Result<Vec<u8>> {
    let word = |at: usize| -> Result<u32> {
        let bytes = tree.get(at..at + 4).context("the device tree ends too early")?;
        Ok(u32::from_be_bytes(bytes.try_into()?))
    };
    ensure!(word(0)? == 0xd00d_feed, "this is no device tree");
    let (structure, strings) = (word(8)? as usize, word(12)? as usize);
    let mut names = tree.get(strings..strings + word(32)? as usize).context("the strings are cut")?.to_vec();
    let release_name = cell(names.len());
    names.extend(b"cpu-release-addr\0");
    let (mut out, mut at, mut core, mut depth) = (Vec::new(), structure, 0u64, 0);
    loop {
        let (token, start) = (word(at)?, at);
        at += 4;
        match token {
            1 => {
                at = (end_of_text(tree, at)? + 1).next_multiple_of(4);
                depth += 1;
            }
            2 => depth -= 1,
            3 => {
                let (length, name) = (word(at)? as usize, strings + word(at + 4)? as usize);
                at = (at + 8 + length).next_multiple_of(4);
                if depth == 3 && tree.get(name..end_of_text(tree, name)?) == Some(b"enable-method") {
                    property(&mut out, word(start + 8)?, b"spin-table\0");
                    property(&mut out, release_name, &(LOADED_AT + WORDS_OFFSET + 8 * core).to_be_bytes());
                    core += 1;
                    continue;
                }
            }
            4 | 9 => {}
            other => bail!("the device tree has a token {other}"),
        }
        out.extend(&tree[start..at]);
        if token == 9 {
            break;
        }
    }
    ensure!(core > 1, "the device tree names no cores to start");
    Ok(assemble(&out, &names))
}

fn property(out: &mut Vec<u8>, name: u32, value: &[u8]) {
    for word in [3, cell(value.len()), name] {
        out.extend(word.to_be_bytes());
    }
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A size as it stands in a device tree; one that does not fit in makes a tree that nobody takes.
fn cell(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn end_of_text(tree: &[u8], from: usize) -> Result<usize> {
    let rest = tree.get(from..).context("the device tree ends in a name")?;
    Ok(from + rest.iter().position(|byte| *byte == 0).context("a name has no end")?)
}

/// A device tree of these blocks; one reservation, the firmware's page.
fn assemble(structure: &[u8], names: &[u8]) -> Vec<u8> {
    let (reservations, structure_at) = (40, 40 + 32);
    let names_at = structure_at + structure.len();
    let sizes = [names_at + names.len(), structure_at, names_at, reservations].map(cell);
    let header = [0xd00d_feed, sizes[0], sizes[1], sizes[2], sizes[3], 17, 16, 0];
    let mut tree: Vec<u8> = header.into_iter().flat_map(u32::to_be_bytes).collect();
    tree.extend(cell(names.len()).to_be_bytes());
    tree.extend(cell(structure.len()).to_be_bytes());
    tree.extend([LOADED_AT, FIRMWARE_BYTES, 0, 0].into_iter().flat_map(u64::to_be_bytes));
    tree.extend(structure);
    tree.extend(names);
    tree
}

#[cfg(test)]
mod tests {
    use super::{KERNEL_OFFSET, assemble, with_firmware, with_spin_table};

    fn tree(cores: u32) -> Vec<u8> {
        let node = |name: &[u8]| [&1u32.to_be_bytes(), name].concat();
        let mut structure = [node(b"\0\0\0\0"), node(b"cpus\0\0\0\0")].concat();
        for _ in 0..cores {
            structure.extend(node(b"cpu\0"));
            super::property(&mut structure, 0, b"psci\0");
            structure.extend(2u32.to_be_bytes());
        }
        [2u32, 2, 9].into_iter().for_each(|token| structure.extend(token.to_be_bytes()));
        assemble(&structure, b"enable-method\0")
    }

    #[test]
    fn each_core_gets_a_word_of_its_own() {
        let patched = with_spin_table(&tree(3)).unwrap();
        let count = |part: &[u8]| patched.windows(part.len()).filter(|window| *window == part).count();
        assert_eq!((count(b"psci\0"), count(b"spin-table\0"), count(b"cpu-release-addr\0")), (0, 3, 1));
        for address in [0x4020_0100u64, 0x4020_0108, 0x4020_0110] {
            assert_eq!(count(&address.to_be_bytes()), 1);
        }
    }

    #[test]
    fn damaged_trees_are_refused() {
        let whole = tree(2);
        assert!(with_spin_table(&whole[1..]).is_err());
        assert!((0..whole.len() - 4).all(|length| with_spin_table(&whole[..length]).is_err()));
        assert!(with_spin_table(&tree(1)).is_err());
    }

    #[test]
    fn the_kernel_lies_behind_the_firmware() {
        let kernel = [0x5a; 64];
        let image = with_firmware(&kernel).unwrap();
        assert_eq!(image[KERNEL_OFFSET..], kernel);
        assert!(with_firmware(&kernel[..20]).is_err());
    }
}
