//! A second host at the other end of the guest's network cable; sends what it likes.
use anyhow::{Context, Result, bail, ensure};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, tcp, udp};
use smoltcp::time::{Duration as Span, Instant as Moment};
use smoltcp::wire::{
    EthernetAddress, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpCidr, IpEndpoint, Ipv4Address,
    Ipv6Address,
};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The peer's addresses.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
/// Its link-local one.
pub const ADDRESS_V6: Ipv6Address = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);
/// Its second address: the one at which QEMU's network has a name server.
const NAME_SERVER: Ipv4Address = Ipv4Address::new(10, 0, 2, 3);
const FRAME_MAX: usize = 1514;

/// QEMU's socket network: each frame after its length, big-endian, in 4 bytes.
struct Link {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Link {
    fn send(&mut self, frame: &[u8]) -> Result<()> {
        let len = u32::try_from(frame.len())?.to_be_bytes();
        let mut bytes = &[&len[..], frame].concat()[..];
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => bail!("QEMU closed the cable"),
                Ok(count) => bytes = &bytes[count..],
                // QEMU does not read while the guest's queue is full: take what it sends meanwhile.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.fill()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error).context("the cable"),
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("QEMU closed the cable"),
            Ok(count) => self.received.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("the cable"),
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let len = u32::from_be_bytes(self.received.get(..4)?.try_into().ok()?) as usize;
        let frame = self.received.get(4..4 + len)?.to_vec();
        self.received.drain(..4 + len);
        Some(frame)
    }
}

struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Room<'a>(&'a mut Link);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        // A cable that is gone shows when the answer does not come.
        let _ = self.0.send(&frame);
        result
    }
}

impl Device for Link {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Moment) -> Option<(Frame, Room<'_>)> {
        let frame = self.next()?;
        Some((Frame(frame), Room(self)))
    }

    fn transmit(&mut self, _: Moment) -> Option<Room<'_>> {
        Some(Room(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities
    }
}

/// The host at the other end.
pub struct Peer {
    link: Link,
    interface: Interface,
    sockets: SocketSet<'static>,
    echo: SocketHandle,
    /// Sockets that send back what they get, and their ports.
    mirrors: Vec<(SocketHandle, u16)>,
    /// Who connected to a mirror last.
    pub caller: Option<IpEndpoint>,
    started: Instant,
    next_port: u16,
}

