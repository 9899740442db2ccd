//! The shell brush at a terminal: edits lines, remembers them, and runs them; what runs them is `sh`'s.
#![forbid(unsafe_code)]

mod line;

use brush_core::error::Error;
use brush_core::results::ExecutionControlFlow;
use brush_core::{Shell, SourceInfo};
use brush_parser::ParseError;
use line::{Editor, Line};
use rustyline::error::ReadlineError;
use sh::interrupts;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What a shell says of a command that was interrupted: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
/// So long a command that was interrupted may take to unwind, beyond what its programs take to end.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    sh::run(at_terminal())
}

async fn at_terminal() -> Result<u8, Error> {
    let mut shell = sh::shell("sh".into(), Vec::new()).await?;
    let mut editor = Editor::new().map_err(std::io::Error::other)?;
    editor.set_helper(Some(Line));
    // After the editor, which takes SIGINT for good from whoever had it, and does nothing with it while no line is read.
    interrupts::hear()?;
    let history = std::env::var_os("HISTFILE").map(PathBuf::from);
    if let Some(history) = &history {
        // The first time there is none.
        let _is_there = editor.load_history(history);
    }
    while let Some(command) = read(&mut shell, &mut editor).await? {
        shell.check_for_completed_jobs()?;
        if run(&mut shell, command).await? {
            break;
        }
    }
    if let Some(history) = &history
        && let Err(error) = editor.save_history(history)
    {
        eprintln!("sh: {}: {error}", history.display());
    }
    shell.on_exit().await?;
    Ok(shell.last_exit_status())
}

/// The next whole command, of as many lines as it has; `None` at the end of the input.
async fn read(shell: &mut Shell, editor: &mut Editor) -> Result<Option<String>, Error> {
    let (first, further) = (shell.compose_prompt().await?, shell.compose_continuation_prompt().await?);
    let mut command = String::new();
    loop {
        let prompt = if command.is_empty() { &first } else { &further };
        match tokio::task::block_in_place(|| editor.readline(prompt)) {
            Ok(line) => command.push_str(&line),
            Err(ReadlineError::Interrupted) => {
                command.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(std::io::Error::other(error).into()),
        }
        command.push('\n');
        if !is_unfinished(shell, &command) {
            // What is only space is not worth remembering.
            if !command.trim().is_empty() {
                editor.add_history_entry(command.trim_end()).map_err(std::io::Error::other)?;
            }
            return Ok(Some(command));
        }
    }
}

/// Whether more lines have to come: an open quote, a loop without its end, a text that is not ended.
fn is_unfinished(shell: &Shell, command: &str) -> bool {
    match shell.parse_string(command) {
        Err(ParseError::ParsingAtEndOfInput) => true,
        Err(ParseError::Tokenizing { inner, .. }) => inner.is_incomplete(),
        Ok(_) | Err(ParseError::ParsingNear(_)) => false,
    }
}

/// Runs a command until its end, or until the key that interrupts. Whether the shell is to end.
async fn run(shell: &mut Shell, command: String) -> Result<bool, Error> {
    let (source, parameters) = (SourceInfo::from("console"), shell.default_exec_params());
    let result = tokio::select! {
        result = shell.run_string(command, &source, &parameters) => Some(result),
        () = overdue() => None,
    };
    if interrupts::have_come() {
        println!();
        shell.set_last_exit_status(INTERRUPTED);
        return Ok(false);
    }
    match result {
        Some(Ok(result)) => return Ok(matches!(result.next_control_flow, ExecutionControlFlow::ExitShell)),
        Some(Err(error)) => shell.display_error(&mut shell.stderr(), &error)?,
        None => {}
    }
    Ok(false)
}

/// Waits until a command was interrupted and had time to end of itself.
async fn overdue() {
    interrupts::come().await;
    tokio::time::sleep(PATIENCE).await;
}
