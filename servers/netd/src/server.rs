//! Serves the interfaces of `hybrid.net.stack`: turns bells and calls into polls of the stack.
use crate::event::{Listen, Refusal};
use crate::sessions::{LinkPort, ResolverSession, Sessions, TcpSession, UdpSession};
use crate::stack::{SessionCounts, Stack};
use crate::{EthernetAddress, Parameters, wire};
use alloc::vec::Vec;
use libhybrid::interfaces::net::link::LinkClientRings;
use libhybrid::interfaces::net::stack::{
    self as idl, Network, NetworkConfiguration, NetworkCounters, Resolver, ResolverResolved, Tcp, TcpServerRings, Udp,
    UdpBind, UdpServerRings, dispatch_network, dispatch_resolver, dispatch_tcp, dispatch_udp,
};
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::{CallError, Caller, ClientId, Incoming, Outgoing, Refusal as Protocol};
use libhybrid::ring::RingError;
use smoltcp::time::Instant;

/// Commands and datagrams taken from one session before the others have their turn.
const BATCH: usize = 256;
/// So many batches hold whatever fits into a ring of commands, of which the shortest has a few bytes.
const LAST_BATCHES: usize = 512;
/// Rounds of a turn: at most so many times the batches of commands, datagrams and frames are between two looks at calls and signs of life.
const ROUNDS_MAX: usize = 16;

/// The indices of the provided interfaces in badges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interfaces {
    /// Of Tcp.
    pub tcp: u8,
    /// Of Udp.
    pub udp: u8,
    /// Of Resolver.
    pub resolver: u8,
    /// Of Network.
    pub network: u8,
}

/// An interface whose clients hold something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tcp.
    Tcp,
    /// Udp.
    Udp,
    /// Resolver.
    Resolver,
}

/// The stack between its driver, its clients and its alarm.
pub struct Netd<C: Caller> {
    stack: Stack,
    link: LinkPort,
    sessions: Sessions,
    interfaces: Interfaces,
    alarm: AlarmClient<C>,
    /// The alarm's deadline, until it has passed.
    armed: Option<Instant>,
    /// The alarm does not answer. The stack goes on with what bells bring; only what nobody rings for stands still.
    is_alarm_lost: bool,
    /// As above, but for a reason that the alarm's new instance does not end.
    is_alarm_refused: bool,
    /// Losses that were logged.
    told: u64,
    /// The last turn stopped before everything was done.
    has_more: bool,
    now: fn() -> u64,
    scratch: Vec<u8>,
}

impl<C: Caller> Netd<C> {
    /// A stack with the address `mac` (see [`Stack::is_usable`]). `now` is the clock, in nanoseconds.
    #[expect(clippy::too_many_arguments, reason = "called once, with what was granted")]
    pub fn new(
        mac: EthernetAddress,
        parameters: Parameters,
        seed: u64,
        link: LinkPort,
        clients: (Vec<TcpSession>, Vec<UdpSession>, Vec<ResolverSession>),
        interfaces: Interfaces,
        alarm: AlarmClient<C>,
        now: fn() -> u64,
    ) -> Self {
        let (tcp, udp, resolver) = clients;
        let counts = SessionCounts { tcp: tcp.len(), udp: udp.len(), resolver: resolver.len() };
        Self {
            stack: Stack::new(mac, parameters, counts, seed, instant(now())),
            link,
            sessions: Sessions { tcp, udp, resolver },
            interfaces,
            alarm,
            armed: None,
            is_alarm_lost: false,
            is_alarm_refused: false,
            told: 0,
            has_more: false,
            now,
            scratch: Vec::new(),
        }
    }