impl Peer {
    /// Plugs in where QEMU listens.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn plug_in(port: u16, within: Duration) -> Result<Self> {
        let started = Instant::now();
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) if started.elapsed() > within => return Err(error).context("QEMU's end of the cable"),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut link = Link { stream, received: Vec::new() };
        let mut config = Config::new(EthernetAddress(MAC).into());
        config.random_seed = u64::from(std::process::id());
        let mut interface = Interface::new(config, &mut link, Moment::ZERO);
        interface.update_ip_addrs(|addresses| {
            let has_room = addresses.push(IpCidr::new(ADDRESS.into(), 24)).is_ok()
                && addresses.push(IpCidr::new(ADDRESS_V6.into(), 64)).is_ok()
                && addresses.push(IpCidr::new(NAME_SERVER.into(), 24)).is_ok();
            assert!(has_room, "smoltcp is built with room for three addresses");
        });
        let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 8], vec![0; 4096]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        socket.bind(icmp::Endpoint::Ident(7)).ok().context("a fresh socket can be bound")?;
        let mut sockets = SocketSet::new(vec![]);
        let echo = sockets.add(socket);
        Ok(Self { link, interface, sockets, echo, mirrors: Vec::new(), caller: None, started, next_port: 20000 })
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// The cable is gone.
    pub fn send_raw(&mut self, frame: &[u8]) -> Result<()> {
        self.link.send(frame)?;
        self.link.fill()
    }

    /// Drops what has come in.
    ///
    /// # Errors
    /// The cable is gone.
    pub fn ignore_received(&mut self) -> Result<()> {
        self.link.fill()?;
        while self.link.next().is_some() {}
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        self.link.fill()?;
        let now = Moment::from_micros(i64::try_from(self.started.elapsed().as_micros())?);
        self.interface.poll(now, &mut self.link, &mut self.sockets);
        self.reflect()?;
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    }

    /// Sends back what comes to a port of the peer, one connection after the other.
    ///
    /// # Errors
    /// The port is 0.
    pub fn mirror(&mut self, port: u16) -> Result<()> {
        let socket = self.listen(port)?;
        self.mirrors.push((socket, port));
        Ok(())
    }

    fn reflect(&mut self) -> Result<()> {
        for &(handle, port) in &self.mirrors {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            match socket.state() {
                tcp::State::Closed => socket.listen(port).ok().context("a port that can be listened at")?,
                tcp::State::Established => self.caller = socket.remote_endpoint(),
                _ => {}
            }
            let room = socket.send_capacity() - socket.send_queue();
            let taken = socket.recv(|bytes| {
                let length = bytes.len().min(room);
                (length, bytes[..length].to_vec())
            });
            if let Ok(bytes) = taken {
                ensure!(bytes.is_empty() || socket.send_slice(&bytes) == Ok(bytes.len()), "there was room");
            }
            if socket.state() == tcp::State::CloseWait && socket.recv_queue() == 0 {
                socket.close();
            }
        }
        Ok(())
    }

    /// Begins to open a connection.
    ///
    /// # Errors
    /// There is no way to the target.
    pub fn dial(&mut self, target: IpAddress, port: u16) -> Result<SocketHandle> {
        let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        self.next_port += 1;
        socket.connect(self.interface.context(), (target, port), self.next_port).ok().context("cannot connect")?;
        Ok(self.sockets.add(socket))
    }

    /// How far a connection of [`Self::dial`] is.
    pub fn state(&self, socket: SocketHandle) -> tcp::State {
        self.sockets.get::<tcp::Socket<'_>>(socket).state()
    }

    /// Goes on for a while.
    ///
    /// # Errors
    /// The cable is gone.
    pub fn run(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Whether the host at `target` answers an echo request.
    ///
    /// # Errors
    /// The cable is gone.
    pub fn ping(&mut self, target: IpAddress, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        let mut again = Instant::now();
        while Instant::now() < deadline {
            if again <= Instant::now() {
                self.send_ping(target);
                again = Instant::now() + Duration::from_secs(1);
            }
            self.turn()?;
            let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.echo);
            while let Ok((_, from)) = socket.recv() {
                if from == target {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn send_ping(&mut self, target: IpAddress) {
        let checksums = ChecksumCapabilities::default();
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.echo);
        match target {
            IpAddress::Ipv4(_) => {
                let ping = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data: b"echo" };
                if let Ok(bytes) = socket.send(ping.buffer_len(), target) {
                    ping.emit(&mut Icmpv4Packet::new_unchecked(bytes), &checksums);
                }
            }
            IpAddress::Ipv6(address) => {
                let ping = Icmpv6Repr::EchoRequest { ident: 7, seq_no: 1, data: b"echo" };
                if let Ok(bytes) = socket.send(ping.buffer_len(), target) {
                    ping.emit(&ADDRESS_V6, &address, &mut Icmpv6Packet::new_unchecked(bytes), &checksums);
                }
            }
        }
    }

    /// A socket for datagrams to a port of the peer, at all its addresses.
    ///
    /// # Errors
    /// The port is 0.
    pub fn datagrams(&mut self, port: u16) -> Result<SocketHandle> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 32 * 1024]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).ok().context("a port that datagrams can come to")?;
        Ok(self.sockets.add(socket))
    }

    /// Sends a datagram, from one of the peer's addresses if that matters.
    ///
    /// # Errors
    /// There is no room, or no way to the receiver.
    pub fn send_datagram(&mut self, socket: SocketHandle, bytes: &[u8], to: udp::UdpMetadata) -> Result<()> {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(socket);
        socket.send_slice(bytes, to).ok().context("a datagram cannot be sent")
    }

    /// The next datagram that came, if any; others' business goes on meanwhile.
    ///
    /// # Errors
    /// The cable is gone.
    pub fn next_datagram(&mut self, socket: SocketHandle) -> Result<Option<(Vec<u8>, udp::UdpMetadata)>> {
        self.turn()?;
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(socket);
        Ok(socket.recv().ok().map(|(bytes, from)| (bytes.to_vec(), from)))
    }

    /// A socket at which one connection can be opened to the peer.
    ///
    /// # Errors
    /// The port is 0.
    pub fn listen(&mut self, port: u16) -> Result<SocketHandle> {
        let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.listen(port).ok().context("a port that can be listened at")?;
        Ok(self.sockets.add(socket))
    }

    /// What a socket of [`Self::listen`] has received.
    pub fn take_received(&mut self, socket: SocketHandle) -> Vec<u8> {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(socket);
        socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap_or_default()
    }

    /// Sends on a socket of [`Self::listen`], then ends its direction.
    ///
    /// # Errors
    /// There is no room for all of it.
    pub fn send_and_finish(&mut self, socket: SocketHandle, bytes: &[u8]) -> Result<()> {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(socket);
        ensure!(socket.send_slice(bytes) == Ok(bytes.len()), "no room for an answer of {} bytes", bytes.len());
        socket.close();
        Ok(())
    }

    /// Sends `request` to a TCP port and returns what comes back until the other side ends.
    ///
    /// # Errors
    /// No connection, or no end within the time.
    pub fn exchange(&mut self, target: IpAddress, port: u16, request: &[u8], within: Duration) -> Result<Vec<u8>> {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65535]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_timeout(Some(Span::from_micros(u64::try_from(within.as_micros())?)));
        self.next_port += 1;
        socket.connect(self.interface.context(), (target, port), self.next_port).ok().context("cannot connect")?;
        let handle = self.sockets.add(socket);
        let answer = self.transfer(handle, request, within);
        self.sockets.remove(handle);
        answer
    }

    fn transfer(&mut self, handle: SocketHandle, request: &[u8], within: Duration) -> Result<Vec<u8>> {
        let deadline = Instant::now() + within;
        let (mut sent, mut answer) = (0, Vec::new());
        loop {
            self.turn()?;
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            if socket.may_send() && sent < request.len() {
                sent += socket.send_slice(&request[sent..]).unwrap_or(0);
            }
            while socket.can_recv() {
                let taken = socket.recv(|bytes| (bytes.len(), answer.extend_from_slice(bytes)));
                ensure!(taken.is_ok(), "what can be received is received");
            }
            match socket.state() {
                tcp::State::CloseWait | tcp::State::Closed if sent == request.len() => {
                    socket.close();
                    self.turn()?;
                    return Ok(answer);
                }
                tcp::State::Closed => bail!("the connection was refused or lost after {sent} bytes"),
                state => ensure!(Instant::now() < deadline, "no end of the answer; the connection is in {state}"),
            }
        }
    }
}
