//! Linux in the same emulator, to compare with: Debian's kernel and musl, for this alone and never in an image.
use super::counted;
use crate::folders;
use crate::musl;
use crate::progress::Step;
use crate::setup;
use crate::source::debian;
use crate::std_tier::of_compiler;
use anyhow::{Context, Result, bail};
use hybrid_scenarios::hardware::Hardware;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernel, and a C library that makes Linux's own system calls.
const PACKAGES: [&str; 2] = ["linux-image-arm64", "musl-dev"];
/// What the machine's network card needs, in this order.
const MODULES: [&str; 4] = ["virtio_mmio", "failover", "net_failover", "virtio_net"];

/// What Linux says.
pub(super) struct Linux {
    /// The kernel's file, whose name has its version.
    pub(super) kernel: String,
    /// By the rows' ids.
    pub(super) rows: BTreeMap<String, f64>,
}

/// Boots Linux with the program as its first process; its rows.
///
/// # Errors
/// A package cannot be had, or the program does not come to its end.
pub(super) fn measure() -> Result<Linux> {
    setup::ensure_std_tier()?;
    let folder = folders::target().join("std/linux");
    let step = Step::start("fetch Debian's Linux to compare with, and compile for it");
    let tree = debian::programs(&step, &folder, &PACKAGES)?;
    let files = folders::files_below(&tree)?;
    let program = compile(&step, &folder, &tree)?;
    let mut archive = Archive::default();
    archive.add("dev", 0o40_755, &[], 0);
    archive.add("dev/console", 0o20_600, &[], 0x0501);
    archive.add("init", 0o100_755, &std::fs::read(&program).context("cannot read the program")?, 0);
    for module in MODULES {
        archive.add(&format!("{module}.ko"), 0o100_644, &unpacked(&files, module)?, 0);
    }
    let is_kernel = |path: &&PathBuf| path.to_string_lossy().contains("/boot/vmlinuz-");
    let kernel = files.iter().find(is_kernel).context("the package holds no kernel")?;
    std::fs::copy(kernel, folder.join("Image")).context("cannot copy the kernel")?;
    std::fs::write(folder.join("root.elf"), archive.ended()).context("cannot write the archive")?;
    step.done();
    let hardware =
        Hardware { instruction_shift: Some(0), command_line: "console=ttyAMA0 quiet".into(), ..Hardware::default() };
    let name = kernel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Linux { kernel: name, rows: counted("Linux", &folder, &hardware)? })
}

fn compile(step: &Step, folder: &Path, tree: &Path) -> Result<PathBuf> {
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
    let modules = MODULES.map(|module| format!("\"/{module}.ko\"")).join(",");
    compile.arg(format!("-DMODULES={modules}"));
    compile.args(["-mno-outline-atomics", "-o"]).arg(&program).arg(library.join("crt1.o")).args(&files);
    compile.arg(library.join("libc.a")).arg(of_compiler("-print-libgcc-file-name")?);
    step.command("bench-posix-compile", &mut compile)?;
    Ok(program)
}

/// A module of the kernel without its compression.
fn unpacked(files: &[PathBuf], module: &str) -> Result<Vec<u8>> {
    let name = format!("{module}.ko.xz");
    let is_it = |path: &&PathBuf| path.file_name().is_some_and(|file| file == name.as_str());
    let path = files.iter().find(is_it).with_context(|| format!("the kernel has no module {module}"))?;
    let output = Command::new("xz").arg("-dc").arg(path).output().context("cannot start xz")?;
    if output.status.success() { Ok(output.stdout) } else { bail!("{} cannot be unpacked", path.display()) }
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
