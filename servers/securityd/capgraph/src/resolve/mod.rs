//! From texts to a total graph; every rule that always holds is checked here or in a submodule.

mod ports;
mod rules;
mod sessions;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use hybrid_config::{Board, Date, Limits, Policy, Problem};

use crate::AccessPolicy;
use crate::graph::{Device, Dma, Endpoint, Graph, Instance, Key, Provided, Trigger, Use};
use crate::layout;
use text::{ComponentText, InstanceText, SystemText};

/// What the resolver needs to know of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of an interface, not states")]
pub struct InterfaceFacts {
    /// It has operations (the pull operations of events count).
    pub has_operations: bool,
    /// The server can tell the client something by a bell.
    pub has_events: bool,
    /// It has rings: a region, and a bell each way.
    pub has_rings: bool,
    /// Bytes of the region, unrounded; 0 without rings.
    pub region_bytes: u64,
    /// Its answers carry capabilities.
    pub mints_resources: bool,
    /// Its questions carry capabilities.
    pub takes_capabilities: bool,
}

/// Where the facts come from.
pub trait Interfaces {
    /// The facts of a full name (`hybrid.net.stack.Tcp`), if there is such an interface.
    fn facts(&self, name: &str) -> Option<InterfaceFacts>;
}

impl Interfaces for BTreeMap<String, InterfaceFacts> {
    fn facts(&self, name: &str) -> Option<InterfaceFacts> {
        self.get(name).copied()
    }
}

/// Everything that was read.
pub(crate) struct Inputs<'a> {
    pub(crate) limits: Limits,
    pub(crate) board: Board,
    pub(crate) policy: Policy,
    pub(crate) system: SystemText,
    pub(crate) components: BTreeMap<String, ComponentText>,
    pub(crate) interfaces: &'a dyn Interfaces,
    pub(crate) today: Date,
}

impl Inputs<'_> {
    /// Instances with their components; those whose component is unknown are left out (and reported elsewhere).
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&InstanceText, &ComponentText)> {
        self.system
            .instances
            .iter()
            .filter_map(|instance| Some((instance, self.components.get(instance.component.get_ref())?)))
    }
}

/// Resolves `images/<product>/system.toml` for `board`, with the interfaces of `ipc-idl`.
///
/// # Errors
/// Every problem that was found, sorted.
pub fn resolve(root: &Path, product: &str, board: &str) -> Result<Graph, Vec<Problem>> {
    let interfaces = idl_interfaces(root)?;
    resolve_with(root, product, board, &interfaces, Date::of_build())
}

/// Resolves with other interfaces and on another day.
///
/// # Errors
/// Every problem that was found, sorted.
pub fn resolve_with(
    root: &Path,
    product: &str,
    board: &str,
    interfaces: &dyn Interfaces,
    today: Date,
) -> Result<Graph, Vec<Problem>> {
    let inputs = read(root, product, board, interfaces, today)?;
    let mut problems = Vec::new();
    rules::check_texts(&inputs, &mut problems);
    // In stages: what follows from a mistake in a text is noise beside it.
    if !problems.is_empty() {
        return Err(sorted(problems));
    }
    let version = version_of(root);
    let graph = build(&inputs, version, &mut problems);
    if problems.is_empty() {
        rules::check_graph(&inputs, &graph, &mut problems);
    }
    if problems.is_empty() && !graph.is_coherent() {
        let message = "the resolved graph does not fit together: a mistake of the resolver".into();
        problems.push(Problem {
            file: inputs.system.source.file.clone(),
            line: 0,
            rule: "internal",
            message,
            help: String::new(),
        });
    }
    if problems.is_empty() { Ok(graph) } else { Err(sorted(problems)) }
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}

fn read<'a>(
    root: &Path,
    product: &str,
    board: &str,
    interfaces: &'a dyn Interfaces,
    today: Date,
) -> Result<Inputs<'a>, Vec<Problem>> {
    let mut problems = Vec::new();
    let limits = keep(Limits::read(root).map_err(|problem| vec![problem]), &mut problems);
    let board = keep(Board::read(root, board), &mut problems);
    let policy = keep(Policy::read(root), &mut problems);
    let system = keep(SystemText::read(root, product), &mut problems);
    let components = system.as_ref().and_then(|system| keep(text::read_components(root, system), &mut problems));
    match (limits, board, policy, system, components) {
        (Some(limits), Some(board), Some(policy), Some(system), Some(components)) => {
            Ok(Inputs { limits, board, policy, system, components, interfaces, today })
        }
        _ => {
            problems.sort();
            Err(problems)
        }
    }
}

fn keep<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

/// The workspace's version; every part of an image has it.
fn version_of(root: &Path) -> String {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    let parsed: Option<toml::Table> = toml::from_str(&manifest).ok();
    let version = parsed.as_ref().and_then(|table| table.get("workspace")?.get("package")?.get("version")?.as_str());
    version.unwrap_or("0.0.0").to_owned()
}

