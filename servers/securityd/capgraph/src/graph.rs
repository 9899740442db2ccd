//! The resolved graph: everything securityd makes, except run-time physical addresses.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::access;
pub use crate::device::Device;
use crate::grant::Held;
use crate::layout;
use crate::limit::Limits;

/// Rights of a capability, with the kernel's bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rights(pub u8);

impl Rights {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Send, signal or write.
    pub const WRITE: Self = Self(1);
    /// Receive, wait or read.
    pub const READ: Self = Self(2);
    /// Pass capabilities.
    pub const GRANT: Self = Self(4);
    /// Call: let the receiver answer.
    pub const GRANT_REPLY: Self = Self(8);
    /// Of a memory mapping.
    pub const READ_WRITE: Self = Self(3);
    /// Of a client's endpoint.
    pub const CALL: Self = Self(9);
    /// Of the endpoint of a server that mints resources.
    pub const SERVE_AND_MINT: Self = Self(11);
}

impl fmt::Display for Rights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            [(Self::READ, "read"), (Self::WRITE, "write"), (Self::GRANT, "grant"), (Self::GRANT_REPLY, "grantreply")];
        let mut separator = "";
        for (right, name) in names {
            if self.0 & right.0 != 0 {
                write!(out, "{separator}{name}")?;
                separator = ",";
            }
        }
        if self.0 & 15 == 0 { write!(out, "none") } else { Ok(()) }
    }
}

/// How an interrupt line tells that it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// As long as the line is high.
    Level,
    /// When the line rises.
    Edge,
}

/// The whole authority of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// The product's name.
    pub product: String,
    /// The product's version.
    pub version: String,
    /// The board it was resolved for.
    pub board: String,
    /// By ascending id; the first is securityd.
    pub instances: Vec<Instance>,
    /// One for each route, ordered by client id and use.
    pub sessions: Vec<Session>,
    /// Instance ids, servers before their clients.
    pub start_order: Vec<u16>,
    /// What securityd answers to protocol servers: an [`access::Policy`](crate::access::Policy) as bytes.
    pub access: Vec<u8>,
}

/// One running component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Stable id, from 1.
    pub id: u16,
    /// Its name in the product.
    pub name: String,
    /// Its folder.
    pub component: String,
    /// Of its thread.
    pub priority: u8,
    /// Processor time in each period, microseconds.
    pub budget_us: u32,
    /// Equal to the budget: a time slice only.
    pub period_us: u32,
    /// Bytes of stack, without the guard page.
    pub stack: u64,
    /// Bytes of heap.
    pub heap: u64,
    /// Bytes of the stack of each thread of its program beside the main one; 0: they are in the heap.
    pub thread_stack: u64,
    /// The most that its program takes in memory, bytes.
    pub program_max: u64,
    /// Slots of its CNode are 2^this.
    pub cnode_bits: u8,
    /// Whether it holds its own CNode.
    pub own_cnode: bool,
    /// Present when it answers calls.
    pub endpoint: Option<Endpoint>,
    /// In the order of component.toml.
    pub uses: Vec<Use>,
    /// In the order of component.toml: the index in badges.
    pub provides: Vec<Provided>,
    /// In the order of component.toml.
    pub devices: Vec<Device>,
    /// In the order of component.toml.
    pub dma: Vec<Dma>,
    /// In the order of component.toml.
    pub keys: Vec<Key>,
    /// What the integrator tells it.
    pub parameters: Vec<(String, String)>,
    /// What happens when it ends.
    pub restart: Restart,
    /// It is a place: another puts the component there while the system runs.
    pub place: Option<Place>,
    /// What its program runs on.
    pub runtime: Runtime,
    /// Threads of its program. If there are several, the first thread of the instance is none of them: it takes the bells.
    pub threads: u8,
    /// It is made at boot, but started only when the auditor's verdict is known.
    pub awaits_verdict: bool,
    /// It is made at boot, but started only when its device was found.
    pub awaits_device: bool,
    /// It is made at boot, and started when the component spawns it that provides its standard streams.
    pub is_spawned: bool,
    /// It is made at boot, and started by an operator's command.
    pub awaits_command: bool,
}

impl Instance {
    /// It is made at boot, and somebody else decides when it starts.
    #[must_use]
    pub const fn is_held_at_boot(&self) -> bool {
        self.awaits_verdict || self.awaits_device || self.is_spawned || self.awaits_command
    }

    /// Threads beside the first.
    #[must_use]
    pub const fn further_threads(&self) -> u8 {
        if self.threads > 1 { self.threads } else { 0 }
    }

    /// Spans of memory for threads: number 0 is the first thread's, which needs one only beside others.
    #[must_use]
    pub const fn thread_spans(&self) -> core::ops::Range<u8> {
        0..if self.threads > 1 { self.threads + 1 } else { 0 }
    }

