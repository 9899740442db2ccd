//! The ends of the rings: the driver's link, the clients' sessions; moves records and notes who must be rung.
use crate::event::{Clients, Event};
use crate::port::{FRAME_SENT_MAX, Frames};
use crate::wire;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use libhybrid::Bell;
use libhybrid::interfaces::net::link::LinkClientRings;
use libhybrid::interfaces::net::stack::{Datagram, TcpEvent, TcpServerRings, UdpServerRings};
use libhybrid::ipc::ClientId;
use libhybrid::ring::RingError;
use smoltcp::wire::IpEndpoint;

/// The session with the driver.
pub struct LinkPort {
    rings: LinkClientRings,
    bell: Bell,
    is_dead: bool,
    /// The driver is gone: frames go nowhere and none come, as on a cable that is pulled out. Connections live on and send again.
    is_away: bool,
    has_sent: bool,
}

impl LinkPort {
    /// The driver's rings and bell.
    #[must_use]
    pub fn new(rings: LinkClientRings, bell: Bell) -> Self {
        Self { rings, bell, is_dead: false, is_away: false, has_sent: false }
    }

    /// The driver is gone.
    pub(crate) fn leave(&mut self) {
        self.is_away = true;
    }

    /// The driver was started anew, with these rings.
    pub(crate) fn come_back(&mut self, rings: LinkClientRings) {
        (self.rings, self.is_dead, self.is_away) = (rings, false, false);
    }

    fn end(&mut self, error: RingError) {
        if !self.is_dead {
            log::error!("the driver's rings: {error}; no frames any more");
        }
        self.is_dead = true;
    }

    /// Tells the driver about frames that were sent.
    pub(crate) fn publish(&mut self) {
        if core::mem::take(&mut self.has_sent) && !self.is_away {
            self.bell.ring_if(self.rings.transmit.publish());
        }
    }

    /// The stack is awake and will look for frames: until it sleeps, the driver need not ring.
    pub(crate) fn wake(&mut self) {
        self.rings.received.ring().withdraw_bell();
    }

    /// Before sleeping: sees to it that the driver rings for frames, and for room if there is none. False: do not sleep. With `awaits_room` a frame in or
    /// out waits for room, which can have come since the stack found none.
    pub(crate) fn can_sleep(&mut self, awaits_room: bool) -> bool {
        if self.is_dead || self.is_away {
            return true;
        }
        if !self.has_room() {
            // Nothing is received while there is no room for answers.
            return match self.rings.transmit.ring().request_space(FRAME_SENT_MAX) {
                Ok(is_full) => is_full,
                Err(error) => {
                    self.end(error);
                    true
                }
            };
        }
        if awaits_room {
            return false;
        }
        match self.rings.received.request_bell() {
            Ok(is_empty) => is_empty,
            Err(error) => {
                self.end(error);
                true
            }
        }
    }
}

impl Frames for LinkPort {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.is_dead || self.is_away {
            return None;
        }
        match self.rings.received.ring().pop(buffer) {
            Ok(len) => len,
            Err(error) => {
                self.end(error);
                None
            }
        }
    }

    fn has_room(&mut self) -> bool {
        if self.is_away {
            return true;
        }
        if self.is_dead {
            return false;
        }
        match self.rings.transmit.ring().fits(FRAME_SENT_MAX) {
            Ok(fits) => fits,
            Err(error) => {
                self.end(error);
                false
            }
        }
    }

    fn transmit(&mut self, frame: &[u8]) {
        if self.is_away {
            return;
        }
        match self.rings.transmit.push(frame) {
            Ok(()) => self.has_sent = true,
            Err(error) => self.end(error),
        }
    }
}

/// One client of Tcp.
pub struct TcpSession {
    pub(crate) client: ClientId,
    pub(crate) rings: Option<TcpServerRings>,
    bell: Bell,
    has_news: bool,
    /// An event found no room.
    is_full: bool,
    /// Bells that were rung.
    #[cfg(test)]
    pub(crate) rung: u32,
}

