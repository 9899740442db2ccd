//! Tables of good and bad request heads; the bad pages of input.

use super::{Head, Method, Scan, parse};
use crate::http1::body::Framing;
use crate::status::Status;

/// Scans and parses as the engine does, fed `step` bytes at a time.
fn read(input: &[u8], step: usize) -> Result<Option<(Head, Vec<u8>)>, Status> {
    let (mut scan, mut seen) = (Scan::default(), 0);
    while seen < input.len() {
        seen = (seen + step).min(input.len());
        if let Some(end) = scan.advance(&input[..seen])? {
            let (mut head, mut bytes) = (Head::default(), input[..end].to_vec());
            parse(&mut bytes, &mut head)?;
            return Ok(Some((head, bytes)));
        }
    }
    Ok(None)
}

fn refused(input: &[u8]) -> Option<Status> {
    let outcomes: Vec<_> = [1, 2, 7, usize::MAX / 2].map(|step| read(input, step).err()).to_vec();
    assert!(
        outcomes.windows(2).all(|pair| pair[0] == pair[1]),
        "the split must not matter: {outcomes:?} for {:?}",
        String::from_utf8_lossy(input)
    );
    outcomes[0]
}

fn good(input: &str) -> Head {
    read(input.as_bytes(), 1000).expect(input).expect(input).0
}

#[test]
fn head_good_is_understood() {
    let head = good("GET /a?b HTTP/1.1\r\nHost: h:80\r\nAccept: */*\r\n\r\n");
    assert_eq!(
        (head.method, head.minor, head.path.as_str(), head.keep_alive, head.framing.0),
        (Method::Get, 1, "/a", true, Framing::None)
    );
    let head =
        good("POST / HTTP/1.1\r\nHost:h\r\nContent-Length: 12 \r\nExpect: 100-Continue\r\nConnection: close\r\n\r\n");
    assert_eq!((head.framing.0, head.expects_continue, head.keep_alive), (Framing::Length(12), true, false));
    let head = good("PUT / HTTP/1.1\r\nHost:\r\ntransfer-encoding: Chunked\r\n\r\n");
    assert_eq!(head.framing.0, Framing::Chunked);
    let head = good("GET / HTTP/1.0\r\n\r\n");
    assert!(!head.keep_alive);
    let head = good("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n");
    assert!(head.keep_alive);
    let head = good("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(head.is_server_wide && head.path.is_empty());
    assert_eq!(good("POST / HTTP/1.1\r\nHost:h\r\nContent-Length: 0\r\n\r\n").framing.0, Framing::None);
}

#[test]
fn head_fields_end_to_end_only_in_lower_case() {
    let text = "GET /p?q=1 HTTP/1.1\r\nHOST: h\r\nX-Mine:  a b \r\nConnection: x-hop, close\r\nX-Hop: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Bytes: \u{e9}\r\n\r\n";
    let mut latin = text.as_bytes().to_vec();
    let place = latin.windows(2).position(|pair| pair == [0xc3, 0xa9]).expect("there");
    latin.remove(place + 1);
    for (input, has_bytes) in [(text.as_bytes(), true), (latin.as_slice(), false)] {
        let (head, bytes) = read(input, 9).expect("good").expect("whole");
        let fields: Vec<_> = head.fields(&bytes).collect();
        assert_eq!(&fields[..2], &[("host", "h"), ("x-mine", "a b")]);
        assert_eq!(fields.len(), if has_bytes { 3 } else { 2 });
        assert_eq!(head.query(&bytes), "q=1");
    }
}

#[test]
fn head_connection_cannot_hide_host_or_length() {
    let (head, bytes) =
        read(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: host, content-length\r\n\r\n", 5)
            .expect("good")
            .expect("whole");
    let names: Vec<_> = head.fields(&bytes).map(|(name, _)| name).collect();
    assert_eq!(names, ["host", "content-length"]);
}

#[test]
fn head_incomplete_is_waited_for() {
    for input in [
        "",
        "G",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r",
    ] {
        assert_eq!(read(input.as_bytes(), 1), Ok(None), "{input:?}");
    }
}

#[test]
fn head_bad_is_400() {
    for input in [
        // Not HTTP at all.
        "\x16\x03\x01\x02\x00",
        "\0\0\0\0",
        " GET / HTTP/1.1\r\n\r\n",
        "{\"json\": 1}",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "hello world\r\n\r\n",
        "GET / HTTQ/1.1\r\nHost: h\r\n\r\n",
        "GET / http/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET / HTTP/11\r\nHost: h\r\n\r\n",
        "GET / HTTP/x.1\r\nHost: h\r\n\r\n",
        // Line ends and white space.
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / a HTTP/1.1\r\nHost: h\r\n\r\n",
        // Fields.
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: \x1b[2J\r\n\r\n",
        // Host (RFC 9112 §3.2).
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        // Targets.
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS h HTTP/1.1\r\nHost: h\r\n\r\n",
        // Expect.
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: cake\r\nContent-Length: 1\r\n\r\n",
    ] {
        assert_eq!(refused(input.as_bytes()), Some(Status::BadRequest), "{input:?}");
    }
}

#[test]
fn head_smuggling_pairs_are_refused() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length:",
        "Content-Length: 3 4",
        "Content-Length: 99999999999999999999",
        "Content-Length: \u{b}3",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: ,",
        "Transfer-Encoding : chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Content-Length\t: 3",
        "Content-Length: 3\rTransfer-Encoding: chunked",
    ] {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        assert_eq!(refused(input.as_bytes()), Some(Status::BadRequest), "{fields:?}");
    }
    for fields in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
    ] {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        assert_eq!(refused(input.as_bytes()), Some(Status::NotImplemented), "{fields:?}");
    }
    assert_eq!(refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Some(Status::BadRequest));
}

#[test]
fn head_limits_have_their_statuses() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(5000));
    assert_eq!(refused(target.as_bytes()), Some(Status::UriTooLong));
    assert_eq!(refused(&vec![b'A'; 5000]), Some(Status::UriTooLong));
    assert_eq!(
        refused(format!("GET /?{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(2000)).as_bytes()),
        Some(Status::UriTooLong)
    );
    let value = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "a".repeat(9000));
    assert_eq!(refused(value.as_bytes()), Some(Status::HeaderFieldsTooLarge));
    let count = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(64));
    assert_eq!(refused(count.as_bytes()), Some(Status::HeaderFieldsTooLarge));
    let body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\n";
    assert_eq!(refused(body.as_bytes()), Some(Status::ContentTooLarge));
    for (input, status) in [
        ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", Status::NotImplemented),
        ("get / HTTP/1.1\r\nHost: h\r\n\r\n", Status::NotImplemented),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", Status::NotImplemented),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", Status::NotImplemented),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", Status::VersionNotSupported),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Status::VersionNotSupported),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", Status::VersionNotSupported),
        ("GET / HTTP/0.9\r\n\r\n", Status::VersionNotSupported),
    ] {
        assert_eq!(refused(input.as_bytes()), Some(status), "{input:?}");
    }
}
