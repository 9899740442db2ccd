//! A compiled policy as lines for a device's console, whose command `policy data` takes them; on the host only.

/// Bytes of a line: what fits a line of the console as base64.
const LINE: usize = 72;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The lines, in order.
#[must_use]
pub fn console_lines(bytes: &[u8]) -> Vec<String> {
    let pieces = bytes.chunks(LINE).enumerate();
    pieces.map(|(number, piece)| format!("policy data {} {}", number * LINE, base64(piece))).collect()
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let [first, second, third] = [0, 1, 2].map(|place| u32::from(group.get(place).copied().unwrap_or(0)));
        let word = first << 16 | second << 8 | third;
        for place in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, console_lines};

    #[test]
    fn base64_is_that_of_rfc4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn lines_fit_the_console_and_begin_where_the_last_one_ended() {
        let lines = console_lines(&[7; 4096]);
        assert!(lines.iter().all(|line| line.len() <= 120), "{lines:?}");
        assert!(lines[0].starts_with("policy data 0 ") && lines[1].starts_with("policy data 72 "));
        assert_eq!(lines.len(), 57);
    }
}
