//! Jobs in the background, as bash tells of them; a job is a task of the shell, without a number of its own.

use brush_core::builtins::BoxFuture;
use brush_core::error::Error;
use brush_core::jobs::{Job, JobState};
use brush_core::sys::signal::kill_process;
use brush_core::traps::TrapSignal;
use brush_core::{CommandArg, ExecutionContext, ExecutionResult, Shell};
use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::task::Poll;

/// As bash's: a wrong option, and a job that is not there.
const USAGE: u8 = 2;
const NO_JOB: u8 = 127;
/// Columns of a job's state.
const STATE: usize = 24;

type Done<'a> = BoxFuture<'a, Result<ExecutionResult, Error>>;

/// The words of a command behind its name.
fn words(arguments: &[CommandArg]) -> Vec<String> {
    arguments.iter().skip(1).map(ToString::to_string).collect()
}

/// The place of a job in the list: `%1`, `%%`, `%+`, `%-`, `%name`; without one the current job's.
fn find(shell: &Shell, which: Option<&str>) -> Option<usize> {
    let jobs = &shell.jobs().jobs;
    let current = || jobs.iter().position(Job::is_current).or_else(|| jobs.len().checked_sub(1));
    let Some(which) = which.map(|which| which.strip_prefix('%').unwrap_or(which)) else { return current() };
    match which {
        "" | "%" | "+" => current(),
        "-" => jobs.iter().position(Job::is_prev).or_else(current),
        which => match which.parse::<usize>() {
            Ok(id) => jobs.iter().position(|job| job.id == id),
            Err(_) => jobs.iter().position(|job| job.command_line.starts_with(which)),
        },
    }
}

/// Says that there is no such job.
fn no_job(context: &ExecutionContext<'_>, which: &str, status: u8) -> Result<ExecutionResult, Error> {
    writeln!(context.stderr(), "{}: {which}: no such job", context.command_name)?;
    Ok(ExecutionResult::new(status))
}

fn wrong(context: &ExecutionContext<'_>, option: &str) -> Result<ExecutionResult, Error> {
    writeln!(context.stderr(), "{}: {option}: invalid option", context.command_name)?;
    Ok(ExecutionResult::new(USAGE))
}

/// What `jobs` says of a job.
fn line(job: &Job, state: &str) -> String {
    let mark = if job.is_current() {
        '+'
    } else if job.is_prev() {
        '-'
    } else {
        ' '
    };
    let running = if matches!(job.state, JobState::Running) { " &" } else { "" };
    format!("[{}]{mark}  {state:STATE$}{}{running}\n", job.id, job.command_line)
}

/// `jobs [-r | -s] [JOB…]`: each job; one that has ended is told once.
pub(crate) fn list(context: ExecutionContext<'_>, arguments: Vec<CommandArg>) -> Done<'_> {
    Box::pin(async move {
        let words = words(&arguments);
        let (options, which): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with('-'));
        if let Some(option) = options.iter().find(|option| !matches!(option.as_str(), "-r" | "-s")) {
            return wrong(&context, option);
        }
        let has = |option: &str| options.iter().any(|own| *own == option);
        let mut places = Vec::new();
        for which in which {
            let Some(place) = find(context.shell, Some(which)) else { return no_job(&context, which, 1) };
            places.push(place);
        }
        let (mut lines, mut kept, is_for_all) = (String::new(), Vec::new(), places.is_empty());
        for (place, mut job) in std::mem::take(&mut context.shell.jobs_mut().jobs).into_iter().enumerate() {
            let is_wanted = is_for_all || places.contains(&place);
            let state = state(&mut job);
            let runs = matches!(job.state, JobState::Running);
            if is_wanted && (runs || !has("-r")) && !has("-s") {
                lines.push_str(&line(&job, &state));
            }
            if runs || !is_wanted {
                kept.push(job);
            }
        }
        context.shell.jobs_mut().jobs = kept;
        write!(context.stdout(), "{lines}")?;
        Ok(ExecutionResult::success())
    })
}

/// How a job is, by its own word if it has ended since somebody asked last.
fn state(job: &mut Job) -> String {
    let status = match job.poll_done() {
        Ok(None) if matches!(job.state, JobState::Running) => return "Running".into(),
        Ok(Some(Ok(result))) => result.exit_code.into(),
        Ok(None) => 0,
        Ok(Some(Err(_))) | Err(_) => 1,
    };
    job.state = JobState::Done;
    if status == 0_u8 { "Done".into() } else { format!("Exit {status}") }
}

/// Waits for the job at this place, which is none any more then; its status.
async fn ended(shell: &mut Shell, place: usize) -> Result<ExecutionResult, Error> {
    let Some(job) = shell.jobs_mut().jobs.get_mut(place) else { return Ok(ExecutionResult::new(NO_JOB)) };
    let result = job.wait().await?;
    shell.jobs_mut().jobs.remove(place);
    Ok(ExecutionResult::from(result.exit_code))
}

