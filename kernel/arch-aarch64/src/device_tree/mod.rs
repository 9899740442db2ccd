//! What the kernel learns from the device tree; drives no hardware.
mod blob;
mod machine;
#[cfg(test)]
mod tests;

pub use blob::{BlobError, DeviceTree, Node};
pub use machine::{
    CPUS_MAX, EnableMethod, Gic, Machine, MachineError, Processor, PsciConduit, REGIONS_MAX, find_console,
};
