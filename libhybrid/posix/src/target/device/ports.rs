//! Datagrams as they were granted: calls and rings, translated; what they mean is in `process::datagram`.
use super::link::{Link, News, next, refused};
use super::stack::{address, peer, told};
use crate::hearing::Hearing;
use crate::net::{Address, Arrival, DATAGRAM, Peer};
use crate::number::Errno;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use hybrid_interfaces::net::stack as idl;
use hybrid_interfaces::net::stack::{UdpClient, UdpClientRings, UdpRings, udp};
use hybrid_rt::{EndpointCaller, Env, PeerChange};

const _: () = assert!(DATAGRAM == idl::DATAGRAM_MAX);

/// Bytes of a datagram in its ring beside its payload, at most.
const HEAD: usize = 64;

/// The session.
pub(super) struct Ports {
    link: Link<UdpClientRings>,
    client: UdpClient<EndpointCaller>,
    hearing: Hearing,
}

impl Ports {
    /// The use, if there is one.
    pub(super) fn find(env: &Env) -> Option<Self> {
        let (mut link, caller) = Link::find(env, udp::INTERFACE, UdpRings::client)?;
        // The first datagram is to ring, too.
        if let Some(rings) = &mut link.rings {
            let _is_empty = rings.received.request_bell();
        }
        Some(Self { link, client: UdpClient::new(caller), hearing: Hearing::default() })
    }

    pub(super) fn on_peer(&mut self, change: &PeerChange) {
        self.link.on_peer(change);
        if self.link.rings.is_none() {
            self.hearing.gone();
        }
    }

    pub(super) fn bind(&mut self, port: u16) -> Result<(u16, u16), Errno> {
        let bound = self.client.bind(port).map_err(refused)?;
        self.hearing.bound();
        Ok((bound.socket, bound.port))
    }

    pub(super) fn unbind(&mut self, socket: u16) {
        // A stack that died has forgotten it.
        let _it_was_bound = self.client.unbind(socket);
        self.hearing.unbound();
    }

    pub(super) fn source(&mut self, to: Address) -> Result<Address, Errno> {
        let to = told(Peer { address: to, port: 0 });
        self.client.source(&to.address).map(|from| address(&from)).map_err(refused)
    }

    pub(super) fn send(&mut self, socket: u16, peer: Peer, bytes: &[u8]) -> Result<bool, Errno> {
        let rings = self.link.rings.as_mut().ok_or(Errno::ENETDOWN)?;
        let datagram = idl::Datagram { socket, peer: told(peer), data: Cow::Borrowed(bytes) };
        // If there is no room, the stack rings when there is.
        Ok(rings.transmit.push_or_ask(&datagram).unwrap_or(false))
    }

    /// A stack that is away takes nothing, and who sends is told so.
    pub(super) fn has_room(&mut self) -> bool {
        self.link.rings.as_mut().is_none_or(has_room)
    }

    pub(super) fn arrival<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<Arrival<'a>> {
        // What was bound is bound again when it is back; datagrams that were under way are lost.
        while let Some(news) = self.link.news() {
            match news {
                News::Lost => {}
                News::Back => return Some(Arrival::Back),
            }
        }
        let rings = self.link.rings.as_mut().filter(|_| self.hearing.is_due())?;
        match next(&mut rings.received, scratch) {
            Ok(None) => {
                self.hearing.found_empty();
                None
            }
            Ok(datagram) => datagram.map(heard),
            Err(_) => {
                log::error!(target: "posix", "the host stack broke its session of datagrams");
                self.link.rings = None;
                None
            }
        }
    }

    pub(super) fn publish(&mut self) {
        if let Some(rings) = &mut self.link.rings {
            self.link.session.bell.ring_if(rings.transmit.publish() | rings.received.release());
        }
    }
}

fn heard(datagram: idl::Datagram<'_>) -> Arrival<'_> {
    // What is decoded from a ring is borrowed from the scratch memory: there is no other.
    let data = if let Cow::Borrowed(data) = datagram.data { data } else { &[] };
    Arrival::Datagram { socket: datagram.socket, peer: peer(&datagram.peer), data }
}

/// If not, the stack rings when there is.
fn has_room(rings: &mut UdpClientRings) -> bool {
    rings.transmit.ring().request_space(DATAGRAM + HEAD).is_ok_and(|must_wait| !must_wait)
}