/// Waits for whichever ends first.
async fn first_ended(shell: &mut Shell) -> Result<ExecutionResult, Error> {
    let mut waits: Vec<Pin<Box<_>>> = shell.jobs_mut().jobs.iter_mut().map(|job| Box::pin(job.wait())).collect();
    if waits.is_empty() {
        return Ok(ExecutionResult::new(NO_JOB));
    }
    let (place, result) = poll_fn(|context| {
        let ended = waits.iter_mut().enumerate().find_map(|(place, wait)| match wait.as_mut().poll(context) {
            Poll::Ready(result) => Some((place, result)),
            Poll::Pending => None,
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    drop(waits);
    shell.jobs_mut().jobs.remove(place);
    Ok(ExecutionResult::from(result?.exit_code))
}

/// `wait [-n] [JOB…]`: for all, for the next one, or for these; the status of the last.
pub(crate) fn wait(context: ExecutionContext<'_>, arguments: Vec<CommandArg>) -> Done<'_> {
    Box::pin(async move {
        // Of a job there is no number: `$!` is empty, and then `wait $!` is for the last one.
        let words: Vec<_> = words(&arguments).into_iter().filter(|word| !word.is_empty()).collect();
        if words.first().is_some_and(|word| word == "-n") {
            return first_ended(context.shell).await;
        }
        let mut result = ExecutionResult::success();
        if words.is_empty() {
            while !context.shell.jobs().jobs.is_empty() {
                ended(context.shell, 0).await?;
            }
        }
        for which in &words {
            if which.starts_with('-') {
                return wrong(&context, which);
            }
            let place = if which.starts_with('%') { find(context.shell, Some(which)) } else { None };
            result = match place {
                Some(place) => ended(context.shell, place).await?,
                None => no_job(&context, which, NO_JOB)?,
            };
        }
        Ok(result)
    })
}

/// `fg [JOB]`: waits for it. Its input stays what it was, nothing.
pub(crate) fn foreground(context: ExecutionContext<'_>, arguments: Vec<CommandArg>) -> Done<'_> {
    Box::pin(async move {
        let words = words(&arguments);
        let which = words.first().map(String::as_str);
        let Some(place) = find(context.shell, which) else {
            return no_job(&context, which.unwrap_or("current"), 1);
        };
        if let Some(job) = context.shell.jobs().jobs.get(place) {
            writeln!(context.stdout(), "{}", job.command_line)?;
        }
        ended(context.shell, place).await
    })
}

/// `bg [JOB]`: nothing stops a job, so it is there.
pub(crate) fn background(context: ExecutionContext<'_>, arguments: Vec<CommandArg>) -> Done<'_> {
    Box::pin(async move {
        let words = words(&arguments);
        let which = words.first().map(String::as_str);
        match find(context.shell, which).and_then(|place| context.shell.jobs().jobs.get(place)) {
            Some(job) => writeln!(context.stderr(), "bg: job {} already in background", job.id)?,
            None => return no_job(&context, which.unwrap_or("current"), 1),
        }
        Ok(ExecutionResult::success())
    })
}

/// Whether `kill` is asked for the names of signals, which brush has.
pub(crate) fn is_list(arguments: &[CommandArg]) -> bool {
    matches!(words(arguments).first().map(String::as_str), Some("-l" | "-L"))
}

/// `kill [-s NAME | -n NUMBER | -NAME | -NUMBER] PROCESS…`
pub(crate) fn kill(context: ExecutionContext<'_>, arguments: Vec<CommandArg>) -> Done<'_> {
    Box::pin(async move {
        let words = words(&arguments);
        let (named, targets) = match words.split_first() {
            Some((option, rest)) if matches!(option.as_str(), "-s" | "-n") => match rest.split_first() {
                Some((signal, targets)) => (signal.as_str(), targets),
                None => return wrong(&context, option),
            },
            Some((first, targets)) if first == "--" => ("TERM", targets),
            Some((first, targets)) if first.starts_with('-') => (first.trim_start_matches('-'), targets),
            _ => ("TERM", words.as_slice()),
        };
        let signal = match named.parse::<TrapSignal>() {
            Ok(signal @ TrapSignal::Signal(_)) => signal,
            _ => {
                writeln!(context.stderr(), "kill: {named}: invalid signal specification")?;
                return Ok(ExecutionResult::new(1));
            }
        };
        let mut result = ExecutionResult::new(if targets.is_empty() { USAGE } else { 0 });
        for target in targets {
            let refused = match target.parse::<i32>() {
                Ok(process) if kill_process(process, signal).is_ok() => continue,
                Ok(_) => "no such process",
                Err(_) if target.starts_with('%') => "a job has no process of its own",
                Err(_) => "no process",
            };
            writeln!(context.stderr(), "kill: {target}: {refused}")?;
            result = ExecutionResult::new(1);
        }
        Ok(result)
    })
}
