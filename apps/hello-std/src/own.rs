//! What a program without a network can do with sockets: talk to itself, at localhost and by name.
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// What was said each way, or what went wrong.
pub(crate) fn talk() -> String {
    let ways = [
        ("127.0.0.1", streams("127.0.0.1:0")),
        ("::1", streams("[::1]:0")),
        ("datagrams", datagrams()),
        ("a path", by_path()),
        ("a name", by_name()),
    ];
    let told = ways.map(|(way, said)| format!("{way} {}", said.unwrap_or_else(|error| error.to_string())));
    told.join(", ")
}

/// The client speaks first; the listener's connections wait for it in its backlog.
fn streams(address: &str) -> io::Result<String> {
    let listener = TcpListener::bind(address)?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, peer) = listener.accept()?;
    let is_same = peer == client.local_addr()? && server.local_addr()? == client.peer_addr()?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"to myself")?;
    client.shutdown(std::net::Shutdown::Write)?;
    let mut heard = String::new();
    server.read_to_string(&mut heard)?;
    server.write_all(heard.to_uppercase().as_bytes())?;
    drop(server);
    heard.clear();
    client.read_to_string(&mut heard)?;
    Ok(format!("{heard} {is_same}"))
}

fn datagrams() -> io::Result<String> {
    let (first, second) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    first.connect(second.local_addr()?)?;
    first.send(b"whole")?;
    let mut buffer = [0; 64];
    let (length, from) = second.recv_from(&mut buffer)?;
    drop(second);
    first.send(b"x")?;
    let refused = first.send(b"x").map_err(|error| error.kind());
    Ok(format!("{length} {} {refused:?}", from == first.local_addr()?))
}

fn by_path() -> io::Result<String> {
    let listener = UnixListener::bind("/run/hello")?;
    let mut client = UnixStream::connect("/run/hello")?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"hi")?;
    let mut heard = [0; 2];
    server.read_exact(&mut heard)?;
    drop((listener, server));
    let gone = UnixStream::connect("/run/hello").map_err(|error| error.kind());
    Ok(format!("{} {:?}", String::from_utf8_lossy(&heard), gone.map(|_| ())))
}

fn by_name() -> io::Result<String> {
    let name = SocketAddr::from_abstract_name("hello")?;
    let receiver = UnixDatagram::bind_addr(&name)?;
    let (sender, other) = UnixDatagram::pair()?;
    sender.send(b"pair")?;
    let mut buffer = [0; 64];
    let paired = other.recv(&mut buffer)?;
    let sender = UnixDatagram::unbound()?;
    sender.send_to_addr(b"named", &name)?;
    Ok(format!("{paired} {}", receiver.recv(&mut buffer)?))
}
