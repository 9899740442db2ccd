//! Whole trees of texts through the resolver: one accepted base, and one mistake for each rule.
//!
//! `cases/<rule>[--variant]/` holds only the files that differ from `base/`, and `expected.txt`, what a person reads.
//! `UPDATE=1 cargo test` writes `expected.txt` and the golden text anew; review them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hybrid_capgraph::{
    Date, Graph, InterfaceFacts, Problem, could_hold, golden, influences, resolve_with, show, who, why,
};

fn interfaces() -> BTreeMap<String, InterfaceFacts> {
    let calls = InterfaceFacts { has_operations: true, ..InterfaceFacts::default() };
    let rings = InterfaceFacts { has_rings: true, region_bytes: 9000, ..InterfaceFacts::default() };
    [
        ("hybrid.log.Sink", rings),
        ("hybrid.test.Bytes", InterfaceFacts { region_bytes: 40_000, ..rings }),
        ("hybrid.test.Huge", InterfaceFacts { region_bytes: 5 << 20, ..rings }),
        ("hybrid.test.Secret", calls),
        ("hybrid.test.State", InterfaceFacts { has_events: true, ..calls }),
        ("hybrid.test.Files", InterfaceFacts { mints_resources: true, ..calls }),
    ]
    .map(|(name, facts)| (name.to_owned(), facts))
    .into()
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn resolve_tree(root: &Path) -> Result<Graph, Vec<Problem>> {
    resolve_with(root, "demo", "small", &interfaces(), Date::parse("2026-11-24").unwrap())
}

fn resolve_case(name: &str, overlay: Option<&Path>) -> Result<Graph, Vec<Problem>> {
    let root = std::env::temp_dir().join(format!("hybrid-capgraph-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    copy(&here().join("base"), &root);
    if let Some(overlay) = overlay {
        copy(overlay, &root);
    }
    let result = resolve_tree(&root);
    fs::remove_dir_all(&root).unwrap();
    result
}

fn compare(expected: &Path, actual: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(expected, actual).unwrap();
    }
    let wanted = fs::read_to_string(expected).unwrap_or_default();
    assert_eq!(wanted, actual, "{} differs; UPDATE=1 writes it", expected.display());
}

#[test]
fn each_mistake_is_refused_by_its_rule_and_no_other() {
    let mut cases: Vec<PathBuf> =
        fs::read_dir(here().join("cases")).unwrap().flatten().map(|entry| entry.path()).collect();
    cases.sort();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let rule = name.split("--").next().unwrap();
        let problems = resolve_case(name, Some(&case)).err().unwrap_or_default();
        let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        if problems.is_empty() || problems.iter().any(|problem| problem.rule != rule) {
            wrong.push(format!("{name} is refused otherwise:\n{text}"));
        } else {
            compare(&case.join("expected.txt"), &text);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_of_the_book_has_a_case() {
    let book = fs::read_to_string(here().join("../../../../docs/capabilities.md")).unwrap();
    let list = book.split("## The rules that always hold").nth(1).unwrap().split("Calls go uphill").next().unwrap();
    let words = list.split('`').skip(1).step_by(2).filter(|word| !word.contains('/') && !word.contains("caps"));
    let cases: Vec<String> = fs::read_dir(here().join("cases"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    // These two are rules about programs; their cases are in src/program.rs and below.
    for rule in words.filter(|word| !["write-xor-execute", "bad-program"].contains(word)) {
        assert!(cases.iter().any(|case| case.split("--").next() == Some(rule)), "no case for {rule}");
    }
}

#[test]
fn base_resolves_to_its_golden_text_every_time() {
    let graph = resolve_case("base", None)
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect::<String>())
        .unwrap();
    compare(&here().join("base.golden"), &golden(&graph));
    assert_eq!(Ok(graph.clone()), resolve_case("again", None));
    assert_eq!(graph.encode(), resolve_case("twice", None).unwrap().encode());
    assert_eq!(graph.start_order[0], 1);
}

#[test]
fn new_instance_with_a_new_id_changes_no_line() {
    let before = golden(&resolve_case("before", None).unwrap());
    let after = golden(&resolve_case("after", Some(&here().join("growth"))).unwrap());
    let lost: Vec<&str> = before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect();
    assert!(lost.is_empty(), "changed lines:\n{}", lost.join("\n"));
    let new: Vec<&str> = after.lines().filter(|line| !before.lines().any(|other| other == *line)).collect();
    assert!(new.iter().all(|line| line.contains("three")), "lines of others:\n{}", new.join("\n"));
}

#[test]
fn questions_are_answered_from_the_graph() {
    let graph = resolve_case("questions", None).unwrap();
    assert_eq!(who(&graph, "store.files").lines().count(), 1);
    assert!(who(&graph, "uart0").contains("console"));
    assert!(show(&graph, "one").contains("securityd.secret"));
    assert_eq!(could_hold(&graph, "one").into_iter().collect::<Vec<_>>(), ["store.files"]);
    assert_eq!(could_hold(&graph, "two").len(), 0);
    assert_eq!(influences(&graph, "two").into_iter().collect::<Vec<_>>(), ["console", "one", "securityd", "store"]);
    assert!(why(&graph, "two", "console").starts_with("# two holds this"));
    assert!(why(&graph, "two", "one").contains("two -> store -> one"));
    assert!(why(&graph, "nobody", "console").contains("neither"));
}
