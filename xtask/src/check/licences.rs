//! Every crate in use has a licence that its users can live with.
use anyhow::{Context, Result};
use serde_json::Value;

/// Licences that ask for no more than a notice.
const ALLOWED: [&str; 13] = [
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
];

/// Crates whose manifest names a file in place of a licence, and the licence that the file is.
const BY_FILE: [(&str, &str); 1] = [("redoxfs", "MIT")];

/// Names every crate whose licence is not on the list.
///
/// # Errors
/// The metadata is not what cargo prints.
pub(crate) fn check(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let by_file = BY_FILE.iter().find(|(name, _)| package["name"].as_str() == Some(name));
        let licence = package["license"].as_str().or(by_file.map(|(_, licence)| *licence));
        if !licence.is_some_and(is_allowed) {
            let (name, version) = (package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
            problems.push(format!(
                "{name} {version}: licence {} is not on the list of xtask/src/check/licences.rs",
                licence.unwrap_or("unknown")
            ));
        }
    }
    Ok(problems)
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
    use super::is_allowed;

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
