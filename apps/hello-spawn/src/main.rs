//! Spawns workers as any Rust program spawns processes, and says what became of each; the last one it leaves behind.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

const WORKER: &str = "/bin/hello-worker";

fn main() -> io::Result<()> {
    arguments()?;
    endings()?;
    copies()?;
    busy()?;
    unread()?;
    println!("again and again: {}", again()?);
    println!("no such program: {}", told(Command::new("/bin/nothing").status()));
    println!("one by its name: {}", told(Command::new("hello-worker").args(["status", "4"]).status()));
    println!("a directory that is not there: {}", told(worker("forever").current_dir("/nowhere").status()));
    println!("much: {}", told(Command::new(WORKER).args(vec!["x".repeat(30); 1000]).status()));
    println!("too much: {}", told(Command::new(WORKER).arg("x".repeat(33_000)).status()));
    let left = worker("forever").spawn()?;
    println!("leaves {} behind", left.id());
    Ok(())
}

fn worker(what: &str) -> Command {
    let mut command = Command::new(WORKER);
    command.arg(what);
    command
}

fn told(result: io::Result<ExitStatus>) -> String {
    result.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// What a child is given is what it has, and nothing of it is lost on its way to the log of whoever prints it.
fn arguments() -> io::Result<()> {
    let output = worker("show").args(["two words", "", "x=y"]).env_clear().env("MOOD", "fine").output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("show: {}, {} bytes of errors", output.status, output.stderr.len());
    Ok(())
}

fn endings() -> io::Result<()> {
    println!("a status: {}", worker("status").arg("5").status()?);
    println!("a fault: {}", worker("fault").status()?);
    println!("an abort: {}", worker("abort").status()?);
    let mut child = worker("forever").spawn()?;
    let before = child.try_wait()?;
    child.kill()?;
    println!("a kill: {before:?}, then {}", child.wait()?);
    // Its output goes to its own log.
    println!("inherited: {}", worker("show").status()?);
    Ok(())
}

/// Much more than pipes and rings hold, there and back.
fn copies() -> io::Result<()> {
    let sent: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let mut child = worker("copy").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut input, copy) = (child.stdin.take(), sent.clone());
    let sending = std::thread::spawn(move || input.take().map_or(Ok(()), |mut input| input.write_all(&copy)));
    let output = child.wait_with_output()?;
    let is_sent = matches!(sending.join(), Ok(Ok(())));
    println!("copied: {is_sent} {} {}", output.stdout == sent, output.status);
    print!("it says {}", String::from_utf8_lossy(&output.stderr));
    // What a child does not read is an error to who writes it.
    let mut child = worker("status").arg("0").stdin(Stdio::piped()).spawn()?;
    let input = child.stdin.take();
    let status = child.wait()?;
    let written = input.map(|mut input| input.write_all(b"unread"));
    println!("to one that has ended: {:?}, {status}", written.map(|result| result.map_err(|error| error.kind())));
    Ok(())
}

/// The product has two instances of the worker.
fn busy() -> io::Result<()> {
    let mut await_one = worker("copy");
    await_one.stdin(Stdio::piped()).stdout(Stdio::null());
    let (mut first, mut second) = (await_one.spawn()?, await_one.spawn()?);
    let third = await_one.spawn().map(|child| child.id());
    println!("two at once: {}; a third: {:?}", first.id() != second.id(), third.map_err(|error| error.to_string()));
    // Their input ends when these do.
    drop((first.stdin.take(), second.stdin.take()));
    println!("both: {} {}", first.wait()?, second.wait()?);
    Ok(())
}

/// Who writes more than anybody reads is ended by a signal, as a program at the head of a pipe is.
fn unread() -> io::Result<()> {
    let mut child = worker("much").stdout(Stdio::piped()).spawn()?;
    let mut line = [0; 33];
    if let Some(mut output) = child.stdout.take() {
        output.read_exact(&mut line)?;
    }
    println!("read {:?}, then {}", String::from_utf8_lossy(&line).trim(), child.wait()?);
    Ok(())
}

/// Nothing is left of a child that was waited for: the same instance runs again and again.
fn again() -> io::Result<bool> {
    let mut is_well = true;
    for number in 0..12 {
        let mut child = worker("status").arg(number.to_string()).stdout(Stdio::piped()).spawn()?;
        while child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_well &= child.wait()?.code() == Some(number) && child.wait()?.signal().is_none();
    }
    Ok(is_well)
}
