//! Programs of others: `source.toml` says where one comes from and how it is built; it is never changed.
//!
//! What is fetched is refused unless it has the SHA-256 that the text says (decision 0151), and lies unpacked in the target folder. A crate's own program
//! is cargo's matter: Cargo.lock has its SHA-256, and `check licences` sees it and all that it needs.
pub(crate) mod debian;
mod python;
mod registry;

use crate::check::licences;
use crate::folders;
use crate::hex::hex;
use crate::product;
use crate::progress::Step;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One source.toml.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    source: Origin,
    #[serde(default)]
    pub(crate) build: Recipe,
}

/// Where a program comes from: exactly one of `crate`, `debian` and `python` is said.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Origin {
    /// A crate of the registry that cargo uses.
    #[serde(rename = "crate")]
    of_crate: Option<String>,
    /// A source package of Debian's.
    debian: Option<String>,
    /// A Python package of the registry that pip uses: its own source, not what is made of it.
    python: Option<String>,
    version: String,
    /// The archive that is unpacked, of a Debian source package.
    archive: Option<String>,
    /// Of the archive, of the crate's file, or of the Python package's archive.
    sha256: String,
    /// An SPDX expression.
    licence: String,
}

/// How it is built.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Recipe {
    /// The C and C++ files, as paths in the source; `*` stands for anything within one name.
    #[serde(default)]
    files: Vec<String>,
    /// Those of them that are not compiled.
    #[serde(default)]
    without: Vec<String>,
    /// Folders of headers.
    #[serde(default)]
    pub(crate) include: Vec<String>,
    /// Macros, as `NAME` or `NAME=VALUE`.
    #[serde(default)]
    pub(crate) define: Vec<String>,
}

/// The source.toml of a component with `std`: the program of a crate on which its package depends.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct ProgramText {
    program: Program,
}

/// A program that a crate has beside its library, or instead of one.
#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// The crate.
    #[serde(rename = "crate")]
    pub(crate) package: String,
    /// The program.
    pub(crate) name: String,
}

impl Program {
    /// The program that is the component in `folder` (relative to the checkout); none if the component's own package has it.
    ///
    /// # Errors
    /// Its source.toml is wrong.
    pub(crate) fn of_component(folder: &Path) -> Result<Option<Self>> {
        let Some(path) = text_in(folder) else { return Ok(None) };
        let text: ProgramText = product::read_toml(&path)
            .context("with runtime = \"std\" a source.toml has a [program] with `crate` and `name`")?;
        let path = path.with_file_name("Cargo.toml");
        let pinned = text.program.is_pinned_in(&product::read_toml(&path)?);
        pinned.with_context(|| format!("{} does not pin it", folders::shown(&path)))?;
        Ok(Some(text.program))
    }

    /// Whether a package depends on the crate in exactly one version, on every machine or on the device.
    fn is_pinned_in(&self, manifest: &toml::Table) -> Result<()> {
        let tables = [&["dependencies"][..], &["target", "cfg(target_env = \"musl\")", "dependencies"]];
        let version = tables.iter().find_map(|path| {
            let table = path.iter().try_fold(manifest, |table, key| table.get(*key)?.as_table())?;
            let dependency = table.get(&self.package)?;
            dependency.get("version").unwrap_or(dependency).as_str()
        });
        let version = version.with_context(|| format!("it does not depend on {}", self.package))?;
        ensure!(version.starts_with('='), "the version of {} is {version}, and has to be `=` one", self.package);
        Ok(())
    }
}

/// The source.toml in `folder`, if it has one.
fn text_in(folder: &Path) -> Option<PathBuf> {
    Some(folders::checkout().join(folder).join("source.toml")).filter(|path| path.exists())
}

/// A program's source, unpacked.
pub(crate) struct Source {
    /// Where it lies.
    pub(crate) folder: PathBuf,
    /// A name for what it is, with its version.
    pub(crate) name: String,
    /// How it is built.
    pub(crate) recipe: Recipe,
}

impl Source {
    /// The source of the component in `folder` (relative to the checkout); none if all of it is in the checkout.
    ///
    /// # Errors
    /// Its source.toml is wrong, its licence is not on the list, or it cannot be had.
    pub(crate) fn of_component(folder: &Path) -> Result<Option<Self>> {
        let Some(path) = text_in(folder) else { return Ok(None) };
        let text: Text = product::read_toml(&path)?;
        let text = checked(text).with_context(|| format!("{} is not valid", folders::shown(&path)))?;
        text.fetched().map(Some)
    }

    /// The files to compile.
    ///
    /// # Errors
    /// A pattern fits none: it is a mistake, or the source is another one.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let all = folders::files_below(&self.folder)?;
        let names: Vec<String> =
            all.iter().filter_map(|path| Some(path.strip_prefix(&self.folder).ok()?.to_str()?.to_string())).collect();
        let chosen = chosen(&names, &self.recipe.files, &self.recipe.without)
            .with_context(|| format!("the source of {}", self.name))?;
        Ok(chosen.into_iter().map(|name| self.folder.join(name)).collect())
    }
}

