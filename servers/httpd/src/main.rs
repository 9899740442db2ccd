//! Wires httpd to its rings, calls and alarm; all logic is in the library.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use httpd::limits::TICK_NS;
use httpd::{Asked, Outside, Reason, Refusal, Server, Verb, Verdict};
use hybrid_access::{Access, Peer, Protocol, Question, Transport};
use libhybrid::interfaces::net::stack::{Address, Local, TcpClient, TcpClientRings, TcpCommand, TcpRings};
use libhybrid::interfaces::provider::{self, Error, Host, HostRings, HostServerRings, Request, dispatch_host};
use libhybrid::interfaces::time::AlarmClient;
use libhybrid::ipc::{CallError, ClientId, Incoming, Outgoing};
use libhybrid::ring::{Producer, RingError};
use libhybrid::{Component, EndpointCaller, Env, PeerChange, PeerNews, SessionHandle, now_ns};

libhybrid::component!(run);

/// Where HTTP is served if the integrator does not say otherwise (parameter "port").
const PORT: u16 = 80;
/// Connections that may be opening at a time.
const BACKLOG: u16 = 128;
/// Records of one peer before the others have their turn.
const BATCH: usize = 256;
/// Rounds between two looks at calls and signs of life.
const ROUNDS_MAX: usize = 16;

fn run(env: Env) -> ! {
    let port = env.parameter("port").and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let mut httpd = Httpd::new(env, port);
    httpd.listen();
    httpd.work();
    env.serve(&mut httpd)
}

/// The world as rings and calls.
struct World {
    stack: TcpClientRings,
    providers: Vec<HostServerRings>,
    access: Access<EndpointCaller, Box<dyn Fn() -> u64>>,
    /// Access decisions that could not be had.
    undecided: u32,
}

struct Httpd {
    server: Server,
    world: World,
    tcp: TcpClient<EndpointCaller>,
    port: u16,
    stack: SessionHandle,
    sessions: Vec<SessionHandle>,
    alarm: AlarmClient<EndpointCaller>,
    alarm_session: SessionHandle,
    is_armed: bool,
    is_alarm_lost: bool,
    is_stack_lost: bool,
    /// The last look at the rings stopped before they were empty.
    has_more: bool,
    lost: Vec<bool>,
    scratch: Vec<u8>,
}

impl Httpd {
    fn new(env: Env, port: u16) -> Self {
        let (stack, sessions) = (env.session("tcp"), env.provided("providers"));
        let rings = |session: &SessionHandle| HostRings::server(session.region());
        let providers: Result<Vec<_>, RingError> = sessions.iter().map(rings).collect();
        let (Ok(stack_rings), Ok(providers)) = (TcpRings::client(stack.region()), providers) else {
            panic!("a region is not as its interface says");
        };
        Httpd {
            server: Server::new(sessions.iter().map(|session| session.name)),
            world: World {
                stack: stack_rings,
                providers,
                access: Access::new(env.client("access"), Box::new(move || env.policy_epoch())),
                undecided: 0,
            },
            tcp: TcpClient::new(env.client("tcp")),
            port,
            stack,
            lost: alloc::vec![false; sessions.len()],
            sessions,
            alarm: AlarmClient::new(env.client("alarm")),
            alarm_session: env.session("alarm"),
            is_armed: false,
            is_alarm_lost: false,
            is_stack_lost: false,
            has_more: false,
            scratch: Vec::new(),
        }
    }

    fn listen(&mut self) {
        let local = Local { address: None, port: self.port };
        match self.tcp.listen(&local, BACKLOG, false) {
            Ok(_) => log::info!("listening on port {}", self.port),
            Err(CallError::ServerDied) => log::warn!("no stack yet: listening on port {} when it is back", self.port),
            Err(error) => log::error!("cannot listen on port {}: {error:?}", self.port),
        }
    }

    /// Empties all rings, does what follows, rings each peer at most once a round, and ends when nothing new came, or after so much that others have to
    /// be heard.
    fn work(&mut self) {
        self.has_more = (0..ROUNDS_MAX).all(|_| !self.round());
        self.arm();
    }

    /// True: nothing is left.
    fn round(&mut self) -> bool {
        let now = now_ns();
        let mut is_done = self.hear_stack(now);
        for session in 0..self.sessions.len() {
            is_done &= self.hear_provider(session, now);
        }
        self.server.settle(now, &mut self.world);
        self.ring_bells();
        is_done && self.may_sleep()
    }

