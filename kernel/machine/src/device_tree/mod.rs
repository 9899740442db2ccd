//! What the kernel learns from the device tree; drives no hardware.
mod blob;
mod machine;
#[cfg(test)]
mod tests;

pub use blob::{DeviceTree, Node};
pub use machine::{CPUS_MAX, EnableMethod, Gic, Machine, Processor, PsciConduit, REGIONS_MAX};

crate::sentences! {
    /// Why a device tree, or the machine that it describes, cannot be used.
    MachineError {
        Magic = "x0 does not point to a device tree",
        Header = "the device tree's header is damaged",
        Version = "the device tree has an unknown version (this kernel reads version 17)",
        NoMemory = "the device tree names no memory",
        TooManyRegions = "memory is in too many pieces",
        NoInterruptController = "the device tree names no GICv2 or GICv3 interrupt controller",
        WrongTimer = "the device tree names no ARMv8 timer with virtual interrupt 27",
        BadInitrd = "the device tree's initrd range is damaged",
        BadRootCnodeBits = "root_cnode_bits on the command line is no number from 12 to 20",
    }
}
