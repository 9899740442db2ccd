//! The Arm Generic Interrupt Controller, version 2 (Arm IHI 0048B) or 3 (IHI 0069); decides nothing about interrupts.
//!
//! The versions share the distributor's registers. They differ in how a core takes interrupts: GICv2 by mapped registers and with
//! EOImode 0 (the end of an interrupt also deactivates it, so one that is held is masked), GICv3 by system registers and with
//! EOImode 1 (a second write deactivates). IDs over 159 stay disabled (kernel-abi §8.1).

use core::cell::Cell;

use hybrid_kernel_machine::gic as bits;

use crate::cores::{self, CORES};
use crate::cpu;
use crate::registers::Registers;

/// A started interrupt controller.
pub(crate) struct Gic {
    distributor: Registers,
    /// GICv2: the CPU interface.
    interface: Option<Registers>,
    own: [Own; CORES],
}

/// What belongs to one core.
struct Own {
    /// GICv3: the two frames of its redistributor.
    redistributor: Cell<Registers>,
    /// GICv2: the bit of its interface. GICv3: its affinity, packed.
    target: Cell<u64>,
    /// GICv2: what GICC_IAR said last: GICC_EOIR wants the same value back, with the source core of an SGI.
    taken: Cell<u32>,
}

impl Gic {
    /// Brings a GICv2 to the boot state of kernel-abi §8.6. Never `None`.
    pub(crate) fn v2(distributor: Registers, interface: Registers) -> Option<Self> {
        Self::start(distributor, Some(interface), distributor)
    }

    /// Brings a GICv3 to the boot state of kernel-abi §8.6. `redistributor` is this core's pair of 64 KiB frames.
    ///
    /// Returns `None` if EL1 has no access to its system registers.
    pub(crate) fn v3(distributor: Registers, redistributor: Registers) -> Option<Self> {
        Self::start(distributor, None, redistributor)
    }

    fn start(distributor: Registers, interface: Option<Registers>, redistributor: Registers) -> Option<Self> {
        let own = |_| Own {
            redistributor: Cell::new(redistributor),
            target: Cell::new(own_target(&distributor, interface.is_none())),
            taken: Cell::new(SPURIOUS),
        };
        let gic = Self { distributor, interface, own: core::array::from_fn(own) };
        gic.start_distributor();
        gic.start_core(0).then_some(gic)
    }

    fn start_distributor(&self) {
        let d = &self.distributor;
        let enable = if self.is_v3() { AFFINITY_ROUTING | GROUP_1_ENABLE } else { GICV2_ENABLE };
        for state in [0, enable & AFFINITY_ROUTING] {
            d.write(CTLR, state);
            self.wait_for_distributor();
        }
        let count = bits::implemented(d.read(GICD_TYPER), IRQ_COUNT);
        for word in 1..count as usize / 32 {
            self.reset(d, word);
        }
        self.wait_for_distributor();
        for word in 8..count as usize / 4 {
            d.write(IPRIORITYR + 4 * word, PRIORITY);
        }
        for word in 2..count as usize / 16 {
            d.write(ICFGR + 4 * word, 0);
        }
        for irq in 32..count {
            self.route(irq, 0);
        }
        d.write(CTLR, enable);
        self.wait_for_distributor();
    }

    /// Disables 32 interrupts; none of them is pending or active afterwards.
    fn reset(&self, bank: &Registers, word: usize) {
        for register in [ICENABLER, ICPENDR, ICACTIVER] {
            bank.write(register + 4 * word, u32::MAX);
        }
        if self.is_v3() {
            bank.write(IGROUPR + 4 * word, u32::MAX);
            bank.write(IGRPMODR + 4 * word, 0);
        }
    }

    /// Before a core is started: GICv3 finds its part at `redistributor`.
    #[cfg(feature = "smp")]
    pub(crate) fn expect_core(&self, core: usize, redistributor: Option<Registers>) {
        if let (Some(own), Some(redistributor)) = (self.own.get(core), redistributor) {
            own.redistributor.set(redistributor);
        }
    }

