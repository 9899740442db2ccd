//! HTTP as browsers, tools and attackers send it.
use super::gateway;
use crate::http::{self, Connection};
use crate::scenario::{SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, bail, ensure};
use std::process::Command;
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        gateway("http-pages", "curl gets the page, the same as JSON, and a 404", pages),
        gateway(
            "http-methods",
            "HEAD has no body; what the policy does not allow is a 403 in the audit trail",
            methods,
        ),
        gateway("http-connections", "keep-alive, pipelining, Connection: close, HTTP/1.0", connections),
        gateway(
            "http-garbage",
            "garbage, gigantic and half requests get an error or nothing, and harm nobody",
            garbage,
        ),
        gateway("http-slow", "clients that say nothing, or a byte now and then, keep nobody else waiting", slow),
    ]
}

fn pages(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let (code, page) = curl(stage.port, "/")?;
    ensure!(
        code == "200" && page.contains("<html") && page.contains("httpd"),
        "the page is not the status page: {code}\n{page}"
    );
    let (code, text) = curl(stage.port, "/api/status")?;
    ensure!(code == "200", "/api/status is answered by {code}");
    let status: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("/api/status is not JSON:\n{text}"))?;
    ensure!(status.is_object(), "/api/status is no object:\n{text}");
    let (code, _) = curl(stage.port, "/nope")?;
    ensure!(code == "404", "/nope is answered by {code}, not by 404");
    stage.finish()
}

/// The status code and the body, by the tool that everybody has.
fn curl(port: u16, path: &str) -> Result<(String, String)> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", &url])
        .output()
        .context("cannot start curl; `cargo xtask setup` installs it")?;
    ensure!(output.status.success(), "curl {url}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').context("curl printed no status code")?;
    Ok((code.to_string(), body.to_string()))
}

fn methods(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let get = http::request(stage.port, "GET", "/nope")?;
    let head = http::request(stage.port, "HEAD", "/nope")?;
    ensure!(head.status == get.status, "HEAD is answered by {}, GET by {}", head.status, get.status);
    let mut connection = Connection::open(stage.port)?;
    connection.send(b"POST / HTTP/1.1\r\nHost: device\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")?;
    let post = connection.response("POST")?;
    ensure!(post.status == 403, "POST / is answered by {}; the policy denies it, so 403", post.status);
    stage.command("audit", "POST")?;
    stage.finish()
}

fn connections(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let mut connection = Connection::open(stage.port)?;
    for _ in 0..20 {
        connection.send(b"GET /api/status HTTP/1.1\r\nHost: device\r\n\r\n")?;
        ensure!(connection.response("GET")?.status == 200, "a kept connection stops answering");
    }
    connection.send(&b"GET /nope HTTP/1.1\r\nHost: device\r\n\r\nHEAD / HTTP/1.1\r\nHost: device\r\n\r\n".repeat(8))?;
    for number in 0..8 {
        let (nope, head) = (connection.response("GET")?.status, connection.response("HEAD")?.status);
        ensure!((nope, head) == (404, 200), "pipelined pair {number} is answered by {nope} and {head}");
    }
    connection.send(b"GET / HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n")?;
    ensure!(connection.response("GET")?.status == 200, "the last request of a connection is not answered");
    ensure!(connection.rest()?.is_empty(), "something follows the last response");
    let mut old = Connection::open(stage.port)?;
    old.send(b"GET / HTTP/1.0\r\n\r\n")?;
    ensure!(old.response("GET")?.status == 200, "HTTP/1.0 is not answered");
    old.rest().context("an HTTP/1.0 connection is not closed after its response")?;
    stage.finish()
}

