//! How often in a row fsd died while it opened the disk, kept in a block that is no file system's; repairs nothing.
//!
//! redoxfs believes what its checksums fit. A disk that was made to harm can so end fsd while it opens it; without a memory of that the next life
//! would do the same, and so on for as long as the supervisor tries. Losses of power do not count: the first life since the boot counts anew.
use super::MountError;
use crate::blocks::{BLOCK, Blocks, DeviceError};

/// So many lives may end while they open the disk. The supervisor gives up after five in a minute.
const LIVES_MAX: u8 = 3;
const MAGIC: &[u8; 15] = b"hybrid attempts";

/// Where the number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempts {
    /// The last block of the disk, if the file system ends before it.
    place: Option<u64>,
}

impl Attempts {
    /// Of a disk whose file system has so many bytes.
    pub(super) fn new<B: Blocks>(device: &B, bytes: u64) -> Self {
        let last = device.count().saturating_sub(1);
        Self { place: Some(last).filter(|last| bytes <= last.saturating_mul(BLOCK as u64)) }
    }

    /// One more begins. The first life since the boot knows of none before it.
    ///
    /// # Errors
    /// [`MountError::Poisoned`] if too many before it did not come to their end; the disk is then left alone.
    pub(super) fn begin<B: Blocks>(self, device: &mut B, is_first_life: bool) -> Result<(), MountError> {
        let Some(place) = self.place else { return Ok(()) };
        let mut block = [0; BLOCK];
        device.read(place, &mut block)?;
        let so_far = if is_first_life || !block.starts_with(MAGIC) { 0 } else { block[MAGIC.len()] };
        if so_far >= LIVES_MAX {
            return Err(MountError::Poisoned);
        }
        Ok(self.write(device, so_far + 1)?)
    }

    /// It came to its end.
    pub(super) fn end<B: Blocks>(self, device: &mut B) -> Result<(), DeviceError> {
        self.write(device, 0)
    }

    fn write<B: Blocks>(self, device: &mut B, attempts: u8) -> Result<(), DeviceError> {
        let Some(place) = self.place else { return Ok(()) };
        let mut block = [0; BLOCK];
        block[..MAGIC.len()].copy_from_slice(MAGIC);
        block[MAGIC.len()] = attempts;
        // No flush: what the power takes along is counted anew anyhow.
        device.write(place, &block)
    }
}
