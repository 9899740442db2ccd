//! Builds components of runtime `std` or `c`: programs on musl and the personality; their authors know no flags.
use crate::c_program;
use crate::cargo::{self, Toolchain};
use crate::folders;
use crate::hex::hex;
use crate::musl;
use crate::product::Component;
use crate::progress::Step;
use crate::source::{Program, Source};
use crate::traps;
use anyhow::{Context, Result, bail};
use hybrid_capgraph::Runtime;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::Command;

/// The package of the personality, which is built with the components without musl.
pub(crate) const PERSONALITY: &str = "hybrid-posix";

/// What programs see of the personality; everything else in it is its own, and cannot meet names of theirs.
const DOORS: [&str; 8] = [
    "hybrid_start",
    "hybrid_syscall",
    "__clone",
    "__unmapself",
    "_Unwind_Backtrace",
    "_Unwind_GetIP",
    "_Unwind_GetCFA",
    "_Unwind_FindEnclosingFunction",
];

/// How every component is linked: one static program at the address of components, its entry the personality's.
pub(crate) const LINK: [&str; 6] = [
    "-zmax-page-size=4096",
    "-zseparate-code",
    "-znorelro",
    "--image-base=0x400000",
    "-ehybrid_start",
    "--gc-sections",
];

/// What all components are linked with.
pub(crate) struct Parts {
    /// musl: `include/` and `lib/`.
    pub(crate) sysroot: PathBuf,
    /// The personality's object.
    pub(crate) personality: PathBuf,
}

/// Builds the programs of these components, whose personality was compiled before; a path for each.
///
/// # Errors
/// A part is missing or does not compile, or a program holds a system call that is not libhybrid's.
pub(crate) fn build(toolchain: &Toolchain, image: &str, components: &[&Component]) -> Result<Vec<PathBuf>> {
    if components.is_empty() {
        return Ok(Vec::new());
    }
    let parts = Parts { sysroot: musl::sysroot()?, personality: personality()? };
    let mut programs = Vec::new();
    for component in components {
        let step = Step::start(format!("build {image}: {} ({})", component.name, shown(component.runtime)));
        let program = match component.runtime {
            Runtime::C => {
                c_program::build(&step, &parts, component, Source::of_component(&component.folder)?.as_ref())?
            }
            _ => std_program(&step, toolchain, &parts, component)?,
        };
        traps::check(&program, &parts.personality)?;
        programs.push(program);
        step.done();
    }
    Ok(programs)
}

fn shown(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Core => "Rust without std",
        Runtime::Std => "Rust with std",
        Runtime::C => "C or C++",
    }
}

/// One object of the personality, with only its doors visible. Its name tells its content, so that programs are linked anew when it changes.
fn personality() -> Result<PathBuf> {
    let archive = cargo::device_file("libhybrid_posix.a");
    let bytes = std::fs::read(&archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let folder = folders::created(folders::target().join("std"))?;
    let name = hex(&Sha256::digest(&bytes))[..16].to_string();
    let object = folder.join(format!("personality-{name}.o"));
    if object.exists() {
        return Ok(object);
    }
    let (joined, finished) = (folder.join(format!("joined-{name}.o")), folder.join(format!("finished-{name}.o")));
    let mut link = Command::new("ld.lld");
    link.args(["-m", "aarch64elf", "-r", "--gc-sections", "-o"]).arg(&joined);
    link.args(DOORS.iter().flat_map(|door| ["-u", door])).arg(&archive);
    run(&mut link)?;
    let mut hide = Command::new("llvm-objcopy");
    hide.args(DOORS.map(|door| format!("--keep-global-symbol={door}")));
    hide.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd", "--remove-section=.eh_frame", "--strip-debug"]);
    run(hide.arg(&joined).arg(&finished))?;
    std::fs::remove_file(&joined).context("cannot remove what was joined")?;
    std::fs::rename(&finished, &object).with_context(|| format!("cannot write {}", object.display()))?;
    Ok(object)
}

/// A package of the workspace, or the program of a crate that such a package pins.
fn std_program(step: &Step, toolchain: &Toolchain, parts: &Parts, component: &Component) -> Result<PathBuf> {
    let mut command = toolchain.std_program();
    let own = || Program { package: component.name.clone(), name: component.name.clone() };
    let program = Program::of_component(&component.folder)?.unwrap_or_else(own);
    command.args(["--package", &program.package, "--bin", &program.name, "--"]);
    command.arg(format!("-Lnative={}", parts.sysroot.join("lib").display()));
    let objects = [parts.sysroot.join("lib/crt1.o"), parts.personality.clone()];
    let objects = objects.iter().map(|path| path.display().to_string());
    let link = LINK.iter().map(|flag| (*flag).to_string()).chain(objects);
    command.args(link.map(|flag| format!("-Clink-arg={flag}")));
    // C that crates bring along is compiled for the same library.
    command.env("CC_aarch64_unknown_linux_musl", musl::COMPILER);
    let headers = headers(parts)?.join(" ");
    command.env("CFLAGS_aarch64_unknown_linux_musl", format!("-nostdinc {headers} -mno-outline-atomics"));
    step.command(&format!("build-{}", component.name), &mut command)?;
    Ok(cargo::std_program(&program.name))
}

/// Where headers are: musl's before the compiler's own, which has those that belong to it (`stdatomic.h`, `arm_neon.h`).
pub(crate) fn headers(parts: &Parts) -> Result<[String; 4]> {
    let (ours, its) = (parts.sysroot.join("include"), of_compiler("-print-file-name=include")?);
    let text = |path: PathBuf| path.display().to_string();
    Ok(["-isystem".into(), text(ours), "-isystem".into(), text(its)])
}

/// A path that the compiler tells when asked so: its headers, or the library that it calls itself (arithmetic of `long double`, which musl's printf
/// has; GCC's runtime library exception covers it).
pub(crate) fn of_compiler(question: &str) -> Result<PathBuf> {
    let output = Command::new(musl::COMPILER).arg(question).output();
    let output = output.with_context(|| format!("cannot start {}", musl::COMPILER))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if path.is_absolute() { Ok(path) } else { bail!("{} has no answer to {question}", musl::COMPILER) }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().with_context(|| format!("cannot start {program}; `cargo xtask setup` installs it"))?;
    if !output.status.success() {
        bail!("{program} failed on the personality: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