fn checked(text: Text) -> Result<Text> {
    let source = &text.source;
    ensure!(
        licences::is_allowed(&source.licence),
        "the licence {} is not on the list of xtask/src/check/licences.rs",
        source.licence
    );
    let is_digest = source.sha256.len() == 64 && source.sha256.chars().all(|digit| digit.is_ascii_hexdigit());
    ensure!(is_digest, "sha256 is not 64 hexadecimal digits");
    let is_plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('.')
            && text.chars().all(|letter| letter.is_ascii_graphic() && letter != '/')
    };
    let names = [&source.of_crate, &source.debian, &source.python, &source.archive];
    ensure!(
        is_plain(&source.version) && names.into_iter().flatten().all(|name| is_plain(name)),
        "a name or version with other signs than a file's name has"
    );
    match (&source.of_crate, &source.python, &source.debian, &source.archive) {
        (Some(_), None, None, None) | (None, Some(_), None, None) | (None, None, Some(_), Some(_)) => Ok(text),
        _ => bail!("say either `crate`, or `python`, or `debian` and the `archive` of it"),
    }
}

impl Text {
    fn fetched(self) -> Result<Source> {
        let Origin { of_crate, debian, python, version, archive, sha256, .. } = self.source;
        let package = of_crate.as_ref().or(python.as_ref()).or(debian.as_ref()).context("no source")?;
        let name = format!("{package}-{version}");
        let folder = match (&of_crate, &python, &debian, &archive) {
            (Some(package), ..) => unpacked(&name, &registry::fetched(package, &version, &sha256)?, &sha256)?,
            (_, Some(package), ..) => {
                let fetch = |step: &Step, work: &Path| python::fetched(step, work, package, &version, &sha256);
                placed(&name, "fetch", &sha256, fetch)?
            }
            (_, _, Some(package), Some(archive)) => {
                let folder = debian::fetched(package, &version, &[(archive, &sha256)])?;
                unpacked(&name, &folder.join(archive), &sha256)?
            }
            _ => bail!("no source"),
        };
        Ok(Source { folder, name, recipe: self.build })
    }
}

/// Refuses a file that is not the one with this SHA-256.
///
/// # Errors
/// It is another one, or cannot be read.
pub(crate) fn verify(path: &Path, expected: &str) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("{} was not fetched", path.display()))?;
    let found = hex(&Sha256::digest(&bytes));
    if found != expected {
        bail!("{} has the SHA-256 {found}, not {expected}: it is not used. Remove it and try again", path.display());
    }
    Ok(())
}

/// The one folder that `archive` unpacks to.
fn unpacked(name: &str, archive: &Path, sha256: &str) -> Result<PathBuf> {
    placed(name, "unpack", sha256, |step, work| {
        let mut tar = Command::new("tar");
        tar.current_dir(work).args(["--strip-components=1", "-xf"]).arg(archive);
        step.command("unpack", &mut tar)?;
        Ok(work.to_path_buf())
    })
}

/// Where a source lies unpacked; if it is not there yet, `make` does it in a folder of its own and says where in it.
fn placed(name: &str, what: &str, sha256: &str, make: impl FnOnce(&Step, &Path) -> Result<PathBuf>) -> Result<PathBuf> {
    let all = folders::created(folders::target().join("std/others"))?;
    let place = all.join(format!("{name}-{}", &sha256[..12]));
    if !place.exists() {
        let step = Step::start(format!("{what} {name}"));
        let work = emptied(all.join(format!("unpacking-{}", std::process::id())))?;
        let made = make(&step, &work)?;
        // Another xtask may have been faster; then its result is the same.
        if !place.exists() {
            std::fs::rename(&made, &place).with_context(|| format!("cannot write {}", place.display()))?;
        }
        let _is_gone = std::fs::remove_dir_all(&work);
        step.done();
    }
    Ok(place)
}

/// The folder, with nothing in it: one that was killed may have had the same number, and left something that would become part of the source.
fn emptied(folder: PathBuf) -> Result<PathBuf> {
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", folder.display()))
        }
        _ => folders::created(folder),
    }
}

/// The names that fit one of `patterns` and none of `without`, in their order.
fn chosen(names: &[String], patterns: &[String], without: &[String]) -> Result<Vec<String>> {
    for pattern in patterns.iter().chain(without) {
        if !names.iter().any(|name| fits(name, pattern)) {
            bail!("no file fits {pattern:?}");
        }
    }
    let fits_any = |name: &String, patterns: &[String]| patterns.iter().any(|pattern| fits(name, pattern));
    Ok(names.iter().filter(|name| fits_any(name, patterns) && !fits_any(name, without)).cloned().collect())
}

fn fits(name: &str, pattern: &str) -> bool {
    let (mut names, mut patterns) = (name.split('/'), pattern.split('/'));
    loop {
        match (names.next(), patterns.next()) {
            (None, None) => return true,
            (Some(name), Some(pattern)) if fits_part(name, pattern) => {}
            _ => return false,
        }
    }
}

