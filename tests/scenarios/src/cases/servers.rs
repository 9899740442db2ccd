//! Servers that nobody here wrote, as components, asked by clients that know nothing of HybridOS; hostile ones among them.
use super::std::all_said;
use crate::hardware::Hardware;
use crate::scenario::{Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Error, Message, client};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    // The real ports are chosen when the machine starts.
    let hardware = |port| Hardware { further_ports: vec![(0, port)], ..Hardware::default() };
    let https = Scenario {
        name: "https".into(),
        about: "curl asks hyper over TLS by HTTP/1.1 and HTTP/2, knows its certificate, sends and gets 1 MiB; hostile clients change nothing".into(),
        image: Image::Product("gateway-foreign"),
        hardware: hardware(443),
        run: https,
    };
    let websocket = Scenario {
        name: "websocket".into(),
        about: "WebSocket clients get text, binary, 1 MiB, pieces and pongs back and close; what breaks the protocol is told why and refused".into(),
        image: Image::Product("gateway-foreign"),
        hardware: hardware(81),
        run: websocket,
    };
    vec![https, websocket]
}

/// The name in the certificate, as the product's parameters say.
const NAME: &str = "gateway.test";
/// For one transfer.
const SECONDS: &str = "180";
const MEBIBYTE: usize = 1 << 20;
/// What curl ends with when a certificate is not to be trusted, or names another.
const UNTRUSTED: i32 = 60;

fn only_port(stage: &Stage) -> Result<u16> {
    Ok(stage.further_ports.first().context("no port leads to the server")?.0)
}

/// curl, with all that it needs to know of the server.
struct Curl {
    folder: PathBuf,
    port: u16,
}

impl Curl {
    /// The certificate is what the server said on the console, which nobody else can write to in its name.
    fn new(log: &str, port: u16) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("hybrid-https-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).context("no folder for curl")?;
        let lines = log.lines().filter_map(|line| line.split_once("I hyper-tls: certificate: "));
        let certificate: String = lines.map(|(_, text)| format!("{}\n", text.trim_end())).collect();
        ensure!(
            certificate.contains("-----END CERTIFICATE-----"),
            "no whole certificate on the console: {certificate}"
        );
        std::fs::write(folder.join("certificate.pem"), certificate).context("cannot keep the certificate")?;
        Ok(Self { folder, port })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    /// Whatever comes of it; `arguments` follow what all calls have.
    fn output(&self, trusted: Option<&Path>, arguments: &[&str]) -> Result<Output> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", SECONDS]);
        for host in [NAME, "another.test"] {
            curl.args(["--resolve", &format!("{host}:{}:127.0.0.1", self.port)]);
        }
        if let Some(path) = trusted {
            curl.arg("--cacert").arg(path);
        }
        curl.args(arguments).output().context("cannot start curl; `cargo xtask setup` installs it")
    }

