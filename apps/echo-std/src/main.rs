//! Echo over TCP with Rust's standard library: a thread for each client, as many as component.toml allows.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Where it listens, if no argument says so.
const PORT: u16 = 7;
const STACK: usize = 64 * 1024;
const SILENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(PORT);
    match serve(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    println!("listening on {}", listener.local_addr()?);
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

/// Everything back until the client has finished; how many bytes.
fn echo(mut client: TcpStream) -> io::Result<usize> {
    client.set_read_timeout(Some(SILENCE))?;
    let (mut buffer, mut total) = ([0; 4096], 0);
    loop {
        match client.read(&mut buffer)? {
            0 => return Ok(total),
            length => {
                client.write_all(&buffer[..length])?;
                total += length;
            }
        }
    }
}