    /// Brings the calling core's part to the boot state, as core number `core`. False if EL1 has no access to it.
    pub(crate) fn start_core(&self, core: usize) -> bool {
        let Some(own) = self.own.get(core) else { return false };
        own.target.set(own_target(&self.distributor, self.is_v3()));
        let (r, bank) = (own.redistributor.get(), self.bank(core, 0));
        if self.is_v3() {
            r.write(GICR_WAKER, r.read(GICR_WAKER) & !PROCESSOR_SLEEP);
            wait_until(|| r.read(GICR_WAKER) & CHILDREN_ASLEEP == 0);
        }
        self.reset(&bank, 0);
        for word in 0..8 {
            bank.write(IPRIORITYR + 4 * word, PRIORITY);
        }
        bank.write(ISENABLER, ALL_SGIS);
        if let Some(c) = &self.interface {
            c.write(GICC_PMR, 0xff);
            c.write(GICC_BPR, 7);
            c.write(GICC_CTLR, 1);
            cpu::dsb_sy();
            return true;
        }
        wait_for_redistributor(&r);
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

    /// Takes the highest pending interrupt; `None` if it was spurious.
    pub(crate) fn acknowledge(&self) -> Option<u32> {
        let irq = match &self.interface {
            Some(interface) => {
                let value = interface.read(GICC_IAR);
                self.own[cores::number()].taken.set(value);
                value & 0x3ff
            }
            None => {
                let irq = (cpu::icc_acknowledge() & 0xff_ffff) as u32;
                // GICv3 §4.1.1: the acknowledge must be visible before the handler's accesses.
                cpu::dsb_sy();
                if irq >= LPI_FIRST {
                    // Nobody asked for it; unended, it would keep all others of its priority away. LPIs are never active.
                    cpu::icc_end(u64::from(irq));
                    cpu::isb();
                }
                irq
            }
        };
        (irq < SPECIAL_FIRST).then_some(irq)
    }

    /// Ends a taken interrupt; it may come again at once.
    pub(crate) fn end(&self, irq: u32) {
        match &self.interface {
            Some(interface) => {
                let taken = self.own[cores::number()].taken.get();
                interface.write(GICC_EOIR, if taken & 0x3ff == irq { taken } else { irq });
                cpu::dsb_sy();
            }
            None => {
                cpu::icc_end(u64::from(irq));
                self.release(irq);
            }
        }
    }

    /// Ends a taken interrupt but keeps it away until [`Gic::release`].
    pub(crate) fn hold(&self, irq: u32) {
        if self.is_v3() {
            cpu::icc_end(u64::from(irq));
            cpu::isb();
        } else {
            set_flag(&self.distributor, ICENABLER, irq);
            self.end(irq);
        }
    }

    /// Lets a held interrupt come again. A private one: by its own core.
    pub(crate) fn release(&self, irq: u32) {
        if self.is_v3() {
            cpu::icc_deactivate(u64::from(irq));
            cpu::isb();
        } else {
            set_flag(&self.distributor, ISENABLER, irq);
        }
    }

    /// Enables an interrupt, a private one of a core. GICv2: by that core.
    pub(crate) fn unmask(&self, core: usize, irq: u32) {
        set_flag(&self.bank(core, irq), ISENABLER, irq);
    }

    /// Disables an interrupt, a private one of a core; complete on return. GICv2: by that core.
    pub(crate) fn mask(&self, core: usize, irq: u32) {
        set_flag(&self.bank(core, irq), ICENABLER, irq);
        match self.own.get(core) {
            Some(own) if self.is_v3() && irq < 32 => wait_for_redistributor(&own.redistributor.get()),
            _ if self.is_v3() => self.wait_for_distributor(),
            _ => {}
        }
    }

    /// Chooses edge or level triggering; SGIs ignore it. GICv2: a private one by its core.
    pub(crate) fn set_edge_triggered(&self, core: usize, irq: u32, edge: bool) {
        if irq >= 16 {
            let (offset, bit) = bits::trigger(ICFGR, irq);
            let bank = self.bank(core, irq);
            bank.write(offset, bank.read(offset) & !bit | if edge { bit } else { 0 });
            cpu::dsb_sy();
        }
    }

    /// Sends a shared interrupt to a core from now on.
    pub(crate) fn route(&self, irq: u32, core: usize) {
        let Some(target) = self.own.get(core).map(|own| own.target.get()) else { return };
        if self.is_v3() {
            self.distributor.write_wide(GICD_IROUTER + 8 * irq as usize, bits::route(target));
        } else {
            let (offset, shift) = bits::byte(GICD_ITARGETSR, irq);
            let others = self.distributor.read(offset) & !(0xff << shift);
            self.distributor.write(offset, others | (target as u32) << shift);
        }
        cpu::dsb_sy();
    }

    /// Raises SGI `sgi` at a core of ours.
    pub(crate) fn interrupt_core(&self, core: usize, sgi: u32) {
        if let Some(own) = self.own.get(core) {
            self.raise(sgi, own.target.get());
        }
    }

    /// Raises SGI `sgi` (0 to 15) at `target`.
    pub(crate) fn send(&self, sgi: u32, target: u64) {
        self.raise(sgi, if self.is_v3() { target } else { 1 << (target & 7) });
    }

    fn raise(&self, sgi: u32, target: u64) {
        cpu::dsb_ishst();
        if self.is_v3() {
            cpu::icc_software_interrupt(bits::software_interrupt(sgi, target));
            cpu::isb();
        } else {
            self.distributor.write(GICD_SGIR, (target as u32) << 16 | sgi & 15);
            cpu::dsb_sy();
        }
    }

    /// Highest valid `target` of [`Gic::send`].
    pub(crate) fn max_target(&self) -> u64 {
        if self.is_v3() { 0xffff_ffff } else { 7 }
    }

    /// GICv3, else GICv2: then a private interrupt can be changed by its own core only.
    pub(crate) fn is_v3(&self) -> bool {
        self.interface.is_none()
    }

    /// The registers that hold the bits of an interrupt.
    fn bank(&self, core: usize, irq: u32) -> Registers {
        match self.own.get(core) {
            Some(own) if self.is_v3() && irq < 32 => own.redistributor.get().from(0x1_0000),
            _ => self.distributor,
        }
    }

    fn wait_for_distributor(&self) {
        wait_until(|| self.distributor.read(CTLR) & DISTRIBUTOR_WRITE_PENDING == 0);
    }
}

/// [`Own::target`] of the calling core.
fn own_target(distributor: &Registers, is_v3: bool) -> u64 {
    if is_v3 { bits::packed_affinity(cpu::affinity()) } else { u64::from(distributor.read(GICD_ITARGETSR) & 0xff) }
}

/// Writes the bit of an interrupt; complete on return.
#[inline]
fn set_flag(bank: &Registers, register: usize, irq: u32) {
    let (offset, bit) = bits::flag(register, irq);
    bank.write(offset, bit);
    cpu::dsb_sy();
}

fn wait_for_redistributor(redistributor: &Registers) {
    wait_until(|| redistributor.read(CTLR) & REDISTRIBUTOR_WRITE_PENDING == 0);
}

/// Polls; gives up after a while, since broken hardware must not hang the kernel silently.
fn wait_until(is_done: impl Fn() -> bool) {
    let _ = (0..POLLS_MAX).take_while(|_| !is_done()).count();
}

/// Whether the 128 KiB of redistributor registers belong to the core with this `MPIDR_EL1`, and how far the next pair is.
///
/// The distance is `None` after the last one.
pub(crate) fn inspect_redistributor(redistributor: &Registers, mpidr: u64) -> (bool, Option<u64>) {
    let kind = redistributor.read_wide(GICR_TYPER);
    (bits::redistributor_is_of(kind, mpidr), bits::redistributor_stride(kind))
}

const POLLS_MAX: u32 = 1_000_000;
const IRQ_COUNT: u32 = 160;
const SPECIAL_FIRST: u32 = 1020;
const SPURIOUS: u32 = 1023;
const LPI_FIRST: u32 = 8192;
/// All interrupts have the same priority, in the middle of the range.
const PRIORITY: u32 = 0xa0a0_a0a0;
/// Distributor, and as far as they exist the redistributor's first frame (CTLR) and second frame.
const CTLR: usize = 0x000;
const IGROUPR: usize = 0x080;
const ISENABLER: usize = 0x100;
const ICENABLER: usize = 0x180;
const ICPENDR: usize = 0x280;
const ICACTIVER: usize = 0x380;
const IPRIORITYR: usize = 0x400;
const ICFGR: usize = 0xc00;
const IGRPMODR: usize = 0xd00;
const GICD_TYPER: usize = 0x004;
const GICD_ITARGETSR: usize = 0x800;
const GICD_SGIR: usize = 0xf00;
const GICD_IROUTER: usize = 0x6000;
const GICR_TYPER: usize = 0x008;
const GICR_WAKER: usize = 0x014;
const GICC_CTLR: usize = 0x00;
const GICC_PMR: usize = 0x04;
const GICC_BPR: usize = 0x08;
const GICC_IAR: usize = 0x0c;
const GICC_EOIR: usize = 0x10;
const ALL_SGIS: u32 = 0xffff;
const GICV2_ENABLE: u32 = 1;
const AFFINITY_ROUTING: u32 = 1 << 4;
/// Both positions that mean "group 1, non-secure" (GICD_CTLR by security state).
const GROUP_1_ENABLE: u32 = 0b11;
/// Reads as zero in a GICv2.
const DISTRIBUTOR_WRITE_PENDING: u32 = 1 << 31;
const REDISTRIBUTOR_WRITE_PENDING: u32 = 1 << 3;
const PROCESSOR_SLEEP: u32 = 1 << 1;
const CHILDREN_ASLEEP: u32 = 1 << 2;
const EOI_MODE: u64 = 1 << 1;
