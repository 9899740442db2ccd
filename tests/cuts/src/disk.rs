//! A disk as a loss of power leaves it: what was flushed, and by chance some of what came after.
use crate::log::{Entry, SECTOR};
use fsd::{BLOCK, Blocks, DeviceError};
use std::collections::HashMap;

/// Numbers by chance; the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (below.max(1) as u64)).unwrap_or(0)
    }
}

/// Sectors that were written and not flushed: by request, in the order in which they were asked for.
type Pending<'a> = Vec<Vec<(usize, Sector<'a>)>>;

/// What a sector becomes.
#[derive(Debug, Clone, Copy)]
enum Sector<'a> {
    Bytes(&'a [u8]),
    /// Whatever is there or zeros: a discarded sector has no content that counts.
    Discarded,
}

/// The disk while its log is played.
pub(crate) struct Replay<'a> {
    durable: Vec<u8>,
    pending: Pending<'a>,
    /// The sectors of the log that are this disk's: a partition.
    first: u64,
}

impl<'a> Replay<'a> {
    /// An empty disk of `count` sectors, the first of which is the log's sector `first`.
    pub(crate) fn new(first: u64, count: u64) -> Self {
        let bytes = usize::try_from(count).unwrap_or(0) * SECTOR;
        Self { durable: vec![0; bytes], pending: Vec::new(), first }
    }

    /// The next entry happens. False: it is about sectors that are not this disk's.
    pub(crate) fn play(&mut self, entry: &Entry<'a>) -> bool {
        if entry.is_flush {
            for request in std::mem::take(&mut self.pending) {
                request.into_iter().for_each(|sector| put(&mut self.durable, sector));
            }
        }
        if entry.count == 0 {
            return true;
        }
        let Some(start) = entry.first.checked_sub(self.first).and_then(|start| usize::try_from(start).ok()) else {
            return false;
        };
        let count = usize::try_from(entry.count).unwrap_or(usize::MAX);
        if start.checked_add(count).is_none_or(|end| end > self.durable.len() / SECTOR) {
            return false;
        }
        let sectors: Vec<(usize, Sector<'a>)> = match entry.data {
            Some(data) => (start..).zip(data.chunks_exact(SECTOR).map(Sector::Bytes)).collect(),
            None => (start..start + count).map(|sector| (sector, Sector::Discarded)).collect(),
        };
        if entry.is_durable {
            // What was asked for earlier of these sectors cannot come later.
            let is_other = |(sector, _): &(usize, Sector<'_>)| !(start..start + count).contains(sector);
            self.pending.iter_mut().for_each(|request| request.retain(is_other));
            sectors.into_iter().for_each(|sector| put(&mut self.durable, sector));
        } else {
            self.pending.push(sectors);
        }
        true
    }

    /// Whether something was written and not flushed.
    pub(crate) fn waits(&self) -> bool {
        self.pending.iter().any(|request| !request.is_empty())
    }

    /// What there is if the power goes now and nothing reached the disk since the last flush.
    pub(crate) fn floor(&self) -> CutDisk<'_> {
        CutDisk { durable: &self.durable, over: HashMap::new() }
    }

    /// What there may be if the power goes now: of what waits, whole requests or single sectors reached the disk, in any order.
    pub(crate) fn cut(&self, dice: &mut Dice) -> CutDisk<'_> {
        let mut disk = self.floor();
        let mut waiting: Pending<'_> = if dice.roll(2) == 0 {
            self.pending.clone()
        } else {
            self.pending.iter().flatten().map(|sector| vec![*sector]).collect()
        };
        // From nothing to everything.
        let odds = dice.roll(5);
        while !waiting.is_empty() {
            let request = waiting.swap_remove(dice.roll(waiting.len()));
            if dice.roll(4) < odds {
                for (place, sector) in request {
                    let bytes = match sector {
                        Sector::Bytes(bytes) => bytes.try_into().unwrap_or([0; SECTOR]),
                        Sector::Discarded => [if dice.roll(2) == 0 { 0 } else { 0xdd }; SECTOR],
                    };
                    disk.over.insert(place, bytes);
                }
            }
        }
        disk
    }
}

fn put(durable: &mut [u8], (place, sector): (usize, Sector<'_>)) {
    let Some(there) = durable.get_mut(place * SECTOR..(place + 1) * SECTOR) else { return };
    match sector {
        Sector::Bytes(bytes) => there.copy_from_slice(bytes),
        Sector::Discarded => there.fill(0xdd),
    }
}

/// A disk that is switched on again. What is written to it is forgotten with it.
#[derive(Debug, Clone)]
pub(crate) struct CutDisk<'a> {
    durable: &'a [u8],
    over: HashMap<usize, [u8; SECTOR]>,
}

const SECTORS: usize = BLOCK / SECTOR;

impl CutDisk<'_> {
    fn places(&self, first: u64, bytes: usize) -> Result<std::ops::Range<usize>, DeviceError> {
        let start = usize::try_from(first).map_err(|_| DeviceError)?.checked_mul(SECTORS).ok_or(DeviceError)?;
        let end = start + bytes / SECTOR;
        if end * SECTOR > self.durable.len() { Err(DeviceError) } else { Ok(start..end) }
    }
}

impl Blocks for CutDisk<'_> {
    fn count(&self) -> u64 {
        (self.durable.len() / BLOCK) as u64
    }

    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        for (place, bytes) in self.places(first, data.len())?.zip(data.chunks_exact_mut(SECTOR)) {
            bytes.copy_from_slice(match self.over.get(&place) {
                Some(written) => written,
                None => &self.durable[place * SECTOR..(place + 1) * SECTOR],
            });
        }
        Ok(())
    }

    fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError> {
        for (place, bytes) in self.places(first, data.len())?.zip(data.as_chunks::<SECTOR>().0) {
            self.over.insert(place, *bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}
