//! The virtual disk's image: partitions, and the boot partitions' files; what the device keeps on it is the device's.
use anyhow::{Context, Result, anyhow, ensure};
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::partition_types::{BASIC, LINUX_FS, Type};
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MIB: u64 = 1 << 20;
/// Bytes of the disk: the partitions, and a MiB for the tables at both ends.
pub const BYTES: u64 = (32 + 32 + 8 + 8 + 64 + 2) * MIB;
/// The partitions in their order, and their sizes in MiB. FAT for boot loaders and updates, with room for the largest root task that a build allows; the others
/// are the device's to format.
const PARTITIONS: [(&str, u64, Type); 5] = [
    ("boot-a", 32, BASIC),
    ("boot-b", 32, BASIC),
    ("system-a", 8, LINUX_FS),
    ("system-b", 8, LINUX_FS),
    ("data", 64, LINUX_FS),
];
/// Bytes of a boot partition behind its volume: room for the journal of those who write there (decision 0145).
const BEHIND_VOLUME: u64 = 512 << 10;

/// The partitions in words.
pub fn layout() -> String {
    PARTITIONS.map(|(name, mib, _)| format!("{name} {mib} MiB")).join(", ")
}

/// Bytes of a partition; 0 if there is no such.
pub fn partition_bytes(name: &str) -> u64 {
    PARTITIONS.iter().filter(|(one, ..)| *one == name).map(|(_, mib, _)| mib * MIB).sum()
}

/// Bytes that files and directories have on the volume of a boot partition.
///
/// # Errors
/// Such a volume cannot be made.
pub fn boot_room(partition: u64) -> Result<u64> {
    let bytes = partition.checked_sub(BEHIND_VOLUME).context("the partition is too small")?;
    let mut volume = Cursor::new(vec![0; usize::try_from(bytes)?]);
    fatfs::format_volume(&mut volume, boot_volume(bytes)?)?;
    let stats = fatfs::FileSystem::new(volume, fatfs::FsOptions::new())?.stats()?;
    Ok(u64::from(stats.total_clusters()) * u64::from(stats.cluster_size()))
}

fn boot_volume(bytes: u64) -> Result<fatfs::FormatVolumeOptions> {
    let sectors = u32::try_from(bytes / 512).context("the partition is too large")?;
    Ok(fatfs::FormatVolumeOptions::new().volume_label(*b"BOOT       ").total_sectors(sectors))
}

/// Makes the disk at `path`, whatever was there; the boot partitions hold the image in the folder `built`, if there is one.
///
/// # Errors
/// It cannot be written.
pub fn create(path: &Path, built: Option<&Path>) -> Result<()> {
    fill(path, built).with_context(|| format!("cannot make the disk {}", path.display()))
}

fn fill(path: &Path, built: Option<&Path>) -> Result<()> {
    // Sparse: only what is written takes room on the host.
    File::create(path)?.set_len(BYTES)?;
    partition(path)?;
    (2..4).try_for_each(|index| write_system(path, index))?;
    (0..2).try_for_each(|index| format_boot(part(path, index)?, built))
}

/// The partitions of the disk at `path` that the host writes hold what they hold on a new one, with the image of `built`; all else stays. What holds it
/// already is not touched.
///
/// # Errors
/// The disk has other partitions, or cannot be written.
pub fn renew(path: &Path, built: &Path) -> Result<()> {
    let found =
        spans(path).context("`--fresh` makes a disk anew")?.into_iter().map(|(name, _, bytes)| (name, bytes / MIB));
    let found: Vec<String> = found.map(|(name, mib)| format!("{name} {mib} MiB")).collect();
    ensure!(
        found.join(", ") == layout() && std::fs::metadata(path)?.len() == BYTES,
        "the disk {} has other partitions ({}) than this version makes ({}); `--fresh` makes it anew, and what is on it is lost",
        path.display(),
        found.join(", "),
        layout()
    );
    (2..4).try_for_each(|index| write_system(path, index))?;
    let present = ["Image", "root.elf"].map(|name| std::fs::read(built.join(name)));
    let present = present.into_iter().collect::<std::io::Result<Vec<_>>>().context("the image is not built")?;
    for index in 0..2 {
        // A volume that cannot be read holds another one, too.
        if boot_files(path, index, ["Image", "root.elf"]).is_ok_and(|files| files.as_slice() == present) {
            continue;
        }
        let mut part = part(path, index)?;
        // What waits in the journal would be written over the new volume.
        part.seek(SeekFrom::End(-BEHIND_VOLUME.cast_signed()))?;
        part.write_all(&vec![0; usize::try_from(BEHIND_VOLUME)?])?;
        part.rewind()?;
        format_boot(part, Some(built))?;
    }
    Ok(())
}

fn write_system(path: &Path, index: usize) -> Result<()> {
    let (mut part, image) = (part(path, index)?, system()?);
    ensure!(image.len() as u64 <= part.bytes, "the system image does not fit into its partition");
    Ok(part.write_all(&image)?)
}

/// Names of the disk's partitions in their order, where each begins, and how long it is, bytes.
///
/// # Errors
/// There is no disk with a table.
pub fn spans(path: &Path) -> Result<Vec<(String, u64, u64)>> {
    let table = GptConfig::new().open(path).with_context(|| format!("no partitions in {}", path.display()))?;
    let span = |one: &gpt::partition::Partition| {
        (one.name.clone(), one.first_lba * 512, (one.last_lba - one.first_lba + 1) * 512)
    };
    Ok(table.partitions().values().map(span).collect())
}

