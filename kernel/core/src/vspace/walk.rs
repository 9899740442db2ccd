//! Walking the page tables of one address space.

use crate::cap::{FrameSize, VmRights};
use crate::kernel::Kernel;
use crate::object::TableRef;
use crate::platform::Platform;
use crate::vspace::descriptor::{self, Entry, LAST_LEVEL, Level};

/// Where a walk stopped: the first entry that is no table, or one of the last level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// Physical address of the entry.
    pub(super) at: u64,
    pub(super) level: Level,
    pub(super) entry: Entry,
}

impl Stop {
    /// log2 of what the entry covers.
    pub(super) fn bits_left(self) -> u32 {
        descriptor::covered_bits(self.level)
    }
}

impl<P: Platform> Kernel<P> {
    fn read_entry(&self, at: u64) -> u64 {
        let [word] = self.platform.words::<1>(at);
        word.get()
    }

    /// Follows tables for `vaddr` as far as they go.
    #[inline(always)]
    pub(super) fn walk(&self, root: TableRef, vaddr: u64) -> Stop {
        let mut table = root.paddr();
        let mut level = 0;
        loop {
            let at = table.wrapping_add(descriptor::index(vaddr, level).wrapping_mul(8));
            let raw = self.read_entry(at);
            match descriptor::next_table(raw) {
                Some(next) if level < LAST_LEVEL => {
                    table = next;
                    level = level.wrapping_add(1);
                }
                _ => return Stop { at, level, entry: descriptor::decode(raw, level) },
            }
        }
    }

    /// The entry that maps exactly this frame at `vaddr`, if it is still there, and its rights.
    pub(super) fn mapped_frame(
        &self,
        root: TableRef,
        vaddr: u64,
        base: u64,
        size: FrameSize,
    ) -> Option<(Stop, VmRights)> {
        let stop = self.walk(root, vaddr);
        match stop.entry {
            Entry::Leaf { base: mapped, rights } if mapped == base && stop.bits_left() == size.bits() => {
                Some((stop, rights))
            }
            _ => None,
        }
    }

    /// The entry that points at this table on the path of `vaddr`, if there is one.
    pub(super) fn entry_of_table(&self, root: TableRef, vaddr: u64, wanted: TableRef) -> Option<u64> {
        let mut table = root.paddr();
        for level in 0..LAST_LEVEL {
            let at = table.wrapping_add(descriptor::index(vaddr, level).wrapping_mul(8));
            match descriptor::decode(self.read_entry(at), level) {
                Entry::Table(next) if next == wanted.paddr() => return Some(at),
                Entry::Table(next) => table = next,
                _ => return None,
            }
        }
        None
    }
}

impl<P: Platform> Kernel<P> {
    /// The entry where a walk for `vaddr` stops (for building the initial address space).
    pub(crate) fn boot_entry(&self, root: TableRef, vaddr: u64) -> u64 {
        self.walk(root, vaddr).at
    }
}
