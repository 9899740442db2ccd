//! The read-only image of a system partition: files, each block with a checksum; reads no disk and proves no origin.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

#[cfg(test)]
mod tests;
mod write;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;
use hybrid_gpt::{crc32, u32_at};
pub use write::{Unfit, build};

/// Bytes of a block.
pub const BLOCK: usize = 4096;
/// Longest name, bytes; that of `hybrid.fs`.
pub const NAME_MAX: usize = 252;
/// Blocks of an image at most: 256 MiB, whose checksums take 256 KiB.
pub const BLOCKS_MAX: u32 = 65_536;
/// Blocks of an index at most: the checksums take 64 of them.
pub const INDEX_MAX: u32 = 128;
/// Files and directories of an image at most.
pub const ENTRIES_MAX: u32 = 4096;
/// The entry of the uppermost directory.
pub const ROOT: u32 = 0;

const MAGIC: [u8; 8] = *b"HYSYSIM1";
const HEAD: usize = 32;
const ENTRY: usize = 28;
const FILE: u16 = 1;
const DIRECTORY: u16 = 2;

/// Why something is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no image.
    None,
    /// A checksum does not fit.
    Checksum,
    /// A number is beyond what it counts or may be.
    Number,
    /// A name is none, or entries are not in their order.
    Name,
}

/// The first block, checked by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    blocks: u32,
    entries: u32,
    names: u32,
    index_blocks: u32,
    index_sum: u32,
}

impl Header {
    /// Reads the first block of a partition of `count` blocks.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn parse(block: &[u8; BLOCK], count: u64) -> Result<Self, Fault> {
        if !block.starts_with(&MAGIC) {
            return Err(Fault::None);
        }
        if crc32(&block[..HEAD - 4]) != u32_at(block, HEAD - 4) {
            return Err(Fault::Checksum);
        }
        let number = |index: usize| u32_at(block, 8 + 4 * index);
        let this = Self {
            blocks: number(0),
            entries: number(1),
            names: number(2),
            index_blocks: number(3),
            index_sum: number(4),
        };
        let is_sound = this.blocks <= BLOCKS_MAX
            && u64::from(this.blocks) <= count
            && (1..=INDEX_MAX).contains(&this.index_blocks)
            && this.index_blocks < this.blocks
            && this.entries <= ENTRIES_MAX
            && this.names_at().is_some_and(|at| at + u64::from(this.names) <= this.index_bytes() as u64);
        if is_sound { Ok(this) } else { Err(Fault::Number) }
    }

    /// Bytes of the index, which begins with block 1.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.index_blocks as usize * BLOCK
    }

    /// The first block behind the index.
    fn data(&self) -> u32 {
        1 + self.index_blocks
    }

    fn entries_at(&self) -> u64 {
        4 * u64::from(self.blocks.saturating_sub(self.data()))
    }

    fn names_at(&self) -> Option<u64> {
        u64::from(self.entries).checked_mul(ENTRY as u64)?.checked_add(self.entries_at())
    }
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry of the directory that it is in; of the root its own.
    pub directory: u32,
    /// Empty for the root.
    pub name: Box<str>,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The first block of its bytes.
    pub first: u32,
    /// How many there are.
    pub bytes: u64,
}

/// The index, wholly checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    data: u32,
    sums: Vec<u32>,
    entries: Vec<Entry>,
}

