//! HTTP/1.1 and 1.0 on one connection (RFC 9112); no I/O, no routing.
//!
//! Invariants
//! * INV-H1-1: one request is open at a time; the next head is not looked at before the open one is answered and its body is used up. So
//!   answers are in the order of the requests, and pipelined requests wait as bytes in the bounded input.
//! * INV-H1-2: what is written does not depend on how the peer's bytes were split.
//! * INV-H1-3: after `Invalid` nothing of the input is looked at again (no request smuggled behind a broken one).

mod answer;
mod body;
mod head;
mod target;

pub use head::{Head, Method};

use crate::engine::{Answer, AnswerError, Phase, ProtocolEngine, Step, Stream};
use crate::limits::{DISCARD_MAX, LEADING_LINES_MAX};
use crate::status::Status;
use alloc::vec::Vec;
use answer::{Delimiter, Future, check_fields, push_chunk, push_head};
use body::{Decoder, Framing, Piece};
use head::Scan;

/// The request side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    /// Collecting a head.
    Head(Scan),
    /// A head of so many bytes was told by `poll` and waits for `accept`.
    Told(usize),
    /// The head is accepted, the body is coming.
    Body(Decoder),
    /// Nobody wants the rest of the body; so many bytes of it are read over.
    Discard(Decoder, u64),
    /// The request is complete.
    Done,
    /// Nothing more is read.
    Over,
}

/// The answer side of the open request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Output {
    /// No request is open.
    Idle,
    /// The head has not been written.
    Head,
    /// Content follows; `is_dropped` for HEAD, whose content is counted and not written.
    Content { delimiter: Delimiter, is_dropped: bool },
    /// Complete.
    Done,
}

/// One HTTP/1 connection.
#[derive(Debug)]
pub struct Http1 {
    /// Unconsumed input starts at `start`.
    buffer: Vec<u8>,
    start: usize,
    input: Input,
    output: Output,
    stream: Stream,
    method: Method,
    minor: u8,
    framing: Framing,
    keep_alive: bool,
    awaits_invitation: bool,
    leading_lines: u8,
    is_finished: bool,
    /// Input bytes that were consumed and not yet reported, and how many bytes of an unfinished head were reported ahead.
    consumed: u32,
    advanced: u32,
}

impl Default for Http1 {
    fn default() -> Self {
        Http1 {
            buffer: Vec::new(),
            start: 0,
            input: Input::Head(Scan::default()),
            output: Output::Idle,
            stream: 1,
            method: Method::Get,
            minor: 1,
            framing: Framing::None,
            keep_alive: true,
            awaits_invitation: false,
            leading_lines: 0,
            is_finished: false,
            consumed: 0,
            advanced: 0,
        }
    }
}