/// Bytes, and the status codes that may answer them; none: the connection is just closed.
fn bad_requests() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let header =
        |length: usize| format!("GET / HTTP/1.1\r\nHost: device\r\nX: {}\r\n\r\n", "a".repeat(length)).into_bytes();
    let headers = format!("GET / HTTP/1.1\r\nHost: device\r\n{}\r\n", "X: y\r\n".repeat(5000)).into_bytes();
    let path = format!("GET /{} HTTP/1.1\r\nHost: device\r\n\r\n", "a".repeat(100_000)).into_bytes();
    vec![
        ("zeros", vec![0; 5000], &[400]),
        ("a TLS hello", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].repeat(40), &[400]),
        ("all bytes", (0..=255).collect::<Vec<u8>>().repeat(20), &[400]),
        ("no version", b"GET /\r\n\r\n".to_vec(), &[400, 505]),
        ("another version", b"GET / HTTP/3.0\r\nHost: device\r\n\r\n".to_vec(), &[400, 505]),
        ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (
            "two lengths",
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_vec(),
            &[400],
        ),
        (
            "length and chunks",
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            &[400],
        ),
        ("negative length", b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n".to_vec(), &[400]),
        (
            "huge length",
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
            &[400, 413],
        ),
        (
            "bad chunk",
            b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            &[400, 403, 405],
        ),
        ("path outside", b"GET /../../etc/passwd HTTP/1.1\r\nHost: d\r\n\r\n".to_vec(), &[400, 403, 404]),
        ("gigantic header", header(200_000), &[400, 413, 431]),
        ("many headers", headers, &[400, 431]),
        ("gigantic path", path, &[400, 414, 431]),
    ]
}

fn garbage(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    for (name, bytes, allowed) in bad_requests() {
        let mut connection = Connection::open(stage.port)?;
        // The device may answer and close before it has read everything.
        let _ = connection.send(&bytes);
        match connection.response("GET") {
            Ok(response) if allowed.contains(&response.status) => {}
            Ok(response) => bail!("{name}: answered by {}, not by one of {allowed:?}", response.status),
            Err(error) => match connection.rest() {
                Ok(_) => {}
                Err(_) => return Err(error.context(format!("{name}: neither answered nor closed"))),
            },
        }
        let page = http::request(stage.port, "GET", "/").with_context(|| format!("after {name}"))?;
        ensure!(page.status == 200, "after {name} the page is answered by {}", page.status);
    }
    for half in [&b"GET"[..], b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\nabc"]
    {
        for _ in 0..50 {
            one_of_many(stage.port)?.send(half)?;
        }
    }
    ensure!(stage.boot()?.status == 200, "half requests stop the server");
    stage.finish()
}

/// A connection in a row of them. QEMU's queue has room for one: who finds it full is not answered, and comes again after a second.
fn one_of_many(port: u16) -> Result<Connection> {
    std::thread::sleep(Duration::from_millis(20));
    Connection::open(port)
}

fn slow(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let mut silent = Vec::new();
    let mut slow = Vec::new();
    for _ in 0..20 {
        silent.push(one_of_many(stage.port)?);
        slow.push(one_of_many(stage.port)?);
    }
    let start = Instant::now();
    for letter in b"GET / HTTP/1.1\r\nHost: device\r\n" {
        // The device may have lost its patience with some of them, which is its right.
        slow.iter_mut().for_each(|connection| _ = connection.send(&[*letter]));
        let page = http::request(stage.port, "GET", "/").context("while others are slow")?;
        ensure!(page.status == 200, "while others are slow the page is answered by {}", page.status);
        if start.elapsed() > SAY_WITHIN {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut silent = silent.into_iter();
    let first = silent.next().context("connections were opened")?;
    // Nobody may hold a connection for ever: the device ends it by itself.
    closes(first, Duration::from_secs(120))?;
    drop((silent, slow));
    stage.finish()
}

fn closes(mut connection: Connection, within: Duration) -> Result<()> {
    let deadline = Instant::now() + within;
    loop {
        if connection.rest().is_ok() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "a silent connection is open after {} s", within.as_secs());
    }
}