/// The `index`th partition of the disk.
fn part(path: &Path, index: usize) -> Result<Part> {
    let (_, start, bytes) = spans(path)?.into_iter().nth(index).context("no such partition")?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Ok(Part { file, start, bytes, at: 0 })
}

/// Writes the tables.
fn partition(path: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(file, None)?;
    for (name, mib, kind) in PARTITIONS {
        // Aligned to 1 MiB, as everybody does.
        table.add_partition(name, mib * MIB, kind, 0, Some(MIB / 512))?;
    }
    table.write()?;
    // A table for who knows nothing of GPTs.
    let mut file = OpenOptions::new().write(true).open(path)?;
    let sectors = u32::try_from(BYTES / 512 - 1).unwrap_or(u32::MAX);
    gpt::mbr::ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut file)?;
    Ok(())
}

/// The image of both system partitions: what the disk itself is. What else belongs there is an updater's matter.
fn system() -> Result<Vec<u8>> {
    let (release, partitions) = (format!("HybridOS {}\n", env!("CARGO_PKG_VERSION")), layout() + "\n");
    let files = [("release", release.as_bytes()), ("etc/partitions", partitions.as_bytes())];
    hybrid_sysimage::build(&files).map_err(|unfit| anyhow!("the system image cannot be made: {unfit:?}"))
}

fn format_boot(mut part: Part, built: Option<&Path>) -> Result<()> {
    let options = boot_volume(part.bytes - BEHIND_VOLUME)?;
    fatfs::format_volume(&mut part, options)?;
    let volume = fatfs::FileSystem::new(part, fatfs::FsOptions::new())?;
    for name in built.iter().flat_map(|_| ["Image", "root.elf"]) {
        let bytes = std::fs::read(built.unwrap_or(Path::new("")).join(name))?;
        volume.root_dir().create_file(name)?.write_all(&bytes)?;
    }
    Ok(volume.unmount()?)
}

/// Files of the `index`th partition of the disk at `path`, which holds a volume of FAT; nothing on it is changed.
///
/// # Errors
/// There is no such partition, volume or file.
pub fn boot_files<const N: usize>(path: &Path, index: usize, names: [&str; N]) -> Result<[Vec<u8>; N]> {
    let (_, start, bytes) = spans(path)?.into_iter().nth(index).context("no such partition")?;
    let part = Part { file: File::open(path)?, start, bytes, at: 0 };
    let volume = fatfs::FileSystem::new(ReadOnly(part), fatfs::FsOptions::new())?;
    let mut files = [const { Vec::new() }; N];
    for (name, bytes) in names.into_iter().zip(&mut files) {
        let file = volume.root_dir().open_file(name);
        file.with_context(|| format!("no file {name}"))?.read_to_end(bytes)?;
    }
    Ok(files)
}

/// A part of a file as a file of its own.
struct Part {
    file: File,
    start: u64,
    bytes: u64,
    at: u64,
}

impl Part {
    /// Puts the file's position to this part's, and cuts `len` to what is left.
    fn place(&mut self, len: usize) -> std::io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.start + self.at))?;
        let left = usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX);
        Ok(len.min(left))
    }
}

impl Read for Part {
    fn read(&mut self, data: &mut [u8]) -> std::io::Result<usize> {
        let len = self.place(data.len())?;
        let len = self.file.read(&mut data[..len])?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Part {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let len = self.place(data.len())?;
        let len = self.file.write(&data[..len])?;
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let (base, step) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(step) => (self.at, step),
            SeekFrom::End(step) => (self.bytes, step),
        };
        let at = base.checked_add_signed(step).filter(|at| *at <= self.bytes);
        self.at = at.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "beyond the partition"))?;
        Ok(self.at)
    }
}

/// What `fatfs` wants to be able to write.
struct ReadOnly(Part);

impl Read for ReadOnly {
    fn read(&mut self, data: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(data)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for ReadOnly {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_has_its_partitions_and_the_image_on_both_boot_ones() {
        let folder = std::env::temp_dir().join(format!("hybrid-disk-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        for name in ["Image", "root.elf"] {
            std::fs::write(folder.join(name), name.repeat(100_000)).expect("room");
        }
        let path = folder.join("disk.img");
        create(&path, Some(&folder)).expect("room");
        let table = GptConfig::new().open(&path).expect("a table");
        let names: Vec<(&str, u64)> =
            table.partitions().values().map(|one| (one.name.as_str(), one.last_lba - one.first_lba + 1)).collect();
        assert_eq!(names, PARTITIONS.map(|(name, mib, _)| (name, mib * 2048)));
        for index in 0..2 {
            let [image, root] = boot_files(&path, index, ["Image", "root.elf"]).expect("there");
            assert_eq!([image, root], ["Image", "root.elf"].map(|name| name.repeat(100_000).into_bytes()));
        }
        for one in table.partitions().values().skip(2).take(2) {
            let mut bytes = vec![0; 3 * hybrid_sysimage::BLOCK];
            let mut file = File::open(&path).expect("it is there");
            file.seek(SeekFrom::Start(one.first_lba * 512)).expect("inside");
            file.read_exact(&mut bytes).expect("there");
            let header = hybrid_sysimage::Header::parse(bytes.first_chunk().expect("a block"), 2048).expect("an image");
            let index =
                hybrid_sysimage::Index::parse(&header, &bytes[hybrid_sysimage::BLOCK..][..header.index_bytes()]);
            assert!(index.expect("sound").find(hybrid_sysimage::ROOT, "release").is_some());
        }
        std::fs::remove_dir_all(&folder).expect("it was made here");
    }
}