impl ProtocolEngine for Http1 {
    fn receive(&mut self, bytes: &[u8]) {
        if self.input == Input::Over {
            self.consumed = self.consumed.saturating_add(small(bytes.len()));
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn peer_finished(&mut self) {
        self.is_finished = true;
    }

    fn poll(&mut self, head: &mut Head, body_max: usize, is_paused: bool) -> Step<'_> {
        loop {
            match self.input {
                Input::Over => return if self.is_answering() { Step::Waiting } else { Step::Over },
                Input::Done if self.is_answering() => return Step::Waiting,
                Input::Done => self.next_request(),
                Input::Head(_) if is_paused => return Step::Waiting,
                Input::Head(scan) => match self.poll_head(scan, head) {
                    Ok(Some(step)) => return step,
                    Ok(None) => {}
                    Err(status) => return self.invalid(status),
                },
                Input::Told(len) => {
                    let range = self.start..self.start + len;
                    return match head::parse(&mut self.buffer[range], head) {
                        Ok(()) => Step::Request(self.stream),
                        Err(status) => self.invalid(status),
                    };
                }
                Input::Body(decoder) => return self.poll_body(decoder, body_max),
                Input::Discard(decoder, left) => match self.poll_discard(decoder, left) {
                    Ok(true) => {}
                    Ok(false) => return if self.is_finished { Step::Truncated } else { Step::Starved },
                    Err(_) => self.close_input(),
                },
            }
        }
    }

    fn head_bytes(&self) -> &[u8] {
        match self.input {
            Input::Told(len) => &self.buffer[self.start..self.start + len],
            _ => &[],
        }
    }

    fn accept(&mut self) {
        if let Input::Told(len) = self.input {
            self.consume(len);
            self.input = Decoder::new(self.framing).map_or(Input::Done, Input::Body);
        }
    }

    fn invite_body(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.awaits_invitation) && self.output == Output::Head {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn take_body(&mut self, len: usize, is_last: bool) {
        if let Input::Body(decoder) = &mut self.input {
            decoder.take(len);
            if is_last {
                self.input = Input::Done;
            }
            self.consume(len);
        }
    }

    fn take_consumed(&mut self) -> u32 {
        // An unfinished head is bounded by HEAD_MAX, not by the stack's credit: its bytes are given back at once, or a long head would starve.
        if let Input::Head(scan) = self.input {
            let held = small(scan.seen());
            self.consumed = self.consumed.saturating_add(held.saturating_sub(self.advanced));
            self.advanced = self.advanced.max(held);
        }
        core::mem::take(&mut self.consumed)
    }

    fn answer<'a>(
        &mut self,
        stream: Stream,
        answer: &Answer<'_>,
        fields: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<(), AnswerError> {
        if stream != self.stream || self.output != Output::Head {
            return Err(AnswerError::OutOfOrder);
        }
        check_fields(answer.media_type, fields.clone())?;
        let delimiter = self.delimiter(answer)?;
        self.awaits_invitation &= self.input != Input::Done;
        if delimiter == Delimiter::Close || self.awaits_invitation {
            // The peer may or may not send the body that it was not invited to (RFC 9110 §10.1.1): nothing can follow.
            self.keep_alive = false;
        }
        push_head(out, answer.status, answer.media_type, delimiter, self.future(), fields);
        self.output = Output::Content { delimiter, is_dropped: self.method == Method::Head };
        // A body that was announced is waited for even where its length is 0: its giver ends it, and until then the request is open for both.
        if !answer.has_body {
            self.complete();
        }
        Ok(())
    }

    fn answer_body(
        &mut self,
        stream: Stream,
        data: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), AnswerError> {
        let (true, Output::Content { delimiter, is_dropped }) = (stream == self.stream, self.output) else {
            return Err(AnswerError::OutOfOrder);
        };
        let mut next = delimiter;
        if let Delimiter::Length(left) = delimiter {
            let left = left.checked_sub(data.len() as u64).ok_or(AnswerError::TooMuch)?;
            if is_last && left > 0 && !is_dropped {
                return Err(AnswerError::TooLittle);
            }
            next = Delimiter::Length(left);
        }
        if !is_dropped {
            match delimiter {
                Delimiter::Chunked if !data.is_empty() => push_chunk(out, data),
                Delimiter::Chunked => {}
                _ => out.extend_from_slice(data),
            }
            if is_last && delimiter == Delimiter::Chunked {
                out.extend_from_slice(b"0\r\n\r\n");
            }
        }
        self.output = Output::Content { delimiter: next, is_dropped };
        if is_last {
            self.complete();
        }
        Ok(())
    }

    fn answer_error(&mut self, status: Status, ends_connection: bool, out: &mut Vec<u8>) -> bool {
        if !matches!(self.output, Output::Head | Output::Idle) {
            return false;
        }
        if ends_connection || self.is_body_too_large_to_discard() {
            self.keep_alive = false;
        }
        let mut text = Vec::with_capacity(48);
        answer::push_decimal(&mut text, status.code().into());
        text.push(b' ');
        text.extend_from_slice(status.reason().as_bytes());
        text.push(b'\n');
        let delimiter = if status.is_bodiless() { Delimiter::Nothing } else { Delimiter::Length(text.len() as u64) };
        let allow = [("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")];
        let retry = [("Retry-After", "1")];
        let fields: &[(&str, &str)] = match status {
            Status::NoContent | Status::NotImplemented => &allow,
            Status::ServiceUnavailable | Status::TooManyRequests => &retry,
            _ => &[],
        };
        let media_type = if status.is_bodiless() { "" } else { "text/plain; charset=utf-8" };
        push_head(out, status, media_type, delimiter, self.future(), fields.iter().copied());
        if self.method != Method::Head && !status.is_bodiless() {
            out.extend_from_slice(&text);
        }
        self.complete();
        if ends_connection {
            self.close_input();
        }
        true
    }

    fn end(&mut self) {
        self.keep_alive = false;
        if !self.is_answering() {
            self.close_input();
        }
    }

    fn phase(&self) -> Phase {
        match self.input {
            Input::Over => Phase::Over,
            Input::Head(_) if self.buffer.len() > self.start => Phase::Head,
            Input::Head(_) if self.stream == 1 => Phase::Fresh,
            Input::Head(_) => Phase::Idle,
            Input::Body(_) | Input::Discard(..) => Phase::Body,
            Input::Told(_) | Input::Done => Phase::Answer,
        }
    }

    fn take_idle_buffer(&mut self) -> Option<Vec<u8>> {
        (self.start == self.buffer.len() && self.buffer.capacity() > 0).then(|| {
            self.start = 0;
            let mut buffer = core::mem::take(&mut self.buffer);
            buffer.clear();
            buffer
        })
    }

    fn lend_buffer(&mut self, buffer: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            self.buffer = buffer;
        }
    }

    fn needs_buffer(&self) -> bool {
        self.buffer.capacity() == 0 && self.input != Input::Over
    }
}

impl Http1 {
    fn is_answering(&self) -> bool {
        matches!(self.output, Output::Head | Output::Content { .. })
    }

