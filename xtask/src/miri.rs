//! Runs tests of the kernel's safe crates under Miri, where a nightly toolchain has it; nothing else asks for one.
use crate::folders;
use crate::progress::Step;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// Borrows are tracked where no fake machine is booted: on its one large memory, each access would be looked up among all others.
const TRACKED: &str = "-Zmiri-disable-isolation";
const UNTRACKED: &str = "-Zmiri-disable-isolation -Zmiri-disable-stacked-borrows -Zmiri-ignore-leaks";
/// Calls are inlined before they are interpreted; without, the storm takes three times as long.
const INLINED: &str = "-Zmir-opt-level=3 -Zinline-mir=yes";

/// One call of `cargo miri test`.
struct Part {
    name: &'static str,
    packages: &'static [&'static str],
    /// Arguments of the test program.
    tests: &'static [&'static str],
    flags: &'static str,
    rustflags: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const PARTS: [Part; 4] = [
    Part {
        name: "miri-core",
        packages: &["hybrid-kernel-core"],
        tests: &["--skip", "model_tests"],
        flags: TRACKED,
        rustflags: "",
        variables: &[],
    },
    Part {
        name: "miri-machine",
        packages: &["hybrid-kernel-machine", "hybrid-abi"],
        tests: &[],
        flags: TRACKED,
        rustflags: "",
        variables: &[("PROPTEST_CASES", "4")],
    },
    Part {
        name: "miri-model",
        packages: &["hybrid-kernel-core"],
        tests: &["model_tests::boot", "model_tests::debug_calls", "model_tests::deliberate"],
        flags: UNTRACKED,
        rustflags: INLINED,
        variables: &[("HYBRID_MODEL_CASES", "1")],
    },
    Part {
        name: "miri-storm",
        packages: &["hybrid-kernel-core"],
        tests: &["storm_agrees_with_the_abi"],
        flags: UNTRACKED,
        rustflags: INLINED,
        variables: &[("HYBRID_MODEL_CASES", "3"), ("HYBRID_MODEL_STEPS", "60")],
    },
];

/// Runs all parts, each with its log.
///
/// # Errors
/// There is no Miri, or a test fails.
pub(crate) fn run() -> Result<()> {
    let mut version = miri();
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        bail!("Miri is not here: `rustup toolchain install nightly --component miri --component rust-src` brings it");
    }
    for part in PARTS {
        let step = Step::start(format!("test {}", part.name));
        let mut command = miri();
        command.args(["test", "--lib"]).args(part.packages.iter().flat_map(|package| ["--package", package]));
        // Each set of flags in a folder of its own: else the one would build the other's crates anew.
        command.arg("--target-dir").arg(folders::target().join(if part.rustflags.is_empty() {
            "miri"
        } else {
            "miri-inlined"
        }));
        command.arg("--").args(part.tests);
        command.env("MIRIFLAGS", part.flags).env("RUSTFLAGS", part.rustflags).envs(part.variables.iter().copied());
        step.command(part.name, &mut command)?;
        step.done();
    }
    Ok(())
}

/// `cargo miri` of the nightly toolchain.
fn miri() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "miri"]).current_dir(folders::checkout());
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC", "RUSTC_WRAPPER", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}
