//! Compiles and links C and C++ components: what a component's folder holds, and what another's source adds to it.
use crate::folders;
use crate::hex::hex;
use crate::musl;
use crate::product::Component;
use crate::progress::Step;
use crate::setup;
use crate::source::Source;
use crate::std_tier::{LINK, Parts, headers, of_compiler};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The compiler of C++; its library is not used (decision 0152).
const CPP_COMPILER: &str = "aarch64-linux-gnu-g++";
/// Our C++ runtime and the headers that go with it.
const CPP_RUNTIME: &str = "libhybrid/posix/cpp";

/// For all C and C++.
const FLAGS: [&str; 7] =
    ["-O2", "-g1", "-fno-pie", "-mno-outline-atomics", "-ffunction-sections", "-fdata-sections", "-nostdinc"];
const OURS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];
/// What others wrote is theirs to mend.
const OTHERS: [&str; 1] = ["-w"];
const C: [&str; 1] = ["-std=gnu17"];
const CPP: [&str; 5] = ["-std=gnu++20", "-fno-exceptions", "-fno-rtti", "-nostdinc++", "-fno-threadsafe-statics"];

/// One file to compile, and with which flags.
struct Unit {
    file: PathBuf,
    object: PathBuf,
    flags: Vec<String>,
    is_cpp: bool,
    /// Whether an object that is there is what would be made again.
    is_kept: bool,
}

/// Builds a component of runtime `c`; its program's path.
///
/// # Errors
/// There is nothing to compile, or it does not compile.
pub(crate) fn build(step: &Step, parts: &Parts, component: &Component, source: Option<&Source>) -> Result<PathBuf> {
    let own = folders::checkout().join(&component.folder).join("src");
    let folder = folders::created(folders::target().join("std/c").join(&component.name))?;
    let (mut units, headers) = (Vec::new(), headers(parts)?);
    let added = source.map(definitions).unwrap_or_default();
    for file in own_files(&own)? {
        units.push(unit(&headers, &own, &file, &folder, &[OURS.map(String::from).as_slice(), &added].concat()));
    }
    if let Some(source) = source {
        let flags = [OTHERS.map(String::from).as_slice(), &added].concat();
        let kept = folders::created(folder.join(key(parts, source, &flags)?))?;
        for file in source.files()? {
            let unit = unit(&headers, &source.folder, &file, &kept, &flags);
            units.push(Unit { is_kept: true, ..unit });
        }
    }
    if units.is_empty() {
        bail!("{} holds no .c or .cpp file", folders::shown(&own));
    }
    if units.iter().any(|unit| unit.is_cpp) {
        setup::ensure_cpp_compiler()?;
        let runtime = folders::checkout().join(CPP_RUNTIME);
        units.push(unit(&headers, &runtime, &runtime.join("runtime.cpp"), &folder, &OURS.map(String::from)));
    }
    compile(step, &component.name, &units)?;
    link(step, parts, component, &folder, &units)
}

/// One file below `base`; `headers` is where those are that belong to the C library.
fn unit(headers: &[String], base: &Path, file: &Path, folder: &Path, flags: &[String]) -> Unit {
    let name = file.strip_prefix(base).unwrap_or(file).to_string_lossy().replace('/', "-");
    let is_cpp = is_cpp(file);
    let language: &[&str] = if is_cpp { &CPP } else { &C };
    let mut all: Vec<String> = FLAGS.iter().chain(language).map(|flag| (*flag).to_string()).collect();
    if is_cpp {
        all.extend(["-isystem".into(), folders::checkout().join(CPP_RUNTIME).join("include").display().to_string()]);
    }
    all.extend_from_slice(headers);
    all.extend_from_slice(flags);
    Unit { file: file.into(), object: folder.join(format!("{name}.o")), flags: all, is_cpp, is_kept: false }
}

fn is_cpp(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "cpp" || kind == "cc" || kind == "cxx")
}

/// The flags that a source asks for; they hold for our files beside it as well, which include its headers.
fn definitions(source: &Source) -> Vec<String> {
    let include = source.recipe.include.iter().map(|folder| format!("-I{}", source.folder.join(folder).display()));
    include.chain(source.recipe.define.iter().map(|macro_| format!("-D{macro_}"))).collect()
}

/// A name for everything that decides what another's files become, but for the files, which have a folder of their own.
fn key(parts: &Parts, source: &Source, flags: &[String]) -> Result<String> {
    let mut digest = Sha256::new();
    digest.update(source.folder.display().to_string());
    digest.update(parts.sysroot.display().to_string());
    for part in [&FLAGS[..], &C, &CPP].concat() {
        digest.update(part);
    }
    digest.update(flags.join(" "));
    let headers = folders::checkout().join(CPP_RUNTIME).join("include");
    for file in folders::files_below(&headers)? {
        digest.update(std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(hex(&digest.finalize())[..16].to_string())
}

/// Compiles what is not there yet, as many files at once as the machine has processors.
fn compile(step: &Step, name: &str, units: &[Unit]) -> Result<()> {
    let todo: Vec<&Unit> = units.iter().filter(|unit| !unit.is_kept || !unit.object.exists()).collect();
    let queue = Mutex::new(todo.iter());
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = |number: usize| -> Result<()> {
        loop {
            // A thread that panicked has left the list as it was.
            let Some(unit) = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next() else {
                return Ok(());
            };
            step.message(folders::shown(&unit.file));
            // Made under another name, so that what is there is whole.
            let made = unit.object.with_extension(format!("{}-{number}", std::process::id()));
            let mut command = Command::new(if unit.is_cpp { CPP_COMPILER } else { musl::COMPILER });
            command.args(&unit.flags).arg("-c").arg(&unit.file).arg("-o").arg(&made);
            step.command(&format!("build-{name}-{number}"), &mut command)?;
            std::fs::rename(&made, &unit.object).with_context(|| format!("cannot write {}", unit.object.display()))?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread of xtask panicked")))
    })
}

fn link(step: &Step, parts: &Parts, component: &Component, folder: &Path, units: &[Unit]) -> Result<PathBuf> {
    let program = folder.join(&component.name);
    let mut link = Command::new("ld.lld");
    link.args(LINK).arg("-static").arg("-o").arg(&program).arg(parts.sysroot.join("lib/crt1.o"));
    link.args(units.iter().map(|unit| &unit.object)).arg(&parts.personality);
    link.arg(parts.sysroot.join("lib/libc.a")).arg(of_compiler("-print-libgcc-file-name")?);
    step.command(&format!("link-{}", component.name), &mut link)?;
    Ok(program)
}

/// The component's own files; it may have none beside another's source.
fn own_files(source: &Path) -> Result<Vec<PathBuf>> {
    if !source.exists() {
        return Ok(Vec::new());
    }
    let mut files = folders::files_below(source)?;
    files.retain(|path| is_cpp(path) || path.extension().is_some_and(|kind| kind == "c"));
    Ok(files)
}
