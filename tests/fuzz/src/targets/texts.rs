//! Texts that people write: IDL, and everything that the resolver reads.

use crate::corpus::{checkout, files};
use crate::driver::findings;
use hybrid_capgraph::{Date, Graph, InterfaceFacts, Problem, golden, resolve_with};
use hybrid_idlc::{Source, compile};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A text for the IDL compiler: bindings and summaries of what it accepts, diagnostics of what not.
pub fn target_idl_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    match compile(vec![Source { name: "fuzzed.idl".into(), text }]) {
        Ok(compilation) => {
            assert!(!compilation.summaries().is_empty() && !compilation.rust().is_empty());
            let _ = (compilation.interfaces(), compilation.document());
        }
        Err(mistakes) => assert!(!mistakes.list.is_empty() && mistakes.to_string().contains("fuzzed.idl")),
    }
}

pub(super) fn idl_texts() -> Vec<Vec<u8>> {
    let folders = ["compiler/tests/accept", "compiler/tests/reject", "log", "net", "provider", "security"];
    let paths = folders.iter().flat_map(|folder| files(&checkout().join("ipc-idl").join(folder)));
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "idl"))
        .filter_map(|path| fs::read(path).ok())
        .collect()
}

/// A tree of texts with one of them replaced: the first byte says which, the rest is the text. What resolves is coherent.
pub fn target_resolver(data: &[u8]) {
    let Some(Ok(graph)) = resolve(data) else { return };
    assert!(graph.is_coherent() && !golden(&graph).is_empty());
    let encoded = graph.encode().expect("a resolved graph can be encoded");
    assert_eq!(Graph::decode(&encoded), Ok(graph));
}

pub(super) fn is_resolved(data: &[u8]) -> bool {
    matches!(resolve(data), Some(Ok(_)))
}

/// Each text of the base tree, as it is.
pub(super) fn resolver_texts() -> Vec<Vec<u8>> {
    let texts = tree_files().iter().filter_map(|path| fs::read(base().join(path)).ok());
    (0_u8..).zip(texts).map(|(number, text)| [&[number], &text[..]].concat()).collect()
}

fn resolve(data: &[u8]) -> Option<Result<Graph, Vec<Problem>>> {
    // One tree for the process, so one input at a time.
    static TREE: OnceLock<Mutex<PathBuf>> = OnceLock::new();
    let tree = TREE.get_or_init(|| Mutex::new(copy_of_base()));
    let root = tree.lock().unwrap_or_else(PoisonError::into_inner);
    let (which, text) = data.split_first()?;
    let file = tree_files().get(usize::from(*which) % tree_files().len())?;
    let good = fs::read(base().join(file)).expect("the base tree is readable");
    fs::write(root.join(file), text).expect("the copy is writable");
    let today = Date::parse("2026-11-24").expect("a day");
    let result = resolve_with(&root, "demo", "small", interfaces(), today);
    fs::write(root.join(file), good).expect("the copy is writable");
    if let Err(problems) = &result {
        assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.to_string().is_empty()));
        let is_own_mistake = problems.iter().any(|problem| problem.rule == "internal");
        assert!(!is_own_mistake, "{}", problems[0]);
    }
    Some(result)
}

/// The accepted tree of the resolver's own tests.
fn base() -> PathBuf {
    checkout().join("servers/securityd/capgraph/tests/base")
}

/// Its files, relative.
fn tree_files() -> &'static [PathBuf] {
    static FILES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FILES.get_or_init(|| {
        files(&base()).iter().filter_map(|path| path.strip_prefix(base()).ok().map(Path::to_owned)).collect()
    })
}

/// In a folder of this process; those of processes that are gone are removed.
fn copy_of_base() -> PathBuf {
    let trees = findings().join("trees");
    for entry in fs::read_dir(&trees).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _is_removed = fs::remove_dir_all(entry.path());
        }
    }
    let root = trees.join(std::process::id().to_string());
    for file in tree_files() {
        let to = root.join(file);
        let folder = to.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("the folder for findings is writable");
        fs::copy(base().join(file), to).expect("the base tree is readable");
    }
    root
}

fn interfaces() -> &'static BTreeMap<String, InterfaceFacts> {
    static FACTS: OnceLock<BTreeMap<String, InterfaceFacts>> = OnceLock::new();
    let calls = InterfaceFacts { has_operations: true, ..InterfaceFacts::default() };
    let rings = InterfaceFacts { has_rings: true, region_bytes: 9000, ..InterfaceFacts::default() };
    FACTS.get_or_init(|| {
        [
            ("hybrid.log.Sink", rings.clone()),
            ("hybrid.test.Bytes", InterfaceFacts { region_bytes: 40_000, ..rings.clone() }),
            ("hybrid.test.Secret", calls.clone()),
            ("hybrid.test.State", InterfaceFacts { has_events: true, ..calls.clone() }),
            ("hybrid.test.Files", InterfaceFacts { mints_resources: true, ..calls.clone() }),
        ]
        .map(|(name, facts)| (name.to_owned(), facts))
        .into()
    })
}
