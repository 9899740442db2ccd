//! Crates' files from the registry that this machine's cargo uses; the tree names no host.
use super::verify;
use crate::cargo;
use crate::folders;
use crate::progress::Step;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The file of a crate: fetched into cargo's cache if need be, and checked always.
///
/// # Errors
/// There is no such crate, or it is another one.
pub(crate) fn fetched(name: &str, version: &str, sha256: &str) -> Result<PathBuf> {
    let kept = folders::created(folders::target().join("std/source"))?.join(format!("{name}-{version}.crate"));
    if verify(&kept, sha256).is_ok() {
        return Ok(kept);
    }
    let step = Step::start(format!("fetch the crate {name} {version}"));
    // Cargo fetches what a package depends on; this one depends on nothing else.
    let asker = folders::created(folders::target().join("std/fetch").join(name).join("src"))?;
    std::fs::write(asker.join("lib.rs"), "").with_context(|| format!("cannot write {}", asker.display()))?;
    let manifest = asker.with_file_name("Cargo.toml");
    let text = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         {name} = {{ version = \"={version}\", default-features = false }}\n"
    );
    std::fs::write(&manifest, text).with_context(|| format!("cannot write {}", manifest.display()))?;
    let mut fetch = Command::new(cargo::host_cargo());
    step.command("fetch", fetch.arg("fetch").arg("--manifest-path").arg(&manifest))?;
    let file = cached(&manifest, name, version)?;
    verify(&file, sha256)?;
    std::fs::copy(&file, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
    step.done();
    Ok(kept)
}

/// Where cargo keeps the file: its cache lies beside the unpacked sources, `registry/src/REGISTRY/NAME-VERSION/Cargo.toml`.
fn cached(manifest: &std::path::Path, name: &str, version: &str) -> Result<PathBuf> {
    let metadata = cargo::metadata_of(manifest)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let found = packages.iter().find(|package| package["name"] == name && package["version"] == version);
    let path = found.and_then(|package| package["manifest_path"].as_str()).map(PathBuf::from);
    let place = || {
        let (folder, path) = (path.as_deref()?.parent()?, path.as_deref()?);
        let registry = folder.parent()?;
        let cache = path.ancestors().nth(4)?.join("cache").join(registry.file_name()?);
        Some(cache.join(format!("{name}-{version}.crate")))
    };
    place().with_context(|| format!("cargo does not say where {name} {version} is"))
}
