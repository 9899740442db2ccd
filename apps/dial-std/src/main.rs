//! Connects or listens as it is told to: a client sends one order, a line, and gets a line back.
#![forbid(unsafe_code)]

use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Where it takes orders, if no argument says so.
const PORT: u16 = 4007;
const STACK: usize = 64 * 1024;
const SILENCE: Duration = Duration::from_secs(20);
/// A connection that is not open by then has failed.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is sent to a peer that sends it back.
const BYTES: u32 = 60_000;
/// What is written before the end of the program: more than the network takes at once.
const LAST: usize = 40_000;

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
    let listener = TcpListener::bind(("::", port))?;
    println!("listening on {}", listener.local_addr()?);
    let mut queue = None;
    for client in listener.incoming() {
        if let Err(error) = take_order(client?, &mut queue) {
            println!("a client went: {error}");
        }
    }
    Ok(())
}

/// One client. What an order could not do is told by its kind of error.
fn take_order(mut client: TcpStream, queue: &mut Option<TcpListener>) -> io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    let mut order = String::new();
    BufReader::new(&client).read_line(&mut order)?;
    let words: Vec<&str> = order.split_whitespace().collect();
    let answer = match words.as_slice() {
        ["who"] => Ok(who(&client)?),
        ["dial", peer] => address(peer).and_then(|peer| TcpStream::connect_timeout(&peer, PATIENCE)).and_then(exchange),
        ["dial", peer, own] => dial_from(peer, own).and_then(exchange),
        ["listen", own] => listen(own),
        ["queue", own, length] => listen_with(own, length).map(|listener| {
            *queue = Some(listener);
            "queues".into()
        }),
        ["next"] => next(queue.as_ref()),
        ["end"] => {
            client.write_all(&[b'.'; LAST])?;
            // Without closing anything.
            std::process::exit(0)
        }
        _ => Err(ErrorKind::InvalidInput.into()),
    };
    writeln!(client, "{}", answer.unwrap_or_else(|error| format!("{:?}", error.kind())))
}

fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| ErrorKind::InvalidInput.into())
}

/// Both ends of a connection.
fn who(stream: &TcpStream) -> io::Result<String> {
    Ok(format!("{} {}", stream.local_addr()?, stream.peer_addr()?))
}

fn dial_from(peer: &str, own: &str) -> io::Result<TcpStream> {
    let (peer, own) = (address(peer)?, address(own)?);
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM, None)?;
    socket.bind(&SockAddr::from(own))?;
    socket.connect_timeout(&SockAddr::from(peer), PATIENCE)?;
    Ok(socket.into())
}

/// Sends much to a peer that sends it back: both ends, and whether it came as it went.
fn exchange(mut stream: TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(SILENCE))?;
    let sent: Vec<u8> = (0..BYTES).flat_map(u32::to_le_bytes).step_by(4).collect();
    let (mut writer, copy) = (stream.try_clone()?, sent.clone());
    let send = move || writer.write_all(&copy).and_then(|()| writer.shutdown(Shutdown::Write));
    let sending = thread::Builder::new().stack_size(STACK).spawn(send)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    sending.join().map_err(|_| Error::other("the sender panicked"))??;
    Ok(format!("{} {}", who(&stream)?, back == sent))
}

/// Accepts one connection there, and tells its ends to who opened it.
fn listen(own: &str) -> io::Result<String> {
    let listener = TcpListener::bind(address(own)?)?;
    let local = listener.local_addr()?;
    let accept = move || -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        let ends = who(&client)?;
        client.write_all(ends.as_bytes())
    };
    thread::Builder::new().stack_size(STACK).spawn(move || {
        if let Err(error) = accept() {
            println!("nobody was accepted: {error}");
        }
    })?;
    Ok(local.to_string())
}

/// A queue of so many and one more, from which nobody is accepted yet.
fn listen_with(own: &str, length: &str) -> io::Result<TcpListener> {
    let own = address(own)?;
    let socket = Socket::new(Domain::for_address(own), Type::STREAM, None)?;
    socket.bind(&SockAddr::from(own))?;
    socket.listen(length.parse().map_err(|_| ErrorKind::InvalidInput)?)?;
    Ok(socket.into())
}

/// Accepts who waits longest, and ends the connection.
fn next(queue: Option<&TcpListener>) -> io::Result<String> {
    let listener = queue.ok_or(ErrorKind::NotConnected)?;
    let (mut client, peer) = listener.accept()?;
    let mut first = [0; 1];
    client.set_read_timeout(Some(PATIENCE))?;
    client.read_exact(&mut first)?;
    Ok(peer.to_string())
}
