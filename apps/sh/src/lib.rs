//! The shell brush as programs start it: its runtime, its builtins, and the programs that it may spawn.
#![forbid(unsafe_code)]

pub mod interrupts;
mod jobs;
mod programs;

use brush_builtins::{BuiltinSet, ShellBuilderExt as _};
use brush_core::error::Error;
use brush_core::{ProfileLoadBehavior, RcLoadBehavior, Shell};
use std::process::ExitCode;

/// Threads that run background jobs, and what is read of commands; the main one is beside them.
const WORKERS: usize = 2;
/// Commands of one pipeline, and of pipelines in it, have a thread each: as many as component.toml leaves beside the workers and the main thread.
const COMMANDS: usize = 9;
/// The stack of each.
const STACK: usize = 512 << 10;

/// Runs it to its end, on so many threads as a component of this kind has; what it could not do is told.
pub fn run(program: impl Future<Output = Result<u8, Error>>) -> ExitCode {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).max_blocking_threads(COMMANDS).thread_stack_size(STACK).enable_all();
    let status = builder.build().map_err(Error::from).and_then(|runtime| runtime.block_on(program));
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sh: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A shell of this name, with these arguments, that reads no configuration.
///
/// # Errors
/// brush's, where it cannot be made: without a current directory.
pub async fn shell(name: String, arguments: Vec<String>) -> Result<Shell, Error> {
    let mut shell = Shell::builder()
        .default_builtins(BuiltinSet::BashMode)
        .profile(ProfileLoadBehavior::Skip)
        .rc(RcLoadBehavior::Skip)
        .shell_name(name)
        .shell_args(arguments)
        .build()
        .await?;
    programs::guard(&mut shell);
    programs::register(&mut shell);
    Ok(shell)
}
