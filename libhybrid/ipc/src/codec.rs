//! The postcard wire format with a bound on everything; no schema, no allocation.
//!
//! Integers of more than one byte are LEB128 varints (signed ones zigzag first), `bool` and option tags
//! are one byte, lengths are varints. Only the shortest form of a varint is accepted, so each value has one encoding.
//! Tested byte for byte against the `postcard` crate. Why not that crate: decision 0031.
use core::fmt;

/// A value could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A string, byte string or list is longer than its bound in the IDL.
    TooLong,
    /// The buffer is too small.
    BufferFull,
}

/// Bytes or words are not a value of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The input ends inside the value.
    Truncated,
    /// Input is left after the value.
    Trailing,
    /// A string, byte string or list is longer than its bound in the IDL.
    TooLong,
    /// An integer does not fit its type, or is not in its shortest form.
    BadInteger,
    /// A `bool` or an option tag is neither 0 nor 1.
    BadBool,
    /// Text is not UTF-8.
    BadText,
    /// No such member of an enum or union.
    UnknownMember,
    /// The message carries no capability where one belongs.
    NoCapability,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl core::error::Error for EncodeError {}
impl core::error::Error for DecodeError {}

/// A generated type that can be one record of a ring.
///
/// Implemented for the `'static` form of the type; `View<'a>` is the form that borrows from the record.
pub trait Record {
    /// The type as it is read out of a buffer that lives for `'a`.
    type View<'a>;
    /// The most bytes that any value takes.
    const MAX_ENCODED: usize;
    /// Writes `value` to the start of `buffer` and says how many bytes it took.
    ///
    /// # Errors
    /// See [`EncodeError`].
    fn write(value: &Self::View<'_>, buffer: &mut [u8]) -> Result<usize, EncodeError>;
    /// Reads a value that fills `bytes` exactly.
    ///
    /// # Errors
    /// See [`DecodeError`].
    fn read(bytes: &[u8]) -> Result<Self::View<'_>, DecodeError>;
}

/// Writes values one after the other into a buffer.
#[derive(Debug)]
pub struct Writer<'b> {
    rest: &'b mut [u8],
    written: usize,
}

impl<'b> Writer<'b> {
    /// Starts at the beginning of `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { rest: buffer, written: 0 }
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written
    }

    /// Writes `bytes` as they are.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let rest = core::mem::take(&mut self.rest);
        let Some((head, tail)) = rest.split_at_mut_checked(bytes.len()) else {
            return Err(EncodeError::BufferFull);
        };
        head.copy_from_slice(bytes);
        self.rest = tail;
        self.written = self.written.saturating_add(bytes.len());
        Ok(())
    }

    /// Writes a `u8`.
    ///
    /// # Errors
    /// `BufferFull`, as for all that follow.
    pub fn u8(&mut self, value: u8) -> Result<(), EncodeError> {
        self.raw(&[value])
    }

    /// Writes an `i8`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn i8(&mut self, value: i8) -> Result<(), EncodeError> {
        self.raw(&value.to_le_bytes())
    }

    /// Writes a `bool` or the tag of an option.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn bool(&mut self, value: bool) -> Result<(), EncodeError> {
        self.u8(u8::from(value))
    }

    /// Writes a `u16`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn u16(&mut self, value: u16) -> Result<(), EncodeError> {
        self.u64(u64::from(value))
    }

    /// Writes a `u32`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn u32(&mut self, value: u32) -> Result<(), EncodeError> {
        self.u64(u64::from(value))
    }

    /// Writes a `u64`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn u64(&mut self, mut value: u64) -> Result<(), EncodeError> {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.u8(low & 0x7f);
            }
            self.u8(low | 0x80)?;
        }
    }

    /// Writes an `i16`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn i16(&mut self, value: i16) -> Result<(), EncodeError> {
        self.i64(i64::from(value))
    }

    /// Writes an `i32`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn i32(&mut self, value: i32) -> Result<(), EncodeError> {
        self.i64(i64::from(value))
    }

    /// Writes an `i64`.
    ///
    /// # Errors
    /// `BufferFull`.
    pub fn i64(&mut self, value: i64) -> Result<(), EncodeError> {
        let zigzag = (value << 1) ^ (value >> 63);
        self.u64(u64::from_le_bytes(zigzag.to_le_bytes()))
    }

    /// Writes a length of at most `max`.
    ///
    /// # Errors
    /// `TooLong`, `BufferFull`.
    pub fn length(&mut self, length: usize, max: usize) -> Result<(), EncodeError> {
        if length > max {
            return Err(EncodeError::TooLong);
        }
        self.u64(u64::try_from(length).map_err(|_| EncodeError::TooLong)?)
    }

    /// Writes a byte string of at most `max` bytes.
    ///
    /// # Errors
    /// `TooLong`, `BufferFull`.
    pub fn bytes(&mut self, value: &[u8], max: usize) -> Result<(), EncodeError> {
        self.length(value.len(), max)?;
        self.raw(value)
    }

    /// Writes a text of at most `max` bytes.
    ///
    /// # Errors
    /// `TooLong`, `BufferFull`.
    pub fn text(&mut self, value: &str, max: usize) -> Result<(), EncodeError> {
        self.bytes(value.as_bytes(), max)
    }
}

/// Reads values one after the other out of hostile bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Says that nothing is left.
    ///
    /// # Errors
    /// `Trailing`.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `length` bytes.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// Takes the next `N` bytes.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Reads a `u8`.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Reads an `i8`.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_le_bytes(self.array()?))
    }

    /// Reads a `bool` or the tag of an option.
    ///
    /// # Errors
    /// `Truncated`, `BadBool`.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadBool),
        }
    }

    /// Reads a `u16`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.u64()?.try_into().map_err(|_| DecodeError::BadInteger)
    }

    /// Reads a `u32`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.u64()?.try_into().map_err(|_| DecodeError::BadInteger)
    }

    /// Reads a `u64`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0_u32..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let placed = bits << shift;
            if placed >> shift != bits || (byte == 0 && shift > 0) {
                return Err(DecodeError::BadInteger);
            }
            value |= placed;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::BadInteger)
    }

    /// Reads an `i16`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.i64()?.try_into().map_err(|_| DecodeError::BadInteger)
    }

    /// Reads an `i32`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.i64()?.try_into().map_err(|_| DecodeError::BadInteger)
    }

    /// Reads an `i64`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        let zigzag = self.u64()?;
        let magnitude = i64::from_le_bytes((zigzag >> 1).to_le_bytes());
        Ok(if zigzag & 1 == 0 { magnitude } else { !magnitude })
    }

    /// Reads a length of at most `max`.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`, `TooLong`.
    pub fn length(&mut self, max: usize) -> Result<usize, DecodeError> {
        let length = usize::try_from(self.u64()?).map_err(|_| DecodeError::TooLong)?;
        if length > max { Err(DecodeError::TooLong) } else { Ok(length) }
    }

    /// Reads a byte string of at most `max` bytes.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`, `TooLong`.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.length(max)?;
        self.raw(length)
    }

    /// Reads a text of at most `max` bytes.
    ///
    /// # Errors
    /// `Truncated`, `BadInteger`, `TooLong`, `BadText`.
    pub fn text(&mut self, max: usize) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes(max)?).map_err(|_| DecodeError::BadText)
    }
}

#[cfg(test)]
mod tests;
