//! What the stack says to its clients and hears from them; the IDL's types in the stack's own words.
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};

/// Why a connection ended. Meanings: `ipc-idl/net/stack.idl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Ended in order.
    Finished,
    /// Reset by the peer, or aborted by the client.
    Reset,
    /// The peer stayed silent.
    TimedOut,
    /// No way to the peer.
    Unreachable,
    /// No free connection.
    NoRoom,
    /// The client broke a rule.
    Violation,
    /// The local port is taken.
    InUse,
    /// The local address is not this host's.
    BadAddress,
}

/// An event of a Tcp session. Order and meanings: `ipc-idl/net/stack.idl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A listener has a new connection.
    Accepted {
        /// Its number.
        connection: u32,
        /// The listener.
        listener: u16,
        /// Who connected.
        peer: IpEndpoint,
        /// This host's end.
        local: IpEndpoint,
        /// Bytes that may be sent.
        send_credit: u32,
    },
    /// The client's connection is open.
    Connected {
        /// Its number.
        connection: u32,
        /// This host's end.
        local: IpEndpoint,
        /// Bytes that may be sent.
        send_credit: u32,
    },
    /// Bytes arrived.
    Data {
        /// On this connection.
        connection: u32,
        /// 1..=`CHUNK_MAX` of them.
        data: &'a [u8],
    },
    /// The peer will send no more.
    PeerFinished {
        /// The connection.
        connection: u32,
    },
    /// The connection is gone.
    Closed {
        /// Its number.
        connection: u32,
        /// Why.
        reason: CloseReason,
    },
    /// More may be sent.
    Credit {
        /// On this connection.
        connection: u32,
        /// So many bytes.
        bytes: u32,
    },
}

/// A command of a Tcp session's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Send bytes.
    Send {
        /// On this connection.
        connection: u32,
        /// At most `CHUNK_MAX`.
        data: &'a [u8],
    },
    /// No more data from this side.
    Finish {
        /// The connection.
        connection: u32,
    },
    /// Forget the connection.
    Abort {
        /// The connection.
        connection: u32,
    },
    /// The client consumed data.
    Credit {
        /// Of this connection.
        connection: u32,
        /// So many bytes.
        bytes: u32,
    },
    /// Open a connection.
    Connect {
        /// Under this number.
        connection: u32,
        /// To this peer.
        peer: IpEndpoint,
        /// From here; port 0 is any.
        local: IpListenEndpoint,
    },
    /// Connections that were told have left the client's queue.
    Taken {
        /// Of this listener.
        listener: u16,
        /// So many.
        connections: u16,
    },
}

/// Where and how a client listens. Meanings: `ipc-idl/net/stack.idl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// One address or every one, and the port.
    pub local: IpListenEndpoint,
    /// Places.
    pub backlog: u16,
    /// Who was told keeps its place until it is taken.
    pub keeps_places: bool,
}

/// Why an operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The port is taken.
    InUse,
    /// A bound was reached.
    NoRoom,
    /// Port, backlog or name out of range.
    BadAddress,
    /// No such listener or socket.
    NotFound,
    /// No name server is known, or no way to the peer.
    Unreachable,
}

/// The answer to a query for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The query's number.
    pub query: u16,
    /// What was found: at most 8; none means that there is no such name, or no answer came.
    pub addresses: alloc::vec::Vec<IpAddress>,
}

/// Where events go. Sessions are numbered per interface, from 0, in the order of the start information.
pub trait Clients {
    /// Puts an event into the session's ring. False: no room; the stack offers it again after [`crate::Stack::resume`].
    fn tcp(&mut self, session: usize, event: Event<'_>) -> bool;
    /// Puts a datagram into the session's ring. False: no room; the datagram is lost.
    fn datagram(&mut self, session: usize, socket: u16, from: IpEndpoint, data: &[u8]) -> bool;
    /// Rings the session's bell: an answer waits to be pulled.
    fn resolved(&mut self, session: usize);
}
