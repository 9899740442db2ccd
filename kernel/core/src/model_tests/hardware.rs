//! What hardware remembers behind the kernel's back: translations, FP registers, dirty cache lines, interrupt masks.
//!
//! The worst machine: a translation that could have been cached is cached until the kernel invalidates it, the FP unit
//! keeps the last thread that could have used it, a zeroed line stays dirty until it is cleaned.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use crate::object::TcbRef;

/// One cached entry of a page table: of which address space, for which addresses, of what size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Translation {
    pub(crate) asid: u16,
    /// First address that it covers.
    pub(crate) vaddr: u64,
    /// log2 of the bytes that it covers.
    pub(crate) bits: u32,
}

/// What an exit to a thread applied beside its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) thread: TcbRef,
    pub(crate) flags: u64,
    pub(crate) has_timer_access: bool,
}

const LINE: u64 = 64;

#[derive(Default)]
pub(crate) struct Hardware {
    /// Cached page-table entries of all levels.
    pub(crate) translations: RefCell<BTreeMap<Translation, u64>>,
    /// Whose FP registers may be live, by core.
    pub(crate) fp_owner: [Cell<Option<TcbRef>>; 4],
    pub(crate) applied: [Cell<Option<Applied>>; 4],
    /// Interrupts that can reach a core: core (0 for shared ones) and number.
    pub(crate) unmasked: RefCell<BTreeSet<(usize, u32)>>,
    /// Taken interrupts that a handler has not acknowledged.
    pub(crate) held: RefCell<BTreeSet<(usize, u32)>>,
    /// Bit per line from address 0 of the arena: zeroed but not cleaned.
    dirty: RefCell<Vec<u64>>,
}

impl Hardware {
    pub(crate) fn invalidate_asid(&self, asid: u16) {
        self.translations.borrow_mut().retain(|at, _| at.asid != asid);
    }

    /// Entries of all levels that translate this address.
    pub(crate) fn invalidate_page(&self, asid: u16, vaddr: u64) {
        self.translations.borrow_mut().retain(|at, _| at.asid != asid || vaddr >> at.bits != at.vaddr >> at.bits);
    }

    pub(crate) fn release_fp(&self, thread: TcbRef) {
        for owner in self.fp_owner.iter().filter(|owner| owner.get() == Some(thread)) {
            owner.set(None);
        }
    }

    pub(crate) fn thread_changed(&self, thread: TcbRef) {
        for applied in self.applied.iter().filter(|applied| applied.get().is_some_and(|a| a.thread == thread)) {
            applied.set(None);
        }
    }

    /// `offset` is from the start of the arena.
    pub(crate) fn soil(&self, offset: u64, bytes: u64) {
        self.each_line(offset, bytes, |word, bit| *word |= bit);
    }

    pub(crate) fn clean(&self, offset: u64, bytes: u64) {
        self.each_line(offset, bytes, |word, bit| *word &= !bit);
    }

    pub(crate) fn is_dirty(&self, offset: u64, bytes: u64) -> bool {
        let dirty = self.dirty.borrow();
        lines(offset, bytes).any(|(n, mask)| dirty.get(n).is_some_and(|word| word & mask != 0))
    }

    fn each_line(&self, offset: u64, bytes: u64, change: impl Fn(&mut u64, u64)) {
        let mut dirty = self.dirty.borrow_mut();
        for (n, mask) in lines(offset, bytes) {
            if dirty.len() <= n {
                dirty.resize(n + 1, 0);
            }
            change(&mut dirty[n], mask);
        }
    }
}

/// The words of the bitmap, and the bits in each, that stand for the lines of a range.
fn lines(offset: u64, bytes: u64) -> impl Iterator<Item = (usize, u64)> {
    let (first, end) = (offset / LINE, if bytes == 0 { offset / LINE } else { (offset + bytes - 1) / LINE + 1 });
    let bits = move |n: u64| match (first.max(n * 64) - n * 64, end.min(n * 64 + 64) - n * 64) {
        (from, 64) => u64::MAX << from,
        (from, to) => (u64::MAX << from) & ((1 << to) - 1),
    };
    (first / 64..end.div_ceil(64)).map(move |n| (usize::try_from(n).unwrap(), bits(n)))
}
