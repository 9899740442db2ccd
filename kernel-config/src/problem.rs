//! One problem in a text, and the text it stands in; no terminal output.

use alloc::string::String;
use core::fmt;
#[cfg(feature = "std")]
use core::ops::Range;
#[cfg(feature = "std")]
use std::path::Path;

#[cfg(feature = "std")]
use serde::de::DeserializeOwned;

/// What is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the text, relative to the tree's root.
    pub file: String,
    /// Line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The rule's stable name, as listed in docs/capabilities.md.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error[{}]: {}", self.rule, self.message)?;
        write!(out, "\n  --> {}:{}", self.file, self.line)?;
        if self.help.is_empty() { Ok(()) } else { write!(out, "\n  help: {}", self.help) }
    }
}

impl core::error::Error for Problem {}

/// A text with its name, so that a place in it can be told as a line.
#[cfg(feature = "std")]
#[derive(Debug, Clone)]
pub struct Source {
    /// Path relative to the tree's root.
    pub file: String,
    /// The whole text.
    pub text: String,
    /// Another file whose text makes up the first so many bytes of it.
    base: Option<(String, usize)>,
}

#[cfg(feature = "std")]
impl Source {
    /// A text that need not stand in a file.
    #[must_use]
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into(), base: None }
    }

    /// `base`'s text followed by this one; a place in either is told by its own file and line.
    #[must_use]
    pub fn on(self, base: Self) -> Self {
        let mut text = base.text;
        text.push('\n');
        let base = Some((base.file, text.len()));
        text.push_str(&self.text);
        Self { file: self.file, text, base }
    }

    /// Reads `root`/`file`.
    ///
    /// # Errors
    /// `missing-file` when it cannot be read.
    pub fn read(root: &Path, file: &str) -> Result<Self, Problem> {
        match std::fs::read_to_string(root.join(file)) {
            Ok(text) => Ok(Self::new(file, text)),
            Err(error) => Err(Problem {
                file: file.into(),
                line: 0,
                rule: "missing-file",
                message: format!("cannot read the file: {error}"),
                help: "create it; its schema is in docs/capabilities.md".into(),
            }),
        }
    }

    /// The file and the line, counted from 1, of a byte offset.
    #[must_use]
    pub fn place(&self, offset: usize) -> (&str, usize) {
        let (file, start) = match &self.base {
            Some((file, len)) if offset < *len => (file, 0),
            Some((_, len)) => (&self.file, *len),
            None => (&self.file, 0),
        };
        let end = offset.min(self.text.len());
        let newlines = self.text.as_bytes()[start.min(end)..end].iter().filter(|byte| **byte == b'\n');
        (file, newlines.count() + 1)
    }

    /// The files that it comes from.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.base.iter().map(|(file, _)| file.as_str()).chain([self.file.as_str()])
    }

    /// A problem at the place of `span`.
    #[must_use]
    pub fn problem(
        &self,
        span: Range<usize>,
        rule: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let (file, line) = self.place(span.start);
        Problem { file: file.into(), line, rule, message: message.into(), help: help.into() }
    }

    /// The text as a `T`.
    ///
    /// # Errors
    /// `unknown-key` for a key that the schema does not have, `bad-value` for everything else.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(&self.text).map_err(|error| {
            let message = error.message().to_owned();
            let is_unknown = message.starts_with("unknown field");
            let rule = if is_unknown { "unknown-key" } else { "bad-value" };
            let help = if is_unknown {
                "remove the key or correct its spelling"
            } else {
                "the schema is in docs/capabilities.md"
            };
            self.problem(error.span().unwrap_or(0..0), rule, message, help)
        })
    }
}
