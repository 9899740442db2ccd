//! The bytes of a volume, as the library of FAT sees them; an operation's changes are kept or dropped together.
use super::journal::{Block, Changes, Journal};
use crate::blocks::{BLOCK, Blocks, DeviceError};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use axfatfs::{IoBase, Read, Seek, SeekFrom, Write};
use core::cell::RefCell;

/// Most reads of a few bytes while a volume is mounted; one with 1,024 names and 65,536 clusters needs a fifth.
const MOUNT_READS_MAX: u32 = 1_000_000;
/// Blocks that were read and are kept in memory, at most.
const KEPT_MAX: usize = 64;

/// A volume and what is to become of it.
pub(super) struct Volume<B> {
    device: B,
    /// None: nothing may be changed.
    journal: Option<Journal>,
    /// Where the volume ends, bytes.
    end: u64,
    /// As they are on the disk.
    kept: BTreeMap<u64, Block>,
    /// Of whole operations that are not on the disk yet.
    done: Changes,
    /// Of the operation that is being done.
    doing: Changes,
    /// A checkpoint was begun and did not end: the journal on the disk is the only whole one.
    is_interrupted: bool,
    /// How many more reads the mounting may make, while it lasts: a directory may be a ring.
    budget: Option<u32>,
    /// Where clusters begin, and the first place behind that which was read since somebody asked; while it is mounted.
    watched: (u64, Option<u64>),
}

impl<B: Blocks> Volume<B> {
    /// The volume of `end` bytes at the beginning of `device`, after what its journal holds was done.
    pub(super) fn open(mut device: B, end: u64) -> Result<Self, DeviceError> {
        let journal = Journal::behind(end.div_ceil(BLOCK as u64), device.count());
        if let Some(journal) = journal {
            journal.replay(&mut device)?;
        }
        let (kept, done, doing) = Default::default();
        let (budget, watched) = (Some(MOUNT_READS_MAX), (u64::MAX, None));
        Ok(Self { device, journal, end, kept, done, doing, is_interrupted: false, budget, watched })
    }

    /// All of it was read once, and nothing in it is endless: from now on reads are not counted.
    pub(super) const fn mounted(&mut self) {
        self.budget = None;
    }

    /// From now on the first place is kept that is read at `begin` or behind it.
    pub(super) const fn watch(&mut self, begin: u64) {
        self.watched = (begin, None);
    }

    /// Where that was; none if nothing was read there.
    pub(super) const fn watched(&self) -> Option<u64> {
        self.watched.1
    }

    /// Whether anything may be changed.
    pub(super) const fn is_writable(&self) -> bool {
        self.journal.is_some()
    }

    fn block(&mut self, number: u64) -> Result<&Block, DeviceError> {
        let is_changed = self.doing.contains_key(&number) || self.done.contains_key(&number);
        if !is_changed && !self.kept.contains_key(&number) {
            let mut block = Box::new([0; BLOCK]);
            self.device.read(number, &mut block[..])?;
            if self.kept.len() >= KEPT_MAX {
                // Tables and the root directory are first, and used most.
                self.kept.pop_last();
            }
            self.kept.insert(number, block);
        }
        let mut places = [&self.doing, &self.done, &self.kept].into_iter();
        places.find_map(|blocks| blocks.get(&number)).ok_or(DeviceError)
    }

