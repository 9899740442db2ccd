//! Python packages' own sources, by pip as this machine has it set up; no host is named, nothing of a package runs.
use crate::folders;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The unpacked source of a package, in a folder within `work`. pip itself refuses an archive that has another SHA-256.
///
/// # Errors
/// There is no such package, or its archive is another one.
pub(crate) fn fetched(step: &Step, work: &Path, name: &str, version: &str, sha256: &str) -> Result<PathBuf> {
    setup::ensure_pip()?;
    let wanted = work.join("wanted.txt");
    std::fs::write(&wanted, requirement(name, version, sha256))
        .with_context(|| format!("cannot write {}", wanted.display()))?;
    // pip has no command that only fetches a source: it asks the package for its metadata next, by the package's own code. What that
    // code starts with is not there, so pip ends with an error, and leaves what it unpacked, as it was told to.
    let nothing = folders::created(work.join("nothing/setuptools"))?;
    std::fs::write(nothing.join("__init__.py"), "raise ImportError('nothing of a package runs')\n")
        .context("cannot write what stops pip")?;
    let temporary = folders::created(work.join("temporary"))?;
    let mut pip = Command::new(if setup::on_path("pip3") { "pip3" } else { "pip" });
    pip.current_dir(work).env("TMPDIR", &temporary).env("PYTHONPATH", work.join("nothing"));
    pip.args(["download", "--disable-pip-version-check", "--no-clean", "--no-deps", "--no-binary", ":all:"]);
    let fetched = step.command("fetch", pip.arg("--no-build-isolation").arg("-r").arg(&wanted));
    match unpacked(&folders::files_below(&temporary)?, &temporary) {
        Some(folder) => Ok(folder),
        None => Err(fetched.err().unwrap_or_else(|| anyhow::anyhow!("pip left no source of {name} {version}"))),
    }
}

/// A line of pip's requirements.
fn requirement(name: &str, version: &str, sha256: &str) -> String {
    format!("{name}=={version} --hash=sha256:{sha256}\n")
}

/// The folder of the package among what pip leaves: the one with PKG-INFO that lies highest.
fn unpacked(files: &[PathBuf], temporary: &Path) -> Option<PathBuf> {
    let is_there = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "PKG-INFO");
    let highest = files.iter().filter(is_there).min_by_key(|path| path.components().count())?;
    highest.parent().filter(|folder| *folder != temporary).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::{requirement, unpacked};
    use std::path::{Path, PathBuf};

    #[test]
    fn requirement_pins_version_and_digest() {
        assert_eq!(requirement("x", "1.2", "0a"), "x==1.2 --hash=sha256:0a\n");
    }

    #[test]
    fn source_is_the_highest_folder_with_metadata() {
        let files = ["/t/d/x_0/x.egg-info/PKG-INFO", "/t/d/x_0/setup.py", "/t/d/x_0/PKG-INFO"].map(PathBuf::from);
        assert_eq!(unpacked(&files, Path::new("/t")), Some("/t/d/x_0".into()));
        assert_eq!(unpacked(&files[1..2], Path::new("/t")), None);
        assert_eq!(unpacked(&["/t/PKG-INFO".into()], Path::new("/t")), None);
    }
}
