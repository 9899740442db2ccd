//! The files of the checkout that people write; not build results.
use crate::folders;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// One text file.
pub(crate) struct File {
    /// Relative to the checkout, with `/`.
    pub(crate) path: String,
    /// Its content.
    pub(crate) text: String,
}

/// All text files that are in version control or are about to be.
///
/// # Errors
/// git is missing, or this is no checkout.
pub(crate) fn files() -> Result<Vec<File>> {
    let root = folders::checkout();
    let output = Command::new("git")
        .current_dir(&root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!("git cannot list the files of {}: {}", root.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // Deleted files are still listed; files that are not text have no rules.
    let read = |path: PathBuf| {
        Some(File { text: std::fs::read_to_string(root.join(&path)).ok()?, path: path.to_str()?.to_string() })
    };
    Ok(paths.filter_map(read).collect())
}
