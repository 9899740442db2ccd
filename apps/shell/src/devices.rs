//! The command `devices`: the machine's devices as udevd found them; decides nothing.
use crate::job::{Clients, Job, Step, Wires, because, line};
use crate::quote::quoted;
use alloc::format;
use alloc::string::{String, ToString};
use hybrid_interfaces::device::{Bus, Condition, Device, Error};
use hybrid_ipc::CallError;

/// Devices that are asked for; a finder that names more would keep the console busy for ever.
const DEVICES_MAX: u16 = 1024;

/// Prints a device a step; before the first, `is_scan` has everything looked at again.
///
/// # Errors
/// udevd does not answer; as a text for the person at the console.
pub fn list<W: Wires>(
    clients: &mut Clients<W>,
    is_scan: bool,
    index: u16,
    out: &mut String,
) -> Result<Step<W>, String> {
    if is_scan {
        let changes = clients.devices.scan().map_err(because("udevd"))?;
        line(out, &format!("{changes} changes"));
    }
    if index == 0 {
        line(out, "bus     address      irq  device                            driven by");
    }
    match clients.devices.device(index) {
        Ok(device) if index < DEVICES_MAX => {
            line(out, &told(&device));
            Ok(Step::More(Job::Devices(false, index + 1)))
        }
        Ok(_) | Err(CallError::Domain(Error::NoSuchDevice)) => {
            let summary = clients.devices.summary().map_err(because("udevd"))?;
            let beyond =
                if summary.beyond > 0 { format!(", {} more were found", summary.beyond) } else { String::new() };
            line(out, &format!("{} devices, {} without a driver{beyond}", summary.devices, summary.undriven));
            Ok(Step::Done)
        }
        Err(error) => Err(because("udevd")(error)),
    }
}

fn told(device: &Device<'_>) -> String {
    let bus = match device.bus {
        Bus::Tree => "tree",
        Bus::Virtio => "virtio",
        Bus::Pci => "pci",
    };
    let driver = quoted(&device.driver);
    let by = match device.condition {
        Condition::Driven => driver,
        Condition::NoDriver => "NO DRIVER".to_string(),
        Condition::NoInstance => format!("NO DRIVER; one like {driver}'s fits"),
        Condition::Platform => "the platform".to_string(),
        Condition::Gone => "it is gone".to_string(),
    };
    let interrupt = if device.interrupt > 0 { device.interrupt.to_string() } else { "-".to_string() };
    format!("{bus:<6} {:>11x}  {interrupt:>4}  {:<32}  {by}", device.address, quoted(&device.kind))
}

#[cfg(test)]
pub(crate) mod fake {
    use hybrid_interfaces::device::{
        Bus, Condition, Device, Devices, DevicesChange, DevicesChanged, DevicesSummary, Error,
    };
    use hybrid_ipc::ClientId;

    /// A driven card, and one that nothing drives.
    pub(crate) struct FakeDevices;

    impl Devices for FakeDevices {
        fn device(&mut self, _: ClientId, index: u16) -> Result<Device<'_>, Error> {
            let (kind, condition, driver) = match index {
                0 => ("virtio 1", Condition::Driven, "nic"),
                1 => ("evil\u{1b}[2J", Condition::NoDriver, ""),
                _ => return Err(Error::NoSuchDevice),
            };
            let (kind, driver) = (kind.into(), driver.into());
            Ok(Device { index, bus: Bus::Virtio, kind, address: 0xa00_0000, interrupt: 48, condition, driver })
        }

        fn summary(&mut self, _: ClientId) -> DevicesSummary {
            DevicesSummary { devices: 2, undriven: 1, beyond: 3 }
        }

        fn scan(&mut self, _: ClientId) -> u16 {
            4
        }

        fn change(&mut self, _: ClientId, _: u64) -> DevicesChange {
            DevicesChange { change: None, next: 0 }
        }

        fn pull_changed(&mut self, _: ClientId) -> Option<DevicesChanged> {
            None
        }
    }
}
