//! One more component into a running graph: the same rules as at build time, and nothing of what runs may move.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hybrid_config::Problem;
use serde::{Deserialize, Serialize};

use crate::graph::{BadGraph, Device, Dma, Endpoint, Graph, Instance, Provided, Restart, Runtime, Use};
use crate::layout;
use crate::limit::Asked;
use crate::rulebook::Rulebook;
use crate::rules::{Found, check_graph, is_name, is_reason};
use crate::{join, ports};

/// The longest name of a component's folder, bytes.
const COMPONENT_MAX: usize = 96;
/// The largest manifest, bytes.
pub const MANIFEST_MAX: usize = 16 << 10;

/// A use with its route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedUse {
    /// The component's name for it.
    pub name: String,
    /// Full name.
    pub interface: String,
    /// Why.
    pub reason: String,
    /// `netd.tcp`.
    pub route: String,
    /// It asks for the session when it needs it.
    pub is_on_demand: bool,
}

/// A provided interface; nobody can be routed to it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The component's name for it.
    pub name: String,
    /// Full name.
    pub interface: String,
    /// So many routes may end here.
    pub max_clients: u8,
    /// So many of its sessions on demand may be open at once.
    pub max_open: u8,
}

/// A device need with the board's device for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedDevice {
    /// The component's name for it.
    pub name: String,
    /// As in the device tree.
    pub compatible: String,
    /// Why.
    pub reason: String,
    /// The board's name for it.
    pub device: String,
    /// Map its registers.
    pub registers: bool,
    /// Give its interrupt.
    pub interrupt: bool,
}

/// component.toml and the integrator's lines about one instance, in the compact form that a device reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Nobody's yet.
    pub id: u16,
    /// The instance's name.
    pub name: String,
    /// Its folder.
    pub component: String,
    /// Its priority class.
    pub class: String,
    /// Bytes.
    pub stack: u64,
    /// Bytes.
    pub heap: u64,
    /// Microseconds.
    pub budget_us: u32,
    /// Microseconds.
    pub period_us: u32,
    /// In the order of component.toml.
    pub uses: Vec<RoutedUse>,
    /// In the order of component.toml.
    pub provides: Vec<Offer>,
    /// In the order of component.toml.
    pub devices: Vec<RoutedDevice>,
    /// In the order of component.toml.
    pub dma: Vec<Dma>,
    /// What the integrator tells it.
    pub parameters: Vec<(String, String)>,
}

impl Manifest {
    /// As bytes.
    ///
    /// # Errors
    /// [`BadGraph`] when memory is short.
    pub fn encode(&self) -> Result<Vec<u8>, BadGraph> {
        postcard::to_allocvec(self).map_err(|_| BadGraph)
    }

    /// Reads what [`Manifest::encode`] wrote, from anybody.
    ///
    /// # Errors
    /// [`BadGraph`] when the bytes are none, or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadGraph> {
        if bytes.len() > MANIFEST_MAX {
            return Err(BadGraph);
        }
        postcard::from_bytes(bytes).map_err(|_| BadGraph)
    }
}

/// The graph with the new instance, or every finding against it. `live` stays as it is.
///
/// # Errors
/// The findings, with the rules' names as at build time.
pub fn admit(live: &Graph, manifest: &Manifest, book: &Rulebook) -> Result<Graph, Vec<Problem>> {
    let place = |_: &str| (format!("the manifest of {:.40}", manifest.name), 0);
    let mut problems = Vec::new();
    let mut found = Found { book, place: &place, problems: &mut problems };
    check_shape(&mut found, live, manifest);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut graph = live.clone();
    let at = graph.instances.partition_point(|other| other.id < manifest.id);
    graph.instances.insert(at, instance(manifest, book));
    let mut found = Found { book, place: &place, problems: &mut problems };
    let all = Asked::default();
    for (index, used) in manifest.uses.iter().enumerate() {
        let (client, is_on_demand) = (manifest.id, used.is_on_demand);
        let (name, interface, limits) = (&used.name, &used.interface, (&all, &all));
        let route = join::Route { client, index, name, interface, is_on_demand, limits };
        match join::session(&graph, book, &route, &used.route) {
            Ok(session) => join::attach(&mut graph, session),
            Err((rule, message, help)) => found.at(&manifest.name, rule, message, help),
        }
    }
    ports::assign(&mut found, &mut graph);
    if problems.is_empty() {
        let mut found = Found { book, place: &place, problems: &mut problems };
        check_graph(&mut found, &graph);
        if !keeps(live, &graph) || !graph.is_coherent() {
            found.at(&manifest.name, "internal", "the new graph moves what runs".into(), "");
        }
    }
    graph.start_order.push(manifest.id);
    if problems.is_empty() { Ok(graph) } else { Err(problems) }
}

