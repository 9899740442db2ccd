//! Between the stack's own words and the IDL's; decides nothing.
use crate::event::{Answer, CloseReason, Command, Event, Refusal};
use crate::stack::Configuration;
use alloc::borrow::Cow;
use libhybrid::interfaces::net::stack as idl;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint, IpListenEndpoint};

pub(crate) fn address(address: IpAddress) -> idl::Address {
    match address {
        IpAddress::Ipv4(address) => idl::Address::V4(address.octets()),
        IpAddress::Ipv6(address) => idl::Address::V6(address.octets()),
    }
}

pub(crate) fn peer(endpoint: IpEndpoint) -> idl::Peer {
    idl::Peer { address: address(endpoint.addr), port: endpoint.port }
}

pub(crate) fn to_address(address: idl::Address) -> IpAddress {
    match address {
        idl::Address::V4(octets) => IpAddress::Ipv4(octets.into()),
        idl::Address::V6(octets) => IpAddress::Ipv6(octets.into()),
    }
}

pub(crate) fn endpoint(peer: idl::Peer) -> IpEndpoint {
    IpEndpoint::new(to_address(peer.address), peer.port)
}

pub(crate) fn local(local: idl::Local) -> IpListenEndpoint {
    IpListenEndpoint { addr: local.address.map(to_address), port: local.port }
}

pub(crate) fn event(event: Event<'_>) -> idl::TcpEvent<'_> {
    match event {
        Event::Accepted { connection, listener, peer: remote, local, send_credit } => {
            let (remote, local) = (peer(remote), peer(local));
            idl::TcpEvent::Accepted(idl::AcceptedBody { connection, listener, peer: remote, send_credit, local })
        }
        Event::Connected { connection, local, send_credit } => {
            idl::TcpEvent::Connected(idl::ConnectedBody { connection, send_credit, local: peer(local) })
        }
        Event::Data { connection, data } => {
            idl::TcpEvent::Data(idl::DataBody { connection, data: Cow::Borrowed(data) })
        }
        Event::PeerFinished { connection } => idl::TcpEvent::PeerFinished(connection),
        Event::Closed { connection, reason } => {
            idl::TcpEvent::Closed(idl::ClosedBody { connection, reason: close_reason(reason) })
        }
        Event::Credit { connection, bytes } => idl::TcpEvent::Credit(idl::CreditBody { connection, bytes }),
    }
}

fn close_reason(reason: CloseReason) -> idl::CloseReason {
    match reason {
        CloseReason::Finished => idl::CloseReason::Finished,
        CloseReason::Reset => idl::CloseReason::Reset,
        CloseReason::TimedOut => idl::CloseReason::TimedOut,
        CloseReason::Unreachable => idl::CloseReason::Unreachable,
        CloseReason::NoRoom => idl::CloseReason::NoRoom,
        CloseReason::Violation => idl::CloseReason::Violation,
        CloseReason::InUse => idl::CloseReason::InUse,
        CloseReason::BadAddress => idl::CloseReason::BadAddress,
    }
}

pub(crate) fn command<'a>(command: &'a idl::TcpCommand<'a>) -> Command<'a> {
    match command {
        idl::TcpCommand::Send(body) => Command::Send { connection: body.connection, data: &body.data },
        idl::TcpCommand::Finish(connection) => Command::Finish { connection: *connection },
        idl::TcpCommand::Abort(connection) => Command::Abort { connection: *connection },
        idl::TcpCommand::Credit(body) => Command::Credit { connection: body.connection, bytes: body.bytes },
        idl::TcpCommand::Connect(body) => {
            let (peer, local) = (endpoint(body.peer), local(body.local));
            Command::Connect { connection: body.connection, peer, local }
        }
        idl::TcpCommand::Taken(body) => Command::Taken { listener: body.listener, connections: body.connections },
    }
}

pub(crate) fn error(refusal: Refusal) -> idl::Error {
    match refusal {
        Refusal::InUse => idl::Error::InUse,
        Refusal::NoRoom => idl::Error::NoRoom,
        Refusal::BadAddress => idl::Error::BadAddress,
        Refusal::NotFound => idl::Error::NotFound,
        Refusal::Unreachable => idl::Error::Unreachable,
    }
}

pub(crate) fn answer(answer: Answer) -> idl::ResolverResolved {
    let error = answer.addresses.is_empty().then_some(idl::Error::NotFound);
    let addresses = answer.addresses.into_iter().map(address).collect();
    idl::ResolverResolved { query: answer.query, addresses, error }
}

pub(crate) fn configuration(configuration: Configuration) -> idl::NetworkConfiguration {
    let block = |cidr: IpCidr| idl::AddressBlock { address: address(cidr.address()), prefix: cidr.prefix_len() };
    idl::NetworkConfiguration {
        mac: configuration.mac,
        addresses: configuration.addresses.into_iter().map(block).collect(),
        gateway: configuration.gateway.map(address),
        dns: configuration.dns.into_iter().map(address).collect(),
        is_dhcp: configuration.is_dhcp,
    }
}

// The stack and the interface must agree on these.
const _: () = {
    assert!(idl::CHUNK_MAX == crate::tcp::CHUNK_MAX && idl::RECEIVE_CREDIT == crate::tcp::RECEIVE_CREDIT);
    assert!(idl::RECEIVE_CREDIT_MAX == crate::tcp::RECEIVE_CREDIT_MAX);
    assert!(idl::FIRST_CLIENT_CONNECTION == crate::tcp::FIRST_CLIENT_CONNECTION as usize);
    assert!(idl::LISTENERS_MAX == crate::tcp::LISTENERS_MAX && idl::SOCKETS_MAX == crate::udp::SOCKETS_MAX);
    assert!(idl::QUERIES_MAX == crate::resolver::QUERIES_MAX && idl::DATAGRAM_MAX == crate::udp::DATAGRAM_MAX);
    assert!(libhybrid::interfaces::net::link::FRAME_MAX == crate::port::FRAME_MAX);
};
