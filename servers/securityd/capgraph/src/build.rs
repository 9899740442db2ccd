//! What the build asks for besides the graph: checked programs and the bundle; it starts no compiler.

use crate::bundle::{BundleError, write_bundle_with};
use crate::graph::Graph;
use crate::program::{Program, ProgramError};
use crate::rulebook::Rulebook;
use hybrid_config::{Date, Problem};

const TOO_LARGE: &str = "it takes more memory than `program` of [memory] in its component.toml says";

/// Checks each component's program: its format, its addresses, and that nothing is writable and executable.
///
/// # Errors
/// One problem for each program that fails, and one for each component that has none.
pub fn check_programs(graph: &Graph, programs: &[(&str, &[u8])]) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for instance in graph.instances.iter().filter(|instance| instance.id != crate::layout::SECURITYD) {
        let name = instance.program();
        let failure = match programs.iter().find(|(found, _)| *found == name) {
            None => Some(("unknown-component", "there is no program for it")),
            Some((_, file)) => match Program::of(instance.runtime, file) {
                Ok(program) if program.pages() * 4096 > instance.program_max => Some(("bad-program", TOO_LARGE)),
                Ok(_) => None,
                Err(error) => Some((rule_of(error), error.text())),
            },
        };
        if let Some((rule, text)) = failure {
            let file = format!("{}/component.toml", instance.component);
            let message = format!("the program of `{}` cannot be used: {text}", instance.name);
            problems.push(Problem { file, line: 0, rule, message, help: "look at how it is built and linked".into() });
        }
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Checks the programs and writes the bundle, with the rules for further components.
///
/// The rulebook's day is the first there is: whether a permission is over is decided when the image is built, since a device need
/// not know the day, and the same texts give the same bytes on every day.
///
/// # Errors
/// As [`check_programs`]; and when the bundle's limits are exceeded.
pub fn bundle_for(graph: &Graph, book: &Rulebook, programs: &[(&str, &[u8])]) -> Result<Vec<u8>, Vec<Problem>> {
    check_programs(graph, programs)?;
    let book = Rulebook { today: Date::default(), ..book.clone() };
    write_bundle_with(graph, Some(&book), programs).map_err(|error: BundleError| {
        let file = format!("images/{}/system.toml", graph.product);
        vec![Problem {
            file,
            line: 0,
            rule: "bad-value",
            message: error.text().into(),
            help: "use fewer or shorter names".into(),
        }]
    })
}

const fn rule_of(error: ProgramError) -> &'static str {
    match error {
        ProgramError::WriteXorExecute => "write-xor-execute",
        _ => "bad-program",
    }
}
