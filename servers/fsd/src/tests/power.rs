//! A disk of memory whose power can go at any write: what was not flushed is kept, lost or torn by chance.
//!
//! What is discarded is gone at once.
use crate::blocks::{BLOCK, Blocks, DeviceError};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// What is written as one piece whatever happens.
const SECTOR: usize = 512;

/// Numbers for tests; the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[derive(Debug)]
struct State {
    /// What survives.
    durable: Vec<u8>,
    /// Sectors that were written and not flushed, in their order.
    kept_back: Vec<(usize, [u8; SECTOR])>,
    /// What reads give.
    seen: Vec<u8>,
    /// Writes, flushes and discards so far, and how many there will be.
    steps: u64,
    power_until: u64,
    flushes: u64,
    /// This step is done, and the disk says that it failed.
    lie_at: u64,
    /// Most blocks of a discard, whether all are refused, and which were done.
    discard_max: u64,
    refuses_discards: bool,
    discards: Vec<Range<u64>>,
    garbage: Dice,
}

/// A disk; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct RamDisk(Rc<RefCell<State>>);

impl RamDisk {
    pub(super) fn new(blocks: u64) -> Self {
        let bytes = usize::try_from(blocks).expect("small") * BLOCK;
        Self(Rc::new(RefCell::new(State {
            durable: vec![0; bytes],
            kept_back: Vec::new(),
            seen: vec![0; bytes],
            steps: 0,
            power_until: u64::MAX,
            flushes: 0,
            lie_at: u64::MAX,
            discard_max: 100,
            refuses_discards: false,
            discards: Vec::new(),
            garbage: Dice(0x5eed),
        })))
    }

    /// The disk discards up to so many blocks at once.
    pub(super) fn with_discards(self, discard_max: u64) -> Self {
        self.0.borrow_mut().discard_max = discard_max;
        self
    }

    /// It says that it discards, and refuses.
    pub(super) fn refuse_discards(&self) {
        self.0.borrow_mut().refuses_discards = true;
    }

    /// What was discarded so far, in order.
    pub(super) fn discards(&self) -> Vec<Range<u64>> {
        self.0.borrow().discards.clone()
    }

    /// After so many more writes, flushes and discards one is done that the disk says it could not do.
    pub(super) fn lie_after(&self, steps: u64) {
        let mut state = self.0.borrow_mut();
        state.lie_at = state.steps.saturating_add(steps);
    }

    /// The power goes after so many more writes and flushes.
    pub(super) fn cut_after(&self, steps: u64) {
        let mut state = self.0.borrow_mut();
        state.power_until = state.steps + steps;
    }

    pub(super) fn has_power(&self) -> bool {
        let state = self.0.borrow();
        state.steps < state.power_until
    }

    pub(super) fn steps(&self) -> u64 {
        self.0.borrow().steps
    }

    pub(super) fn flushes(&self) -> u64 {
        self.0.borrow().flushes
    }

    /// The power comes back: of what was kept back, each sector reached the disk or did not, in any order.
    pub(super) fn power_on(&self, dice: &mut Dice) {
        let mut state = self.0.borrow_mut();
        let mut kept_back = std::mem::take(&mut state.kept_back);
        // Sometimes all of it, or nothing, or a few.
        let odds = dice.roll(5);
        while !kept_back.is_empty() {
            let pick = usize::try_from(dice.roll(kept_back.len() as u64)).expect("small");
            let (at, bytes) = kept_back.swap_remove(pick);
            if dice.roll(4) < odds {
                state.durable[at..at + SECTOR].copy_from_slice(&bytes);
            }
        }
        state.seen = state.durable.clone();
        state.power_until = u64::MAX;
    }

    /// Another disk with what survives on this one.
    pub(super) fn copy(&self) -> Self {
        self.copy_of(|state| &state.durable)
    }

    /// Another disk with what survives on this one if nothing that was kept back is lost.
    pub(super) fn copy_of_all(&self) -> Self {
        self.copy_of(|state| &state.seen)
    }

    fn copy_of(&self, bytes: impl Fn(&State) -> &[u8]) -> Self {
        let state = self.0.borrow();
        let copy = Self::new((state.durable.len() / BLOCK) as u64);
        copy.scribble(0, bytes(&state));
        copy
    }

    /// Changes what is on the disk.
    pub(super) fn scribble(&self, at: usize, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.durable[at..at + bytes.len()].copy_from_slice(bytes);
        state.seen[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl State {
    fn step(&mut self) -> Result<(), DeviceError> {
        if self.steps >= self.power_until {
            return Err(DeviceError);
        }
        self.steps += 1;
        Ok(())
    }

    /// What the disk says of the last step.
    fn said(&self) -> Result<(), DeviceError> {
        if self.steps == self.lie_at { Err(DeviceError) } else { Ok(()) }
    }
}

impl Blocks for RamDisk {
    fn count(&self) -> u64 {
        (self.0.borrow().seen.len() / BLOCK) as u64
    }

    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let state = self.0.borrow();
        let at = usize::try_from(first).expect("small") * BLOCK;
        data.copy_from_slice(state.seen.get(at..at + data.len()).ok_or(DeviceError)?);
        Ok(())
    }

    fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError> {
        let mut state = self.0.borrow_mut();
        let at = usize::try_from(first).expect("small") * BLOCK;
        assert!(at + data.len() <= state.seen.len(), "a write beyond the disk");
        // A write that the power interrupts is torn like any that was kept back.
        let is_whole = state.step();
        for (sector, bytes) in data.chunks_exact(SECTOR).enumerate() {
            state.kept_back.push((at + sector * SECTOR, *bytes.first_chunk().expect("a sector")));
        }
        is_whole?;
        state.seen[at..at + data.len()].copy_from_slice(data);
        state.said()
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.flushes += 1;
        for (at, bytes) in std::mem::take(&mut state.kept_back) {
            state.durable[at..at + SECTOR].copy_from_slice(&bytes);
        }
        state.said()
    }

    fn discard_max(&self) -> u64 {
        self.0.borrow().discard_max
    }

    /// The worst that may be: whatever was there is gone for ever, at once, and so it is when the power goes meanwhile.
    fn discard(&mut self, first: u64, count: u64) -> Result<(), DeviceError> {
        let state = &mut *self.0.borrow_mut();
        assert!(count > 0 && count <= state.discard_max, "a discard of {count} blocks");
        if state.refuses_discards {
            state.steps += 1;
            return Err(DeviceError);
        }
        let is_whole = state.step();
        let span = [first, first + count].map(|block| usize::try_from(block).expect("small") * BLOCK);
        for word in (span[0]..span[1]).step_by(8) {
            let garbage = state.garbage.roll(u64::MAX).to_le_bytes();
            state.durable[word..word + 8].copy_from_slice(&garbage);
            state.seen[word..word + 8].copy_from_slice(&garbage);
        }
        state.discards.push(first..first + count);
        is_whole?;
        state.said()
    }
}
