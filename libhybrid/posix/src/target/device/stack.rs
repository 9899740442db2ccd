//! The host stack as it was granted: calls and rings, translated; what they mean is in `process::tcp`.
use super::link::{Link, News, next, refused};
use crate::net::{Address, CHUNK, Command, Event, Peer, Reason};
use crate::number::Errno;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use hybrid_interfaces::net::stack as idl;
use hybrid_interfaces::net::stack::{TcpClient, TcpClientRings, TcpCommand, TcpEvent, TcpRings, tcp};
use hybrid_rt::{EndpointCaller, Env, PeerChange};

const _: () = assert!(CHUNK == idl::CHUNK_MAX && crate::net::WINDOW == idl::RECEIVE_CREDIT as u64);
const _: () = assert!(crate::net::WIDE_WINDOW == idl::RECEIVE_CREDIT_MAX as u64);

/// The session.
pub(super) struct Stack {
    link: Link<TcpClientRings>,
    client: TcpClient<EndpointCaller>,
}

impl Stack {
    /// The use, if there is one.
    pub(super) fn find(env: &Env) -> Option<Self> {
        let (mut link, caller) = Link::find(env, tcp::INTERFACE, TcpRings::client)?;
        // The first event is to ring, too.
        if let Some(rings) = &mut link.rings {
            let _is_empty = rings.events.request_bell();
        }
        Some(Self { link, client: TcpClient::new(caller) })
    }

    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        self.link.on_peer(change);
    }

    pub(super) fn listen(&mut self, own: Peer, places: u16) -> Result<u16, Errno> {
        self.client.listen(&local(own), places, true).map_err(refused)
    }

    pub(super) fn has_address(&mut self, address: Address) -> Result<bool, Errno> {
        let peer = told(Peer { address, port: 0 });
        self.client.has_address(&peer.address).map_err(|_| Errno::ENETDOWN)
    }

    pub(super) fn unlisten(&mut self, listener: u16) {
        // A stack that died has forgotten it.
        let _it_listened = self.client.unlisten(listener);
    }

    pub(super) fn command(&mut self, command: Command<'_>) -> bool {
        let data = |connection, bytes| idl::DataBody { connection, data: Cow::Borrowed(bytes) };
        let command = match command {
            Command::Send(connection, bytes) => TcpCommand::Send(data(connection, bytes)),
            Command::Finish(connection) => TcpCommand::Finish(connection),
            Command::Abort(connection) => TcpCommand::Abort(connection),
            Command::Credit(connection, bytes) => TcpCommand::Credit(idl::CreditBody { connection, bytes }),
            Command::Connect(connection, peer, own) => {
                TcpCommand::Connect(idl::ConnectBody { connection, peer: told(peer), local: local(own) })
            }
            Command::Taken(listener, connections) => TcpCommand::Taken(idl::TakenBody { listener, connections }),
        };
        let Some(rings) = &mut self.link.rings else { return false };
        // If there is no room, the stack rings when there is.
        rings.commands.push_or_ask(&command).unwrap_or(false)
    }

    /// A stack that is away takes nothing, and its connections are told so. If there is no room, the stack rings when there is.
    pub(super) fn has_room(&mut self) -> bool {
        let Some(rings) = &mut self.link.rings else { return true };
        rings.commands.ring().request_space(TcpCommand::MAX_ENCODED).is_ok_and(|must_wait| !must_wait)
    }

    pub(super) fn event<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Event<'a>> {
        if let Some(news) = self.link.news() {
            return Some(match news {
                News::Lost => Event::Lost,
                News::Back => Event::Back,
            });
        }
        let rings = self.link.rings.as_mut()?;
        match next(&mut rings.events, scratch) {
            Ok(event) => event.map(heard),
            Err(_) => {
                log::error!(target: "posix", "the host stack broke its session: all connections are lost");
                self.link.rings = None;
                Some(Event::Lost)
            }
        }
    }

    pub(super) fn publish(&mut self) {
        if let Some(rings) = &mut self.link.rings {
            self.link.session.bell.ring_if(rings.commands.publish() | rings.events.release());
        }
    }
}

fn heard(event: TcpEvent<'_>) -> Event<'_> {
    match event {
        TcpEvent::Accepted(body) => Event::Accepted {
            connection: body.connection,
            listener: body.listener,
            peer: peer(&body.peer),
            local: peer(&body.local),
            credit: body.send_credit,
        },
        TcpEvent::Connected(body) => {
            Event::Connected { connection: body.connection, local: peer(&body.local), credit: body.send_credit }
        }
        TcpEvent::Data(idl::DataBody { connection, data: Cow::Borrowed(data) }) => Event::Data(connection, data),
        // What is decoded from a ring is borrowed from the scratch memory: there is no other.
        TcpEvent::Data(body) => Event::Data(body.connection, &[]),
        TcpEvent::PeerFinished(connection) => Event::Finished(connection),
        TcpEvent::Closed(body) => Event::Closed(
            body.connection,
            match body.reason {
                idl::CloseReason::Finished => Reason::Finished,
                idl::CloseReason::Reset | idl::CloseReason::Violation => Reason::Reset,
                idl::CloseReason::TimedOut => Reason::TimedOut,
                idl::CloseReason::Unreachable => Reason::Unreachable,
                idl::CloseReason::NoRoom => Reason::NoRoom,
                idl::CloseReason::InUse => Reason::InUse,
                idl::CloseReason::BadAddress => Reason::BadAddress,
            },
        ),
        TcpEvent::Credit(body) => Event::Credit(body.connection, body.bytes),
    }
}

pub(super) fn peer(peer: &idl::Peer) -> Peer {
    Peer { address: address(&peer.address), port: peer.port }
}

pub(super) const fn address(address: &idl::Address) -> Address {
    match *address {
        idl::Address::V4(octets) => Address::V4(octets),
        idl::Address::V6(octets) => Address::V6(octets),
    }
}

/// An end of the device's own; every address of a family is every one.
fn local(own: Peer) -> idl::Local {
    let idl::Peer { address, port } = told(own);
    idl::Local { address: (!own.address.is_any()).then_some(address), port }
}

pub(super) fn told(peer: Peer) -> idl::Peer {
    let address = match peer.address {
        Address::V4(address) => idl::Address::V4(address),
        Address::V6(address) => idl::Address::V6(address),
    };
    idl::Peer { address, port: peer.port }
}
