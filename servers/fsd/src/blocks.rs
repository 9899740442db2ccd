//! What a file system on a disk needs of it; how a disk is reached is not its matter.

/// Bytes of a block.
pub const BLOCK: usize = 4096;

/// The disk failed: what was to be read is not known, what was to be written may or may not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceError;

/// A disk of whole blocks.
pub trait Blocks {
    /// How many there are.
    fn count(&self) -> u64;
    /// Fills `data` (whole blocks) from block `first` on.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError>;
    /// Writes `data` (whole blocks) from block `first` on. Until the next flush the disk may keep any of it back, in any order.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError>;
    /// What was written before survives a loss of power.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn flush(&mut self) -> Result<(), DeviceError>;
    /// Most blocks of one [`discard`](Self::discard); 0 for a disk that cannot.
    fn discard_max(&self) -> u64 {
        0
    }
    /// Nobody needs what `count` blocks from block `first` on hold: they may hold anything, from now on and until they are written again.
    ///
    /// # Errors
    /// [`DeviceError`]: that may be so nevertheless.
    fn discard(&mut self, _first: u64, _count: u64) -> Result<(), DeviceError> {
        Err(DeviceError)
    }
}
