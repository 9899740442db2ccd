//! Text to tokens; knows no grammar.
use crate::diagnostic::{Diagnostic, Span};

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a word of the language.
    Word(String),
    /// A decimal number.
    Number(u64),
    /// The text of a `///` line.
    Doc(String),
    /// One of `{ } ( ) < > : ; , . ? ! =` or `->`.
    Mark(&'static str),
    /// The end of the text.
    End,
}

/// One token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

const MARKS: [&str; 14] = ["->", "{", "}", "(", ")", "<", ">", ":", ";", ",", ".", "?", "!", "="];

/// The tokens of a text, with `End` last.
pub(crate) fn tokens(file: usize, text: &str) -> Result<Vec<Token>, Diagnostic> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if rest.starts_with("//") {
            comment(rest)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Some(Kind::Word(rest[..length].to_owned())), length)
        } else if first.is_ascii_digit() {
            number(file, at, rest)?
        } else if let Some(mark) = MARKS.into_iter().find(|mark| rest.starts_with(mark)) {
            (Some(Kind::Mark(mark)), mark.len())
        } else {
            return Err(unknown_character(file, at, first));
        };
        let span = Span { file, bytes: at..at + length };
        tokens.extend(kind.map(|kind| Token { kind, span }));
        at += length;
    }
    tokens.push(Token { kind: Kind::End, span: Span { file, bytes: at..at } });
    Ok(tokens)
}

/// A comment up to the end of its line. Three slashes and no fourth make documentation.
fn comment(rest: &str) -> (Option<Kind>, usize) {
    let length = rest.find('\n').unwrap_or(rest.len());
    let line = rest[..length].trim_end();
    let doc = line.strip_prefix("///").filter(|text| !text.starts_with('/'));
    (doc.map(|text| Kind::Doc(text.trim().to_owned())), length)
}

fn number(file: usize, at: usize, rest: &str) -> Result<(Option<Kind>, usize), Diagnostic> {
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let span = Span { file, bytes: at..at + length };
    let digits = rest[..length].replace('_', "");
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(Diagnostic::new("number", &span, format!("`{}` is not a decimal number", &rest[..length])));
    }
    match digits.parse() {
        Ok(value) => Ok((Some(Kind::Number(value)), length)),
        Err(_) => Err(Diagnostic::new("number", &span, "the number does not fit 64 bits")),
    }
}

fn unknown_character(file: usize, at: usize, found: char) -> Diagnostic {
    let span = Span { file, bytes: at..at + found.len_utf8() };
    let diagnostic = Diagnostic::new("character", &span, format!("`{found}` has no meaning here"));
    match found {
        '/' | '#' => diagnostic.hint("comments start with `//`, documentation with `///`"),
        '[' | ']' => diagnostic.hint("write `list<T, N>`, `array<T, N>` or `bytes<N>`, with a bound"),
        _ => diagnostic,
    }
}
