//! Reads which tests of others run, in which program, and which do not, and why; runs none.
//!
//! A list is a text (`tests/others/std.list`) beside the suites' programs. Each file of the suite stands in it exactly once: in a program that runs it,
//! or with the reason why none does. Who builds a program checks that against the suite's folder, so a suite cannot grow or shrink unseen.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One suite's list.
#[derive(Debug, Default)]
pub struct List {
    /// Which files each program runs, by the program's name.
    programs: BTreeMap<String, Vec<String>>,
    /// How many of its tests pass, and how many their authors ignore.
    counts: BTreeMap<String, (usize, usize)>,
    /// Modules that files share, and that hold no test.
    shared: Vec<String>,
    /// Files that are not run, by the reason.
    files: BTreeMap<String, Vec<String>>,
    /// Tests that are not run, by the reason.
    tests: BTreeMap<String, Vec<String>>,
}

impl List {
    /// Reads a list, and checks it as far as it can be checked alone. A heading stands in brackets, and the words below it are files or tests.
    ///
    /// # Errors
    /// It is no list, names something twice, or a test of a file that no program runs.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        let mut words: Option<&mut Vec<String>> = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match (line.strip_prefix('[').and_then(|line| line.strip_suffix(']')), &mut words) {
                (Some(heading), _) => words = Some(list.below(heading)?),
                (None, Some(words)) => words.extend(line.split_whitespace().map(String::from)),
                (None, None) => return Err(format!("no heading before {line}")),
            }
        }
        list.check()?;
        Ok(list)
    }

    /// Where the words below a heading go.
    fn below(&mut self, heading: &str) -> Result<&mut Vec<String>, String> {
        if heading == "shared" {
            Ok(&mut self.shared)
        } else if let Some(program) = heading.strip_prefix("program ") {
            let (program, counts) =
                counted(program).ok_or_else(|| format!("[{heading}] is not `program NAME: N pass, N are ignored`"))?;
            self.counts.insert(program.into(), counts);
            Ok(self.programs.entry(program.into()).or_default())
        } else if let Some(why) = heading.strip_prefix("files left out: ") {
            Ok(self.files.entry(why.into()).or_default())
        } else if let Some(why) = heading.strip_prefix("tests left out: ") {
            Ok(self.tests.entry(why.into()).or_default())
        } else {
            Err(format!("no list has a part [{heading}]"))
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let tests = self.tests.values().flatten();
        if let Some(twice) = self.listed().chain(tests.clone()).find(|word| !seen.insert(*word)) {
            return Err(format!("{twice} stands twice in the list"));
        }
        let run: BTreeSet<String> = self.programs.values().flatten().map(|file| module(file)).collect();
        let is_run = |test: &String| test.split_once("::").is_some_and(|(file, _)| run.contains(file));
        match tests.clone().find(|test| !is_run(test)) {
            Some(test) => Err(format!("{test} is of no file that a program runs")),
            None => Ok(()),
        }
    }

    fn listed(&self) -> impl Iterator<Item = &String> {
        self.programs.values().flatten().chain(&self.shared).chain(self.files.values().flatten())
    }

    /// The programs.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.programs.keys().map(String::as_str)
    }

    /// How many tests of `program` pass, and how many their authors ignore.
    #[must_use]
    pub fn counts(&self, program: &str) -> Option<(usize, usize)> {
        self.counts.get(program).copied()
    }

    /// The tests that `program` does not run, each with the reason.
    #[must_use]
    pub fn without(&self, program: &str) -> Vec<(&str, &str)> {
        let files = self.programs.get(program).into_iter().flatten();
        let modules: BTreeSet<String> = files.map(|file| module(file)).collect();
        let is_here = |test: &str| test.split_once("::").is_some_and(|(file, _)| modules.contains(file));
        let all = self.tests.iter().flat_map(|(why, tests)| tests.iter().map(|test| (test.as_str(), why.as_str())));
        all.filter(|(test, _)| is_here(test)).collect()
    }

    /// The reasons for which files are not run, each with their number.
    pub fn files_without(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(why, files)| (why.as_str(), files.len()))
    }

    /// The text of a module that holds the tests of `program`, whose suite is in `folder`.
    ///
    /// # Errors
    /// There is no such program, or the folder holds other files than the list names.
    pub fn modules(&self, program: &str, folder: &Path) -> Result<String, String> {
        let files = self.programs.get(program).ok_or_else(|| format!("the list has no program {program}"))?;
        let there = rust_files(folder)?;
        let listed: BTreeSet<String> = self.listed().cloned().collect();
        let (more, less): (Vec<_>, Vec<_>) = (there.difference(&listed).collect(), listed.difference(&there).collect());
        if !more.is_empty() || !less.is_empty() {
            return Err(format!(
                "the suite has {more:?}, which the list does not name, and has not {less:?}, which it names"
            ));
        }
        let mut text = String::new();
        for file in files.iter().chain(&self.shared) {
            let _strings_take_all =
                write!(text, "#[path = {:?}]\nmod {};\n", folder.join(file).display().to_string(), module(file));
        }
        let names: Vec<&str> = self.without(program).into_iter().map(|(test, _)| test).collect();
        let _strings_take_all = writeln!(text, "const WITHOUT: &[&str] = &{names:?};");
        Ok(text)
    }
}

