//! Runs each line of a list in a shell of its own, and says its status and what it wrote; the scenario `sh` compares.
#![forbid(unsafe_code)]

use std::io;
use std::process::{Command, ExitCode, Output};

/// What the scenario plays on the host, too: lines for coreutils, then lines for a shell.
const LINES: &str = include_str!("../lines");
/// Where they run, in the directory that was granted.
const FOLDER: &str = "/tree";

fn main() -> ExitCode {
    match play() {
        Ok(()) => {
            println!("all lines are played");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("player: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> io::Result<()> {
    std::fs::create_dir_all(FOLDER)?;
    for (number, line) in LINES.lines().enumerate() {
        println!("line {number}: {line}");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).current_dir(FOLDER).env_clear().env("PATH", "/bin").env("LC_ALL", "C");
        // Threads of sort.
        shell.env("RUST_MIN_STACK", "262144");
        let Output { status, stdout, stderr } = shell.output()?;
        for (mark, bytes) in [("out", stdout), ("err", stderr)] {
            String::from_utf8_lossy(&bytes).lines().for_each(|text| println!("{mark}: {text}"));
        }
        println!("line {number} is done: {status}");
    }
    Ok(())
}
