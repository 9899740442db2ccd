//! Builds components of runtime `std` or `c`: programs on musl and the personality; their authors know no flags.
use crate::c_program;
use crate::cargo::{self, Profile, Toolchain};
use crate::folders;
use crate::hex::hex;
use crate::musl;
use crate::others;
use crate::personality;
use crate::product::{self, Component};
use crate::progress::Step;
use crate::source::{Program, Source};
use crate::traps;
use anyhow::{Context, Result, bail};
use hybrid_capgraph::Runtime;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package of the unwinder, and what programs see of it.
const UNWINDER: &str = "hybrid-unwind";
const UNWINDING: [&str; 17] = [
    "_Unwind_Backtrace",
    "_Unwind_DeleteException",
    "_Unwind_FindEnclosingFunction",
    "_Unwind_ForcedUnwind",
    "_Unwind_GetCFA",
    "_Unwind_GetDataRelBase",
    "_Unwind_GetGR",
    "_Unwind_GetIP",
    "_Unwind_GetIPInfo",
    "_Unwind_GetLanguageSpecificData",
    "_Unwind_GetRegionStart",
    "_Unwind_GetTextRelBase",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_Resume_or_Rethrow",
    "_Unwind_SetGR",
    "_Unwind_SetIP",
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

/// What a component is linked with.
pub(crate) struct Parts {
    /// musl: `include/` and `lib/`.
    pub(crate) sysroot: PathBuf,
    /// The personality's object.
    pub(crate) personality: PathBuf,
}

/// Builds the programs of these components, whose whole personality was compiled before; a path for each.
///
/// # Errors
/// A part is missing or does not compile, or a program holds a system call that is not libhybrid's.
pub(crate) fn build(toolchain: &Toolchain, image: &str, components: &[&Component]) -> Result<Vec<PathBuf>> {
    if components.is_empty() {
        return Ok(Vec::new());
    }
    let sysroot = musl::sysroot()?;
    let personalities = personality::objects(toolchain, image, components)?;
    let mut programs = Vec::new();
    for (component, personality) in components.iter().zip(personalities) {
        let parts = Parts { sysroot: sysroot.clone(), personality };
        let step = Step::start(format!("build {image}: {} ({})", component.name, shown(component.runtime)));
        let program = match component.runtime {
            Runtime::C => {
                c_program::build(&step, &parts, component, Source::of_component(&component.folder)?.as_ref())?
            }
            _ => std_program(&step, toolchain, &parts, component)?,
        };
        traps::check(&program, &parts.personality)?;
        // Files are read when all are built: the later one would be both.
        if programs.contains(&program) {
            bail!(
                "{}: another component of {image} has a program of the same file name, {}",
                component.name,
                program.display()
            );
        }
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

/// One object of an archive of libhybrid's, with only its doors visible. Its name tells its content and how it is made, so that programs are
/// linked anew when either changes.
pub(crate) fn object(archive: &Path, kind: &str, doors: &[&str], link: &[&str], copy: &[String]) -> Result<PathBuf> {
    let bytes = std::fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let folder = folders::created(folders::target().join("std"))?;
    let recipe = format!("{doors:?} {link:?} {copy:?}");
    let name = hex(&Sha256::new().chain_update(&bytes).chain_update(recipe).finalize())[..16].to_string();
    let object = folder.join(format!("{kind}-{name}.o"));
    if object.exists() {
        return Ok(object);
    }
    let (joined, finished) =
        (folder.join(format!("joined-{kind}-{name}.o")), folder.join(format!("finished-{kind}-{name}.o")));
    let mut linker = Command::new("ld.lld");
    linker.args(["-m", "aarch64elf", "-r"]).args(link).arg("-o").arg(&joined);
    linker.args(doors.iter().flat_map(|door| ["-u", door])).arg(archive);
    run(&mut linker)?;
    let mut copier = Command::new("llvm-objcopy");
    copier.args(doors.iter().map(|door| format!("--keep-global-symbol={door}")));
    copier.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd", "--strip-debug"]).args(copy);
    run(copier.arg(&joined).arg(&finished))?;
    std::fs::remove_file(&joined).context("cannot remove what was joined")?;
    std::fs::rename(&finished, &object).with_context(|| format!("cannot write {}", object.display()))?;
    Ok(object)
}

/// The unwinder. It is compiled with the programs that it is for: it saves their floating-point registers.
fn unwinder(step: &Step, toolchain: &Toolchain, profile: Profile) -> Result<PathBuf> {
    let mut command = toolchain.std_program(profile);
    // A panic of its own ends the program.
    command.args(["--package", UNWINDER, "--lib", "--crate-type", "staticlib", "--", "-Cpanic=abort"]);
    step.command("build-unwinder", &mut command)?;
    // Sections that nothing needs are left out when the program is linked: the linker would leave out the tables here.
    object(&cargo::std_file(profile, "libhybrid_unwind.a"), "unwinder", &UNWINDING, &[], &[])
}

/// A package of the workspace, or the program of a crate that such a package pins.
fn std_program(step: &Step, toolchain: &Toolchain, parts: &Parts, component: &Component) -> Result<PathBuf> {
    let choices = product::choices(&component.folder)?;
    let profile = choices.profile();
    let mut objects = vec![parts.sysroot.join("lib/crt1.o"), parts.personality.clone()];
    let mut flags: Vec<String> = LINK.map(String::from).into();
    if profile != Profile::Abort {
        objects.push(unwinder(step, toolchain, profile)?);
        flags.push("--eh-frame-hdr".into());
    }
    flags.extend(objects.iter().map(|path| path.display().to_string()));
    let mut command = toolchain.std_program(profile);
    let own = || Program { package: component.name.clone(), name: component.name.clone() };
    let program = Program::of_component(&component.folder)?.unwrap_or_else(own);
    command.args(["--package", &program.package, "--bin", &program.name, "--"]);
    command.arg(format!("-Lnative={}", parts.sysroot.join("lib").display()));
    command.args(flags.iter().map(|flag| format!("-Clink-arg={flag}")));
    if let Some(suite) = &choices.tests {
        others::choose(&mut command, toolchain, suite)?;
    }
    // C that crates bring along is compiled for the same library.
    command.env("CC_aarch64_unknown_linux_musl", musl::COMPILER);
    let headers = headers(parts)?.join(" ");
    command.env("CFLAGS_aarch64_unknown_linux_musl", format!("-nostdinc {headers} -mno-outline-atomics"));
    step.command(&format!("build-{}", component.name), &mut command)?;
    Ok(cargo::std_file(profile, &program.name))
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
        bail!("{program} failed on what programs are linked with: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
