//! Reads a GUID partition table (UEFI 2.10 §5.3), hostile or damaged; writes none.
//!
//! What is believed: partitions whose table has both its checksums, that lie in the sectors meant for partitions and do not overlap. Else
//! the whole table is refused, and its copy at the end of the disk is to be tried.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of a sector; tables of disks with larger ones are not read.
pub const SECTOR: usize = 512;
/// The first table's header.
pub const FIRST_HEADER: u64 = 1;
/// Entries that are read, and the only number that is accepted: it is what everybody writes.
const ENTRIES: usize = 128;
/// Bytes of an entry, likewise.
const ENTRY: usize = 128;
/// Sectors of all entries.
pub const ENTRY_SECTORS: u64 = (ENTRIES * ENTRY / SECTOR) as u64;
/// Bytes of all entries.
pub const ENTRIES_BYTES: usize = ENTRIES * ENTRY;
const SIGNATURE: &[u8; 8] = b"EFI PART";
/// UEFI 2.10 §5.3.2: revision 1.0, and the size of its header.
const REVISION: u32 = 0x0001_0000;
const HEADER_BYTES: usize = 92;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name; what is no UTF-16 is replaced.
    pub name: String,
    /// Its first sector.
    pub first: u64,
    /// Its sectors, at least one.
    pub count: u64,
}

/// Why a table is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is no table.
    Signature,
    /// Another revision, header size, number or size of entries than everybody's.
    Form,
    /// The header's checksum.
    HeaderSum,
    /// The entries' checksum.
    EntriesSum,
    /// The header says that it stands elsewhere, or its areas lie beyond the disk or within each other.
    Place,
    /// A partition ends before it begins, lies outside of what is for partitions, or in another.
    Partition,
}

/// A header that has its checksum and makes sense on its disk; its entries are not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// First sector of the entries, of which there are [`ENTRY_SECTORS`].
    pub entries: u64,
    first_usable: u64,
    last_usable: u64,
    entries_sum: u32,
}

/// The little-endian word there; 0 beyond the end, where a checked length lets nobody look.
#[must_use]
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Header {
    /// The header in sector `lba` of a disk of `sectors`.
    ///
    /// # Errors
    /// [`Fault`], but not of entries.
    pub fn parse(sector: &[u8; SECTOR], lba: u64, sectors: u64) -> Result<Self, Fault> {
        if &sector[..8] != SIGNATURE {
            return Err(Fault::Signature);
        }
        let form = [u32_at(sector, 8), u32_at(sector, 12), u32_at(sector, 80), u32_at(sector, 84)];
        if form.map(|word| word as usize) != [REVISION as usize, HEADER_BYTES, ENTRIES, ENTRY] {
            return Err(Fault::Form);
        }
        let mut summed = [0; HEADER_BYTES];
        summed.copy_from_slice(&sector[..HEADER_BYTES]);
        summed[16..20].fill(0);
        if crc32(&summed) != u32_at(sector, 16) {
            return Err(Fault::HeaderSum);
        }
        let (first_usable, last_usable) = (u64_at(sector, 40), u64_at(sector, 48));
        let entries = u64_at(sector, 72);
        let after_entries = entries.checked_add(ENTRY_SECTORS).ok_or(Fault::Place)?;
        let is_apart = after_entries <= first_usable || last_usable < entries;
        let is_inside = u64_at(sector, 24) == lba && after_entries <= sectors && last_usable < sectors;
        if !is_apart || !is_inside || entries < 2 || first_usable > last_usable || first_usable <= FIRST_HEADER {
            return Err(Fault::Place);
        }
        Ok(Self { entries, first_usable, last_usable, entries_sum: u32_at(sector, 88) })
    }

    /// The partitions, by their first sector.
    ///
    /// # Errors
    /// [`Fault::EntriesSum`], [`Fault::Partition`].
    pub fn partitions(&self, entries: &[u8; ENTRIES_BYTES]) -> Result<Vec<Partition>, Fault> {
        if crc32(entries) != self.entries_sum {
            return Err(Fault::EntriesSum);
        }
        let is_taken = |entry: &&[u8]| entry[..16].iter().any(|byte| *byte != 0);
        let mut found = entries
            .chunks_exact(ENTRY)
            .filter(is_taken)
            .map(|entry| self.partition(entry))
            .collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|partition| partition.first);
        let is_overlapping = |pair: &[Partition]| pair[0].first + pair[0].count > pair[1].first;
        if found.windows(2).any(is_overlapping) { Err(Fault::Partition) } else { Ok(found) }
    }

    fn partition(&self, entry: &[u8]) -> Result<Partition, Fault> {
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        if first < self.first_usable || last > self.last_usable || first > last {
            return Err(Fault::Partition);
        }
        let units = entry[56..].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name = char::decode_utf16(units.take_while(|unit| *unit != 0));
        let name = name.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        // `last` is below the number of the disk's sectors, so one more is a number.
        Ok(Partition { name, first, count: last - first + 1 })
    }
}

/// The checksum of UEFI 2.10 §4.2.1 and everybody else: CRC-32 with the reflected polynomial.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |sum, byte| (sum >> 8) ^ TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)])
}

/// What each byte does to the sum.
const fn table() -> [u32; 256] {
    let (mut table, mut index) = ([0; 256], 0_u32);
    while index < 256 {
        let (mut value, mut bit) = (index, 0);
        while bit < 8 {
            value = (value >> 1) ^ (0xedb8_8320 & (value & 1).wrapping_neg());
            bit += 1;
        }
        table[index as usize] = value;
        index += 1;
    }
    table
}
