//! Reads which tests of others run, in which program, and which do not, and why; runs none.
//!
//! A list is a text (`tests/others/std.list`) beside the suites' programs. Each file of the suite stands in it exactly once: in a program that runs it,
//! or with the reason why none does. Who builds a program checks that against the suite's folder, so a suite cannot grow or shrink unseen.
#![forbid(unsafe_code)]

mod root;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One suite's list.
#[derive(Debug, Default)]
pub struct List {
    /// Which files each program runs, by the program's name.
    programs: BTreeMap<String, Vec<String>>,
    /// How many of its tests pass, and how many their authors ignore.
    counts: BTreeMap<String, (usize, usize)>,
    /// The root of the crate that the files are modules of; none if each is a crate.
    root: Vec<String>,
    /// Modules that files share, and that hold no test.
    shared: Vec<String>,
    /// The name that files of tests have, in whatever folder; none if they are the folder's own.
    anywhere: Vec<String>,
    /// Files that are not run, by the reason.
    files: BTreeMap<String, Vec<String>>,
    /// Tests that are not run, by the reason.
    tests: BTreeMap<String, Vec<String>>,
    /// Tests that are taken out of their files, which would not compile with them, by the reason.
    cut: BTreeMap<String, Vec<String>>,
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
        if heading == "root" {
            Ok(&mut self.root)
        } else if heading == "shared" {
            Ok(&mut self.shared)
        } else if heading == "in any folder" {
            Ok(&mut self.anywhere)
        } else if let Some(program) = heading.strip_prefix("program ") {
            let (program, counts) =
                counted(program).ok_or_else(|| format!("[{heading}] is not `program NAME: N pass, N are ignored`"))?;
            self.counts.insert(program.into(), counts);
            Ok(self.programs.entry(program.into()).or_default())
        } else if let Some(why) = heading.strip_prefix("files left out: ") {
            Ok(self.files.entry(why.into()).or_default())
        } else if let Some(why) = heading.strip_prefix("tests left out: ") {
            Ok(self.tests.entry(why.into()).or_default())
        } else if let Some(why) = heading.strip_prefix("tests not compiled: ") {
            Ok(self.cut.entry(why.into()).or_default())
        } else {
            Err(format!("no list has a part [{heading}]"))
        }
    }

    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        let tests = self.tests.values().chain(self.cut.values()).flatten();
        if let Some(twice) = self.listed().chain(tests.clone()).find(|word| !seen.insert(*word)) {
            return Err(format!("{twice} stands twice in the list"));
        }
        if self.root.len() > 1 || !self.root.is_empty() && !self.anywhere.is_empty() {
            return Err("a suite has one root, or files in any folder".into());
        }
        let run: BTreeSet<String> = self.programs.values().flatten().map(|file| self.module(file)).collect();
        let is_run = |test: &String| run.iter().any(|module| is_of(test, module));
        match tests.clone().find(|test| !is_run(test)) {
            Some(test) => Err(format!("{test} is of no file that a program runs")),
            None => Ok(()),
        }
    }

    fn listed(&self) -> impl Iterator<Item = &String> {
        self.programs.values().flatten().chain(&self.root).chain(&self.shared).chain(self.files.values().flatten())
    }

    /// What a file is called as a module. The folders' names are before it only where files of one name are in any folder.
    fn module(&self, file: &str) -> String {
        let path = module(file);
        match path.rsplit("::").next() {
            Some(last) if self.anywhere.is_empty() => last.into(),
            _ => path,
        }
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
        let modules: BTreeSet<String> = files.map(|file| self.module(file)).collect();
        let is_here = |test: &str| modules.iter().any(|module| is_of(test, module));
        let all = self.tests.iter().flat_map(|(why, tests)| tests.iter().map(|test| (test.as_str(), why.as_str())));
        all.filter(|(test, _)| is_here(test)).collect()
    }

    /// The reasons for which tests are not compiled, each with their number.
    pub fn tests_not_compiled(&self) -> impl Iterator<Item = (&str, usize)> {
        self.cut.iter().map(|(why, tests)| (why.as_str(), tests.len()))
    }

    /// The reasons for which files are not run, each with their number.
    pub fn files_without(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(why, files)| (why.as_str(), files.len()))
    }

    /// What holds the tests of `program`, whose suite is in `folder`: texts by the names of the files that they go to.
    ///
    /// `tests.rs` has all modules and, of a suite with a root, what else stands there (`root::text`). Of a suite whose files are anywhere it has none,
    /// since such a file must find what is around it: each is a text of its own, `net_tcp_tests.rs` for `net/tcp/tests.rs`, for the module of the program
    /// that stands for its folder.
    ///
    /// # Errors
    /// There is no such program, or the folder holds other files than the list names.
    pub fn modules(&self, program: &str, folder: &Path) -> Result<BTreeMap<String, String>, String> {
        let files = self.programs.get(program).ok_or_else(|| format!("the list has no program {program}"))?;
        self.check_folder(folder)?;
        let mut texts = BTreeMap::new();
        let mut text = String::new();
        let here = files.iter().chain(&self.shared);
        if !self.anywhere.is_empty() {
            for file in here {
                let name = self.module(file);
                texts.insert(format!("{}.rs", name.replace("::", "_")), self.alone(&name, &folder.join(file))?);
            }
        } else if let Some(root) = self.root.first() {
            let elsewhere = self.listed().map(|file| self.module(file)).collect();
            text = root::text(&folder.join(root), &here.map(|file| self.module(file)).collect(), &elsewhere)?;
        } else {
            for file in here {
                let _strings_take_all = write!(text, "#[path = {:?}]\nmod {};\n", folder.join(file), self.module(file));
            }
        }
        let names: Vec<&str> = self.without(program).into_iter().map(|(test, _)| test).collect();
        let _strings_take_all = writeln!(text, "const WITHOUT: &[&str] = &{names:?};");
        texts.insert("tests.rs".into(), text);
        Ok(texts)
    }

    /// What must be found beside the texts of a suite with a root (`root::links`).
    fn links(&self, program: &str, folder: &Path) -> Vec<(String, PathBuf)> {
        if self.root.is_empty() {
            return Vec::new();
        }
        let files = self.programs.get(program).into_iter().flatten();
        files.chain(&self.shared).flat_map(|file| root::links(&folder.join(file))).collect()
    }

    /// Whether a suite's folder has the files that the list names and no other, and what the list names outside of it is there.
    fn check_folder(&self, folder: &Path) -> Result<(), String> {
        let mut there = match self.anywhere.first() {
            Some(name) => files_below(folder, folder, name)?,
            None => rust_files(folder)?,
        };
        let mut listed: BTreeSet<String> = self.listed().cloned().collect();
        if !self.anywhere.is_empty() {
            // They have other names; that one is missing, the compiler says.
            listed.retain(|file| !self.shared.contains(file));
        }
        let is_there = |file: &&String| file.starts_with("../") && folder.join(file).is_file();
        there.extend(listed.iter().filter(is_there).cloned());
        let (more, less): (Vec<_>, Vec<_>) = (there.difference(&listed).collect(), listed.difference(&there).collect());
        if !more.is_empty() || !less.is_empty() {
            return Err(format!(
                "the suite has {more:?}, which the list does not name, and has not {less:?}, which it names"
            ));
        }
        Ok(())
    }

    /// A file that is a text of its own, without the tests that would not compile.
    fn alone(&self, name: &str, path: &Path) -> Result<String, String> {
        let last = name.rsplit("::").next().unwrap_or(name);
        let cut = self.cut.values().flatten().filter(|test| is_of(test, name));
        let cut: Vec<&str> = cut.filter_map(|test| test.rsplit("::").next()).collect();
        Ok(match &*cut {
            [] => format!("#[path = {path:?}]\npub(crate) mod {last};\n"),
            cut => format!("pub(crate) mod {last} {{\n{}}}\n", text_without(path, cut)?),
        })
    }
}

