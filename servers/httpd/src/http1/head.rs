//! Request heads (RFC 9112 §3, §5, §6): their end, their meaning; no body.

use super::body::{Framing, is_token};
use super::target::{self, Target};
use crate::limits::{BODY_MAX, FIELDS_MAX, HEAD_MAX, REQUEST_LINE_MAX};
use crate::status::Status;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::ops::Range;

/// The methods that httpd can map onto verbs, and OPTIONS, which it answers itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// The method of that name; methods are case-sensitive (RFC 9110 §9.1).
    fn try_from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => return None,
        })
    }

    /// The name as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }
}

/// Where a field's name (lower case) and value stand in the head's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    name: (u16, u16),
    value: (u16, u16),
}

/// What a checked request head says. One value is reused for all requests, so that parsing allocates nothing in the long run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// 0 or 1: the minor version of HTTP/1.
    pub(crate) minor: u8,
    /// Decoded and normalised; starts with '/'. Empty when `is_server_wide`.
    pub path: String,
    /// The target is `*`.
    pub is_server_wide: bool,
    query: Range<usize>,
    fields: Vec<Span>,
    pub(crate) framing: FramingOrNone,
    pub(crate) expects_continue: bool,
    pub(crate) keep_alive: bool,
}

/// `Framing` with a default, so that `Head` can have one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FramingOrNone(pub(crate) Framing);

impl Default for FramingOrNone {
    fn default() -> Self {
        FramingOrNone(Framing::None)
    }
}

impl Head {
    /// Whether a body follows.
    pub fn has_body(&self) -> bool {
        self.framing.0 != Framing::None
    }

    /// The query without '?', still percent-encoded, out of the head's bytes.
    pub fn query<'a>(&self, bytes: &'a [u8]) -> &'a str {
        text(bytes, self.query.clone())
    }

    /// The end-to-end fields, names in lower case, out of the head's bytes. Values that are not UTF-8 are left out.
    pub fn fields<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.fields.iter().filter_map(move |span| {
            let name = text(bytes, range(span.name));
            let value = core::str::from_utf8(bytes.get(range(span.value))?).ok()?;
            Some((name, value))
        })
    }
}

fn range((start, end): (u16, u16)) -> Range<usize> {
    usize::from(start)..usize::from(end)
}

fn text(bytes: &[u8], range: Range<usize>) -> &str {
    bytes.get(range).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
}

/// How far a growing head has been looked at; each byte is looked at once, and the verdict does not depend on how the bytes were split.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Scan {
    at: usize,
    line_start: usize,
}

impl Scan {
    /// Bytes of the unfinished head that were looked at; at most `HEAD_MAX`.
    pub(crate) fn seen(&self) -> usize {
        self.at
    }

    /// The head's length once its empty line is there.
    ///
    /// # Errors
    /// 400 for a bare LF or a first byte that begins no method; 414 and 431 when a limit is passed before the end.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        if self.at == 0 && bytes.first().is_some_and(|&byte| !is_token(byte)) {
            return Err(Status::BadRequest);
        }
        loop {
            let found = memchr::memchr(b'\n', &bytes[self.at..]).map(|offset| self.at + offset);
            let end = found.unwrap_or(bytes.len());
            if self.line_start == 0 && end >= REQUEST_LINE_MAX {
                return Err(Status::UriTooLong);
            }
            if end >= HEAD_MAX {
                return Err(Status::HeaderFieldsTooLarge);
            }
            let Some(line_end) = found else {
                self.at = end;
                return Ok(None);
            };
            if line_end == 0 || bytes[line_end - 1] != b'\r' {
                return Err(Status::BadRequest);
            }
            let is_empty_line = line_end == self.line_start + 1;
            self.at = line_end + 1;
            self.line_start = self.at;
            if is_empty_line {
                return Ok(Some(self.at));
            }
        }
    }
}

/// Parses and checks a whole head, puts field names into lower case in place, and fills `head`.
///
/// # Errors
/// 400, 414, 431, 501 or 505; the connection cannot be used any further, since where the next request begins is not known.
pub(crate) fn parse(bytes: &mut [u8], head: &mut Head) -> Result<(), Status> {
    head.fields.clear();
    (head.method, head.minor) = (Method::Get, 1);
    let mut facts = Facts::default();
    {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, &mut fields).map_err(|error| explain(error, bytes))?;
        let (Some(method), Some(target), Some(minor), true) =
            (request.method, request.path, request.version, parsed.is_complete())
        else {
            return Err(Status::BadRequest);
        };
        head.method = Method::try_from_name(method).ok_or(Status::NotImplemented)?;
        head.minor = minor;
        let base = offset(bytes, target.as_bytes());
        match target::parse(target, &mut head.path)? {
            Target::Server if head.method != Method::Options => return Err(Status::BadRequest),
            Target::Server => (head.is_server_wide, head.query) = (true, 0..0),
            Target::Path { query } => (head.is_server_wide, head.query) = (false, base + query.start..base + query.end),
        }
        for field in request.headers.iter() {
            facts.note(field)?;
            if !is_hop_by_hop(field.name) {
                head.fields.push(span(bytes, field));
            }
        }
        if facts.has_connection {
            drop_named_by_connection(&request, bytes, head);
        }
    }
    for span in &head.fields {
        if let Some(name) = bytes.get_mut(range(span.name)) {
            name.make_ascii_lowercase();
        }
    }
    facts.conclude(head)
}

