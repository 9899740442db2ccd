//! A fake machine: an arena of words, a clock that tests move, and a record of effects.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use crate::model_tests::hardware::Hardware;
use crate::object::TcbRef;
use crate::platform::{CacheOperation, PhysRange, Platform};

pub(crate) const RAM_START: u64 = 0x4000_0000;

/// Effects that tests look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    InvalidateAsid(u16),
    InvalidatePage(u16, u64),
    Cache(CacheOperation, u64, u64),
    Mask(u32),
    Unmask(u32),
    Hold(u32),
    Release(u32),
    End(u32),
    Trigger(u32, bool),
    Sgi(u32, u64),
    Route(u32, usize),
    Off,
    Reset,
    Put(u8),
}

#[cfg(not(miri))]
type Memory = Vec<Cell<u64>>;
#[cfg(miri)]
type Memory = &'static [Cell<u64>];

/// Not zero, so that nothing can rely on memory that the kernel did not zero itself.
#[cfg(not(miri))]
fn memory(words: usize) -> Memory {
    vec![Cell::new(0xdead_beef_dead_beef); words]
}

/// Zero and never given back: filling or dropping cell by cell takes Miri minutes, and this takes it no time.
#[cfg(miri)]
fn memory(words: usize) -> Memory {
    Cell::from_mut(vec![0; words].leak()).as_slice_of_cells()
}

/// Words of a piece: what was not handed out since it was last looked at needs no second look, which makes looking at all memory
/// after each step cheap (and possible at all under Miri). What writes to words that it had before the last look is missed: neither
/// the kernel nor a test keeps a view of memory from one entry to the next.
const PIECE: usize = 64;
/// Marks of a piece that was not handed out since: all of it was zero, as the snapshot has it, as the other machine has it.
const IS_ZERO: u8 = 1;
const IS_SAVED: u8 = 2;
const IS_EQUAL: u8 = 4;

/// `N` cores share everything but clock deadline and address space; `core` says which one is in the kernel.
pub(crate) struct Machine<const N: usize = 1> {
    pub(crate) core: Cell<usize>,
    memory: Memory,
    /// For each piece of the memory.
    marks: Vec<Cell<u8>>,
    /// All memory as it was saved.
    saved: RefCell<Vec<u64>>,
    pub(crate) clock: Cell<u64>,
    pub(crate) deadlines: [Cell<u64>; N],
    pub(crate) spaces: [Cell<u64>; N],
    /// Cores that were stopped since they last entered the kernel, one bit each.
    pub(crate) stopped: Cell<u8>,
    /// Reschedule interrupts that wait, one bit for each core.
    pub(crate) woken: Cell<u8>,
    pub(crate) effects: RefCell<Vec<Effect>>,
    /// Preemption points until an interrupt is pending; `None`: never.
    pub(crate) countdown: Cell<Option<u32>>,
    /// The root CNode's address, for the invariants: it stays even when every capability to it is gone.
    pub(crate) root_cnode: Cell<u64>,
    /// How often the clock was read.
    pub(crate) samples: Cell<u64>,
    /// How often preemption points asked.
    pub(crate) asked: Cell<u32>,
    /// Ticks that pass with each look at the clock.
    pub(crate) tick: Cell<u64>,
    pub(crate) hardware: Hardware,
}

impl<const N: usize> Machine<N> {
    pub(crate) fn new(bytes: u64) -> Self {
        let words = usize::try_from(bytes / 8).unwrap();
        Self {
            core: Cell::new(0),
            memory: memory(words),
            marks: vec![Cell::new(if cfg!(miri) { IS_ZERO | IS_SAVED } else { 0 }); words.div_ceil(PIECE)],
            saved: RefCell::new(vec![0; words]),
            clock: Cell::new(1000),
            deadlines: [const { Cell::new(u64::MAX) }; N],
            spaces: [const { Cell::new(0) }; N],
            stopped: Cell::new(0),
            woken: Cell::new(0),
            effects: RefCell::new(Vec::new()),
            countdown: Cell::new(None),
            root_cnode: Cell::new(0),
            samples: Cell::new(0),
            asked: Cell::new(0),
            tick: Cell::new(0),
            hardware: Hardware::default(),
        }
    }

    pub(crate) fn ram(&self) -> PhysRange {
        PhysRange { start: RAM_START, end: RAM_START + self.memory.len() as u64 * 8 }
    }

    /// Words and mark of each piece in which these words are.
    fn pieces(&self, words: Range<usize>) -> impl Iterator<Item = (Range<usize>, &Cell<u8>)> {
        let end = self.memory.len();
        (words.start / PIECE..words.end.div_ceil(PIECE))
            .map(move |n| (n * PIECE..end.min(n * PIECE + PIECE), &self.marks[n]))
    }

    /// Words that are about to be handed out and may change.
    fn hand_out(&self, words: Range<usize>) {
        let mut piece = words.start / PIECE;
        while piece * PIECE < words.end {
            self.marks[piece].set(0);
            piece += 1;
        }
    }

