//! GICv3: distributor, redistributors, system-register CPU interface (Arm IHI 0069).

use core::cell::Cell;

use super::bits;
use crate::cores::CORES;
use crate::cpu;
use crate::registers::Registers;

/// A started GICv3. EOImode is 1: end of interrupt drops the priority, a second write deactivates.
pub(crate) struct GicV3 {
    distributor: Registers,
    own: [Cell<Private>; CORES],
}

/// What belongs to one core.
#[derive(Clone, Copy)]
struct Private {
    affinity: u64,
    redistributor: Registers,
    /// The SGI and PPI frame of it.
    registers: Registers,
}

impl Private {
    fn new(affinity: u64, redistributor: Registers) -> Self {
        Self { affinity, redistributor, registers: redistributor.from(0x1_0000) }
    }
}

impl GicV3 {
    pub(super) fn start(distributor: Registers, redistributor: Registers) -> Option<Self> {
        let first = Private::new(cpu::affinity(), redistributor);
        let gic = Self { distributor, own: core::array::from_fn(|_| Cell::new(first)) };
        gic.start_distributor();
        gic.start_core(0).then_some(gic)
    }

    /// Says which core will have a number, and where its redistributor is.
    #[cfg(feature = "smp")]
    pub(super) fn expect_core(&self, core: usize, affinity: u64, redistributor: Registers) {
        if let Some(own) = self.own.get(core) {
            own.set(Private::new(affinity, redistributor));
        }
    }

    /// The part that each core does for itself. False if EL1 has no access to the system registers.
    pub(super) fn start_core(&self, core: usize) -> bool {
        let Some(own) = self.own.get(core) else { return false };
        start_redistributor(&own.get());
        cpu::set_icc_sre(1);
        cpu::isb();
        if cpu::icc_sre() & 1 == 0 {
            return false;
        }
        cpu::set_icc_priority_mask(0xff);
        cpu::set_icc_binary_point(7);
        cpu::set_icc_control(EOI_MODE);
        cpu::set_icc_group_enable(1);
        cpu::isb();
        true
    }

    fn start_distributor(&self) {
        let d = &self.distributor;
        d.write(CTLR, 0);
        self.wait_for_distributor();
        d.write(CTLR, AFFINITY_ROUTING);
        self.wait_for_distributor();
        let count = bits::implemented(d.read(GICD_TYPER), IRQ_COUNT);
        for word in 1..count as usize / 32 {
            d.write(ICENABLER + 4 * word, u32::MAX);
            d.write(ICPENDR + 4 * word, u32::MAX);
            d.write(ICACTIVER + 4 * word, u32::MAX);
            d.write(IGROUPR + 4 * word, u32::MAX);
            d.write(IGRPMODR + 4 * word, 0);
        }
        self.wait_for_distributor();
        for word in 8..count as usize / 4 {
            d.write(IPRIORITYR + 4 * word, PRIORITY);
        }
        for word in 2..count as usize / 16 {
            d.write(ICFGR + 4 * word, 0);
        }
        for irq in 32..count as usize {
            d.write_wide(GICD_IROUTER + 8 * irq, bits::route(cpu::affinity()));
        }
        d.write(CTLR, AFFINITY_ROUTING | GROUP_1_ENABLE);
        self.wait_for_distributor();
    }

    pub(super) fn acknowledge(&self) -> Option<u32> {
        let irq = u32::try_from(cpu::icc_acknowledge() & 0xff_ffff).ok()?;
        // GICv3 §4.1.1: the acknowledge must be visible before the handler's accesses.
        cpu::dsb_sy();
        if irq >= LPI_FIRST {
            // Nobody asked for it; unended, it would keep all others of its priority away. LPIs are never active.
            cpu::icc_end(u64::from(irq));
            cpu::isb();
        }
        (irq < SPECIAL_FIRST).then_some(irq)
    }

    pub(super) fn end(&self, irq: u32) {
        cpu::icc_end(u64::from(irq));
        self.release(irq);
    }

    pub(super) fn hold(&self, irq: u32) {
        cpu::icc_end(u64::from(irq));
        cpu::isb();
    }

    pub(super) fn release(&self, irq: u32) {
        cpu::icc_deactivate(u64::from(irq));
        cpu::isb();
    }

    pub(super) fn unmask(&self, core: usize, irq: u32) {
        let (offset, bit) = bits::flag(ISENABLER, irq);
        self.bank(core, irq).write(offset, bit);
        cpu::dsb_sy();
    }

