//! Debian source packages from the mirror that this machine's apt already uses; the tree names no host.
use crate::folders;
use crate::progress::Step;
use crate::setup;
use crate::source::verify;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian release that has the packages.
const RELEASE: &str = "trixie";

/// The folder with these files of the source package, each with its SHA-256: fetched if need be and checked always.
///
/// # Errors
/// A file cannot be had or is another one; says which and what to do.
pub(crate) fn fetched(package: &str, version: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = folders::created(folders::target().join("std/source"))?;
    if check(&folder, files).is_ok() {
        return Ok(folder);
    }
    let step = Step::start(format!("fetch the source of {package} {version}"));
    fetch(&step, &folder, package, version, files)?;
    check(&folder, files)?;
    step.done();
    Ok(folder)
}

fn check(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (name, expected) in files {
        verify(&folder.join(name), expected)?;
    }
    Ok(())
}

/// Fetches by apt with lists of its own, so that nothing of the machine's configuration changes.
fn fetch(step: &Step, folder: &Path, package: &str, version: &str, files: &[(&str, &str)]) -> Result<()> {
    let by_hand = || {
        let names = files.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" and ");
        format!("the source package {package} {version} is needed. Put {names} into {} by hand", folders::shown(folder))
    };
    let apt = Apt::start(step, folder, Kind::Sources).with_context(by_hand)?;
    step.message("download");
    let pinned = format!("{package}={version}");
    apt.get(step, &["source", "--download-only", &pinned]).with_context(|| {
        format!("the Debian release {RELEASE} has {package} {version} no more, or the mirror does not answer")
    })
}

/// Fetches these packages of programs for AArch64 into `folder`, and returns what lies there unpacked.
///
/// # Errors
/// The mirror does not answer, or has none of that name.
pub(crate) fn programs(step: &Step, folder: &Path, packages: &[&str]) -> Result<PathBuf> {
    let place = folder.join("unpacked");
    if place.exists() {
        return Ok(place);
    }
    // What an attempt that ended early left there may be older than what comes.
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let (folder, work) = (folders::created(folder.to_path_buf())?, folder.join("unpacking"));
    let apt = Apt::start(step, &folder, Kind::Programs)?;
    let mut wanted: Vec<String> = packages.iter().map(|package| (*package).to_string()).collect();
    while let Some(package) = wanted.pop() {
        step.message(format!("download {package}"));
        apt.get(step, &["download", &package])?;
        let file = latest(&folder, &package)?;
        let field = Command::new("dpkg-deb").arg("-f").arg(&file).arg("Depends").output();
        let field = String::from_utf8_lossy(&field.context("cannot start dpkg-deb")?.stdout).into_owned();
        // A package that only names the newest of its kind has that one's version in its name.
        wanted.extend(newest(&package, &field));
        step.command("unpack", Command::new("dpkg-deb").arg("-x").arg(&file).arg(&work))?;
    }
    std::fs::rename(&work, &place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(place)
}

/// `linux-image-6.12.1-arm64` for `linux-image-arm64` that depends on it.
fn newest(package: &str, depends: &str) -> Option<String> {
    let (kind, machine) = package.rsplit_once('-').filter(|(kind, _)| *kind == "linux-image")?;
    let names = depends.split(',').filter_map(|one| one.split_whitespace().next());
    let mut versions = names.filter(|name| name.starts_with(kind) && name.ends_with(machine) && *name != package);
    versions.next().map(String::from)
}

fn latest(folder: &Path, package: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
    };
    entries.flatten().map(|entry| entry.path()).find(is_it).with_context(|| format!("apt fetched no {package}"))
}

#[derive(Clone, Copy)]
enum Kind {
    Sources,
    Programs,
}

/// apt with lists of its own; they are large and go with it.
struct Apt {
    folder: PathBuf,
    state: PathBuf,
    list: PathBuf,
}

impl Apt {
    fn start(step: &Step, folder: &Path, kind: Kind) -> Result<Self> {
        if !setup::on_path("apt-get") {
            bail!("this machine has no apt-get");
        }
        let mirror = mirror(&sources()).context("apt's configuration in /etc/apt names no Debian mirror")?;
        let state = folders::created(folder.join("apt"))?;
        for part in ["lists/partial", "cache/archives/partial"] {
            folders::created(state.join(part))?;
        }
        let list = state.join("sources.list");
        std::fs::write(&list, mirror.line(kind)).with_context(|| format!("cannot write {}", list.display()))?;
        let apt = Self { folder: folder.into(), state, list };
        step.message("list Debian's packages");
        apt.get(step, &["update"])?;
        Ok(apt)
    }

    fn get(&self, step: &Step, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("apt-get");
        let option = |key: &str, value: &Path| format!("{key}={}", value.display());
        command.current_dir(&self.folder).arg("-q");
        for option in [
            option("Dir::Etc::sourcelist", &self.list),
            "Dir::Etc::sourceparts=/dev/null".into(),
            option("Dir::State::lists", &self.state.join("lists")),
            option("Dir::Cache", &self.state.join("cache")),
            // Otherwise root's apt becomes a user who may not write here.
            "APT::Sandbox::User=root".into(),
            "APT::Architecture=arm64".into(),
            "APT::Architectures::=arm64".into(),
        ] {
            command.args(["-o", &option]);
        }
        step.command("apt", command.args(arguments))
    }
}

impl Drop for Apt {
    fn drop(&mut self) {
        let _is_gone = std::fs::remove_dir_all(&self.state);
    }
}

/// Where a Debian mirror is, and which keys its lists are signed with.
#[derive(Debug, PartialEq, Eq)]
struct Mirror {
    address: String,
    signed_by: Option<String>,
}

impl Mirror {
    fn line(&self, kind: Kind) -> String {
        let kind = match kind {
            Kind::Sources => "deb-src",
            Kind::Programs => "deb",
        };
        let signed_by = self.signed_by.as_deref().map_or_else(String::new, |keys| format!("[signed-by={keys}] "));
        format!("{kind} {signed_by}{} {RELEASE} main\n", self.address)
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

#[cfg(test)]
mod tests {
    use super::{Kind, Mirror, mirror, newest};

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
        assert_eq!(plain.line(Kind::Sources), "deb-src http://mirror.test/debian trixie main\n");
        assert_eq!(mirror(&[other, String::new()]), None);
    }

    #[test]
    fn newest_is_the_package_with_a_version_in_its_name() {
        let depends = "initramfs-tools, linux-image-6.12.1-arm64 (= 6.12.1-1), x";
        assert_eq!(newest("linux-image-arm64", depends).as_deref(), Some("linux-image-6.12.1-arm64"));
        assert_eq!(newest("linux-image-6.12.1-arm64", "kmod, linux-base"), None);
        assert_eq!(newest("musl-dev", "musl (= 1.2)"), None);
    }
}
