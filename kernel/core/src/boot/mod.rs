//! From the machine's memory map to the initial thread: boot objects, capabilities, boot info (kernel-abi §10).

mod info;
mod memory;
mod space;

use hybrid_abi::bootinfo::word;
use hybrid_abi::limits::{
    BOOT_TIME_SLICE_MS, BOOT_UNTYPED_CAPS, MAX_PRIORITY, MIN_BUDGET_US, ROOT_CNODE_BITS, ROOT_CNODE_BITS_MAX, TIMER_IRQ,
};
use hybrid_abi::object::SLOT_BITS;
use hybrid_abi::register::SPSR_USER_BITS;
use hybrid_abi::slot as fixed;
use hybrid_abi::vm::USER_TOP;

use crate::cap::{Cap, FrameSize};
use crate::core_state::CORES_MAX;
use crate::cspace::slot_of;
use crate::kernel::{IRQS, Kernel};
use crate::object::{CNodeRef, PoolRef, SchedContextRef, SlotRef, TableRef, TcbRef, TcbSlot, ThreadState, context};
use crate::platform::{CacheOperation, PhysRange, Platform};

use memory::{gaps, is_well_formed};

/// What the machine layer knows when it starts the logic. All lists are sorted, disjoint and page aligned.
#[derive(Clone, Copy, Debug)]
pub struct BootParameters<'a> {
    /// All RAM that the kernel maps.
    pub ram: &'a [PhysRange],
    /// Used memory and registers, in RAM or not: kernel image, device tree, user image, interrupt controller.
    pub reserved: &'a [PhysRange],
    /// Parts of `reserved` RAM that the kernel no longer needs (its boot code): become untyped memory.
    pub recycled: &'a [PhysRange],
    /// The loaded user image: one contiguous range.
    pub image: PhysRange,
    /// Virtual address of the first byte of the image; page aligned.
    pub image_vaddr: u64,
    /// Virtual address of its first instruction.
    pub entry: u64,
    /// Physical address (8-byte aligned) and bytes of the device tree, copied into extra boot info.
    pub device_tree: Option<(u64, u64)>,
    /// First physical address that is no device memory (2^40 for 40-bit machines).
    pub device_top: u64,
    /// Cores that were started, this one included: 1 to [`Platform::CORES`].
    pub cores: usize,
    /// Radix that the root CNode has at least; it grows to what the image needs (boot info says what it is).
    pub root_cnode_bits: u32,
}

/// Why the kernel cannot start user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// No free region is large enough for the boot objects.
    TooLittleMemory,
    /// The user image is empty, misaligned, too large for the root CNode, or reaches over the end of user space.
    BadImage,
    /// A list is unsorted, overlaps or is not page aligned.
    BadMemoryMap,
}

const PAGE: u64 = 4096;
/// Slots of the root CNode that boot leaves free at least; a root task divides memory with them.
const SPARE_SLOTS: u64 = 1024;
/// ASID of the initial address space.
const BOOT_ASID: u16 = 1;
/// log2 bytes of the initial scheduling context.
const BOOT_CONTEXT_BITS: u8 = 7;

/// A page allocator over the boot block that is never given back.
struct Pages {
    next: u64,
    end: u64,
}

impl Pages {
    fn take(&mut self, bytes: u64) -> Result<u64, BootError> {
        let at = self.next;
        let next = at.checked_add(bytes).filter(|next| *next <= self.end).ok_or(BootError::TooLittleMemory)?;
        self.next = next;
        Ok(at)
    }
}

/// Slots of the root CNode, handed out in order.
struct Slots {
    cnode: CNodeRef,
    next: u64,
    count: u64,
    /// The first one that is in no region yet.
    rest: u64,
}

impl Slots {
    /// Those that were handed out since the last call.
    fn region(&mut self) -> (u64, u64) {
        (core::mem::replace(&mut self.rest, self.next), self.next)
    }

    fn fixed(&self, index: u64) -> Result<SlotRef, BootError> {
        slot_of(self.cnode, index).filter(|_| index < self.count).ok_or(BootError::BadImage)
    }

