//! Tells whoever is shown the device tree about the product's drivers, as parameters of its own; decides nothing.

use crate::graph::Instance;
use crate::layout;

use super::Inputs;

/// Adds to each finder: for every device need of another instance `driver.INSTANCE.NEED`, and for every page that it may read
/// `window.NEED`. servers/udevd/src/drivers.rs reads them.
pub(super) fn tell(inputs: &Inputs<'_>, instances: &mut [Instance]) {
    let drivers: Vec<(String, String)> = instances.iter().flat_map(|instance| drivers(inputs, instance)).collect();
    for finder in instances.iter_mut().filter(|instance| instance.devices.iter().any(crate::Device::is_tree)) {
        let windows = finder.devices.iter().filter_map(|device| Some((device, device.page?)));
        let windows = windows.map(|(device, page)| (format!("window.{}", device.name), format!("{page:x}")));
        let told: Vec<(String, String)> = drivers.iter().cloned().chain(windows).collect();
        finder.parameters.extend(told);
    }
}

fn drivers(inputs: &Inputs<'_>, instance: &Instance) -> Vec<(String, String)> {
    let text = inputs.components.get(&instance.component);
    let driver = |device: &crate::Device| {
        let need = text.and_then(|text| text.devices.iter().find(|need| *need.name.get_ref() == device.name));
        let page = device.page.map(|page| format!(" page={page:x}")).unwrap_or_default();
        let virtio = need.and_then(|need| need.virtio.as_ref());
        let virtio = virtio.map(|id| format!(" virtio={}", id.get_ref())).unwrap_or_default();
        let start = if instance.awaits_device { " start=found" } else { "" };
        (format!("driver.{}.{}", instance.name, device.name), format!("{}{page}{virtio}{start}", device.compatible))
    };
    instance.devices.iter().filter(|device| is_driven(device)).map(driver).collect()
}

/// What the board only lends for reading, or what is no device, has no driver.
pub(super) fn is_driven(device: &crate::Device) -> bool {
    !device.read_only && !device.compatible.starts_with(layout::OWN_PREFIX)
}
