//! In which order redoxfs' blocks reach the disk, so that a loss of power leaves what some operation left.
//!
//! redoxfs writes the blocks of a transaction to places that its newest header does not use, and then the next header. It asks for no barrier, so a
//! disk that keeps writes back may have the header and not what it points to. Here the blocks of whole transactions collect in memory; a *checkpoint*
//! writes them, waits for the disk, writes the newest header, and waits again. Between two checkpoints nothing reaches the disk.
//!
//! INV-DURABLE-1: no block that the header on the disk (the durable one) refers to is written. redoxfs keeps to that for its newest header only:
//! blocks that a later transaction freed are written again by the next. Such a write makes a checkpoint of the transactions before it first.
//! INV-DURABLE-2: the newest header is never in the durable one's place in the ring, which a torn write would take along.
//! INV-DURABLE-3: no block is discarded that the durable header or the newest one refers to. When writing the newest header failed, the disk may have
//! it or not: until it has, no transaction writes anything, so that these two stay all that the disk may have.
use crate::blocks::{BLOCK, Blocks, DeviceError};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;
use redoxfs::HEADER_RING;

type Block = Box<[u8; BLOCK]>;
/// Free blocks by their level, as redoxfs' allocator has them: a block of level n is 2^n blocks from a multiple of that on.
pub(super) type Free = Vec<BTreeSet<u64>>;

/// Blocks that wait for a checkpoint at most; the transaction that goes beyond is the last.
const PENDING_MAX: usize = 384;
/// Headers between two checkpoints at most (INV-DURABLE-2).
const HEADERS_MAX: u64 = HEADER_RING - 56;
/// Blocks that are kept of those read or written before: twice this.
const CLEAN_MAX: usize = 192;
/// Blocks of one read or write of the disk.
const RUN_MAX: usize = 8;
/// Where a header has its generation (`redoxfs::Header`).
const GENERATION: usize = 40;

/// The disk below redoxfs.
pub(super) struct Journal<B> {
    device: B,
    /// Blocks of the transaction that is being written; its header has not come.
    current: BTreeMap<u64, Block>,
    /// Blocks of transactions since the last checkpoint.
    pending: BTreeMap<u64, Block>,
    /// Their newest header, and its place.
    header: Option<(u64, Block)>,
    /// The generation of that header, and of the durable one.
    newest: u64,
    durable: u64,
    /// What is free after the newest transaction, and in the durable state; nothing while the file system is being opened, when there is one
    /// transaction at most.
    free: Option<Free>,
    durable_free: Option<Free>,
    /// The newest header was sent to the disk, which has not said that it has it.
    is_unsure: bool,
    clean: Clean,
    /// [`PENDING_MAX`], outside tests.
    pending_max: usize,
}

impl<B: Blocks> Journal<B> {
    pub(super) fn new(device: B) -> Self {
        Self {
            device,
            current: BTreeMap::new(),
            pending: BTreeMap::new(),
            header: None,
            newest: 0,
            durable: 0,
            free: None,
            durable_free: None,
            is_unsure: false,
            clean: Clean::default(),
            pending_max: PENDING_MAX,
        }
    }

    /// The disk itself, for what is no file system's.
    pub(super) fn device(&mut self) -> &mut B {
        &mut self.device
    }

    /// Each transaction is followed by a checkpoint.
    #[cfg(test)]
    pub(super) fn checkpoint_each(&mut self) {
        self.pending_max = 0;
    }

    pub(super) fn count(&self) -> u64 {
        self.device.count()
    }

    /// The generation of the newest whole transaction.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Takes this generation for that of the header on the disk.
    pub(super) fn begin(&mut self, durable: u64) {
        (self.newest, self.durable) = (durable, durable);
    }

    /// The last transaction is whole; this is free after it. Makes a checkpoint when it is time.
    pub(super) fn committed(&mut self, free: Free) -> Result<(), DeviceError> {
        self.free = Some(free);
        let is_due = self.pending.len() > self.pending_max || self.newest - self.durable > HEADERS_MAX;
        if is_due { self.checkpoint() } else { Ok(()) }
    }

    /// The last transaction failed: what it wrote is forgotten.
    pub(super) fn abort(&mut self) {
        self.current.clear();
    }

    /// Brings the newest whole transaction to the disk. What fails can be tried again: nothing is forgotten before all of it is there.
    pub(super) fn checkpoint(&mut self) -> Result<(), DeviceError> {
        let Some((place, header)) = &self.header else { return Ok(()) };
        write_runs(&mut self.device, &self.pending)?;
        self.device.flush()?;
        self.is_unsure = true;
        self.device.write(*place, &header[..])?;
        self.device.flush()?;
        self.is_unsure = false;
        self.header = None;
        self.durable = self.newest;
        self.durable_free.clone_from(&self.free);
        for (place, block) in core::mem::take(&mut self.pending) {
            self.clean.insert(place, block);
        }
        Ok(())
    }