    /// Asks for the next look at the deadlines, if there is anything to look at.
    fn arm(&mut self) {
        if self.is_armed || self.is_alarm_lost || !self.server.wants_ticks() {
            return;
        }
        match self.alarm.set(now_ns().saturating_add(TICK_NS)) {
            Ok(()) => self.is_armed = true,
            // httpd is told when it is back.
            Err(CallError::ServerDied) => self.is_alarm_lost = true,
            Err(error) => {
                log::error!("the alarm cannot be set: {error:?}; slow clients and providers are not cut off any more");
                self.is_alarm_lost = true;
            }
        }
    }

    /// True: it has said everything.
    fn hear_stack(&mut self, now: u64) -> bool {
        for _ in 0..BATCH {
            if self.is_stack_lost {
                return true;
            }
            match self.world.stack.events.pop(&mut self.scratch) {
                Ok(Some(event)) => self.server.on_tcp(event, now, &mut self.world),
                Ok(None) => return true,
                Err(_) => {
                    log::error!("the stack broke its session: nothing can be served any more");
                    self.is_stack_lost = true;
                    self.server.on_stack_lost(&mut self.world);
                }
            }
        }
        false
    }

    /// True: it has said everything.
    fn hear_provider(&mut self, session: usize, now: u64) -> bool {
        self.server.on_provider_room(session, &mut self.world);
        for _ in 0..BATCH {
            if self.lost[session] {
                return true;
            }
            match self.world.providers[session].responses.pop(&mut self.scratch) {
                Ok(Some(response)) => self.server.on_response(session, response, now, &mut self.world),
                Ok(None) => return true,
                Err(_) => {
                    self.lost[session] = true;
                    self.server.on_provider_lost(session, &mut self.world);
                }
            }
        }
        false
    }

    fn ring_bells(&mut self) {
        let must_ring = self.world.stack.commands.publish() | self.world.stack.events.release();
        self.stack.bell.ring_if(must_ring);
        for (rings, session) in self.world.providers.iter_mut().zip(&self.sessions) {
            let must_ring = rings.requests.publish() | rings.responses.release();
            session.bell.ring_if(must_ring);
        }
    }

    /// Asks all peers for their bells; false if one has said something meanwhile.
    fn may_sleep(&mut self) -> bool {
        let is_quiet = self.is_stack_lost || self.world.stack.events.request_bell().unwrap_or(false);
        let rings = self.world.providers.iter_mut().zip(&self.lost).filter(|(_, is_lost)| !**is_lost);
        rings.fold(is_quiet, |is_quiet, (rings, _)| rings.responses.request_bell().unwrap_or(false) && is_quiet)
    }
}

impl Component for Httpd {
    fn on_call(&mut self, incoming: &Incoming, outgoing: &mut Outgoing) {
        dispatch_host(self, incoming, outgoing);
    }

    fn on_bell(&mut self, bits: u64) {
        if self.alarm_session.is_in(bits) && matches!(self.alarm.pull_expired(), Ok(Some(_))) {
            self.is_armed = false;
            self.server.on_tick(now_ns(), &mut self.world);
        }
        self.work();
    }

    fn has_more(&self) -> bool {
        self.has_more
    }

    fn on_peer(&mut self, change: &PeerChange) {
        if let Some((client, news)) = change.of_client("providers") {
            if let Some(session) = self.session_of(client) {
                self.on_provider(session, news, &change.session);
            }
        } else if let Some(news) = change.of_use("tcp") {
            self.on_stack(news, &change.session);
        } else if let Some(news) = change.of_use("alarm") {
            (self.is_armed, self.is_alarm_lost) = (false, news != PeerNews::Back);
        }
        self.work();
    }
}

impl Httpd {
    fn on_provider(&mut self, session: usize, news: PeerNews, handle: &SessionHandle) {
        match news {
            PeerNews::Gone(_) => {
                self.lost[session] = true;
                self.server.on_provider_gone(session, &mut self.world);
            }
            PeerNews::Back => {
                if let Ok(rings) = HostRings::server(handle.region()) {
                    self.world.providers[session] = rings;
                    self.lost[session] = false;
                }
            }
        }
    }