/// The text of a file without some of its functions, each with what stands right above it.
fn text_without(file: &Path, functions: &[&str]) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut lines: Vec<&str> = text.lines().collect();
    for function in functions {
        let opens = |line: &&str| line.trim_start().strip_prefix("fn ").is_some_and(|rest| is_named(rest, function));
        let at = lines.iter().position(opens);
        let at = at.ok_or_else(|| format!("{} has no function {function}", file.display()))?;
        let indent = lines[at].len() - lines[at].trim_start().len();
        let closes = |line: &&str| line.trim_end().len() == indent + 1 && line.ends_with('}');
        let length = lines[at..].iter().position(closes);
        let end = at + length.ok_or_else(|| format!("{function} in {} does not end", file.display()))?;
        let above = lines[..at].iter().rposition(|line| line.trim().is_empty()).map_or(0, |blank| blank + 1);
        lines.drain(above..=end);
    }
    Ok(lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Whether what follows `fn` is this function.
fn is_named(rest: &str, function: &str) -> bool {
    rest.strip_prefix(function).is_some_and(|rest| rest.starts_with(['(', '<']))
}

/// Whether a test is in a module, or in one below it.
fn is_of(test: &str, module: &str) -> bool {
    test.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

/// The files of tests in a suite's folder: its own, and `NAME/lib.rs` or `NAME/mod.rs` of the folders in it.
fn rust_files(folder: &Path) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    for path in entries(folder)? {
        let roots: [PathBuf; 3] = [path.clone(), path.join("lib.rs"), path.join("mod.rs")];
        let root = roots.iter().find(|root| root.is_file() && root.extension().is_some_and(|kind| kind == "rs"));
        let name = root.and_then(|root| root.strip_prefix(folder).ok()?.to_str());
        found.extend(name.map(String::from));
    }
    Ok(found)
}

/// The files called `name` in `folder` and below it, as seen from `top`.
fn files_below(top: &Path, folder: &Path, name: &str) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    for path in entries(folder)? {
        if path.is_dir() {
            found.extend(files_below(top, &path, name)?);
        } else if path.file_name().is_some_and(|its| its == name) {
            found.extend(path.strip_prefix(top).ok().and_then(Path::to_str).map(String::from));
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<impl Iterator<Item = PathBuf> + use<>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()))
}