    /// How many stacks there are for threads of its program beside the main one.
    #[must_use]
    pub const fn thread_stacks(&self) -> u8 {
        if self.thread_stack > 0 { self.threads.saturating_sub(1) } else { 0 }
    }

    /// Slots for what it receives, as (first, one past the last); none without a CNode of its own.
    #[must_use]
    pub const fn free_slots(&self) -> (u32, u32) {
        let end = (1 << self.cnode_bits) - self.further_threads() as u32;
        if self.own_cnode { (layout::SLOT_FREE, end) } else { (0, 0) }
    }
}

/// Room for a component that is installed at run time: what it may have at most is the instance's, as the build's rules allowed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Instance id of who fills it.
    pub installer: u16,
}

/// What a component's program is built on; docs/std.md tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Rust without `std`, on libhybrid.
    #[default]
    Core,
    /// Rust with `std`, on musl and the personality.
    Std,
    /// C, on musl and the personality.
    C,
}

impl Runtime {
    /// Whether its threads use floating-point registers.
    #[must_use]
    pub const fn has_floats(self) -> bool {
        !matches!(self, Self::Core)
    }
}

/// When an instance is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// However it ended, but by the supervisor's own command.
    Always,
    /// If it faulted or hung.
    OnFault,
    /// Not at all.
    Never,
}

/// What the supervisor does when an instance ends, and how it finds out that it hangs. docs/supervision.md has the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// When it is started again.
    pub policy: Policy,
    /// So many ends within the window are a crash loop.
    pub threshold: u8,
    /// Milliseconds.
    pub window_ms: u32,
    /// Before the second start within the window, milliseconds; doubled for each further one.
    pub backoff_ms: u32,
    /// The longest back-off, milliseconds.
    pub backoff_max_ms: u32,
    /// How often it is asked for a sign of life, milliseconds; 0: never.
    pub heartbeat_ms: u32,
    /// How long it may take to answer, milliseconds.
    pub deadline_ms: u32,
}

impl Restart {
    /// What holds for keys that a manifest leaves out.
    pub const DEFAULT: Self = Self {
        policy: Policy::Never,
        threshold: 5,
        window_ms: 60_000,
        backoff_ms: 100,
        backoff_max_ms: 10_000,
        heartbeat_ms: 0,
        deadline_ms: 1_000,
    };
}

/// The endpoint of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// It hands out resources: it mints from its endpoint and its answers carry capabilities.
    pub mints: bool,
}

/// One used interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The component's name for it.
    pub name: String,
    /// Full name.
    pub interface: String,
    /// Why.
    pub reason: String,
    /// Index in [`Graph::sessions`].
    pub session: u16,
}

/// One provided interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provided {
    /// The component's name for it.
    pub name: String,
    /// Full name.
    pub interface: String,
    /// Indices in [`Graph::sessions`].
    pub sessions: Vec<u16>,
    /// So many routes may end here.
    pub max_clients: u8,
    /// So many of its sessions on demand may be open at once.
    pub max_open: u8,
}

/// One route: a client's use and a server's provided interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Instance id.
    pub client: u16,
    /// Index in the client's uses.
    pub client_use: u8,
    /// Instance id.
    pub server: u16,
    /// Index in the server's provided interfaces.
    pub provided: u8,
    /// The interface has operations: the client holds the endpoint.
    pub has_operations: bool,
    /// Bytes of the region, if the interface has rings.
    pub region: Option<u64>,
    /// The client can ring the server.
    pub rings_server: bool,
    /// The server can ring the client.
    pub rings_client: bool,
    /// The client's port, if there is a region or a bell.
    pub client_port: Option<u8>,
    /// The server's port, likewise.
    pub server_port: Option<u8>,
    /// It begins when the client asks for it, and not when both run; it has no region.
    pub is_on_demand: bool,
    /// What it is at most.
    pub limits: Limits,
}

/// One piece of physically contiguous memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dma {
    /// The component's name for it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Why.
    pub reason: String,
}

/// One key that a component is given: its name and class, never its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The component's name for it.
    pub name: String,
    /// The product's name for it.
    pub key: String,
    /// What it is for: `tls-identity`, `hmac-sha256`.
    pub class: String,
    /// Why.
    pub reason: String,
}

impl Instance {
    /// When what it holds for itself is live.
    #[must_use]
    pub fn held(&self) -> Held {
        if self.place.is_some() { Held::IfInstalled } else { Held::Always }
    }

    /// Whether it has a use of that interface.
    #[must_use]
    pub fn uses_interface(&self, interface: &str) -> bool {
        self.uses.iter().any(|used| used.interface == interface)
    }

    /// The name of its program: the last part of its folder.
    #[must_use]
    pub fn program(&self) -> &str {
        self.component.rsplit('/').next().unwrap_or_default()
    }
}