    /// Answers a call.
    pub fn call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        let interface = incoming.badge().interface();
        if interface == self.interfaces.tcp {
            dispatch_tcp(self, incoming, outgoing);
        } else if interface == self.interfaces.udp {
            dispatch_udp(self, incoming, outgoing);
        } else if interface == self.interfaces.resolver {
            dispatch_resolver(self, incoming, outgoing);
        } else if interface == self.interfaces.network {
            dispatch_network(self, incoming, outgoing);
        } else {
            outgoing.set_refusal(Protocol::UnknownOperation);
        }
        self.turn();
    }

    /// Does all there is to do, until everyone who has something for the stack will ring or the alarm goes off, or until it did so much that others
    /// have to be heard: then [`Self::has_more`].
    pub fn turn(&mut self) {
        self.link.wake();
        let sleeps_until = (0..ROUNDS_MAX).find_map(|_| self.round());
        self.has_more = sleeps_until.is_none();
        if let Some((now, deadline)) = sleeps_until {
            self.set_alarm(now, deadline);
        }
        self.tell_losses();
    }

    /// Whether the last turn stopped before everything was done. Nobody rings for the rest.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// When it was done if nothing is left, and for when the alarm is to be set then.
    fn round(&mut self) -> Option<(Instant, Option<Instant>)> {
        let now = instant((self.now)());
        let mut can_sleep = self.take_commands(now);
        can_sleep &= self.take_datagrams();
        let poll = self.stack.poll(now, &mut self.link, &mut self.sessions);
        self.publish();
        can_sleep &= !poll.has_more && self.link.can_sleep(poll.awaits_room);
        can_sleep &= self.offer_again();
        can_sleep.then_some((now, poll.deadline))
    }

    /// False: there are more, or may be.
    fn take_commands(&mut self, now: Instant) -> bool {
        let mut can_sleep = true;
        for number in 0..self.sessions.tcp.len() {
            match self.take_commands_of(number, now) {
                Ok(is_empty) => can_sleep &= is_empty,
                Err(error) => {
                    self.end_tcp_session(number, error);
                    can_sleep = false;
                }
            }
        }
        can_sleep
    }

    /// What a client that is gone said before: what it sent and finished goes out still. As much as its ring holds at most, as nobody writes it now.
    fn take_last_commands(&mut self, number: usize) {
        let now = instant((self.now)());
        for _ in 0..LAST_BATCHES {
            if !matches!(self.take_commands_of(number, now), Ok(false)) {
                return;
            }
        }
    }

    fn take_commands_of(&mut self, number: usize, now: Instant) -> Result<bool, RingError> {
        let Some(rings) = &mut self.sessions.tcp[number].rings else { return Ok(true) };
        // Most sessions have nothing to say in most turns.
        if rings.commands.request_bell()? {
            return Ok(true);
        }
        for _ in 0..BATCH {
            match rings.commands.pop(&mut self.scratch)? {
                Some(command) => self.stack.command(index(number), wire::command(&command), now),
                None => return rings.commands.request_bell(),
            }
        }
        Ok(false)
    }

    /// False: there are more, or may be.
    fn take_datagrams(&mut self) -> bool {
        let mut can_sleep = true;
        for number in 0..self.sessions.udp.len() {
            match self.take_datagrams_of(number) {
                Ok(is_empty) => can_sleep &= is_empty,
                Err(error) => {
                    log::error!(
                        "Udp client {}: {error}; its session is ended",
                        self.sessions.udp[number].client.instance
                    );
                    self.sessions.udp[number].rings = None;
                    self.stack.end_udp_session(index(number));
                    can_sleep = false;
                }
            }
        }
        can_sleep
    }

    fn take_datagrams_of(&mut self, number: usize) -> Result<bool, RingError> {
        let Some(rings) = &mut self.sessions.udp[number].rings else { return Ok(true) };
        if rings.transmit.request_bell()? {
            return Ok(true);
        }
        for _ in 0..BATCH {
            match rings.transmit.pop(&mut self.scratch)? {
                Some(datagram) => {
                    let to = wire::endpoint(datagram.peer);
                    self.stack.send_datagram(index(number), datagram.socket, to, &datagram.data);
                }
                None => return rings.transmit.request_bell(),
            }
        }
        Ok(false)
    }

    fn publish(&mut self) {
        self.link.publish();
        self.sessions.tcp.iter_mut().for_each(TcpSession::publish);
        self.sessions.udp.iter_mut().for_each(UdpSession::publish);
    }

    /// Lets events that found no room try again where there is some. False: some will, or a session's end leaves resets to send.
    fn offer_again(&mut self) -> bool {
        let mut can_sleep = true;
        for number in 0..self.sessions.tcp.len() {
            match self.sessions.tcp[number].has_room_again() {
                Ok(false) => {}
                Ok(true) => {
                    self.stack.resume(index(number));
                    can_sleep = false;
                }
                Err(error) => {
                    self.end_tcp_session(number, error);
                    can_sleep = false;
                }
            }
        }
        can_sleep
    }

    /// What securityd does when the alarm was started anew: a capability for the new instance in the same slot.
    #[cfg(test)]
    pub(crate) fn renew_alarm(&mut self, alarm: AlarmClient<C>) {
        self.alarm = alarm;
    }

    /// How often a client of Tcp was rung.
    #[cfg(test)]
    pub(crate) fn bells_of(&self, number: usize) -> u32 {
        self.sessions.tcp[number].rung
    }

    #[cfg(test)]
    pub(crate) fn connection_count(&self) -> usize {
        self.stack.connection_count()
    }

    /// A client is gone: what it had is freed, its ports refuse, and its peers get resets unless it had finished with them.
    pub fn on_client_gone(&mut self, interface: Kind, client: ClientId) {
        match interface {
            Kind::Tcp => {
                if let Ok(session) = position(&self.sessions.tcp, client, |session| session.client) {
                    self.take_last_commands(session.into());
                    self.sessions.tcp[usize::from(session)].replace(None);
                    self.stack.end_tcp_session(session);
                }
            }
            Kind::Udp => {
                if let Ok(session) = position(&self.sessions.udp, client, |session| session.client) {
                    self.sessions.udp[usize::from(session)].replace(None);
                    self.stack.end_udp_session(session);
                }
            }
            Kind::Resolver => {
                if let Ok(session) = position(&self.sessions.resolver, client, |session| session.client) {
                    self.stack.end_resolver_session(session);
                }
            }
        }
        self.turn();
    }

    /// A client of Tcp was started anew and has these rings.
    pub fn on_tcp_client(&mut self, client: ClientId, rings: Option<TcpServerRings>) {
        if let Ok(session) = position(&self.sessions.tcp, client, |session| session.client) {
            self.sessions.tcp[usize::from(session)].replace(rings);
            self.stack.begin_tcp_session(session);
        }
    }

    /// A client of Udp was started anew and has these rings.
    pub fn on_udp_client(&mut self, client: ClientId, rings: Option<UdpServerRings>) {
        if let Ok(session) = position(&self.sessions.udp, client, |session| session.client) {
            self.sessions.udp[usize::from(session)].replace(rings);
        }
    }

    /// The driver is gone: frames are lost until it is there again, connections are not.
    pub fn on_link_gone(&mut self) {
        self.link.leave();
    }

    /// The driver was started anew, with these rings. An address other than before (a device that was exchanged) is not taken over.
    pub fn on_link(&mut self, mac: EthernetAddress, rings: LinkClientRings) {
        let known = self.stack.configuration().mac;
        if mac.0 != known {
            log::error!("the link has another address now ({mac}): netd has to be started anew to use it");
            return;
        }
        self.link.come_back(rings);
        self.stack.announce(&mut self.link);
        self.turn();
    }

    /// The alarm is gone; what was set is forgotten.
    pub fn on_alarm_gone(&mut self) {
        self.is_alarm_lost = true;
        self.armed = None;
    }

    /// The alarm is there again and knows nothing.
    pub fn on_alarm(&mut self) {
        self.is_alarm_lost = false;
        self.armed = None;
        self.turn();
    }

    fn end_tcp_session(&mut self, number: usize, error: RingError) {
        log::error!("Tcp client {}: {error}; its session is ended", self.sessions.tcp[number].client.instance);
        self.sessions.tcp[number].rings = None;
        self.stack.end_tcp_session(index(number));
    }

    /// Only when they have doubled, so that a flood of losses does not become a flood of messages.
    fn tell_losses(&mut self) {
        let (connections, datagrams) = self.stack.refused();
        let losses = connections + datagrams;
        if losses > self.told && losses >= self.told.saturating_mul(2) {
            self.told = losses;
            log::warn!("no room so far: {connections} connections, {datagrams} datagrams");
        }
    }

    /// Sets the alarm if it would be late. One that is early only wakes the stack in vain.
    fn set_alarm(&mut self, now: Instant, deadline: Option<Instant>) {
        self.armed = self.armed.filter(|&armed| armed > now);
        let Some(deadline) = deadline else { return };
        if self.is_alarm_lost || self.is_alarm_refused || self.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        let deadline_ns = u64::try_from(deadline.total_micros()).unwrap_or(0).saturating_mul(1000);
        match self.alarm.set(deadline_ns) {
            Ok(()) => self.armed = Some(deadline),
            // It is told when the alarm is back, if ever.
            Err(CallError::ServerDied) => self.on_alarm_gone(),
            Err(error) => {
                self.is_alarm_refused = true;
                log::error!("the alarm cannot be set: {error:?}; no retransmissions and time-outs any more");
            }
        }
    }
}