    /// How many blocks are free in the durable state.
    pub(super) fn durable_free(&self) -> u64 {
        let sizes = (0_u32..).zip(self.durable_free.iter().flatten());
        sizes.fold(0, |sum, (level, starts)| sum.saturating_add((starts.len() as u64).saturating_mul(mask(level) + 1)))
    }

    /// The first blocks side by side in `within` that no header needs which the disk may have, if there are any (INV-DURABLE-3).
    pub(super) fn unneeded(&self, within: &Range<u64>) -> Option<Range<u64>> {
        let (durable, newest) = (self.durable_free.as_ref()?, self.free.as_ref()?);
        let mut start = within.start;
        while start < within.end {
            let both = next_free(newest, next_free(durable, start)?)?;
            if both == start {
                break;
            }
            start = both;
        }
        let mut end = start;
        while end < within.end {
            let Some(level) = level(durable, end).zip(level(newest, end)).map(|(one, other)| one.min(other)) else {
                break;
            };
            end = (end | mask(level)).saturating_add(1);
        }
        Some(start..end.min(within.end)).filter(|run| !run.is_empty())
    }

    /// Tells the disk that these are not needed, as [`Self::unneeded`] said.
    pub(super) fn discard(&mut self, run: Range<u64>) -> Result<(), DeviceError> {
        self.clean.forget(&run);
        self.device.discard(run.start, run.end.saturating_sub(run.start))
    }

    /// Fills `data` from block `first` on.
    pub(super) fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let places = (first..).zip(data.chunks_exact_mut(BLOCK));
        let mut missing: Option<Range<u64>> = None;
        for (place, chunk) in places {
            let known = self.pending.get(&place).or_else(|| self.clean.get(place));
            match known {
                Some(block) => chunk.copy_from_slice(&block[..]),
                None => missing = Some(missing.map_or(place, |run| run.start)..place + 1),
            }
        }
        missing.map_or(Ok(()), |run| self.fetch(first, run, data))
    }

    /// Reads a run of blocks from the disk; those among them that are known otherwise stay as they are in `data`.
    fn fetch(&mut self, first: u64, run: Range<u64>, data: &mut [u8]) -> Result<(), DeviceError> {
        let mut buffer = alloc::vec![0; RUN_MAX * BLOCK];
        for start in run.clone().step_by(RUN_MAX) {
            let count = usize::try_from(run.end - start).unwrap_or(RUN_MAX).min(RUN_MAX);
            let part = buffer.get_mut(..count * BLOCK).ok_or(DeviceError)?;
            self.device.read(start, part)?;
            for (place, bytes) in (start..).zip(part.chunks_exact(BLOCK)) {
                let is_known = self.pending.contains_key(&place) || self.clean.get(place).is_some();
                let at = usize::try_from(place - first).map_err(|_| DeviceError)? * BLOCK;
                if let Some(chunk) = data.get_mut(at..at + BLOCK).filter(|_| !is_known) {
                    chunk.copy_from_slice(bytes);
                    self.clean.insert(place, boxed(bytes)?);
                }
            }
        }
        Ok(())
    }

    /// redoxfs writes blocks of a transaction, or the header that ends it.
    pub(super) fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError> {
        if first < HEADER_RING {
            let header = boxed(data)?;
            let generation = header.get(GENERATION..).and_then(|rest| rest.first_chunk()).ok_or(DeviceError)?;
            self.newest = u64::from_le_bytes(*generation);
            self.pending.append(&mut self.current);
            self.header = Some((first, header));
            return Ok(());
        }
        for (place, bytes) in (first..).zip(data.chunks_exact(BLOCK)) {
            self.make_writable(place)?;
            self.clean.remove(place);
            self.current.insert(place, boxed(bytes)?);
        }
        Ok(())
    }

    /// INV-DURABLE-1 and INV-DURABLE-3.
    fn make_writable(&mut self, place: u64) -> Result<(), DeviceError> {
        let is_free = |free: &Option<Free>| free.as_ref().is_none_or(|free| level(free, place).is_some());
        if self.is_unsure || !is_free(&self.durable_free) {
            self.checkpoint()?;
        }
        // redoxfs would have to write into what its newest header refers to.
        if is_free(&self.durable_free) { Ok(()) } else { Err(DeviceError) }
    }
}

/// The level of the free block that a block is part of.
fn level(free: &Free, place: u64) -> Option<u32> {
    (0_u32..).zip(free).find(|(level, starts)| starts.contains(&(place & !mask(*level)))).map(|(level, _)| level)
}

/// The first free block from `place` on.
fn next_free(free: &Free, place: u64) -> Option<u64> {
    match level(free, place) {
        Some(_) => Some(place),
        None => free.iter().filter_map(|starts| starts.range(place..).next().copied()).min(),
    }
}

