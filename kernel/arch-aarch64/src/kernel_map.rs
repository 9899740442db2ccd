//! The kernel's own translation tables after entry.s made the first ones; user tables are the core's.
//!
//! Entries go from invalid to valid only, but for [`KernelMap::forget`], so no break-before-make is needed.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::cpu;
use crate::descriptor::{self, KernelPage};
use crate::layout::{self, PAGE_SIZE};
use crate::regions::Range;
use crate::registers::Registers;

/// The kernel's tables and the place for more of them.
pub(crate) struct KernelMap {
    image_physical: u64,
    devices_used: u64,
}

/// No translation table is left for a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfTables;

impl KernelMap {
    /// Takes over the tables that entry.s made.
    ///
    /// # Safety
    /// 1. Called once, on the boot core. 2. `image_physical` is where the image was loaded.
    pub(crate) unsafe fn take(image_physical: u64) -> Self {
        Self { image_physical, devices_used: 0 }
    }

    /// Physical range of the kernel image, BSS, stack and tables included.
    pub(crate) fn image(&self) -> Range {
        Range::of_size(self.image_physical, symbol(&raw const __image_end) - layout::IMAGE_BASE)
    }

    /// Maps physical pages at `address`, with the largest blocks that fit. Both ends are page aligned.
    ///
    /// # Errors
    /// [`OutOfTables`]; part of the range is then mapped.
    ///
    /// # Safety
    /// 1. Nothing is mapped at these addresses. 2. Rust's view of that memory allows this alias: for `Normal` nobody else owns
    ///    it, for `ReadOnly` nobody writes it while it is read, for `Device` it is no RAM.
    pub(crate) unsafe fn map(&mut self, address: u64, physical: Range, kind: KernelPage) -> Result<(), OutOfTables> {
        let mut offset = 0;
        while offset < physical.size() {
            let rest = physical.size() - offset;
            let (from, to) = (address + offset, physical.start + offset);
            let level = (1..=2).find(|&level| {
                let size = 1 << descriptor::shift(level);
                (from | to) & (size - 1) == 0 && rest >= size
            });
            let level = level.unwrap_or(3);
            let entry = if level == 3 { descriptor::page(to, kind) } else { descriptor::block(to, kind) };
            let slot = self.slot(from, level)?;
            // SAFETY: `slot` is an entry of a kernel table; promises 1 and 2 make the mapping sound.
            unsafe { slot.write_volatile(entry) };
            offset += 1 << descriptor::shift(level);
        }
        cpu::dsb_ishst();
        cpu::isb();
        Ok(())
    }

    /// Maps device registers into the next free place of the device window.
    ///
    /// # Errors
    /// [`OutOfTables`] if the window is full.
    ///
    /// # Safety
    /// `physical` is a range of device registers, not RAM, and the device does no DMA that the kernel did not ask for.
    pub(crate) unsafe fn map_device(&mut self, physical: Range) -> Result<Registers, OutOfTables> {
        let pages = physical.grown_to_pages();
        if self.devices_used + pages.size() > layout::DEVICE_SIZE {
            return Err(OutOfTables);
        }
        let address = layout::DEVICE_BASE + self.devices_used;
        self.devices_used += pages.size();
        // SAFETY: this part of the window has not been handed out before; the caller says that it is a device.
        unsafe { self.map(address, pages, KernelPage::Device)? };
        let base = address + (physical.start - pages.start);
        // SAFETY: just mapped, for good; the caller says that it does no DMA of its own.
        Ok(unsafe { Registers::new(base as usize, physical.size() as usize) })
    }

    /// Unmaps pages of the image, or of the window through which boot code read the device tree.
    ///
    /// # Safety
    /// Nothing uses these pages, now or later; no reference into them is alive.
    pub(crate) unsafe fn forget(&mut self, address: u64, pages: u64) {
        for page in 0..pages {
            if let Ok(slot) = self.slot(address + page * PAGE_SIZE, 3) {
                // SAFETY: an entry of a table of the kernel; by the caller nobody uses what it maps.
                unsafe { slot.write_volatile(0) };
            }
        }
        cpu::dsb_ishst();
        cpu::invalidate_tlbs();
        cpu::dsb_ish();
        cpu::isb();
    }

    /// The entry for `address` in the table of `level`, with the tables above it made as needed.
    fn slot(&mut self, address: u64, level: u32) -> Result<*mut u64, OutOfTables> {
        let mut table: *mut u64 = (&raw const __table_root).cast::<u64>().cast_mut();
        for above in 0..level {
            // SAFETY: the index is below 512 and `table` is a table of 512 entries.
            let slot = unsafe { table.add(descriptor::index(address, above)) };
            // SAFETY: tables of the kernel live in its image for ever.
            let entry = unsafe { slot.read_volatile() };
            let next = match descriptor::as_table(entry) {
                Some(physical) => self.table_at(physical),
                None => {
                    let next = new_table()?;
                    let entry = descriptor::table(next.addr() as u64 - layout::IMAGE_BASE + self.image_physical);
                    // The zeros of the new table must be visible to the walker before it is linked.
                    cpu::dsb_ishst();
                    // SAFETY: as for the read; an invalid entry becomes a table.
                    unsafe { slot.write_volatile(entry) };
                    next
                }
            };
            table = next;
        }
        // SAFETY: as above.
        Ok(unsafe { table.add(descriptor::index(address, level)) })
    }

    fn table_at(&self, physical: u64) -> *mut u64 {
        let address = physical - self.image_physical + layout::IMAGE_BASE;
        core::ptr::with_exposed_provenance_mut(address as usize)
    }
}

fn new_table() -> Result<*mut u64, OutOfTables> {
    let index = TABLES_USED.fetch_add(1, Ordering::Relaxed);
    if index >= SPARE_TABLES {
        return Err(OutOfTables);
    }
    let tables = (&raw const __spare_tables).cast::<[u64; 512]>().cast_mut();
    // SAFETY: the index is inside of the area that the linker script sets aside for this, and handed out only once.
    let table = unsafe { tables.add(index) };
    let _ = table.expose_provenance();
    // SAFETY: as above. The area is not cleared with the BSS: boot does not spend time on tables that nobody needs.
    unsafe { table.write_bytes(0, 1) };
    Ok(table.cast())
}

fn symbol(address: *const u8) -> u64 {
    address.addr() as u64
}

/// As in kernel.ld: enough for the device tree window and for about 14 pieces of RAM that are not aligned to 2 MiB or 1 GiB.
const SPARE_TABLES: usize = 32;
static TABLES_USED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static __table_root: u8;
    static __spare_tables: u8;
    static __image_end: u8;
}
