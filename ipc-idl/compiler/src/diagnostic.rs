//! Mistakes in IDL texts, each with its rule, place and hint; rendering is codespan-reporting's.
use codespan_reporting::diagnostic::{Diagnostic as Report, Label};
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term;
use std::fmt;
use std::ops::Range;

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Number of the text among those that are compiled together.
    pub file: usize,
    /// Bytes of the text.
    pub bytes: Range<usize>,
}

/// One text.
#[derive(Clone, Debug)]
pub struct Source {
    /// How messages name it: its path below the IDL root, with '/'.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Name of the rule that the text breaks; tests and documentation refer to it.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do about it, or why the rule exists.
    pub hint: Option<String>,
    /// A second place that has to do with it.
    pub related: Option<Box<(Span, String)>>,
}

impl Diagnostic {
    pub(crate) fn new(rule: &'static str, span: &Span, message: impl Into<String>) -> Self {
        Self { rule, message: message.into(), span: span.clone(), hint: None, related: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn related(mut self, span: &Span, message: impl Into<String>) -> Self {
        self.related = Some(Box::new((span.clone(), message.into())));
        self
    }
}

/// All mistakes of a compilation, with the texts to show them in.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// The texts.
    pub sources: Vec<Source>,
    /// The mistakes, by text and place.
    pub list: Vec<Diagnostic>,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut files = SimpleFiles::new();
        for source in &self.sources {
            files.add(&source.name, &source.text);
        }
        let config = term::Config::default();
        for diagnostic in &self.list {
            let text = term::emit_into_string(&config, &files, &report(diagnostic)).map_err(|_| fmt::Error)?;
            f.write_str(&text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

fn report(diagnostic: &Diagnostic) -> Report<usize> {
    let mut labels = vec![Label::primary(diagnostic.span.file, diagnostic.span.bytes.clone())];
    if let Some(related) = &diagnostic.related {
        let (span, message) = &**related;
        labels.push(Label::secondary(span.file, span.bytes.clone()).with_message(message));
    }
    let notes = diagnostic.hint.iter().map(|hint| format!("hint: {hint}")).collect();
    Report::error().with_code(diagnostic.rule).with_message(&diagnostic.message).with_labels(labels).with_notes(notes)
}
