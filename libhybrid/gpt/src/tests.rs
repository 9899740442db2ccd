//! The reader against tables that the `gpt` crate writes, and against hostile ones.
#![expect(clippy::expect_used, reason = "a mistake of a test ends the test")]
use super::*;
use proptest::prelude::*;
use std::io::Cursor;

const DISK_SECTORS: usize = 8192;

/// A disk whose table another implementation wrote: partitions of these names and sizes.
fn disk(partitions: &[(&str, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; DISK_SECTORS * SECTOR];
    let config = gpt::GptConfig::new().writable(true).logical_block_size(gpt::disk::LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(Cursor::new(&mut bytes[..]), None).expect("room");
    for (name, sectors) in partitions {
        let kind = gpt::partition_types::LINUX_FS;
        table.add_partition(name, sectors * SECTOR as u64, kind, 0, None).expect("room");
    }
    table.write().expect("memory");
    bytes
}

fn sector(disk: &[u8], lba: u64) -> [u8; SECTOR] {
    let at = usize::try_from(lba).expect("small") * SECTOR;
    *disk[at..].first_chunk().expect("inside")
}

fn read(disk: &[u8], lba: u64) -> Result<Vec<Partition>, Fault> {
    let header = Header::parse(&sector(disk, lba), lba, DISK_SECTORS as u64)?;
    let at = usize::try_from(header.entries).expect("checked") * SECTOR;
    header.partitions(disk[at..].first_chunk().expect("checked"))
}

#[test]
fn table_of_another_implementation_is_read_at_both_ends() {
    let disk = disk(&[("boot-a", 100), ("data", 3000), ("größer", 1)]);
    let found = read(&disk, FIRST_HEADER).expect("whole");
    let short: Vec<(&str, u64)> = found.iter().map(|one| (one.name.as_str(), one.count)).collect();
    // The crate rounds to whole sectors and may align; sizes are never smaller than asked.
    assert_eq!(short.iter().map(|one| one.0).collect::<Vec<_>>(), ["boot-a", "data", "größer"]);
    assert!(short.iter().zip([100, 3000, 1]).all(|(one, asked)| one.1 >= asked), "{short:?}");
    assert_eq!(read(&disk, DISK_SECTORS as u64 - 1).expect("the copy"), found);
}

#[test]
fn each_flipped_byte_of_header_and_entries_is_noticed() {
    let whole = disk(&[("a", 100), ("b", 50)]);
    let found = read(&whole, FIRST_HEADER).expect("whole");
    for at in (SECTOR..SECTOR + HEADER_BYTES).chain((2 * SECTOR..2 * SECTOR + ENTRIES_BYTES).step_by(37)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        assert!(read(&damaged, FIRST_HEADER).is_err(), "byte {at}");
        assert_eq!(read(&damaged, DISK_SECTORS as u64 - 1).expect("the copy is whole"), found);
    }
}

/// A table with right checksums and anything else in it.
fn forged(header: &[(usize, u64)], entries: &[(u64, u64)]) -> Result<Vec<Partition>, Fault> {
    let whole = disk(&[]);
    let mut head = sector(&whole, FIRST_HEADER);
    let mut table = [0; ENTRIES_BYTES];
    for (entry, (first, last)) in table.chunks_exact_mut(ENTRY).zip(entries) {
        entry[0] = 1;
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
    }
    head[88..92].copy_from_slice(&crc32(&table).to_le_bytes());
    for (at, value) in header {
        head[*at..*at + 8].copy_from_slice(&value.to_le_bytes());
    }
    head[16..20].fill(0);
    let sum = crc32(&head[..HEADER_BYTES]);
    head[16..20].copy_from_slice(&sum.to_le_bytes());
    Header::parse(&head, FIRST_HEADER, DISK_SECTORS as u64)?.partitions(&table)
}

#[test]
fn hostile_tables_are_refused_by_what_they_break() {
    assert_eq!(forged(&[], &[(100, 199), (200, 200)]).expect("fine").len(), 2);
    for (entries, why) in [
        (vec![(100, 199), (199, 300)], "overlap"),
        (vec![(200, 100)], "end before begin"),
        (vec![(0, 100)], "the table itself"),
        (vec![(100, u64::MAX)], "beyond"),
        (vec![(100, DISK_SECTORS as u64)], "beyond by one"),
    ] {
        assert_eq!(forged(&[], &entries), Err(Fault::Partition), "{why}");
    }
    for (at, value, why) in [
        (24, 2, "another sector"),
        (72, u64::MAX, "entries nowhere"),
        (72, 0, "entries over the header"),
        (72, DISK_SECTORS as u64 - 31, "entries beyond the disk"),
        (72, 100, "entries among the partitions"),
        (48, u64::MAX, "usable beyond the disk"),
        (40, u64::MAX, "usable from beyond"),
        (40, 1, "usable header"),
    ] {
        assert_eq!(forged(&[(at, value)], &[]), Err(Fault::Place), "{why}");
    }
    assert_eq!(forged(&[(80, (128 << 32) | 0xffff_ffff)], &[]), Err(Fault::Form));
    assert_eq!(read(&vec![0; DISK_SECTORS * SECTOR], 1), Err(Fault::Signature));
}

proptest! {
    #[test]
    fn whatever_is_believed_lies_in_the_disk_and_apart(
        fields in proptest::collection::vec((prop_oneof![Just(40_usize), Just(48), Just(72)], 0_u64..9000), 0..3),
        entries in proptest::collection::vec((0_u64..9000, 0_u64..9000), 0..6),
    ) {
        if let Ok(found) = forged(&fields, &entries) {
            let mut end = 2;
            for one in found {
                prop_assert!(one.first >= end && one.count > 0 && one.first + one.count <= DISK_SECTORS as u64);
                end = one.first + one.count;
            }
        }
    }
}
