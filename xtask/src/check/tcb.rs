//! The trusted lines that docs/security.md states are those of the tree; judges no code.
use super::kernel_size::{code_lines, is_code};
use super::tree::File;

/// The page with the table: a row begins with a folder and a number of lines that it stays below.
const PAGE: &str = "docs/security.md";
/// What all isolation rests on; each has a row.
const PARTS: [&str; 9] = [
    "kernel/",
    "kernel-config/src/",
    "libhybrid/ipc/",
    "libhybrid/ring/",
    "libhybrid/rt/",
    "libhybrid/start/",
    "libhybrid/sys/",
    "servers/securityd/capgraph/src/",
    "servers/securityd/src/",
];
/// Of these, what no product runs: the resolver of texts, the queries, a fake kernel of tests, and what plants wrong capabilities for them.
const NOT_SHIPPED: [&str; 13] = [
    "servers/securityd/capgraph/src/access/check.rs",
    "servers/securityd/capgraph/src/access/console.rs",
    "servers/securityd/capgraph/src/access/reference.rs",
    "servers/securityd/capgraph/src/access/text.rs",
    "servers/securityd/capgraph/src/build.rs",
    "servers/securityd/capgraph/src/draw",
    "servers/securityd/capgraph/src/lines.rs",
    "servers/securityd/capgraph/src/paths.rs",
    "servers/securityd/capgraph/src/query.rs",
    "servers/securityd/capgraph/src/resolve/",
    "servers/securityd/capgraph/src/trail_listing.rs",
    "servers/securityd/src/fake.rs",
    "servers/securityd/src/install/plant.rs",
];

/// Names rows that are missing, too small, or so large that they say nothing.
pub(crate) fn check(files: &[File]) -> Vec<String> {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return vec![format!("{PAGE}: the page is missing")];
    };
    PARTS
        .into_iter()
        .filter_map(|part| {
            let lines = count(files, part);
            let Some(end) = stated(&page.text, part) else {
                return Some(format!("{PAGE}: no row of the trusted parts for `{part}`, which has {lines} lines"));
            };
            // A third above what is there, and some lines for small parts: more is no statement.
            let is_true = lines < end && end <= lines + lines / 2 + 200;
            (!is_true).then(|| format!("{PAGE}: `{part}` has {lines} lines, the page says fewer than {end}"))
        })
        .collect()
}

fn count(files: &[File], part: &str) -> usize {
    let counts =
        |file: &&File| is_code(&file.path, part) && !NOT_SHIPPED.iter().any(|host| file.path.starts_with(host));
    files.iter().filter(counts).map(code_lines).sum()
}

/// The second column of the row that begins with `part`.
fn stated(page: &str, part: &str) -> Option<usize> {
    let row = page.lines().find_map(|line| line.strip_prefix(&format!("| `{part}` |")))?;
    row.split('|').next()?.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{File, PAGE, PARTS, check};

    fn tree(end: &str) -> Vec<File> {
        let rows: String = PARTS.iter().map(|part| format!("| `{part}` | {end} | why |\n")).collect();
        let code = PARTS.iter().map(|part| File { path: format!("{part}one.rs"), text: "a();\n".repeat(1000) });
        code.chain([File { path: PAGE.into(), text: rows }]).collect()
    }

    #[test]
    fn page_that_states_what_is_there_is_fine() {
        assert_eq!(check(&tree("1,100")), Vec::<String>::new());
    }

    #[test]
    fn page_that_states_too_little_or_nothing_is_told_for_every_part() {
        for end in ["1,000", "9,000", "many"] {
            assert_eq!(check(&tree(end)).len(), PARTS.len(), "{end}");
        }
        assert_eq!(check(&[]).len(), 1);
    }

    #[test]
    fn what_runs_on_the_host_only_does_not_count() {
        let mut files = tree("1,100");
        let path = "servers/securityd/capgraph/src/resolve/mod.rs".into();
        files.push(File { path, text: "a();\n".repeat(1000) });
        assert_eq!(check(&files), Vec::<String>::new());
    }
}