fn build(inputs: &Inputs<'_>, version: String, problems: &mut Vec<Problem>) -> Graph {
    let mut instances: Vec<Instance> =
        inputs.placed().map(|(placed, component)| instance(inputs, placed, component)).collect();
    instances.sort_by_key(|instance| instance.id);
    instances.dedup_by_key(|instance| instance.id);
    let access =
        AccessPolicy { connections: inputs.system.connections.clone(), requests: inputs.system.requests.clone() };
    let mut graph = Graph {
        product: inputs.system.product.clone(),
        version,
        board: inputs.board.name.clone(),
        instances,
        sessions: Vec::new(),
        start_order: Vec::new(),
        access,
    };
    sessions::join(inputs, &mut graph, problems);
    ports::assign(inputs, &mut graph, problems);
    graph.start_order = sessions::start_order(&graph);
    graph
}

fn instance(inputs: &Inputs<'_>, placed: &InstanceText, component: &ComponentText) -> Instance {
    let facts = |interface: &str| inputs.interfaces.facts(interface).unwrap_or_default();
    let mints = component.provides.iter().any(|provided| facts(provided.interface.get_ref()).mints_resources);
    let serves = component.provides.iter().any(|provided| facts(provided.interface.get_ref()).has_operations);
    let takes = component.provides.iter().any(|provided| facts(provided.interface.get_ref()).takes_capabilities);
    let receives = component.uses.iter().any(|used| facts(used.interface.get_ref()).mints_resources);
    let own_cnode = mints || receives || takes;
    let uses = component.uses.iter().map(|used| Use {
        name: used.name.get_ref().clone(),
        interface: used.interface.get_ref().clone(),
        reason: used.reason.get_ref().clone(),
        session: u16::MAX,
    });
    let provides = component.provides.iter().map(|provided| Provided {
        name: provided.name.get_ref().clone(),
        interface: provided.interface.get_ref().clone(),
        sessions: Vec::new(),
    });
    let dma = component.dma.iter().map(|dma| Dma {
        name: dma.name.get_ref().clone(),
        bytes: dma.size.get_ref().0,
        reason: dma.reason.get_ref().clone(),
    });
    let keys = component.keys.iter().filter_map(|need| {
        Some(Key {
            name: need.name.get_ref().clone(),
            key: placed.keys.get(need.name.get_ref())?.get_ref().clone(),
            class: need.class.get_ref().clone(),
            reason: need.reason.get_ref().clone(),
        })
    });
    Instance {
        id: *placed.id.get_ref(),
        name: placed.name.get_ref().clone(),
        component: placed.component.get_ref().clone(),
        priority: priority(component.priority_class.get_ref()),
        budget_us: *placed.budget_us.get_ref(),
        period_us: *placed.period_us.get_ref(),
        stack: component.stack.get_ref().0,
        heap: component.heap.get_ref().0,
        cnode_bits: if own_cnode { layout::CNODE_BITS_LARGE } else { layout::CNODE_BITS_SMALL },
        own_cnode,
        endpoint: serves.then_some(Endpoint { mints }),
        uses: uses.collect(),
        provides: provides.collect(),
        devices: devices(inputs, placed, component),
        dma: dma.collect(),
        keys: keys.collect(),
        parameters: placed.parameters.iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect(),
    }
}

fn devices(inputs: &Inputs<'_>, placed: &InstanceText, component: &ComponentText) -> Vec<Device> {
    let needs = component.devices.iter();
    let found = needs.filter_map(|need| {
        let device = inputs.board.device(placed.devices.get(need.name.get_ref())?.get_ref())?;
        Some(Device {
            name: need.name.get_ref().clone(),
            device: device.name.get_ref().clone(),
            compatible: device.compatible.clone(),
            reason: need.reason.get_ref().clone(),
            page: device.page.filter(|_| need.registers),
            irq: device.irq.filter(|_| need.interrupt),
            trigger: if device.trigger == Some(hybrid_config::Trigger::Edge) { Trigger::Edge } else { Trigger::Level },
            timer_access: device.timer_access,
        })
    });
    found.collect()
}

/// The priority of a class; 0 for a class that does not exist (and is reported elsewhere).
pub(crate) fn priority(class: &str) -> u8 {
    layout::CLASSES.iter().find(|(name, _)| *name == class).map_or(0, |(_, priority)| *priority)
}

/// The interfaces of `ipc-idl` below `root`.
///
/// # Errors
/// What the IDL compiler found wrong.
pub fn idl_interfaces(root: &Path) -> Result<BTreeMap<String, InterfaceFacts>, Vec<Problem>> {
    let found = hybrid_idlc::interfaces(&root.join("ipc-idl")).map_err(|error| {
        let help = "see ipc-idl/LANGUAGE.md".into();
        vec![Problem { file: "ipc-idl".into(), line: 0, rule: "idl", message: error.to_string(), help }]
    })?;
    let facts = |info: &hybrid_idlc::InterfaceInfo| InterfaceFacts {
        has_operations: info.has_operations,
        has_events: info.has_events,
        has_rings: info.has_rings,
        region_bytes: info.region_bytes as u64,
        mints_resources: info.mints_resources || info.returns_caps,
        takes_capabilities: info.takes_caps,
    };
    Ok(found.iter().map(|info| (info.name.clone(), facts(info))).collect())
}
