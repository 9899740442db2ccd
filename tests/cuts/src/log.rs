//! The log of a disk's writes, in the format of Linux' dm-log-writes, as QEMU writes it.
//!
//! Source: Linux, Documentation/admin-guide/device-mapper/log-writes.rst.
use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;

/// Bytes of a sector: of the disk, and of the log.
pub(crate) const SECTOR: usize = 512;
const MAGIC: u64 = 0x6a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

/// What the disk was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// What was written before survives from here on.
    pub(crate) is_flush: bool,
    /// What this writes survives by itself.
    pub(crate) is_durable: bool,
    /// Sectors of the disk that it writes or discards; may be none.
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// The bytes of these sectors; nothing for a discard.
    pub(crate) data: Option<&'a [u8]>,
    /// Where the entry ends in the log.
    pub(crate) end: u64,
}

fn number(bytes: &[u8], at: usize) -> Result<u64> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).context("the log ends in the middle")?;
    Ok(u64::from_le_bytes(*bytes))
}

/// Reads all entries that the log says it has.
///
/// # Errors
/// It is no such log.
pub(crate) fn parse(log: &[u8]) -> Result<Vec<Entry<'_>>> {
    ensure!(number(log, 0)? == MAGIC && number(log, 8)? == VERSION, "this is no log of writes");
    let sector = u32::try_from(number(log, 24)? & u64::from(u32::MAX))?;
    ensure!(usize::try_from(sector)? == SECTOR, "the log's sectors have {sector} bytes");
    let (mut entries, mut at) = (Vec::new(), SECTOR);
    for _ in 0..number(log, 16)? {
        let (first, count, flags) = (number(log, at)?, number(log, at + 8)?, number(log, at + 16)?);
        at += SECTOR;
        if flags & MARK != 0 {
            bail!("a mark, which QEMU does not make");
        }
        let data = if flags & DISCARD == 0 {
            let bytes: Range<usize> = at..at + usize::try_from(count)? * SECTOR;
            at = bytes.end;
            Some(log.get(bytes).context("the log ends in the middle")?)
        } else {
            None
        };
        let (is_flush, is_durable) = (flags & FLUSH != 0, flags & FUA != 0);
        entries.push(Entry { is_flush, is_durable, first, count, data, end: at as u64 });
    }
    Ok(entries)
}

/// A log that tests make.
#[cfg(test)]
pub(crate) mod write {
    use super::{DISCARD, FLUSH, FUA, MAGIC, SECTOR, VERSION};

    /// What is logged.
    pub(crate) enum Deed<'a> {
        Write(u64, &'a [u8]),
        Durable(u64, &'a [u8]),
        Discard(u64, u64),
        Flush,
    }

    pub(crate) fn empty() -> Vec<u8> {
        let mut log = Vec::new();
        [MAGIC, VERSION, 0, SECTOR as u64].iter().for_each(|number| log.extend(number.to_le_bytes()));
        log.resize(SECTOR, 0);
        log
    }

    pub(crate) fn add(log: &mut Vec<u8>, deed: &Deed<'_>) {
        let sectors = |data: &[u8]| (data.len() / SECTOR) as u64;
        let (first, count, flags, data): (_, _, _, &[u8]) = match deed {
            Deed::Write(first, data) => (*first, sectors(data), 0, data),
            Deed::Durable(first, data) => (*first, sectors(data), FUA, data),
            Deed::Discard(first, count) => (*first, *count, DISCARD, &[]),
            Deed::Flush => (0, 0, FLUSH, &[]),
        };
        let start = log.len();
        [first, count, flags, 0].iter().for_each(|number| log.extend(number.to_le_bytes()));
        log.resize(start + SECTOR, 0);
        log.extend_from_slice(data);
        let entries = log[16..].first_chunk_mut().expect("a head");
        *entries = (u64::from_le_bytes(*entries) + 1).to_le_bytes();
    }
}