/// INV-ADMIT-1: every session of before has its ports, every instance its slots.
fn keeps(live: &Graph, graph: &Graph) -> bool {
    let sessions = live.sessions.iter().zip(&graph.sessions).all(|(old, new)| old == new);
    let same = |old: &Instance, new: &Instance| {
        (old.id, old.cnode_bits, old.own_cnode, old.endpoint) == (new.id, new.cnode_bits, new.own_cnode, new.endpoint)
    };
    let stays = |old: &Instance| graph.instance(old.id).is_some_and(|new| same(old, new));
    sessions && live.instances.iter().all(stays)
}

fn instance(manifest: &Manifest, book: &Rulebook) -> Instance {
    let facts = |interface: &str| book.facts(interface);
    let provides = || manifest.provides.iter().map(|offer| facts(&offer.interface));
    let mints = provides().any(|facts| facts.mints_resources);
    let takes = provides().any(|facts| facts.takes_capabilities);
    let serves = provides().any(|facts| facts.has_operations);
    let own_cnode = mints || takes || manifest.uses.iter().any(|used| facts(&used.interface).mints_resources);
    let uses = manifest.uses.iter().map(|used| Use {
        name: used.name.clone(),
        interface: used.interface.clone(),
        reason: used.reason.clone(),
        session: u16::MAX,
    });
    let provided = manifest.provides.iter().map(|offer| Provided {
        name: offer.name.clone(),
        interface: offer.interface.clone(),
        sessions: Vec::new(),
        max_clients: offer.max_clients,
        max_open: offer.max_open,
    });
    let devices = manifest.devices.iter().filter_map(|need| {
        let device = book.device(&need.device)?;
        Some(Device {
            name: need.name.clone(),
            device: device.name.clone(),
            compatible: device.compatible.clone(),
            reason: need.reason.clone(),
            page: device.page.filter(|_| need.registers),
            page_bits: device.page_bits,
            read_only: device.read_only,
            irq: device.irq.filter(|_| need.interrupt),
            trigger: device.trigger,
            timer_access: device.timer_access,
        })
    });
    Instance {
        id: manifest.id,
        name: manifest.name.clone(),
        component: manifest.component.clone(),
        priority: layout::priority(&manifest.class),
        budget_us: manifest.budget_us,
        period_us: manifest.period_us,
        stack: manifest.stack,
        heap: manifest.heap,
        thread_stack: 0,
        program_max: book.limits.image_max.0,
        cnode_bits: if own_cnode { layout::CNODE_BITS_LARGE } else { layout::CNODE_BITS_SMALL },
        own_cnode,
        endpoint: serves.then_some(Endpoint { mints }),
        uses: uses.collect(),
        provides: provided.collect(),
        devices: devices.collect(),
        dma: manifest.dma.clone(),
        keys: Vec::new(),
        parameters: manifest.parameters.clone(),
        restart: Restart::DEFAULT,
        place: None,
        runtime: Runtime::Core,
        threads: 1,
        awaits_verdict: false,
        awaits_device: false,
        is_spawned: false,
        awaits_command: false,
    }
}

/// What a manifest can have wrong by itself.
fn check_shape(found: &mut Found<'_>, live: &Graph, manifest: &Manifest) {
    let limits = found.book.limits.clone();
    let mut tell = |is_wrong: bool, rule, message: &str| {
        if is_wrong {
            found.at(
                &manifest.name,
                rule,
                message.to_string(),
                "mend the manifest; docs/capabilities.md has the schema",
            );
        }
    };
    tell(live.instance(manifest.id).is_some(), "duplicate-id", "its id is in use");
    tell(manifest.id > layout::INSTANCE_ID_MAX, "bad-value", "its id is too large");
    tell(live.named(&manifest.name).is_some(), "duplicate-name", "its name is taken");
    let is_ordinary = manifest.class != "security" && layout::priority(&manifest.class) != 0;
    tell(!is_ordinary, "bad-value", "it has no priority class of its own");
    let is_page = |bytes: u64| bytes.is_multiple_of(4096);
    let sizes = [(manifest.stack, limits.stack_max.0), (manifest.heap, limits.heap_max.0)];
    let dma = manifest.dma.iter().map(|dma| (dma.bytes, limits.dma_max.0));
    tell(
        manifest.stack == 0 || sizes.into_iter().chain(dma).any(|(bytes, most)| bytes > most || !is_page(bytes)),
        "bad-value",
        "a size of it is none, or too large",
    );
    let (budget, period) = (manifest.budget_us, manifest.period_us);
    let is_time = limits.budget_min_us <= budget && budget <= period && period <= limits.period_max_us;
    tell(!is_time, "bad-budget", "its budget and period are not possible");
    let too_many = manifest.uses.len() > layout::USES_MAX
        || manifest.provides.len() > layout::PROVIDES_MAX
        || manifest.devices.len() > layout::DEVICES_MAX
        || manifest.dma.len() > layout::DEVICES_MAX;
    tell(too_many, "too-many-uses", "its lists are too long");
    let long = |(key, value): &(String, String)| key.len() + value.len() > limits.parameter_bytes_max;
    let parameters = manifest.parameters.len() > limits.parameters_max || manifest.parameters.iter().any(long);
    tell(parameters, "bad-value", "its parameters are too many or too long");
    check_names(found, manifest);
    check_needs(found, manifest);
}