impl Index {
    /// Reads the blocks behind the first one, [`Header::index_bytes`] bytes.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn parse(header: &Header, bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() != header.index_bytes() || crc32(bytes) != header.index_sum {
            return Err(Fault::Checksum);
        }
        let at = |place: u64| usize::try_from(place).map_err(|_| Fault::Number);
        let (entries_at, names_at) = (at(header.entries_at())?, at(header.names_at().ok_or(Fault::Number)?)?);
        let sums = bytes.get(..entries_at).ok_or(Fault::Number)?;
        let sums = sums.chunks_exact(4).map(|sum| u32_at(sum, 0)).collect();
        let names = bytes.get(names_at..names_at + header.names as usize).ok_or(Fault::Number)?;
        let table = bytes.get(entries_at..names_at).ok_or(Fault::Number)?;
        let mut this = Self { data: header.data(), sums, entries: Vec::with_capacity(table.len() / ENTRY) };
        // Names that lie in each other would take more memory than the index has bytes.
        let mut room = names.len();
        for entry in table.chunks_exact(ENTRY) {
            let entry = this.entry(entry, names)?;
            room = room.checked_sub(entry.name.len()).ok_or(Fault::Number)?;
            this.entries.push(entry);
        }
        if this.entries.is_empty() { Err(Fault::Number) } else { Ok(this) }
    }

    /// Checks the next entry against those before it.
    fn entry(&self, bytes: &[u8], names: &[u8]) -> Result<Entry, Fault> {
        let (directory, name_at) = (u32_at(bytes, 0), u32_at(bytes, 4) as usize);
        let (name_len, kind) = (usize::from(u16_at(bytes, 8)), u16_at(bytes, 10));
        let (first, size) = (u32_at(bytes, 12), u64::from(u32_at(bytes, 16)) | u64::from(u32_at(bytes, 20)) << 32);
        let name = name_at.checked_add(name_len).and_then(|end| names.get(name_at..end)).ok_or(Fault::Number)?;
        let name = core::str::from_utf8(name).map_err(|_| Fault::Name)?;
        let is_directory = kind == DIRECTORY;
        let is_sound = match kind {
            FILE => self.has_blocks(first, size),
            DIRECTORY => (first, size) == (0, 0),
            _ => false,
        };
        if !is_sound || u32_at(bytes, 24) != 0 {
            return Err(Fault::Number);
        }
        let entry = Entry { directory, name: name.into(), is_directory, first, bytes: size };
        let is_placed = match self.entries.last() {
            None => directory == ROOT && name.is_empty() && is_directory,
            Some(last) => {
                let above = self.entries.get(directory as usize);
                let is_first = self.entries.len() == 1;
                let follows = is_first || order(last, directory, name) == Ordering::Less;
                is_name(name) && above.is_some_and(|above| above.is_directory) && follows
            }
        };
        if is_placed { Ok(entry) } else { Err(Fault::Name) }
    }

    fn has_blocks(&self, first: u32, size: u64) -> bool {
        let blocks = size.div_ceil(BLOCK as u64);
        let end = u64::from(first).checked_add(blocks);
        let all = u64::from(self.data) + self.sums.len() as u64;
        if size == 0 { first == 0 } else { first >= self.data && end.is_some_and(|end| end <= all) }
    }

    /// An entry by its number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    /// The numbers of what is in a directory, in the order of the names.
    #[must_use]
    pub fn list(&self, directory: u32) -> Range<u32> {
        let inside = self.entries.get(1..).unwrap_or_default();
        let first = inside.partition_point(|entry| entry.directory < directory);
        let end = inside.partition_point(|entry| entry.directory <= directory);
        // There are at most ENTRIES_MAX.
        (1 + u32::try_from(first).unwrap_or(u32::MAX - 1))..(1 + u32::try_from(end).unwrap_or(u32::MAX - 1))
    }

    /// The number of a name in a directory.
    #[must_use]
    pub fn find(&self, directory: u32, name: &str) -> Option<u32> {
        let inside = self.entries.get(1..)?;
        let place = inside.binary_search_by(|entry| order(entry, directory, name)).ok()?;
        u32::try_from(place + 1).ok()
    }

    /// Whether a block behind the index is what it was.
    #[must_use]
    pub fn is_whole(&self, block: u32, bytes: &[u8; BLOCK]) -> bool {
        let sum = block.checked_sub(self.data).and_then(|place| self.sums.get(place as usize));
        sum == Some(&crc32(bytes))
    }
}

fn order(entry: &Entry, directory: u32, name: &str) -> Ordering {
    (entry.directory, &*entry.name).cmp(&(directory, name))
}

/// A plain name, as `hybrid.fs` has them.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains(['/', '\0'])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}
