//! Every crate in use has a licence that its users can live with.
use crate::{cargo, product};
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Licences that ask for no more than a notice.
const ALLOWED: [&str; 15] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "BSL-1.0",
    "CC0-1.0",
    // terminfo's, which brush reads keys' names with: it asks for nothing at all.
    "WTFPL",
    // SQLite's: it is in the public domain.
    "blessing",
];

/// Crates whose manifest names a file in place of a licence, and the licence that the file is.
const BY_FILE: [(&str, &str); 1] = [("redoxfs", "MIT")];

/// Cargo.lock, as far as it is looked at.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

/// A crate that cargo may fetch.
#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

/// A crate's Cargo.toml, as far as it is looked at.
#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    license: Option<String>,
}

/// Names every crate whose licence is not on the list. `lock` is the text of Cargo.lock: what cargo's metadata leave out (a crate that has a program and
/// no library, and all that only such crates need) is read where cargo keeps it.
///
/// # Errors
/// The metadata is not what cargo prints, or a crate cannot be fetched.
pub(crate) fn check(metadata: &Value, lock: &str) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let named = |package: &Value, key: &str| package[key].as_str().unwrap_or("?").to_string();
    let mut problems = Vec::new();
    let mut listed = BTreeSet::new();
    for package in packages {
        let (name, version) = (named(package, "name"), named(package, "version"));
        problems.extend(problem(&name, &version, package["license"].as_str()));
        listed.insert((name, version));
    }
    let left_out = left_out(lock, &listed)?;
    if left_out.is_empty() {
        return Ok(problems);
    }
    cargo::fetch()?;
    let registry = registry(packages).context("no crate of cargo's metadata is of a registry")?;
    for (name, version) in left_out {
        problems.extend(kept(&registry, &name, &version)?);
    }
    Ok(problems)
}

/// Name and version of each crate of Cargo.lock that comes from elsewhere and is not `listed`.
fn left_out(lock: &str, listed: &BTreeSet<(String, String)>) -> Result<Vec<(String, String)>> {
    let lock: Lock = toml::from_str(lock).context("Cargo.lock is not valid")?;
    let others = lock.package.into_iter().filter(|locked| locked.source.is_some());
    Ok(others.map(|locked| (locked.name, locked.version)).filter(|locked| !listed.contains(locked)).collect())
}

/// Where cargo keeps the crates of its registry, unpacked.
fn registry(packages: &[Value]) -> Option<PathBuf> {
    let of_registry =
        |package: &&Value| package["source"].as_str().is_some_and(|source| source.starts_with("registry+"));
    let path = packages.iter().find(of_registry)?["manifest_path"].as_str()?;
    Path::new(path).parent()?.parent().map(Path::to_path_buf)
}

/// What is wrong with a crate that is unpacked in `registry`.
fn kept(registry: &Path, name: &str, version: &str) -> Result<Option<String>> {
    let manifest: Manifest = product::read_toml(&registry.join(format!("{name}-{version}/Cargo.toml")))?;
    Ok(problem(name, version, manifest.package.license.as_deref()))
}

fn problem(name: &str, version: &str, licence: Option<&str>) -> Option<String> {
    let by_file = BY_FILE.iter().find(|(of, _)| *of == name);
    let licence = licence.or(by_file.map(|(_, licence)| *licence));
    let licence = licence.filter(|licence| !is_allowed(licence)).or(licence.is_none().then_some("unknown"))?;
    Some(format!("{name} {version}: licence {licence} is not on the list of xtask/src/check/licences.rs"))
}

/// Whether what an SPDX expression says is on the list; `/` is how old manifests write OR. AND binds closer than OR.
pub(crate) fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let is_fine = any(&mut rest);
    is_fine && rest.is_empty()
}

fn any(words: &mut &[&str]) -> bool {
    let mut is_fine = all(words);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        is_fine |= all(words);
    }
    is_fine
}

fn all(words: &mut &[&str]) -> bool {
    let mut is_fine = one(words);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        is_fine &= one(words);
    }
    is_fine
}

fn one(words: &mut &[&str]) -> bool {
    let Some((&first, rest)) = words.split_first() else { return false };
    *words = rest;
    if first == "(" {
        let is_fine = any(words);
        let Some((&")", rest)) = words.split_first() else { return false };
        *words = rest;
        return is_fine;
    }
    if let [with @ "WITH", exception, rest @ ..] = *words {
        *words = rest;
        return ALLOWED.contains(&format!("{first} {with} {exception}").as_str());
    }
    ALLOWED.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, kept, left_out, problem, registry};

    #[test]
    fn crate_without_a_known_licence_is_named() {
        assert_eq!(problem("a", "1", Some("MIT")), None);
        assert!(problem("a", "1", Some("GPL-3.0")).is_some_and(|text| text.contains("a 1: licence GPL-3.0")));
        assert!(problem("a", "1", None).is_some_and(|text| text.contains("unknown")));
        assert_eq!(problem("redoxfs", "1", None), None);
    }

    #[test]
    fn crate_that_metadata_leave_out_is_looked_at_and_one_of_the_tree_is_not() {
        let package =
            |name: &str, source: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}");
        let registry = "source = \"registry+somewhere\"\n";
        let lock = package("own", "") + &package("listed", registry) + &package("program", registry);
        let pair = |name: &str| (name.to_string(), "1.0.0".to_string());
        assert_eq!(left_out(&lock, &[pair("listed")].into()).unwrap(), [pair("program")]);
        assert!(left_out("[[package]]", &[].into()).is_err());
    }

    #[test]
    fn crate_without_a_library_is_read_where_cargo_keeps_it() {
        let folder = std::env::temp_dir().join(format!("hybrid-licences-{}", std::process::id()));
        for (name, licence) in [("known-1.0.0", "MIT"), ("program-2.0.0", "GPL-3.0")] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("Cargo.toml"), format!("[package]\nlicense = \"{licence}\"\n"))
                .unwrap();
        }
        let path = folder.join("known-1.0.0/Cargo.toml");
        let packages = [serde_json::json!({ "source": "registry+x", "manifest_path": path })];
        let found = kept(&registry(&packages).unwrap(), "program", "2.0.0");
        let (known, missing) = (kept(&folder, "known", "1.0.0"), kept(&folder, "known", "3.0.0"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(found.unwrap().is_some_and(|text| text.contains("program 2.0.0: licence GPL-3.0")));
        assert!(known.unwrap().is_none() && missing.is_err());
    }

    #[test]
    fn is_allowed_when_one_of_several_choices_is() {
        for text in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR X",
            "(MIT OR X) AND Unicode-3.0",
        ] {
            assert!(is_allowed(text), "{text}");
        }
    }

    #[test]
    fn is_allowed_never_when_all_parts_are_needed_and_one_is_not() {
        for text in
            ["GPL-3.0", "MIT AND GPL-3.0", "", "(MIT", "MIT)", "MIT MIT", "Apache-2.0 WITH X", "(MIT OR X) AND Y"]
        {
            assert!(!is_allowed(text), "{text}");
        }
    }
}