    fn take(&mut self) -> Result<SlotRef, BootError> {
        let slot = self.fixed(self.next)?;
        self.next = self.next.wrapping_add(1);
        Ok(slot)
    }
}

/// Virtual layout of the initial thread.
#[derive(Clone, Copy)]
struct Layout {
    image_pages: u64,
    /// Page tables below the root.
    tables: u64,
    /// Radix of the root CNode.
    cnode_bits: u32,
    ipc_buffer: u64,
    boot_info: u64,
    extra: u64,
    extra_pages: u64,
    extra_len: u64,
    /// End of everything.
    end: u64,
}

impl Layout {
    fn of(parameters: &BootParameters<'_>) -> Result<Self, BootError> {
        let image = parameters.image;
        let is_aligned = (image.start | image.end | parameters.image_vaddr) & (PAGE - 1) == 0;
        if image.start >= image.end || !is_aligned {
            return Err(BootError::BadImage);
        }
        let bytes = image.end.wrapping_sub(image.start);
        let extra_len = info::extra_len(parameters);
        let extra_pages = extra_len.div_ceil(PAGE);
        let after = |base: u64, bytes: u64| base.checked_add(bytes).ok_or(BootError::BadImage);
        let ipc_buffer = after(parameters.image_vaddr, bytes)?;
        let boot_info = after(ipc_buffer, PAGE)?;
        let extra = after(boot_info, PAGE)?;
        let end = after(extra, extra_pages.saturating_mul(PAGE))?;
        let image_pages = bytes / PAGE;
        if end > USER_TOP {
            return Err(BootError::BadImage);
        }
        let tables = space::table_count(parameters.image_vaddr, end);
        // Besides frames and tables: the fixed slots, SchedControl, untyped memory, the Platform and Audit capabilities.
        let slots =
            [image_pages, extra_pages, tables, fixed::FIRST_DYNAMIC, CORES_MAX as u64, BOOT_UNTYPED_CAPS as u64, 2];
        let slots = slots.into_iter().fold(SPARE_SLOTS, u64::saturating_add);
        let cnode_bits = parameters.root_cnode_bits.max(ROOT_CNODE_BITS).max(bits_for(slots));
        if cnode_bits > ROOT_CNODE_BITS_MAX {
            return Err(BootError::BadImage);
        }
        Ok(Self { image_pages, tables, cnode_bits, ipc_buffer, boot_info, extra, extra_pages, extra_len, end })
    }

    fn slots(&self) -> u64 {
        1u64.unbounded_shl(self.cnode_bits)
    }

    fn cnode_bytes(&self) -> u64 {
        self.slots().unbounded_shl(SLOT_BITS)
    }
}

/// The boot objects, before capabilities to them exist.
struct Objects {
    cnode: CNodeRef,
    root: TableRef,
    pool: PoolRef,
    thread: TcbRef,
    context: SchedContextRef,
    boot_info: u64,
    ipc_buffer: u64,
    extra: u64,
}

