//! The toolchain, and the flags of Rust code for the device; what std and C programs link with is `std_tier`'s.
use crate::folders;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// All device code is built for this target: no register of the floating-point unit is ever touched (decision 0002).
pub(crate) const TARGET: &str = "aarch64-unknown-none-softfloat";

/// The profile of all of it but what names another.
pub(crate) const DEVICE_PROFILE: &str = "release";

/// rustc's flags for kernel and components alike; a second set would build the standard library twice.
/// `--image-base` places components (contract of `libhybrid/rt`); the kernel brings a linker script of its own.
const FLAGS: [&str; 7] = [
    "-Clinker=ld.lld",
    "-Crelocation-model=static",
    "-Clink-arg=-zmax-page-size=4096",
    "-Clink-arg=-zseparate-code",
    "-Clink-arg=--image-base=0x400000",
    "-Cforce-frame-pointers=no",
    // Unaligned accesses are fine where this code runs: no Rust runs before the MMU is on, SCTLR_EL1.A is 0, and device
    // registers are accessed by aligned words only. With it, copies move words instead of bytes (decision 0080).
    "-Ctarget-feature=-strict-align",
];

/// What programs with `std` are built for (docs/std.md).
const STD_TARGET: &str = "aarch64-unknown-linux-musl";

/// rustc's flags for programs with `std`, the standard library included; what is linked with them is said for each program.
const STD_FLAGS: [&str; 4] = [
    "-Clinker=ld.lld",
    "-Clink-self-contained=no",
    "-Crelocation-model=static",
    // rustix makes system calls by an instruction of its own unless told.
    "--cfg=rustix_use_libc",
];

/// How a program with `std` is built (docs/std.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// A panic ends the program.
    Abort,
    /// A panic ends the thread, and can be caught.
    Unwind,
    /// As `Unwind`; built quickly.
    Tests,
}

impl Profile {
    /// What Cargo.toml calls it, and cargo its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Abort => "release",
            Self::Unwind => "unwind",
            Self::Tests => "tests",
        }
    }
}

/// A Rust toolchain whose standard library can be built from source for the device.
pub(crate) struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    /// The standard library's source.
    pub(crate) library: PathBuf,
    /// What people know it by.
    pub(crate) name: String,
}

impl Toolchain {
    /// rustup's toolchain where it has `rust-src`, else Debian's `rustc-web`.
    ///
    /// # Errors
    /// Neither is there; says what to do.
    pub(crate) fn find() -> Result<Self> {
        match Self::candidates().into_iter().next() {
            Some(toolchain) => Ok(toolchain),
            None => bail!(
                "no Rust toolchain here can build the standard library for {TARGET}. Either run `cargo xtask setup` \
                 (Debian packages rustc-web, rust-web-src, cargo-web), or `rustup component add rust-src`"
            ),
        }
    }

    fn candidates() -> Vec<Self> {
        let mut found = Vec::new();
        // Under rustup these two variables name the programs of the active toolchain.
        let active = std::env::var_os("CARGO").map(PathBuf::from);
        if let Some(folder) = active.as_deref().and_then(Path::parent) {
            found.extend(Self::in_folder(folder, "rustup's toolchain with rust-src"));
        }
        found.extend(Self::in_folder(Path::new("/usr/bin"), "Debian's rustc-web"));
        found
    }