fn fits_part(name: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return name == pattern };
    let Some(rest) = name.strip_prefix(before) else { return false };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| fits_part(rest, after)))
}

#[cfg(test)]
mod tests {
    use super::{Program, ProgramText, Text, checked, chosen, emptied, fits};

    fn read(text: &str) -> anyhow::Result<Text> {
        checked(toml::from_str(text)?)
    }

    fn text(source: &str) -> String {
        format!("[source]\n{source}\nsha256 = \"{}\"\n", "0a".repeat(32))
    }

    #[test]
    fn texts_name_one_origin_and_a_permissive_licence() {
        let of_crate = text("crate = \"x\"\nversion = \"1\"\nlicence = \"MIT\"");
        assert!(read(&of_crate).is_ok());
        assert!(read(&format!("{of_crate}[build]\nfiles = [\"a/*.c\"]\n")).is_ok());
        assert!(read(&text("debian = \"x\"\narchive = \"x.tar.gz\"\nversion = \"1\"\nlicence = \"Zlib\"")).is_ok());
        assert!(read(&text("python = \"x\"\nversion = \"1\"\nlicence = \"blessing\"")).is_ok());
        for wrong in [
            "version = \"1\"\nlicence = \"MIT\"",
            "crate = \"x\"\nversion = \"1\"\nlicence = \"GPL-3.0\"",
            "crate = \"x\"\ndebian = \"x\"\narchive = \"y\"\nversion = \"1\"\nlicence = \"MIT\"",
            "crate = \"x\"\npython = \"x\"\nversion = \"1\"\nlicence = \"MIT\"",
            "python = \"x\"\narchive = \"x.tar.gz\"\nversion = \"1\"\nlicence = \"MIT\"",
            "python = \"x\"\nversion = \"1 --pre\"\nlicence = \"MIT\"",
            "debian = \"x\"\nversion = \"1\"\nlicence = \"MIT\"",
            "crate = \"../x\"\nversion = \"1\"\nlicence = \"MIT\"",
            "crate = \"x\"\nversion = \"1\"\nlicence = \"MIT\"\npatch = \"y\"",
        ] {
            assert!(read(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(read("[source]\ncrate = \"x\"\nversion = \"1\"\nlicence = \"MIT\"\nsha256 = \"0a\"").is_err());
    }

    #[test]
    fn program_of_a_crate_is_named_whole() {
        let read = |text: &str| toml::from_str::<ProgramText>(text).map(|text| text.program);
        let wanted = Program { package: "ripgrep".into(), name: "rg".into() };
        assert_eq!(read("[program]\ncrate = \"ripgrep\"\nname = \"rg\""), Ok(wanted));
        for wrong in [
            "[program]\ncrate = \"ripgrep\"",
            "[source]\ncrate = \"x\"",
            "[program]\ncrate = \"x\"\nname = \"y\"\nsha256 = \"0a\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn program_is_of_a_crate_that_the_package_pins() {
        let program = Program { package: "x".into(), name: "y".into() };
        for fine in [
            "[dependencies]\nx = \"=1.2\"",
            "[dependencies]\nx = { version = \"=1.2\", default-features = false }",
            "[target.'cfg(target_env = \"musl\")'.dependencies]\nx = { version = \"=1\" }",
        ] {
            assert!(program.is_pinned_in(&fine.parse().unwrap()).is_ok(), "{fine}");
        }
        for wrong in
            ["", "[dependencies]\nx = \"1.2\"", "[dependencies]\nz = \"=1\"", "[dependencies]\nx = { path = \"x\" }"]
        {
            assert!(program.is_pinned_in(&wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn folder_in_which_a_source_is_unpacked_is_empty() {
        let folder = std::env::temp_dir().join(format!("xtask-emptied-{}", std::process::id()));
        assert_eq!(emptied(folder.clone()).unwrap(), folder);
        std::fs::create_dir(folder.join("a")).unwrap();
        std::fs::write(folder.join("a/left"), "x").unwrap();
        emptied(folder.clone()).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn pattern_stands_for_names_within_a_folder() {
        assert!(fits("a/b.c", "a/*.c") && fits("a/b.c", "*/b.c") && fits("a/b.c", "a/b.c") && fits("a/xaxb", "a/*a*b"));
        assert!(!fits("a/b/c.c", "a/*.c") && !fits("a/b.cpp", "a/*.c") && !fits("a", "a/*") && !fits("a/é.c", "a/?.c"));
    }

    #[test]
    fn files_are_chosen_once_and_a_pattern_without_any_is_told() {
        let names = ["a.c", "b.c", "d/e.c"].map(String::from);
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
        assert_eq!(chosen(&names, &list(&["*.c", "a.c", "d/*"]), &list(&["b.c"])).unwrap(), list(&["a.c", "d/e.c"]));
        assert!(chosen(&names, &list(&["*.c"]), &list(&["x.c"])).is_err());
        assert!(chosen(&names, &list(&["x/*.c"]), &[]).is_err());
    }
}
