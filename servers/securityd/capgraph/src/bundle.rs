//! The bundle: a graph, its programs and the rules for more, checked before use; no compression, no signature.
//!
//! Layout, little endian: 64 bytes of header (magic, CRC-32 of all that follows it, version, count, 4 zero bytes, total
//! length, offset and length of the graph, and of the rulebook, both 0 without one), `count` entries of 64 bytes (name, offset, length), the graph, the rulebook, the programs.
//! Programs start at multiples of 4096 bytes from the start of the bundle.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{BadGraph, Graph};
use crate::rulebook::Rulebook;

const MAGIC: &[u8; 8] = b"HYBUNDLE";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const ENTRY: usize = 64;
const NAME: usize = 48;
const PAGE: usize = 4096;
const PROGRAMS_MAX: usize = 256;

/// Why bytes are no bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleError {
    /// No bytes: the build did not embed one.
    Empty,
    /// Not a bundle at all.
    Magic,
    /// Of another version.
    Version(u32),
    /// An offset or length points outside.
    Bounds,
    /// The bytes are not those that were written.
    Checksum,
    /// The graph does not decode or does not fit together.
    Graph,
    /// A name is too long, or there are too many programs (writing only).
    TooMuch,
}

impl BundleError {
    /// A sentence for the console.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "no bundle was embedded in securityd",
            Self::Magic => "the embedded bundle is no bundle",
            Self::Version(_) => "the embedded bundle is of another version",
            Self::Bounds => "the embedded bundle is cut off",
            Self::Checksum => "the embedded bundle is damaged",
            Self::Graph => "the embedded capability graph is unusable",
            Self::TooMuch => "the bundle has too many programs",
        }
    }
}

impl From<BadGraph> for BundleError {
    fn from(_: BadGraph) -> Self {
        Self::Graph
    }
}

/// A bundle whose header, bounds and checksum have been checked.
#[derive(Debug, Clone, Copy)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Bundle<'a> {
    /// Checks `bytes`; more bytes than the header tells are ignored.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BundleError> {
        if bytes.is_empty() {
            return Err(BundleError::Empty);
        }
        if bytes.get(..8) != Some(MAGIC) {
            return Err(BundleError::Magic);
        }
        let version = word32(bytes, 12)?;
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let count = usize::try_from(word32(bytes, 16)?).map_err(|_| BundleError::Bounds)?;
        let total = word64(bytes, 24)?;
        let bytes = bytes.get(..total).ok_or(BundleError::Bounds)?;
        let body = bytes.get(HEADER..).ok_or(BundleError::Bounds)?;
        if count > PROGRAMS_MAX || body.len() < count * ENTRY {
            return Err(BundleError::Bounds);
        }
        if crc32(bytes.get(12..).unwrap_or_default()) != word32(bytes, 8)? {
            return Err(BundleError::Checksum);
        }
        Ok(Self { bytes, count })
    }

    /// The graph.
    ///
    /// # Errors
    /// [`BundleError::Bounds`] or [`BundleError::Graph`].
    pub fn graph(&self) -> Result<Graph, BundleError> {
        let (offset, length) = (word64(self.bytes, 32)?, word64(self.bytes, 40)?);
        Ok(Graph::decode(range(self.bytes, offset, length)?)?)
    }

    /// The rules that further components are admitted by; none in a bundle without them.
    ///
    /// # Errors
    /// [`BundleError::Bounds`], or [`BundleError::Graph`] when the bytes are no rulebook.
    pub fn rulebook(&self) -> Result<Option<Rulebook>, BundleError> {
        let (offset, length) = (word64(self.bytes, 48)?, word64(self.bytes, 56)?);
        if length == 0 {
            return Ok(None);
        }
        Ok(Some(Rulebook::decode(range(self.bytes, offset, length)?)?))
    }

    /// The program of a component folder's name ("httpd").
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&'a [u8]> {
        self.programs().find(|(found, _)| *found == name).map(|(_, bytes)| bytes)
    }

    /// All programs, in the order they were written.
    pub fn programs(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        (0..self.count).filter_map(move |index| {
            let at = HEADER + index * ENTRY;
            let name = bytes.get(at..at + NAME)?;
            let end = name.iter().position(|byte| *byte == 0)?;
            let name = core::str::from_utf8(name.get(..end)?).ok()?;
            let (offset, length) = (word64(bytes, at + NAME).ok()?, word64(bytes, at + NAME + 8).ok()?);
            Some((name, range(bytes, offset, length).ok()?))
        })
    }
}

