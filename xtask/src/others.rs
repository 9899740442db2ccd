//! Programs that are test suites of others: what cargo is told to compile one; which tests run is the suite's list's.
use crate::cargo::Toolchain;
use crate::product::Suite;
use crate::source::Source;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Lets `command`, a `cargo rustc` whose own flags are rustc's by now, compile the program with the tests of `suite`.
///
/// # Errors
/// The suite cannot be had.
pub(crate) fn choose(command: &mut Command, toolchain: &Toolchain, suite: &Suite) -> Result<()> {
    let folder = folder(toolchain, suite)?;
    command.arg("--test");
    // The program's build script finds the files there.
    command.env("HYBRID_OTHERS", folder);
    Ok(())
}

fn folder(toolchain: &Toolchain, suite: &Suite) -> Result<PathBuf> {
    let folder = match suite {
        Suite::Toolchain { toolchain: folder } => toolchain.library.join(folder),
        Suite::Source { source, folder } => {
            let source = Source::of_component(source)?;
            source
                .with_context(|| format!("no source.toml says where {} comes from", folder.display()))?
                .folder
                .join(folder)
        }
    };
    ensure!(folder.is_dir(), "the source that others' tests are taken from has no folder {}", folder.display());
    Ok(folder)
}
