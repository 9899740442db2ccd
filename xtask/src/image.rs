//! Lays a built image out as the files that go onto a board; flashes nothing.
use crate::build::{self, Build};
use crate::folders;
use crate::setup;
use anyhow::{Context, Result, bail};
use clap::Args;
use hybrid_scenarios::disk;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `cargo xtask image`.
#[derive(Args)]
pub(crate) struct MakeImage {
    #[command(flatten)]
    build: Build,
    /// Where the folder goes; default: target/release-images
    #[arg(long)]
    out: Option<PathBuf>,
}

impl MakeImage {
    /// Builds, and writes the folder.
    ///
    /// # Errors
    /// The image does not build, or the folder cannot be written.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        let recipe = self.build.recipe()?;
        let built = build::image(&recipe)?;
        let out = self.out.unwrap_or_else(|| folders::target().join("release-images"));
        let folder = folders::created(out.join(format!("{}-{}", recipe.folder, self.build.board)))?;
        let mut sizes = String::new();
        for name in ["Image", "root.elf"] {
            let length = std::fs::copy(built.join(name), folder.join(name))
                .with_context(|| format!("cannot write {}", folder.join(name).display()))?;
            sizes.push_str(&format!("    {name:<10} {length} bytes\n"));
        }
        copy_golden(&self.build.product, &folder)?;
        if recipe.has_disk() {
            let path = folder.join("disk.img");
            disk::create(&path, Some(&built))?;
            sizes.push_str(&format!("    disk.img   {} bytes: {}\n", disk::BYTES, disk::layout()));
        }
        let guide = guide(&recipe.folder, &sizes, recipe.has_disk());
        std::fs::write(folder.join("README.txt"), guide)
            .with_context(|| format!("cannot write {}", folder.join("README.txt").display()))?;
        println!("{}", folders::shown(&folder));
        Ok(ExitCode::SUCCESS)
    }
}

/// The list of grants travels with the image, so that whoever boots it can compare.
fn copy_golden(product: &str, folder: &Path) -> Result<()> {
    let golden = folders::checkout().join("images").join(product).join("capgraph.golden");
    std::fs::copy(&golden, folder.join("capgraph.golden"))
        .with_context(|| format!("cannot copy {}", golden.display()))?;
    Ok(())
}

/// The disk of `cargo xtask run`: made if it is not there or to be fresh. The image of `built` is on its boot partitions; what the device keeps on its
/// data partition stays.
///
/// # Errors
/// It cannot be written, or an earlier version made it with other partitions.
pub(crate) fn kept_disk(product: &str, built: &Path, is_fresh: bool) -> Result<PathBuf> {
    let path = folders::created(folders::target().join("disks"))?.join(format!("{product}.img"));
    keep_disk(&path, built, is_fresh)?;
    Ok(path)
}

/// Keeps other runs away from the product's disk as long as it lives: what one writes to a disk another machine would not know of.
///
/// # Errors
/// Another run has the disk.
pub(crate) fn claim_disk(product: &str) -> Result<File> {
    let path = folders::created(folders::target().join("disks"))?.join(format!("{product}.lock"));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another `cargo xtask run` has the disk of {product}: end it first, or run another product");
    }
    Ok(file)
}

fn keep_disk(path: &Path, built: &Path, is_fresh: bool) -> Result<()> {
    if is_fresh || !path.exists() { disk::create(path, Some(built)) } else { disk::renew(path, built) }
}

