//! From texts to a total graph; every rule that always holds is checked here or in a submodule.

mod family;
mod finder;
mod rules;
mod sessions;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use hybrid_config::{Board, Date, Limits, Policy, Problem};

use crate::graph::{Device, Dma, Endpoint, Graph, Instance, Key, Provided, Trigger, Use};
use crate::layout;
use crate::ports;
use crate::rulebook::{DeviceFacts, InterfaceFacts, Rulebook};
use crate::rules::{Found, LIFECYCLE, check_graph};
use text::{ComponentText, InstanceText, Start, SystemText};

/// Everything that was read.
pub(crate) struct Inputs<'a> {
    pub(crate) limits: Limits,
    pub(crate) board: Board,
    pub(crate) policy: Policy,
    pub(crate) system: SystemText,
    pub(crate) components: BTreeMap<String, ComponentText>,
    pub(crate) interfaces: &'a BTreeMap<String, InterfaceFacts>,
    pub(crate) today: Date,
}

impl Inputs<'_> {
    /// The same facts as the rules of a graph want them.
    fn rulebook(&self) -> Rulebook {
        let device = |device: &hybrid_config::BoardDevice| DeviceFacts {
            name: device.name.get_ref().clone(),
            compatible: device.compatible.clone(),
            page: device.page,
            page_bits: page_bits(device),
            read_only: device.read_only,
            irq: device.irq,
            trigger: trigger(device),
            bus_master: device.bus_master,
            timer_access: device.timer_access,
        };
        let memory = &self.board.memory;
        let least = self.system.memory.as_ref().map_or(memory.smallest, |least| *least.get_ref());
        Rulebook {
            policy: self.policy.clone(),
            limits: self.limits.clone(),
            interfaces: self.interfaces.clone(),
            devices: self.board.devices.iter().map(device).collect(),
            room: least.0.saturating_sub(memory.reserved.0),
            today: self.today,
        }
    }

    /// Where an instance stands.
    fn place(&self, instance: &str) -> (String, usize) {
        let source = &self.system.source;
        let place = self.system.instances.iter().find(|text| text.name.get_ref() == instance);
        let (file, line) = source.place(place.map_or(usize::MAX, |text| text.name.span().start));
        (file.into(), if place.is_some() { line } else { 1 })
    }

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
    interfaces: &BTreeMap<String, InterfaceFacts>,
    today: Date,
) -> Result<Graph, Vec<Problem>> {
    resolve_whole(root, product, board, interfaces, today).map(|(graph, _)| graph)
}

/// Resolves, and gives the rules' facts too, which a device needs to admit further components.
///
/// # Errors
/// Every problem that was found, sorted.
pub fn resolve_whole(
    root: &Path,
    product: &str,
    board: &str,
    interfaces: &BTreeMap<String, InterfaceFacts>,
    today: Date,
) -> Result<(Graph, Rulebook), Vec<Problem>> {
    let inputs = read(root, product, board, interfaces, today)?;
    let mut problems = Vec::new();
    rules::check_texts(&inputs, &mut problems);
    check_audit(&inputs, &mut problems);
    let version = version_of(root);
    let book = inputs.rulebook();
    let place = |instance: &str| inputs.place(instance);
    let in_texts = problems.len();
    let graph = build(&inputs, &book, version, &mut problems);
    if problems.is_empty() || in_texts > 0 {
        let found = &mut Found { book: &book, place: &place, problems: &mut problems };
        check_graph(found, &graph);
        rules::check_built(found, &graph);
    }
    drop_noise(&inputs, in_texts, &mut problems);
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
    if problems.is_empty() { Ok((graph, book)) } else { Err(sorted(problems)) }
}

/// A file and a line in it.
type Place<'a> = (&'a str, usize);

