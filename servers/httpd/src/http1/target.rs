//! The request target: its form, its path normalised, its query; no routing.

use crate::limits::{PATH_MAX, QUERY_MAX};
use crate::status::Status;
use alloc::string::String;
use core::ops::Range;

/// What a request target names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A path, now decoded in the buffer that the caller gave, and where the query stands in the target ("" if none).
    Path {
        /// The query's place in the target, without '?'.
        query: Range<usize>,
    },
    /// `*`: the server as a whole.
    Server,
}

/// Takes the target of a request line apart (RFC 9112 §3.2) and writes the decoded, normalised path into `path`.
///
/// Origin form (`/a?b`), absolute form with the `http` scheme (its authority is checked and not used), and `*`.
///
/// # Errors
/// 400 for anything else, bad percent-encoding, control characters, encoded '/' and non-UTF-8 paths; 414 beyond the limits.
pub(crate) fn parse(target: &str, path: &mut String) -> Result<Target, Status> {
    path.clear();
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
        return Err(Status::BadRequest);
    }
    if target == "*" {
        return Ok(Target::Server);
    }
    let start = path_start(target)?;
    let rest = &target[start..];
    let end = start + rest.find('?').unwrap_or(rest.len());
    let query = if end < target.len() { end + 1..target.len() } else { end..end };
    if query.len() > QUERY_MAX {
        return Err(Status::UriTooLong);
    }
    decode(&target.as_bytes()[start..end], path)?;
    Ok(Target::Path { query })
}

/// Where the path begins in an origin-form or absolute-form target; an absolute form without a path counts as "/" (RFC 9110 §4.2.3).
fn path_start(target: &str) -> Result<usize, Status> {
    if target.starts_with('/') {
        return Ok(0);
    }
    let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).ok_or(Status::BadRequest)?;
    let rest = &target[scheme.len()..];
    let length = rest.find(['/', '?']).unwrap_or(rest.len());
    if length == 0 || !is_authority(&rest[..length]) {
        return Err(Status::BadRequest);
    }
    Ok(scheme.len() + length)
}

/// Whether `text` looks like `host [":" port]` (RFC 3986 §3.2.2) without user information; also for the Host field, where it may be empty.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rfind(':') {
        Some(at) if !text[at..].contains(']') => (&text[..at], &text[at + 1..]),
        _ => (text, ""),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let is_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|inner| {
            !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.')
        }),
        None => host.bytes().all(is_name),
    };
    is_host && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Percent-decodes, merges empty segments, resolves "." and ".." (never above the root), and checks what comes out.
///
/// An encoded '/' is refused: once decoded it could not be told from a separator, and two readers of the path would disagree (decision 0072).
fn decode(raw: &[u8], path: &mut String) -> Result<(), Status> {
    let mut out = core::mem::take(path).into_bytes();
    out.push(b'/');
    let mut at = 0;
    while at < raw.len() {
        let segment_end = raw[at..].iter().position(|&byte| byte == b'/').map_or(raw.len(), |offset| at + offset);
        let is_final = segment_end == raw.len();
        push_segment(&raw[at..segment_end], is_final, &mut out)?;
        at = segment_end + 1;
    }
    *path = String::from_utf8(out).map_err(|_| Status::BadRequest)?;
    Ok(())
}

/// Appends one decoded segment to `out`, which ends with '/'.
fn push_segment(raw: &[u8], is_final: bool, out: &mut alloc::vec::Vec<u8>) -> Result<(), Status> {
    let begin = out.len();
    let mut at = 0;
    while at < raw.len() {
        let (byte, width) = match raw[at] {
            b'%' => (encoded_byte(raw.get(at + 1..at + 3).ok_or(Status::BadRequest)?)?, 3),
            plain => (plain, 1),
        };
        if byte < 0x20 || byte == 0x7f || (byte == b'/' && width == 3) {
            return Err(Status::BadRequest);
        }
        if out.len() >= PATH_MAX {
            return Err(Status::UriTooLong);
        }
        out.push(byte);
        at += width;
    }
    match &out[begin..] {
        b"" | b"." => out.truncate(begin),
        b".." => {
            out.truncate(begin - 1);
            let parent = out.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            out.truncate(parent);
            if out.is_empty() {
                out.push(b'/');
            }
        }
        _ if !is_final => {
            if out.len() >= PATH_MAX {
                return Err(Status::UriTooLong);
            }
            out.push(b'/');
        }
        _ => {}
    }
    Ok(())
}

