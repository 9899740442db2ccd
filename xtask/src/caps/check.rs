//! Every finding about the texts of images and their golden files, for people and for programs; mends nothing.
use super::{Outcome, golden_path, resolve_on};
use crate::{folders, product};
use anyhow::Result;
use hybrid_capgraph::{Date, Problem};
use serde_json::json;

/// `cargo xtask caps check`.
///
/// # Errors
/// Something cannot be read.
pub(super) fn run(image: Option<&str>, board: &str, day: Date, as_json: bool) -> Result<Outcome> {
    let images = match image {
        Some(image) => vec![product::Product::load(image)?.name],
        None => product::names()?,
    };
    let mut found = Vec::new();
    for image in &images {
        found.extend(findings(image, board, day).into_iter().map(|problem| (image.as_str(), problem)));
    }
    // A mistake in a text that all images share is one finding.
    let mut told: Vec<&Problem> = Vec::new();
    for (_, problem) in &found {
        if !told.contains(&problem) {
            told.push(problem);
        }
    }
    if as_json {
        let one = |problem: &&Problem| {
            let of: Vec<&str> = found.iter().filter(|(_, other)| other == *problem).map(|(image, _)| *image).collect();
            json!({
                "file": problem.file, "line": problem.line, "rule": problem.rule, "id": id(problem.rule), "images": of,
                "message": problem.message, "hint": problem.help,
            })
        };
        let findings: Vec<_> = told.iter().map(one).collect();
        let all = json!({ "images": images, "date": day.to_string(), "findings": findings });
        super::say(&format!("{all:#}\n"));
    } else {
        told.iter().for_each(|problem| eprintln!("{}\n", text(problem)));
        match told.len() {
            0 => println!("{}: every rule holds, the golden files are current", images.join(", ")),
            count => eprintln!(
                "{count} findings in {}; docs/capabilities/rules.md tells why each rule is there",
                images.join(", ")
            ),
        }
    }
    // What cannot be read was not checked: that is another answer than findings.
    if told.iter().any(|problem| problem.rule == "missing-file") {
        anyhow::bail!("not everything could be read");
    }
    Ok(if told.is_empty() { Outcome::Clean } else { Outcome::Findings })
}

fn id(name: &str) -> &'static str {
    hybrid_capgraph::rule(name).map_or("CAP-R???", |rule| rule.id)
}

/// As `Problem` shows itself, with the rule's id.
pub(crate) fn text(problem: &Problem) -> String {
    problem.to_string().replacen("error[", &format!("error[{} ", id(problem.rule)), 1)
}

fn findings(image: &str, board: &str, day: Date) -> Vec<Problem> {
    let graph = match resolve_on(image, board, day) {
        Ok(graph) => graph,
        Err(problems) => return problems,
    };
    let path = golden_path(image);
    let (found, wanted) = (std::fs::read_to_string(&path).unwrap_or_default(), hybrid_capgraph::golden(&graph));
    if found == wanted {
        return Vec::new();
    }
    let (line, change) = first_change(&found, &wanted);
    vec![Problem {
        file: folders::shown(&path),
        line,
        rule: "golden-stale",
        message: format!("authority changed ({change})"),
        help: format!(
            "review `cargo xtask caps diff {} {image}`, then `cargo xtask caps bless`",
            folders::shown(&path)
        ),
    }]
}

/// What is wrong with the texts of any product, or with its golden file.
///
/// # Errors
/// The folder of products cannot be read.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for image in product::names()? {
        problems.extend(findings(&image, "qemu-virt", Date::of_build()).iter().map(text));
    }
    problems.dedup();
    Ok(problems)
}

/// The first line that differs, for a message.
fn first_change(old: &str, new: &str) -> (usize, String) {
    let (mut old, mut new) = (old.lines(), new.lines());
    for line in 1.. {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => return (line, format!("`{old}` is now `{new}`")),
            (None, Some(new)) => return (line, format!("new: `{new}`")),
            (Some(old), None) => return (line, format!("gone: `{old}`")),
            (None, None) => break,
        }
    }
    (0, "only its last line end".into())
}

#[cfg(test)]
mod tests {
    use super::first_change;

    #[test]
    fn first_change_is_told_with_its_line() {
        assert_eq!(first_change("a\nb\n", "a\nc\n"), (2, "`b` is now `c`".into()));
        assert_eq!(first_change("a\n", "a\nc\n"), (2, "new: `c`".into()));
        assert_eq!(first_change("a\nb\n", "a\n"), (2, "gone: `b`".into()));
        assert_eq!(first_change("a", "a\n").0, 0);
    }
}
