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
    let mut folder = match suite {
        Suite::Library(folder) => toolchain.library.join(folder),
        Suite::Crate { name, folder } => of_crate(&cargo::metadata(Dependencies::With)?, name)?.join(folder),
    };
    command.arg("--test");
    if folder.is_file() {
        let root = std::fs::read_to_string(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        command.args(attributes(&root).map(|attribute| format!("-Zcrate-attr={attribute}")));
        folder.pop();
    }
    ensure!(folder.is_dir(), "there are no tests in {}", folder.display());
    // The program's build script finds the files there.
    command.env("HYBRID_OTHERS", folder);
    Ok(())
}

/// The attributes of a whole crate, each in its line: the language's parts that the crate's authors ask for, among others. The program's root is another
/// file, into which they cannot be included as the rest is (`tests/others/lists`).
fn attributes(root: &str) -> impl Iterator<Item = &str> {
    root.lines().filter_map(|line| line.strip_prefix("#![")?.strip_suffix(']'))
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
    use super::{attributes, of_crate};
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn attributes_of_a_root_are_those_of_the_crate_alone() {
        let root = "#![no_std]\n// x\n#![feature(a)]\n#[cfg(b)]\nmod c;\nmod d {\n    #![allow(e)]\n}\n";
        assert_eq!(attributes(root).collect::<Vec<_>>(), ["no_std", "feature(a)"]);
    }

    #[test]
    fn crate_is_where_cargo_says_if_there_is_exactly_one() {
        let at = |name: &str, path: &str| json!({ "name": name, "manifest_path": path });
        let metadata = json!({ "packages": [at("a", "/r/a-1.0.0/Cargo.toml"), at("b", "/r/b-1/Cargo.toml"), at("b", "/r/b-2/Cargo.toml")] });
        assert_eq!(of_crate(&metadata, "a").unwrap(), Path::new("/r/a-1.0.0"));
        assert!(of_crate(&metadata, "b").unwrap_err().to_string().contains("exactly one release of b"));
        assert!(of_crate(&metadata, "c").is_err() && of_crate(&json!({}), "a").is_err());
    }
}