/// The number of a session; there are at most 62 of them.
fn index(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn instant(now_ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(now_ns / 1000).unwrap_or(i64::MAX))
}

/// The session of a client, by its position. A caller without one cannot exist, since each route is a session.
fn position<T>(sessions: &[T], client: ClientId, whose: fn(&T) -> ClientId) -> Result<u16, idl::Error> {
    let position = sessions.iter().position(|session| whose(session) == client);
    position.map(index).ok_or(wire::error(Refusal::NotFound))
}

impl<C: Caller> Tcp for Netd<C> {
    fn listen(
        &mut self,
        client: ClientId,
        local: idl::Local,
        backlog: u16,
        keeps_places: bool,
    ) -> Result<u16, idl::Error> {
        let session = position(&self.sessions.tcp, client, |session| session.client)?;
        let listen = Listen { local: wire::local(local), backlog, keeps_places };
        self.stack.listen(session, listen).map_err(wire::error)
    }

    fn unlisten(&mut self, client: ClientId, listener: u16) -> Result<(), idl::Error> {
        let session = position(&self.sessions.tcp, client, |session| session.client)?;
        self.stack.unlisten(session, listener).map_err(wire::error)
    }

    fn has_address(&mut self, _client: ClientId, address: idl::Address) -> bool {
        self.stack.has_address(wire::to_address(address))
    }
}

