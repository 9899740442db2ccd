//! Python packages' own sources, by pip as this machine has it set up; no host is named, nothing of a package runs.
use crate::folders;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What pip gives the program that calls a package's own means of building it: the second in older versions.
const BACKENDS: [&str; 2] = ["_PYPROJECT_HOOKS_BUILD_BACKEND", "PEP517_BUILD_BACKEND"];

/// The unpacked source of a package, in a folder within `work`. pip itself refuses an archive that has another SHA-256.
///
/// # Errors
/// There is no such package, or its archive is another one.
pub(crate) fn fetched(step: &Step, work: &Path, name: &str, version: &str, sha256: &str) -> Result<PathBuf> {
    setup::ensure_pip()?;
    let wanted = work.join("wanted.txt");
    std::fs::write(&wanted, requirement(name, version, sha256))
        .with_context(|| format!("cannot write {}", wanted.display()))?;
    // pip has no command that only fetches a source: it asks the package for its metadata next, by the package's own code. That is kept from
    // running, so pip ends with an error, and leaves what it unpacked, as it was told to.
    let nothing = work.join("nothing");
    keep_from_running(&nothing).context("cannot write what stops pip")?;
    let temporary = folders::created(work.join("temporary"))?;
    let mut pip = Command::new(if setup::on_path("pip3") { "pip3" } else { "pip" });
    pip.current_dir(work).env("TMPDIR", &temporary).env("PYTHONPATH", &nothing);
    pip.args(["download", "--disable-pip-version-check", "--no-clean", "--no-deps", "--no-binary", ":all:"]);
    let fetched = step.command("fetch", pip.arg("--no-build-isolation").arg("-r").arg(&wanted));
    match unpacked(&folders::files_below(&temporary)?, &temporary) {
        Some(folder) => Ok(folder),
        None => Err(fetched.err().unwrap_or_else(|| anyhow::anyhow!("pip left no source of {name} {version}"))),
    }
}

/// Makes a folder for PYTHONPATH in which setuptools is an error, for packages that only say how setuptools builds them, and whose start of an
/// interpreter ends it where pip wants it to build one in any other way: also in one of the package's own, which would be found without setuptools.
fn keep_from_running(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("setuptools"))?;
    std::fs::write(folder.join("setuptools/__init__.py"), "raise ImportError('nothing of a package runs')\n")?;
    let is_asked = BACKENDS.map(|name| format!("'{name}' in os.environ")).join(" or ");
    std::fs::write(folder.join("sitecustomize.py"), format!("import os\nif {is_asked}:\n    os._exit(1)\n"))
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
    use super::{BACKENDS, keep_from_running, requirement, unpacked};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    #[test]
    fn requirement_pins_version_and_digest() {
        assert_eq!(requirement("x", "1.2", "0a"), "x==1.2 --hash=sha256:0a\n");
    }

    /// An interpreter as pip starts it runs nothing when it is to build; without that it does, so it is the folder that stops it.
    #[test]
    fn no_interpreter_that_is_to_build_runs_anything() {
        let folder = std::env::temp_dir().join(format!("xtask-nothing-runs-{}", std::process::id()));
        keep_from_running(&folder).unwrap();
        let runs = |variable: &str, program: &str| {
            let mut python = Command::new("python3");
            python.env("PYTHONPATH", &folder).env(variable, "backend").args(["-c", program]);
            String::from_utf8(python.output().unwrap().stdout).unwrap()
        };
        for name in BACKENDS {
            assert_eq!(runs(name, "print('ran')"), "", "{name}");
        }
        assert_eq!(runs("OTHER", "print('ran')").trim(), "ran");
        assert_eq!(runs("OTHER", "import setuptools; print('ran')"), "");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn source_is_the_highest_folder_with_metadata() {
        let files = ["/t/d/x_0/x.egg-info/PKG-INFO", "/t/d/x_0/setup.py", "/t/d/x_0/PKG-INFO"].map(PathBuf::from);
        assert_eq!(unpacked(&files, Path::new("/t")), Some("/t/d/x_0".into()));
        assert_eq!(unpacked(&files[1..2], Path::new("/t")), None);
        assert_eq!(unpacked(&["/t/PKG-INFO".into()], Path::new("/t")), None);
    }
}