impl Graph {
    /// The instance with that id.
    #[must_use]
    pub fn instance(&self, id: u16) -> Option<&Instance> {
        self.instances
            .binary_search_by_key(&id, |instance| instance.id)
            .ok()
            .and_then(|index| self.instances.get(index))
    }

    /// The instance with that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// The graph as it would be without an instance that provides nothing.
    #[must_use]
    pub fn without(&self, id: u16) -> Self {
        let mut graph = self.clone();
        graph.instances.retain(|instance| instance.id != id);
        graph.start_order.retain(|other| *other != id);
        graph.sessions.clear();
        let mut numbers = Vec::new();
        for session in &self.sessions {
            let stays = session.client != id && session.server != id;
            numbers.push(u16::try_from(graph.sessions.len()).ok().filter(|_| stays));
            graph.sessions.extend(stays.then(|| session.clone()));
        }
        let renumbered = |number: u16| numbers.get(usize::from(number)).copied().flatten();
        for instance in &mut graph.instances {
            for used in &mut instance.uses {
                used.session = renumbered(used.session).unwrap_or(u16::MAX);
            }
            for provided in &mut instance.provides {
                provided.sessions = provided.sessions.iter().filter_map(|number| renumbered(*number)).collect();
            }
        }
        graph
    }

    /// The session of a use.
    #[must_use]
    pub fn session_of(&self, used: &Use) -> Option<&Session> {
        self.sessions.get(usize::from(used.session))
    }

    /// Slots that securityd needs for what it makes for `instance`, whose program has so many pages. [`layout::MADE_MAX`] at most if it was accepted.
    #[must_use]
    pub fn slots_for(&self, instance: &Instance, program_pages: u64) -> u64 {
        const PAGE: u64 = 4096;
        const LARGE_PAGE: u64 = 2 << 20;
        /// Besides pages and tables.
        const BASE: u64 = 64;
        let pages = |session: &Session| session.region.unwrap_or(0) / PAGE;
        let served = instance.provides.iter().flat_map(|provided| &provided.sessions);
        let served: Vec<&Session> = served.filter_map(|session| self.sessions.get(usize::from(*session))).collect();
        let used = instance.uses.iter().filter_map(|used| self.session_of(used));
        // Both sides map copies; securityd has the originals of all regions besides.
        let originals = if instance.id == layout::SECURITYD { self.sessions.iter().map(pages).sum() } else { 0 };
        let regions: u64 = served.iter().copied().chain(used).map(pages).sum();
        let dma = instance.dma.iter().map(|dma| dma.bytes / PAGE).sum::<u64>();
        let heap = instance.heap / LARGE_PAGE + instance.heap % LARGE_PAGE / PAGE;
        // Every session can take two tables of its own at either end, every other range at most two.
        let stacks = u64::from(instance.thread_stacks()) * (instance.thread_stack / PAGE);
        let tables = 2 * (instance.uses.len() + served.len()) as u64 + (program_pages + heap + dma + stacks) / 512;
        // Thread, time, notification, pages of stack and buffer, their tables.
        let threads = u64::from(instance.further_threads()) * 16;
        BASE + threads + program_pages + instance.stack / PAGE + stacks + heap + dma + regions + originals + tables
    }

