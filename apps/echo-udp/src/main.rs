//! Echo of datagrams with Rust's standard library: one socket for both families; resolves a name first.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

/// Where it listens, if no argument says so.
const PORT: u16 = 7;
const SILENCE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let name = arguments.next();
    match check_options().and_then(|()| serve(port, name.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a socket says of itself.
fn check_options() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(SILENCE))?;
    let silence = socket.recv_from(&mut [0; 8]).map_err(|error| error.kind());
    println!("nothing comes: {}", silence == Err(ErrorKind::WouldBlock));
    let refused = socket.send_to(b"x", "255.255.255.255:9").map_err(|error| error.kind());
    println!("a broadcast: {refused:?}");
    socket.set_broadcast(true)?;
    println!("a broadcast allowed: {:?}", socket.send_to(b"x", "255.255.255.255:9").ok());
    let group = socket.join_multicast_v4(&[224, 0, 0, 251].into(), &[0; 4].into());
    println!("a group: {:?}", group.map_err(|error| error.raw_os_error()));
    println!("too long: {:?}", socket.send_to(&[0; 2000], "10.0.2.2:9").map_err(|error| error.raw_os_error()));
    Ok(())
}

fn serve(port: u16, name: Option<&str>) -> io::Result<()> {
    let socket = UdpSocket::bind(("::", port))?;
    println!("listening on {}", socket.local_addr()?);
    if let Some(name) = name {
        println!("{name} is {:?}", (name, 80).to_socket_addrs().map(Vec::from_iter));
    }
    let mut buffer = [0; 2048];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) => {
                println!("receiving: {error}");
                continue;
            }
        };
        let datagram = buffer.get(..length).unwrap_or_default();
        // Who sends this wants to know how it is seen.
        let sent = match datagram {
            b"who am I" => socket.send_to(peer.to_string().as_bytes(), peer),
            _ => socket.send_to(datagram, peer),
        };
        if let Err(error) = sent {
            println!("sending to {peer}: {error}");
        }
    }
}
