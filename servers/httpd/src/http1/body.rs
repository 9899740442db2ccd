//! Request body framing (RFC 9112 §6, §7.1); copies nothing.

use crate::limits::{BODY_MAX, CHUNK_LINE_MAX, TRAILERS_MAX};
use crate::status::Status;

/// How a request body is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// No body.
    None,
    /// `Content-Length`, at least 1.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What stands at the front of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// Only more input tells.
    Starved,
    /// So many bytes of body data; `is_last` when the body ends with them.
    Data {
        /// At least 1.
        len: usize,
        /// Known only for bodies with a length.
        is_last: bool,
    },
    /// The body ended.
    End,
}

/// The state of one body's framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decoder {
    state: State,
    /// Body data seen so far, bytes.
    total: u64,
    /// Bytes of the current chunk-size line, or of all trailers.
    line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Length(u64),
    Size { value: u64, digits: u8 },
    SizeEnd { value: u64 },
    ExtensionOf { value: u64 },
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer { has_colon: bool },
    TrailerLf,
    EndLf,
    End,
}

impl Decoder {
    /// The decoder of a body; `None` when there is no body.
    pub(crate) fn new(framing: Framing) -> Option<Self> {
        let state = match framing {
            Framing::None => return None,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
        };
        Some(Decoder { state, total: 0, line: 0 })
    }

    /// Eats framing bytes at the front of `input` and says how many, and what follows them.
    ///
    /// # Errors
    /// 400 for anything that RFC 9112 §7.1 does not allow (also bare LF); 413 when the body gets larger than `BODY_MAX`.
    pub(crate) fn peek(&mut self, input: &[u8]) -> Result<(usize, Piece), Status> {
        let mut eaten = 0;
        loop {
            let rest = input.len() - eaten;
            match self.state {
                State::Length(left) | State::Data(left) if rest > 0 && left > 0 => {
                    let len = usize::try_from(left).map_or(rest, |left| left.min(rest));
                    let is_last = matches!(self.state, State::Length(_)) && len as u64 == left;
                    return Ok((eaten, Piece::Data { len, is_last }));
                }
                State::Length(0) | State::End => return Ok((eaten, Piece::End)),
                State::Data(0) => self.state = State::DataCr,
                _ => match input.get(eaten) {
                    Some(&byte) => {
                        self.step(byte)?;
                        eaten += 1;
                    }
                    None => return Ok((eaten, Piece::Starved)),
                },
            }
        }
    }

    /// The host used `len` bytes of the data that `peek` announced (never more).
    pub(crate) fn take(&mut self, len: usize) {
        if let State::Length(left) | State::Data(left) = &mut self.state {
            *left -= (len as u64).min(*left);
            self.total += len as u64;
        }
    }

