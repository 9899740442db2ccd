//! Each grant of a graph as a value and as a line of the golden file; the same code prints the live ones.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::graph::{Graph, Instance, Rights, Session, Trigger};
use crate::layout;
use crate::limit::Limits;

/// What is granted. Slots, badges and rights are the kernel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A client's endpoint.
    Call {
        /// In the holder's CNode.
        slot: u32,
        /// Of the capability.
        rights: Rights,
        /// Of the capability.
        badge: u64,
        /// What the server's runtime lets it do at most.
        limits: Limits,
    },
    /// A notification of the target.
    Bell {
        /// In the holder's CNode.
        slot: u32,
        /// Of the capability.
        rights: Rights,
        /// Bit that it sets.
        bit: u8,
    },
    /// Memory shared with the target.
    Region {
        /// Its size.
        bytes: u64,
        /// In the holder's address space.
        address: u64,
        /// Of the mapping.
        rights: Rights,
    },
    /// The holder's own endpoint.
    Endpoint {
        /// In the holder's CNode.
        slot: u32,
        /// Of the capability.
        rights: Rights,
    },
    /// The holder's reply object.
    Reply {
        /// In the holder's CNode.
        slot: u32,
        /// Grant, or none.
        rights: Rights,
    },
    /// The holder's own notification.
    Notification {
        /// In the holder's CNode.
        slot: u32,
        /// Of the capability.
        rights: Rights,
    },
    /// The holder's own CNode.
    CNode {
        /// In itself.
        slot: u32,
        /// How many slots it has.
        slots: u32,
    },
    /// A register page.
    Device {
        /// Physical address.
        page: u64,
        /// log2 of its bytes.
        bits: u8,
        /// In the holder's address space.
        address: u64,
        /// Of the mapping.
        rights: Rights,
    },
    /// An interrupt.
    Interrupt {
        /// The interrupt controller's number.
        irq: u32,
        /// Of the line.
        trigger: Trigger,
        /// Of the handler, in the holder's CNode.
        slot: u32,
        /// Of the holder's notification.
        bit: u8,
    },
    /// The right to program the physical timer.
    Timer,
    /// The kernel's list of all capabilities, and the graph to compare it with.
    Audit {
        /// In the holder's CNode.
        slot: u32,
    },
    /// Pages with a copy of the boot's device tree.
    Shown {
        /// In the holder's address space.
        address: u64,
    },
    /// Physically contiguous memory whose physical address is told.
    Dma {
        /// Its size.
        bytes: u64,
        /// In the holder's address space.
        address: u64,
    },
    /// Private memory.
    Memory {
        /// Bytes.
        stack: u64,
        /// Bytes.
        heap: u64,
        /// Stacks of further threads, and the bytes of each.
        thread_stacks: (u8, u64),
    },
    /// Processor time.
    Time {
        /// Of the thread.
        priority: u8,
        /// Microseconds.
        budget_us: u32,
        /// Microseconds.
        period_us: u32,
    },
    /// A key of the product. The texts say so; no capability stands for it yet.
    Key,
    /// The page in which securityd tells the holder how its peers are.
    Peers {
        /// In the holder's address space.
        address: u64,
    },
    /// Where the holder's faults go; held by its thread, not by its CNode.
    Fault {
        /// Of the capability.
        badge: u64,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Instance name.
    pub holder: String,
    /// What it is granted.
    pub what: What,
    /// Of whom or of what: `netd.tcp`, `uart0`.
    pub target: String,
    /// Interface or `compatible`; may be empty.
    pub kind: String,
    /// Why; may be empty for what every component has.
    pub reason: String,
    /// When it is live.
    pub held: Held,
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { slot, rights, badge, limits } => {
                write!(out, "slot={slot} rights={rights} badge={:#x}{limits}", layout::declared_badge(*badge))
            }
            Self::Bell { slot, rights, bit } => write!(out, "slot={slot} rights={rights} bit={bit}"),
            Self::Region { bytes, address, rights } => write!(out, "at={address:#x} rights={rights} bytes={bytes}"),
            Self::Endpoint { slot, rights } | Self::Reply { slot, rights } | Self::Notification { slot, rights } => {
                write!(out, "slot={slot} rights={rights}")
            }
            Self::CNode { slot, slots } => write!(out, "slot={slot} slots={slots}"),
            Self::Device { page, bits: 12, address, rights } => {
                write!(out, "at={address:#x} rights={rights} page={page:#x}")
            }
            Self::Device { page, bits, address, rights } => {
                write!(out, "at={address:#x} rights={rights} bytes={} page={page:#x}", 1_u64 << (bits & 63))
            }
            Self::Interrupt { irq, trigger, slot, bit } => {
                let trigger = if *trigger == Trigger::Level { "level" } else { "edge" };
                write!(out, "slot={slot} bit={bit} irq={irq} trigger={trigger}")
            }
            Self::Timer => write!(out, "registers=CNTP"),
            Self::Audit { slot } => write!(out, "slot={slot}"),
            Self::Shown { address } => write!(out, "at={address:#x} rights=read"),
            Self::Key => Ok(()),
            Self::Dma { bytes, address } => write!(out, "at={address:#x} rights=read,write bytes={bytes}"),
            Self::Memory { stack, heap, thread_stacks: (0, _) } => write!(out, "stack={stack} heap={heap}"),
            Self::Memory { stack, heap, thread_stacks: (count, bytes) } => {
                write!(out, "stack={stack} heap={heap} thread_stacks={count}x{bytes}")
            }
            Self::Time { priority, budget_us, period_us } => {
                write!(out, "priority={priority} budget_us={budget_us} period_us={period_us}")
            }
            Self::Peers { address } => write!(out, "at={address:#x} rights=read bytes=4096"),
            Self::Fault { badge } => write!(out, "badge={badge:#x}"),
        }
    }
}

