//! The initial address space: page tables and frame mappings of the image and boot info.

use hybrid_abi::vm::{ATTR_CACHEABLE, ATTR_EXECUTE_NEVER};

use crate::boot::{BOOT_ASID, BootError, PAGE, Pages, Slots};
use crate::cap::{Cap, FrameSize, Mapping, VmRights};
use crate::kernel::Kernel;
use crate::object::TableRef;
use crate::platform::Platform;
use crate::vspace::descriptor::{self, LAST_LEVEL, Level};

/// First address of each table of `level` that `[start, end)` needs.
fn tables_of_level(start: u64, end: u64, level: Level) -> impl Iterator<Item = u64> {
    let bits = descriptor::covered_bits(level.wrapping_sub(1));
    let first = start >> bits;
    let last = end.wrapping_sub(1) >> bits;
    (first..=last).map(move |n| n << bits)
}

/// Page tables below the root that `[start, end)` needs.
pub(super) fn table_count(start: u64, end: u64) -> u64 {
    (1..=LAST_LEVEL).map(|level| tables_of_level(start, end, level).count() as u64).sum()
}

impl<P: Platform> Kernel<P> {
    /// Makes and installs all tables for `[start, end)`, level by level; their capabilities go to the next slots.
    pub(super) fn map_boot_tables(
        &self,
        pages: &mut Pages,
        slots: &mut Slots,
        root: TableRef,
        start: u64,
        end: u64,
    ) -> Result<(), BootError> {
        for level in 1..=LAST_LEVEL {
            for vaddr in tables_of_level(start, end, level) {
                let at = TableRef::new(pages.take(PAGE)?).ok_or(BootError::TooLittleMemory)?;
                let entry = self.walk(root, vaddr).at;
                self.platform.write_table_entry(entry, descriptor::table(at.paddr()));
                let mapping = Some(Mapping { asid: BOOT_ASID, vaddr });
                self.insert_root(slots.take()?, Cap::PageTable { at, mapping });
            }
        }
        Ok(())
    }

    /// Maps consecutive pages of the initial address space, whose tables exist; their capabilities go to the next slots.
    pub(super) fn map_boot_frames(
        &self,
        slots: &mut Slots,
        root: TableRef,
        base: u64,
        vaddr: u64,
        pages: u64,
        is_executable: bool,
    ) -> Result<(), BootError> {
        let mut at = 0;
        for page in 0..pages {
            let (base, vaddr) =
                (base.wrapping_add(page.wrapping_mul(PAGE)), vaddr.wrapping_add(page.wrapping_mul(PAGE)));
            // Within a table the next entry follows the last one; only a new table needs a walk.
            at = if page == 0 || descriptor::index(vaddr, LAST_LEVEL) == 0 {
                self.walk(root, vaddr).at
            } else {
                at.wrapping_add(8)
            };
            self.insert_root(slots.take()?, self.fill_boot_entry(at, base, vaddr, is_executable));
        }
        Ok(())
    }

    /// Maps one page of the initial address space, whose tables exist; gives its capability.
    pub(super) fn map_boot_frame(&self, root: TableRef, base: u64, vaddr: u64, is_executable: bool) -> Cap {
        self.fill_boot_entry(self.walk(root, vaddr).at, base, vaddr, is_executable)
    }

    /// No walker has seen these tables yet, so entries need no barrier of their own: the thread's first address space
    /// is installed after all of them.
    fn fill_boot_entry(&self, at: u64, base: u64, vaddr: u64, is_executable: bool) -> Cap {
        let attributes = ATTR_CACHEABLE | if is_executable { 0 } else { ATTR_EXECUTE_NEVER };
        let [entry] = self.platform.words::<1>(at);
        entry.set(descriptor::leaf(base, LAST_LEVEL, VmRights::ReadWrite, attributes));
        Cap::Frame {
            base,
            size: FrameSize::Small,
            is_device: false,
            rights: VmRights::ReadWrite,
            mapping: Some(Mapping { asid: BOOT_ASID, vaddr }),
        }
    }
}
