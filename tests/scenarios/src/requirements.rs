//! The kernel's requirements against what its suite said in several configurations; starts no machine.
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One line of `tests/suite/requirements.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// `c024` for line 24 of the conformance list, `x007` for the seventh measured vector.
    pub number: String,
    /// U: one core is enough; T: needs a timer; S: needs several cores.
    pub marker: String,
    /// What must hold.
    pub text: String,
}

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Not run: something that it needs is not there.
    Skipped,
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
}

/// What the suite said on one machine with one kernel.
#[derive(Clone, Debug)]
pub struct Column {
    /// A short name for the head of the table.
    pub name: String,
    /// Test, the requirements that it shows, how it ended.
    pub tests: Vec<(String, Vec<String>, Verdict)>,
}

/// Reads the list of requirements.
///
/// # Errors
/// A line is not one, or a number comes twice.
pub fn parse_requirements(text: &str) -> Result<Vec<Requirement>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let mut parts = line.splitn(3, ' ');
        let mut part = || parts.next().map(str::to_string).with_context(|| format!("not a requirement: {line:?}"));
        let requirement = Requirement { number: part()?, marker: part()?, text: part()? };
        if !seen.insert(requirement.number.clone()) {
            bail!("requirement {} comes twice", requirement.number);
        }
        all.push(requirement);
    }
    Ok(all)
}

impl Column {
    /// Reads what the suite printed: lines `ok NAME MORE…`, `FAIL NAME MORE…: why`, `skip NAME MORE…: why`.
    #[must_use]
    pub fn parse(name: &str, console: &str) -> Self {
        let mut tests = Vec::new();
        for line in console.lines() {
            let Some((word, rest)) = line.trim_end().split_once(' ') else { continue };
            let verdict = match word {
                "ok" => Verdict::Passed,
                "FAIL" => Verdict::Failed,
                "skip" => Verdict::Skipped,
                _ => continue,
            };
            let mut words = rest.split(':').next().unwrap_or(rest).split_whitespace();
            let Some(test) = words.next() else { continue };
            let first = test.split('_').next().unwrap_or(test).to_string();
            let shown = std::iter::once(first).chain(words.map(str::to_string)).collect();
            tests.push((test.to_string(), shown, verdict));
        }
        Self { name: name.to_string(), tests }
    }

    fn verdict(&self, number: &str) -> Option<Verdict> {
        self.tests.iter().filter(|(_, shown, _)| shown.iter().any(|one| one == number)).map(|(.., how)| *how).max()
    }
}

/// The table of requirements, and what is wrong with it.
#[derive(Debug)]
pub struct Table {
    /// One line for each requirement.
    pub text: String,
    /// The tests of each requirement.
    pub index: String,
    /// What makes the run fail.
    pub problems: Vec<String>,
}

/// Compares; `is_complete` if the columns are all configurations that there are.
#[must_use]
pub fn table(requirements: &[Requirement], columns: &[Column], is_complete: bool) -> Table {
    let mut tests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (test, shown, _) in columns.iter().flat_map(|column| &column.tests) {
        shown.iter().for_each(|number| _ = tests.entry(number).or_default().insert(test));
    }
    let (mut text, mut index, mut problems) = (String::new(), String::new(), Vec::new());
    let heads: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "             {}", heads.join(" "));
    for requirement in requirements {
        let number = requirement.number.as_str();
        let verdicts: Vec<Option<Verdict>> = columns.iter().map(|column| column.verdict(number)).collect();
        let cells = verdicts.iter().zip(&heads).map(|(verdict, head)| {
            let word = match verdict {
                None => "?",
                Some(Verdict::Skipped) => "-",
                Some(Verdict::Passed) => "ok",
                Some(Verdict::Failed) => "FAIL",
            };
            format!("{word:<width$}", width = head.len())
        });
        let cells: Vec<String> = cells.collect();
        let names: Vec<&str> = tests.get(number).into_iter().flatten().copied().collect();
        let count = names.len();
        let _ =
            writeln!(text, "{number} {:<2} {count:>2} x {} {}", requirement.marker, cells.join(" "), requirement.text);
        let _ = writeln!(index, "{number} {}\n    {}", requirement.text, names.join("\n    "));
        if count == 0 {
            problems.push(format!("{number} has no test: {}", requirement.text));
        } else if verdicts.contains(&Some(Verdict::Failed)) {
            problems.push(format!("{number} does not hold: {}", requirement.text));
        } else if is_complete && !verdicts.contains(&Some(Verdict::Passed)) {
            problems.push(format!("{number} was skipped everywhere: {}", requirement.text));
        }
    }
    let known: BTreeSet<&str> = requirements.iter().map(|requirement| requirement.number.as_str()).collect();
    for (number, names) in tests.iter().filter(|(number, _)| !known.contains(*number) && !number.starts_with('s')) {
        problems.push(format!("{names:?} name the requirement {number}, which does not exist"));
    }
    let _ = writeln!(text, "\n{}", totals(requirements, columns));
    Table { text, index, problems }
}

/// For each configuration how many tests and requirements held.
fn totals(requirements: &[Requirement], columns: &[Column]) -> String {
    let mut text = String::new();
    for column in columns {
        let count = |how| column.tests.iter().filter(|(.., verdict)| *verdict == how).count();
        let held = requirements.iter().filter(|one| column.verdict(&one.number) == Some(Verdict::Passed)).count();
        let _ = writeln!(
            text,
            "{:<8} {} tests passed, {} failed, {} skipped; {held} of {} requirements shown",
            column.name,
            count(Verdict::Passed),
            count(Verdict::Failed),
            count(Verdict::Skipped),
            requirements.len()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Column, Verdict, parse_requirements, table};

    const LIST: &str = "# head\nc001 U one\nc002 S two\n";

    fn column(console: &str) -> Column {
        Column::parse("up", console)
    }

    #[test]
    fn column_reads_names_further_requirements_and_verdicts() {
        let column = column("boot\nok c001_a_b c002\nFAIL c003_x: line 3: c004 no\nskip c005_y: needs cores\n");
        assert_eq!(column.tests[0], ("c001_a_b".into(), vec!["c001".into(), "c002".into()], Verdict::Passed));
        assert_eq!(column.tests[1], ("c003_x".into(), vec!["c003".into()], Verdict::Failed));
        assert_eq!(column.tests[2].2, Verdict::Skipped);
    }

    #[test]
    fn table_names_requirements_without_test_failed_and_skipped_everywhere() {
        let list = parse_requirements(LIST).expect("the list is good");
        assert_eq!(table(&list, &[column("ok c001_a c002\n")], true).problems.len(), 0);
        assert_eq!(table(&list, &[column("ok c001_a\n")], true).problems.len(), 1);
        assert_eq!(table(&list, &[column("FAIL c001_a c002: x\n")], true).problems.len(), 2);
        let skipped = [column("ok c001_a\nskip c002_b: needs cores\n")];
        assert_eq!(table(&list, &skipped, true).problems.len(), 1);
        assert_eq!(table(&list, &skipped, false).problems.len(), 0);
        assert_eq!(table(&list, &[column("ok c001_a c002 c009\n")], true).problems.len(), 1);
    }

    #[test]
    fn requirements_that_come_twice_or_lack_a_text_are_refused() {
        assert!(parse_requirements("c001 U a\nc001 U b\n").is_err());
        assert!(parse_requirements("c001\n").is_err());
    }
}
