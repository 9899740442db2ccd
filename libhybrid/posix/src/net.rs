//! Addresses, what a program says to the host stack and what that tells it: hybrid.net.stack without its encoding.

/// Largest payload of one send, and of what arrives at a time.
pub const CHUNK: usize = 8192;
/// Bytes that the stack delivers on a connection before the program has read any.
pub const WINDOW: u64 = 8192;
/// The same, once the program said that it has room for more.
pub const WIDE_WINDOW: u64 = 32768;
/// Largest payload of a datagram that goes out or comes in.
pub const DATAGRAM: usize = 1472;
/// Name servers that the host stack may know.
pub const NAME_SERVERS: usize = 3;
/// Connections of the program's own choice have numbers from here on.
pub const FIRST_OWN: u32 = 1 << 31;

/// An address of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

impl core::fmt::Display for Address {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::V4(octets) => core::net::Ipv4Addr::from(octets).fmt(out),
            Self::V6(octets) => core::net::Ipv6Addr::from(octets).fmt(out),
        }
    }
}

/// Address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Of the host.
    pub address: Address,
    /// At the host.
    pub port: u16,
}

/// What a program wants of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// At most [`CHUNK`] bytes, within the credit.
    Send(u32, &'a [u8]),
    /// No more will be sent.
    Finish(u32),
    /// Reset it.
    Abort(u32),
    /// So many bytes were read.
    Credit(u32, u32),
    /// Open one to the first, from the second end: every address and port 0 are whichever fits.
    Connect(u32, Peer, Peer),
    /// So many who came by this listener are in its queue no more.
    Taken(u16, u16),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Both directions ended.
    Finished,
    /// By the peer, or by breaking the stack's rules.
    Reset,
    /// The peer is silent.
    TimedOut,
    /// There is no way to the peer.
    Unreachable,
    /// The stack has no free connection.
    NoRoom,
    /// The end from which it was to be opened is another connection's.
    InUse,
    /// The address from which it was to be opened is not the device's.
    BadAddress,
}

/// What the stack tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Somebody connected to a listener.
    Accepted {
        /// Of the connection.
        connection: u32,
        /// Which listener.
        listener: u16,
        /// Who.
        peer: Peer,
        /// Which end of the device.
        local: Peer,
        /// What may be sent at once.
        credit: u32,
    },
    /// A connection was opened.
    Connected {
        /// Of the program's choice.
        connection: u32,
        /// Which end of the device.
        local: Peer,
        /// What may be sent at once.
        credit: u32,
    },
    /// At most [`CHUNK`] bytes came.
    Data(u32, &'a [u8]),
    /// The peer sends no more.
    Finished(u32),
    /// The connection is gone.
    Closed(u32, Reason),
    /// So much more may be sent.
    Credit(u32, u32),
    /// The stack died, with all connections and listeners.
    Lost,
    /// A new one is there; it knows nothing.
    Back,
}

/// What the host stack's datagram service tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// A datagram.
    Datagram {
        /// Of which of the program's ports.
        socket: u16,
        /// Who sent it.
        peer: Peer,
        /// Its payload, at most [`DATAGRAM`] bytes.
        data: &'a [u8],
    },
    /// A new life of the service is there; it knows nothing of what was bound.
    Back,
}
