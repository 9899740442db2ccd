//! A device that an instance is given, and what stands in the place of one; who may have it is the rules' matter.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::grant::What;
use crate::graph::{Rights, Trigger};
use crate::layout;

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The component's name for it.
    pub name: String,
    /// The board's name for it.
    pub device: String,
    /// As in the device tree.
    pub compatible: String,
    /// Why.
    pub reason: String,
    /// Physical address of the register page, if mapped.
    pub page: Option<u64>,
    /// log2 of its bytes: 12 or 21.
    pub page_bits: u8,
    /// It is mapped without the right to write.
    pub read_only: bool,
    /// Interrupt id, if granted.
    pub irq: Option<u32>,
    /// Of the interrupt.
    pub trigger: Trigger,
    /// The thread may program the physical timer.
    pub timer_access: bool,
}

impl Device {
    /// It stands for the kernel's list of all capabilities; who has it is also told the whole graph.
    #[must_use]
    pub fn is_audit(&self) -> bool {
        self.compatible == layout::AUDIT_COMPATIBLE
    }

    /// It stands for the device tree of boot, of which its holder is shown a copy.
    #[must_use]
    pub fn is_tree(&self) -> bool {
        self.compatible == layout::TREE_COMPATIBLE
    }

    /// What its holder may do with the register page.
    #[must_use]
    pub fn rights(&self) -> Rights {
        if self.read_only { Rights::READ } else { Rights::READ_WRITE }
    }

    /// The register page as device `index` of its holder has it.
    #[must_use]
    pub fn registers(&self, page: u64, index: usize) -> What {
        What::Device { page, bits: self.page_bits, address: layout::device_address(index), rights: self.rights() }
    }
}
