//! What the product has to drive devices with, as the resolver wrote it into the parameters; starts nothing.

use alloc::string::String;
use alloc::vec::Vec;

/// An instance that has a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// Of the instance.
    pub name: String,
    /// What its manifest says.
    pub compatible: String,
    /// Of the device that the product gave it; none if that has no registers in memory.
    pub page: Option<u64>,
    /// The device id that its manifest says, behind a virtio transport.
    pub virtio: Option<u32>,
    /// The supervisor starts it when its devices are found.
    pub starts_when_found: bool,
}

impl Driver {
    /// Reads a parameter: `driver.NAME` with `COMPATIBLE page=HEX virtio=N start=found`, of which all but the first can be missing. `None` for any other parameter.
    #[must_use]
    pub fn of(key: &str, value: &str) -> Option<Self> {
        let name = key.strip_prefix("driver.")?.split('.').next()?;
        let mut words = value.split(' ');
        let compatible = words.next().filter(|word| !word.is_empty())?;
        let mut driver = Self {
            name: name.into(),
            compatible: compatible.into(),
            page: None,
            virtio: None,
            starts_when_found: false,
        };
        for word in words {
            match word.split_once('=')? {
                ("page", page) => driver.page = Some(u64::from_str_radix(page, 16).ok()?),
                ("virtio", id) => driver.virtio = Some(id.parse().ok()?),
                ("start", "found") => driver.starts_when_found = true,
                _ => return None,
            }
        }
        Some(driver)
    }

    /// All of the parameters.
    #[must_use]
    pub fn all(parameters: &[(String, String)]) -> Vec<Self> {
        parameters.iter().filter_map(|(key, value)| Self::of(key, value)).collect()
    }
}

/// The physical address of a window that udevd may look through: `window.NAME` with its address in hexadecimal.
#[must_use]
pub fn windows(parameters: &[(String, String)]) -> Vec<(&str, u64)> {
    let window = |(key, value): &'_ (String, String)| {
        let name = key.strip_prefix("window.").map(str::len)?;
        Some((key.len() - name, u64::from_str_radix(value, 16).ok()?))
    };
    parameters.iter().filter_map(|pair| window(pair).map(|(at, base)| (pair.0.get(at..).unwrap_or(""), base))).collect()
}