    fn on_stack(&mut self, news: PeerNews, handle: &SessionHandle) {
        match news {
            PeerNews::Gone(_) => {
                self.is_stack_lost = true;
                self.server.on_stack_lost(&mut self.world);
            }
            PeerNews::Back => {
                if let Ok(rings) = TcpRings::client(handle.region()) {
                    self.world.stack = rings;
                    self.is_stack_lost = false;
                    self.listen();
                }
            }
        }
    }
}

impl Host for Httpd {
    fn register(&mut self, client: ClientId, endpoint: &str) -> Result<(), Error> {
        let session = self.session_of(client).ok_or(Error::NoRoom)?;
        if !self.sessions[session].covers(endpoint) {
            log::warn!("{} may not serve {endpoint}: its route is narrower", self.sessions[session].name);
            return Err(Error::BadEndpoint);
        }
        let registered = self.server.register(session, endpoint);
        match registered {
            Ok(()) => log::info!("{} serves {endpoint}", self.sessions[session].name),
            Err(error) => log::warn!("{} may not serve {endpoint}: {error:?}", self.sessions[session].name),
        }
        registered
    }

    fn unregister(&mut self, client: ClientId, endpoint: &str) -> Result<(), Error> {
        let session = self.session_of(client).ok_or(Error::NoRoom)?;
        self.server.unregister(session, endpoint);
        Ok(())
    }
}

impl Httpd {
    fn session_of(&self, client: ClientId) -> Option<usize> {
        self.sessions.iter().position(|session| session.client == Some(client))
    }
}

impl Outside for World {
    fn tcp(&mut self, command: &TcpCommand<'_>) -> Result<(), Refusal> {
        // What waits for room is at most a Send of a whole chunk.
        let room = libhybrid::interfaces::net::stack::CHUNK_MAX + 64;
        let commands = &mut self.stack.commands;
        match commands.push(command) {
            Err(RingError::Full) if has_room(commands.ring(), room)? => commands.push(command).map_err(refusal),
            pushed => pushed.map_err(refusal),
        }
    }

    fn provider(&mut self, session: usize, request: &Request<'_>) -> Result<(), Refusal> {
        let room = match request {
            Request::Head(_) => Request::MAX_ENCODED,
            _ => provider::CHUNK_MAX + 64,
        };
        let requests = &mut self.providers[session].requests;
        match requests.push(request) {
            Err(RingError::Full) if has_room(requests.ring(), room)? => requests.push(request).map_err(refusal),
            pushed => pushed.map_err(refusal),
        }
    }

    fn is_all_taken(&mut self, session: usize) -> bool {
        let ring = self.providers[session].requests.ring();
        ring.room().is_ok_and(|room| room == ring.record_max())
    }

    fn decide_connection(&mut self, peer: &Address) -> Verdict {
        self.ask(peer, Verb::Connect, "")
    }

    fn decide_request(&mut self, asked: &Asked<'_>) -> Verdict {
        self.ask(asked.peer, asked.verb, asked.path)
    }
}

impl World {
    /// Who cannot be asked allows nothing; the log says so at the first failure, the second, the fourth, …
    fn ask(&mut self, peer: &Address, verb: Verb, endpoint: &str) -> Verdict {
        let peer = match *peer {
            Address::V4(bytes) => Peer::V4(bytes),
            Address::V6(bytes) => Peer::V6(bytes),
        };
        // Nobody can log in, and nothing is encrypted.
        let (protocol, transport, identity) = (Protocol::Http, Transport::Plain, None);
        let decided = self.access.ask(&Question { protocol, transport, verb, peer, identity, endpoint });
        decided.unwrap_or_else(|error| {
            self.undecided = self.undecided.saturating_add(1);
            if self.undecided.is_power_of_two() {
                log::error!("no access decision, so denied: {error:?} ({} times)", self.undecided);
            }
            Verdict::Deny(Reason::NoRule)
        })
    }
}

/// Asks for a bell when there is room; true if there is room now.
fn has_room(ring: &mut Producer, len: usize) -> Result<bool, Refusal> {
    ring.request_space(len).map(|must_wait| !must_wait).map_err(refusal)
}

fn refusal(error: RingError) -> Refusal {
    match error {
        RingError::Full => Refusal::Full,
        // A record of ours never is too long for its ring: its parts were bounded before.
        RingError::TooLong | RingError::Corrupt | RingError::Layout => Refusal::Corrupt,
    }
}
