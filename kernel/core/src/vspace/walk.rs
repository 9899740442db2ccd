//! Walking the page tables of one address space.

use crate::cap::{Frame, VmRights};
use crate::kernel::Kernel;
use crate::object::TableRef;
use crate::platform::Platform;
use crate::vspace::descriptor::{self, Entry, LAST_LEVEL, Level};

/// Where a walk stopped: the first entry that is no table, or one of the last level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Physical address of the entry.
    pub(crate) at: u64,
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
    /// Follows tables for `vaddr` as far as they go.
    #[inline(always)]
    pub(crate) fn walk(&self, root: TableRef, vaddr: u64) -> Stop {
        self.walk_to(root, vaddr, None)
    }

    /// The same, but no further than to the entry that points at the table `wanted`.
    #[inline(always)]
    pub(super) fn walk_to(&self, root: TableRef, vaddr: u64, wanted: Option<u64>) -> Stop {
        let mut table = root.paddr();
        let mut level = 0;
        loop {
            let at = table.wrapping_add(descriptor::index(vaddr, level).wrapping_mul(8));
            let [raw] = self.platform.words::<1>(at);
            match descriptor::next_table(raw.get()) {
                Some(next) if level < LAST_LEVEL && wanted != Some(next) => {
                    table = next;
                    level = level.wrapping_add(1);
                }
                _ => return Stop { at, level, entry: descriptor::decode(raw.get(), level) },
            }
        }
    }

    /// The entry that maps exactly this frame at `vaddr`, if it is still there, and its rights.
    #[inline(always)]
    pub(super) fn mapped_frame(&self, root: TableRef, vaddr: u64, frame: Frame) -> Option<(Stop, VmRights)> {
        let stop = self.walk(root, vaddr);
        let Entry::Leaf { base, rights } = stop.entry else { return None };
        (base == frame.base && stop.bits_left() == frame.size.bits()).then_some((stop, rights))
    }
}
