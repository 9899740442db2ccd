//! Echo over a Unix socket: a thread for each connection, as many as component.toml allows.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::thread;

/// Where it listens, if no argument says so.
const PATH: &str = "/run/greet";
const STACK: usize = 64 * 1024;

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_else(|| PATH.into());
    match serve(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &str) -> io::Result<()> {
    // As servers do on Linux, where the name of an earlier life may be left.
    let _was_left = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    println!("listening at {path}");
    for client in listener.incoming() {
        let client = client?;
        let started = thread::Builder::new().stack_size(STACK).spawn(move || match echo(client) {
            Ok(bytes) => println!("a client sent {bytes} bytes"),
            Err(error) => println!("a client went: {error}"),
        });
        if let Err(error) = started {
            // The client, which the closure had, is dropped: it sees the end.
            println!("one client too many: {error}");
        }
    }
    Ok(())
}

/// Sends back what comes, until the client sends no more.
fn echo(mut client: UnixStream) -> io::Result<u64> {
    let (mut buffer, mut total) = ([0; 4096], 0);
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Ok(total);
        }
        client.write_all(buffer.get(..length).unwrap_or_default())?;
        total += length as u64;
    }
}
