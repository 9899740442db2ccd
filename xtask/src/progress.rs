//! A line of progress per step, and commands that write to a log; no policy.
use crate::folders;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A step that runs; ends with a tick when [`Step::done`] is called, with a cross otherwise.
pub(crate) struct Step {
    bar: ProgressBar,
    title: String,
    is_done: bool,
}

impl Step {
    /// Starts to show `title`.
    pub(crate) fn start(title: impl Into<String>) -> Self {
        let title = title.into();
        let bar = ProgressBar::new_spinner();
        if std::io::stderr().is_terminal() {
            bar.set_style(style("{spinner} {prefix}  {wide_msg}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_prefix(title.clone());
        } else {
            eprintln!("· {title}");
        }
        Self { bar, title, is_done: false }
    }

    /// Shows what the step does just now.
    pub(crate) fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Shows that `done` of `total` parts are made.
    pub(crate) fn fraction(&self, done: u64, total: u64) {
        if self.bar.length() != Some(total) {
            self.bar.set_style(style("{spinner} {prefix} [{bar:24}] {pos}/{len} {wide_msg}"));
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// The step succeeded.
    pub(crate) fn done(mut self) {
        self.is_done = true;
        let seconds = self.bar.elapsed().as_secs();
        self.bar.finish_and_clear();
        if std::io::stderr().is_terminal() {
            let time = if seconds > 1 { format!(" ({seconds} s)") } else { String::new() };
            eprintln!("✓ {}{time}", self.title);
        }
    }

    /// Runs `command` to its end. Its output goes to the log `name`; the last lines are shown if it fails.
    ///
    /// # Errors
    /// The program is missing or ends with a failure.
    pub(crate) fn command(&self, name: &str, command: &mut Command) -> Result<()> {
        let path = folders::logs()?.join(format!("{name}.log"));
        let log = File::create(&path).with_context(|| format!("cannot write the log {}", path.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let stdout = log.try_clone().context("cannot share the log between two streams")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}; `cargo xtask setup` installs what is missing"))?;
        if let Some(stream) = child.stderr.take() {
            self.follow(stream, log);
        }
        let status = child.wait().with_context(|| format!("lost track of {program}"))?;
        if !status.success() {
            bail!(
                "{}: {program} ended with {status}. Its last lines (all of them: {}):\n{}",
                self.title,
                folders::shown(&path),
                tail(&path)
            );
        }
        Ok(())
    }

    /// Copies `stream` to `log` and shows its last line; understands Cargo's "12/45" progress.
    fn follow(&self, mut stream: impl Read, mut log: impl Write) {
        let mut line = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            for &byte in &chunk[..length] {
                if byte != b'\n' && byte != b'\r' {
                    line.push(byte);
                    continue;
                }
                let text = String::from_utf8_lossy(&line).into_owned();
                match cargo_progress(&text) {
                    Some((done, total)) => self.fraction(done, total),
                    None => {
                        // A full disk shows itself soon enough in the command itself.
                        let _ = writeln!(log, "{text}");
                        if !text.trim().is_empty() {
                            self.message(text.trim().to_string());
                        }
                    }
                }
                line.clear();
            }
        }
        let _ = log.write_all(&line);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.is_done {
            self.bar.finish_and_clear();
            eprintln!("✗ {}", self.title);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template is a constant of this file; indicatif's plain bar is good enough should one be wrong.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Cargo's progress line: `Building [====>   ] 12/45: names…`.
fn cargo_progress(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (done, rest) = rest.split_once('/')?;
    let total = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    Some((done.trim().parse().ok()?, total.parse().ok()?))
}

/// The last lines of a log, indented.
pub(crate) fn tail(path: &PathBuf) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].iter().map(|line| format!("    {line}\n")).collect()
}

/// A text with every line moved to the right.
pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::cargo_progress;

    #[test]
    fn cargo_progress_of_a_building_line_is_its_fraction() {
        assert_eq!(cargo_progress("    Building [=====>      ] 12/45: core, alloc"), Some((12, 45)));
    }

    #[test]
    fn cargo_progress_of_other_lines_is_none() {
        assert_eq!(cargo_progress("   Compiling core v0.0.0 (1/2)"), None);
    }
}