fn encoded_byte(digits: &[u8]) -> Result<u8, Status> {
    let value = |digit: u8| char::from(digit).to_digit(16).ok_or(Status::BadRequest);
    let byte = value(digits[0])? * 16 + value(digits[1])?;
    u8::try_from(byte).map_err(|_| Status::BadRequest)
}

#[cfg(test)]
mod tests {
    use super::{Target, is_authority, parse};
    use crate::status::Status;
    use proptest::prelude::*;

    fn path_of(target: &str) -> Result<(String, String), Status> {
        let mut path = String::new();
        match parse(target, &mut path)? {
            Target::Path { query } => Ok((path, target[query].to_owned())),
            Target::Server => Ok(("*".into(), String::new())),
        }
    }

    #[test]
    fn target_good_is_decoded_and_normalised() {
        for (target, path, query) in [
            ("/", "/", ""),
            ("/a/b?x=1&y=%2F", "/a/b", "x=1&y=%2F"),
            ("/a//b///c", "/a/b/c", ""),
            ("/a/./b/../c", "/a/c", ""),
            ("/../../etc/passwd", "/etc/passwd", ""),
            ("/a/%2e%2E/b", "/b", ""),
            ("/a/..", "/", ""),
            ("/a/b/..", "/a/", ""),
            ("/a/.", "/a/", ""),
            ("/a/", "/a/", ""),
            ("/gr%C3%BC%C3%9Fe", "/grüße", ""),
            ("/a%20b", "/a b", ""),
            ("/a%25%32%66b", "/a%2fb", ""),
            ("/?", "/", ""),
            ("/??", "/", "?"),
            ("http://example.org/x?y", "/x", "y"),
            ("HTTP://[::1]:8080", "/", ""),
            ("http://h?q", "/", "q"),
            ("*", "*", ""),
        ] {
            assert_eq!(path_of(target), Ok((path.to_owned(), query.to_owned())), "{target}");
        }
    }

    #[test]
    fn target_bad_is_refused() {
        for target in [
            "",
            "a",
            "**",
            "/%",
            "/%2",
            "/%g1",
            "/%00",
            "/a%0d%0ab",
            "/%7f",
            "/a%2fb",
            "/%ff",
            "/%C3",
            "/a b",
            "/ü",
            "/#x",
            "https://h/",
            "http:///x",
            "http://user@h/",
            "http://h:port/",
            "ftp://h/",
            "http://h:123456/",
            "/%+1",
            "/% 1",
        ] {
            assert_eq!(path_of(target), Err(Status::BadRequest), "{target}");
        }
    }

    #[test]
    fn target_too_long_is_refused() {
        assert!(path_of(&format!("/{}", "a".repeat(255))).is_ok());
        assert_eq!(path_of(&format!("/{}", "a".repeat(256))), Err(Status::UriTooLong));
        assert!(path_of(&format!("/?{}", "a".repeat(1024))).is_ok());
        assert_eq!(path_of(&format!("/?{}", "a".repeat(1025))), Err(Status::UriTooLong));
        assert_eq!(path_of(&format!("/{}", "a/".repeat(200))), Err(Status::UriTooLong));
    }

    #[test]
    fn authority_forms() {
        for good in ["", "h", "h:80", "1.2.3.4:8080", "[::1]", "[fe80::1]:80", "h:"] {
            assert!(is_authority(good), "{good}");
        }
        for bad in ["a@b", "h:80x", "[::1", "::1", "h/p", "h p", "[]", "h:123456"] {
            assert!(!is_authority(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn target_any_text_gives_a_clean_path_or_an_error(target in "(/|[a-z%.]|%2e|%2[0-9a-f]|\\?|%[0-9a-fA-F]{2}|\\PC){0,40}") {
            if let Ok((path, _)) = path_of(&target)
                && path != "*"
            {
                prop_assert!(path.starts_with('/'));
                prop_assert!(path.len() <= crate::limits::PATH_MAX);
                prop_assert!(!path.contains("//"));
                prop_assert!(!path.split('/').any(|segment| segment == "." || segment == ".."));
                prop_assert!(!path.chars().any(|c| c.is_ascii_control()));
            }
        }
    }
}
