//! What a program writes, cut into lines for the log; it keeps at most one line of each stream.

use heapless::Vec;

/// The most bytes of one line; what is longer goes on in the next.
pub const LINE_MAX: usize = 400;

/// One output stream of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, descriptor 1.
    Out,
    /// Standard error, descriptor 2.
    Error,
}

/// The line of a stream that is not ended yet.
#[derive(Debug, Default)]
pub struct Line {
    bytes: Vec<u8, LINE_MAX>,
}

impl Line {
    /// Nothing was written.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Takes what was written; `tell` gets each line that ends, without its end.
    pub fn write(&mut self, bytes: &[u8], tell: &mut impl FnMut(&str)) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end(tell);
                continue;
            }
            if self.bytes.is_full() {
                self.split(tell);
            }
            // There is room after a split.
            let _is_never_full = self.bytes.push(*byte);
        }
    }

    /// Tells what is there as a line, if anything is: when the program ends.
    pub fn flush(&mut self, tell: &mut impl FnMut(&str)) {
        if !self.bytes.is_empty() {
            self.end(tell);
        }
    }

    fn end(&mut self, tell: &mut impl FnMut(&str)) {
        tell_lossy(&self.bytes, tell);
        self.bytes.clear();
    }

    /// Tells a full line and keeps the character that is not complete yet, so that no character is torn apart.
    fn split(&mut self, tell: &mut impl FnMut(&str)) {
        let (whole, kept) = self.bytes.split_at(self.bytes.len() - torn(&self.bytes));
        let kept: Vec<u8, 4> = Vec::from_slice(kept).unwrap_or_default();
        tell_lossy(whole, tell);
        self.bytes.clear();
        let _is_never_full = self.bytes.extend_from_slice(&kept);
    }
}

/// Bytes at the end that begin a character without ending it; at most 3.
fn torn(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        Some(chunk) if core::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none()) => {
            chunk.invalid().len()
        }
        _ => 0,
    }
}

/// What is not UTF-8 becomes the replacement character, as elsewhere.
fn tell_lossy(bytes: &[u8], tell: &mut impl FnMut(&str)) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        return tell(text);
    }
    // Each byte that is replaced grows to three.
    let mut text: heapless::String<{ 3 * LINE_MAX }> = heapless::String::new();
    for chunk in bytes.utf8_chunks() {
        let _there_is_room = text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            let _there_is_room = text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    tell(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> std::vec::Vec<String> {
        let mut lines = std::vec::Vec::new();
        let mut line = Line::new();
        let mut tell = |text: &str| lines.push(text.to_string());
        for piece in pieces {
            line.write(piece, &mut tell);
        }
        line.flush(&mut tell);
        lines
    }

    #[test]
    fn line_is_told_when_it_ends_and_the_rest_at_the_end() {
        assert_eq!(lines(&[b"a", b"b\nc", b"\n\n", b"d"]), ["ab", "c", "", "d"]);
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn line_that_is_too_long_is_split_between_characters() {
        let text = format!("{}ä{}", "x".repeat(LINE_MAX - 1), "y");
        assert_eq!(lines(&[text.as_bytes()]), [&text[..LINE_MAX - 1], "äy"]);
    }

    #[test]
    fn line_that_is_no_text_is_told_with_replacements() {
        assert_eq!(lines(&[b"a\xff\xfeb\n"]), ["a\u{fffd}\u{fffd}b"]);
    }

    proptest! {
        #[test]
        fn line_of_any_text_loses_nothing(text in "(\\PC|\n){0,900}", cuts in proptest::collection::vec(0_usize..900, 0..6)) {
            let mut cuts: std::vec::Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: std::vec::Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let told = lines(&pieces);
            prop_assert!(told.iter().all(|line| line.len() <= LINE_MAX));
            prop_assert_eq!(told.concat(), text.replace('\n', ""));
        }
    }
}