    fn in_folder(folder: &Path, name: &str) -> Option<Self> {
        let (rustc, cargo) = (folder.join("rustc"), folder.join("cargo"));
        let sysroot = output(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
        let version = output(Command::new(&rustc).arg("--version"))?;
        let version = version.split_whitespace().nth(1)?.to_string();
        (library.join("core/Cargo.toml").exists() && cargo.exists() && is_new_enough(&version)).then(|| Self {
            rustc,
            cargo,
            library,
            name: format!("{name} {version}"),
        })
    }

    /// `cargo build` for the device; packages are still to be named.
    pub(crate) fn build(&self) -> Command {
        self.device("build")
    }

    /// `cargo rustc` for a program with `std`; its package and its own flags are still to be named.
    pub(crate) fn std_program(&self, profile: Profile) -> Command {
        // No backtraces: they tell nothing that the log does not. Tables that nobody reads are left out.
        let (tables, std, features) = match profile {
            Profile::Abort => ("no", "std,panic_abort", ""),
            Profile::Unwind => ("yes", "std,panic_unwind", "panic-unwind"),
            Profile::Tests => ("yes", "std,panic_unwind,test", "panic-unwind"),
        };
        let tables = format!("-Cforce-unwind-tables={tables}");
        let flags: Vec<&str> = STD_FLAGS.into_iter().chain([tables.as_str()]).collect();
        let mut command = self.command("rustc", STD_TARGET, profile.name(), &flags);
        command.arg(format!("-Zbuild-std={std}")).arg(format!("-Zbuild-std-features={features}"));
        command
    }

    /// `cargo rustc` for one library of the device as an archive, by a profile of Cargo.toml; its package is still to be named.
    pub(crate) fn archive(&self, profile: &str) -> Command {
        let mut command = self.device_by("rustc", profile);
        command.args(["--lib", "--crate-type", "staticlib"]);
        command
    }

    fn device(&self, verb: &str) -> Command {
        self.device_by(verb, DEVICE_PROFILE)
    }

    fn device_by(&self, verb: &str, profile: &str) -> Command {
        let mut command = self.command(verb, TARGET, profile, &FLAGS);
        command.args(["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"]);
        command
    }

    /// `cargo clippy` for the device; packages are still to be named.
    pub(crate) fn clippy(&self) -> Command {
        // cargo takes the first cargo-clippy of PATH, which must be this toolchain's.
        let folder = self.cargo.parent().map(Path::to_path_buf);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = folder.into_iter().chain(std::env::split_paths(&path));
        let mut command = self.device("clippy");
        command.env("PATH", std::env::join_paths(folders).unwrap_or(path));
        command
    }

    /// Whether this toolchain has clippy, or gets it from rustup rather than from a package of Debian's.
    pub(crate) fn has_clippy(&self) -> bool {
        !self.cargo.starts_with("/usr/bin") || self.cargo.with_file_name("cargo-clippy").exists()
    }

    fn command(&self, verb: &str, target: &str, profile: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        for variable in
            ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "RUSTDOC", "LD_LIBRARY_PATH"]
        {
            command.env_remove(variable);
        }
        for (variable, _) in std::env::vars_os() {
            // What cargo told xtask about xtask must not reach another cargo's build scripts.
            let is_cargo = variable
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
            if is_cargo {
                command.env_remove(variable);
            }
        }
        command
            .current_dir(folders::checkout())
            .env("CARGO", &self.cargo)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .env("CARGO_TARGET_DIR", folders::target())
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "60")
            .args([verb, "--profile", profile, "--target", target]);
        command
    }
}

/// Where cargo puts the program `name` of the device.
pub(crate) fn program(name: &str) -> PathBuf {
    device_file(DEVICE_PROFILE, name)
}

/// Where cargo puts the libraries that programs of the device are linked from.
pub(crate) fn libraries() -> PathBuf {
    device_file(DEVICE_PROFILE, "deps")
}

/// Where cargo puts what it builds for the device by a profile.
pub(crate) fn device_file(profile: &str, name: &str) -> PathBuf {
    folders::target().join(TARGET).join(profile).join(name)
}

/// Where cargo puts what it builds with `std`.
pub(crate) fn std_file(profile: Profile, name: &str) -> PathBuf {
    folders::target().join(STD_TARGET).join(profile.name()).join(name)
}

/// The workspace as `cargo metadata` describes it; with the registry's crates only for `Dependencies::With`.
///
/// # Errors
/// A manifest is broken or cargo is missing.
pub(crate) fn metadata(with_dependencies: Dependencies) -> Result<serde_json::Value> {
    let mut command = Command::new(host_cargo());
    command.current_dir(folders::checkout()).args(["metadata", "--format-version", "1"]);
    if matches!(with_dependencies, Dependencies::Without) {
        command.arg("--no-deps");
    }
    answer(&mut command)
}

/// The text of Cargo.lock.
///
/// # Errors
/// It cannot be read.
pub(crate) fn lock() -> Result<String> {
    std::fs::read_to_string(folders::checkout().join("Cargo.lock")).context("cannot read Cargo.lock")
}

/// Fetches every crate of Cargo.lock.
///
/// # Errors
/// cargo cannot.
pub(crate) fn fetch() -> Result<()> {
    let output = Command::new(host_cargo()).current_dir(folders::checkout()).args(["fetch", "--locked"]).output();
    let output = output.context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo fetch` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn answer(command: &mut Command) -> Result<serde_json::Value> {
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed; a Cargo.toml is broken:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something that is not JSON")
}

/// The package of `manifest` and all that it depends on.
///
/// # Errors
/// As [`metadata`].
pub(crate) fn metadata_of(manifest: &Path) -> Result<serde_json::Value> {
    let mut command = Command::new(host_cargo());
    command.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(manifest);
    answer(&mut command)
}

/// How much of the dependency tree [`metadata`] reports.
#[derive(Clone, Copy)]
pub(crate) enum Dependencies {
    /// The members of the workspace only.
    Without,
    /// Every crate, with licence and edges.
    With,
}

/// The cargo that runs xtask.
pub(crate) fn host_cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The oldest release that the workspace accepts stands in Cargo.toml (`rust-version`): 1.95.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(1), Some(95))
}

/// The standard output of a program that succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.env_remove("RUSTUP_TOOLCHAIN").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn is_new_enough_compares_numbers_not_text() {
        assert!(is_new_enough("1.95.0") && is_new_enough("1.100.0") && is_new_enough("2.0.0-nightly"));
        assert!(!is_new_enough("1.85.0") && !is_new_enough("1.9.0"));
    }
}