    /// First address at which the memory of two machines differs. Each is compared with no third one.
    pub(crate) fn difference(&self, other: &Self) -> Option<u64> {
        for ((words, mark), other_mark) in self.pieces(0..self.memory.len()).zip(&other.marks) {
            if mark.get() & other_mark.get() & IS_EQUAL == 0 {
                if let Some(at) = words.clone().find(|at| self.memory[*at] != other.memory[*at]) {
                    return Some(RAM_START + at as u64 * 8);
                }
                mark.set(mark.get() | IS_EQUAL);
                other_mark.set(other_mark.get() | IS_EQUAL);
            }
        }
        None
    }

    /// All memory.
    pub(crate) fn words_of_all(&self) -> Vec<u64> {
        self.memory.iter().map(Cell::get).collect()
    }

    /// Keeps all memory, for [`Self::changes`].
    pub(crate) fn save(&self) {
        let mut saved = self.saved.borrow_mut();
        for (words, mark) in self.pieces(0..self.memory.len()) {
            if mark.get() & IS_SAVED == 0 {
                saved[words.clone()].iter_mut().zip(&self.memory[words]).for_each(|(old, now)| *old = now.get());
                mark.set(mark.get() | IS_SAVED);
            }
        }
    }

    /// Addresses of the words that are not as they were saved.
    pub(crate) fn changes(&self) -> Vec<u64> {
        let saved = self.saved.borrow();
        let handed_out = self.pieces(0..self.memory.len()).filter(|(_, mark)| mark.get() & IS_SAVED == 0);
        let changed = handed_out.flat_map(|(words, _)| words).filter(|at| self.memory[*at].get() != saved[*at]);
        changed.map(|at| RAM_START + at as u64 * 8).collect()
    }

    /// True if all words of a range are zero.
    pub(crate) fn is_zero(&self, paddr: u64, bytes: u64) -> bool {
        let first = self.index(paddr);
        let range = first..first + usize::try_from(bytes / 8).unwrap();
        self.pieces(range.clone()).all(|(words, mark)| {
            if mark.get() & IS_ZERO != 0 {
                return true;
            }
            let part = words.start.max(range.start)..words.end.min(range.end);
            // Without a branch per word, which is several times faster.
            let is_zero = self.memory[part.clone()].iter().fold(0, |sum, a| sum | a.get()) == 0;
            if is_zero && part == words {
                mark.set(mark.get() | IS_ZERO);
            }
            is_zero
        })
    }

    fn log(&self, effect: Effect) {
        let mut effects = self.effects.borrow_mut();
        // Long runs look at none of them.
        if effects.len() > 100_000 {
            effects.clear();
        }
        effects.push(effect);
    }

    pub(crate) fn take_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut self.effects.borrow_mut())
    }

    fn index(&self, paddr: u64) -> usize {
        assert_eq!(paddr % 8, 0, "unaligned access to {paddr:#x}");
        assert!(paddr >= RAM_START, "access below memory: {paddr:#x}");
        usize::try_from((paddr - RAM_START) / 8).unwrap()
    }
}

/// A private interrupt is one of its core; a shared one belongs to all.
fn of_core(core: usize, irq: u32) -> (usize, u32) {
    if irq < 32 { (core, irq) } else { (0, irq) }
}

impl<const N: usize> Platform for Machine<N> {
    const CORES: usize = N;

    fn core(&self) -> usize {
        self.core.get()
    }