    pub(super) fn read(&mut self, at: u64, data: &mut [u8]) -> Result<usize, CursorError> {
        if let Some(budget) = &mut self.budget {
            *budget = budget.checked_sub(1).ok_or(CursorError::End)?;
            if at >= self.watched.0 && self.watched.1.is_none() {
                self.watched.1 = Some(at);
            }
        }
        let (number, from, len) = self.part(at, data.len());
        if len == 0 {
            return Ok(0);
        }
        if let Some((data, bytes)) = data.get_mut(..len).zip(self.block(number)?.get(from..from + len)) {
            data.copy_from_slice(bytes);
        }
        Ok(len)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<usize, CursorError> {
        let (number, from, len) = self.part(at, data.len());
        if len == 0 {
            return Ok(0);
        }
        let room = self.journal.as_ref().map_or(0, Journal::room);
        if !self.doing.contains_key(&number) {
            if self.doing.len() >= room {
                return Err(CursorError::Full);
            }
            let block = self.block(number)?.clone();
            self.doing.insert(number, block);
        }
        if let Some(place) = self.doing.get_mut(&number).and_then(|block| block.get_mut(from..from + len)) {
            place.copy_from_slice(data.get(..len).unwrap_or_default());
        }
        Ok(len)
    }

    /// The block of a place, where in it that is, and how many of `len` bytes are in it.
    fn part(&self, at: u64, len: usize) -> (u64, usize, usize) {
        let from = usize::try_from(at % BLOCK as u64).unwrap_or(0);
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        (at / BLOCK as u64, from, len.min(BLOCK - from).min(left))
    }

    /// Clears the bits of `mask` in one byte.
    pub(super) fn clear(&mut self, at: u64, mask: u8) -> Result<(), DeviceError> {
        let mut byte = [0];
        self.read(at, &mut byte).map_err(|_| DeviceError)?;
        if byte[0] & mask != 0 {
            self.write(at, &[byte[0] & !mask]).map_err(|_| DeviceError)?;
        }
        Ok(())
    }

    /// The operation is done: its changes belong to the volume. Those before it go to the disk first if all are too many for one checkpoint.
    pub(super) fn keep(&mut self) -> Result<(), DeviceError> {
        let room = self.journal.as_ref().map_or(0, Journal::room);
        let new = self.doing.keys().filter(|number| !self.done.contains_key(number)).count();
        if self.done.len() + new > room {
            self.checkpoint()?;
        }
        self.done.append(&mut self.doing);
        Ok(())
    }

    /// The operation failed: none of its changes were.
    pub(super) fn drop_changes(&mut self) {
        self.doing.clear();
    }

    /// Brings what was kept to the disk.
    pub(super) fn checkpoint(&mut self) -> Result<(), DeviceError> {
        let Some(journal) = self.journal.filter(|_| !self.done.is_empty()) else { return Ok(()) };
        // What is still to be changed holds every block of the journal that was not finished, or newer ones.
        if core::mem::replace(&mut self.is_interrupted, true) {
            journal.replay(&mut self.device)?;
        }
        journal.checkpoint(&mut self.device, &self.done)?;
        self.is_interrupted = false;
        for (number, block) in core::mem::take(&mut self.done) {
            if let Some(kept) = self.kept.get_mut(&number) {
                *kept = block;
            }
        }
        Ok(())
    }
}

/// A place in a volume that others use as well.
pub(super) struct Cursor<B> {
    volume: Rc<RefCell<Volume<B>>>,
    at: u64,
}

impl<B> Cursor<B> {
    pub(super) fn new(volume: &Rc<RefCell<Volume<B>>>) -> Self {
        Self { volume: volume.clone(), at: 0 }
    }
}

/// What the library is told when a block cannot be had, or one more may not be changed.
#[derive(Debug)]
pub(super) enum CursorError {
    Device,
    /// The volume ends there.
    End,
    /// The operation changes more blocks than the journal takes.
    Full,
}

impl From<DeviceError> for CursorError {
    fn from(DeviceError: DeviceError) -> Self {
        Self::Device
    }
}

impl axfatfs::IoError for CursorError {
    fn is_interrupted(&self) -> bool {
        false
    }

    fn new_unexpected_eof_error() -> Self {
        Self::End
    }

    fn new_write_zero_error() -> Self {
        Self::End
    }
}

impl<B> IoBase for Cursor<B> {
    type Error = CursorError;
}

impl<B: Blocks> Read for Cursor<B> {
    fn read(&mut self, data: &mut [u8]) -> Result<usize, CursorError> {
        let len = self.volume.borrow_mut().read(self.at, data)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl<B: Blocks> Write for Cursor<B> {
    fn write(&mut self, data: &[u8]) -> Result<usize, CursorError> {
        let len = self.volume.borrow_mut().write(self.at, data)?;
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), CursorError> {
        // When anything reaches the disk is the store's matter.
        Ok(())
    }
}

impl<B: Blocks> Seek for Cursor<B> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, CursorError> {
        let end = self.volume.borrow().end;
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
            SeekFrom::End(step) => end.checked_add_signed(step),
        };
        self.at = at.filter(|at| *at <= end).ok_or(CursorError::End)?;
        Ok(self.at)
    }
}