impl What {
    /// The word in the second column.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Call { .. } => "call",
            Self::Bell { .. } => "bell",
            Self::Region { .. } => "region",
            Self::Endpoint { .. } => "endpoint",
            Self::Reply { .. } => "reply",
            Self::Notification { .. } => "notification",
            Self::CNode { .. } => "cnode",
            Self::Device { .. } => "device",
            Self::Interrupt { .. } => "interrupt",
            Self::Timer => "timer",
            Self::Audit { .. } => "audit",
            Self::Shown { .. } => "shown",
            Self::Key => "key",
            Self::Dma { .. } => "dma",
            Self::Memory { .. } => "memory",
            Self::Time { .. } => "time",
            Self::Peers { .. } => "peers",
            Self::Fault { .. } => "fault",
        }
    }
}

/// When a grant is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    /// As long as its holder, and its target, run.
    #[default]
    Always,
    /// From when its client asks for the session, until it lets go or it is revoked.
    OnDemand,
    /// While a component is installed in the place.
    IfInstalled,
}

impl Held {
    const fn fact(self) -> &'static str {
        match self {
            Self::Always => "",
            Self::OnDemand => " held=on-demand",
            Self::IfInstalled => " held=if-installed",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.what.to_string();
        let head =
            format!("{:<10} {:<12} {:<18} {:<24} {facts}", self.holder, self.what.verb(), self.target, self.kind);
        write!(out, "{}{}", head.trim_end(), self.held.fact())?;
        if self.reason.is_empty() { Ok(()) } else { write!(out, "  # {}", self.reason) }
    }
}

