//! The devices that the device tree names, with physical addresses; the encoding is the kernel's reader's.
//!
//! Source: Devicetree Specification 0.4, chapters 2 and 3. Addresses of one or two cells are understood, as the kernel understands them.

use alloc::string::String;
use alloc::vec::Vec;

use hybrid_kernel_machine::device_tree::{DeviceTree, Node};

use crate::found::{COMPATIBLE_MAX, Found, Identity};

/// Levels of buses that are followed; a node below more has no address that could be known.
const DEPTH_MAX: usize = 12;
/// The longest `compatible` string that is kept; what is longer names nothing that a manifest could.
const NAME_MAX: usize = 48;

/// What a node says about the addresses of its children.
#[derive(Debug, Clone, Copy)]
struct Bus<'a> {
    address_cells: usize,
    size_cells: usize,
    parent_cells: usize,
    ranges: Option<&'a [u8]>,
}

/// Every enabled node that has a `compatible` and registers or interrupts, but processors. Empty if the bytes are no tree.
#[must_use]
pub fn nodes(tree: &[u8]) -> Vec<Found> {
    let mut buses: Vec<Bus<'_>> = Vec::new();
    let mut found = Vec::new();
    let Ok(tree) = DeviceTree::try_new(tree) else { return found };
    for node in tree.nodes() {
        buses.truncate(node.depth);
        // A node whose parents were passed over is too deep.
        if buses.len() == node.depth {
            found.extend(device(&node, &buses));
        }
        if buses.len() < DEPTH_MAX {
            buses.push(bus(&node, buses.last()));
        }
    }
    found
}

/// Devicetree specification 2.3.5: the defaults are 2 and 1.
fn bus<'a>(node: &Node<'a>, parent: Option<&Bus<'a>>) -> Bus<'a> {
    let number = |name: &[u8]| node.number(name).and_then(|count| usize::try_from(count).ok());
    // Three cells are PCI's, whose children are found by other means.
    let count = |name: &[u8], default| number(name).unwrap_or(default).min(CELLS_MAX);
    Bus {
        address_cells: count(b"#address-cells", 2),
        size_cells: count(b"#size-cells", 1),
        parent_cells: parent.map_or(2, |bus| bus.address_cells),
        ranges: node.property(b"ranges"),
    }
}

/// More cells than any bus has; a number of them that overflows nothing.
const CELLS_MAX: usize = 8;

fn device(node: &Node<'_>, buses: &[Bus<'_>]) -> Option<Found> {
    let names: Vec<String> = node.compatible().filter_map(printable).take(COMPATIBLE_MAX).collect();
    let is_used = node.is_enabled() && node.text(b"device_type") != Some(b"cpu");
    let registers = node.property(b"reg").and_then(|value| registers(value, buses));
    let interrupt = node.property(b"interrupts").and_then(interrupt);
    if names.is_empty() || !is_used || (registers.is_none() && interrupt.is_none()) {
        return None;
    }
    let (address, bytes) = registers.unwrap_or_default();
    Some(Found { identity: Identity::Tree(names), address, bytes, interrupt: interrupt.unwrap_or(0) })
}

/// A name as text, if it is one that could stand in a manifest.
fn printable(name: &[u8]) -> Option<String> {
    let is_plain = !name.is_empty() && name.len() <= NAME_MAX && name.iter().all(u8::is_ascii_graphic);
    is_plain.then(|| name.iter().map(|byte| char::from(*byte)).collect())
}

/// The first range of `reg` as a physical address and its size.
fn registers(value: &[u8], buses: &[Bus<'_>]) -> Option<(u64, u64)> {
    let bus = buses.last()?;
    let address = cells(value, 0, bus.address_cells)?;
    let size = cells(value, bus.address_cells, bus.size_cells)?;
    // The root's children have physical addresses already.
    let physical = buses.iter().skip(1).rev().try_fold(address, |address, bus| translated(bus, address))?;
    Some((physical, size))
}

fn translated(bus: &Bus<'_>, address: u64) -> Option<u64> {
    let ranges = bus.ranges?;
    if ranges.is_empty() {
        return Some(address);
    }
    let stride = bus.address_cells + bus.parent_cells + bus.size_cells;
    (0..(ranges.len() / 4).checked_div(stride)?).find_map(|index| {
        let at = index * stride;
        let child = cells(ranges, at, bus.address_cells)?;
        let parent = cells(ranges, at + bus.address_cells, bus.parent_cells)?;
        let size = cells(ranges, at + bus.address_cells + bus.parent_cells, bus.size_cells)?;
        let offset = address.checked_sub(child).filter(|offset| *offset < size)?;
        parent.checked_add(offset)
    })
}

/// `count` (0, 1 or 2) cells from the cell `index` on.
fn cells(value: &[u8], index: usize, count: usize) -> Option<u64> {
    let bytes = value.get(index.checked_mul(4)?..)?;
    match count {
        0 => Some(0),
        1 => Some(u32::from_be_bytes(*bytes.first_chunk()?).into()),
        2 => Some(u64::from_be_bytes(*bytes.first_chunk()?)),
        _ => None,
    }
}

/// The first interrupt of an Arm GIC (Linux's binding arm,gic: kind, number, flags) as the controller numbers it; others are not understood.
fn interrupt(value: &[u8]) -> Option<u32> {
    let word = |index| cells(value, index, 1).and_then(|word| u32::try_from(word).ok());
    word(2)?;
    let number = word(1).filter(|number| *number < 1024)?;
    match word(0)? {
        0 => Some(number + 32),
        1 => Some(number + 16),
        _ => None,
    }
}
