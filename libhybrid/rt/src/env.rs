//! What a component was granted, by the names in its `component.toml`.
use crate::bell::{BELL_MARK, SUPERVISION};
use crate::peers::{Page, PeerChange, PeerNews, Peers};
use crate::port::{BellPort, KernelPort};
use crate::serve::{Component, serve_on};
use crate::{Bell, EndpointCaller, logger};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ptr::NonNull;
use hybrid_drv::{DmaRegion, Irq, Mmio};
use hybrid_ipc::ClientId;
use hybrid_ring::Region;
use hybrid_start::peers::{Condition, WORDS};
use hybrid_start::{Device, Dma, Limits, Session, Span, StartInfo, Use};
use hybrid_sys::{Endpoint, IrqHandler, Notification, Reply};

/// Everything that a component was granted. Copies name the same things.
///
/// Methods that take a name panic if `component.toml` does not declare it: that is a bug of the component.
///
/// # Invariants
/// The spans in `start` are mapped as the start information says, for the component's whole life.
#[derive(Debug, Clone, Copy)]
pub struct Env {
    start: &'static StartInfo,
    peers: &'static Peers,
}

/// One session: the component's side of one use, or of one client of a provided interface.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// Who is at the other end: the client of a provided interface. `None` for the component's own uses.
    pub client: Option<ClientId>,
    /// Name of the use, or of the client's instance.
    pub name: &'static str,
    region: Option<Region>,
    /// The peer's bell.
    pub bell: Bell,
    bit: Option<u8>,
    limits: Option<&'static Limits>,
}

impl SessionHandle {
    /// The memory of the session's rings, of the epoch that the component was last told.
    ///
    /// # Panics
    /// If the interface declares no rings.
    #[must_use]
    pub fn region(&self) -> &Region {
        match &self.region {
            Some(region) => region,
            None => panic!("the interface of session `{}` has no rings", self.name),
        }
    }

    /// Whether the client may use `name`: not if its route has a prefix that `name` is not below.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.limits.is_none_or(|limits| limits.covers(name))
    }

    /// What the client's route names, if it does: below this lie the names that it may use.
    #[must_use]
    pub fn prefix(&self) -> Option<&'static str> {
        self.limits.and_then(|limits| limits.prefix.as_deref())
    }

    /// How many objects the server shall keep for the client, if its route says so.
    #[must_use]
    pub fn max_objects(&self) -> Option<u16> {
        self.limits.and_then(|limits| limits.max_objects)
    }

    /// Whether this session's bell is among the bits that `Component::on_bell` was given.
    #[must_use]
    pub fn is_in(&self, bits: u64) -> bool {
        bits & self.mask() != 0
    }

    /// The bit with which the peer rings, as a mask; 0 if it cannot.
    #[must_use]
    pub fn mask(&self) -> u64 {
        self.bit.and_then(|bit| 1_u64.checked_shl(bit.into())).unwrap_or(0)
    }
}

impl Env {
    /// # Safety
    /// The spans in `start` are mapped as it says (rings and heap as memory, devices as device memory, DMA at its
    /// physical address), 8-aligned, until the program ends; and nothing else in the program uses them. `answer` is the address of an
    /// aligned word of which the same is true.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "a host has no start information"))]
    pub(crate) unsafe fn new(start: &'static StartInfo, answer: usize) -> Self {
        let words = mapped(start.peers).filter(|&(_, len)| len >= WORDS * size_of::<u64>());
        // SAFETY: 1 and 2: as this function asks, and the span has room for the words.
        let page = words.map(|(base, _)| unsafe { Page::at(base.as_ptr().expose_provenance(), answer) });
        #[cfg(feature = "faults")]
        crate::fault::set_up(page, start.notification);
        Self::with_page(start, page)
    }

