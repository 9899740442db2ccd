//! The table of the kernel's requirements, made from the logs of its suite.
use crate::folders;
use anyhow::{Context, Result};
use hybrid_scenarios::cases;
use hybrid_scenarios::cases::suite::PREFIX;
use hybrid_scenarios::requirements::{Column, parse_requirements, table};
use hybrid_scenarios::scenario::Scenario;
use std::path::PathBuf;

/// Prints the table of what these scenarios have shown, if they include the kernel's suite; returns what is wrong with it.
///
/// # Errors
/// The list of requirements is broken, or a log is missing.
pub(crate) fn report(played: &[Scenario]) -> Result<Option<(String, PathBuf)>> {
    let suites: Vec<&Scenario> = played.iter().filter(|scenario| scenario.name.starts_with(PREFIX)).collect();
    if suites.is_empty() {
        return Ok(None);
    }
    let list = folders::checkout().join("tests/suite/requirements.txt");
    let text = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let logs = folders::logs()?;
    let mut columns = Vec::new();
    for scenario in &suites {
        let log = scenario.log(&logs);
        let console = std::fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let name = scenario.name.trim_start_matches(PREFIX);
        columns.push(Column::parse(name, &String::from_utf8_lossy(&console)));
    }
    let is_complete = cases::all().iter().filter(|scenario| scenario.name.starts_with(PREFIX)).count() == suites.len();
    let table = table(&parse_requirements(&text)?, &columns, is_complete);
    println!("\nThe kernel's requirements, how many tests show each, and what they said in each configuration:\n");
    println!("{}", table.text);
    let place = folders::target().join("kernel-requirements.txt");
    std::fs::write(&place, format!("{}\n{}", table.text, table.index))
        .with_context(|| format!("cannot write {}", place.display()))?;
    println!("with the tests' names: {}", folders::shown(&place));
    Ok((!table.problems.is_empty()).then(|| (table.problems.join("\n"), place)))
}