    pub(super) fn mask(&self, core: usize, irq: u32) {
        let (offset, bit) = bits::flag(ICENABLER, irq);
        self.bank(core, irq).write(offset, bit);
        if irq < 32 {
            wait_for_redistributor(&self.private(core).redistributor)
        } else {
            self.wait_for_distributor()
        }
        cpu::dsb_sy();
    }

    pub(super) fn set_edge_triggered(&self, core: usize, irq: u32, edge: bool) {
        if irq < 16 {
            return;
        }
        let (offset, bit) = bits::trigger(ICFGR, irq);
        let bank = self.bank(core, irq);
        let others = bank.read(offset) & !bit;
        bank.write(offset, others | if edge { bit } else { 0 });
        cpu::dsb_sy();
    }

    /// Sends a shared interrupt to a core from now on.
    pub(super) fn route(&self, irq: u32, core: usize) {
        self.distributor.write_wide(GICD_IROUTER + 8 * irq as usize, bits::route(self.private(core).affinity));
        cpu::dsb_sy();
    }

    /// Raises SGI `sgi` at a core of ours.
    pub(super) fn interrupt_core(&self, core: usize, sgi: u32) {
        send(sgi, bits::packed_affinity(self.private(core).affinity));
    }

    fn private(&self, core: usize) -> Private {
        let [first, ..] = &self.own;
        self.own.get(core).unwrap_or(first).get()
    }

    fn bank(&self, core: usize, irq: u32) -> Registers {
        if irq < 32 { self.private(core).registers } else { self.distributor }
    }

    fn wait_for_distributor(&self) {
        wait_until(|| self.distributor.read(CTLR) & DISTRIBUTOR_WRITE_PENDING == 0);
    }
}

fn start_redistributor(own: &Private) {
    let r = &own.redistributor;
    r.write(GICR_WAKER, r.read(GICR_WAKER) & !PROCESSOR_SLEEP);
    wait_until(|| r.read(GICR_WAKER) & CHILDREN_ASLEEP == 0);
    let p = &own.registers;
    p.write(ICENABLER, 0xffff_0000);
    p.write(ICPENDR, u32::MAX);
    p.write(ICACTIVER, u32::MAX);
    p.write(IGROUPR, u32::MAX);
    p.write(IGRPMODR, 0);
    for word in 0..8 {
        p.write(IPRIORITYR + 4 * word, PRIORITY);
    }
    p.write(ISENABLER, 0x0000_ffff);
    wait_for_redistributor(r);
}

fn wait_for_redistributor(redistributor: &Registers) {
    wait_until(|| redistributor.read(CTLR) & REDISTRIBUTOR_WRITE_PENDING == 0);
}

/// Raises SGI `sgi` at the core with packed affinity `target`.
pub(super) fn send(sgi: u32, target: u64) {
    cpu::dsb_ishst();
    cpu::icc_software_interrupt(bits::software_interrupt(sgi, target));
    cpu::isb();
}

/// Polls; gives up after a while, since broken hardware must not hang the kernel silently.
fn wait_until(is_done: impl Fn() -> bool) {
    let _ = (0..POLLS_MAX).take_while(|_| !is_done()).count();
}

pub(super) const REDISTRIBUTOR_TYPE: usize = 0x08;
const POLLS_MAX: u32 = 1_000_000;
const IRQ_COUNT: u32 = 160;
const SPECIAL_FIRST: u32 = 1020;
const LPI_FIRST: u32 = 8192;
const PRIORITY: u32 = 0xa0a0_a0a0;
const CTLR: usize = 0x000;
const GICD_TYPER: usize = 0x004;
const GICR_WAKER: usize = 0x014;
const IGROUPR: usize = 0x080;
const ISENABLER: usize = 0x100;
const ICENABLER: usize = 0x180;
const ICPENDR: usize = 0x280;
const ICACTIVER: usize = 0x380;
const IPRIORITYR: usize = 0x400;
const ICFGR: usize = 0xc00;
const IGRPMODR: usize = 0xd00;
const GICD_IROUTER: usize = 0x6000;
const AFFINITY_ROUTING: u32 = 1 << 4;
/// Both positions that mean "group 1, non-secure" (GICD_CTLR by security state).
const GROUP_1_ENABLE: u32 = 0b11;
const DISTRIBUTOR_WRITE_PENDING: u32 = 1 << 31;
const REDISTRIBUTOR_WRITE_PENDING: u32 = 1 << 3;
const PROCESSOR_SLEEP: u32 = 1 << 1;
const CHILDREN_ASLEEP: u32 = 1 << 2;
const EOI_MODE: u64 = 1 << 1;