    fn words<const W: usize>(&self, paddr: u64) -> &[Cell<u64>; W] {
        let index = self.index(paddr);
        self.hand_out(index..index + W);
        self.memory[index..index + W].try_into().unwrap()
    }
    fn zero(&self, paddr: u64, bytes: u64) {
        assert_eq!((paddr | bytes) % 16, 0, "zero({paddr:#x}, {bytes:#x})");
        let index = self.index(paddr);
        let range = index..index + usize::try_from(bytes / 8).unwrap();
        for (words, mark) in self.pieces(range.clone()).filter(|(_, mark)| mark.get() & IS_ZERO == 0) {
            let part = words.start.max(range.start)..words.end.min(range.end);
            self.memory[part.clone()].iter().for_each(|cell| cell.set(0));
            mark.set(if part == words { IS_ZERO } else { 0 });
        }
        self.hardware.soil(paddr - RAM_START, bytes);
        self.maintain_cache(CacheOperation::Clean, paddr, bytes);
    }
    fn now(&self) -> u64 {
        self.samples.set(self.samples.get() + 1);
        let now = self.clock.get();
        self.clock.set(now + self.tick.get());
        now
    }
    fn ticks_per_ms(&self) -> u64 {
        62_500
    }
    fn set_deadline(&self, deadline: u64) {
        self.deadlines[self.core.get()].set(deadline);
    }
    fn write_table_entry(&self, paddr: u64, value: u64) {
        let index = self.index(paddr);
        self.hand_out(index..index + 1);
        self.memory[index].set(value);
    }
    fn invalidate_asid(&self, asid: u16) {
        self.hardware.invalidate_asid(asid);
        self.log(Effect::InvalidateAsid(asid));
    }
    fn invalidate_page(&self, asid: u16, vaddr: u64) {
        self.hardware.invalidate_page(asid, vaddr);
        self.log(Effect::InvalidatePage(asid, vaddr));
    }
    fn maintain_cache(&self, operation: CacheOperation, paddr: u64, bytes: u64) {
        if self.ram().start <= paddr && paddr + bytes <= self.ram().end && operation != CacheOperation::Invalidate {
            self.hardware.clean(paddr - RAM_START, bytes);
        }
        self.log(Effect::Cache(operation, paddr, bytes));
    }
    fn set_address_space(&self, space: u64) {
        self.spaces[self.core.get()].set(space);
    }
    fn release_fp(&self, thread: TcbRef) {
        self.hardware.release_fp(thread);
    }
    fn thread_changed(&self, thread: TcbRef) {
        self.hardware.thread_changed(thread);
    }
    fn must_stop(&self, has_budget: bool) -> bool {
        if !has_budget {
            return true;
        }
        self.asked.set(self.asked.get() + 1);
        match self.countdown.get() {
            None => false,
            Some(0) => {
                self.countdown.set(None);
                true
            }
            Some(n) => {
                self.countdown.set(Some(n - 1));
                false
            }
        }
    }
    fn stop_core(&self, core: usize) {
        assert_ne!(core, self.core.get(), "a core cannot stop itself");
        self.stopped.set(self.stopped.get() | 1 << core);
    }
    fn wake_core(&self, core: usize) {
        assert_ne!(core, self.core.get(), "a core cannot wake itself");
        self.woken.set(self.woken.get() | 1 << core);
    }
    fn drop_address_space(&self, core: usize) {
        assert_ne!(core, self.core.get(), "a core sets its own address space");
        self.spaces[core].set(0);
        // It was interrupted for that.
        self.woken.set(self.woken.get() | 1 << core);
    }
    fn route_irq(&self, irq: u32, core: usize) {
        assert!(irq >= 32 && core < N, "interrupt {irq} to core {core}");
        self.log(Effect::Route(irq, core));
    }
    fn unmask_irq(&self, core: usize, irq: u32) {
        self.hardware.unmasked.borrow_mut().insert(of_core(core, irq));
        self.log(Effect::Unmask(irq));
    }
    fn mask_irq(&self, core: usize, irq: u32) {
        self.hardware.unmasked.borrow_mut().remove(&of_core(core, irq));
        self.log(Effect::Mask(irq));
    }
    fn set_irq_trigger(&self, _core: usize, irq: u32, edge: bool) {
        self.log(Effect::Trigger(irq, edge));
    }
    fn hold_irq(&self, irq: u32) {
        self.hardware.held.borrow_mut().insert(of_core(self.core.get(), irq));
        self.log(Effect::Hold(irq));
    }
    fn release_irq(&self, core: usize, irq: u32) {
        self.hardware.held.borrow_mut().remove(&of_core(core, irq));
        self.log(Effect::Release(irq));
    }
    fn end_irq(&self, irq: u32) {
        self.log(Effect::End(irq));
    }
    fn max_sgi_target(&self) -> u64 {
        7
    }
    fn send_sgi(&self, sgi: u32, target: u64) {
        self.log(Effect::Sgi(sgi, target));
    }
    fn power_off(&self) {
        self.log(Effect::Off);
    }
    fn reset(&self) {
        self.log(Effect::Reset);
    }
    fn put_char(&self, character: u8) {
        self.log(Effect::Put(character));
    }
}

#[cfg(test)]
mod tests {
    use super::{Machine, PIECE, Platform, RAM_START};

    const BYTES: u64 = 8 * 8 * PIECE as u64;
    /// In the fourth piece.
    const AT: u64 = RAM_START + 8 * (3 * PIECE as u64 + 5);

    #[test]
    fn a_word_that_was_handed_out_is_looked_at_again() {
        let (machine, other) = (Machine::<1>::new(BYTES), Machine::<1>::new(BYTES));
        machine.zero(RAM_START, BYTES);
        other.zero(RAM_START, BYTES);
        for value in [7, 9] {
            machine.save();
            assert!(machine.changes().is_empty());
            machine.words::<1>(AT)[0].set(value);
            assert_eq!(machine.changes(), [AT]);
            assert!(!machine.is_zero(RAM_START, BYTES) && machine.is_zero(AT + 8, RAM_START + BYTES - AT - 8));
            assert_eq!(machine.difference(&other), Some(AT));
            other.write_table_entry(AT, value);
            assert_eq!((machine.difference(&other), machine.difference(&other)), (None, None));
        }
        machine.zero(AT - 8, 16);
        assert!(machine.is_zero(RAM_START, BYTES));
        assert_eq!((machine.changes(), machine.difference(&other)), (vec![AT], Some(AT)));
    }
}