/// What is wrong with a head that httparse refused.
fn explain(error: httparse::Error, bytes: &[u8]) -> Status {
    match error {
        httparse::Error::TooManyHeaders => Status::HeaderFieldsTooLarge,
        httparse::Error::Version => {
            let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or(&[]);
            let mut parts = line.split(|&byte| byte == b' ').skip(1);
            let (target, version, rest) = (parts.next().unwrap_or(&[]), parts.next().unwrap_or(&[]), parts.next());
            let is_version = !target.is_empty()
                && rest.is_none()
                && matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit());
            if is_version { Status::VersionNotSupported } else { Status::BadRequest }
        }
        _ => Status::BadRequest,
    }
}

fn offset(bytes: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize)
}

fn span(bytes: &[u8], field: &httparse::Header<'_>) -> Span {
    let value = field.value.trim_ascii();
    let place = |part: &[u8]| {
        let start = offset(bytes, part);
        // A head is at most HEAD_MAX = 8192 bytes, so that places in it fit.
        (u16::try_from(start).unwrap_or(0), u16::try_from(start + part.len()).unwrap_or(0))
    };
    Span { name: place(field.name.as_bytes()), value: place(value) }
}

/// Fields about this connection or this message's framing, which a provider never gets (RFC 9110 §7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "proxy-authorization",
    ];
    NAMES.iter().any(|hop| hop.eq_ignore_ascii_case(name))
}

/// Leaves out the fields that the Connection field names, except those that routing and framing need.
fn drop_named_by_connection(request: &httparse::Request<'_, '_>, bytes: &[u8], head: &mut Head) {
    for field in request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("connection")) {
        for token in tokens(field.value) {
            if !token.eq_ignore_ascii_case(b"host") && !token.eq_ignore_ascii_case(b"content-length") {
                head.fields
                    .retain(|span| !bytes.get(range(span.name)).is_some_and(|name| name.eq_ignore_ascii_case(token)));
            }
        }
    }
}

/// The members of a comma-separated list, empty ones left out (RFC 9110 §5.6.1).
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// What the fields say about the message's framing and the connection.
#[derive(Default)]
struct Facts {
    hosts: u8,
    length: Option<u64>,
    coding: Option<()>,
    has_connection: bool,
    has_close: bool,
    has_keep_alive: bool,
    expects_continue: bool,
}

impl Facts {
    fn note(&mut self, field: &httparse::Header<'_>) -> Result<(), Status> {
        let value = field.value.trim_ascii();
        // The length tells most names apart before they are compared.
        match field.name.len() {
            4 if field.name.eq_ignore_ascii_case("host") => self.note_host(value),
            6 if field.name.eq_ignore_ascii_case("expect") => self.note_expect(value),
            10 if field.name.eq_ignore_ascii_case("connection") => {
                self.has_connection = true;
                for token in tokens(value) {
                    self.has_close |= token.eq_ignore_ascii_case(b"close");
                    self.has_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
                Ok(())
            }
            14 if field.name.eq_ignore_ascii_case("content-length") => self.note_length(value),
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => self.note_coding(value),
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, value: &[u8]) -> Result<(), Status> {
        self.hosts = self.hosts.saturating_add(1);
        let is_good = core::str::from_utf8(value).is_ok_and(target::is_authority);
        if is_good && self.hosts == 1 { Ok(()) } else { Err(Status::BadRequest) }
    }

    /// RFC 9110 §10.1.1 wants 417 for other expectations; nobody sends them, so that 400 says enough.
    fn note_expect(&mut self, value: &[u8]) -> Result<(), Status> {
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        if self.expects_continue { Ok(()) } else { Err(Status::BadRequest) }
    }

    /// RFC 9112 §6.3 lets equal repetitions pass; they are refused here, since no honest client sends them (decision 0072).
    fn note_length(&mut self, value: &[u8]) -> Result<(), Status> {
        if self.length.is_some() || value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
            return Err(Status::BadRequest);
        }
        self.length = Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    /// Only "chunked", once: other codings are not known (501), and a second "chunked" is an attack or a mistake (400).
    fn note_coding(&mut self, value: &[u8]) -> Result<(), Status> {
        if self.coding.is_some() {
            return Err(Status::BadRequest);
        }
        let mut codings = 0;
        for coding in tokens(value) {
            codings += 1;
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(Status::NotImplemented);
            }
        }
        self.coding = (codings == 1).then_some(());
        self.coding.ok_or(Status::BadRequest)
    }

    /// RFC 9112 §6.3 and §9.3 for this head.
    fn conclude(&self, head: &mut Head) -> Result<(), Status> {
        if head.minor == 1 && self.hosts != 1 {
            return Err(Status::BadRequest);
        }
        head.framing.0 = match (self.coding, self.length) {
            (Some(()), Some(_)) => return Err(Status::BadRequest),
            (Some(()), None) if head.minor == 0 => return Err(Status::BadRequest),
            (Some(()), None) => Framing::Chunked,
            (None, Some(length)) if length > BODY_MAX => return Err(Status::ContentTooLarge),
            (None, Some(length)) if length > 0 => Framing::Length(length),
            (None, _) => Framing::None,
        };
        head.keep_alive = !self.has_close && (head.minor == 1 || self.has_keep_alive);
        head.expects_continue = self.expects_continue && head.minor == 1 && head.framing.0 != Framing::None;
        Ok(())
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
