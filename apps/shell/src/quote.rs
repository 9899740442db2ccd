//! Makes foreign text harmless for a terminal; adds no quotation marks.
use alloc::string::String;
use core::fmt::Write;

/// Appends `text` with every character that could move the cursor, change colours or hide text written as an escape.
pub fn quote_into(out: &mut String, text: &str) {
    for character in text.chars() {
        let is_plain = (' '..='~').contains(&character) || (character.is_alphanumeric() && !is_invisible(character));
        if is_plain && character != '\\' {
            out.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = match u8::try_from(u32::from(character)) {
                Ok(b'\\') => write!(out, "\\\\"),
                Ok(byte) => write!(out, "\\x{byte:02x}"),
                Err(_) => write!(out, "\\u{{{:x}}}", u32::from(character)),
            };
        }
    }
}

/// As [`quote_into`], as a new text.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    quote_into(&mut out, text);
    out
}

/// Letters with no width of their own (Hangul fillers), which would let two different names look the same.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quoted_plain_text_is_unchanged() {
        assert_eq!(quoted("httpd: GET /a?b=1 ~ Grüße"), "httpd: GET /a?b=1 ~ Grüße");
    }

    #[test]
    fn quoted_control_characters_become_visible() {
        assert_eq!(quoted("a\x1b[2Jb\r\n\u{202e}c\\"), "a\\x1b[2Jb\\x0d\\x0a\\u{202e}c\\\\");
    }
}
