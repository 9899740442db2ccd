//! An HTTP/1.1 client that can also misbehave; follows no redirects.
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes of a response that no page of ours reaches.
const RESPONSE_MAX: usize = 4 << 20;

/// How long one answer may take. Generous: the machine is emulated, and the host may be slow and busy.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// One response, complete.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines, as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header with this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection to the device.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to `port` of 127.0.0.1.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(port: u16) -> Result<Self> {
        Self::open_patiently(port, ANSWER_WITHIN)
    }

    /// As [`Connection::open`], giving up on an answer after `patience`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open_patiently(port: u16, patience: Duration) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).context("cannot connect")?;
        stream.set_read_timeout(Some(patience)).context("cannot set the time-out")?;
        stream.set_write_timeout(Some(patience)).context("cannot set the time-out")?;
        stream.set_nodelay(true).context("cannot switch Nagle's algorithm off")?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The device closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the connection does not take data any more")
    }

    /// Reads one response to a request with `method`.
    ///
    /// # Errors
    /// The connection ended, time ran out, or it is no HTTP response.
    pub fn response(&mut self, method: &str) -> Result<Response> {
        let head_end = self.fill_until(|bytes| find(bytes, b"\r\n\r\n").map(|at| at + 4))?;
        let head = String::from_utf8(self.buffer.drain(..head_end).collect()).context("the head is not text")?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status =
            status_line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        let status: u16 = status.with_context(|| format!("{status_line:?} is no HTTP status line"))?;
        let split = |line: &str| line.split_once(':').map(|(name, value)| (name.to_string(), value.trim().to_string()));
        let headers: Vec<_> = lines.filter_map(split).collect();
        let mut response = Response { status, headers, body: Vec::new() };
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    fn body(&mut self, response: &Response) -> Result<Vec<u8>> {
        if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.chunks();
        }
        match response.header("content-length") {
            Some(length) => {
                let length: usize = length.parse().with_context(|| format!("{length:?} is no Content-Length"))?;
                ensure!(length <= RESPONSE_MAX, "a body of {length} bytes is larger than any page");
                self.fill_until(|bytes| (bytes.len() >= length).then_some(length))?;
                Ok(self.buffer.drain(..length).collect())
            }
            None => {
                self.rest()?;
                Ok(std::mem::take(&mut self.buffer))
            }
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.fill_until(|bytes| find(bytes, b"\r\n").map(|at| at + 2))?;
            let line: Vec<u8> = self.buffer.drain(..end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            let digits = line.trim().split(';').next().unwrap_or_default();
            let length = usize::from_str_radix(digits, 16).with_context(|| format!("{line:?} is no chunk size"))?;
            ensure!(body.len() + length <= RESPONSE_MAX, "the body is larger than any page");
            self.fill_until(|bytes| (bytes.len() >= length + 2).then_some(length + 2))?;
            let chunk: Vec<u8> = self.buffer.drain(..length + 2).collect();
            ensure!(chunk.ends_with(b"\r\n"), "a chunk does not end with CR LF");
            if length == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    /// Reads until the device closes the connection; returns what came.
    ///
    /// # Errors
    /// It does not close within the time of an answer.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        let mut chunk = [0; 4096];
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(self.buffer.clone()),
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                // A reset ends a connection as well.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(self.buffer.clone()),
                Err(error) => return Err(error).context("the device keeps the connection open"),
            }
            ensure!(self.buffer.len() <= RESPONSE_MAX && Instant::now() < deadline, "the device sends without end");
        }
    }

    fn fill_until(&mut self, is_enough: impl Fn(&[u8]) -> Option<usize>) -> Result<usize> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(end) = is_enough(&self.buffer) {
                return Ok(end);
            }
            ensure!(self.buffer.len() <= RESPONSE_MAX, "the response is larger than any page");
            let length = self.stream.read(&mut chunk).context("no answer")?;
            if length == 0 {
                bail!("the device closed the connection after {} bytes of an answer", self.buffer.len());
            }
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// As [`Connection::response`].
pub fn request(port: u16, method: &str, path: &str) -> Result<Response> {
    request_within(port, method, path, ANSWER_WITHIN)
}

/// As [`request`], giving up after `patience`.
///
/// # Errors
/// As [`Connection::response`].
pub fn request_within(port: u16, method: &str, path: &str, patience: Duration) -> Result<Response> {
    let mut connection = Connection::open_patiently(port, patience)?;
    connection.send(format!("{method} {path} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n").as_bytes())?;
    connection.response(method)
}

/// Waits until the device answers `GET /` with 200; returns the page.
///
/// # Errors
/// It does not within `within`; the text says what came last.
pub fn wait_for_page(port: u16, within: Duration) -> Result<Response> {
    let deadline = Instant::now() + within;
    // QEMU takes a connection at once, whether the guest listens or not, and tries the guest again only after seconds:
    // so ask anew, with more patience each time.
    let mut patience = Duration::from_millis(300);
    loop {
        let last = match request_within(port, "GET", "/", patience) {
            Ok(response) if response.status == 200 => return Ok(response),
            Ok(response) => format!("status {}", response.status),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= deadline {
            bail!("GET / has no answer 200 after {} s; the last try: {last}", within.as_secs());
        }
        patience = (patience * 5 / 4).min(ANSWER_WITHIN);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
