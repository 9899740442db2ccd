//! Programs that are test suites of others: what cargo is told to compile one; which tests run is the suite's list's.
use crate::cargo::Toolchain;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

/// Lets `command`, a `cargo rustc` whose own flags are rustc's by now, compile the program with the tests in `suite`, a folder of the library's sources.
///
/// # Errors
/// The toolchain's sources have no such folder.
pub(crate) fn choose(command: &mut Command, toolchain: &Toolchain, suite: &Path) -> Result<()> {
    let folder = toolchain.library.join(suite);
    ensure!(folder.is_dir(), "the toolchain's sources have no tests in {}", folder.display());
    command.arg("--test");
    // The program's build script finds the files there.
    command.env("HYBRID_OTHERS", folder);
    Ok(())
}
