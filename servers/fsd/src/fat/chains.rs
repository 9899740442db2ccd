//! Which clusters a directory has, by its volume's tables: the library tells that of files only. Changes nothing.
use super::FatError;
use super::volume::{CursorError, Volume};
use crate::blocks::{Blocks, DeviceError};
use axfatfs::FatType;

/// Where the tables and the clusters of a volume are, bytes.
pub(super) struct Tables {
    kind: FatType,
    /// The table that is used.
    table: u64,
    /// Where cluster number 2 is, the first.
    data: u64,
    /// Bytes of a cluster, and how many there are.
    cluster: u64,
    count: u64,
}

impl Tables {
    /// By the first sector. Source: Microsoft, FAT32 File System Specification 1.03, "Boot Sector and BPB".
    pub(super) fn new<B: Blocks>(
        volume: &mut Volume<B>,
        kind: FatType,
        cluster: u64,
        count: u64,
    ) -> Result<Self, FatError> {
        let mut head = [0; 64];
        bytes(volume, 0, &mut head)?;
        let half = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let (sector, reserved, tables, entries) = (half(11), half(14), u64::from(head[16]), half(17));
        let each = if half(22) == 0 { half(36) | half(38) << 16 } else { half(22) };
        let is_one_used = kind == FatType::Fat32 && half(40) & 0x80 != 0;
        let used = if is_one_used { half(40) & 0xf } else { 0 };
        let data = (reserved + tables * each) * sector + (entries * 32).next_multiple_of(sector.max(1));
        Ok(Self { kind, table: (reserved + used * each) * sector, data, cluster, count })
    }

    /// Where clusters begin.
    pub(super) const fn data(&self) -> u64 {
        self.data
    }

    /// Where the cluster after that at `place` is, if there is one.
    pub(super) fn next<B: Blocks>(&self, volume: &mut Volume<B>, place: u64) -> Result<Option<u64>, FatError> {
        let number = 2 + place.saturating_sub(self.data) / self.cluster.max(1);
        let mut entry = [0; 4];
        let number = match self.kind {
            FatType::Fat12 => {
                bytes(volume, self.table + number * 3 / 2, &mut entry[..2])?;
                let both = u32::from_le_bytes(entry);
                if number.is_multiple_of(2) { both & 0xfff } else { both >> 4 }
            }
            FatType::Fat16 => {
                bytes(volume, self.table + number * 2, &mut entry[..2])?;
                u32::from_le_bytes(entry)
            }
            FatType::Fat32 => {
                bytes(volume, self.table + number * 4, &mut entry)?;
                u32::from_le_bytes(entry) & 0x0fff_ffff
            }
        };
        // What is no cluster's number is an end, or the library fails at it.
        let number = u64::from(number).checked_sub(2).filter(|number| *number < self.count);
        Ok(number.map(|number| self.data + number * self.cluster))
    }
}

/// Reads all of `data`, which may be in two blocks.
fn bytes<B: Blocks>(volume: &mut Volume<B>, at: u64, data: &mut [u8]) -> Result<(), FatError> {
    let mut done = 0;
    while let Some(rest) = data.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match volume.read(at + done as u64, rest) {
            Ok(0) | Err(CursorError::End | CursorError::Full) => return Err(FatError::Damaged),
            Ok(len) => done += len,
            Err(CursorError::Device) => return Err(DeviceError.into()),
        }
    }
    Ok(())
}