fn check_names(found: &mut Found<'_>, manifest: &Manifest) {
    let limits = found.book.limits.clone();
    let lists: [Vec<&String>; 3] = [
        manifest.uses.iter().map(|used| &used.name).collect(),
        manifest.provides.iter().map(|offer| &offer.name).collect(),
        manifest.devices.iter().map(|need| &need.name).chain(manifest.dma.iter().map(|dma| &dma.name)).collect(),
    ];
    let names = lists.iter().flatten().copied().chain([&manifest.name]);
    for name in names.filter(|name| !is_name(name, limits.name_max)) {
        let message = format!("`{:.40}` is no name", name.escape_debug());
        found.at(&manifest.name, "bad-value", message, "use a-z, 0-9, - and _");
    }
    // It stands in the trail and in listings.
    let is_folder = manifest.component.split('/').all(|part| is_name(part, limits.name_max));
    if !is_folder || manifest.component.len() > COMPONENT_MAX {
        found.at(&manifest.name, "bad-value", "its component is no folder".into(), "names with slashes between them");
    }
    for list in &lists {
        for (at, name) in list.iter().enumerate().filter(|(at, name)| list[..*at].contains(name)) {
            found.at(&manifest.name, "duplicate-name", format!("`{name:.40}` is declared twice ({at})"), "rename one");
        }
    }
    let reasons = manifest.uses.iter().map(|used| &used.reason).chain(manifest.devices.iter().map(|need| &need.reason));
    for reason in reasons.chain(manifest.dma.iter().map(|dma| &dma.reason)) {
        if reason.trim().is_empty() {
            found.at(&manifest.name, "missing-reason", "a reason is empty".into(), "say what for");
        } else if !is_reason(reason, limits.reason_max) {
            found.at(&manifest.name, "bad-value", "a reason is too long".into(), "one line of a few words");
        }
    }
}

fn check_needs(found: &mut Found<'_>, manifest: &Manifest) {
    let book = found.book;
    let interfaces = manifest.uses.iter().map(|used| &used.interface);
    for interface in interfaces.chain(manifest.provides.iter().map(|offer| &offer.interface)) {
        match book.interfaces.get(interface) {
            None => {
                let message = format!("there is no interface `{interface:.80}`");
                found.at(&manifest.name, "unknown-interface", message, "its full name is <library>.<interface>");
            }
            Some(facts) if facts.region_bytes > layout::REGION_STRIDE => {
                let message = format!("the rings of `{interface}` take {} bytes", facts.region_bytes);
                found.at(&manifest.name, "region-too-large", message, "make its rings smaller");
            }
            Some(_) => {}
        }
    }
    let is_possible = |offer: &Offer| {
        (1..=layout::CLIENTS_MAX).contains(&offer.max_clients) && (1..=offer.max_clients).contains(&offer.max_open)
    };
    if !manifest.provides.iter().all(is_possible) {
        let message = "max_clients or max_open is out of its range".into();
        found.at(&manifest.name, "bad-value", message, "1 to 62, and max_open at most max_clients");
    }
    for need in &manifest.devices {
        match book.device(&need.device) {
            None => {
                let message = format!("the board has no device `{:.40}`", need.device);
                found.at(&manifest.name, "unknown-device", message, "its devices are in kernel-config/boards");
            }
            Some(device) if device.compatible != need.compatible => {
                let message = format!(
                    "`{}` drives {:.40}, but `{}` is {}",
                    need.name, need.compatible, device.name, device.compatible
                );
                found.at(&manifest.name, "device-mismatch", message, "give it a device that it can drive");
            }
            Some(_) => {}
        }
    }
}
