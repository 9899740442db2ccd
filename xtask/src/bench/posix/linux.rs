//! Linux in the same emulator, to compare with: Debian's kernel and musl, for this alone and never in an image.
use super::counted;
use super::modules::{self, Module};
use crate::folders;
use crate::musl;
use crate::progress::Step;
use crate::setup;
use crate::source::debian;
use crate::std_tier::of_compiler;
use anyhow::{Context, Result};
use hybrid_scenarios::disk;
use hybrid_scenarios::hardware::Hardware;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernel, and a C library that makes Linux's own system calls.
const PACKAGES: [&str; 2] = ["linux-image-arm64", "musl-dev"];
/// For the machine's network card and its disk. The checksum is what ext4 asks the kernel for by another name when it mounts.
const MODULES: [&str; 5] = ["virtio_mmio", "virtio_net", "virtio_blk", "crc32c_generic", "ext4"];
/// The partition that ext4 is on: the one that is the file server's on our disk.
const PARTITION: &str = "data";

/// What Linux says.
pub(super) struct Linux {
    /// The kernel's file, whose name has its version.
    pub(super) kernel: String,
    /// What made its file system, by its own name and version.
    pub(super) maker: String,
    /// By the rows' ids.
    pub(super) rows: BTreeMap<String, f64>,
}

/// Boots Linux with the program as its first process; its rows.
///
/// # Errors
/// A package cannot be had, or the program does not come to its end.
pub(super) fn measure() -> Result<Linux> {
    setup::ensure_std_tier()?;
    setup::ensure_ext4_maker()?;
    let folder = folders::target().join("std/linux");
    let step = Step::start("fetch Debian's Linux to compare with, and compile for it");
    let tree = debian::programs(&step, &folder, &PACKAGES)?;
    let files = folders::files_below(&tree)?;
    let modules = modules::ordered(&files, &MODULES)?;
    let (disk, index) = formatted(&step, &folder)?;
    let program = compile(&step, &folder, &tree, &modules, index)?;
    let mut archive = Archive::default();
    archive.add("dev", 0o40_755, &[], 0);
    archive.add("dev/console", 0o20_600, &[], 0x0501);
    archive.add("init", 0o100_755, &std::fs::read(&program).context("cannot read the program")?, 0);
    for module in &modules {
        archive.add(&format!("{}.ko", module.name), 0o100_644, &module.bytes, 0);
    }
    let is_kernel = |path: &&PathBuf| path.to_string_lossy().contains("/boot/vmlinuz-");
    let kernel = files.iter().find(is_kernel).context("the package holds no kernel")?;
    std::fs::copy(kernel, folder.join("Image")).context("cannot copy the kernel")?;
    std::fs::write(folder.join("root.elf"), archive.ended()).context("cannot write the archive")?;
    step.done();
    let hardware = Hardware {
        instruction_shift: Some(0),
        disk: Some(disk),
        command_line: "console=ttyAMA0 quiet".into(),
        ..Hardware::default()
    };
    let name = kernel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Linux { kernel: name, maker: maker()?, rows: counted("Linux", &folder, &hardware)? })
}

/// A disk like ours with an empty ext4 where the file server has its files, and which partition that is, from 1. All of it is made at once: Linux
/// would do the rest while it is counted. Blocks are of 4 KiB, as on every disk that is larger than this one.
fn formatted(step: &Step, folder: &Path) -> Result<(PathBuf, usize)> {
    let path = folder.join("disk.img");
    disk::create(&path, None)?;
    let spans = disk::spans(&path)?;
    let found = spans.iter().zip(1..).find(|((name, ..), _)| name == PARTITION);
    let ((_, start, bytes), index) = found.context("the disk has no partition for files")?;
    let mut make = Command::new(setup::EXT4_MAKER);
    make.args(["-q", "-F", "-t", "ext4", "-b", "4096", "-E"]);
    make.arg(format!("offset={start},lazy_itable_init=0,lazy_journal_init=0"));
    make.arg(&path).arg(format!("{}k", bytes / 1024));
    step.command("bench-posix-ext4", &mut make)?;
    Ok((path, index))
}

/// The first line of what `mke2fs` says of itself.
fn maker() -> Result<String> {
    let output = Command::new(setup::EXT4_MAKER).arg("-V").output().context("cannot start mke2fs")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().next().map(|line| line.trim().to_string()).context("mke2fs tells no version")
}

fn compile(step: &Step, folder: &Path, tree: &Path, modules: &[Module], partition: usize) -> Result<PathBuf> {
    let program = folder.join("init");
    let source = folders::checkout().join("tests/components/posix-bench");
    let mut files = folders::files_below(&source.join("src"))?;
    files.push(source.join("linux/linux.c"));
    files.retain(|path| path.extension().is_some_and(|kind| kind == "c"));
    let library = tree.join("usr/lib/aarch64-linux-musl");
    let mut compile = Command::new(musl::COMPILER);
    compile.args(["-O2", "-std=gnu17", "-DON_LINUX", "-static", "-nostdlib", "-nostdinc", "-no-pie", "-fno-pie"]);
    compile.arg("-isystem").arg(tree.join("usr/include/aarch64-linux-musl"));
    // Linux's own headers, after all others.
    compile.arg("-isystem").arg(of_compiler("-print-file-name=include")?);
    compile.args(["-idirafter", "/usr/aarch64-linux-gnu/include"]);
    let modules: Vec<String> = modules.iter().map(|module| format!("\"/{}.ko\"", module.name)).collect();
    compile.arg(format!("-DMODULES={}", modules.join(",")));
    compile.arg(format!("-DPARTITION=\"vda{partition}\""));
    compile.args(["-mno-outline-atomics", "-o"]).arg(&program).arg(library.join("crt1.o")).args(&files);
    compile.arg(library.join("libc.a")).arg(of_compiler("-print-libgcc-file-name")?);
    step.command("bench-posix-compile", &mut compile)?;
    Ok(program)
}

/// An initial file system in the form `newc`. Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    count: u32,
}

impl Archive {
    /// Adds a file; `device` has the major number in its upper byte.
    fn add(&mut self, name: &str, mode: u32, content: &[u8], device: u32) {
        self.count += 1;
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_length = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [self.count, mode, 0, 0, 1, 0, length, 0, 0, device >> 8, device & 0xff, name_length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn ended(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[], 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn archive_is_what_linux_reads() {
        let mut archive = Archive::default();
        archive.add("a", 0o100_644, b"hello", 0);
        let bytes = archive.ended();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000081A4"));
        // 110 bytes of head and the name fill 112; the content fills 8.
        assert_eq!((&bytes[110..112], &bytes[112..120]), (&b"a\0"[..], &b"hello\0\0\0"[..]));
        assert!(text[120..].starts_with("070701") && text.contains("TRAILER!!!"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
