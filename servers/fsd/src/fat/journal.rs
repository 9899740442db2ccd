//! A journal behind a volume of FAT: blocks that change together reach the disk together; knows nothing of files.
//!
//! FAT writes in place, so a loss of power in the middle of an operation would leave half of it. The journal is the end of the partition, which the
//! volume leaves free (decision 0145): one block that says which blocks follow and what their checksum is, and the blocks. It is written and
//! flushed before the volume is, and emptied after it; what is there when the partition is opened is written once more.
//!
//! INV-FAT-JOURNAL: between two checkpoints the volume on the disk is as after the last operation of the first one.
use crate::blocks::{BLOCK, Blocks, DeviceError};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// What a block holds.
pub(super) type Block = Box<[u8; BLOCK]>;
/// Blocks by their numbers.
pub(super) type Changes = BTreeMap<u64, Block>;

/// The first bytes of a journal.
const MAGIC: [u8; 8] = *b"HOSFATJ1";
/// Where the count, the checksum and the numbers are in its first block.
const COUNT: usize = 8;
const SUM: usize = 12;
const NUMBERS: usize = 16;
/// Bytes of a number.
const NUMBER: usize = 8;
/// Most blocks of a checkpoint, however large the journal is: bootd's memory holds three times as much.
const CHANGES_MAX: usize = 127;
/// Fewest blocks behind a volume that make a journal: the largest write, its tables and directories.
const FEWEST: u64 = 64;

/// Where the journal of a partition is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Journal {
    first: u64,
    room: usize,
}

impl Journal {
    /// The journal of a partition of `count` blocks whose volume ends before block `end`; none if too little is left.
    pub(super) fn behind(end: u64, count: u64) -> Option<Self> {
        let left = count.checked_sub(end).filter(|left| *left >= FEWEST)?;
        let room = usize::try_from(left - 1).unwrap_or(CHANGES_MAX).min(CHANGES_MAX);
        Some(Self { first: end, room })
    }

    /// Most blocks that can change in one checkpoint.
    pub(super) const fn room(&self) -> usize {
        self.room
    }

    /// Brings the changes to the disk, all or none of them. After an error either may be the case, also later.
    ///
    /// # Errors
    /// [`DeviceError`]; so are more changes than there is room for.
    pub(super) fn checkpoint(&self, device: &mut impl Blocks, changes: &Changes) -> Result<(), DeviceError> {
        if changes.len() > self.room {
            return Err(DeviceError);
        }
        let mut bytes = Vec::with_capacity(BLOCK * (1 + changes.len()));
        bytes.resize(BLOCK, 0);
        for (number, block) in changes {
            bytes.extend_from_slice(&block[..]);
            let at = NUMBERS + NUMBER * (bytes.len() / BLOCK - 2);
            put(&mut bytes, at, &number.to_le_bytes());
        }
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, COUNT, &u32::try_from(changes.len()).map_err(|_| DeviceError)?.to_le_bytes());
        // The checksum of all the rest, its own place being 0 until then.
        let sum = hybrid_gpt::crc32(&bytes);
        put(&mut bytes, SUM, &sum.to_le_bytes());
        device.write(self.first, &bytes)?;
        device.flush()?;
        apply(device, changes)?;
        self.empty(device)
    }

    /// Does again what a loss of power may have interrupted. `end`: where the volume ends.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub(super) fn replay(&self, device: &mut impl Blocks) -> Result<(), DeviceError> {
        let mut head = vec![0; BLOCK];
        device.read(self.first, &mut head)?;
        if !head.starts_with(&MAGIC) {
            return Ok(());
        }
        // What is not whole was never begun to be applied.
        if let Some(changes) = self.whole(device, head)? {
            // Who wrote it may have died before it was flushed: it must not be lost while it is applied.
            device.flush()?;
            apply(device, &changes)?;
        }
        self.empty(device)
    }

    /// The changes that the journal holds; none if they are not all there, or name a block beyond the volume.
    fn whole(&self, device: &mut impl Blocks, head: Vec<u8>) -> Result<Option<Changes>, DeviceError> {
        let count = usize::try_from(word(&head, COUNT)).unwrap_or(usize::MAX);
        if count > self.room {
            return Ok(None);
        }
        let mut bytes = head;
        bytes.resize(BLOCK * (1 + count), 0);
        device.read(self.first + 1, bytes.get_mut(BLOCK..).ok_or(DeviceError)?)?;
        let sum = word(&bytes, SUM);
        put(&mut bytes, SUM, &[0; 4]);
        if hybrid_gpt::crc32(&bytes) != sum {
            return Ok(None);
        }
        let (head, blocks) = bytes.split_at(BLOCK);
        let numbers = head.get(NUMBERS..).unwrap_or_default().chunks_exact(NUMBER);
        let numbers = numbers.map(|number| number.try_into().map_or(u64::MAX, u64::from_le_bytes));
        let blocks =
            blocks.chunks_exact(BLOCK).filter_map(|block| Some(Box::new(<[u8; BLOCK]>::try_from(block).ok()?)));
        let changes: Changes = numbers.zip(blocks).collect();
        Ok(Some(changes).filter(|changes| changes.keys().all(|number| *number < self.first)))
    }

    fn empty(&self, device: &mut impl Blocks) -> Result<(), DeviceError> {
        device.write(self.first, &vec![0; BLOCK])?;
        device.flush()
    }
}

fn apply(device: &mut impl Blocks, changes: &Changes) -> Result<(), DeviceError> {
    for (number, block) in changes {
        device.write(*number, &block[..])?;
    }
    device.flush()
}

/// Writes `part` at `at`; the places of this file are all within a block.
fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}