impl<P: Platform> Kernel<P> {
    /// Makes the initial thread and everything it starts with. Gives the thread to run.
    ///
    /// # Errors
    ///
    /// [`BootError`] if the machine description or the image cannot be used; the kernel is then not started.
    pub fn boot(&self, parameters: &BootParameters<'_>) -> Result<Option<TcbRef>, BootError> {
        let lists = [parameters.ram, parameters.reserved, parameters.recycled];
        if !lists.iter().all(|list| is_well_formed(list)) {
            return Err(BootError::BadMemoryMap);
        }
        self.core_count.set(parameters.cores.clamp(1, P::CORES));
        let layout = Layout::of(parameters)?;
        // Interrupt table (2), root table, pool, boot info, buffer, one page for thread and scheduling context.
        let pages = layout.tables.saturating_add(layout.extra_pages).saturating_add(7);
        let bytes = layout.cnode_bytes().saturating_add(pages.saturating_mul(PAGE));
        let block = boot_block(parameters, bytes, layout.cnode_bytes()).ok_or(BootError::TooLittleMemory)?;
        self.platform.zero(block.start, block.end.wrapping_sub(block.start));

        let mut pages = Pages { next: block.start, end: block.end };
        let objects = self.boot_objects(&mut pages, &layout)?;
        self.start_clock();
        let (next, rest) = (fixed::FIRST_DYNAMIC, fixed::FIRST_DYNAMIC);
        let mut slots = Slots { cnode: objects.cnode, next, count: layout.slots(), rest };
        self.map_boot_tables(&mut pages, &mut slots, objects.root, parameters.image_vaddr, layout.end)?;
        let paging = slots.region();
        self.map_boot_frames(&mut slots, objects.root, objects.extra, layout.extra, layout.extra_pages, false)?;
        let extra_pages = slots.region();
        for core in 0..self.core_count.get() {
            self.insert_root(slots.take()?, Cap::SchedControl { core: core as u64 });
        }
        let sched_control = slots.region();
        let (image, vaddr) = (parameters.image.start, parameters.image_vaddr);
        self.map_boot_frames(&mut slots, objects.root, image, vaddr, layout.image_pages, true)?;
        let image_frames = slots.region();

        self.insert_fixed(&slots, &objects, &layout)?;
        self.insert_untyped(parameters, block, &mut slots, objects.boot_info)?;
        let untyped = slots.region();
        let platform_slot = slots.next;
        self.insert_root(slots.take()?, Cap::Platform);
        let audit_slot = slots.next;
        self.insert_root(slots.take()?, Cap::Audit { irq_table: self.irq_table.get() });
        let regions = [
            (word::EMPTY, (slots.next, layout.slots())),
            (word::USER_IMAGE_FRAMES, image_frames),
            (word::USER_IMAGE_PAGING, paging),
            (word::EXTRA_BI_PAGES, extra_pages),
            (word::SCHED_CONTROL, sched_control),
            (word::UNTYPED, untyped),
        ];
        self.write_boot_info(objects.boot_info, &layout, &regions);
        self.write_extra(objects.extra, parameters, [platform_slot, audit_slot]);
        // What was written since the block was zeroed and user space's uncached views see: everything but the CNode, which
        // comes first.
        let visible = block.start.saturating_add(layout.cnode_bytes());
        self.platform.maintain_cache(CacheOperation::Clean, visible, block.end.saturating_sub(visible));
        self.start_initial_thread(parameters, &objects, &slots, &layout)?;
        Ok(self.leave())
    }

    fn boot_objects(&self, pages: &mut Pages, layout: &Layout) -> Result<Objects, BootError> {
        let missing = BootError::TooLittleMemory;
        let cnode = CNodeRef::new(pages.take(layout.cnode_bytes())?).ok_or(missing)?;
        let table_bytes = (IRQS as u64).wrapping_mul(1 << SLOT_BITS).next_multiple_of(PAGE);
        self.irq_table.set(pages.take(table_bytes)?);
        let root = TableRef::new(pages.take(PAGE)?).ok_or(missing)?;
        let pool = PoolRef::new(pages.take(PAGE)?).ok_or(missing)?;
        let boot_info = pages.take(PAGE)?;
        let ipc_buffer = pages.take(PAGE)?;
        let small = pages.take(PAGE)?;
        let extra = pages.take(layout.extra_pages.wrapping_mul(PAGE))?;
        let thread = TcbRef::new(small).ok_or(missing)?;
        let context = SchedContextRef::new(small.wrapping_add(PAGE / 2)).ok_or(missing)?;
        self.set_pool(0, Some(pool));
        self.set_asid(BOOT_ASID, root);
        Ok(Objects { cnode, root, pool, thread, context, boot_info, ipc_buffer, extra })
    }

    fn start_clock(&self) {
        self.min_budget.set(self.ticks(MIN_BUDGET_US).max(1));
        self.this_core().now.set(self.platform.now());
        self.reserve_irqs();
        self.platform.unmask_irq(0, u32::try_from(TIMER_IRQ).unwrap_or(0));
    }

