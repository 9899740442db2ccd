//! musl for components: its pinned source, our nine files in place of its own, and the library made of it.
//!
//! The source comes as Debian's source package from the mirror that this machine's apt already uses; the tree names no host. What was fetched
//! and made stays in the target folder, under a name made of everything that decides what it is.
use crate::folders;
use crate::hex::hex;
use crate::progress::Step;
use crate::setup;
use crate::source::debian;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source package's version; another one needs other digests.
const VERSION: &str = "1.2.5-3.1~deb13u1";
/// The files that are used of it, and their SHA-256.
const FILES: [(&str, &str); 2] = [
    ("musl_1.2.5.orig.tar.gz", "a9a118bbe84d8764da0ea0d28b3ab3fae8477fc7e4085d90102b8596fc7c75e4"),
    ("musl_1.2.5-3.1~deb13u1.debian.tar.xz", "46fdfb271edc2f035d8d4063ff2e299734409693e781e69e4b77e0a9a495072e"),
];
/// The folder in the first of them.
const FOLDER: &str = "musl-1.2.5";
/// Debian's changes to the source, in their order: two mend CVE-2025-26519.
const PATCHES: &str = "debian/patches";
/// Files of musl that are not to be compiled, since the personality has what they define.
const LEFT_OUT: [&str; 2] = ["src/thread/clone.c", "src/thread/__unmapself.c"];

pub(crate) const COMPILER: &str = "aarch64-linux-gnu-gcc";
const FLAGS: &str =
    "-O2 -mno-outline-atomics -ffunction-sections -fdata-sections -fno-pie -fno-asynchronous-unwind-tables";

/// The made library: `include/` and `lib/`. Fetches and compiles what is not there yet.
///
/// # Errors
/// The source cannot be had or does not compile; says which and what to do.
pub(crate) fn sysroot() -> Result<PathBuf> {
    setup::ensure_std_tier()?;
    let all = folders::created(folders::target().join("std"))?;
    let made = all.join(format!("musl-{}", key()?));
    if made.join("lib/libc.a").exists() {
        return Ok(made);
    }
    let source = debian::fetched("musl", VERSION, &FILES)?;
    let step = Step::start("compile musl, the C library of std and C components");
    let work = all.join(format!("making-{}", std::process::id()));
    let outcome = make(&step, &source, &work).and_then(|()| {
        // Another xtask may have been faster; then its result is the same.
        if !made.exists() {
            std::fs::rename(work.join("out"), &made).with_context(|| format!("cannot write {}", made.display()))?;
        }
        Ok(())
    });
    // What is left of a failed attempt is of no use; its log stays.
    let _is_gone = std::fs::remove_dir_all(&work);
    outcome?;
    step.done();
    Ok(made)
}

/// A name for everything that decides what is made: the source, our files, the compiler and its flags.
fn key() -> Result<String> {
    let mut digest = Sha256::new();
    for (_, hash) in FILES {
        digest.update(hash);
    }
    let ours = ours();
    for file in folders::files_below(&ours)? {
        digest.update(file.strip_prefix(&ours).unwrap_or(&file).to_string_lossy().as_bytes());
        digest.update(std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let version = Command::new(COMPILER).arg("--version").output();
    digest.update(version.with_context(|| format!("cannot start {COMPILER}"))?.stdout);
    digest.update(FLAGS);
    Ok(hex(&digest.finalize())[..16].to_string())
}

/// Our files, laid out as musl's.
fn ours() -> PathBuf {
    folders::checkout().join("libhybrid/posix/musl")
}

fn make(step: &Step, source: &Path, work: &Path) -> Result<()> {
    folders::created(work.to_path_buf())?;
    let log = |name: &str| format!("musl-{name}");
    for (file, _) in FILES {
        step.message(format!("unpack {file}"));
        let mut tar = Command::new("tar");
        tar.current_dir(work).arg("xf").arg(source.join(file));
        step.command(&log("unpack"), &mut tar)?;
    }
    let tree = work.join(FOLDER);
    apply_patches(step, work, &tree)?;
    for file in LEFT_OUT {
        std::fs::remove_file(tree.join(file)).with_context(|| format!("musl has no {file}"))?;
    }
    let ours = ours();
    for file in folders::files_below(&ours)? {
        let place = file.strip_prefix(&ours).unwrap_or(&file);
        // Each must stand in for one of musl's, else it would silently do nothing.
        if !tree.join(place).exists() {
            bail!("{} replaces nothing of musl's", folders::shown(&file));
        }
        // What ours only adds to is included by this name.
        let name = format!("{}.musl", place.display());
        std::fs::rename(tree.join(place), tree.join(name))
            .with_context(|| format!("cannot keep {}", place.display()))?;
        std::fs::copy(&file, tree.join(place)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    let mut configure = Command::new("./configure");
    configure.current_dir(&tree).args(["--target=aarch64", "--disable-shared", "--prefix=/"]);
    configure.env("CC", COMPILER).env("CROSS_COMPILE", "aarch64-linux-gnu-").env("CFLAGS", FLAGS);
    step.command(&log("configure"), &mut configure)?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // make tells on its standard output what it compiles, which is what there is to show.
    let script = format!("make -j{jobs} lib/libc.a lib/crt1.o 1>&2 && make install-headers DESTDIR=../out 1>&2");
    let mut shell = Command::new("sh");
    shell.current_dir(&tree).args(["-c", &script]);
    step.command(&log("make"), &mut shell)?;
    let library = folders::created(work.join("out/lib"))?;
    for file in ["libc.a", "crt1.o"] {
        std::fs::copy(tree.join("lib").join(file), library.join(file))
            .with_context(|| format!("musl made no {file}"))?;
    }
    // What programs are linked with by name elsewhere is in libc.a here, or in the personality.
    for name in ["m", "pthread", "rt", "dl", "util", "gcc_eh", "unwind"] {
        let path = library.join(format!("lib{name}.a"));
        std::fs::write(&path, "!<arch>\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn apply_patches(step: &Step, work: &Path, tree: &Path) -> Result<()> {
    let series = work.join(PATCHES).join("series");
    let series = std::fs::read_to_string(&series).context("the source package lists no patches")?;
    for name in series.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        step.message(format!("apply {name}"));
        let mut patch = Command::new("patch");
        patch.current_dir(tree).args(["-p1", "--silent", "-i"]).arg(work.join(PATCHES).join(name));
        step.command("musl-patch", &mut patch)?;
    }
    Ok(())
}