/// Lines sorted, one a line: the golden text of `grants`.
#[must_use]
pub fn text_of(grants: &[Grant]) -> String {
    let mut lines: Vec<String> = grants.iter().map(ToString::to_string).collect();
    lines.sort();
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

impl Graph {
    /// Every grant that the graph asks for.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        self.instances.iter().flat_map(|instance| self.grants_of(instance)).collect()
    }

    /// Every grant to one instance.
    #[must_use]
    pub fn grants_of(&self, instance: &Instance) -> Vec<Grant> {
        let mut grants = own_grants(instance);
        for (index, used) in instance.uses.iter().enumerate() {
            if let Some(session) = self.session_of(used) {
                grants.extend(self.client_grants(index, session));
            }
        }
        let sessions = instance.provides.iter().flat_map(|provided| &provided.sessions);
        for session in sessions.filter_map(|session| self.sessions.get(usize::from(*session))) {
            grants.extend(self.server_grants(session));
        }
        grants.extend(device_grants(instance));
        grants
    }

    /// `netd.tcp`, as routes name it.
    #[must_use]
    pub fn server_name(&self, session: &Session) -> String {
        let server = self.instance(session.server);
        let provided = server.and_then(|server| server.provides.get(usize::from(session.provided)));
        let name = |part: Option<&String>| part.cloned().unwrap_or_default();
        format!("{}.{}", name(server.map(|server| &server.name)), name(provided.map(|provided| &provided.name)))
    }

    /// `httpd.tcp`, the client's side of the same.
    #[must_use]
    pub fn client_name(&self, session: &Session) -> String {
        let client = self.instance(session.client);
        let used = client.and_then(|client| client.uses.get(usize::from(session.client_use)));
        let name = |part: Option<&String>| part.cloned().unwrap_or_default();
        format!("{}.{}", name(client.map(|client| &client.name)), name(used.map(|used| &used.name)))
    }

    /// A line about the client's side of `session`.
    #[must_use]
    pub fn client_grant(&self, session: &Session, what: What) -> Grant {
        let client = self.instance(session.client);
        let used = client.and_then(|client| client.uses.get(usize::from(session.client_use)));
        Grant {
            holder: client.map(|client| client.name.clone()).unwrap_or_default(),
            what,
            target: self.server_name(session),
            kind: used.map(|used| used.interface.clone()).unwrap_or_default(),
            reason: used.map(|used| used.reason.clone()).unwrap_or_default(),
            held: self.held(session),
        }
    }

    /// A line about the server's side of `session`.
    #[must_use]
    pub fn server_grant(&self, session: &Session, what: What) -> Grant {
        let server = self.instance(session.server);
        let provided = server.and_then(|server| server.provides.get(usize::from(session.provided)));
        Grant {
            holder: server.map(|server| server.name.clone()).unwrap_or_default(),
            target: self.client_name(session),
            kind: provided.map(|provided| provided.interface.clone()).unwrap_or_default(),
            reason: "its client's side".into(),
            // Memory is shared from the start: it is not taken out of one that runs.
            held: if matches!(what, What::Region { .. }) { Held::Always } else { self.held(session) },
            what,
        }
    }

    /// The line about the client's endpoint of `session`, whose server is in its life number `generation`.
    #[must_use]
    pub fn call_grant(&self, session: &Session, generation: u16) -> Grant {
        let badge = self.badge(session, generation);
        let slot = layout::call_slot(usize::from(session.client_use));
        let limits = session.limits.clone();
        self.client_grant(session, What::Call { slot, rights: Rights::CALL, badge, limits })
    }

    /// When what a session gives is live.
    fn held(&self, session: &Session) -> Held {
        if session.is_on_demand {
            return Held::OnDemand;
        }
        self.instance(session.client).map_or(Held::Always, Instance::held)
    }

    /// The line about the bell with which the server of `session` rings its client, if it does.
    #[must_use]
    pub fn client_bell_grant(&self, session: &Session) -> Option<Grant> {
        let (bit, port) = (session.client_port?, session.server_port?);
        let what = What::Bell { slot: layout::session_slot(port), rights: Rights::WRITE, bit };
        session.rings_client.then(|| self.server_grant(session, what))
    }

    fn client_grants(&self, index: usize, session: &Session) -> Vec<Grant> {
        let mut grants = Vec::new();
        if session.has_operations {
            grants.push(self.call_grant(session, 1));
        }
        if let (true, Some(bit)) = (session.rings_server, session.server_port) {
            let slot = layout::bell_slot(index);
            let what = What::Bell { slot, rights: Rights::WRITE, bit };
            grants.push(self.client_grant(session, what));
        }
        if let (Some(bytes), Some(port)) = (session.region, session.client_port) {
            grants.push(self.client_grant(
                session,
                What::Region { bytes, address: layout::region_address(port), rights: Rights::READ_WRITE },
            ));
        }
        grants
    }

    fn server_grants(&self, session: &Session) -> Vec<Grant> {
        let mut grants: Vec<Grant> = self.client_bell_grant(session).into_iter().collect();
        if let (Some(bytes), Some(port)) = (session.region, session.server_port) {
            grants.push(self.server_grant(
                session,
                What::Region { bytes, address: layout::region_address(port), rights: Rights::READ_WRITE },
            ));
        }
        grants
    }
}

