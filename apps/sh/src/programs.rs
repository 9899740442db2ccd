//! Programs and builtins as commands that an interrupt ends; decides nothing about arguments.
//!
//! brush would start them itself by a way of std's `Command` that needs fork, even where it has nothing to do between fork and exec
//! ([decision 0154](../../../docs/decisions/0154-programs-are-commands-of-the-shell.md)).

use crate::{interrupts, jobs};
use brush_core::builtins::{BoxFuture, CommandExecuteFunc, ContentOptions, ContentType, Registration};
use brush_core::error::{Error, ErrorKind};
use brush_core::extensions::DefaultShellExtensions;
use brush_core::openfiles::{OpenFile, OpenFiles};
use brush_core::{CommandArg, ExecutionContext, ExecutionResult, Shell, ShellFd};
use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tokio::time::timeout;

/// What shells say of a program that is there and cannot be started, and of one that is not there.
const CANNOT: u8 = 126;
const NOT_FOUND: u8 = 127;
/// What is added to a signal's number.
const SIGNAL: i32 = 128;
const SIGINT: i32 = 2;

/// So long a program that was interrupted may take to end; one that was being started did not hear of it.
const GRACE: Duration = Duration::from_millis(500);
/// Within so much time the shell hears of an interrupt that has ended a program.
const MOMENT: Duration = Duration::from_millis(200);

type Execute = CommandExecuteFunc<DefaultShellExtensions>;

/// brush's own, by name.
static BUILTINS: OnceLock<HashMap<String, Execute>> = OnceLock::new();

/// The shell's folders are those of its start, so that names and paths are the same programs.
fn folders() -> Vec<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/bin".into());
    std::env::split_paths(&folders).collect()
}

/// Has each builtin look whether it was interrupted: a loop that starts no program waits for nothing, and could not be told otherwise.
pub(crate) fn guard(shell: &mut Shell) {
    let own = BUILTINS.get_or_init(|| {
        let own = shell.builtins().iter();
        own.map(|(name, registration)| (name.clone(), registration.execute_func)).collect()
    });
    for name in own.keys() {
        if let Some(registration) = shell.builtin_mut(name) {
            registration.execute_func = execute_own;
        }
    }
}

fn execute_own(
    context: ExecutionContext<'_>,
    arguments: Vec<CommandArg>,
) -> BoxFuture<'_, Result<ExecutionResult, Error>> {
    Box::pin(async move {
        if interrupts::have_come() {
            return Ok(interrupts::unwinding());
        }
        if reads_typed(&context, &arguments) {
            tokio::select! {
                read = typed() => read?,
                () = interrupts::come() => return Ok(interrupts::unwinding()),
            }
        }
        let own: Option<Execute> = match context.command_name.as_str() {
            "jobs" => Some(jobs::list),
            "wait" => Some(jobs::wait),
            "fg" => Some(jobs::foreground),
            "bg" => Some(jobs::background),
            "kill" if !jobs::is_list(&arguments) => Some(jobs::kill),
            name => BUILTINS.get().and_then(|all| all.get(name)).copied(),
        };
        match own {
            // What runs other commands is unwound by these; what waits for jobs only waits.
            Some(execute) if matches!(context.command_name.as_str(), "wait" | "fg") => tokio::select! {
                result = execute(context, arguments) => result,
                () = interrupts::come() => Ok(interrupts::unwinding()),
            },
            Some(execute) => execute(context, arguments).await,
            None => Err(ErrorKind::BuiltinNotFound(context.command_name).into()),
        }
    })
}

/// Whether it is `read`, and would wait for a line of the terminal with its thread, which nothing can end then. Its prompt comes first if it has one.
fn reads_typed(context: &ExecutionContext<'_>, arguments: &[CommandArg]) -> bool {
    let has_option = || {
        arguments
            .iter()
            .any(|argument| matches!(argument.to_string().as_bytes(), [b'-', option, ..] if *option != b'r'))
    };
    let is_input = || matches!(context.try_fd(OpenFiles::STDIN_FD), Some(OpenFile::Stdin(_)));
    interrupts::are_heard() && context.command_name == "read" && !has_option() && is_input()
}

/// Waits until a line was typed.
#[expect(
    deprecated,
    reason = "its successor is unsafe, since a descriptor may be closed meanwhile: standard input is not"
)]
async fn typed() -> io::Result<()> {
    let input = AsyncFd::with_interest(io::stdin(), Interest::READABLE)?;
    input.readable().await.map(|_| ())
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
        if interrupts::have_come() {
            return Ok(interrupts::unwinding());
        }
        let status = match spawn(&context, &arguments) {
            Ok(mut child) => ended(&mut child).await.map(shown),
            Err(error) => Err(error),
        };
        if interrupts::have_come() {
            return Ok(interrupts::unwinding());
        }
        Ok(ExecutionResult::new(match status {
            Ok(status) => status,
            Err(error) => {
                writeln!(context.stderr(), "{}: {error}", context.command_name)?;
                if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT }
            }
        }))
    })
}

/// Waits until a program has ended, and sees to it that it does if the command is interrupted.
async fn ended(child: &mut Child) -> io::Result<ExitStatus> {
    let status = tokio::select! {
        status = child.wait() => status?,
        () = interrupts::come() => {
            return match timeout(GRACE, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    child.start_kill()?;
                    child.wait().await
                }
            };
        }
    };
    if interrupts::are_heard() && status.signal() == Some(SIGINT) {
        // The key that ended the program is on its way to the shell, too.
        let _sent_by_somebody_else = timeout(MOMENT, interrupts::come()).await;
    }
    Ok(status)
}

/// As `$?` has it.
fn shown(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| Some(SIGNAL + status.signal()?));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

/// With the shell's exported variables, where the shell is, and with the streams of this command.
fn spawn(context: &ExecutionContext<'_>, arguments: &[CommandArg]) -> io::Result<Child> {
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
