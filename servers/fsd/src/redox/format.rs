//! Whether a disk has a file system, and a new one for a disk that has none; redoxfs' own way to make one needs `std`.
use super::MountError;
use super::door::address;
use crate::blocks::{BLOCK, Blocks, DeviceError};
use alloc::vec;
use redoxfs::{AllocEntry, AllocList, BlockData, HEADER_RING, Header, SIGNATURE, Tree, VERSION};

/// Where the first header is: its generation is 1.
const FIRST: u64 = 1;
/// The tree and the list of free blocks of a new file system; free is what follows (`redoxfs::FileSystem::create_reserved`).
const TREE: u64 = HEADER_RING + 1;
const ALLOC: u64 = HEADER_RING + 2;
const FREE: u64 = HEADER_RING + 4;
/// The fewest blocks of which a file system is made.
const BLOCKS_MIN: u64 = FREE + 64;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Newest {
    /// Its block.
    pub(super) place: u64,
    /// The higher, the later.
    pub(super) generation: u64,
    /// Of the file system.
    pub(super) bytes: u64,
}

/// The newest header in the ring, if there is one; an error if there is none and the ring is not empty. A place
/// where a first header was being written when the power went counts as empty.
pub(super) fn newest<B: Blocks>(device: &mut B) -> Result<Option<Newest>, MountError> {
    if device.count() < BLOCKS_MIN {
        return Err(MountError::TooSmall);
    }
    let (mut newest, mut is_empty) = (None::<Newest>, true);
    let mut run = vec![0; 8 * BLOCK];
    for first in (0..HEADER_RING).step_by(8) {
        device.read(first, &mut run)?;
        for (place, bytes) in (first..).zip(run.chunks_exact(BLOCK)) {
            is_empty &= place == FIRST || bytes.iter().all(|byte| *byte == 0);
            let mut header = Header::default();
            header.copy_from_slice(bytes);
            let is_there = header.valid() && header.generation() % HEADER_RING == place;
            if is_there && newest.is_none_or(|newest| header.generation() > newest.generation) {
                if header.size() > device.count().saturating_mul(BLOCK as u64) {
                    return Err(MountError::Damaged);
                }
                newest = Some(Newest { place, generation: header.generation(), bytes: header.size() });
            }
        }
    }
    if newest.is_none() && !is_empty { Err(MountError::Damaged) } else { Ok(newest) }
}

/// Writes an empty file system without a root directory; returns its header. The last block is left to [`super::attempts`].
pub(super) fn format<B: Blocks>(device: &mut B) -> Result<Newest, DeviceError> {
    let tree = BlockData::<Tree>::empty(address(TREE)).ok_or(DeviceError)?;
    let mut alloc = BlockData::<AllocList>::empty(address(ALLOC)).ok_or(DeviceError)?;
    let blocks = device.count() - 1;
    let count = i64::try_from(blocks - FREE).map_err(|_| DeviceError)?;
    alloc.data_mut().entries[0] = AllocEntry::new(FREE, count);
    let mut header = Header {
        signature: *SIGNATURE,
        version: VERSION.into(),
        size: (blocks * BLOCK as u64).into(),
        tree: tree.create_ptr(),
        alloc: alloc.create_ptr(),
        ..Header::default()
    };
    let generation = header.update(None);
    device.write(TREE, tree.data())?;
    device.write(ALLOC, alloc.data())?;
    device.flush()?;
    device.write(FIRST, &header)?;
    device.flush()?;
    Ok(Newest { place: FIRST, generation, bytes: blocks * BLOCK as u64 })
}
