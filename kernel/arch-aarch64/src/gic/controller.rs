//! One GIC of either version behind one set of calls.

use super::bits;
use super::v2::GicV2;
use super::v3::{self, GicV3};
use crate::registers::Registers;

/// The interrupt controller of this machine. IDs over 159 stay disabled (kernel-abi §8.1).
pub(crate) enum Gic {
    /// Memory-mapped CPU interface.
    V2(GicV2),
    /// System-register CPU interface.
    V3(GicV3),
}

impl Gic {
    /// Brings a GICv2 to the boot state of kernel-abi §8.6.
    pub(crate) fn v2(distributor: Registers, cpu_interface: Registers) -> Self {
        Self::V2(GicV2::start(distributor, cpu_interface))
    }

    /// Brings a GICv3 to the boot state of kernel-abi §8.6. `redistributor` is this core's pair of 64 KiB frames.
    ///
    /// Returns `None` if EL1 has no access to its system registers.
    pub(crate) fn v3(distributor: Registers, redistributor: Registers) -> Option<Self> {
        GicV3::start(distributor, redistributor).map(Self::V3)
    }

    /// Takes the highest pending interrupt; `None` if it was spurious.
    pub(crate) fn acknowledge(&self) -> Option<u32> {
        match self {
            Self::V2(gic) => gic.acknowledge(),
            Self::V3(gic) => gic.acknowledge(),
        }
    }

    /// Ends a taken interrupt; it may come again at once.
    pub(crate) fn end(&self, irq: u32) {
        match self {
            Self::V2(gic) => gic.end(irq),
            Self::V3(gic) => gic.end(irq),
        }
    }

    /// Ends a taken interrupt but keeps it away until [`Gic::release`].
    pub(crate) fn hold(&self, irq: u32) {
        match self {
            Self::V2(gic) => gic.hold(irq),
            Self::V3(gic) => gic.hold(irq),
        }
    }

    /// Brings this core's part to the boot state, as core number `core`. False if EL1 has no access to it.
    #[cfg(feature = "smp")]
    pub(crate) fn start_core(&self, core: usize) -> bool {
        match self {
            Self::V2(gic) => {
                gic.start_core(core);
                true
            }
            Self::V3(gic) => gic.start_core(core),
        }
    }

    /// Before a core is started: GICv3 finds its part at `redistributor`.
    #[cfg(feature = "smp")]
    pub(crate) fn expect_core(&self, core: usize, affinity: u64, redistributor: Option<Registers>) {
        if let (Self::V3(gic), Some(redistributor)) = (self, redistributor) {
            gic.expect_core(core, affinity, redistributor);
        }
    }

    /// Whether a private interrupt can be changed by its own core only.
    pub(crate) fn is_banked(&self) -> bool {
        matches!(self, Self::V2(_))
    }

    /// Lets a held interrupt come again. A private one: by its own core.
    pub(crate) fn release(&self, irq: u32) {
        match self {
            Self::V2(gic) => gic.unmask(irq),
            Self::V3(gic) => gic.release(irq),
        }
    }

    /// Enables an interrupt, a private one of a core. GICv2: by that core.
    pub(crate) fn unmask(&self, core: usize, irq: u32) {
        match self {
            Self::V2(gic) => gic.unmask(irq),
            Self::V3(gic) => gic.unmask(core, irq),
        }
    }

    /// Disables an interrupt, a private one of a core; complete on return. GICv2: by that core.
    pub(crate) fn mask(&self, core: usize, irq: u32) {
        match self {
            Self::V2(gic) => gic.mask(irq),
            Self::V3(gic) => gic.mask(core, irq),
        }
    }

    /// Chooses edge or level triggering; SGIs ignore it. GICv2: a private one by its core.
    pub(crate) fn set_edge_triggered(&self, core: usize, irq: u32, edge: bool) {
        match self {
            Self::V2(gic) => gic.set_edge_triggered(irq, edge),
            Self::V3(gic) => gic.set_edge_triggered(core, irq, edge),
        }
    }

    /// Sends a shared interrupt to a core from now on.
    pub(crate) fn route(&self, irq: u32, core: usize) {
        match self {
            Self::V2(gic) => gic.route(irq, core),
            Self::V3(gic) => gic.route(irq, core),
        }
    }

    /// Raises SGI `sgi` at a core of ours.
    pub(crate) fn interrupt_core(&self, core: usize, sgi: u32) {
        match self {
            Self::V2(gic) => gic.interrupt_core(core, sgi),
            Self::V3(gic) => gic.interrupt_core(core, sgi),
        }
    }

    /// Raises SGI `sgi` (0 to 15) at `target`.
    pub(crate) fn send(&self, sgi: u32, target: u64) {
        match self {
            Self::V2(gic) => gic.send(sgi, target),
            Self::V3(_) => v3::send(sgi, target),
        }
    }

    /// Highest valid `target` of [`Gic::send`].
    pub(crate) fn max_target(&self) -> u64 {
        match self {
            Self::V2(_) => 7,
            Self::V3(_) => 0xffff_ffff,
        }
    }

    /// 2 or 3.
    pub(crate) fn version(&self) -> u32 {
        match self {
            Self::V2(_) => 2,
            Self::V3(_) => 3,
        }
    }
}

/// Whether the 128 KiB of redistributor registers belong to the core with this `MPIDR_EL1`, and how far the next pair is.
///
/// The distance is `None` after the last one.
pub(crate) fn inspect_redistributor(redistributor: &Registers, mpidr: u64) -> (bool, Option<u64>) {
    let kind = redistributor.read_wide(v3::REDISTRIBUTOR_TYPE);
    (bits::redistributor_is_of(kind, mpidr), bits::redistributor_stride(kind))
}
