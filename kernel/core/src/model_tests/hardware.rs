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
        let line = |n: u64| dirty.get(usize::try_from(n / 64).unwrap()).is_some_and(|word| word >> (n % 64) & 1 == 1);
        bytes > 0 && (offset / LINE..=(offset + bytes - 1) / LINE).any(line)
    }

    fn each_line(&self, offset: u64, bytes: u64, change: impl Fn(&mut u64, u64)) {
        if bytes == 0 {
            return;
        }
        let mut dirty = self.dirty.borrow_mut();
        let (first, last) = (offset / LINE, (offset + bytes - 1) / LINE);
        let end = usize::try_from(last / 64).unwrap() + 1;
        if dirty.len() < end {
            dirty.resize(end, 0);
        }
        for line in first..=last {
            change(&mut dirty[usize::try_from(line / 64).unwrap()], 1 << (line % 64));
        }
    }
}