/// The files of tests in a suite's folder: its own, and `NAME/lib.rs` or `NAME/mod.rs` of the folders in it.
fn rust_files(folder: &Path) -> Result<BTreeSet<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found = BTreeSet::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let roots: [PathBuf; 3] = [path.clone(), path.join("lib.rs"), path.join("mod.rs")];
        let root = roots.iter().find(|root| root.is_file() && root.extension().is_some_and(|kind| kind == "rs"));
        let name = root.and_then(|root| root.strip_prefix(folder).ok()?.to_str());
        found.extend(name.map(String::from));
    }
    Ok(found)
}

/// `NAME: N pass, N are ignored`.
fn counted(text: &str) -> Option<(&str, (usize, usize))> {
    let (name, counts) = text.split_once(": ")?;
    let (pass, ignored) = counts.strip_suffix(" are ignored")?.split_once(" pass, ")?;
    Some((name, (pass.parse().ok()?, ignored.parse().ok()?)))
}

/// What a file is called as a module: the file's name or, for `NAME/lib.rs`, the folder's.
fn module(file: &str) -> String {
    let name =
        file.strip_suffix("/lib.rs").or(file.strip_suffix("/mod.rs")).or(file.strip_suffix(".rs")).unwrap_or(file);
    name.replace('-', "_")
}

/// The one call of a build script: writes the module with the tests of `program` to `tests.rs` in cargo's folder for it. The variable `HYBRID_OTHERS`
/// says where the suite is; without it (a check on the host) there are no tests.
///
/// # Errors
/// The list is wrong, or is not this suite's.
pub fn write_modules(list: &Path, program: &str) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", list.display());
    println!("cargo::rerun-if-env-changed=HYBRID_OTHERS");
    let text = std::fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let list = List::read(&text)?;
    let modules = match std::env::var_os("HYBRID_OTHERS") {
        Some(folder) => list.modules(program, Path::new(&folder))?,
        None => String::new(),
    };
    let out = std::env::var_os("OUT_DIR").ok_or("cargo names no folder for what is generated")?;
    std::fs::write(Path::new(&out).join("tests.rs"), modules).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{List, module};

    const TEXT: &str = "# a list\n[program one: 4 pass, 1 are ignored]\na.rs\nb-c/lib.rs\n\n[program two: 9 pass, 0 are ignored]\nd.rs\n[shared]\ncommon/mod.rs\n\
        [files left out: forks]\ne.rs\n[tests left out: no links]\na::x d::y\n";

    #[test]
    fn list_says_what_each_program_does_without() {
        let list = List::read(TEXT).unwrap();
        assert_eq!(list.without("one"), [("a::x", "no links")]);
        assert_eq!(list.without("two"), [("d::y", "no links")]);
        assert_eq!(list.files_without().collect::<Vec<_>>(), [("forks", 1)]);
        assert_eq!(list.programs().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(["one", "two", "three"].map(|name| list.counts(name)), [Some((4, 1)), Some((9, 0)), None]);
    }

    #[test]
    fn what_stands_twice_or_is_of_nobody_is_refused() {
        assert!(List::read(&TEXT.replace("\nd.rs", "\na.rs")).unwrap_err().contains("a.rs stands twice"));
        assert!(List::read(&TEXT.replace("d::y", "a::x")).unwrap_err().contains("a::x stands twice"));
        assert!(List::read(&TEXT.replace("d::y", "e::y")).unwrap_err().contains("e::y is of no file"));
        assert!(List::read(&TEXT.replace("d::y", "d")).unwrap_err().contains("d is of no file"));
        assert!(List::read("a.rs\n[shared]\n").unwrap_err().contains("no heading before a.rs"));
        assert!(List::read(&TEXT.replace("[shared]", "[sharde]")).is_err());
        assert!(List::read(&TEXT.replace("4 pass", "all pass")).unwrap_err().contains("program one"));
    }

    #[test]
    fn program_holds_its_files_and_only_a_folder_as_listed_will_do() {
        let folder = std::env::temp_dir().join(format!("others-lists-{}", std::process::id()));
        for file in ["a.rs", "b-c/lib.rs", "b-c/part.rs", "common/mod.rs", "d.rs", "e.rs", "e.txt"] {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let list = List::read(TEXT).unwrap();
        let text = list.modules("one", &folder);
        let other =
            List::read(&TEXT.replace("\nd.rs", "\nf.rs").replace("d::y", "f::y")).unwrap().modules("one", &folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let text = text.unwrap();
        let names: Vec<&str> = text.lines().filter(|line| line.starts_with("mod ")).collect();
        assert_eq!(names, ["mod a;", "mod b_c;", "mod common;"]);
        assert!(text.contains("b-c/lib.rs\"]") && text.ends_with("const WITHOUT: &[&str] = &[\"a::x\"];\n"), "{text}");
        assert!(list.modules("three", &folder).is_err());
        let told = other.unwrap_err();
        assert!(told.contains("[\"d.rs\"]") && told.contains("[\"f.rs\"]"), "{told}");
    }

    #[test]
    fn modules_are_named_after_files_and_folders() {
        assert_eq!((module("a-b.rs"), module("c/lib.rs"), module("d/mod.rs")), ("a_b".into(), "c".into(), "d".into()));
    }
}
