//! Volumes of FAT with damage. What has checksums (partition tables, system images) has tests that forge them.

use crate::input::Input;
use fsd::{BLOCK, Blocks, DeviceError, Fat, Node, Store};
use libhybrid::interfaces::fs::Kind;
use std::io::{Cursor, Write};
use std::sync::LazyLock;

/// Bytes of the volume, and behind it.
const VOLUME: usize = 2 << 20;
const BEHIND: usize = 512 << 10;
/// Where boot sector, tables and directories of the volume are.
const HEAD: usize = 60_000;

/// A disk in memory.
struct Ram(Vec<u8>);

impl Ram {
    fn place(&self, first: u64, len: usize) -> Result<usize, DeviceError> {
        let at = usize::try_from(first).ok().and_then(|first| first.checked_mul(BLOCK)).ok_or(DeviceError)?;
        if at + len <= self.0.len() { Ok(at) } else { Err(DeviceError) }
    }
}

impl Blocks for Ram {
    fn count(&self) -> u64 {
        (self.0.len() / BLOCK) as u64
    }

    fn read(&mut self, first: u64, data: &mut [u8]) -> Result<(), DeviceError> {
        let at = self.place(first, data.len())?;
        data.copy_from_slice(&self.0[at..at + data.len()]);
        Ok(())
    }

    fn write(&mut self, first: u64, data: &[u8]) -> Result<(), DeviceError> {
        let at = self.place(first, data.len()).expect("a write beyond the partition");
        self.0[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// A volume with some files and directories.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut disk = Cursor::new(vec![0; VOLUME + BEHIND]);
    let sectors = u32::try_from(VOLUME / 512).expect("small");
    fatfs::format_volume(&mut disk, fatfs::FormatVolumeOptions::new().total_sectors(sectors)).expect("room");
    let volume = fatfs::FileSystem::new(&mut disk, fatfs::FsOptions::new()).expect("a volume");
    let root = volume.root_dir();
    let below = root.create_dir("a directory with a long name").expect("room");
    for (directory, name) in [(&root, "IMAGE"), (&root, "root of a tree.elf"), (&below, "x"), (&below, "empty")] {
        let mut file = directory.create_file(name).expect("room");
        file.write_all(&vec![7; if name == "empty" { 0 } else { 9000 }]).expect("room");
    }
    drop((root, below));
    drop(volume);
    disk.into_inner()
});

/// The volume after the damage that an input says: places and bytes.
fn damaged(input: &mut Input<'_>) -> Ram {
    let mut disk = WHOLE.clone();
    for _ in 0..input.below(16) {
        let at = input.below(HEAD);
        let bytes = input.piece(8);
        disk[at..at + bytes.len()].copy_from_slice(bytes);
    }
    Ram(disk)
}

/// All nodes of a store that is a tree.
fn nodes(store: &mut impl Store) -> Vec<(Node, Kind)> {
    let (mut found, mut at) = (vec![(store.root(), Kind::Directory)], 0);
    while let Some((node, kind)) = found.get(at).copied() {
        if kind == Kind::Directory {
            for (_, below) in store.list(node).expect("what was mounted can be listed") {
                found.push((below, store.found(below).expect("what is listed is there").kind));
            }
        }
        at += 1;
    }
    found
}

/// A damaged volume is refused, or is a tree that can be used, whatever else is wrong with it; an operation that fails changes no name.
pub fn target_boot_volume(data: &[u8]) {
    let mut input = Input::new(data);
    let Ok(mut store) = Fat::mount(damaged(&mut input)) else { return };
    let mut bytes = vec![0; 9000];
    while let Some(deed) = input.byte() {
        let all = nodes(&mut store);
        let (node, _) = all[input.below(all.len())];
        let (other, _) = all[input.below(all.len())];
        let name = ["new", "IMAGE", "image", "another with a long name", "x"][input.below(5)];
        let at = u64::from(input.any()) << 8;
        let done = match deed % 8 {
            0 => store.create(node, name, Kind::File, 1).map(drop),
            1 => store.create(node, name, Kind::Directory, 1).map(drop),
            2 => store.remove(node, name),
            3 => store.rename((node, name), (other, "moved")),
            4 => store.read(node, at, &mut bytes).map(drop),
            5 => store.write(node, at, &bytes, 1),
            6 => store.set_size(node, at, 1),
            _ => store.sync(),
        };
        assert!(done.is_ok() || nodes(&mut store) == all, "{deed} failed and changed something");
    }
}

pub(super) fn is_volume(data: &[u8]) -> bool {
    Fat::mount(damaged(&mut Input::new(data))).is_ok()
}

/// No damage and each deed; the same with other content of a file.
pub(super) fn damages() -> Vec<Vec<u8>> {
    let deeds: Vec<u8> = (0..8).flat_map(|deed| [deed, deed, 1, deed, 3]).collect();
    vec![[vec![0], deeds.clone()].concat(), [vec![1, 0xc3, 0x50, 2, 9, 9], deeds].concat()]
}
