//! Rules for every text: tagline, length, no name of a machine.
use super::tree::File;

/// One line of formatted text, marks included.
const TAGLINE_MAX: usize = 116;
const LINES_MAX: usize = 600;

/// Rust files open with `//!` and one line, IDL texts with `///`.
pub(crate) fn taglines(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let Some(mark) = mark_of(&file.path) else { continue };
        let first = file.text.lines().next().unwrap_or_default();
        match first.strip_prefix(mark) {
            None => problems.push(format!("{}:1: open with `{mark}` and what the file is for", file.path)),
            Some(text) if text.trim().is_empty() => problems.push(format!("{}:1: the tagline is empty", file.path)),
            Some(text) if mark == "//!" && text.trim().chars().count() > TAGLINE_MAX => {
                problems.push(format!("{}:1: the tagline has more than {TAGLINE_MAX} characters", file.path));
            }
            Some(_) => {}
        }
    }
    problems
}

fn mark_of(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    // Inputs of the IDL compiler's and the capability graph's tests are data; their mistakes are wanted.
    if path.contains("/corpus/") || path.contains("/accept/") || path.contains("/reject/") || path.contains("/cases/") {
        return None;
    }
    match name.rsplit_once('.')?.1 {
        "rs" => Some("//!"),
        "idl" => Some("///"),
        _ => None,
    }
}

/// Source files stay short enough to be read in one sitting.
pub(crate) fn sizes(files: &[File]) -> Vec<String> {
    let is_source = |file: &&File| file.path.ends_with(".rs") || file.path.ends_with(".S");
    let too_long = files.iter().filter(is_source).filter(|file| file.text.lines().count() > LINES_MAX);
    too_long
        .map(|file| {
            format!(
                "{}: {} lines; more than {LINES_MAX} are two subjects, make it two files",
                file.path,
                file.text.lines().count()
            )
        })
        .collect()
}

/// Nothing in the tree depends on where packages come from or on one person's machine.
pub(crate) fn words(files: &[File]) -> Vec<String> {
    // In pieces, so that this file passes its own check.
    let unwanted = [
        (concat!("crates", ".io/"), "a registry's address; name the package only"),
        (concat!("index.", "crates", ".io"), "a registry's address; name the package only"),
        (concat!("deb.", "debian", ".org"), "a mirror's address; use the machine's own apt configuration"),
        (concat!("static.", "rust-lang", ".org"), "a download server's address; use rustup"),
        (concat!("pypi", ".org"), "a registry's address; name the package only"),
        (concat!("registry.", "npmjs", ".org"), "a registry's address; name the package only"),
        (concat!("/home", "/"), "a path of one machine"),
        (concat!("/ro", "ot/"), "a path of one machine"),
        (concat!("/work", "/"), "a path of one machine"),
    ];
    let mut problems = Vec::new();
    // Cargo writes the lock file; the registry's name in it is the same for everybody.
    for file in files.iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.text.lines().enumerate() {
            let found = unwanted.iter().filter(|(word, _)| line.contains(word));
            problems.extend(found.map(|(word, why)| format!("{}:{}: {word:?} is {why}", file.path, number + 1)));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{File, sizes, taglines, words};

    fn file(path: &str, text: &str) -> Vec<File> {
        vec![File { path: path.into(), text: text.into() }]
    }

    #[test]
    fn taglines_of_good_files_are_accepted() {
        for (path, text) in [
            ("a.rs", "//! Adds numbers; knows no units."),
            ("b.toml", "# Facts"),
            ("Cargo.toml", "[package]"),
            ("README.md", "x"),
        ] {
            assert!(taglines(&file(path, text)).is_empty(), "{path}");
        }
    }

    #[test]
    fn taglines_that_are_missing_empty_or_long_are_named() {
        for text in ["fn main() {}", "//!", "// Not it", &format!("//! {}", "x".repeat(117))] {
            assert_eq!(taglines(&file("a.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn sizes_beyond_the_limit_are_named() {
        assert_eq!(sizes(&file("a.rs", &"x\n".repeat(601))).len(), 1);
        assert!(sizes(&file("a.rs", &"x\n".repeat(600))).is_empty());
    }

    #[test]
    fn words_of_one_machine_are_named_with_their_line() {
        let text = format!("fine\nsee {}user/x\n", concat!("/home", "/"));
        let problems = words(&file("docs/x.md", &text));
        assert_eq!(problems.len(), 1);
        assert!(problems.iter().all(|problem| problem.starts_with("docs/x.md:2:")), "{problems:?}");
    }
}
