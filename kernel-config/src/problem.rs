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
}

#[cfg(feature = "std")]
impl Source {
    /// Reads `root`/`file`.
    ///
    /// # Errors
    /// `missing-file` when it cannot be read.
    pub fn read(root: &Path, file: &str) -> Result<Self, Problem> {
        match std::fs::read_to_string(root.join(file)) {
            Ok(text) => Ok(Self { file: file.into(), text }),
            Err(error) => Err(Problem {
                file: file.into(),
                line: 0,
                rule: "missing-file",
                message: format!("cannot read the file: {error}"),
                help: "create it; its schema is in docs/capabilities.md".into(),
            }),
        }
    }

    /// The line of a byte offset, counted from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
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
        Problem {
            file: self.file.clone(),
            line: self.line(span.start),
            rule,
            message: message.into(),
            help: help.into(),
        }
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
