//! The compiler against damaged texts: it says what is wrong, or compiles them, but never panics.
use hybrid_idlc::{Source, compile};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/accept").join(name)).expect("readable")
}

/// Compiles, and shows what came of it, whichever it is.
fn run(text: String) {
    match compile(vec![Source { name: "damaged.idl".into(), text }]) {
        Ok(compilation) => {
            assert!(!compilation.rust().is_empty());
            assert!(!compilation.summaries().is_empty());
            assert!(!compilation.document().is_empty());
            let _ = compilation.interfaces();
        }
        Err(mistakes) => assert!(!mistakes.list.is_empty() && mistakes.to_string().contains("damaged.idl")),
    }
}

const WORDS: [&str; 30] = [
    "0",
    "1",
    "65535",
    "18446744073709551615",
    "list",
    "array",
    "string",
    "bytes",
    "own",
    "cap",
    "region",
    "Notification",
    "<",
    ">",
    "?",
    "{",
    "}",
    "(",
    ")",
    ",",
    ";",
    ":",
    "reserved",
    "event",
    "ring",
    "idempotent",
    "Folder",
    "Parts",
    "Color",
    "é",
];

proptest! {
    #[test]
    fn any_text_is_answered(text: String) {
        run(text);
    }

    #[test]
    fn replaced_words_are_answered(places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4)) {
        let whole = text("everything.idl");
        let mut words: Vec<&str> = whole.split_inclusive(&[' ', '\n', '<', '>', '(', ')', ',', ':', ';'][..]).collect();
        for (place, word) in &places {
            let at = place.index(words.len());
            words[at] = WORDS[word.index(WORDS.len())];
        }
        run(words.concat());
    }

    #[test]
    fn removed_and_doubled_lines_are_answered(from in any::<prop::sample::Index>(), length in 0_usize..6, doubled: bool) {
        let whole = text("everything.idl");
        let mut lines: Vec<&str> = whole.lines().collect();
        let start = from.index(lines.len());
        let end = (start + length).min(lines.len());
        let part = lines[start..end].to_vec();
        if doubled { lines.splice(start..start, part); } else { lines.drain(start..end); }
        run(lines.join("\n"));
    }
}

#[test]
fn sizes_beyond_all_bounds_are_answered() {
    let nested = "list<list<list<list<list<list<u64, 65535>, 65535>, 65535>, 65535>, 65535>, 65535>";
    run(format!(
        "library hybrid.a.b;\nstruct Huge {{ 1: it: {nested} }}\ninterface I {{ ring 1: r(to_client, bytes = 256): Huge; }}"
    ));
}