/// What follows from a mistake in a text is noise beside it: of the findings behind the first `in_texts`, only those stay that are
/// about instances of which no text has a mistake.
fn drop_noise(inputs: &Inputs<'_>, in_texts: usize, problems: &mut Vec<Problem>) {
    if in_texts == 0 {
        return;
    }
    let later = problems.split_off(in_texts);
    let system = &inputs.system.source;
    // Instances by the places at which they begin; a mistake belongs to the last one that begins before it.
    let mut begins: Vec<(Place<'_>, &str)> = Vec::new();
    for instance in &inputs.system.instances {
        begins.push((system.place(instance.name.span().start), instance.component.get_ref()));
    }
    begins.sort_unstable();
    let owner = |problem: &Problem| {
        let is_before = |((file, line), _): &&(Place<'_>, &str)| *file == problem.file && *line <= problem.line + 1;
        begins.iter().rev().find(is_before).map(|(begin, _)| *begin)
    };
    let is_system = |problem: &Problem| system.files().any(|file| file == problem.file);
    let mut spoiled: Vec<Place<'_>> = Vec::new();
    for problem in &*problems {
        if is_system(problem) {
            spoiled.extend(owner(problem));
        } else {
            let of_it = begins.iter().filter(|(_, folder)| problem.file == format!("{folder}/component.toml"));
            spoiled.extend(of_it.map(|(begin, _)| *begin));
        }
    }
    let stands = |problem: &Problem| {
        let is_sum = ["memory-exceeded", "unknown-instance", "call-cycle"].contains(&problem.rule);
        is_system(problem) && !is_sum && owner(problem).is_none_or(|begin| !spoiled.contains(&begin))
    };
    problems.extend(later.into_iter().filter(stands));
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
    interfaces: &'a BTreeMap<String, InterfaceFacts>,
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

fn build(inputs: &Inputs<'_>, book: &Rulebook, version: String, problems: &mut Vec<Problem>) -> Graph {
    let mut instances: Vec<Instance> =
        inputs.placed().map(|(placed, component)| instance(inputs, placed, component)).collect();
    instances.sort_by_key(|instance| instance.id);
    instances.dedup_by_key(|instance| instance.id);
    finder::tell(inputs, &mut instances);
    let mut graph = Graph {
        product: inputs.system.product.clone(),
        version,
        board: inputs.board.name.clone(),
        instances,
        sessions: Vec::new(),
        start_order: Vec::new(),
        access: inputs.system.access.clone(),
    };
    sessions::join_all(inputs, book, &mut graph, problems);
    ports::assign(&mut Found { book, place: &|instance| inputs.place(instance), problems }, &mut graph);
    graph.start_order = sessions::start_order(&graph);
    family::tell(&mut graph);
    graph
}

fn instance(inputs: &Inputs<'_>, placed: &InstanceText, component: &ComponentText) -> Instance {
    let facts = |interface: &str| inputs.interfaces.get(interface).cloned().unwrap_or_default();
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
        max_clients: *provided.max_clients.get_ref(),
        max_open: *provided.max_open.as_ref().unwrap_or(&provided.max_clients).get_ref(),
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
    let threads = component.threads.as_ref().map_or(1, |threads| *threads.get_ref());
    Instance {
        id: *placed.id.get_ref(),
        name: placed.name.get_ref().clone(),
        component: placed.component.get_ref().clone(),
        priority: layout::priority(component.priority_class.get_ref()),
        budget_us: *placed.budget_us.get_ref(),
        period_us: *placed.period_us.get_ref(),
        stack: component.stack.get_ref().0,
        heap: component.heap.get_ref().0,
        thread_stack: component.thread_stack.as_ref().map_or(0, |size| size.get_ref().0),
        program_max: component.program.as_ref().map_or(inputs.limits.image_max, |size| *size.get_ref()).0,
        cnode_bits: if own_cnode || threads > 1 { layout::CNODE_BITS_LARGE } else { layout::CNODE_BITS_SMALL },
        own_cnode,
        endpoint: serves.then_some(Endpoint { mints }),
        uses: uses.collect(),
        provides: provides.collect(),
        devices: devices(inputs, placed, component),
        dma: dma.collect(),
        keys: keys.collect(),
        parameters: parameters(inputs, placed, component),
        restart: component.restart,
        place: place(inputs, placed),
        runtime: component.runtime,
        threads,
        awaits_verdict: placed.after.is_some(),
        awaits_device: matches!(placed.start, Some(Start::OnDevice)),
        is_spawned: matches!(placed.start, Some(Start::Spawned)),
        awaits_command: matches!(placed.start, Some(Start::Command)),
    }
}

/// What `[audit]` says is carried out by the supervisor, so there has to be one.
fn check_audit(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    let Some(answer) = &inputs.system.on_difference else { return };
    if !inputs.placed().any(|(_, component)| supervises(component)) {
        let help = format!("route {LIFECYCLE} to a supervisor, or leave out `[audit]`");
        let message = "`[audit]` says what follows from a difference, and nobody could do it";
        problems.push(inputs.system.source.problem(answer.span(), "bad-after", message, help));
    }
}

/// Whether it decides about lives.
fn supervises(component: &ComponentText) -> bool {
    component.uses.iter().any(|used| used.interface.get_ref() == LIFECYCLE)
}

/// What the integrator tells it; the supervisor is told the product's `[audit]` as well.
fn parameters(inputs: &Inputs<'_>, placed: &InstanceText, component: &ComponentText) -> Vec<(String, String)> {
    let own = placed.parameters.iter().map(|(key, value)| (key.clone(), value.get_ref().clone()));
    let told = inputs.system.on_difference.as_ref().filter(|_| supervises(component));
    own.chain(told.map(|answer| ("on_difference".into(), answer.get_ref().word().into()))).collect()
}

/// An installer that does not exist is 0: the rules about places find it.
fn place(inputs: &Inputs<'_>, placed: &InstanceText) -> Option<crate::graph::Place> {
    let name = placed.installer.as_ref()?;
    let installer = inputs.system.instances.iter().find(|other| other.name.get_ref() == name);
    Some(crate::graph::Place { installer: installer.map_or(0, |found| *found.id.get_ref()) })
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
            page_bits: page_bits(device),
            read_only: device.read_only,
            irq: device.irq.filter(|_| need.interrupt),
            trigger: trigger(device),
            timer_access: device.timer_access,
        })
    });
    found.collect()
}

/// The board's text allows two sizes only.
const fn page_bits(device: &hybrid_config::BoardDevice) -> u8 {
    if device.size.0 > hybrid_config::PAGE { 21 } else { 12 }
}

fn trigger(device: &hybrid_config::BoardDevice) -> Trigger {
    if device.trigger == Some(hybrid_config::Trigger::Edge) { Trigger::Edge } else { Trigger::Level }
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
        operations: info.operations.clone(),
    };
    Ok(found.iter().map(|info| (info.name.clone(), facts(info))).collect())
}
