//! Builds tests/foreign-root, a root task in C, against published headers only; knows nothing of what it tests.
use super::config::Target;
use super::headers;
use super::kernel::{Export, Plan};
use crate::folders;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result};
use hybrid_scenarios::hardware::Hardware;
use std::path::PathBuf;
use std::process::Command;

/// The C compiler for bare AArch64.
const COMPILER: &str = "aarch64-linux-gnu-gcc";
/// What the scenario asks the kernel for on its command line.
pub(crate) const ROOT_CNODE_BITS: u8 = 14;

/// Builds kernel, headers and program for this interrupt controller and number of cores, with the usual exports or with none;
/// returns the folder with `Image` and `root.elf`.
///
/// # Errors
/// A part does not compile, or the compiler cannot be installed.
pub(crate) fn build(gic: u8, cores: u8, has_exports: bool) -> Result<PathBuf> {
    setup::ensure_c_compiler()?;
    let usual = vec![Export::Pcnt, Export::Vcnt, Export::Ptmr, Export::Pmu];
    let exports = if has_exports { usual } else { Vec::new() };
    let plan = Plan { cores, has_debug_calls: false, exports };
    let kernel = plan.build()?;
    let kind = if has_exports { "" } else { "-bare" };
    let folder = folders::image(&format!("foreign-root-gicv{gic}-{cores}{kind}"))?;
    let sdk = folder.join("sdk");
    let target = Target { plan, gic, root_cnode_bits: ROOT_CNODE_BITS };
    let hardware = Hardware { gic, smp: cores, memory_mib: 1024, ..Hardware::default() };
    headers::publish(&sdk, &target, &hardware, None)?;
    let source = folders::checkout().join("tests/foreign-root");
    let step = Step::start("compile the root task in C");
    let mut command = Command::new(COMPILER);
    command
        .args([
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-ffreestanding",
            "-nostdlib",
            "-static",
            "-fno-pic",
            "-no-pie",
        ])
        .args(["-fno-stack-protector", "-mno-outline-atomics", "-Wl,--build-id=none", "-Wl,-z,noexecstack"])
        .arg("-T")
        .arg(source.join("link.ld"))
        .arg("-I")
        .arg(sdk.join("include"))
        .arg("-I")
        .arg(sdk.join("libsel4/include"))
        .args([source.join("start.S"), source.join("main.c")])
        .arg("-o")
        .arg(folder.join("root.elf"));
    step.command("foreign-root", &mut command)?;
    step.done();
    let image = folder.join("Image");
    std::fs::copy(kernel.join("Image"), &image).with_context(|| format!("cannot write {}", image.display()))?;
    Ok(folder)
}