/// Writes a bundle without a rulebook; the same input gives the same bytes.
///
/// # Errors
/// [`BundleError::TooMuch`] or [`BundleError::Graph`].
pub fn write_bundle(graph: &Graph, programs: &[(&str, &[u8])]) -> Result<Vec<u8>, BundleError> {
    write_bundle_with(graph, None, programs)
}

/// Writes a bundle; the same input gives the same bytes.
///
/// # Errors
/// [`BundleError::TooMuch`] when a name is longer than 47 bytes or there are more than 256 programs.
pub fn write_bundle_with(
    graph: &Graph,
    book: Option<&Rulebook>,
    programs: &[(&str, &[u8])],
) -> Result<Vec<u8>, BundleError> {
    if programs.len() > PROGRAMS_MAX || programs.iter().any(|(name, _)| name.len() >= NAME || name.contains('\0')) {
        return Err(BundleError::TooMuch);
    }
    let encoded = graph.encode()?;
    let mut bytes = vec![0; HEADER + programs.len() * ENTRY];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 12, &VERSION.to_le_bytes());
    put(&mut bytes, 16, &u32::try_from(programs.len()).map_err(|_| BundleError::TooMuch)?.to_le_bytes());
    put_word(&mut bytes, 32, HEADER + programs.len() * ENTRY);
    put_word(&mut bytes, 40, encoded.len());
    bytes.extend_from_slice(&encoded);
    if let Some(book) = book {
        let at = bytes.len();
        put_word(&mut bytes, 48, at);
        let book = book.encode()?;
        put_word(&mut bytes, 56, book.len());
        bytes.extend_from_slice(&book);
    }
    for (index, (name, program)) in programs.iter().enumerate() {
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        let at = HEADER + index * ENTRY;
        put(&mut bytes, at, name.as_bytes());
        let offset = bytes.len();
        put_word(&mut bytes, at + NAME, offset);
        put_word(&mut bytes, at + NAME + 8, program.len());
        bytes.extend_from_slice(program);
    }
    let total = bytes.len();
    put_word(&mut bytes, 24, total);
    let sum = crc32(bytes.get(12..).ok_or(BundleError::Bounds)?);
    put(&mut bytes, 8, &sum.to_le_bytes());
    Ok(bytes)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn put_word(bytes: &mut [u8], at: usize, value: usize) {
    put(bytes, at, &(value as u64).to_le_bytes());
}

fn range(bytes: &[u8], offset: usize, length: usize) -> Result<&[u8], BundleError> {
    let end = offset.checked_add(length).ok_or(BundleError::Bounds)?;
    bytes.get(offset..end).ok_or(BundleError::Bounds)
}

fn word32(bytes: &[u8], at: usize) -> Result<u32, BundleError> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).ok_or(BundleError::Bounds)?;
    Ok(u32::from_le_bytes(word))
}

fn word64(bytes: &[u8], at: usize) -> Result<usize, BundleError> {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).ok_or(BundleError::Bounds)?;
    usize::try_from(u64::from_le_bytes(word)).map_err(|_| BundleError::Bounds)
}

/// CRC-32 as in IEEE 802.3 (polynomial 0x04c11db7, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |sum, byte| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize])
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the index is below 256")]
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Bundle, BundleError, crc32, write_bundle};
    use crate::graph::tests::sample;

    #[test]
    fn crc_of_the_check_string_is_the_standard_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn bundle_written_is_read_back_and_programs_are_page_aligned() {
        let graph = sample();
        let bytes = write_bundle(&graph, &[("httpd", b"elf one"), ("status", b"elf two")]).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        assert_eq!(bundle.graph().unwrap(), graph);
        assert_eq!(bundle.program("status"), Some(&b"elf two"[..]));
        assert_eq!(bundle.program("shell"), None);
        let start = bytes.as_ptr() as usize;
        assert!(bundle.programs().all(|(_, program)| (program.as_ptr() as usize - start).is_multiple_of(4096)));
    }

    #[test]
    fn bundle_with_any_byte_changed_is_refused() {
        let bytes = write_bundle(&sample(), &[("httpd", b"elf one")]).unwrap();
        for at in (0..64).chain((64..bytes.len()).step_by(37)) {
            let mut other = bytes.clone();
            other[at] ^= 0x40;
            assert!(Bundle::parse(&other).is_err(), "byte {at}");
        }
    }

    #[test]
    fn bundle_cut_off_anywhere_is_refused() {
        let bytes = write_bundle(&sample(), &[("httpd", b"elf one")]).unwrap();
        assert_eq!(Bundle::parse(&[]).unwrap_err(), BundleError::Empty);
        assert!((1..bytes.len()).step_by(13).all(|length| Bundle::parse(&bytes[..length]).is_err()));
    }
}
