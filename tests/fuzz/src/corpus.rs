//! Samples in files: those of this folder, and the good and bad texts that other crates keep for their own tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// Every file of `corpus/<target>/`, by name: seeds, and inputs that once were findings.
#[must_use]
pub fn of_target(target: &str) -> Vec<Vec<u8>> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target))
        .into_iter()
        .filter_map(|path| fs::read(path).ok())
        .collect()
}

/// All files below a folder, in the order of their paths; none if there is no such folder.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
