//! udevd over a device tree and registers that say anything.

use std::collections::BTreeSet;

use hybrid_interfaces::device::Condition;
use udevd::Look;
use udevd::drivers::Driver;
use udevd::found::{FOUND_MAX, Found, Identity, Presence, conditions, presence};

/// Registers made of the input: every address has some word of it, or may not be read.
struct Anything<'a>(&'a [u8]);

impl Look for Anything<'_> {
    fn word(&self, address: u64) -> Option<u32> {
        let at = usize::try_from(address.wrapping_mul(0x9e37_79b9) >> 7).ok()? % self.0.len().max(1);
        self.0.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// A virtio transport with anything behind it, wherever one looks.
struct Transports<'a>(&'a [u8]);

impl Look for Transports<'_> {
    fn word(&self, address: u64) -> Option<u32> {
        match address & 0xfff {
            0 => Some(0x7472_6976),
            4 => Some(2),
            _ => Anything(self.0).word(address),
        }
    }
}

/// What is found is bounded and has printable names; whoever has a device of its own is the only one that has it.
pub fn target_devices(data: &[u8]) {
    let (found, beyond) = udevd::look(data, &Anything(data));
    check(&found, beyond);
    let (found, beyond) = udevd::look(data, &Transports(data));
    check(&found, beyond);
}

fn check(found: &[Found], beyond: usize) {
    assert!(found.len() <= FOUND_MAX && (beyond == 0 || found.len() == FOUND_MAX));
    assert!(found.iter().all(|device| device.kind().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')));
    // One driver for each device that was found, as if a product had them all.
    let driver = |(number, device): (usize, &Found)| {
        let (compatible, virtio) = match &device.identity {
            Identity::Tree(names) => (names.first().cloned().unwrap_or_default(), None),
            Identity::Virtio(id, _) => ("virtio,mmio".into(), Some(*id)),
            Identity::Pci(..) => (String::new(), None),
        };
        Driver {
            name: format!("d{number}"),
            compatible,
            page: Some(device.address & !0xfff),
            virtio,
            starts_when_found: number % 2 == 0,
        }
    };
    let drivers: Vec<Driver> = found.iter().enumerate().map(driver).collect();
    let said = conditions(&drivers, found);
    assert_eq!(said.len(), found.len());
    let mut driven = BTreeSet::new();
    for (_, name) in said.iter().filter(|(condition, _)| *condition == Condition::Driven) {
        let driver = drivers.iter().find(|driver| driver.name == *name);
        assert!(driver.is_some_and(|driver| presence(driver, found) == Presence::Here), "{name}");
        assert!(driven.insert(name), "{name} has two devices");
    }
}
