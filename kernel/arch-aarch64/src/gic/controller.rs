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

    /// Lets a held interrupt come again.
    pub(crate) fn release(&self, irq: u32) {
        match self {
            Self::V2(gic) => gic.unmask(irq),
            Self::V3(gic) => gic.release(irq),
        }
    }

    /// Enables an interrupt.
    pub(crate) fn unmask(&self, irq: u32) {
        match self {
            Self::V2(gic) => gic.unmask(irq),
            Self::V3(gic) => gic.unmask(irq),
        }
    }

    /// Disables an interrupt; complete on return.
    pub(crate) fn mask(&self, irq: u32) {
        match self {
            Self::V2(gic) => gic.mask(irq),
            Self::V3(gic) => gic.mask(irq),
        }
    }

    /// Chooses edge or level triggering; SGIs ignore it.
    pub(crate) fn set_edge_triggered(&self, irq: u32, edge: bool) {
        match self {
            Self::V2(gic) => gic.set_edge_triggered(irq, edge),
            Self::V3(gic) => gic.set_edge_triggered(irq, edge),
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
