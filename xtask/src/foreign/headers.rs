//! `cargo xtask kernel-headers DIR`: what programs that are built elsewhere need to know of the kernel.
use super::abi_header;
use super::config::{Config, PlatformMap, Target};
use super::kernel::{CORES_MAX, ForeignOptions, Plan};
use crate::folders;
use crate::progress::Step;
use crate::run::{FOREIGN_MIB, memory_mib};
use crate::setup;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hybrid_scenarios::hardware::{Hardware, QEMU};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Options of `cargo xtask kernel-headers`.
#[derive(Args)]
pub(crate) struct KernelHeaders {
    /// The folder that the files go to; created if need be
    directory: PathBuf,
    /// Cores
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=i64::from(CORES_MAX)))]
    smp: u8,
    /// The kernel with the debug system calls
    #[arg(long)]
    debug_kernel: bool,
    #[command(flatten)]
    foreign: ForeignOptions,
    /// Version of the interrupt controller
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    gic: u8,
    /// RAM of the machine, for instance 1G
    #[arg(long, default_value = "1G", value_parser = memory_mib)]
    memory: u32,
}

/// log2 of the root CNode's slots if nothing is said.
const ROOT_CNODE_BITS: u8 = 12;

impl KernelHeaders {
    /// Builds the kernel and writes all files.
    ///
    /// # Errors
    /// The kernel does not build, QEMU is missing, or the folder cannot be written.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        let plan = Plan { cores: self.smp, has_debug_calls: self.debug_kernel, exports: self.foreign.exports()? };
        let kernel = plan.build()?.join("kernel.elf");
        let root_cnode_bits = self.foreign.root_cnode_bits.unwrap_or(ROOT_CNODE_BITS);
        let target = Target { plan, gic: self.gic, root_cnode_bits };
        let hardware = Hardware { gic: self.gic, smp: self.smp, memory_mib: self.memory, ..Hardware::default() };
        publish(&self.directory, &target, &hardware, Some(&kernel))?;
        println!("{}", folders::shown(&self.directory));
        println!("{NOT_HERE}");
        Ok(ExitCode::SUCCESS)
    }
}

const NOT_HERE: &str = "\
bin/kernel.elf boots like Linux for arm64 (MMU off, x0 = device tree, root task as initrd), not by seL4's loaders: run root tasks with
`cargo xtask run --root-task ELF` and the same options.
Not here, because they are seL4's own files (BSD-2-Clause): libsel4's sources and headers (sel4/*.h, interfaces/*.h), api/syscall.xml,
interfaces/object-api*.xml, *.pbf. Copy them from libsel4 of release 16.0.0; the configuration here matches them.
For programs without libsel4: include/hybrid/abi.h.";

/// Writes the files of one configuration below `directory`.
///
/// # Errors
/// QEMU is missing, or a file cannot be written.
pub(crate) fn publish(directory: &Path, target: &Target, hardware: &Hardware, kernel: Option<&Path>) -> Result<()> {
    let step = Step::start("write the configuration");
    let write = |path: &str, content: &str| -> Result<()> {
        let path = directory.join(path);
        folders::created(path.parent().unwrap_or(directory).to_path_buf())?;
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    for (folder, config) in [("kernel", Config::of_kernel(target)), ("sel4", Config::of_libsel4())] {
        write(&format!("libsel4/include/{folder}/gen_config.h"), &config.header())?;
        write(&format!("libsel4/include/{folder}/gen_config.json"), &config.json())?;
        write(&format!("libsel4/include/{folder}/gen_config.yaml"), &config.yaml())?;
    }
    write(
        "libsel4/include/autoconf.h",
        "#pragma once\n\n#include <kernel/gen_config.h>\n#include <sel4/gen_config.h>\n",
    )?;
    let map = PlatformMap::new(target.gic, hardware.memory_mib);
    write("support/platform_gen.json", &map.json())?;
    write("support/platform_gen.yaml", &map.yaml())?;
    write("include/hybrid/abi.h", &abi_header::text())?;
    dump_device_tree(hardware, &directory.join("support/kernel.dtb"))?;
    if let Some(kernel) = kernel {
        let to = folders::created(directory.join("bin"))?.join("kernel.elf");
        std::fs::copy(kernel, &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    step.done();
    Ok(())
}

/// QEMU's own device tree of that machine.
fn dump_device_tree(hardware: &Hardware, path: &Path) -> Result<()> {
    let machine = format!("virt,gic-version={},dumpdtb={}", hardware.gic, path.display());
    let output = Command::new(QEMU)
        .args(["-machine", &machine, "-cpu", &hardware.cpu, "-smp", &hardware.smp.to_string()])
        .args(["-m", &format!("{}M", hardware.memory_mib), "-nodefaults", "-display", "none"])
        .output()
        .with_context(|| format!("cannot start {QEMU}; `cargo xtask setup` installs it"))?;
    let is_there = path.metadata().is_ok_and(|data| data.len() > 0);
    ensure!(is_there, "{QEMU} did not write the device tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    let tree = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tree = trimmed(tree).with_context(|| format!("{QEMU} wrote no device tree to {}", path.display()))?;
    std::fs::write(path, tree).with_context(|| format!("cannot write {}", path.display()))
}

/// The same device tree without the room that QEMU leaves behind it (it makes the file 1 MiB). Nothing if it is none.
fn trimmed(mut tree: Vec<u8>) -> Option<Vec<u8>> {
    // The header's big-endian words (Devicetree Specification 0.4, §5.2).
    let word = |index: usize| -> Option<usize> {
        let bytes = tree.get(index * 4..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_be_bytes(*bytes)).ok()
    };
    const MAGIC: usize = 0xd00d_feed;
    let (structure, strings, strings_size, structure_size) = (word(2)?, word(3)?, word(8)?, word(9)?);
    let end = structure.checked_add(structure_size)?.max(strings.checked_add(strings_size)?);
    if word(0)? != MAGIC || end > tree.len() {
        return None;
    }
    tree.truncate(end);
    tree.get_mut(4..8)?.copy_from_slice(&u32::try_from(end).ok()?.to_be_bytes());
    Some(tree)
}

const _: () = assert!(FOREIGN_MIB == 1024, "the default of --memory says so in words");

#[cfg(test)]
mod tests {
    use super::trimmed;

    fn tree(words: [u32; 10], length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn trimmed_ends_with_the_last_block_and_says_so_in_the_header() {
        let bytes = tree([0xd00d_feed, 4096, 56, 100, 40, 17, 16, 0, 20, 44], 4096);
        let short = trimmed(bytes).expect("a device tree");
        assert_eq!((short.len(), &short[4..8]), (120, &120_u32.to_be_bytes()[..]));
    }

    #[test]
    fn trimmed_of_something_else_is_nothing() {
        assert_eq!(trimmed(tree([1, 4096, 56, 100, 40, 17, 16, 0, 20, 44], 4096)), None);
        assert_eq!(trimmed(tree([0xd00d_feed, 4096, 56, 100, 40, 17, 16, 0, 20, 44], 80)), None);
        assert_eq!(trimmed(vec![0xd0, 0x0d]), None);
    }
}
