//! Whole trees of texts through the resolver: one accepted base, and one mistake for each rule.
//!
//! `cases/<rule>[--variant]/` holds only the files that differ from `base/`, and `expected.txt`, what a person reads.
//! `UPDATE=1 cargo test` writes `expected.txt` and the golden text anew; review them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hybrid_capgraph::{
    Date, Graph, InterfaceFacts, Problem, RULES, Thing, golden, resolve_with, show, who_text, why_text,
};

fn interfaces() -> BTreeMap<String, InterfaceFacts> {
    let calls = InterfaceFacts { has_operations: true, ..InterfaceFacts::default() };
    let rings = InterfaceFacts { has_rings: true, region_bytes: 9000, ..InterfaceFacts::default() };
    [
        ("hybrid.log.Sink", rings.clone()),
        ("hybrid.test.Bytes", InterfaceFacts { region_bytes: 40_000, ..rings.clone() }),
        ("hybrid.test.Huge", InterfaceFacts { region_bytes: 5 << 20, ..rings.clone() }),
        ("hybrid.test.Secret", calls.clone()),
        ("hybrid.test.State", InterfaceFacts { has_events: true, operations: looks(), ..calls.clone() }),
        ("hybrid.test.Files", InterfaceFacts { mints_resources: true, ..calls.clone() }),
        ("hybrid.process.Lifecycle", calls.clone()),
        ("hybrid.process.Drivers", calls.clone()),
        ("hybrid.process.Spawner", calls.clone()),
        ("hybrid.process.Program", calls.clone()),
        ("hybrid.process.Services", calls.clone()),
        ("hybrid.process.Streams", rings),
        ("hybrid.live.Live", calls.clone()),
        ("hybrid.net.link.Link", calls.clone()),
        ("hybrid.security.Install", calls),
    ]
    .map(|(name, facts)| (name.to_owned(), facts))
    .into()
}

fn looks() -> Vec<(u16, String)> {
    vec![(1, "look".into()), (3, "wait".into())]
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
    let cases: Vec<String> = fs::read_dir(here().join("cases"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let page = fs::read_to_string(here().join("../../../../docs/capabilities/rules.md")).unwrap();
    let Edits { accept, reject } = edits();
    for rule in RULES {
        let title = format!("\n## {} {}\n", rule.id, rule.name);
        let section = page.split(&title).nth(1).map(|rest| rest.split("\n## ").next().unwrap().trim());
        assert!(section.is_some_and(|text| text.len() > 40), "docs/capabilities/rules.md has no section for {rule:?}");
        if ELSEWHERE.contains(&rule.name) {
            continue;
        }
        let is_of_it = |case: &Edited| case.rule == rule.name;
        let is_refused =
            cases.iter().any(|case| case.split("--").next() == Some(rule.name)) || reject.iter().any(is_of_it);
        assert!(is_refused || rule.name == "missing-file", "no reject test of {rule:?}");
        assert!(accept.iter().any(is_of_it), "no accept test of {rule:?}");
    }
    for case in &cases {
        let name = case.split("--").next().unwrap();
        assert!(RULES.iter().any(|rule| rule.name == name), "{name} is in no list of rules");
    }
}

/// Rules whose tests cannot be trees of texts: programs (src/program.rs), the golden file and the IDL (xtask, ipc-idl), the resolver's
/// check of itself (src/graph.rs), manifests that come at run time (admit.rs), and hundreds of instances (src/resolve/rules/nodes.rs).
const ELSEWHERE: [&str; 7] =
    ["write-xor-execute", "bad-program", "golden-stale", "idl", "internal", "beyond-place", "too-many-instances"];

/// A tree with a few edits.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Edited {
    rule: String,
    why: String,
    edits: Vec<[String; 3]>,
}

#[derive(serde::Deserialize)]
struct Edits {
    accept: Vec<Edited>,
    reject: Vec<Edited>,
}

fn edits() -> Edits {
    toml::from_str(&fs::read_to_string(here().join("edits.toml")).unwrap()).unwrap()
}

fn resolve_edited(case: &Edited, number: usize) -> Vec<Problem> {
    let root = std::env::temp_dir().join(format!("hybrid-capgraph-edit-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    copy(&here().join("base"), &root);
    for [file, from, to] in &case.edits {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(text.contains(from), "{} ({}): {file} has no {from:?}", case.rule, case.why);
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), text.replacen(from, to, 1)).unwrap();
    }
    let problems = resolve_tree(&root).err().unwrap_or_default();
    fs::remove_dir_all(&root).unwrap();
    problems
}

fn text_of(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn what_comes_close_to_a_rule_is_accepted() {
    for (number, case) in edits().accept.iter().enumerate() {
        let problems = resolve_edited(case, number);
        assert!(problems.is_empty(), "{} ({}) is refused:\n{}", case.rule, case.why, text_of(&problems));
    }
}

#[test]
fn what_breaks_a_rule_is_refused_by_it_and_no_other() {
    let mut text = String::new();
    for (number, case) in edits().reject.iter().enumerate() {
        let problems = resolve_edited(case, 1000 + number);
        let is_right = !problems.is_empty() && problems.iter().all(|problem| problem.rule == case.rule);
        assert!(is_right, "{} ({}) is refused otherwise:\n{}", case.rule, case.why, text_of(&problems));
        text += &format!("# {}\n{}", case.why, text_of(&problems));
    }
    compare(&here().join("edits.expected"), &text);
}

#[test]
fn mistake_in_one_text_does_not_hide_another_one_elsewhere() {
    let edit = |file: &str, from: &str, to: &str| [file.to_owned(), from.to_owned(), to.to_owned()];
    let edits = vec![
        edit("apps/two/component.toml", "heap = \"1 MiB\"", "heap = \"17179869183 GiB\""),
        edit("kernel-config/policy/demo.toml", "instance = \"one\"", "instance = \"nobody\""),
        edit("drivers/line/component.toml", "reason = \"move bytes\"", "reason = \"\""),
    ];
    let case = Edited { rule: String::new(), why: String::new(), edits };
    let rules: Vec<&str> = resolve_edited(&case, 2000).iter().map(|problem| problem.rule).collect();
    assert_eq!(rules, ["bad-value", "missing-reason", "guarded"]);
}

#[test]
fn text_that_is_not_there_is_named() {
    let root = std::env::temp_dir().join(format!("hybrid-capgraph-none-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    let problems = resolve_tree(&root).unwrap_err();
    fs::remove_dir_all(&root).unwrap();
    assert!(
        problems.len() == 3 && problems.iter().all(|problem| problem.rule == "missing-file"),
        "{}",
        text_of(&problems)
    );
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
    let who = |thing: Thing| who_text(&graph, &thing);
    let mut text = String::new();
    for thing in [
        Thing::Interface("hybrid.test.Files".into()),
        Thing::Interface("console.state".into()),
        Thing::Device("uart0".into()),
        Thing::Irq(33),
        Thing::Memory("0x9000010".into()),
        Thing::Memory("buffers".into()),
        Thing::Memory("console.bytes".into()),
        Thing::Memory("two".into()),
        Thing::Irq(34),
    ] {
        text += &format!("## who {thing:?}\n{}", who(thing.clone()));
    }
    for name in ["one", "store", "console"] {
        text += &format!("## show {name}\n{}", show(&graph, name));
    }
    for (from, to) in [("two", "uart0"), ("one", "console.state"), ("one", "securityd.secret"), ("nobody", "one")] {
        text += &format!("## why {from} {to}\n{}", why_text(&graph, from, to));
    }
    compare(&here().join("questions.golden"), &text);
    assert_eq!(show(&graph, "nobody"), "");
}