    pub(crate) fn with_page(start: &'static StartInfo, page: Option<Page>) -> Self {
        let clients = start.provides.iter().flat_map(|provided| &provided.sessions);
        let on_demand: Vec<bool> =
            start.uses.iter().map(|used| used.is_on_demand).chain(clients.map(|client| client.is_on_demand)).collect();
        let client_count = on_demand.len() - start.uses.len();
        let peers = Peers::new(page, start.uses.len(), client_count, |index| on_demand.get(index) == Some(&true));
        Self { start, peers: Box::leak(Box::new(peers)) }
    }

    /// Name of this instance.
    #[must_use]
    pub fn name(&self) -> &'static str {
        &self.start.name
    }

    /// Id of this instance.
    #[must_use]
    pub fn instance(&self) -> u16 {
        self.start.instance
    }

    /// The start information itself.
    #[must_use]
    pub fn start(&self) -> &'static StartInfo {
        self.start
    }

    /// The integrator's parameter `name`, if it is set.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static str> {
        self.start.parameter(name)
    }

    /// Calls the server of use `name`: for the generated `…Client::new`.
    ///
    /// # Panics
    /// If there is no such use, or its interface has no operations.
    #[must_use]
    pub fn client(&self, name: &str) -> EndpointCaller {
        let (index, used) = self.used(name);
        match used.slot {
            Some(slot) => EndpointCaller::fixed(slot, *self, index),
            None => panic!("the interface of use `{name}` has no operations"),
        }
    }

    /// Calls the server of use `name`, whose session on demand securityd has just opened (`hybrid.security.Sessions`). Until then, and
    /// after it was closed or revoked, calls are answered [`Denied`](hybrid_ipc::CallError::Denied).
    ///
    /// # Panics
    /// As [`Env::client`].
    #[must_use]
    pub fn opened(&self, name: &str) -> EndpointCaller {
        self.peers.know(self.used(name).0);
        self.client(name)
    }

    /// Whether `component.toml` declares a use `name`.
    #[must_use]
    pub fn has_use(&self, name: &str) -> bool {
        self.start.use_named(name).is_some()
    }

    /// The component's side of use `name`: its rings and bells.
    ///
    /// # Panics
    /// If there is no such use.
    #[must_use]
    pub fn session(&self, name: &str) -> SessionHandle {
        let (index, used) = self.used(name);
        self.handle_of_use(index, used)
    }

    fn handle_of_use(&self, index: usize, used: &'static Use) -> SessionHandle {
        let region = used.region.and_then(region);
        SessionHandle {
            client: None,
            name: &used.name,
            region: region.map(|region| region.at_epoch(self.peers.epoch(index))),
            bell: Bell::at(used.bell_out),
            bit: used.bell_bit,
            limits: None,
        }
    }

    /// `index` is the client's among all peers.
    fn handle_of_client(&self, index: usize, session: &'static Session) -> SessionHandle {
        let region = session.region.and_then(region);
        SessionHandle {
            client: Some(ClientId { instance: session.client, nth: session.nth }),
            name: &session.client_name,
            region: region.map(|region| region.at_epoch(self.peers.epoch(index))),
            bell: Bell::at(session.bell_out),
            bit: session.bell_bit,
            limits: Some(&session.limits),
        }
    }

    /// All clients of all provided interfaces: the interface's name, the client's index among all peers, its session.
    fn clients(&self) -> impl Iterator<Item = (&'static str, usize, &'static Session)> {
        let provides = self.start.provides.iter();
        let clients = provides.flat_map(|provided| provided.sessions.iter().map(|session| (&*provided.name, session)));
        let first = self.start.uses.len();
        clients.enumerate().map(move |(client, (name, session))| (name, first + client, session))
    }

    /// The sessions that a client has not always, or not wholly: the client's index among all peers, the interface's index, the session.
    pub(crate) fn gated(&self) -> impl Iterator<Item = (usize, u8, &'static Session)> + use<> {
        let provides = self.start.provides.iter();
        let sessions = provides.flat_map(|provided| provided.sessions.iter().map(|session| (provided.index, session)));
        let clients = (self.start.uses.len()..).zip(sessions);
        clients
            .filter(|(_, (_, session))| session.is_on_demand || session.limits != Limits::default())
            .map(|(index, (interface, session))| (index, interface, session))
    }

    /// Whether the component was told that the peer is there.
    pub(crate) fn is_up(&self, index: usize) -> bool {
        self.peers.condition(index) == Condition::Up
    }

    /// One session for each client of the provided interface `name`.
    ///
    /// # Panics
    /// If there is no such provided interface.
    #[must_use]
    pub fn provided(&self, name: &str) -> Vec<SessionHandle> {
        assert!(self.start.provided_named(name).is_some(), "component.toml provides no `{name}`");
        let clients = self.clients().filter(|(interface, ..)| *interface == name);
        clients.map(|(_, index, session)| self.handle_of_client(index, session)).collect()
    }

    /// The epoch of the access policy in force, as securityd's page says it now: what was decided in another one is void. 0 without a page.
    #[must_use]
    pub fn policy_epoch(&self) -> u64 {
        self.peers.policy_epoch()
    }

    /// What happened to peers and was not told yet: for components that have a loop of their own, after each wait and before they look at
    /// anything else. Others get it by [`Component::on_peer`].
    pub fn peer_changes(&self) -> impl Iterator<Item = PeerChange> {
        core::iter::from_fn(|| self.next_change())
    }

    /// The next change, which counts as told from now on. Those of the log are the runtime's own.
    pub(crate) fn next_change(&self) -> Option<PeerChange> {
        loop {
            let (index, news) = self.peers.next()?;
            let change = self.change(index, news)?;
            if change.of_use(logger::USE).is_none() {
                return Some(change);
            }
            logger::on_peer(&change);
        }
    }

    fn change(&self, index: usize, news: PeerNews) -> Option<PeerChange> {
        if let Some(used) = self.start.uses.get(index) {
            let session = self.handle_of_use(index, used);
            return Some(PeerChange { interface: &used.name, session, news });
        }
        let (interface, _, session) = self.clients().find(|(_, client, _)| *client == index)?;
        Some(PeerChange { interface, session: self.handle_of_client(index, session), news })
    }

    /// Whether the server of use `index` can be called; waits while it is being started anew.
    pub(crate) fn wait_for_server(&self, index: usize) -> bool {
        self.peers.renew(index, || self.notification().wait() & !BELL_MARK)
    }

    /// Whether the server of use `index` is so now.
    pub(crate) fn is_server(&self, index: usize, condition: Condition) -> bool {
        self.peers.is(index, condition)
    }

    /// The bits that came during such waits, once; [`SUPERVISION`]: peers may have changed.
    pub(crate) fn take_stashed(&self) -> u64 {
        #[cfg(feature = "faults")]
        return self.peers.take_stashed() | crate::fault::take_stashed();
        #[cfg(not(feature = "faults"))]
        self.peers.take_stashed()
    }

    #[cfg(test)]
    pub(crate) fn peers_for_test(&self) -> &'static Peers {
        self.peers
    }

    /// To be called between two events.
    pub(crate) fn answer_ping(&self) {
        self.peers.answer_ping();
    }

    /// Index of the provided interface `name` in the badges of calls.
    ///
    /// # Panics
    /// If there is no such provided interface.
    #[must_use]
    pub fn interface_index(&self, name: &str) -> u8 {
        match self.start.provided_named(name) {
            Some(provided) => provided.index,
            None => panic!("component.toml provides no `{name}`"),
        }
    }

    /// The registers of device `name`.
    ///
    /// # Panics
    /// If there is no such device, or it has no registers.
    #[must_use]
    pub fn mmio(&self, name: &str) -> Mmio {
        match mapped(self.device(name).mmio) {
            // SAFETY: 1: by the invariant of `Env`. 2: securityd gives a device to its one driver.
            Some((base, len)) => unsafe { Mmio::from_mapped(base, len) },
            None => panic!("device `{name}` has no registers"),
        }
    }

    /// The interrupt of device `name`.
    ///
    /// # Panics
    /// If there is no such device, or it has no interrupt.
    #[must_use]
    pub fn irq(&self, name: &str) -> Irq {
        let device = self.device(name);
        match (device.irq_slot, device.irq_bit) {
            (Some(slot), Some(bit)) => {
                Irq::new(IrqHandler::at(slot.into()), bit, device.irq_number.unwrap_or_default())
            }
            _ => panic!("device `{name}` has no interrupt"),
        }
    }

    /// The DMA memory `name`.
    ///
    /// # Panics
    /// If there is no such memory.
    #[must_use]
    pub fn dma(&self, name: &str) -> DmaRegion {
        let dma: Option<&Dma> = self.start.dma.iter().find(|dma| dma.name == name);
        match dma.and_then(|dma| Some((mapped(dma.span)?, dma.paddr))) {
            // SAFETY: 1–3: by the invariant of `Env`.
            Some(((base, len), paddr)) => unsafe { DmaRegion::from_mapped(base, len, paddr) },
            None => panic!("component.toml declares no DMA memory `{name}`"),
        }
    }

    /// Serves calls and bells, for ever.
    pub fn serve(&self, component: &mut impl Component) -> ! {
        let generation = self.start.generation;
        match (self.start.endpoint, self.start.reply) {
            (Some(endpoint), Some(reply)) => {
                let port = KernelPort { endpoint: Endpoint::at(endpoint.into()), reply: Reply::at(reply.into()) };
                serve_on(port, Some(*self), generation, component)
            }
            _ => serve_on(BellPort(self.notification()), Some(*self), generation, component),
        }
    }

    /// Waits for bells and interrupts, and returns their bits: for components that serve no calls and have a loop of their own. 0 if it
    /// waited only to be told of a peer: look at [`Self::peer_changes`] after each wait.
    #[must_use]
    pub fn wait(&self) -> u64 {
        crate::gauge::publish();
        // It may be a ping that woke it: who stalls until the next one owes nothing for this one.
        #[cfg(feature = "faults")]
        self.answer_ping();
        #[cfg(feature = "faults")]
        crate::fault::pass(hybrid_start::fault::Step::Wait);
        self.answer_ping();
        let bits = match self.take_stashed() {
            0 => self.notification().wait(),
            stashed => stashed,
        };
        #[cfg(feature = "faults")]
        crate::fault::pass(hybrid_start::fault::Step::Bell);
        bits & !(BELL_MARK | SUPERVISION)
    }

    /// The bits of bells and interrupts that came since; 0 if none did. Does not wait; a sign of life, like [`Self::wait`].
    #[must_use]
    pub fn poll(&self) -> u64 {
        self.answer_ping();
        (self.take_stashed() | self.notification().poll()) & !(BELL_MARK | SUPERVISION)
    }

    fn notification(&self) -> Notification {
        Notification::at(self.start.notification.into())
    }

    /// The use and its index among all peers.
    fn used(&self, name: &str) -> (usize, &'static Use) {
        match self.start.uses.iter().enumerate().find(|(_, used)| used.name == name) {
            Some(used) => used,
            None => panic!("component.toml declares no use `{name}`"),
        }
    }

    fn device(&self, name: &str) -> &'static Device {
        match self.start.devices.iter().find(|device| device.name == name) {
            Some(device) => device,
            None => panic!("component.toml declares no device `{name}`"),
        }
    }
}

