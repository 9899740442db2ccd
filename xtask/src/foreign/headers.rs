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
    Ok(())
}

const _: () = assert!(FOREIGN_MIB == 1024, "the default of --memory says so in words");
