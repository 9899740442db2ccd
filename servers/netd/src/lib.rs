//! IPv4/IPv6 host stack on smoltcp; never touches a device.
//!
//! [`Stack`] does no input or output of its own: whoever drives it hands in the time, frames ([`Frames`]), commands and calls,
//! and takes frames, events ([`Clients`]) and the next deadline. So the same code runs on the target behind rings and
//! on the host against a second stack.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod addressing;
mod checksum;
mod demux;
mod event;
mod parameters;
mod port;
mod rdnss;
mod resolver;
mod server;
mod sessions;
mod slaac;
mod stack;
mod tcp;
mod train;
mod udp;
mod wire;

#[cfg(test)]
mod tests;

pub use event::{Answer, Clients, CloseReason, Command, Event, Listen, Refusal};
pub use parameters::{Fallback, Parameters};
pub use port::{FRAME_MAX, FRAME_SENT_MAX, Frames, Traffic};
pub use resolver::QUERIES_MAX;
pub use server::{Interfaces, Kind, Netd};
pub use sessions::{LinkPort, ResolverSession, TcpSession, UdpSession};
pub use smoltcp::time::Instant;
pub use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint};
pub use stack::{Configuration, Poll, SessionCounts, Stack};
pub use tcp::{BACKLOG_MAX, CONNECTIONS_MAX, FIRST_CLIENT_CONNECTION, LISTENERS_MAX};
pub use udp::SOCKETS_MAX;
