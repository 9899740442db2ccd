//! What is behind a virtio-mmio transport, by three registers that reading does not change; uses no queue.

use crate::Look;
use crate::found::{All, Found, Identity};

/// As in the device tree.
pub const COMPATIBLE: &str = "virtio,mmio";

/// Virtio 1.2 §4.2.2: offsets of the magic value, the version and the device id.
const MAGIC: u64 = 0;
const VERSION: u64 = 4;
const DEVICE_ID: u64 = 8;
const MAGIC_VALUE: u32 = 0x7472_6976;
const LEGACY: u32 = 1;
const MODERN: u32 = 2;

/// Adds what is behind the transport `node`, if there is something. One that udevd may not look at stays a node of the tree, whose device nobody knows.
pub fn look(node: &Found, registers: &impl Look, all: &mut All) {
    let word = |offset: u64| registers.word(node.address.checked_add(offset)?);
    let (Some(magic), Some(version), Some(id)) = (word(MAGIC), word(VERSION), word(DEVICE_ID)) else {
        return all.add(node.clone());
    };
    // §4.2.2.2: an id of 0 is a transport without a device.
    if magic == MAGIC_VALUE && matches!(version, LEGACY | MODERN) && id != 0 {
        all.add(Found { identity: Identity::Virtio(id, version == MODERN), ..node.clone() });
    }
}