    /// `Ok(None)`: something was skipped, look again.
    fn poll_head(&mut self, mut scan: Scan, head: &mut Head) -> Result<Option<Step<'static>>, Status> {
        let bytes = &self.buffer[self.start..];
        if scan == Scan::default() && bytes.first() == Some(&b'\r') {
            match bytes.get(1) {
                Some(b'\n') if self.leading_lines < LEADING_LINES_MAX => {
                    self.leading_lines += 1;
                    self.consume(2);
                    return Ok(None);
                }
                None if !self.is_finished => return Ok(Some(Step::Starved)),
                _ => return Err(Status::BadRequest),
            }
        }
        let found = scan.advance(bytes);
        self.input = Input::Head(scan);
        let Some(len) = found? else {
            return match (self.is_finished, self.buffer.len() > self.start) {
                (false, _) => Ok(Some(Step::Starved)),
                (true, true) => Err(Status::BadRequest),
                (true, false) => {
                    self.close_input();
                    Ok(Some(Step::Over))
                }
            };
        };
        let range = self.start..self.start + len;
        let parsed = head::parse(&mut self.buffer[range], head);
        (self.method, self.minor) = (head.method, head.minor);
        parsed?;
        self.open_request(len, head);
        Ok(Some(Step::Request(self.stream)))
    }

    fn open_request(&mut self, len: usize, head: &Head) {
        self.minor = head.minor;
        self.framing = head.framing.0;
        self.keep_alive &= head.keep_alive;
        self.awaits_invitation = head.expects_continue;
        self.output = Output::Head;
        self.input = Input::Told(len);
    }

