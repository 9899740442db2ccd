//! Lays a built image out as the files that go onto a board; flashes nothing.
use crate::build::{self, Build};
use crate::folders;
use crate::setup;
use anyhow::{Context, Result};
use clap::Args;
use hybrid_scenarios::disk;
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

/// The disk of `cargo xtask run`: made if it is not there or to be fresh, with the image of `built` on its boot partitions.
///
/// # Errors
/// It cannot be written.
pub(crate) fn kept_disk(product: &str, built: &Path, is_fresh: bool) -> Result<PathBuf> {
    let path = folders::created(folders::target().join("disks"))?.join(format!("{product}.img"));
    if is_fresh || !path.exists() {
        disk::create(&path, Some(built))?;
    }
    Ok(path)
}

fn guide(name: &str, sizes: &str, has_disk: bool) -> String {
    let drive = if has_disk {
        "-drive if=none,id=disk0,format=raw,file=disk.img \\\n        -device virtio-blk-device,bus=virtio-mmio-bus.16,drive=disk0 \\\n        "
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