impl TcpSession {
    /// A client's rings and bell. Without rings (a region that does not fit) the session is dead from the start.
    #[must_use]
    pub fn new(client: ClientId, rings: Option<TcpServerRings>, bell: Bell) -> Self {
        Self {
            client,
            rings,
            bell,
            has_news: false,
            is_full: false,
            #[cfg(test)]
            rung: 0,
        }
    }

    /// The client is gone, or was started anew and has these rings.
    pub(crate) fn replace(&mut self, rings: Option<TcpServerRings>) {
        *self = Self::new(self.client, rings, self.bell);
    }

    fn push(&mut self, event: Event<'_>) -> bool {
        let Some(rings) = &mut self.rings else { return false };
        match rings.events.push(&wire::event(event)) {
            Ok(()) => {
                self.has_news = true;
                true
            }
            // A corrupt ring is found, and ends the session, when room is asked for (`has_room_again`).
            Err(_) => {
                self.is_full = true;
                false
            }
        }
    }

    /// Rings the client for new events, and for room that it waits for.
    pub(crate) fn publish(&mut self) {
        let Some(rings) = &mut self.rings else { return };
        let mut is_wanted = rings.commands.release();
        if core::mem::take(&mut self.has_news) {
            is_wanted |= rings.events.publish();
        }
        #[cfg(test)]
        {
            self.rung += u32::from(is_wanted);
        }
        self.bell.ring_if(is_wanted);
    }

    /// Whether events that found no room can be offered again. Asks the client to ring if not.
    pub(crate) fn has_room_again(&mut self) -> Result<bool, RingError> {
        let Some(rings) = &mut self.rings else { return Ok(false) };
        if self.is_full && !rings.events.ring().request_space(TcpEvent::MAX_ENCODED)? {
            self.is_full = false;
            return Ok(true);
        }
        Ok(false)
    }
}

/// One client of Udp.
pub struct UdpSession {
    pub(crate) client: ClientId,
    pub(crate) rings: Option<UdpServerRings>,
    bell: Bell,
    has_news: bool,
}

impl UdpSession {
    /// A client's rings and bell. Without rings (a region that does not fit) the session is dead from the start.
    #[must_use]
    pub fn new(client: ClientId, rings: Option<UdpServerRings>, bell: Bell) -> Self {
        Self { client, rings, bell, has_news: false }
    }

    /// The client is gone, or was started anew and has these rings.
    pub(crate) fn replace(&mut self, rings: Option<UdpServerRings>) {
        *self = Self::new(self.client, rings, self.bell);
    }

    /// Rings the client for new datagrams, and for room that it waits for.
    pub(crate) fn publish(&mut self) {
        let Some(rings) = &mut self.rings else { return };
        let mut is_wanted = rings.transmit.release();
        if core::mem::take(&mut self.has_news) {
            is_wanted |= rings.received.publish();
        }
        self.bell.ring_if(is_wanted);
    }
}

/// One client of Resolver.
pub struct ResolverSession {
    pub(crate) client: ClientId,
    bell: Bell,
}

impl ResolverSession {
    /// A client's bell.
    #[must_use]
    pub fn new(client: ClientId, bell: Bell) -> Self {
        Self { client, bell }
    }
}

/// All clients, as the stack sees them.
pub(crate) struct Sessions {
    pub(crate) tcp: Vec<TcpSession>,
    pub(crate) udp: Vec<UdpSession>,
    pub(crate) resolver: Vec<ResolverSession>,
}

impl Clients for Sessions {
    fn tcp(&mut self, session: usize, event: Event<'_>) -> bool {
        self.tcp.get_mut(session).is_some_and(|session| session.push(event))
    }

    fn datagram(&mut self, session: usize, socket: u16, from: IpEndpoint, data: &[u8]) -> bool {
        let Some(session) = self.udp.get_mut(session) else { return false };
        let Some(rings) = &mut session.rings else { return false };
        let datagram = Datagram { socket, peer: wire::peer(from), data: Cow::Borrowed(data) };
        let is_pushed = rings.received.push(&datagram).is_ok();
        session.has_news |= is_pushed;
        is_pushed
    }

    fn resolved(&mut self, session: usize) {
        if let Some(session) = self.resolver.get(session) {
            session.bell.ring();
        }
    }
}
