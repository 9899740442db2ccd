//! The corpus: every text in `accept` compiles, every text in `reject` breaks exactly the rule that it is named after.
use hybrid_idlc::{Diagnostics, Source, compile};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A library that every rejected text is compiled with.
const GOOD: &str = "library hybrid.test.good;\nenum Color { 1: Red }\n";

fn texts(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(folder).expect("the corpus is part of the checkout");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

fn rejection(path: &Path) -> Diagnostics {
    let text = fs::read_to_string(path).expect("readable");
    let good = Source { name: "good.idl".into(), text: GOOD.into() };
    let bad = Source { name: "bad.idl".into(), text };
    compile(vec![good, bad]).expect_err(&format!("{} must be rejected", path.display()))
}

#[test]
fn accepted_texts_compile_together() {
    let read =
        |path: PathBuf| Source { text: fs::read_to_string(&path).expect("readable"), name: path.display().to_string() };
    let sources: Vec<_> = texts("accept").into_iter().map(read).collect();
    assert!(sources.len() >= 5);
    if let Err(mistakes) = compile(sources) {
        panic!("{mistakes}");
    }
}

#[test]
fn rejected_texts_break_the_rule_they_are_named_after() {
    for path in texts("reject") {
        let mistakes = rejection(&path);
        let stem = path.file_stem().expect("has a name").to_string_lossy().into_owned();
        let [only] = mistakes.list.as_slice() else { panic!("{stem}: one mistake a text\n{mistakes}") };
        assert!(stem.starts_with(only.rule), "{stem} breaks {}\n{mistakes}", only.rule);
        let text = &mistakes.sources[1].text;
        let expected = text.lines().next().and_then(|line| line.strip_prefix("// expect: "));
        let expected = expected.unwrap_or_else(|| panic!("{stem}: the first line says what is expected"));
        assert!(only.message.contains(expected), "{stem}: {}", only.message);
        assert_eq!(only.span.file, 1, "{stem}: the mistake is in the bad text");
    }
}

#[test]
fn every_rule_has_a_rejected_text() {
    let tested: BTreeSet<_> = texts("reject").iter().map(|path| rejection(path).list[0].rule).collect();
    let mut rules = BTreeSet::new();
    for file in
        ["lexer.rs", "parser.rs", "check.rs", "check/members.rs", "check/names.rs", "check/sizes.rs", "check/types.rs"]
    {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).expect("readable");
        rules.extend(rules_in(&text));
    }
    let untested: Vec<_> = rules.iter().filter(|rule| !tested.contains(rule.as_str())).collect();
    assert!(untested.is_empty(), "rules without a rejected text: {untested:?}");
    assert!(rules.len() >= 50, "{} rules were found", rules.len());
}

/// First string after each place where a rule is named.
fn rules_in(text: &str) -> Vec<String> {
    let marks = ["self.reject(", "Diagnostic::new(", "rule: ", "self.body(item, members, ", "=> (\""];
    let mut found = Vec::new();
    for mark in marks {
        for (at, _) in text.match_indices(mark) {
            let rest = text[at + mark.len() - usize::from(mark.ends_with('"'))..].trim_start();
            let name = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            let is_rule = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            found.extend(name.filter(is_rule).map(str::to_owned));
        }
    }
    found
}

#[test]
fn message_shows_file_line_caret_and_hint() {
    let bad = Source {
        name: "area/bad.idl".into(),
        text: "library hybrid.area.bad;\nstruct Name { 1: text: string }\n".into(),
    };
    let shown = compile(vec![bad]).expect_err("has a mistake").to_string();
    let expected = "\
error[unbounded]: `string` has no bound
  ┌─ area/bad.idl:2:24
  │
2 │ struct Name { 1: text: string }
  │                        ^^^^^^
  │
  = hint: write `string<N>`: every receiver must know the most that can come

";
    assert_eq!(shown, expected);
}

fn language() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../LANGUAGE.md");
    fs::read_to_string(path).expect("the language is described beside the compiler")
}

/// The first fenced block after a heading.
fn block_after<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("{heading}"));
    rest.split("```").nth(1).unwrap_or_else(|| panic!("{heading} has a block"))
}

#[test]
fn texts_in_the_description_compile() {
    let language = language();
    let whole = block_after(&language, "\n## A text\n").to_owned();
    let interface = block_after(&language, "\n### An interface\n");
    let interface = format!("library hybrid.log;\nconst TEXT_MAX = 400;\n{interface}");
    for text in [whole, interface] {
        if let Err(mistakes) = compile(vec![Source { name: "LANGUAGE.md".into(), text }]) {
            panic!("{mistakes}");
        }
    }
}

#[test]
fn rules_in_the_description_exist() {
    let tested: BTreeSet<_> = texts("reject").iter().map(|path| rejection(path).list[0].rule).collect();
    let language = language();
    let (_, table) = language.split_once("| rule | limit | why |").expect("there is a table of limits");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let mut count = 0;
    for rule in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let stem = rule.trim_end_matches('…');
        assert!(tested.iter().any(|known| *known == rule || (stem != rule && known.starts_with(stem))), "{rule}");
        count += 1;
    }
    assert!(count >= 30, "{count} rules are explained");
}
