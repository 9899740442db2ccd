//! What the editor of lines hears beside its keys: with the end of a line a command begins.
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Helper, Result};

pub(crate) type Editor = rustyline::Editor<Line, FileHistory>;

/// Completes nothing and hints at nothing.
pub(crate) struct Line;

impl Validator for Line {
    /// While a line is edited no key is an interrupt, and from here on each is one of the command.
    fn validate(&self, _: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        sh::interrupts::forget();
        Ok(ValidationResult::Valid(None))
    }
}

impl Completer for Line {
    type Candidate = String;
}

impl Hinter for Line {
    type Hint = String;
}

impl Highlighter for Line {}
impl Helper for Line {}