    fn insert_fixed(&self, slots: &Slots, objects: &Objects, layout: &Layout) -> Result<(), BootError> {
        let cnode = Cap::CNode {
            at: objects.cnode,
            radix: u8::try_from(layout.cnode_bits).unwrap_or(0),
            guard_size: u8::try_from(64u32.saturating_sub(layout.cnode_bits)).unwrap_or(0),
            guard: 0,
        };
        let boot_info = self.map_boot_frame(objects.root, objects.boot_info, layout.boot_info, false);
        let buffer = self.map_boot_frame(objects.root, objects.ipc_buffer, layout.ipc_buffer, false);
        let caps = [
            (fixed::TCB, Cap::Tcb { at: objects.thread }),
            (fixed::CNODE, cnode),
            (fixed::VSPACE, Cap::VSpace { at: objects.root, asid: BOOT_ASID }),
            (fixed::IRQ_CONTROL, Cap::IrqControl),
            (fixed::ASID_CONTROL, Cap::AsidControl),
            (fixed::ASID_POOL, Cap::AsidPool { at: objects.pool, index: 0 }),
            (fixed::BOOT_INFO, boot_info),
            (fixed::IPC_BUFFER, buffer),
            (fixed::DOMAIN, Cap::Domain),
            (fixed::SCHED_CONTEXT, Cap::SchedContext { at: objects.context, bits: BOOT_CONTEXT_BITS }),
        ];
        for (index, cap) in caps {
            self.insert_root(slots.fixed(index)?, cap);
        }
        Ok(())
    }

    fn start_initial_thread(
        &self,
        parameters: &BootParameters<'_>,
        objects: &Objects,
        slots: &Slots,
        layout: &Layout,
    ) -> Result<(), BootError> {
        let thread = objects.thread;
        let tcb = self.tcb(thread);
        for (index, which) in
            [(fixed::CNODE, TcbSlot::CSpace), (fixed::VSPACE, TcbSlot::VSpace), (fixed::IPC_BUFFER, TcbSlot::Buffer)]
        {
            let source = slots.fixed(index)?;
            if let Ok(words) = self.derive_words(source, self.words(source)) {
                self.insert_copy(source, thread.slot(which), words);
            }
        }
        tcb.set_buffer_offset(layout.ipc_buffer & FrameSize::Small.bytes().wrapping_sub(1));
        tcb.set_x::<0>(layout.boot_info);
        tcb.set_pc(parameters.entry);
        tcb.set_fault_ip(parameters.entry);
        tcb.set_context_word(context::SPSR, SPSR_USER_BITS);
        #[cfg(any(test, feature = "debug-calls"))]
        self.debug_created(thread);
        tcb.set_priority(MAX_PRIORITY);
        tcb.set_mcp(MAX_PRIORITY);
        let slice = self.platform.ticks_per_ms().saturating_mul(BOOT_TIME_SLICE_MS);
        self.start_refills(objects.context, slice, 0, 2);
        self.set_state(thread, ThreadState::Running);
        self.bind_context_thread(objects.context, thread);
        Ok(())
    }
}

/// log2 of the smallest CNode with so many slots.
fn bits_for(slots: u64) -> u32 {
    slots.checked_next_power_of_two().map_or(u32::MAX, u64::trailing_zeros)
}

/// Memory for the boot objects: at the end of the last free region that is large enough, aligned to the CNode.
fn boot_block(parameters: &BootParameters<'_>, bytes: u64, alignment: u64) -> Option<PhysRange> {
    let mut found = None;
    for ram in parameters.ram {
        gaps(*ram, &[parameters.reserved], |gap| {
            if let Some(start) = gap.end.checked_sub(bytes) {
                let start = start & !(alignment.wrapping_sub(1));
                // The first page of memory is never an object (references are not 0).
                if start >= gap.start && start > 0 {
                    found = Some(PhysRange { start, end: start.wrapping_add(bytes) });
                }
            }
        });
    }
    found
}