impl<C: Caller> Udp for Netd<C> {
    fn bind(&mut self, client: ClientId, port: u16) -> Result<UdpBind, idl::Error> {
        let session = position(&self.sessions.udp, client, |session| session.client)?;
        let (socket, port) = self.stack.bind(session, port).map_err(wire::error)?;
        Ok(UdpBind { socket, port })
    }

    fn unbind(&mut self, client: ClientId, socket: u16) -> Result<(), idl::Error> {
        let session = position(&self.sessions.udp, client, |session| session.client)?;
        self.stack.unbind(session, socket).map_err(wire::error)
    }

    fn source(&mut self, _client: ClientId, peer: idl::Address) -> Result<idl::Address, idl::Error> {
        self.stack.source(wire::to_address(peer)).map(wire::address).map_err(wire::error)
    }
}

impl<C: Caller> Resolver for Netd<C> {
    fn resolve(&mut self, client: ClientId, name: &str) -> Result<u16, idl::Error> {
        let session = position(&self.sessions.resolver, client, |session| session.client)?;
        self.stack.resolve(session, name).map_err(wire::error)
    }

    fn pull_resolved(&mut self, client: ClientId) -> Option<ResolverResolved> {
        let session = position(&self.sessions.resolver, client, |session| session.client).ok()?;
        self.stack.pull_resolved(session).map(wire::answer)
    }
}

impl<C: Caller> Network for Netd<C> {
    fn configuration(&mut self, _client: ClientId) -> NetworkConfiguration {
        wire::configuration(self.stack.configuration())
    }

    fn counters(&mut self, _client: ClientId) -> NetworkCounters {
        let traffic = self.stack.traffic();
        NetworkCounters {
            frames_in: traffic.frames_in,
            frames_out: traffic.frames_out,
            bytes_in: traffic.bytes_in,
            bytes_out: traffic.bytes_out,
            connections: u32::try_from(self.stack.connection_count()).unwrap_or(u32::MAX),
        }
    }
}
