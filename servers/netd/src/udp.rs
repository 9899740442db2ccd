//! The Udp interface's sessions: sockets bound to ports; datagrams are lossy and bounded on both ways.
use crate::event::{Clients, Refusal};
use alloc::vec;
use alloc::vec::Vec;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::IpEndpoint;

/// Sockets of one session.
pub const SOCKETS_MAX: usize = 8;
/// Largest datagram, payload bytes.
pub(crate) const DATAGRAM_MAX: usize = 1472;
const QUEUED_MAX: usize = 16;
const QUEUED_BYTES: usize = 16 * 1024;
/// Ports that clients get when they do not choose; below those of TCP's own connections only by convention.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;
/// The DHCP client's own port.
const RESERVED: u16 = 68;

struct Binding {
    session: u16,
    id: u16,
    port: u16,
    handle: SocketHandle,
}

/// All bound sockets.
pub(crate) struct Udp {
    bindings: Vec<Binding>,
    session_count: usize,
    next_id: u16,
    next_port: u16,
    /// Datagrams that found no room.
    pub(crate) lost: u64,
}

impl Udp {
    pub(crate) fn new(session_count: usize, first_port: u16) -> Self {
        let next_port = EPHEMERAL.start() + first_port % (EPHEMERAL.end() - EPHEMERAL.start());
        Self { bindings: Vec::new(), session_count, next_id: 0, next_port, lost: 0 }
    }

    pub(crate) fn bind(
        &mut self,
        session: u16,
        port: u16,
        base: &mut SocketSet<'static>,
    ) -> Result<(u16, u16), Refusal> {
        if usize::from(session) >= self.session_count {
            return Err(Refusal::NotFound);
        }
        if self.bindings.iter().filter(|binding| binding.session == session).count() >= SOCKETS_MAX {
            return Err(Refusal::NoRoom);
        }
        let port = match port {
            0 => self.free_port().ok_or(Refusal::NoRoom)?,
            port if port == RESERVED || self.is_bound(port) => return Err(Refusal::InUse),
            port => port,
        };
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; QUEUED_MAX], vec![0; QUEUED_BYTES]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.bind(port).map_err(|_| Refusal::BadAddress)?;
        let id = self.free_id(session);
        self.bindings.push(Binding { session, id, port, handle: base.add(socket) });
        Ok((id, port))
    }

    pub(crate) fn unbind(&mut self, session: u16, id: u16, base: &mut SocketSet<'static>) -> Result<(), Refusal> {
        let position = self.position(session, id).ok_or(Refusal::NotFound)?;
        base.remove(self.bindings.swap_remove(position).handle);
        Ok(())
    }

    /// The session is over.
    pub(crate) fn end_session(&mut self, session: u16, base: &mut SocketSet<'static>) {
        let (ended, kept) = core::mem::take(&mut self.bindings).into_iter().partition(|each| each.session == session);
        self.bindings = kept;
        let ended: Vec<Binding> = ended;
        for binding in ended {
            base.remove(binding.handle);
        }
    }

    /// Queues a datagram, or loses it.
    pub(crate) fn send(&mut self, session: u16, id: u16, to: IpEndpoint, data: &[u8], base: &mut SocketSet<'static>) {
        let Some(position) = self.position(session, id) else { return };
        let socket = base.get_mut::<Socket<'_>>(self.bindings[position].handle);
        if data.len() > DATAGRAM_MAX || socket.send_slice(data, to).is_err() {
            self.lost += 1;
        }
    }

    /// Hands over what has arrived.
    pub(crate) fn deliver<C: Clients>(&mut self, base: &mut SocketSet<'static>, clients: &mut C) {
        for binding in &self.bindings {
            let socket = base.get_mut::<Socket<'_>>(binding.handle);
            while let Ok((data, meta)) = socket.recv() {
                let fits = data.len() <= DATAGRAM_MAX;
                if !fits || !clients.datagram(binding.session.into(), binding.id, meta.endpoint, data) {
                    self.lost += 1;
                }
            }
        }
    }

    fn position(&self, session: u16, id: u16) -> Option<usize> {
        self.bindings.iter().position(|binding| binding.session == session && binding.id == id)
    }

    fn is_bound(&self, port: u16) -> bool {
        self.bindings.iter().any(|binding| binding.port == port)
    }

    fn free_port(&mut self) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next_port;
            self.next_port = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            if !self.is_bound(port) {
                return Some(port);
            }
        }
        None
    }

    fn free_id(&mut self, session: u16) -> u16 {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            if self.position(session, self.next_id).is_none() {
                return self.next_id;
            }
        }
    }
}
