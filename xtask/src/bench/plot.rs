//! Cost against the number of threads, waiting ones, capabilities, spaces: table and drawing; measures nothing.
use super::kernel::grouped;
use crate::folders;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One measured point: what there are many of, how many, operation, kernel instructions.
type Point = (String, u64, String, u64);

const FILE: &str = "performance-scaling.svg";
const KINDS: [(&str, &str); 5] = [
    ("threads", "ready threads"),
    ("capabilities", "capabilities"),
    ("spaces", "address spaces"),
    ("waiting", "waiting threads"),
    ("sleeping", "threads without budget"),
];
const OPERATIONS: [(&str, &str, &str); 7] = [
    ("call", "Call + ReplyRecv, 0 words", "#1b6ca8"),
    ("signal", "Signal that wakes", "#b5541c"),
    ("map", "Page_Map", "#2f7d32"),
    ("revoke", "Revoke of one child", "#7a3b8f"),
    ("reorder", "SetPriority of a waiting thread", "#a8861b"),
    ("postpone", "Suspend + Resume of who gets budget last", "#555555"),
    ("leave", "Suspend of who gets budget first", "#c0392b"),
];

/// The section of the page; writes the drawing beside it.
///
/// # Errors
/// The drawing cannot be written.
pub(crate) fn section(points: &[Point]) -> Result<String> {
    let path = folders::checkout().join("docs").join(FILE);
    std::fs::write(&path, drawing(points)).with_context(|| format!("cannot write {}", path.display()))?;
    let mut text = String::from(
        "\n### Cost does not grow\n\nKernel instructions of operations beside so many ready threads, copies of the capabilities used, address spaces, threads that wait for one signal (at 10 priorities, all lower than that of the thread that is taken out of their queue and put in again), or threads that wait for budget (the one that gets it last is taken out and put in again, or the first ones are taken out in turn; it is a heap, so that grows with the logarithm):\n\n",
    );
    text.push_str(&table(points));
    let _ = write!(text, "\n![the same as a drawing]({FILE})\n");
    Ok(text)
}

fn counts(points: &[Point]) -> BTreeSet<u64> {
    points.iter().map(|point| point.1).collect()
}

fn value(points: &[Point], kind: &str, count: u64, operation: &str) -> Option<u64> {
    points.iter().find(|point| point.0 == kind && point.1 == count && point.2 == operation).map(|point| point.3)
}

fn table(points: &[Point]) -> String {
    let counts = counts(points);
    let mut text = String::from("| operation | beside |");
    counts.iter().for_each(|count| _ = write!(text, " {} |", grouped(*count)));
    text.push_str("\n|---|---|");
    counts.iter().for_each(|_| text.push_str("---:|"));
    text.push('\n');
    for (operation, meaning, _) in OPERATIONS {
        for (kind, name) in KINDS {
            if !points.iter().any(|point| point.0 == kind && point.2 == operation) {
                continue;
            }
            let _ = write!(text, "| {meaning} | {name} |");
            for count in &counts {
                let figure = value(points, kind, *count, operation).map_or_else(|| "–".into(), grouped);
                let _ = write!(text, " {figure} |");
            }
            text.push('\n');
        }
    }
    text
}

/// Size of one of the panels, and the space around it.
const WIDTH: f64 = 230.0;
const HEIGHT: f64 = 200.0;
const MARGIN: f64 = 48.0;

/// The panels side by side, the number of things on a logarithmic axis, instructions on a linear one from 0.
fn drawing(points: &[Point]) -> String {
    let largest = points.iter().map(|point| point.3).max().unwrap_or(1).max(1) as f64 * 1.1;
    let whole = (MARGIN + KINDS.len() as f64 * (WIDTH + MARGIN), HEIGHT + 3.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        whole.0, whole.1
    );
    for (index, (kind, name)) in KINDS.iter().enumerate() {
        let left = MARGIN + index as f64 * (WIDTH + MARGIN);
        panel(&mut text, points, kind, name, left, largest);
    }
    for (index, (_, meaning, colour)) in OPERATIONS.iter().enumerate() {
        let x = MARGIN + (index % 4) as f64 * 340.0;
        let y = HEIGHT + 2.4 * MARGIN + (index / 4) as f64 * 18.0;
        let _ = writeln!(
            text,
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{}\">{meaning}</text>",
            x + 24.0,
            x + 30.0,
            y + 4.0
        );
    }
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, points: &[Point], kind: &str, name: &str, left: f64, largest: f64) {
    let counts: Vec<u64> = counts(points).into_iter().collect();
    let log = |count: u64| (count.max(1) as f64).log10();
    let (low, high) = (counts.first().map_or(0.0, |n| log(*n)), counts.last().map_or(1.0, |n| log(*n)));
    let x = |count: u64| left + (log(count) - low) / (high - low).max(1e-9) * WIDTH;
    let y = |cost: f64| MARGIN + HEIGHT * (1.0 - cost / largest);
    let _ = writeln!(
        text,
        "<rect x=\"{left}\" y=\"{MARGIN}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#888\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">instructions beside {name}</text>",
        left + WIDTH / 2.0,
        MARGIN - 10.0
    );
    for count in &counts {
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(*count),
            MARGIN + HEIGHT + 16.0,
            grouped(*count)
        );
    }
    for quarter in 0..=4 {
        let cost = largest * f64::from(quarter) / 4.0;
        let _ =
            writeln!(text, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{cost:.0}</text>", left - 4.0, y(cost) + 4.0);
    }
    for (operation, _, colour) in OPERATIONS {
        let line: Vec<String> = counts
            .iter()
            .filter_map(|count| {
                let cost = value(points, kind, *count, operation)?;
                Some(format!("{:.1},{:.1}", x(*count), y(cost as f64)))
            })
            .collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, drawing, table};

    fn points() -> Vec<Point> {
        [(10, 300), (10_000, 300)].map(|(count, cost)| ("threads".to_string(), count, "call".to_string(), cost)).into()
    }

    #[test]
    fn table_has_a_column_for_each_count_and_says_what_is_missing() {
        let text = table(&points());
        assert!(text.contains("| 10 | 10,000 |") && text.contains("| ready threads | 300 | 300 |"), "{text}");
        assert!(!text.contains("address spaces"), "{text}");
        let more = [points(), vec![("spaces".to_string(), 10, "map".to_string(), 1)]].concat();
        assert!(table(&more).contains("| address spaces | 1 | – |"), "{text}");
    }

    #[test]
    fn drawing_of_a_constant_cost_is_a_level_line() {
        let text = drawing(&points());
        let line = text.lines().find(|line| line.contains("polyline")).expect("a line per operation");
        let ys: Vec<&str> = line.split(['"', ' ']).filter_map(|word| Some(word.split_once(',')?.1)).collect();
        assert!(ys.len() == 2 && ys[0] == ys[1], "{line}");
    }
}