    /// Bytes that are still to come, if known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// One byte of chunk framing.
    fn step(&mut self, byte: u8) -> Result<(), Status> {
        self.line += 1;
        self.state = match (self.state, byte) {
            (State::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 15 => State::Size {
                value: value * 16 + u64::from(char::from(byte).to_digit(16).unwrap_or(0)),
                digits: digits + 1,
            },
            (State::Size { value, digits: 1.. }, b'\r') => State::SizeEnd { value },
            (State::Size { value, digits: 1.. }, b';' | b' ' | b'\t') => self.extension(value)?,
            (State::ExtensionOf { value }, b'\r') => State::SizeEnd { value },
            (State::ExtensionOf { value }, b'\t' | b' '..=b'~' | 0x80..) => self.extension(value)?,
            (State::SizeEnd { value: 0 }, b'\n') => {
                self.line = 0;
                State::TrailerStart
            }
            (State::SizeEnd { value }, b'\n') => self.data(value)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.line = 0;
                State::Size { value: 0, digits: 0 }
            }
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::EndLf, b'\n') => State::End,
            (State::TrailerStart, _) if is_token(byte) => self.trailer(false)?,
            (State::Trailer { has_colon: false }, b':') => self.trailer(true)?,
            (State::Trailer { has_colon: false }, _) if is_token(byte) => self.trailer(false)?,
            (State::Trailer { has_colon: true }, b'\r') => State::TrailerLf,
            (State::Trailer { has_colon: true }, b'\t' | b' '..=b'~' | 0x80..) => self.trailer(true)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            _ => return Err(Status::BadRequest),
        };
        Ok(())
    }

    fn extension(&self, value: u64) -> Result<State, Status> {
        if self.line > CHUNK_LINE_MAX { Err(Status::BadRequest) } else { Ok(State::ExtensionOf { value }) }
    }

    fn data(&self, size: u64) -> Result<State, Status> {
        if size > BODY_MAX - self.total { Err(Status::ContentTooLarge) } else { Ok(State::Data(size)) }
    }

    fn trailer(&self, has_colon: bool) -> Result<State, Status> {
        if self.line > TRAILERS_MAX { Err(Status::HeaderFieldsTooLarge) } else { Ok(State::Trailer { has_colon }) }
    }
}

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Framing, Piece};
    use crate::status::Status;
    use proptest::prelude::*;

    /// Decodes `input` fed in parts of `step` bytes: the data, the unused rest, or the error.
    fn decode(framing: Framing, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Status> {
        let mut decoder = Decoder::new(framing).expect("has a body");
        let (mut at, mut seen, mut data) = (0, 0, Vec::new());
        while seen < input.len() {
            seen = (seen + step).min(input.len());
            loop {
                let (eaten, piece) = decoder.peek(&input[at..seen])?;
                at += eaten;
                match piece {
                    Piece::Starved => break,
                    Piece::End => return Ok((data, input.len() - at, true)),
                    Piece::Data { len, .. } => {
                        data.extend_from_slice(&input[at..at + len]);
                        decoder.take(len);
                        at += len;
                    }
                }
            }
        }
        Ok((data, 0, false))
    }

    #[test]
    fn chunked_good_bodies() {
        for (input, data) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("00005\r\nhello\r\n000\r\n\r\n", "hello"),
            ("3;a=b;c=\"x\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\nY:\r\n\r\n", "abc0123456789"),
            ("2 ;x\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ] {
            for step in [1, 2, 3, 1000] {
                assert_eq!(
                    decode(Framing::Chunked, input.as_bytes(), step),
                    Ok((data.as_bytes().to_vec(), 0, true)),
                    "{input:?}"
                );
            }
        }
    }

    #[test]
    fn chunked_bad_bodies() {
        for input in [
            "\r\n",
            "g\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "-1\r\n",
            "+5\r\nhello\r\n",
            "0x5\r\nhello",
            " 5\r\n",
            "5\r hello",
            "0\r\nbad trailer\r\n\r\n",
            "0\r\n: x\r\n\r\n",
            "0\r\n folded: x\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n\n",
            "1111111111111111\r\n",
            "5;\0\r\n",
            "0\r\nA: \x01\r\n\r\n",
            ";\r\n",
        ] {
            for step in [1, 3, 1000] {
                assert_eq!(decode(Framing::Chunked, input.as_bytes(), step), Err(Status::BadRequest), "{input:?}");
            }
        }
        assert_eq!(decode(Framing::Chunked, b"fffffffff\r\n", 1), Err(Status::ContentTooLarge));
        assert_eq!(decode(Framing::Chunked, b"fffffffffffffff\r\n", 1), Err(Status::ContentTooLarge));
        let long = format!("1;{}\r\n", "x".repeat(400));
        assert_eq!(decode(Framing::Chunked, long.as_bytes(), 7), Err(Status::BadRequest));
        let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(1000));
        assert_eq!(decode(Framing::Chunked, trailers.as_bytes(), 7), Err(Status::HeaderFieldsTooLarge));
    }

    #[test]
    fn length_stops_at_the_length() {
        assert_eq!(decode(Framing::Length(3), b"abcGET /", 100), Ok((b"abc".to_vec(), 5, true)));
        assert_eq!(decode(Framing::Length(30), b"abc", 1), Ok((b"abc".to_vec(), 0, false)));
    }

    proptest! {
        #[test]
        fn chunked_any_chunks_and_any_split_give_the_data(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8), step in 1usize..40) {
            let mut input = Vec::new();
            for chunk in &chunks {
                input.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                input.extend_from_slice(chunk);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(b"0\r\n\r\nNEXT");
            prop_assert_eq!(decode(Framing::Chunked, &input, step), Ok((chunks.concat(), 4, true)));
        }

        #[test]
        fn chunked_any_bytes_any_split_agree(input in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'1'), Just(b'\r'), Just(b'\n'), Just(b';'), any::<u8>()], 0..60), step in 1usize..10) {
            let whole = decode(Framing::Chunked, &input, input.len().max(1));
            let parts = decode(Framing::Chunked, &input, step);
            prop_assert_eq!(whole.map(|(data, _, is_end)| (data, is_end)), parts.map(|(data, _, is_end)| (data, is_end)));
        }
    }
}