/// The memory of a span; `None` if it is empty.
pub(crate) fn mapped(span: Span) -> Option<(NonNull<u8>, usize)> {
    let (address, len) = (usize::try_from(span.addr).ok()?, usize::try_from(span.len).ok()?);
    let base = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address))?;
    (len != 0).then_some((base, len))
}

fn region(span: Span) -> Option<Region> {
    let (base, len) = mapped(span)?;
    // SAFETY: 1 and 2: by the invariant of `Env`.
    Some(unsafe { Region::from_mapped(base, len) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::Desk;
    use hybrid_start::Provided;
    use hybrid_start::peers::{CLIENTS, Peer, USES};

    fn env(start: StartInfo) -> Env {
        Env::with_page(Box::leak(Box::new(start)), None)
    }

    #[test]
    fn env_gives_what_is_declared_by_name() {
        let session =
            hybrid_start::Session { client: 8, client_name: "status".into(), bell_bit: Some(5), ..Default::default() };
        let provided = hybrid_start::Provided {
            name: "providers".into(),
            index: 2,
            sessions: vec![session],
            ..Default::default()
        };
        let used = Use { name: "log".into(), bell_bit: Some(61), ..Default::default() };
        let env = env(StartInfo { uses: vec![used], provides: vec![provided], ..Default::default() });
        let sessions = env.provided("providers");
        assert_eq!((sessions[0].client, sessions[0].name), (Some(ClientId::of(8)), "status"));
        assert!(sessions[0].is_in(0b10_0000) && !sessions[0].is_in(!0b10_0000));
        assert_eq!((env.interface_index("providers"), env.session("log").mask()), (2, 1 << 61));
        assert!(env.has_use("log") && !env.has_use("tcp"));
    }

    #[test]
    fn env_tells_the_log_nothing_and_others_by_their_names() {
        let up = Peer { condition: Condition::Up, epoch: 1 };
        let desk = Desk::new(&[(USES, up), (USES + 1, up), (CLIENTS, up), (CLIENTS + 1, up)]);
        let session = |client| Session { client, client_name: format!("c{client}"), ..Default::default() };
        let provided =
            |name: &str, client| Provided { name: name.into(), sessions: vec![session(client)], ..Default::default() };
        let used = |name: &str| Use { name: name.into(), ..Default::default() };
        let (uses, provides) = (vec![used("log"), used("tcp")], vec![provided("first", 5), provided("second", 5)]);
        let start = Box::leak(Box::new(StartInfo { uses, provides, ..Default::default() }));
        let env = Env::with_page(start, Some(desk.page()));
        desk.set(USES, Condition::Down, 1);
        desk.set(USES + 1, Condition::Down, 1);
        desk.set(CLIENTS + 1, Condition::Restarting, 1);
        let changes: Vec<PeerChange> = env.peer_changes().collect();
        let [tcp, second] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(tcp.of_use("tcp"), Some(PeerNews::Gone(Condition::Down)));
        assert_eq!((tcp.of_use("first"), tcp.of_client("tcp")), (None, None));
        let news = (ClientId::of(5), PeerNews::Gone(Condition::Restarting));
        assert_eq!((second.of_client("first"), second.of_client("second")), (None, Some(news)));
        assert_eq!((second.of_use("second"), second.session.name), (None, "c5"));
    }

    /// A death is told once for each session, so that a server frees what each of them holds.
    #[test]
    fn instance_that_is_routed_here_twice_is_told_of_by_each_session() {
        let up = Peer { condition: Condition::Up, epoch: 1 };
        let desk = Desk::new(&[(CLIENTS, up), (CLIENTS + 1, up)]);
        let session = |nth| Session { client: 5, nth, ..Default::default() };
        let provided = Provided { name: "files".into(), sessions: vec![session(0), session(1)], ..Default::default() };
        let start = Box::leak(Box::new(StartInfo { provides: vec![provided], ..Default::default() }));
        let env = Env::with_page(start, Some(desk.page()));
        (0..2).for_each(|client| desk.set(CLIENTS + client, Condition::Down, 1));
        let gone: Vec<_> = env.peer_changes().filter_map(|change| change.of_client("files")).collect();
        assert_eq!(gone, [0, 1].map(|nth| (ClientId { instance: 5, nth }, PeerNews::Gone(Condition::Down))));
    }

    #[test]
    #[should_panic(expected = "component.toml declares no use `tcp`")]
    fn env_without_the_use_panics_with_its_name() {
        let _ = env(StartInfo::default()).client("tcp");
    }

    #[test]
    #[should_panic(expected = "has no rings")]
    fn session_without_region_panics_when_asked_for_it() {
        let used = Use { name: "alarm".into(), ..Default::default() };
        let _ = env(StartInfo { uses: vec![used], ..Default::default() }).session("alarm").region();
    }
}
