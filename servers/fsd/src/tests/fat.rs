//! Volumes of FAT against the model, losses of power, another implementation and hostile disks.
use super::crash::{cut_on, play};
use super::full::fill;
use super::model::{Model, Op, Tree, act, compare_on, op, tree};
use super::power::{Dice, RamDisk};
use super::{CLIENT, begin};
use crate::blocks::{BLOCK, Blocks};
use crate::{Fat, FatError, Server, Store};
use hybrid_quota::counted;
use libhybrid::interfaces::fs::{Creation, Error, Files, Kind};
use proptest::prelude::*;
use std::io::{Read, Seek, SeekFrom, Write};

/// Blocks of a volume, and behind it; as on the boot partitions.
pub(super) const VOLUME: u64 = 1920;
pub(super) const BEHIND: u64 = 128;

/// A disk as the other implementation sees it: bytes.
pub(super) struct Bytes {
    disk: RamDisk,
    at: u64,
}

impl Bytes {
    pub(super) fn of(disk: &RamDisk) -> Self {
        Self { disk: disk.clone(), at: 0 }
    }

    fn part(&self, len: usize) -> (u64, usize, usize) {
        let from = usize::try_from(self.at % BLOCK as u64).expect("small");
        (self.at / BLOCK as u64, from, len.min(BLOCK - from))
    }
}

