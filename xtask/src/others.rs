//! Programs that are test suites of others: what cargo is told to compile one; which tests run is the suite's list's.
use crate::cargo::{self, Dependencies, Toolchain};
use crate::product::Suite;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lets `command`, a `cargo rustc` whose own flags are rustc's by now, compile the program with the tests of `suite`.
///
/// # Errors
/// The toolchain's sources, or the crate, have no such folder; no crate or several of that name are in Cargo.lock.
pub(crate) fn choose(command: &mut Command, toolchain: &Toolchain, suite: &Suite) -> Result<()> {
    let folder = match suite {
        Suite::Library(folder) => toolchain.library.join(folder),
        Suite::Crate { name, folder } => of_crate(&cargo::metadata(Dependencies::With)?, name)?.join(folder),
    };
    ensure!(folder.is_dir(), "there are no tests in {}", folder.display());
    command.arg("--test");
    // The program's build script finds the files there.
    command.env("HYBRID_OTHERS", folder);
    Ok(())
}

/// Where cargo unpacked the crate `name`, whose file has the SHA-256 that Cargo.lock says.
fn of_crate(metadata: &Value, name: &str) -> Result<PathBuf> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut found = packages.iter().filter(|package| package["name"] == name);
    let (Some(package), None) = (found.next(), found.next()) else {
        bail!("Cargo.lock has not exactly one release of {name}, whose tests these are");
    };
    let manifest = package["manifest_path"].as_str().map(Path::new).and_then(Path::parent);
    manifest.map(PathBuf::from).with_context(|| format!("cargo metadata does not say where {name} is"))
}

#[cfg(test)]
mod tests {
    use super::of_crate;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn crate_is_where_cargo_says_if_there_is_exactly_one() {
        let at = |name: &str, path: &str| json!({ "name": name, "manifest_path": path });
        let metadata = json!({ "packages": [at("a", "/r/a-1.0.0/Cargo.toml"), at("b", "/r/b-1/Cargo.toml"), at("b", "/r/b-2/Cargo.toml")] });
        assert_eq!(of_crate(&metadata, "a").unwrap(), Path::new("/r/a-1.0.0"));
        assert!(of_crate(&metadata, "b").unwrap_err().to_string().contains("exactly one release of b"));
        assert!(of_crate(&metadata, "c").is_err() && of_crate(&json!({}), "a").is_err());
    }
}