    /// What a call that must succeed prints.
    fn asked(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(Some(&self.file("certificate.pem")), arguments)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "curl {arguments:?}: {}, {told}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn https(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let log = all_said(stage, &["I hyper-tls: listening on 0.0.0.0:443"])?;
    let curl = Curl::new(&log, only_port(stage)?)?;
    let asked = all_asked(stage, &curl);
    std::fs::remove_dir_all(&curl.folder).context("cannot remove curl's folder")?;
    asked?;
    stage.compare_live()?;
    stage.power_off()
}

fn all_asked(stage: &mut Stage, curl: &Curl) -> Result<()> {
    for (flags, shown) in [
        (["--http1.1", "--tlsv1.3"].as_slice(), "HTTP/1.1"),
        (&["--http2", "--tlsv1.3"], "HTTP/2.0"),
        (&["--http2", "--tls-max", "1.2"], "HTTP/2.0"),
    ] {
        versions(curl, flags, shown).with_context(|| format!("with {flags:?}"))?;
    }
    for version in ["--http1.1", "--http2"] {
        echoed(curl, version).with_context(|| format!("1 MiB with {version}"))?;
    }
    together(curl)?;
    distrusted(curl)?;
    let log = hostile(stage, curl)?;
    ensure!(!log.contains("hyper-tls: ended"), "the server has ended");
    Ok(())
}

/// What is there, what is not, and what is not allowed.
fn versions(curl: &Curl, flags: &[&str], shown: &str) -> Result<()> {
    for (method, path, expected) in [
        ("GET", "/", format!("hello from hyper over {shown}\n200")),
        ("GET", "/nothing", "nothing is here\n404".into()),
        ("DELETE", "/", "only GET, HEAD\n405".into()),
    ] {
        let url = curl.url(NAME, path);
        let mut arguments = flags.to_vec();
        arguments.extend(["--request", method, "--write-out", "%{http_code}", &url]);
        let answer = curl.asked(&arguments)?;
        ensure!(answer == expected, "{method} {path}: {answer:?}");
    }
    Ok(())
}

fn echoed(curl: &Curl, version: &str) -> Result<()> {
    let sent = pattern(MEBIBYTE);
    let (from, to) = (curl.file("sent"), curl.file("back"));
    std::fs::write(&from, &sent).context("cannot write what is sent")?;
    let (body, back) = (format!("@{}", from.display()), to.display().to_string());
    let said = curl.asked(&[
        version,
        "--data-binary",
        &body,
        "--output",
        &back,
        "--write-out",
        "%{http_code}",
        &curl.url(NAME, "/echo"),
    ])?;
    let back = std::fs::read(&to).context("nothing came back")?;
    ensure!(said == "200" && back == sent, "{said}: {} bytes came back, of {}", back.len(), sent.len());
    Ok(())
}

/// Twelve requests at the same time, in as few connections as curl can do with.
fn together(curl: &Curl) -> Result<()> {
    let url = curl.url(NAME, "/");
    let mut arguments = vec!["--http2", "--parallel"];
    arguments.extend([url.as_str(); 12]);
    let answers = curl.asked(&arguments)?;
    ensure!(answers == "hello from hyper over HTTP/2.0\n".repeat(12), "twelve together: {answers:?}");
    Ok(())
}

/// Who does not know the certificate, or looks for another server, does not talk to this one.
fn distrusted(curl: &Curl) -> Result<()> {
    let certificate = curl.file("certificate.pem");
    for (trusted, host) in [(None, NAME), (Some(certificate.as_path()), "another.test")] {
        let output = curl.output(trusted, &[&curl.url(host, "/")])?;
        ensure!(output.status.code() == Some(UNTRUSTED), "{host}: {}", output.status);
        ensure!(output.stdout.is_empty(), "{host} answered who was not to be trusted");
    }
    Ok(())
}

/// Three clients that say nothing, for as long as they are kept.
pub(super) fn silent(port: u16) -> Result<Vec<TcpStream>> {
    (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).context("nobody listens")).collect()
}

/// What a client gets that says these bytes and no more, until the server lets it go, which it must.
pub(super) fn all_answered(port: u16, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut client = TcpStream::connect(("127.0.0.1", port)).context("nobody listens")?;
    client.set_read_timeout(Some(SAY_WITHIN))?;
    // It may be refused before it has said all.
    let _sent = client.write_all(bytes).and_then(|()| client.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Ok(_) => Ok(answer),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(answer),
        Err(error) => Err(error).with_context(|| {
            format!(
                "the server keeps who says {:?} and no more",
                String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
            )
        }),
    }
}

/// Noise in place of a handshake, a handshake that stops, clients that say nothing: the server answers others.
fn hostile(stage: &mut Stage, curl: &Curl) -> Result<String> {
    let silent = silent(curl.port)?;
    // A record of the handshake that announces 512 bytes, of which four come; then what is no record at all.
    for noise in [[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01].as_slice(), b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096]]
    {
        let answer = all_answered(curl.port, noise)?;
        ensure!(!answer.starts_with(b"HTTP"), "it answers without a handshake");
    }
    versions(curl, &["--http2"], "HTTP/2.0").context("after hostile clients")?;
    drop(silent);
    all_said(stage, &["W hyper-tls: a client is lost: "])
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 256) % 251).unwrap_or(0)).collect()
}

type Socket = WebSocket<TcpStream>;

