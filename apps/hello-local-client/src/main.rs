//! Connects to another component by a Unix socket: many at once, much to say, no route, and again after a death.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const CONNECTIONS: u8 = 4;
const MUCH: usize = 300_000;
const STACK: usize = 64 * 1024;
/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> io::Result<()> {
    let mut paths = std::env::args().skip(1);
    let (path, other) = (paths.next().unwrap_or_default(), paths.next().unwrap_or_default());
    let first = connected(&path);
    println!("connected to {:?}", first.peer_addr()?.as_pathname());
    drop(first);
    println!("{CONNECTIONS} at once: {:?}", several(&path));
    println!("{MUCH} bytes there and back: {:?}", much(&path));
    println!("without a route: {:?}", UnixStream::connect(&other).map_err(|error| error.kind()).err());
    loop {
        let mut stream = connected(&path);
        stream.write_all(b"still there?")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        println!("it answers: {}", String::from_utf8_lossy(&answer));
        // It says nothing more by itself: this waits until it dies.
        println!("then: {:?}", stream.read(&mut answer).map_err(|error| error.kind()));
        println!("written: {:?}", stream.write(b"x").map_err(|error| error.kind()));
    }
}

/// A connection, as soon as somebody listens.
fn connected(path: &str) -> UnixStream {
    let mut is_refused = false;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) if !is_refused => {
                println!("not yet: {:?}", error.kind());
                is_refused = true;
            }
            Err(_) => {}
        }
        thread::sleep(PAUSE);
    }
}

/// Each of several connections has an echo of its own.
fn several(path: &str) -> io::Result<bool> {
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(&[number; 1000])?;
        streams.push((number, stream));
    }
    let mut is_own = true;
    for (number, mut stream) in streams.into_iter().rev() {
        let mut answer = [0; 1000];
        stream.read_exact(&mut answer)?;
        is_own &= answer == [number; 1000];
    }
    Ok(is_own)
}

/// More than both sides keep, written by one thread while another reads, up to the end that each side says.
fn much(path: &str) -> io::Result<bool> {
    let sent: Vec<u8> = (0..MUCH).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut stream = UnixStream::connect(path)?;
    let mut writer = stream.try_clone()?;
    let text = sent.clone();
    let writing = thread::Builder::new().stack_size(STACK).spawn(move || {
        writer.write_all(&text)?;
        writer.shutdown(Shutdown::Write)
    })?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let is_written = writing.join().is_ok_and(|written| written.is_ok());
    Ok(is_written && answer == sent)
}