impl Read for Bytes {
    fn read(&mut self, data: &mut [u8]) -> std::io::Result<usize> {
        let (number, from, len) = self.part(data.len());
        let mut block = [0; BLOCK];
        self.disk.read(number, &mut block).map_err(|_| std::io::ErrorKind::UnexpectedEof)?;
        data[..len].copy_from_slice(&block[from..from + len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Bytes {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let (.., len) = self.part(data.len());
        self.disk.scribble(usize::try_from(self.at).expect("small"), &data[..len]);
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Bytes {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let (base, step) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(step) => (self.at, step),
            SeekFrom::End(step) => (self.disk.count() * BLOCK as u64, step),
        };
        self.at = base.checked_add_signed(step).ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

pub(super) type Others = fatfs::FileSystem<Bytes>;

/// A disk with an empty volume, which the other implementation made, and the directory `x`.
pub(super) fn formatted(volume: u64, behind: u64) -> RamDisk {
    let disk = RamDisk::new(volume + behind);
    let options = fatfs::FormatVolumeOptions::new().total_sectors(u32::try_from(volume * 8).expect("small"));
    fatfs::format_volume(Bytes::of(&disk), options).expect("room");
    let others = Others::new(Bytes::of(&disk), fatfs::FsOptions::new()).expect("a volume");
    others.root_dir().create_dir("x").expect("room");
    drop(others);
    disk
}

fn fat(disk: &RamDisk) -> Result<Box<dyn Store>, String> {
    Fat::mount(disk.clone()).map(|store| Box::new(store) as _).map_err(|error| format!("{error:?}"))
}

fn server(disk: &RamDisk) -> Server {
    served(disk, "data")
}

/// A server of the volume on a disk, at `/mount`.
pub(super) fn served(disk: &RamDisk, mount: &'static str) -> Server {
    Server::new(vec![(mount, fat(disk).expect("a volume"))], 3, super::clock)
}

fn write(path: &str, offset: u64, len: usize) -> Op {
    Op::Write { path: path.into(), offset: Some(offset), len, byte: 9, creation: Creation::IfMissing }
}

/// What the other implementation finds below `x`.
fn others_tree(disk: &RamDisk) -> Tree {
    fn walk(directory: &fatfs::Dir<'_, Bytes>, above: &str, tree: &mut Tree) {
        for entry in directory.iter().map(|entry| entry.expect("readable")) {
            let name = entry.file_name();
            let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
            if name == "." || name == ".." {
                continue;
            }
            if entry.is_dir() {
                walk(&entry.to_dir(), &path, tree);
                tree.insert(path, None);
            } else {
                let mut data = Vec::new();
                entry.to_file().read_to_end(&mut data).expect("readable");
                tree.insert(path, Some(data));
            }
        }
    }
    let others = Others::new(Bytes::of(disk), fatfs::FsOptions::new()).expect("a volume");
    let flags = others.read_status_flags().expect("readable");
    assert!(!flags.dirty() && !flags.io_error(), "a volume that was synced is marked as in use");
    let mut tree = Tree::new();
    walk(&others.root_dir().open_dir("x").expect("there"), "", &mut tree);
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn volume_does_what_the_model_does(ops in proptest::collection::vec(op(), 1..60)) {
        compare_on(server(&formatted(VOLUME, BEHIND)), "/data/x", &ops)?;
    }

    /// What was synced is what others read, with nothing left of the journal.
    #[test]
    fn other_implementation_reads_what_was_synced(ops in proptest::collection::vec(op(), 1..40)) {
        let disk = formatted(VOLUME, BEHIND);
        let mut server = server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        for op in &ops {
            let _answer = act(&mut server, op);
        }
        prop_assert_eq!(server.sync(CLIENT), Ok(()));
        prop_assert!(tree(&mut server) == Ok(others_tree(&disk)), "the trees differ");
    }

    /// Whatever stands on a disk, nothing panics and nothing hangs, and what can be mounted can be used and mounted again.
    #[test]
    fn hostile_volume_harms_nobody(
        places in proptest::collection::vec((0_usize..70_000, any::<[u8; 2]>()), 1..24),
        seed in any::<u64>(),
        ops in proptest::collection::vec(op(), 1..12),
    ) {
        let disk = formatted(512, BEHIND);
        let mut whole = server(&disk);
        let _rings = begin(&mut whole, CLIENT, "/data/x", 4 << 20);
        for path in ["a", "b", "d", "a long name that is kept in several entries"] {
            let _answer = act(&mut whole, &write(path, 0, 5000));
        }
        let _answer = act(&mut whole, &Op::Sync);
        drop(whole);
        let mut dice = Dice(seed | 1);
        for (place, bytes) in places {
            // Half of it where the boot sector, the tables and the directories are.
            disk.scribble(if dice.roll(2) == 0 { place % 600 } else { place }, &bytes);
        }
        for _ in 0..2 {
            let Ok(store) = fat(&disk) else { return Ok(()) };
            let mut server = Server::new(vec![("data", store)], 3, super::clock);
            let _rings = begin(&mut server, CLIENT, "/data/x", 1 << 20);
            let _tree = tree(&mut server);
            for op in &ops {
                let _answer = act(&mut server, op);
            }
            let _answer = server.sync(CLIENT);
        }
    }
}

#[test]
fn power_that_goes_at_any_write_loses_nothing_that_was_synced() {
    (1..=40).for_each(|seed| cut_on(&formatted(VOLUME, BEHIND), fat, seed));
}

/// The server dies while it writes, and the power goes when its next life has begun: what that life saw is there, or what it did then.
#[test]
fn server_that_dies_before_the_power_goes_loses_nothing_that_was_synced() {
    for seed in 1..=30_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let disk = formatted(VOLUME, BEHIND);
        disk.cut_after(4 + dice.roll(120));
        let mut states = play(&disk, fat, &mut dice, &mut Model::default()).0;
        disk.cut_after(1 << 40);
        let mut server = self::server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        let found = tree(&mut server).expect("readable");
        assert!(states.contains(&found), "seed {seed}: the next life finds what never was");
        disk.cut_after(dice.roll(60));
        let _answer = act(&mut server, &write("last", 0, 9000));
        states.push(tree(&mut server).expect("readable"));
        let _answer = act(&mut server, &Op::Sync);
        disk.cut_after(0);
        disk.power_on(&mut dice);
        let mut server = self::server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        assert!(states.contains(&tree(&mut server).expect("readable")), "seed {seed}: torn");
    }
}

/// The server dies when its journal is written and not flushed; the power goes while its next life applies it.
#[test]
fn journal_is_not_lost_while_it_is_applied() {
    for (steps, seed) in (0..8).flat_map(|steps| (1..16).map(move |seed| (steps, seed))) {
        let disk = formatted(VOLUME, BEHIND);
        let mut server = server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        let mut states = vec![tree(&mut server).expect("readable")];
        let _answer = act(&mut server, &write("a", 0, 20_000));
        states.push(tree(&mut server).expect("readable"));
        disk.cut_after(1);
        assert_eq!(server.sync(CLIENT), Err(Error::Broken));
        drop(server);
        disk.cut_after(steps);
        let _mounted = fat(&disk).map(drop);
        disk.cut_after(0);
        disk.power_on(&mut Dice(seed));
        let mut server = self::server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        assert!(states.contains(&tree(&mut server).expect("readable")), "torn after {steps} steps, dice {seed}");
    }
}

/// The disk fails for a while, a checkpoint is tried once more, and then the power goes.
#[test]
fn checkpoint_after_one_that_failed_is_whole_as_well() {
    for seed in 1..=60_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let disk = formatted(VOLUME, BEHIND);
        let mut server = server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        let mut states = Vec::new();
        for path in ["a", "b", "c"] {
            let _answer = act(&mut server, &write(path, 0, 30_000));
            states.push(tree(&mut server).expect("readable"));
            disk.cut_after(if path == "a" { 1 << 40 } else { dice.roll(40) });
            let _answer = act(&mut server, &Op::Sync);
            disk.cut_after(1 << 40);
        }
        disk.cut_after(0);
        drop(server);
        disk.power_on(&mut dice);
        let mut server = self::server(&disk);
        let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
        assert!(states.contains(&tree(&mut server).expect("readable")), "seed {seed}: torn");
    }
}

#[test]
#[ignore = "minutes: the campaign of a thousand cuts, each with three lives"]
fn campaign_of_a_thousand_cuts() {
    (1..=1000).for_each(|seed| cut_on(&formatted(VOLUME, BEHIND), fat, seed + 1_000_000));
}

#[test]
fn volume_without_room_for_a_journal_can_only_be_read() {
    let disk = formatted(VOLUME, 0);
    let steps = disk.steps();
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    assert_eq!(server.make_directory(CLIENT, "d"), Err(Error::NotWritable));
    assert!(server.open_to_write(CLIENT, "a", Creation::IfMissing, false).is_err());
    assert_eq!((server.sync(CLIENT), disk.steps()), (Ok(()), steps), "nothing was written");
}

#[test]
fn names_ignore_case_and_short_names_belong_to_their_files() {
    let mut server = server(&formatted(VOLUME, BEHIND));
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    let name = "A quite long name.image";
    let _answer = act(&mut server, &write(name, 0, 10));
    let found = server.find(CLIENT, &name.to_lowercase()).expect("the same name");
    assert_eq!(server.find(CLIENT, name).expect("there").id, found.id);
    assert_eq!(server.open_to_write(CLIENT, "AQUITE~1.IMA", Creation::IfMissing, false).err(), Some(Error::BadPath));
    // What begins with a character of several bytes ends the library.
    for name in ["a*b", "~gone-5", "~GONE-5", "\u{e5}", "\u{2024}a", "\u{1f4be}.txt"] {
        assert_eq!(server.make_directory(CLIENT, name), Err(Error::BadPath));
        assert_eq!(server.rename(CLIENT, "A quite long name.image", name), Err(Error::BadPath));
    }
    assert_eq!(server.make_directory(CLIENT, "a\u{e5}"), Ok(()));
    assert_eq!(server.remove_directory(CLIENT, "A\u{c5}"), Ok(()));
    assert_eq!(server.make_directory(CLIENT, &"n".repeat(252)), Ok(()));
    // Another case is no other name.
    assert_eq!(server.rename(CLIENT, name, &name.to_uppercase()), Ok(()));
    let names: Vec<String> = tree(&mut server).expect("readable").into_keys().collect();
    assert_eq!(names, [name.to_string(), "n".repeat(252)]);
}

/// A file without a name is there until it is closed, also when its server ends first.
#[test]
fn open_file_outlives_its_name_but_not_its_server() {
    let disk = formatted(VOLUME, BEHIND);
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    for path in ["a", "b", "c"] {
        let _answer = act(&mut server, &write(path, 0, 700));
    }
    let [a, b] = ["a", "b"].map(|path| server.open(CLIENT, path).expect("there").file);
    assert_eq!((server.remove_file(CLIENT, "a"), server.rename(CLIENT, "c", "b")), (Ok(()), Ok(())));
    assert!(server.get(CLIENT, a, 0, 800).is_ok_and(|data| data.len() == 700));
    assert!(server.get(CLIENT, b, 0, 800).is_ok_and(|data| data.len() == 700));
    assert_eq!(server.close(CLIENT, b), Ok(()));
    let _answer = act(&mut server, &Op::Sync);
    assert_eq!(others_tree(&disk).into_keys().collect::<Vec<_>>(), ["b"]);
    let names = |disk: &RamDisk| {
        let others = Others::new(Bytes::of(disk), fatfs::FsOptions::new()).expect("a volume");
        others.root_dir().iter().map(|entry| entry.expect("readable").file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&disk).len(), 2, "the open file is put aside: {:?}", names(&disk));
    drop(server);
    let mut next = Fat::mount(disk.clone()).expect("a volume");
    assert_eq!((next.sync(), names(&disk)), (Ok(()), vec!["x".to_string()]));
}

#[test]
fn full_volume_and_full_directory_refuse_what_does_not_fit_and_keep_the_rest() {
    let disk = formatted(VOLUME, BEHIND);
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/", 64 << 20);
    let open = server.open_to_write(CLIENT, "x/a", Creation::Always, false).expect("room");
    assert_eq!(server.set_size(CLIENT, open.file, 1_000_000), Ok(()));
    // In one operation no more can be changed than the journal takes; no call carries so much.
    assert_eq!(server.write_for_test(CLIENT, open.file, Some(0), &[1; 600_000]), Err(Error::NoSpace));
    assert_eq!(server.set_size(CLIENT, open.file, 9_000_000), Err(Error::NoSpace));
    assert_eq!(server.write_for_test(CLIENT, open.file, Some(8_500_000), b"far"), Err(Error::NoSpace));
    assert_eq!(server.find(CLIENT, "x/a").expect("there").size, 1_000_000);
    assert_eq!(server.set_size(CLIENT, open.file, 6_000_000), Ok(()));
    assert_eq!(server.set_size(CLIENT, open.file, 100), Ok(()));
    // The uppermost directory of FAT16 has 512 entries.
    let made = (0..600).take_while(|number| server.make_directory(CLIENT, &format!("directory {number}")).is_ok());
    let made = made.count();
    assert!((100..600).contains(&made), "{made}");
    assert_eq!(server.make_directory(CLIENT, "one more directory"), Err(Error::NoSpace));
    assert_eq!((server.sync(CLIENT), tree(&mut server).expect("readable").len()), (Ok(()), made + 2));
    assert_eq!(others_tree(&disk)["a"].as_ref().map(Vec::len), Some(100));
}

/// All of the volume but for the directories can be given out, whatever the files' sizes: what two clients have is theirs, as long as there are names.
#[test]
fn quotas_that_are_no_more_than_the_volume_can_be_filled() {
    for len in [16_000, 66_000, 600_000] {
        let disk = formatted(VOLUME, BEHIND);
        let room = fat(&disk).expect("a volume").capacity() - 2 * counted(0);
        fill(server(&disk), room / 2, len, 1);
    }
}

#[test]
fn what_is_no_volume_is_left_alone() {
    for (disk, expected) in [
        (RamDisk::new(0), FatError::NoVolume),
        (RamDisk::new(64), FatError::NoVolume),
        (formatted(VOLUME, 0), FatError::NoVolume),
    ] {
        if disk.count() > 64 {
            // Larger than its partition.
            disk.scribble(19, &0xffff_u16.to_le_bytes());
        }
        assert_eq!(Fat::mount(disk.clone()).map(|_| ()).err(), Some(expected));
        assert_eq!(disk.steps(), 0, "nothing was written");
    }
    // Two files with one chain.
    let disk = formatted(VOLUME, BEHIND);
    let others = Others::new(Bytes::of(&disk), fatfs::FsOptions::new()).expect("a volume");
    for name in ["one", "two"] {
        others.root_dir().create_file(name).expect("room").write_all(&[7; 9000]).expect("room");
    }
    drop(others);
    let mut bytes = vec![0; 64 * BLOCK];
    disk.clone().read(0, &mut bytes).expect("readable");
    let entry = |name: &[u8]| bytes.windows(11).position(|window| window == name).expect("there");
    let one = bytes[entry(b"ONE        ") + 26..][..2].to_vec();
    // The first cluster is number 2.
    for cluster in [one, vec![1, 0], vec![0xf0, 0xff]] {
        disk.scribble(entry(b"TWO        ") + 26, &cluster);
        assert_eq!(Fat::mount(disk.copy()).map(|_| ()).err(), Some(FatError::Damaged), "{cluster:?}");
    }
}

/// A directory that follows itself, without a name in it, has no end.
#[test]
fn directory_that_is_a_ring_is_no_endless_one() {
    let disk = RamDisk::new(VOLUME + BEHIND);
    let options = fatfs::FormatVolumeOptions::new().total_sectors(u32::try_from(VOLUME * 8).expect("small"));
    let options = options.fat_type(fatfs::FatType::Fat16).bytes_per_cluster(512);
    fatfs::format_volume(Bytes::of(&disk), options).expect("room");
    let others = Others::new(Bytes::of(&disk), fatfs::FsOptions::new()).expect("a volume");
    others.root_dir().create_dir("x").expect("room");
    drop(others);
    let mut head = vec![0; 64 * BLOCK];
    disk.clone().read(0, &mut head).expect("readable");
    let half = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let entry = head.windows(11).position(|window| window == b"X          ").expect("there");
    let (cluster, tables) = (half(entry + 26), half(14) * 512);
    let data = tables + 2 * half(22) * 512 + half(17) * 32;
    let number = u16::try_from(cluster).expect("small").to_le_bytes();
    for table in 0..2 {
        disk.scribble(tables + table * half(22) * 512 + 2 * cluster, &number);
    }
    disk.scribble(data + (cluster - 2) * 512, &[0xe5; 512]);
    assert_eq!(Fat::mount(disk).map(|_| ()).err(), Some(FatError::Damaged));
}

/// What may be made can be mounted: levels and names have the same bounds in both.
#[test]
fn volume_that_is_as_deep_and_as_full_as_it_may_be_is_mounted_again() {
    let disk = formatted(VOLUME, BEHIND);
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 64 << 20);
    let deep =
        |first: &str, levels: usize| [first].into_iter().chain(vec!["d"; levels - 1]).collect::<Vec<_>>().join("/");
    let made = (1..40).take_while(|levels| server.make_directory(CLIENT, &deep("d", *levels)).is_ok()).count();
    assert_eq!(server.make_directory(CLIENT, &deep("d", made + 1)), Err(Error::NoSpace));
    for levels in 1..=8 {
        assert_eq!(server.make_directory(CLIENT, &deep("e", levels)), Ok(()));
    }
    // Half of the one below half of the other is as deep as may be, one level more is not.
    let half = deep("d", made - 7);
    assert_eq!(server.rename(CLIENT, "e", &format!("{half}/e")), Err(Error::NoSpace));
    let half = deep("d", made - 8);
    assert_eq!(server.rename(CLIENT, "e", &format!("{half}/e")), Ok(()));
    // A few in each, since a directory is searched from its beginning.
    let path = |number: usize| {
        if number.is_multiple_of(32) { format!("d/{number}") } else { format!("d/{}/{number}", number / 32 * 32) }
    };
    let full = (0..2000).take_while(|number| server.make_directory(CLIENT, &path(*number)).is_ok()).count();
    assert!((900..1024).contains(&full), "{full}");
    assert_eq!(server.sync(CLIENT), Ok(()));
    let mut next = self::server(&disk);
    let _rings = begin(&mut next, CLIENT, "/data/x", 64 << 20);
    assert_eq!(tree(&mut next), tree(&mut server));
}

#[test]
fn kinds_and_sizes_are_told() {
    let mut store = Fat::mount(formatted(VOLUME, BEHIND)).expect("a volume");
    assert!(store.is_writable() && store.capacity() > 7 << 20);
    let found = store.lookup(store.root(), "X").expect("the same name");
    assert_eq!((found.kind, found.size, found.modified_ns), (Kind::Directory, 0, 0));
}

/// What could not be brought to the disk is brought there by the next `sync`.
#[test]
fn disk_that_fails_for_a_while_loses_nothing() {
    let disk = formatted(VOLUME, BEHIND);
    let mut server = server(&disk);
    let _rings = begin(&mut server, CLIENT, "/data/x", 4 << 20);
    for steps in 0..12 {
        let _answer = act(&mut server, &write("a", steps * 700, 9000));
        disk.cut_after(steps);
        let synced = server.sync(CLIENT);
        let _answer = act(&mut server, &write("b", steps, 100));
        disk.cut_after(1 << 40);
        assert!(matches!(synced, Ok(()) | Err(Error::Broken)), "{synced:?}");
        assert_eq!((server.sync(CLIENT), tree(&mut server)), (Ok(()), Ok(others_tree(&disk))), "after {steps} steps");
    }
}
