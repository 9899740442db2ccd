//! A device that was found, and the drivers of the product held against it; reads nothing.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use libhybrid::interfaces::device::{Bus, Condition, KIND_MAX};

use crate::drivers::Driver;

/// Devices that are kept; the rest is counted.
pub const FOUND_MAX: usize = 128;
/// `compatible` strings of one device that are looked at.
pub const COMPATIBLE_MAX: usize = 8;

/// What says which driver fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Its `compatible`, the most specific first; printable and bounded.
    Tree(Vec<String>),
    /// The device id behind a transport (Virtio 1.2 §5), and whether the transport is a modern one.
    Virtio(u32, bool),
    /// Vendor, device and class with subclass and interface.
    Pci(u16, u16, u32),
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub identity: Identity,
    /// Of its registers; 0 if it has none in memory.
    pub address: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The interrupt controller's number; 0 if none is known.
    pub interrupt: u32,
}

/// What the kernel drives, or nothing has to: parts of the interrupt controller and of the processor, bridges.
const PLATFORM: [&str; 7] = [
    "arm,cortex-a15-gic",
    "arm,gic-400",
    "arm,gic-v3",
    "arm,gic-v2m-frame",
    "arm,gic-v3-its",
    "arm,armv8-pmuv3",
    crate::pci::COMPATIBLE,
];
/// PCI's class of bridges (PCI Code and ID Assignment 1.11 §1.7).
const CLASS_BRIDGE: u32 = 6;

impl Found {
    /// Where it was found.
    #[must_use]
    pub const fn bus(&self) -> Bus {
        match self.identity {
            Identity::Tree(_) => Bus::Tree,
            Identity::Virtio(..) => Bus::Virtio,
            Identity::Pci(..) => Bus::Pci,
        }
    }

    /// Whether the tree names it so.
    #[must_use]
    pub fn is(&self, compatible: &str) -> bool {
        matches!(&self.identity, Identity::Tree(names) if names.iter().any(|name| name == compatible))
    }

    /// What it is, in a few words of at most [`KIND_MAX`] bytes.
    #[must_use]
    pub fn kind(&self) -> String {
        let mut kind = match &self.identity {
            Identity::Tree(names) => names.first().cloned().unwrap_or_default(),
            Identity::Virtio(id, true) => format!("virtio {id}"),
            Identity::Virtio(id, false) => format!("virtio {id} (legacy)"),
            Identity::Pci(vendor, device, class) => format!("pci {vendor:04x}:{device:04x} class {class:06x}"),
        };
        kind.truncate(KIND_MAX);
        kind
    }

    fn is_platform(&self) -> bool {
        match &self.identity {
            Identity::Tree(_) => PLATFORM.iter().any(|name| self.is(name)),
            Identity::Virtio(..) => false,
            Identity::Pci(.., class) => class >> 16 == CLASS_BRIDGE,
        }
    }

    /// Whether the driver's manifest names such a device.
    fn fits(&self, driver: &Driver) -> bool {
        match &self.identity {
            Identity::Tree(_) => driver.virtio.is_none() && self.is(&driver.compatible),
            Identity::Virtio(id, is_modern) => {
                *is_modern && driver.compatible == crate::virtio::COMPATIBLE && driver.virtio == Some(*id)
            }
            Identity::Pci(..) => false,
        }
    }

    /// Whether it is the one that the driver's instance was given: it fits, and its registers are on the page.
    fn is_of(&self, driver: &Driver) -> bool {
        self.fits(driver) && driver.page.is_none_or(|page| self.address & !0xfff == page)
    }
}

/// How the device of a driver's instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Here,
    /// It is not.
    Missing,
    /// There are several where the instance can have one, so it takes none.
    Several,
}

/// Whether the device that an instance was given is there.
#[must_use]
pub fn presence(driver: &Driver, found: &[Found]) -> Presence {
    match found.iter().filter(|device| device.is_of(driver)).count() {
        0 => Presence::Missing,
        1 => Presence::Here,
        _ => Presence::Several,
    }
}

/// How each device is, and which instance has it, or has a driver for it.
#[must_use]
pub fn conditions<'a>(drivers: &'a [Driver], found: &[Found]) -> Vec<(Condition, &'a str)> {
    let here: Vec<&Driver> = drivers.iter().filter(|driver| presence(driver, found) == Presence::Here).collect();
    let condition = |device: &Found| {
        let own = here.iter().find(|driver| device.is_of(driver));
        let fitting = || drivers.iter().find(|driver| device.fits(driver));
        match (own, fitting()) {
            (Some(driver), _) => (Condition::Driven, driver.name.as_str()),
            (None, Some(driver)) => (Condition::NoInstance, driver.name.as_str()),
            (None, None) if device.is_platform() => (Condition::Platform, ""),
            (None, None) => (Condition::NoDriver, ""),
        }
    };
    found.iter().map(condition).collect()
}

/// Collects, up to [`FOUND_MAX`].
#[derive(Debug, Default)]
pub struct All {
    found: Vec<Found>,
    beyond: usize,
}

impl All {
    /// One more.
    pub fn add(&mut self, device: Found) {
        if self.found.len() < FOUND_MAX {
            self.found.push(device);
        } else {
            self.beyond = self.beyond.saturating_add(1);
        }
    }

    pub(crate) fn end(self) -> (Vec<Found>, usize) {
        (self.found, self.beyond)
    }
}
