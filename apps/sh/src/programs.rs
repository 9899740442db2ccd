//! The programs that the shell may spawn, as commands of brush; decides nothing about their arguments.
//!
//! brush would start them itself by a way of std's `Command` that needs fork, even where it has nothing to do between fork and exec
//! ([decision 0154](../../../docs/decisions/0154-programs-are-commands-of-the-shell.md)).

use brush_core::builtins::{BoxFuture, ContentOptions, ContentType, Registration};
use brush_core::error::Error;
use brush_core::extensions::DefaultShellExtensions;
use brush_core::openfiles::OpenFiles;
use brush_core::{CommandArg, ExecutionContext, ExecutionResult, Shell, ShellFd};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

/// What shells say of a program that is there and cannot be started, and of one that is not there.
const CANNOT: u8 = 126;
const NOT_FOUND: u8 = 127;
/// What is added to a signal's number.
const SIGNAL: i32 = 128;

/// The shell's folders are those of its start, so that names and paths are the same programs.
fn folders() -> Vec<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/bin".into());
    std::env::split_paths(&folders).collect()
}

/// Each program of the folders of `PATH` is a command by its path, and by its name unless brush has that itself.
pub(crate) fn register(shell: &mut Shell) {
    for path in folders().into_iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten() {
        let path = path.path();
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !shell.builtins().contains_key(*name));
        if let Some(name) = name {
            shell.register_builtin(name.to_owned(), command());
        }
        if let Some(path) = path.to_str() {
            shell.register_builtin(path.to_owned(), command());
        }
    }
}

fn command() -> Registration<DefaultShellExtensions> {
    Registration {
        execute_func: execute,
        content_func: describe,
        disabled: false,
        special_builtin: false,
        declaration_builtin: false,
    }
}

fn describe(name: &str, _: ContentType, _: &ContentOptions) -> Result<String, Error> {
    Ok(format!("{name}: a program\n"))
}

fn execute(context: ExecutionContext<'_>, arguments: Vec<CommandArg>) -> BoxFuture<'_, Result<ExecutionResult, Error>> {
    Box::pin(async move {
        let status = match spawn(&context, &arguments) {
            Ok(mut child) => child.wait().await.map(shown),
            Err(error) => Err(error),
        };
        Ok(ExecutionResult::new(match status {
            Ok(status) => status,
            Err(error) => {
                writeln!(context.stderr(), "{}: {error}", context.command_name)?;
                if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT }
            }
        }))
    })
}

/// As `$?` has it.
fn shown(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| Some(SIGNAL + status.signal()?));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

/// With the shell's exported variables, where the shell is, and with the streams of this command.
fn spawn(context: &ExecutionContext<'_>, arguments: &[CommandArg]) -> io::Result<tokio::process::Child> {
    let mut command = std::process::Command::new(found(&context.command_name));
    command.arg0(&context.command_name).args(arguments.iter().skip(1).map(ToString::to_string));
    command.current_dir(context.shell.working_dir()).env_clear();
    for (name, variable) in context.shell.env().iter_exported().filter(|(_, variable)| variable.value().is_set()) {
        command.env(name, variable.value().to_cow_str(context.shell).as_ref());
    }
    let stream = |number: ShellFd| context.try_fd(number).map_or_else(Stdio::null, Stdio::from);
    command.stdin(stream(OpenFiles::STDIN_FD));
    command.stdout(stream(OpenFiles::STDOUT_FD));
    command.stderr(stream(OpenFiles::STDERR_FD));
    // A command that is interrupted takes its program with it.
    tokio::process::Command::from(command).kill_on_drop(true).spawn()
}

/// Where the command is; one that is nowhere is looked for, and not found, by its name.
fn found(name: &str) -> PathBuf {
    if name.contains('/') {
        return name.into();
    }
    let mut paths = folders().into_iter().map(|folder| folder.join(name));
    paths.find(|path| path.exists()).unwrap_or_else(|| name.into())
}