fn connected(port: u16) -> Result<Socket> {
    let stream = TcpStream::connect(("127.0.0.1", port)).context("nobody listens")?;
    stream.set_read_timeout(Some(SAY_WITHIN))?;
    match client(format!("ws://{NAME}:{port}/"), stream) {
        Ok((socket, _)) => Ok(socket),
        Err(error) => bail!("no handshake: {error}"),
    }
}

fn websocket(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    all_said(stage, &["I websocket-echo: listening on 0.0.0.0:81"])?;
    let port = only_port(stage)?;
    talk(port)?;
    for (what, bytes, code) in [
        ("a frame without a mask", [0x81, 0x02, b'h', b'i'].as_slice(), CloseCode::Protocol),
        ("an opcode that is none", &[0x83, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
        ("text that is not UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff], CloseCode::Invalid),
        ("a frame of 2 EiB", &[0x82, 0xff, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], CloseCode::Size),
    ] {
        refused(port, bytes, code).with_context(|| what)?;
    }
    no_handshake(port)?;
    // Clients that vanish within a message leave nothing behind either.
    for _ in 0..8 {
        connected(port)?.get_mut().write_all(&[0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5])?;
    }
    talk(port).context("after hostile clients")?;
    let log = all_said(stage, &["I websocket-echo: a client is done after 5 messages"])?;
    ensure!(!log.contains("websocket-echo: ended"), "the server has ended");
    stage.compare_live()?;
    stage.power_off()
}

/// All kinds of messages, and a good end.
fn talk(port: u16) -> Result<()> {
    let mut socket = connected(port)?;
    for message in [
        Message::text("grüße"),
        Message::text(""),
        Message::binary(pattern(70_000)),
        Message::binary(pattern(MEBIBYTE)),
    ] {
        let length = message.len();
        socket.send(message.clone())?;
        let back = socket.read().with_context(|| format!("a message of {length} bytes"))?;
        ensure!(back == message, "{length} bytes came back as {}", back.len());
    }
    let payload = Message::Ping(b"are you there".to_vec().into());
    socket.send(payload)?;
    let pong = socket.read()?;
    ensure!(matches!(&pong, Message::Pong(bytes) if bytes.as_ref() == b"are you there"), "a ping got {pong:?}");
    // "one two" in two frames, a ping between them; the mask is zero.
    let pieces = [
        0x01, 0x84, 0, 0, 0, 0, b'o', b'n', b'e', b' ', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x83, 0, 0, 0, 0, b't', b'w',
        b'o',
    ];
    socket.get_mut().write_all(&pieces)?;
    let (first, second) = (socket.read()?, socket.read()?);
    ensure!(matches!(first, Message::Pong(_)) && second == Message::text("one two"), "pieces: {first:?}, {second:?}");
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "done".into() }))?;
    let closed = closed_with(&mut socket)?;
    ensure!(closed == Some(CloseCode::Normal), "the end is {closed:?}");
    Ok(())
}

/// These bytes after a handshake are answered by a closing frame with this code, and the connection ends.
fn refused(port: u16, bytes: &[u8], code: CloseCode) -> Result<()> {
    let mut socket = connected(port)?;
    socket.get_mut().write_all(bytes)?;
    let closed = closed_with(&mut socket)?;
    ensure!(closed == Some(code), "refused with {closed:?}, not {code:?}");
    Ok(())
}

/// Reads to the end of the connection; the code of the closing frame.
fn closed_with(socket: &mut Socket) -> Result<Option<CloseCode>> {
    let mut code = None;
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code),
            Ok(other) => bail!("in place of an end: {other:?}"),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(code),
            // Who closes with something unread resets.
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(code),
            Err(error) => return Err(error).context("no closing handshake"),
        }
    }
}

/// What is no handshake is not answered as one.
fn no_handshake(port: u16) -> Result<()> {
    let key =
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n\r\n";
    for bytes in [key.as_bytes(), b"\x00\xff\x00\xff\r\n\r\n", &[b'a'; 20_000]] {
        let answer = all_answered(port, bytes)?;
        ensure!(!answer.starts_with(b"HTTP/1.1 101"), "{:?} is taken for a handshake", String::from_utf8_lossy(bytes));
    }
    Ok(())
}
