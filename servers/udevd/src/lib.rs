//! Finds the machine's devices and says what drives each; drives none and writes no register.
//!
//! [`tree`] reads the device tree, [`virtio`] and [`pci`] look behind its transports and its host bridge, [`drivers`] is what the product
//! has to drive them with, [`found`] holds the two against each other, [`server`] keeps the list, [`told`] what
//! the supervisor is told of drivers. The tree and the registers are taken as hostile: whatever
//! they say, nothing here panics, and every list is bounded.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod drivers;
pub mod found;
pub mod pci;
pub mod server;
pub mod told;
pub mod tree;
pub mod virtio;

/// Registers that udevd may read, by their physical address.
pub trait Look {
    /// The word at a physical address; `None` where udevd may not look.
    fn word(&self, address: u64) -> Option<u32>;
}

/// Everything that is found by the tree, and behind what it names; at most [`found::FOUND_MAX`], and how many more there were.
pub fn look(tree: &[u8], registers: &impl Look) -> (alloc::vec::Vec<found::Found>, usize) {
    let mut all = found::All::default();
    for node in tree::nodes(tree) {
        if node.is(virtio::COMPATIBLE) {
            virtio::look(&node, registers, &mut all);
        } else if node.is(pci::COMPATIBLE) {
            pci::look(&node, registers, &mut all);
            all.add(node);
        } else {
            all.add(node);
        }
    }
    all.end()
}

#[cfg(test)]
mod tests;
