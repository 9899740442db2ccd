//! A disk of memory whose power can go at any write: what was not flushed is kept, lost or torn by chance.
use crate::blocks::{BLOCK, Blocks, DeviceError};
use std::cell::RefCell;
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
    /// Writes and flushes so far, and how many there will be.
    steps: u64,
    power_until: u64,
    flushes: u64,
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
        })))
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
        let state = self.0.borrow();
        let copy = Self::new((state.durable.len() / BLOCK) as u64);
        copy.scribble(0, &state.durable);
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
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.flushes += 1;
        for (at, bytes) in std::mem::take(&mut state.kept_back) {
            state.durable[at..at + SECTOR].copy_from_slice(&bytes);
        }
        Ok(())
    }
}
