//! Entries as lines of text that nobody can forge; no storage, no I/O.

use crate::store::Stored;
use alloc::string::String;
use core::fmt::Write;
use hybrid_interfaces::log::Level;

/// Writes an entry as one line, `[   1.234567] I httpd: text`, after a line for what was lost before it.
pub(crate) fn write_entry(out: &mut String, entry: &Stored, component: &str) {
    if entry.dropped_before > 0 {
        write_stamp(out, entry.at_ns);
        write_escaped(out, component);
        // Writing to a String cannot fail.
        let _ = write!(out, ": {} records lost, its ring was full\r\n", entry.dropped_before);
    }
    write_stamp(out, entry.at_ns);
    out.push(letter(entry.level));
    out.push(' ');
    write_escaped(out, component);
    out.push_str(": ");
    write_escaped(out, entry.text());
    out.push_str("\r\n");
}

/// Writes the line that stands for `missed` entries that were overwritten before they could be printed.
pub(crate) fn write_gap(out: &mut String, missed: u64) {
    let _ = write!(out, "[------------] {missed} entries were overwritten before they could be printed\r\n");
}

fn write_stamp(out: &mut String, at_ns: u64) {
    let micros = at_ns / 1000;
    let _ = write!(out, "[{:4}.{:06}] ", micros / 1_000_000, micros % 1_000_000);
}

fn letter(level: Level) -> char {
    match level {
        Level::Error => 'E',
        Level::Warn => 'W',
        Level::Info => 'I',
        Level::Debug => 'D',
        Level::Trace => 'T',
    }
}

/// Everything that could move the cursor, begin a line or turn the direction of text is written as `\u{…}`.
fn write_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Control characters, line and paragraph separators, and the invisible ones of Unicode's bidirectional algorithm.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::{write_entry, write_gap};
    use crate::store::Store;
    use hybrid_interfaces::log::{Level, Record};
    use proptest::prelude::*;

    fn line(component: &str, text: &str, dropped_before: u32) -> String {
        let mut store = Store::new(4096);
        let source = store.add_source(component);
        let record = Record {
            level: Level::Info,
            at_ns: 1_234_567_890,
            dropped_before,
            target: "target".into(),
            text: text.into(),
        };
        store.push(source, &record, u64::MAX);
        let mut out = String::new();
        let (entry, name) = store.at(0).expect("one entry");
        write_entry(&mut out, entry, name);
        out
    }

    #[test]
    fn lines_look_as_documented() {
        assert_eq!(line("httpd", "listening", 0), "[   1.234567] I httpd: listening\r\n");
        assert_eq!(
            line("httpd", "hm", 3),
            "[   1.234567] httpd: 3 records lost, its ring was full\r\n[   1.234567] I httpd: hm\r\n"
        );
        let mut gap = String::new();
        write_gap(&mut gap, 7);
        assert_eq!(gap, "[------------] 7 entries were overwritten before they could be printed\r\n");
    }

    #[test]
    fn lines_cannot_be_forged() {
        assert_eq!(
            line("app", "x\r\n[   9.000000] E securityd: boo\x1b[2J\u{9b}\u{202e}", 0),
            "[   1.234567] I app: x\\r\\n[   9.000000] E securityd: boo\\u{1b}[2J\\u{9b}\\u{202e}\r\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_one_line(text in "\\PC{0,20}[\\x00-\\x20\\x7f-\\u{a0}]{0,20}.{0,20}") {
            let out = line("app", &text, 0);
            prop_assert!(out.ends_with("\r\n"));
            prop_assert!(!out[..out.len() - 2].chars().any(char::is_control));
        }
    }
}
