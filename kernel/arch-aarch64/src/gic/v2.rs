//! GICv2: distributor and memory-mapped CPU interface (Arm IHI 0048B).

use core::cell::Cell;

use super::bits;
use crate::cores::{self, CORES};
use crate::cpu;
use crate::registers::Registers;

/// A started GICv2. EOImode is 0: end of interrupt also deactivates.
pub(crate) struct GicV2 {
    distributor: Registers,
    cpu_interface: Registers,
    own: [Private; CORES],
}

/// What belongs to one core.
struct Private {
    /// What GICC_IAR said last: GICC_EOIR wants the same value back, with the source core of an SGI.
    taken: Cell<u32>,
    /// The bit of this core's interface.
    target: Cell<u32>,
}

impl GicV2 {
    pub(super) fn start(distributor: Registers, cpu_interface: Registers) -> Self {
        let own = [const { Private { taken: Cell::new(SPURIOUS), target: Cell::new(0) } }; CORES];
        let gic = Self { distributor, cpu_interface, own };
        let d = &gic.distributor;
        d.write(GICD_CTLR, 0);
        let count = bits::implemented(d.read(GICD_TYPER), IRQ_COUNT);
        let own_core = d.read(GICD_ITARGETSR) & 0xff;
        for word in 1..count as usize / 32 {
            d.write(GICD_ICENABLER + 4 * word, u32::MAX);
            d.write(GICD_ICPENDR + 4 * word, u32::MAX);
            d.write(GICD_ICACTIVER + 4 * word, u32::MAX);
        }
        for word in 8..count as usize / 4 {
            d.write(GICD_IPRIORITYR + 4 * word, PRIORITY);
            d.write(GICD_ITARGETSR + 4 * word, own_core * 0x0101_0101);
        }
        for word in 2..count as usize / 16 {
            d.write(GICD_ICFGR + 4 * word, 0);
        }
        d.write(GICD_CTLR, 1);
        gic.start_core(0);
        gic
    }

    /// The part that each core does for itself: its banked registers and its interface.
    pub(super) fn start_core(&self, core: usize) {
        let (d, c) = (&self.distributor, &self.cpu_interface);
        d.write(GICD_ICENABLER, 0xffff_0000);
        d.write(GICD_ISENABLER, 0x0000_ffff);
        d.write(GICD_ICPENDR, u32::MAX);
        d.write(GICD_ICACTIVER, u32::MAX);
        for word in 0..8 {
            d.write(GICD_IPRIORITYR + 4 * word, PRIORITY);
        }
        if let Some(own) = self.own.get(core) {
            own.target.set(d.read(GICD_ITARGETSR) & 0xff);
        }
        c.write(GICC_PMR, 0xff);
        c.write(GICC_BPR, 7);
        c.write(GICC_CTLR, 1);
        cpu::dsb_sy();
    }

    /// Sends a shared interrupt to a core from now on.
    pub(super) fn route(&self, irq: u32, core: usize) {
        let Some(target) = self.own.get(core).map(|own| own.target.get()) else { return };
        let (offset, shift) = bits::byte(GICD_ITARGETSR, irq);
        let others = self.distributor.read(offset) & !(0xff << shift);
        self.distributor.write(offset, others | target << shift);
        cpu::dsb_sy();
    }

    /// Raises SGI `sgi` at a core of ours.
    pub(super) fn interrupt_core(&self, core: usize, sgi: u32) {
        let Some(target) = self.own.get(core).map(|own| own.target.get()) else { return };
        cpu::dsb_ishst();
        self.distributor.write(GICD_SGIR, target << 16 | sgi & 15);
    }

    pub(super) fn acknowledge(&self) -> Option<u32> {
        let value = self.cpu_interface.read(GICC_IAR);
        self.own[cores::number()].taken.set(value);
        let irq = value & 0x3ff;
        (irq < SPECIAL_FIRST).then_some(irq)
    }

    pub(super) fn end(&self, irq: u32) {
        let taken = self.own[cores::number()].taken.get();
        let value = if taken & 0x3ff == irq { taken } else { irq };
        self.cpu_interface.write(GICC_EOIR, value);
        cpu::dsb_sy();
    }

    pub(super) fn hold(&self, irq: u32) {
        self.mask(irq);
        self.end(irq);
    }

    pub(super) fn unmask(&self, irq: u32) {
        let (offset, bit) = bits::flag(GICD_ISENABLER, irq);
        self.distributor.write(offset, bit);
        cpu::dsb_sy();
    }

    pub(super) fn mask(&self, irq: u32) {
        let (offset, bit) = bits::flag(GICD_ICENABLER, irq);
        self.distributor.write(offset, bit);
        cpu::dsb_sy();
    }

    pub(super) fn set_edge_triggered(&self, irq: u32, edge: bool) {
        let (offset, bit) = bits::trigger(GICD_ICFGR, irq);
        let others = self.distributor.read(offset) & !bit;
        self.distributor.write(offset, others | if edge { bit } else { 0 });
        cpu::dsb_sy();
    }

    pub(super) fn send(&self, sgi: u32, target: u64) {
        cpu::dsb_ishst();
        self.distributor.write(GICD_SGIR, 1 << (16 + (target & 7)) | sgi & 15);
        cpu::dsb_sy();
    }
}

const IRQ_COUNT: u32 = 160;
const SPECIAL_FIRST: u32 = 1020;
const SPURIOUS: u32 = 1023;
/// All interrupts have the same priority, in the middle of the range.
const PRIORITY: u32 = 0xa0a0_a0a0;
const GICD_CTLR: usize = 0x000;
const GICD_TYPER: usize = 0x004;
const GICD_ISENABLER: usize = 0x100;
const GICD_ICENABLER: usize = 0x180;
const GICD_ICPENDR: usize = 0x280;
const GICD_ICACTIVER: usize = 0x380;
const GICD_IPRIORITYR: usize = 0x400;
const GICD_ITARGETSR: usize = 0x800;
const GICD_ICFGR: usize = 0xc00;
const GICD_SGIR: usize = 0xf00;
const GICC_CTLR: usize = 0x00;
const GICC_PMR: usize = 0x04;
const GICC_BPR: usize = 0x08;
const GICC_IAR: usize = 0x0c;
const GICC_EOIR: usize = 0x10;
