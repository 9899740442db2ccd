//! The functions on bus 0 behind a PCI host bridge, by the read-only start of their configuration; configures nothing.
//!
//! Source: PCI Express Base Specification 5.0 §7.2.2 (the enhanced configuration access mechanism) and §7.5.1 (the header).

use crate::Look;
use crate::found::{All, Found, Identity};

/// A host bridge with the enhanced configuration access mechanism, as in the device tree.
pub const COMPATIBLE: &str = "pci-host-ecam-generic";

/// Devices on a bus, functions of a device, and bytes of a function's configuration space.
const DEVICES: u64 = 32;
const FUNCTIONS: u64 = 8;
const FUNCTION_BYTES: u64 = 4096;

/// Offsets of vendor and device, class and revision, and header type.
const IDENTITY: u64 = 0;
const CLASS: u64 = 8;
const HEADER: u64 = 12;
/// No function answers with this vendor.
const NOBODY: u32 = 0xffff;
/// In the word at [`HEADER`]: the device has more functions than the first.
const HAS_FUNCTIONS: u32 = 1 << 23;

/// Adds every function of bus 0. What is behind further bridges is not looked at.
pub fn look(bridge: &Found, registers: &impl Look, all: &mut All) {
    for device in 0..DEVICES {
        let mut functions = 1;
        let mut function = 0;
        while function < functions {
            let at = bridge.address.checked_add((device * FUNCTIONS + function) * FUNCTION_BYTES);
            let Some((found, has_functions)) = at.and_then(|at| one(at, registers)) else {
                // Function 0 has to be there if any is.
                if function == 0 {
                    break;
                }
                function += 1;
                continue;
            };
            if function == 0 && has_functions {
                functions = FUNCTIONS;
            }
            all.add(found);
            function += 1;
        }
    }
}

fn one(at: u64, registers: &impl Look) -> Option<(Found, bool)> {
    let word = |offset: u64| registers.word(at.checked_add(offset)?);
    let (identity, class, header) = (word(IDENTITY)?, word(CLASS)?, word(HEADER)?);
    if identity & 0xffff == NOBODY {
        return None;
    }
    let half = |word: u32| u16::try_from(word & 0xffff).unwrap_or(0);
    let identity = Identity::Pci(half(identity), half(identity >> 16), class >> 8);
    let found = Found { identity, address: at, bytes: FUNCTION_BYTES, interrupt: 0 };
    Some((found, header & HAS_FUNCTIONS != 0))
}
