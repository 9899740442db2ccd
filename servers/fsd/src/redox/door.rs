//! redoxfs' `Disk`, a trait of unsafe functions; nothing here touches memory by address.
#![expect(unsafe_code, reason = "`redoxfs::Disk` and `BlockAddr::new` are unsafe functions")]
use super::journal::Journal;
use crate::blocks::{BLOCK, Blocks, DeviceError};
use redoxfs::{BlockAddr, BlockMeta, Disk};
use syscall::error::{EIO, Error, Result};

/// # Safety
/// Its functions are unsafe so that only redoxfs calls them, in its order; they can break the file system and no memory.
impl<B: Blocks> Disk for Journal<B> {
    unsafe fn read_at(&mut self, block: u64, buffer: &mut [u8]) -> Result<usize> {
        self.read(block, buffer).map_err(failed)?;
        Ok(buffer.len())
    }

    unsafe fn write_at(&mut self, block: u64, buffer: &[u8]) -> Result<usize> {
        self.write(block, buffer).map_err(failed)?;
        Ok(buffer.len())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.count() * BLOCK as u64)
    }
}

fn failed(_: DeviceError) -> Error {
    Error::new(EIO)
}

/// The address of a single block.
pub(super) fn address(index: u64) -> BlockAddr {
    // SAFETY: unsafe since addresses that the allocator did not give may be in use; these are for blocks of a new file system.
    unsafe { BlockAddr::new(index, BlockMeta::default()) }
}