/// `NAME: N pass, N are ignored`.
fn counted(text: &str) -> Option<(&str, (usize, usize))> {
    let (name, counts) = text.split_once(": ")?;
    let (pass, ignored) = counts.strip_suffix(" are ignored")?.split_once(" pass, ")?;
    Some((name, (pass.parse().ok()?, ignored.parse().ok()?)))
}

/// What a file is called as a module: the file's name or, for `NAME/lib.rs`, the folder's; with the folders' names before it.
fn module(file: &str) -> String {
    let name =
        file.strip_suffix("/lib.rs").or(file.strip_suffix("/mod.rs")).or(file.strip_suffix(".rs")).unwrap_or(file);
    name.replace('-', "_").replace('/', "::")
}

/// All of a program's build script: writes what holds its tests to cargo's folder for it (`List::modules`), by the list beside the programs. The variable
/// `HYBRID_OTHERS` says where the suite is; without it (a check on the host) there are no tests.
#[must_use]
pub fn build(list: &str) -> ExitCode {
    match write_modules(&Path::new("..").join(list)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tests/others/{list}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// For the program that is the package of cargo's build.
fn write_modules(list: &Path) -> Result<(), String> {
    let program = std::env::var("CARGO_PKG_NAME").map_err(|_| "cargo names no package")?;
    println!("cargo::rerun-if-changed={}", list.display());
    println!("cargo::rerun-if-env-changed=HYBRID_OTHERS");
    let text = std::fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let list = List::read(&text)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo names no folder for what is generated")?);
    let Some(folder) = std::env::var_os("HYBRID_OTHERS").map(PathBuf::from) else {
        return std::fs::write(out.join("tests.rs"), "").map_err(|error| error.to_string());
    };
    for (name, text) in list.modules(&program, &folder)? {
        std::fs::write(out.join(name), text).map_err(|error| error.to_string())?;
    }
    for (name, path) in list.links(&program, &folder) {
        link(&path, &out.join(name)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Makes `link` lead to `path`, wherever it led before.
fn link(path: &Path, link: &Path) -> std::io::Result<()> {
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(path, link)
}

#[cfg(test)]
mod tests {
    use super::{List, module, text_without};

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
        let text = text.unwrap().remove("tests.rs").unwrap();
        let names: Vec<&str> = text.lines().filter(|line| line.starts_with("mod ")).collect();
        assert_eq!(names, ["mod a;", "mod b_c;", "mod common;"]);
        assert!(text.contains("b-c/lib.rs\"]") && text.ends_with("const WITHOUT: &[&str] = &[\"a::x\"];\n"), "{text}");
        assert!(list.modules("three", &folder).is_err());
        let told = other.unwrap_err();
        assert!(told.contains("[\"d.rs\"]") && told.contains("[\"f.rs\"]"), "{told}");
    }

    #[test]
    fn files_anywhere_are_texts_of_their_own() {
        let folder = std::env::temp_dir().join(format!("others-lists-any-{}", std::process::id()));
        for file in ["a/b/tests.rs", "a/b/mod.rs", "c/tests.rs"] {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let list = List::read(
            "[in any folder]\ntests.rs\n[program one: 1 pass, 0 are ignored]\na/b/tests.rs\n[files left out: x]\nc/tests.rs\n\
            [tests left out: y]\na::b::tests::z\n",
        );
        let list = list.unwrap();
        let texts = list.modules("one", &folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let texts = texts.unwrap();
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["a_b_tests.rs", "tests.rs"]);
        assert!(texts["a_b_tests.rs"].ends_with("a/b/tests.rs\"]\npub(crate) mod tests;\n"), "{texts:?}");
        assert_eq!(texts["tests.rs"], "const WITHOUT: &[&str] = &[\"a::b::tests::z\"];\n");
        assert_eq!(list.without("one"), [("a::b::tests::z", "y")]);
    }

    #[test]
    fn what_does_not_compile_is_taken_out_and_nothing_else() {
        let file = std::env::temp_dir().join(format!("others-lists-cut-{}.rs", std::process::id()));
        let text = "use a;\n\n#[test]\nfn one_more() {\n}\n\n/// x\n#[test]\nfn one() {\n    if a {\n    }\n}\n\nmod b {\n    fn two<T>(\n    ) {\n    }\n}\n";
        std::fs::write(&file, text).unwrap();
        let (cut, none) = (text_without(&file, &["one", "two"]), text_without(&file, &["three"]));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(cut.unwrap(), "use a;\n\n#[test]\nfn one_more() {\n}\n\n\n}\n");
        assert!(none.unwrap_err().contains("no function three"));
    }

    #[test]
    fn suite_with_a_root_may_have_files_elsewhere() {
        let folder = std::env::temp_dir().join(format!("others-lists-rooted-{}", std::process::id()));
        for file in ["s/lib.rs", "s/one.rs", "s/two.rs", "far/mod.rs"] {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = "mod one;\nmod two;\n#[path = \"../far/mod.rs\"]\nmod far;\n";
        std::fs::write(folder.join("s/lib.rs"), root).unwrap();
        let text = "[root]\nlib.rs\n[program a: 1 pass, 0 are ignored]\n../far/mod.rs one.rs\n[program b: 1 pass, 0 are ignored]\ntwo.rs\n\
            [tests left out: y]\nfar::x\n";
        let list = List::read(text).unwrap();
        let (texts, links) = (list.modules("a", &folder.join("s")), list.links("a", &folder.join("s")));
        let missing = List::read(&text.replace("../far", "../near/far")).unwrap();
        let missing = missing.modules("a", &folder.join("s"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(texts.unwrap()["tests.rs"], "mod one;\nmod far;\nconst WITHOUT: &[&str] = &[\"far::x\"];\n");
        assert_eq!(links.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["far", "one.rs"]);
        assert!(missing.unwrap_err().contains("near"));
        assert!(List::read(&text.replace("lib.rs", "lib.rs main.rs")).unwrap_err().contains("one root"));
    }

    #[test]
    fn modules_are_named_after_files_and_folders() {
        assert_eq!((module("a-b.rs"), module("c/lib.rs"), module("d/mod.rs")), ("a_b".into(), "c".into(), "d".into()));
    }
}
