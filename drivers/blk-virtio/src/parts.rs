//! Which sectors a session has: the partition that its route names, or the whole disk; reads the table once.
use crate::device::Blk;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use hybrid_gpt::{ENTRIES_BYTES, FIRST_HEADER, Header, Partition, SECTOR};
use hybrid_virtio::transport::Transport;
use libhybrid::log;

/// The sectors of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// The first one, on the disk.
    pub first: u64,
    /// How many; 0 for a partition that there is not.
    pub count: u64,
}

impl Part {
    /// Where `count` sectors from the session's `sector` on lie on the disk, if it has them: at least one, whole blocks of `block` sectors each.
    #[must_use]
    pub(crate) fn place(&self, sector: u64, count: u64, block: u32) -> Option<u64> {
        let is_inside = sector.checked_add(count).is_some_and(|end| end <= self.count);
        let first = self.first.checked_add(sector)?;
        let is_whole = [first, count].iter().all(|number| number.is_multiple_of(block.into()));
        (count > 0 && is_inside && is_whole).then_some(first)
    }

    /// The part that `prefix` names among `partitions` of a disk of `sectors`: `/data` the partition `data`, nothing the whole disk.
    #[must_use]
    pub fn named(prefix: Option<&str>, partitions: &[Partition], sectors: u64) -> Self {
        let Some(name) = prefix else { return Self { first: 0, count: sectors } };
        let mut wanted = partitions.iter().filter(|one| one.name == name.trim_start_matches('/'));
        match (wanted.next(), wanted.next()) {
            (Some(one), None) => Self { first: one.first, count: one.count },
            // Two of one name: which is meant cannot be known.
            _ => Self::default(),
        }
    }
}

/// The partitions of the disk: those of the first table, or of its copy at the end; none without a table that is whole.
pub fn partitions<T: Transport>(device: &mut Blk<T>, wait: &mut dyn FnMut()) -> Vec<Partition> {
    let last = device.sectors().saturating_sub(1);
    for lba in [FIRST_HEADER, last] {
        match table(device, lba, wait) {
            Some(Ok(found)) => return found,
            Some(Err(fault)) => log::warn!("the partition table in sector {lba} is not believed: {fault:?}"),
            None => log::warn!("the partition table in sector {lba} cannot be read"),
        }
    }
    Vec::new()
}

type Found = Result<Vec<Partition>, hybrid_gpt::Fault>;

fn table<T: Transport>(device: &mut Blk<T>, lba: u64, wait: &mut dyn FnMut()) -> Option<Found> {
    let mut sector = [0; SECTOR];
    device.read_now(lba, &mut sector, wait).ok()?;
    let header = match Header::parse(&sector, lba, device.sectors()) {
        Ok(header) => header,
        Err(fault) => return Some(Err(fault)),
    };
    let mut entries: Box<[u8]> = vec![0; ENTRIES_BYTES].into();
    device.read_now(header.entries, &mut entries, wait).ok()?;
    Some(header.partitions(entries.first_chunk()?))
}
