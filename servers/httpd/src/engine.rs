//! The seam between httpd and a protocol; no I/O, no time, no policy.

use crate::http1::Head;
use crate::status::Status;
use alloc::vec::Vec;

/// One request on one connection; numbers are not reused within a connection. HTTP/1 has one open stream at a time.
pub type Stream = u32;

/// What the engine wants from its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Nothing can be done before the peer sends more.
    Starved,
    /// Nothing can be done before the open request is answered.
    Waiting,
    /// A request head is complete and stands in the `Head` that was passed to `poll`; answer `accept`, sooner or later.
    Request(Stream),
    /// Body data for the open request; answer `take_body` with the bytes used.
    Body {
        /// Whose body.
        stream: Stream,
        /// At most as much as was asked for; empty only when `is_last`.
        data: &'a [u8],
        /// The body ends with this data.
        is_last: bool,
    },
    /// The peer broke the protocol: `answer_error` with this status, after which the connection ends.
    Invalid(Status),
    /// The peer went away in the middle of a request.
    Truncated,
    /// No further request will come: finish the connection once everything is sent.
    Over,
}

/// Which clock a connection runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nothing of a first request has come.
    Fresh,
    /// Between two requests.
    Idle,
    /// Within a head.
    Head,
    /// Waiting for body bytes.
    Body,
    /// The request is with the host.
    Answer,
    /// No further request.
    Over,
}

/// The head of an answer. `fields` come beside it, as an iterator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: Status,
    /// `Content-Type`; left out if empty.
    pub media_type: &'a str,
    /// Body size, if known.
    pub length: Option<u64>,
    /// Whether body data follows.
    pub has_body: bool,
}

/// What is wrong with an answer; the host decides what becomes of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// A head when one was sent already, or a body without one.
    OutOfOrder,
    /// A name or value that would break the protocol's framing.
    BadField,
    /// More body than the head said, or a body where there can be none.
    TooMuch,
    /// The body ended before its length.
    TooLittle,
}

/// A protocol's state for one connection. All calls for a stream that is not open are ignored or `OutOfOrder`.
pub trait ProtocolEngine: Default {
    /// Takes what the peer sent. The host keeps the sum of what was not consumed bounded by withholding credit.
    fn receive(&mut self, bytes: &[u8]);

    /// The peer will send no more.
    fn peer_finished(&mut self);

    /// What is next. `head` is filled for `Request`; at most `body_max` bytes of a body are offered; `is_paused` holds back new requests.
    fn poll(&mut self, head: &mut Head, body_max: usize, is_paused: bool) -> Step<'_>;

    /// The bytes that the spans in `Head` point into, between `Request` and `accept`.
    fn head_bytes(&self) -> &[u8];

    /// The host took the request that `poll` told; its head may be forgotten.
    fn accept(&mut self);

    /// Tells the peer to go on with its body if it waits for that.
    fn invite_body(&mut self, out: &mut Vec<u8>);

    /// The host used `len` bytes of the offered body data.
    fn take_body(&mut self, len: usize, is_last: bool);

    /// Bytes that left the engine's bounded store since the last call: what may be given back to the stack.
    fn take_consumed(&mut self) -> u32;

    /// Begins an answer.
    ///
    /// # Errors
    /// Nothing was written then.
    fn answer<'a>(
        &mut self,
        stream: Stream,
        answer: &Answer<'_>,
        fields: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<(), AnswerError>;

    /// Goes on with an answer's body.
    ///
    /// # Errors
    /// Nothing was written then.
    fn answer_body(&mut self, stream: Stream, data: &[u8], is_last: bool, out: &mut Vec<u8>)
    -> Result<(), AnswerError>;

    /// Answers with an error of httpd's own; with `Invalid`, `Truncated` or a cut-off the connection is over afterwards.
    /// Returns whether it could: an answer that has begun cannot be replaced.
    fn answer_error(&mut self, status: Status, ends_connection: bool, out: &mut Vec<u8>) -> bool;

    /// No further request after this one.
    fn end(&mut self);

    /// Which clock runs.
    fn phase(&self) -> Phase;

    /// Hands the empty input buffer's memory back while nothing is stored, so that idle connections hold none.
    fn take_idle_buffer(&mut self) -> Option<Vec<u8>>;

    /// Lends a buffer to an engine without one.
    fn lend_buffer(&mut self, buffer: Vec<u8>);

    /// Whether a buffer should be lent before `receive`.
    fn needs_buffer(&self) -> bool;
}