/// A line about something that only the holder has.
#[must_use]
pub fn own_grant(instance: &Instance, what: What) -> Grant {
    Grant {
        holder: instance.name.clone(),
        target: instance.name.clone(),
        kind: String::new(),
        reason: String::new(),
        held: instance.held(),
        what,
    }
}

/// The line about an instance's page of peers.
#[must_use]
pub fn peers_grant(instance: &Instance) -> Grant {
    let what = What::Peers { address: layout::PEERS_ADDRESS };
    let reason = "learn which peer died or came back".into();
    Grant { target: "securityd".into(), reason, ..own_grant(instance, what) }
}

/// The line about an instance's private memory.
#[must_use]
pub fn memory_grant(instance: &Instance) -> Grant {
    let thread_stacks = (instance.thread_stacks(), instance.thread_stack);
    own_grant(instance, What::Memory { stack: instance.stack, heap: instance.heap, thread_stacks })
}

fn own_grants(instance: &Instance) -> Vec<Grant> {
    let own = |what| own_grant(instance, what);
    let mut grants = Vec::new();
    if let Some(endpoint) = instance.endpoint {
        let rights = if endpoint.mints { Rights::SERVE_AND_MINT } else { Rights::READ };
        grants.push(own(What::Endpoint { slot: layout::SLOT_ENDPOINT, rights }));
        let rights = if endpoint.mints { Rights::GRANT } else { Rights::NONE };
        grants.push(own(What::Reply { slot: layout::SLOT_REPLY, rights }));
    }
    grants.push(own(What::Notification { slot: layout::SLOT_NOTIFICATION, rights: Rights::READ }));
    for number in 1..=instance.further_threads() {
        grants.push(own(What::Notification { slot: layout::thread_slot(number), rights: Rights::READ_WRITE }));
    }
    if instance.own_cnode {
        grants.push(own(What::CNode { slot: layout::SLOT_CNODE, slots: 1 << instance.cnode_bits }));
    }
    if instance.id != layout::SECURITYD {
        grants.push(memory_grant(instance));
        grants.push(own(What::Time {
            priority: instance.priority,
            budget_us: instance.budget_us,
            period_us: instance.period_us,
        }));
        let fault = What::Fault { badge: layout::fault_badge(instance.id) };
        grants.push(Grant { target: "securityd".into(), ..own(fault) });
        grants.push(peers_grant(instance));
    }
    grants
}

fn device_grants(instance: &Instance) -> Vec<Grant> {
    let mut grants = Vec::new();
    for (index, device) in instance.devices.iter().enumerate() {
        let mut push = |what| {
            let (target, kind) = (device.device.clone(), device.compatible.clone());
            grants.push(Grant { target, kind, reason: device.reason.clone(), ..own_grant(instance, what) });
        };
        if let Some(page) = device.page {
            push(device.registers(page, index));
        }
        if let Some(irq) = device.irq {
            let (slot, bit) = (layout::interrupt_slot(index), layout::interrupt_port(index));
            push(What::Interrupt { irq, trigger: device.trigger, slot, bit });
        }
        if device.timer_access {
            push(What::Timer);
        }
        if device.is_audit() {
            push(What::Audit { slot: layout::SLOT_AUDIT });
        }
        if device.is_tree() {
            push(What::Shown { address: layout::device_address(index) });
        }
    }
    for key in &instance.keys {
        let (target, kind, reason) = (key.key.clone(), key.class.clone(), key.reason.clone());
        grants.push(Grant { target, kind, reason, ..own_grant(instance, What::Key) });
    }
    for (index, dma) in instance.dma.iter().enumerate() {
        let what = What::Dma { bytes: dma.bytes, address: layout::dma_address(index) };
        grants.push(Grant { target: dma.name.clone(), reason: dma.reason.clone(), ..own_grant(instance, what) });
    }
    grants
}
