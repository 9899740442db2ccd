//! musl for components: its pinned source, our six files in place of its own, and the library made of it.
//!
//! The source comes as Debian's source package from the mirror that this machine's apt already uses; the tree names no host. What was fetched
//! and made stays in the target folder, under a name made of everything that decides what it is.
use crate::folders;
use crate::hex::hex;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source package's version; another one needs other digests.
const VERSION: &str = "1.2.5-3.1~deb13u1";
/// The Debian release that has it.
const RELEASE: &str = "trixie";
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
    let source = fetched()?;
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
    for file in files_below(&ours)? {
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
    for file in files_below(&ours)? {
        let place = file.strip_prefix(&ours).unwrap_or(&file);
        // Each must stand in for one of musl's, else it would silently do nothing.
        if !tree.join(place).exists() {
            bail!("{} replaces nothing of musl's", folders::shown(&file));
        }
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

/// The folder with the source's files, fetched if need be and checked always.
fn fetched() -> Result<PathBuf> {
    let folder = folders::created(folders::target().join("std/source"))?;
    if check(&folder).is_ok() {
        return Ok(folder);
    }
    let step = Step::start(format!("fetch the source of musl {VERSION}"));
    fetch(&step, &folder)?;
    check(&folder)?;
    step.done();
    Ok(folder)
}

fn check(folder: &Path) -> Result<()> {
    for (name, expected) in FILES {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).with_context(|| format!("{} was not fetched", path.display()))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != expected {
            bail!(
                "{} has the SHA-256 {found}, not {expected}: it is not used. Remove it and try again",
                path.display()
            );
        }
    }
    Ok(())
}

/// Fetches by apt with lists of its own, so that nothing of the machine's configuration changes.
fn fetch(step: &Step, folder: &Path) -> Result<()> {
    if !setup::on_path("apt-get") {
        bail!(
            "the source of musl comes as a Debian source package, and this machine has no apt-get. Put {} into {} by hand",
            FILES.map(|(name, _)| name).join(" and "),
            folders::shown(folder)
        );
    }
    let mirror = mirror(&sources()).with_context(|| {
        format!(
            "apt's configuration in /etc/apt names no Debian mirror, which the source package musl {VERSION} is fetched from. Put {} into {} by hand",
            FILES.map(|(name, _)| name).join(" and "),
            folders::shown(folder)
        )
    })?;
    let state = folders::created(folder.join("apt"))?;
    for part in ["lists/partial", "cache/archives/partial"] {
        folders::created(state.join(part))?;
    }
    let list = state.join("sources.list");
    std::fs::write(&list, mirror.line()).with_context(|| format!("cannot write {}", list.display()))?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        let option = |key: &str, value: &Path| format!("{key}={}", value.display());
        command.current_dir(folder).arg("-q");
        for option in [
            option("Dir::Etc::sourcelist", &list),
            "Dir::Etc::sourceparts=/dev/null".into(),
            option("Dir::State::lists", &state.join("lists")),
            option("Dir::Cache", &state.join("cache")),
            // Otherwise root's apt becomes a user who may not write here.
            "APT::Sandbox::User=root".into(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(arguments);
        command
    };
    step.message("list the source packages");
    step.command("musl-apt", &mut apt(&["update"]))?;
    step.message("download");
    let package = format!("musl={VERSION}");
    let fetched = step.command("musl-apt", &mut apt(&["source", "--download-only", &package]));
    // The lists are large and only good for this.
    let _is_gone = std::fs::remove_dir_all(&state);
    fetched.with_context(|| {
        format!("the Debian release {RELEASE} has musl {VERSION} no more, or the mirror does not answer")
    })
}

/// Where a Debian mirror is, and which keys its lists are signed with.
#[derive(Debug, PartialEq, Eq)]
struct Mirror {
    address: String,
    signed_by: Option<String>,
}

impl Mirror {
    fn line(&self) -> String {
        let signed_by = self.signed_by.as_deref().map_or_else(String::new, |keys| format!("[signed-by={keys}] "));
        format!("deb-src {signed_by}{} {RELEASE} main\n", self.address)
    }
}

/// The texts of apt's configuration of sources.
fn sources() -> Vec<String> {
    let entries = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.push("/etc/apt/sources.list".into());
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// The first mirror of Debian itself in either form of the configuration: its path ends in `/debian`.
fn mirror(texts: &[String]) -> Option<Mirror> {
    let is_debian = |address: &str| address.trim_end_matches('/').ends_with("/debian");
    let one_line = |line: &str| {
        let rest = line.trim().strip_prefix("deb ").or_else(|| line.trim().strip_prefix("deb-src "))?.trim();
        let (options, rest) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).unwrap_or(("", rest));
        let address = rest.split_whitespace().next().filter(|address| is_debian(address))?;
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        Some(Mirror { address: address.into(), signed_by: signed_by.map(String::from) })
    };
    let stanza = |text: &str| {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).filter(|value| !value.is_empty())
        };
        let address = field("URIs")?.split_whitespace().find(|address| is_debian(address))?;
        Some(Mirror { address: address.into(), signed_by: field("Signed-By").map(String::from) })
    };
    texts.iter().find_map(|text| text.split("\n\n").find_map(stanza).or_else(|| text.lines().find_map(one_line)))
}

/// All files below `folder`, sorted.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{Mirror, mirror};

    #[test]
    fn mirror_is_found_in_both_forms_of_the_configuration() {
        let stanzas = "Types: deb\n# a comment\nURIs: http://mirror.test/debian\nSuites: a b\nSigned-By: /keys.gpg\n\n\
                       Types: deb\nURIs: http://mirror.test/debian-security\nSuites: c\n";
        let keys = || Some("/keys.gpg".to_string());
        let expected = Mirror { address: "http://mirror.test/debian".into(), signed_by: keys() };
        let other = "# none\nTypes: deb\nURIs: https://other.test/node_20.x\n".to_string();
        assert_eq!(mirror(&[other.clone(), stanzas.into()]), Some(expected));
        let lines = "deb http://mirror.test/debian-security x main\n\
                     deb [arch=amd64 signed-by=/keys.gpg] http://mirror.test/debian/ x main contrib\n";
        let expected = Mirror { address: "http://mirror.test/debian/".into(), signed_by: keys() };
        assert_eq!(mirror(&[other.clone(), lines.into()]), Some(expected));
        let plain = mirror(&["deb http://mirror.test/debian x main".into()]).unwrap();
        assert_eq!(plain.line(), "deb-src http://mirror.test/debian trixie main\n");
        assert_eq!(mirror(&[other, String::new()]), None);
    }
}