    /// Reads what [`Graph::encode`] wrote.
    ///
    /// # Errors
    /// `()` when the bytes are no graph, or one whose parts do not fit together.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadGraph> {
        let graph: Self = postcard::from_bytes(bytes).map_err(|_| BadGraph)?;
        if graph.is_coherent() { Ok(graph) } else { Err(BadGraph) }
    }

    /// The graph as bytes.
    ///
    /// # Errors
    /// [`BadGraph`] when memory is short.
    pub fn encode(&self) -> Result<Vec<u8>, BadGraph> {
        postcard::to_allocvec(self).map_err(|_| BadGraph)
    }

    /// INV-GRAPH-1: ids ascend from securityd's, every index is in range and points back, ports and slots are in their ranges. Readers of a decoded graph may rely on it.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        let ids_ascend = self.instances.windows(2).all(|pair| pair[0].id < pair[1].id);
        let has_root = self.instances.first().is_some_and(|first| first.id == layout::SECURITYD);
        let order_is_known = self.start_order.iter().all(|id| self.instance(*id).is_some());
        ids_ascend
            && has_root
            && order_is_known
            && access::Policy::try_new(&self.access).is_ok()
            && self.instances.iter().all(|instance| self.fits(instance))
            && self.sessions.iter().all(|session| self.joins(session))
    }

    fn fits(&self, instance: &Instance) -> bool {
        let is_own_use = |(index, used): (usize, &Use)| {
            self.session_of(used)
                .is_some_and(|session| session.client == instance.id && usize::from(session.client_use) == index)
        };
        let is_own_session = |provided: usize, session: &u16| {
            let session = self.sessions.get(usize::from(*session));
            session.is_some_and(|session| session.server == instance.id && usize::from(session.provided) == provided)
        };
        instance.id <= layout::INSTANCE_ID_MAX
            && instance.uses.len() <= layout::USES_MAX
            && instance.devices.len() <= layout::DEVICES_MAX
            && instance.provides.len() <= layout::PROVIDES_MAX
            && instance.keys.len() <= layout::KEYS_MAX
            && (layout::CNODE_BITS_SMALL..=layout::CNODE_BITS_LARGE).contains(&instance.cnode_bits)
            && instance.uses.iter().enumerate().all(is_own_use)
            && instance
                .provides
                .iter()
                .enumerate()
                .all(|(index, provided)| provided.sessions.iter().all(|session| is_own_session(index, session)))
    }

    fn joins(&self, session: &Session) -> bool {
        let is_port = |port: Option<u8>| port.is_none_or(|port| port < layout::PORTS);
        let client = self.instance(session.client).and_then(|client| client.uses.get(usize::from(session.client_use)));
        let server = self.instance(session.server);
        let needs_ports = session.region.is_some() || session.rings_client || session.rings_server;
        client.is_some()
            && server.is_some_and(|server| {
                server.provides.len() > usize::from(session.provided)
                    && (!session.has_operations || server.endpoint.is_some())
            })
            && is_port(session.client_port)
            && is_port(session.server_port)
            && needs_ports == session.client_port.is_some()
            && needs_ports == session.server_port.is_some()
            && session.region.is_none_or(|bytes| bytes <= layout::REGION_STRIDE && bytes % 4096 == 0)
            && !(session.is_on_demand && (session.region.is_some() || session.rings_server))
    }
}

/// Bytes that are no graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadGraph;

#[cfg(test)]
pub(crate) mod tests {
    use super::{Endpoint, Graph, Instance, Limits, Provided, Restart, Runtime, Session, Use};

    /// securityd and one client of it.
    pub(crate) fn sample() -> Graph {
        let root = Instance {
            id: 1,
            name: "securityd".into(),
            component: "servers/securityd".into(),
            priority: 254,
            budget_us: 0,
            period_us: 0,
            stack: 0,
            heap: 0,
            thread_stack: 0,
            program_max: 0,
            cnode_bits: 7,
            own_cnode: false,
            endpoint: Some(Endpoint { mints: false }),
            uses: vec![],
            provides: vec![Provided {
                name: "power".into(),
                interface: "hybrid.security.Power".into(),
                sessions: vec![0],
                max_clients: 2,
                max_open: 2,
            }],
            devices: vec![],
            dma: vec![],
            keys: vec![],
            parameters: vec![],
            restart: Restart::DEFAULT,
            place: None,
            runtime: Runtime::Core,
            threads: 1,
            awaits_verdict: false,
            awaits_device: false,
            is_spawned: false,
            awaits_command: false,
        };
        let used =
            Use { name: "power".into(), interface: "hybrid.security.Power".into(), reason: "off".into(), session: 0 };
        let client = Instance {
            id: 2,
            name: "shell".into(),
            priority: 100,
            endpoint: None,
            uses: vec![used],
            provides: vec![],
            ..root.clone()
        };
        let session = Session {
            client: 2,
            client_use: 0,
            server: 1,
            provided: 0,
            has_operations: true,
            region: None,
            rings_server: false,
            rings_client: false,
            client_port: None,
            server_port: None,
            is_on_demand: false,
            limits: Limits::default(),
        };
        Graph {
            product: "p".into(),
            version: "0.1.0".into(),
            board: "b".into(),
            instances: vec![root, client],
            sessions: vec![session],
            start_order: vec![1, 2],
            access: crate::access::Policy::default().to_bytes(),
        }
    }

    #[test]
    fn graph_encoded_decodes_to_itself() {
        assert_eq!(Graph::decode(&sample().encode().unwrap()), Ok(sample()));
    }

    #[test]
    fn graph_whose_parts_do_not_fit_is_refused() {
        let broken: [fn(&mut Graph); 8] = [
            |graph| graph.instances.swap(0, 1),
            |graph| graph.sessions[0].client = 3,
            |graph| graph.sessions[0].provided = 1,
            |graph| graph.sessions[0].client_port = Some(1),
            |graph| graph.instances[1].uses[0].session = 7,
            |graph| graph.instances[0].endpoint = None,
            |graph| graph.start_order.push(9),
            |graph| graph.instances[0].cnode_bits = 40,
        ];
        for change in broken {
            let mut graph = sample();
            change(&mut graph);
            assert!(Graph::decode(&graph.encode().unwrap()).is_err());
        }
    }
}
