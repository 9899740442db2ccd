//! Response heads as bytes (RFC 9112 §4): formatting and its checks.

use super::body::is_token;
use crate::engine::AnswerError;
use crate::status::Status;
use alloc::vec::Vec;

/// How the content after a head is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delimiter {
    /// There is none, and no field says more.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
}

/// What the connection's future is, for the Connection field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Future {
    /// HTTP/1.1's default: stays open.
    Stays,
    /// HTTP/1.0 with keep-alive.
    StaysByRequest,
    /// `Connection: close`.
    Closes,
}

/// Appends a decimal number.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // `number % 10` is a digit.
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends one chunk of a chunked body; the data must not be empty.
pub(crate) fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let len = data.len();
    let width = ((usize::BITS - len.leading_zeros()).div_ceil(4)).max(1);
    for place in (0..width).rev() {
        out.push(HEX[(len >> (place * 4)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole response head.
pub(crate) fn push_head<'a>(
    out: &mut Vec<u8>,
    status: Status,
    media_type: &str,
    delimiter: Delimiter,
    future: Future,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, status.code().into());
    out.push(b' ');
    out.extend_from_slice(status.reason().as_bytes());
    out.extend_from_slice(b"\r\nServer: HybridOS\r\n");
    if !media_type.is_empty() {
        push_field(out, "Content-Type", media_type);
    }
    match delimiter {
        Delimiter::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Delimiter::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Delimiter::Nothing | Delimiter::Close => {}
    }
    match future {
        Future::Stays => {}
        Future::StaysByRequest => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Future::Closes => out.extend_from_slice(b"Connection: close\r\n"),
    }
    for (name, value) in fields.filter(|(name, _)| !is_ours(name)) {
        push_field(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Checks everything that comes from a provider and ends in a head.
///
/// # Errors
/// `BadField` for a name that is no token, or a value with a control character: it could end the field and begin another.
pub(crate) fn check_fields<'a>(
    media_type: &str,
    mut fields: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), AnswerError> {
    let is_good = is_value(media_type)
        && fields.all(|(name, value)| !name.is_empty() && name.bytes().all(is_token) && is_value(value));
    if is_good { Ok(()) } else { Err(AnswerError::BadField) }
}

fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// Fields that only httpd itself writes: framing, connection, and those that it has written already.
fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "connection",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "proxy-connection",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::{Delimiter, Future, check_fields, push_chunk, push_decimal, push_head};
    use crate::status::Status;

    #[test]
    fn numbers_are_written_as_std_writes_them() {
        for number in [0, 1, 9, 10, 99, 12345, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
        for len in [1usize, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 65535] {
            let mut out = Vec::new();
            push_chunk(&mut out, &vec![b'x'; len]);
            assert_eq!(out, format!("{len:x}\r\n{}\r\n", "x".repeat(len)).into_bytes());
        }
    }

    #[test]
    fn head_leaves_out_what_is_not_the_providers() {
        let mut out = Vec::new();
        let fields =
            [("cache-control", "no-store"), ("Content-Length", "7"), ("transfer-encoding", "x"), ("Server", "evil")];
        push_head(&mut out, Status::Ok, "text/html", Delimiter::Length(3), Future::Closes, fields.into_iter());
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "HTTP/1.1 200 OK\r\nServer: HybridOS\r\nContent-Type: text/html\r\nContent-Length: 3\r\nConnection: close\r\ncache-control: no-store\r\n\r\n"
        );
    }

    #[test]
    fn fields_with_control_characters_are_refused() {
        assert!(check_fields("text/plain", [("a", "b\tc"), ("x-y", "ü")].into_iter()).is_ok());
        for (media, name, value) in [
            ("a\r\nb: c", "n", "v"),
            ("a", "", "v"),
            ("a", "n n", "v"),
            ("a", "n:", "v"),
            ("a", "n", "v\r\nx: y"),
            ("a", "n", "\0"),
            ("a", "n", "\u{7f}"),
        ] {
            assert!(check_fields(media, [(name, value)].into_iter()).is_err(), "{media:?} {name:?} {value:?}");
        }
    }
}