    fn poll_body(&mut self, mut decoder: Decoder, body_max: usize) -> Step<'_> {
        let peeked = decoder.peek(&self.buffer[self.start..]);
        let (eaten, piece) = match peeked {
            Ok(found) => found,
            Err(status) => return self.invalid(status),
        };
        self.input = Input::Body(decoder);
        self.consume(eaten);
        let (len, is_last) = match piece {
            Piece::Starved if self.is_finished => return Step::Truncated,
            Piece::Starved => return Step::Starved,
            Piece::End => (0, true),
            Piece::Data { .. } if body_max == 0 => return Step::Waiting,
            Piece::Data { len, is_last } => (len.min(body_max), is_last && len <= body_max),
        };
        Step::Body { stream: self.stream, data: &self.buffer[self.start..self.start + len], is_last }
    }

    /// Reads over body bytes; `Ok(false)` when only more input tells. Errors and too long bodies end the input.
    fn poll_discard(&mut self, mut decoder: Decoder, left: u64) -> Result<bool, Status> {
        let (eaten, piece) = decoder.peek(&self.buffer[self.start..])?;
        self.consume(eaten);
        match piece {
            Piece::Starved => {
                self.input = Input::Discard(decoder, left);
                return Ok(false);
            }
            Piece::End => self.input = Input::Done,
            Piece::Data { len, is_last } => {
                let left = left.checked_sub(len as u64).ok_or(Status::ContentTooLarge)?;
                decoder.take(len);
                self.input = if is_last { Input::Done } else { Input::Discard(decoder, left) };
                self.consume(len);
            }
        }
        Ok(true)
    }

    fn consume(&mut self, len: usize) {
        self.start += len;
        let ahead = self.advanced.min(small(len));
        self.advanced -= ahead;
        self.consumed = self.consumed.saturating_add(small(len) - ahead);
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// How the content of `answer` will be delimited (RFC 9112 §6.3 read from the sender's side).
    fn delimiter(&self, answer: &Answer<'_>) -> Result<Delimiter, AnswerError> {
        if answer.status.is_bodiless() {
            let is_empty = !answer.has_body || self.method == Method::Head;
            return if is_empty { Ok(Delimiter::Nothing) } else { Err(AnswerError::TooMuch) };
        }
        match (answer.has_body, answer.length) {
            (true, Some(length)) => Ok(Delimiter::Length(length)),
            (true, None) if self.minor == 1 => Ok(Delimiter::Chunked),
            (true, None) => Ok(Delimiter::Close),
            (false, Some(length)) if length > 0 && self.method == Method::Head => Ok(Delimiter::Length(length)),
            (false, Some(1..)) => Err(AnswerError::TooLittle),
            (false, None) if self.method == Method::Head => Ok(Delimiter::Nothing),
            (false, _) => Ok(Delimiter::Length(0)),
        }
    }

    fn future(&self) -> Future {
        match (self.keep_alive, self.minor) {
            (false, _) => Future::Closes,
            (true, 0) => Future::StaysByRequest,
            (true, _) => Future::Stays,
        }
    }

    /// The answer is complete. What is left of the request's body is read over if it is small, else nothing more is read.
    fn complete(&mut self) {
        self.output = Output::Done;
        self.accept();
        match self.input {
            _ if !self.keep_alive => self.close_input(),
            Input::Body(_) if self.is_body_too_large_to_discard() => self.close_input(),
            Input::Body(decoder) => self.input = Input::Discard(decoder, DISCARD_MAX),
            _ => {}
        }
    }

    fn is_body_too_large_to_discard(&self) -> bool {
        match self.input {
            Input::Body(decoder) => self.awaits_invitation || decoder.remaining().unwrap_or(0) > DISCARD_MAX,
            _ => false,
        }
    }

    fn next_request(&mut self) {
        self.stream = self.stream.wrapping_add(1);
        self.output = Output::Idle;
        (self.method, self.minor) = (Method::Get, 1);
        self.leading_lines = 0;
        self.input = Input::Head(Scan::default());
    }

    /// INV-H1-3.
    fn close_input(&mut self) {
        self.consume(self.buffer.len() - self.start);
        self.input = Input::Over;
    }

    fn invalid(&mut self, status: Status) -> Step<'static> {
        self.keep_alive = false;
        self.close_input();
        Step::Invalid(status)
    }
}

/// Input is bounded far below 4 GiB by credit.
fn small(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