fn guide(name: &str, sizes: &str, has_disk: bool) -> String {
    let drive = if has_disk {
        "-drive if=none,id=disk0,format=raw,discard=unmap,file=disk.img \\\n        -device virtio-blk-device,bus=virtio-mmio-bus.16,drive=disk0 \\\n        "
    } else {
        ""
    };
    format!(
        "HybridOS image {name}\n\n{sizes}\n\
         Image is a kernel in the arm64 boot format of Linux, root.elf its initial RAM disk (the root task with all components).\n\
         Any boot loader that boots Linux on the board boots it: kernel, initrd and device tree, nothing on the command line.\n\n\
         In QEMU:\n\n    \
         qemu-system-aarch64 -M virt -cpu cortex-a53 -m 512M -nodefaults -no-reboot -display none -serial stdio \\\n        \
         -global virtio-mmio.force-legacy=false -netdev user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80 \\\n        \
         -device virtio-net-device,bus=virtio-mmio-bus.0,netdev=net0 \\\n        \
         -device virtio-rng-device,bus=virtio-mmio-bus.8 \\\n        {drive}-kernel Image -initrd root.elf\n\n\
         With U-Boot:\n\n    \
         booti ${{kernel_addr_r}} ${{ramdisk_addr_r}}:${{filesize}} ${{fdt_addr_r}}\n\n\
         capgraph.golden lists every capability that the components of this image hold.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{disk, keep_disk};
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::FileExt;
    use std::path::{Path, PathBuf};

    /// A folder with a built image; gone when dropped.
    struct Built(PathBuf);

    impl Built {
        fn new(test: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("hybrid-kept-{}-{test}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder for the test");
            let this = Self(folder);
            this.build("first");
            this
        }

        /// The image is built anew, and is another one.
        fn build(&self, word: &str) {
            for name in ["Image", "root.elf"] {
                fs::write(self.0.join(name), format!("{word} {name} ").repeat(20_000)).expect("room");
            }
        }

        fn disk(&self) -> PathBuf {
            self.0.join("disk.img")
        }

        fn run(&self, is_fresh: bool) -> anyhow::Result<()> {
            keep_disk(&self.disk(), &self.0, is_fresh)
        }

        fn assert_boots(&self) {
            let present = ["Image", "root.elf"].map(|name| fs::read(self.0.join(name)).expect("built"));
            for index in 0..2 {
                let files = disk::boot_files(&self.disk(), index, ["Image", "root.elf"]).expect("a volume");
                assert!(files == present, "partition {index} holds another image");
            }
        }
    }

    impl Drop for Built {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("it was made here");
        }
    }

    fn start_of(disk: &Path, partition: &str) -> (u64, u64) {
        let spans = disk::spans(disk).expect("a table");
        spans.iter().find(|(name, ..)| name == partition).map(|(_, start, bytes)| (*start, *bytes)).expect("there")
    }

    fn write(disk: &Path, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(disk).expect("a disk");
        file.write_all_at(bytes, at).expect("room");
    }

    fn read(disk: &Path, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        fs::File::open(disk).expect("a disk").read_exact_at(&mut bytes, at).expect("inside");
        bytes
    }

    #[test]
    fn what_the_device_keeps_stays_until_the_disk_is_to_be_fresh() {
        let built = Built::new("stays");
        built.run(false).expect("room");
        built.assert_boots();
        let (start, bytes) = start_of(&built.disk(), "data");
        for at in [start, start + bytes - 9] {
            write(&built.disk(), at, b"mine mine");
        }
        built.run(false).expect("it is there");
        built.build("second");
        built.run(false).expect("it is there");
        assert_eq!(read(&built.disk(), start, 9), b"mine mine");
        assert_eq!(read(&built.disk(), start + bytes - 9, 9), b"mine mine");
        built.run(true).expect("room");
        assert_eq!(read(&built.disk(), start, 9), [0; 9]);
        built.assert_boots();
    }

    #[test]
    fn boot_partitions_hold_the_image_of_the_run() {
        let built = Built::new("boots");
        built.run(false).expect("room");
        // What a device left: a volume that is none any more, and a journal that waits.
        let (start, bytes) = start_of(&built.disk(), "boot-a");
        write(&built.disk(), start, &[0xee; 4096]);
        write(&built.disk(), start + bytes - 4096, &[0xee; 4096]);
        let system = start_of(&built.disk(), "system-b").0;
        let image = read(&built.disk(), system, 4096);
        write(&built.disk(), system, &[0xee; 4096]);
        built.build("a longer second");
        built.run(false).expect("it is there");
        built.assert_boots();
        assert_eq!(read(&built.disk(), start + bytes - 4096, 4096), [0; 4096], "it would be written over the volume");
        assert_eq!(read(&built.disk(), system, 4096), image);
    }

    #[test]
    fn boot_partition_with_the_image_of_the_run_is_left_alone() {
        let built = Built::new("alone");
        built.run(false).expect("room");
        let (start, bytes) = start_of(&built.disk(), "boot-b");
        write(&built.disk(), start + bytes - 4096, &[0xee; 4096]);
        built.run(false).expect("it is there");
        assert_eq!(read(&built.disk(), start + bytes - 4096, 4096), [0xee; 4096]);
    }

    #[test]
    fn disk_of_another_layout_is_refused_and_stays_as_it_is() {
        let built = Built::new("layout");
        built.run(false).expect("room");
        let (start, _) = start_of(&built.disk(), "data");
        write(&built.disk(), start, b"mine");
        // As if a version had made it whose disks were larger.
        let file = OpenOptions::new().write(true).open(built.disk()).expect("a disk");
        file.set_len(disk::BYTES + 4096).expect("room");
        let refused = built.run(false).expect_err("it is another").to_string();
        assert!(refused.contains("--fresh") && refused.contains("data 64 MiB"), "{refused}");
        assert_eq!(read(&built.disk(), start, 4), b"mine");
        fs::write(built.disk(), vec![7; 1 << 20]).expect("room");
        let refused = built.run(false).expect_err("it is none");
        assert!(format!("{refused:#}").contains("no partitions"), "{refused:#}");
        built.run(true).expect("room");
        built.assert_boots();
    }
}
