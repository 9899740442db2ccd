//! From reset to negotiated features; what a device does then is its driver's matter.
use virtio_drivers::transport::{DeviceStatus, Transport};

/// So often the status is read while a device resets itself; each read leaves the processor and takes a while.
const RESET_READS: u32 = 100_000;
/// The device follows Virtio 1.0 or later (Virtio 1.2 §6).
pub const VERSION_1: u64 = 1 << 32;

bitflags::bitflags! {
    /// Feature bits, whatever they mean.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Bits: u64 {
        const _ = !0;
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// It lacks a feature that the driver cannot do without.
    Features,
    /// It refused what was negotiated.
    Refused,
    /// It does not get through its reset.
    Reset,
    /// A queue is too short.
    Queue,
    /// The DMA memory does not suffice.
    Memory,
}

/// The device did what no device does. It is not used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// Resets the device and takes of the features `wanted` those that it has. DMA memory must not be written before: until the device says that it
/// is reset it may use what an earlier life of its driver lent it.
///
/// # Errors
/// [`StartError::Reset`]; [`StartError::Features`] if one that is `needed` is missing; [`StartError::Refused`].
pub fn negotiate(transport: &mut impl Transport, wanted: u64, needed: u64) -> Result<u64, StartError> {
    reset(transport)?;
    let features = transport.begin_init(Bits::from_bits_retain(wanted)).bits();
    if features & needed != needed {
        return Err(StartError::Features);
    }
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(StartError::Refused);
    }
    Ok(features)
}

/// Virtio 1.2 §2.4.1: a device is reset when its status reads 0, and does no DMA from then on.
fn reset(transport: &mut impl Transport) -> Result<(), StartError> {
    transport.set_status(DeviceStatus::empty());
    let is_reset = (0..RESET_READS).any(|_| transport.get_status().is_empty());
    if is_reset { Ok(()) } else { Err(StartError::Reset) }
}
