//! Where things lie in the checkout; creates only folders of build results.
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub(crate) fn checkout() -> PathBuf {
    // The parent of xtask's own folder; known when xtask is built, since it is always built where it is used.
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Cargo's folder for build results: `CARGO_TARGET_DIR`, or `target` in the checkout.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => checkout().join(folder),
        None => checkout().join("target"),
    }
}

/// The folder of one built image.
///
/// # Errors
/// It cannot be created.
pub(crate) fn image(name: &str) -> Result<PathBuf> {
    created(target().join("images").join(name))
}

/// The folder of logs of builds and tests.
///
/// # Errors
/// It cannot be created.
pub(crate) fn logs() -> Result<PathBuf> {
    created(target().join("logs"))
}

/// `folder`, created if need be.
///
/// # Errors
/// It cannot be created.
pub(crate) fn created(folder: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the folder {}; is the disk full or read-only?", folder.display()))?;
    Ok(folder)
}

/// `path` as people want to read it: relative to the checkout where it is inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(checkout()).unwrap_or(path).display().to_string()
}

/// All files below `folder`, sorted.
///
/// # Errors
/// A folder cannot be read.
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
