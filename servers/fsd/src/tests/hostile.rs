//! Volumes of FAT whose directories were forged: no session is led into another's, whatever its entries say.
use super::begin;
use super::fat::{BEHIND, Bytes, Others, VOLUME, formatted};
use super::power::RamDisk;
use crate::blocks::{BLOCK, Blocks};
use crate::{Fat, FatError, Server};
use libhybrid::interfaces::fs::{Creation, Files};
use libhybrid::ipc::ClientId;
use std::io::Write;

const A: ClientId = ClientId::of(41);
const B: ClientId = ClientId::of(42);

/// Directories that other systems made, and files in them.
fn volume(directories: &[&str], files: &[(&str, &[u8])]) -> RamDisk {
    let disk = formatted(VOLUME, BEHIND);
    let others = Others::new(Bytes::of(&disk), fatfs::FsOptions::new()).expect("a volume");
    for path in directories {
        others.root_dir().create_dir(path).expect("room");
    }
    for (path, bytes) in files {
        others.root_dir().create_file(path).expect("room").write_all(bytes).expect("room");
    }
    drop(others);
    disk
}

/// Where the entry with a short name is on the disk, the `which`th of that name.
fn entry(disk: &RamDisk, short: &[u8; 11], which: usize) -> usize {
    let mut bytes = vec![0; 256 * BLOCK];
    disk.clone().read(0, &mut bytes).expect("readable");
    let places = bytes.chunks_exact(32).enumerate().filter(|(_, entry)| entry.starts_with(short));
    places.map(|(place, _)| place * 32).nth(which).expect("there")
}

fn field(disk: &RamDisk, at: usize) -> [u8; 2] {
    let mut block = vec![0; BLOCK];
    disk.clone().read((at / BLOCK) as u64, &mut block).expect("readable");
    [block[at % BLOCK], block[at % BLOCK + 1]]
}

/// The sum of a short name that its long one has (Microsoft, FAT32 File System Specification 1.03, "Long Directory Entries").
fn sum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// Gives a directory with a long name another short one.
fn rename_short(disk: &RamDisk, from: &[u8; 11], to: &[u8; 11]) {
    let at = entry(disk, from, 0);
    disk.scribble(at, to);
    disk.scribble(at - 32 + 13, &[sum(to)]);
}

/// What a session reads of a file, if it can.
fn content(server: &mut Server, client: ClientId, path: &str) -> Option<Vec<u8>> {
    let file = server.open(client, path).ok()?.file;
    server.get(client, file, 0, 700).ok().map(|data| data.into_owned())
}

/// The library looks for long and short names at once, so a directory may answer to the name of one behind it.
#[test]
fn short_name_that_is_anothers_name_leads_nobody_there() {
    let disk = volume(&["the other one", "a"], &[("the other one/secret", b"only for b"), ("a/secret", b"only for a")]);
    rename_short(&disk, b"THEOTH~1   ", b"A          ");
    let mut server = Server::new(vec![("boot", Box::new(Fat::mount(disk).expect("a volume")))], 3, super::clock);
    let _rings = [begin(&mut server, A, "/boot/a", 1 << 20), begin(&mut server, B, "/boot/the other one", 1 << 20)];
    assert_ne!(content(&mut server, A, "secret").as_deref(), Some(&b"only for b"[..]));
    if let Ok(open) = server.open_to_write(A, "secret", Creation::IfMissing, false) {
        let _refused = server.put(A, open.file, 0, false, b"changed by");
    }
    assert_eq!(content(&mut server, B, "secret").as_deref(), Some(&b"only for b"[..]));
}

/// A volume of each kind: blocks, and bytes of a cluster.
const KINDS: [(fatfs::FatType, u64, u32); 3] =
    [(fatfs::FatType::Fat12, VOLUME, 4096), (fatfs::FatType::Fat16, VOLUME, 512), (fatfs::FatType::Fat32, 8704, 512)];

/// A volume of one of these with `a/link`, `a/file`, and `b` with a file that has no bytes.
fn linkable((kind, blocks, cluster): (fatfs::FatType, u64, u32)) -> RamDisk {
    let disk = RamDisk::new(blocks + BEHIND);
    let options = fatfs::FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(cluster);
    let options = options.total_sectors(u32::try_from(blocks * 8).expect("small"));
    fatfs::format_volume(Bytes::of(&disk), options).expect("room");
    let others = Others::new(Bytes::of(&disk), fatfs::FsOptions::new()).expect("a volume");
    assert_eq!(others.fat_type(), kind);
    for path in ["a", "b", "a/link"] {
        others.root_dir().create_dir(path).expect("room");
    }
    others.root_dir().create_file("b/empty").expect("room");
    others.root_dir().create_file("a/file").expect("room").write_all(&[0; 6000]).expect("room");
    drop(others);
    assert!(Fat::mount(disk.copy()).is_ok());
    disk
}

/// A directory that is another one, the uppermost one, or a file's content is what a link would be.
#[test]
fn directories_that_are_also_something_else_are_not_mounted() {
    for kind in KINDS {
        let disk = linkable(kind);
        let link = entry(&disk, b"LINK       ", 0);
        for (target, short) in [("b", b"B          "), ("file", b"FILE       "), ("a", b"A          ")] {
            let forged = disk.copy();
            forged.scribble(link + 26, &field(&disk, entry(&disk, short, 0) + 26));
            let mounted = Fat::mount(forged).map(|_| ());
            assert_eq!(mounted, Err(FatError::Damaged), "{target} of {kind:?}");
        }
        disk.scribble(link + 26, &[0, 0]);
        assert!(Fat::mount(disk).is_err(), "the uppermost one of {kind:?}");
    }
}

/// What lies behind a directory's last entry is read by nobody yet, and becomes entries when it grows.
#[test]
fn directories_that_go_on_in_something_else_are_not_mounted() {
    for kind in KINDS {
        let disk = linkable(kind);
        let [link, file] = [b"LINK       ", b"FILE       "].map(|short| field(&disk, entry(&disk, short, 0) + 26));
        let (number, next) = (usize::from(u16::from_le_bytes(link)), u16::from_le_bytes(file));
        let table = usize::from(u16::from_le_bytes(field(&disk, 14))) * 512;
        match kind.0 {
            fatfs::FatType::Fat12 => {
                let at = table + number * 3 / 2;
                let both = u16::from_le_bytes(field(&disk, at));
                let new = if number % 2 == 0 { both & 0xf000 | next } else { both & 0xf | next << 4 };
                disk.scribble(at, &new.to_le_bytes());
            }
            fatfs::FatType::Fat16 => disk.scribble(table + 2 * number, &next.to_le_bytes()),
            fatfs::FatType::Fat32 => disk.scribble(table + 4 * number, &u32::from(next).to_le_bytes()),
        }
        assert_eq!(Fat::mount(disk).map(|_| ()), Err(FatError::Damaged), "{kind:?}");
    }
}
