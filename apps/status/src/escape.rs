//! Text into HTML and JSON so that it stays text; nothing else.

use alloc::string::String;
use core::fmt::Write;

/// Appends `text` for HTML content and double-quoted attributes. Control characters become U+FFFD.
pub(crate) fn push_html(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || is_bidirectional(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// Characters that turn the direction of what follows: a text must not change how its neighbours look.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends `text` as a JSON string with its quotes (RFC 8259 §7).
pub(crate) fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // '<' and the line separators too: the text may end up inside a script.
            c if c.is_control() || matches!(c, '<' | '\u{2028}' | '\u{2029}') => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{push_html, push_json};
    use proptest::prelude::*;

    #[test]
    fn html_has_no_way_out() {
        let mut out = String::new();
        push_html(&mut out, "<script>alert('1' & \"2\")</script>\n\u{1b}\u{202e}");
        assert_eq!(out, "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt; \u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn json_strings_come_back(text in any::<String>()) {
            let mut out = String::new();
            push_json(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).expect("valid"), text);
            prop_assert!(!out.contains('<'));
        }

        #[test]
        fn html_of_any_text_has_no_markup(text in any::<String>()) {
            let mut out = String::new();
            push_html(&mut out, &text);
            prop_assert!(!out.contains(['<', '>', '"', '\'']));
            prop_assert!(!out.chars().any(char::is_control));
        }
    }
}
