//! A machine of plain memory for the kernel: accesses outside of it are findings.

use hybrid_kernel_core::object::TcbRef;
use hybrid_kernel_core::{CacheOperation, PhysRange, Platform};
use std::cell::Cell;

pub(super) const RAM_START: u64 = 0x4000_0000;
const RAM_BYTES: u64 = 1 << 20;

pub(super) struct Machine {
    memory: Vec<Cell<u64>>,
    pub(super) clock: Cell<u64>,
    pub(super) deadline: Cell<u64>,
    /// Root table, and ASID from bit 48 on; 0 for none.
    pub(super) space: Cell<u64>,
    /// Preemption points until an interrupt waits.
    pub(super) countdown: Cell<Option<u32>>,
}

impl Machine {
    pub(super) fn new() -> Self {
        // Not zero, so that nothing can rely on memory that the kernel did not zero itself.
        let words = usize::try_from(RAM_BYTES / 8).unwrap_or(0);
        Self {
            memory: vec![Cell::new(0xdead_beef_dead_beef); words],
            clock: Cell::new(1000),
            deadline: Cell::new(u64::MAX),
            space: Cell::new(0),
            countdown: Cell::new(None),
        }
    }

    pub(super) const fn ram() -> PhysRange {
        PhysRange { start: RAM_START, end: RAM_START + RAM_BYTES }
    }

    fn index(&self, paddr: u64) -> usize {
        assert_eq!(paddr % 8, 0, "unaligned access to {paddr:#x}");
        let offset = paddr.checked_sub(RAM_START).unwrap_or_else(|| panic!("access below memory: {paddr:#x}"));
        usize::try_from(offset / 8).unwrap_or(usize::MAX)
    }
}

impl Platform for Machine {
    const CORES: usize = 1;

    fn core(&self) -> usize {
        0
    }
    fn words<const N: usize>(&self, paddr: u64) -> &[Cell<u64>; N] {
        let index = self.index(paddr);
        let words = self.memory.get(index..index.saturating_add(N)).and_then(|words| words.try_into().ok());
        words.unwrap_or_else(|| panic!("access beyond memory: {paddr:#x}"))
    }
    fn zero(&self, paddr: u64, bytes: u64) {
        assert_eq!((paddr | bytes) % 16, 0, "zero({paddr:#x}, {bytes:#x})");
        let index = self.index(paddr);
        let words = self.memory.get(index..index + usize::try_from(bytes / 8).unwrap_or(usize::MAX));
        words.unwrap_or_else(|| panic!("zero beyond memory: {paddr:#x}")).iter().for_each(|cell| cell.set(0));
    }
    fn now(&self) -> u64 {
        self.clock.get()
    }
    fn ticks_per_ms(&self) -> u64 {
        62_500
    }
    fn set_deadline(&self, deadline: u64) {
        self.deadline.set(deadline);
    }
    fn write_table_entry(&self, paddr: u64, value: u64) {
        self.words::<1>(paddr)[0].set(value);
    }
    fn invalidate_asid(&self, asid: u16) {
        assert_ne!(asid, 0, "the ASID of no address space");
    }
    fn invalidate_page(&self, asid: u16, _vaddr: u64) {
        assert_ne!(asid, 0, "the ASID of no address space");
    }
    fn maintain_cache(&self, _operation: CacheOperation, paddr: u64, bytes: u64) {
        assert!(paddr.checked_add(bytes).is_some());
    }
    fn set_address_space(&self, space: u64) {
        self.space.set(space);
    }
    fn release_fp(&self, _thread: TcbRef) {}
    fn thread_changed(&self, _thread: TcbRef) {}
    fn must_stop(&self, has_budget: bool) -> bool {
        if !has_budget {
            return true;
        }
        match self.countdown.get() {
            None => false,
            Some(0) => {
                self.countdown.set(None);
                true
            }
            Some(count) => {
                self.countdown.set(Some(count - 1));
                false
            }
        }
    }
    fn stop_core(&self, core: usize) {
        panic!("there is no core {core}");
    }
    fn wake_core(&self, core: usize) {
        panic!("there is no core {core}");
    }
    fn drop_address_space(&self, core: usize) {
        panic!("there is no core {core}");
    }
    fn route_irq(&self, irq: u32, core: usize) {
        assert!(irq < 1020 && core == 0, "interrupt {irq} to core {core}");
    }
    fn unmask_irq(&self, _core: usize, irq: u32) {
        assert!(irq < 1020, "no such interrupt: {irq}");
    }
    fn mask_irq(&self, _core: usize, irq: u32) {
        assert!(irq < 1020, "no such interrupt: {irq}");
    }
    fn set_irq_trigger(&self, _core: usize, irq: u32, _edge: bool) {
        assert!(irq < 1020, "no such interrupt: {irq}");
    }
    fn hold_irq(&self, _irq: u32) {}
    fn release_irq(&self, _core: usize, _irq: u32) {}
    fn end_irq(&self, _irq: u32) {}
    fn max_sgi_target(&self) -> u64 {
        7
    }
    fn send_sgi(&self, sgi: u32, target: u64) {
        assert!(sgi < 16 && target <= 7);
    }
    fn power_off(&self) {}
    fn reset(&self) {}
    fn put_char(&self, _character: u8) {}
}