/// Blocks of one of that level, less one.
fn mask(level: u32) -> u64 {
    1_u64.checked_shl(level).unwrap_or(0).wrapping_sub(1)
}

fn boxed(bytes: &[u8]) -> Result<Block, DeviceError> {
    Vec::from(bytes).into_boxed_slice().try_into().map_err(|_| DeviceError)
}

/// Writes blocks, those side by side together.
fn write_runs<B: Blocks>(device: &mut B, blocks: &BTreeMap<u64, Block>) -> Result<(), DeviceError> {
    let mut run: Vec<u8> = Vec::with_capacity(RUN_MAX * BLOCK);
    let mut end = 0;
    for (place, block) in blocks {
        if !run.is_empty() && (*place != end || run.len() == RUN_MAX * BLOCK) {
            device.write(end - (run.len() / BLOCK) as u64, &run)?;
            run.clear();
        }
        run.extend_from_slice(&block[..]);
        end = place + 1;
    }
    if run.is_empty() { Ok(()) } else { device.write(end - (run.len() / BLOCK) as u64, &run) }
}

/// Blocks as they are on the disk, the less used half of which is forgotten when they are many.
#[derive(Default)]
struct Clean {
    young: BTreeMap<u64, Block>,
    old: BTreeMap<u64, Block>,
}

impl Clean {
    fn get(&mut self, place: u64) -> Option<&Block> {
        if let Some(block) = self.old.remove(&place) {
            self.insert(place, block);
        }
        self.young.get(&place)
    }

    fn insert(&mut self, place: u64, block: Block) {
        self.old.remove(&place);
        if self.young.len() >= CLEAN_MAX {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(place, block);
    }

    fn remove(&mut self, place: u64) {
        self.young.remove(&place);
        self.old.remove(&place);
    }

    fn forget(&mut self, run: &Range<u64>) {
        self.young.retain(|place, _| !run.contains(place));
        self.old.retain(|place, _| !run.contains(place));
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Blocks, DeviceError, Free, GENERATION, Journal};
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    /// Does all that it is asked, notes which blocks it wrote, and denies that it wrote a header if it is told to.
    #[derive(Clone, Default)]
    struct Liar {
        written: Rc<RefCell<Vec<u64>>>,
        lies: Rc<Cell<bool>>,
    }

    impl Blocks for Liar {
        fn count(&self) -> u64 {
            1000
        }

        fn read(&mut self, _first: u64, _data: &mut [u8]) -> Result<(), DeviceError> {
            Ok(())
        }

        fn write(&mut self, first: u64, _data: &[u8]) -> Result<(), DeviceError> {
            self.written.borrow_mut().push(first);
            if first < 256 && self.lies.get() { Err(DeviceError) } else { Ok(()) }
        }

        fn flush(&mut self) -> Result<(), DeviceError> {
            Ok(())
        }
    }

    /// Of the blocks 300 to 309 all but these.
    fn free_but(used: &[u64]) -> Free {
        vec![(300..310).filter(|block| !used.contains(block)).collect()]
    }

    /// One transaction: writes a block, after which it is the only one in use.
    fn transaction(journal: &mut Journal<Liar>, block: u64, generation: u8) -> Result<(), DeviceError> {
        journal.write(block, &[1; BLOCK])?;
        let mut header = [0; BLOCK];
        header[GENERATION] = generation;
        journal.write(generation.into(), &header)?;
        journal.committed(free_but(&[block]))
    }

    /// What a header refers to that the disk denies to have is neither discarded nor written.
    #[test]
    fn header_that_the_disk_denies_is_kept_whole() {
        let disk = Liar::default();
        let mut journal = Journal::new(disk.clone());
        journal.begin(1);
        assert_eq!((transaction(&mut journal, 300, 2), journal.checkpoint()), (Ok(()), Ok(())));
        assert_eq!(journal.unneeded(&(256..400)), Some(301..310));
        assert_eq!(transaction(&mut journal, 301, 3), Ok(()));
        assert_eq!(journal.unneeded(&(256..400)), Some(302..310), "neither the durable header's nor the newest one's");
        disk.lies.set(true);
        assert_eq!(journal.checkpoint(), Err(DeviceError));
        assert_eq!(transaction(&mut journal, 302, 4), Err(DeviceError));
        journal.abort();
        assert_eq!(journal.unneeded(&(256..400)), Some(302..310));
        disk.lies.set(false);
        disk.written.borrow_mut().clear();
        assert_eq!(transaction(&mut journal, 302, 4), Ok(()));
        assert_eq!(*disk.written.borrow(), [301, 3], "first the disk has the header that it denied");
        assert_eq!(journal.unneeded(&(256..400)), Some(300..301));
        assert_eq!(journal.unneeded(&(301..303)), None);
    }
}
