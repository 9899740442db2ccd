//! Rules that only the whole shows: who calls whom, who shares what, who is allowed to, and whether it fits.

use std::collections::{BTreeMap, BTreeSet};

use hybrid_config::{Problem, Size};

use super::{never, policy};

use crate::graph::{Graph, Instance};
use crate::layout;
use crate::resolve::Inputs;

pub(crate) fn check(inputs: &Inputs<'_>, graph: &Graph, problems: &mut Vec<Problem>) {
    let mut found = Found { inputs, problems };
    check_calls(&mut found, graph);
    check_cycles(&mut found, graph);
    check_clients(&mut found, graph);
    check_logs(&mut found, graph);
    check_sharing(&mut found, graph);
    check_memory(&mut found, graph);
    check_slots(&mut found, graph);
    policy::check(&mut found, graph);
    never::check(&mut found, graph);
}

/// Where problems go, told at the instance's line of system.toml.
pub(super) struct Found<'a, 'b> {
    pub(super) inputs: &'a Inputs<'b>,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Found<'_, '_> {
    pub(super) fn at(&mut self, instance: &str, rule: &'static str, message: String, help: &str) {
        let source = &self.inputs.system.source;
        let place = self.inputs.system.instances.iter().find(|text| text.name.get_ref() == instance);
        self.problems.push(source.problem(place.map_or(0..0, |text| text.name.span()), rule, message, help));
    }
}

fn check_calls(found: &mut Found<'_, '_>, graph: &Graph) {
    for session in graph.sessions.iter().filter(|session| session.has_operations) {
        let (Some(client), Some(server)) = (graph.instance(session.client), graph.instance(session.server)) else {
            continue;
        };
        if server.priority < client.priority {
            let message = format!(
                "`{}` (priority {}) calls `{}` (priority {})",
                client.name, client.priority, server.name, server.priority
            );
            found.at(
                &client.name,
                "downhill-call",
                message,
                "calls go uphill: raise the server's class, or use a ring",
            );
        }
    }
}

fn check_cycles(found: &mut Found<'_, '_>, graph: &Graph) {
    // Remove instances that call nobody, again and again; what stays is in or above a cycle.
    let mut calls: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for session in graph.sessions.iter().filter(|session| session.has_operations) {
        calls.entry(session.client).or_default().insert(session.server);
    }
    loop {
        let callers: BTreeSet<u16> = calls.keys().copied().collect();
        for servers in calls.values_mut() {
            servers.retain(|server| callers.contains(server));
        }
        let before = calls.len();
        calls.retain(|_, servers| !servers.is_empty());
        if calls.len() == before {
            break;
        }
    }
    let names: Vec<&str> =
        calls.keys().filter_map(|id| graph.instance(*id)).map(|instance| instance.name.as_str()).collect();
    if let Some(first) = names.first() {
        found.at(
            first,
            "call-cycle",
            format!("these can wait for each other: {}", names.join(", ")),
            "turn one of the calls into a ring",
        );
    }
}

fn check_clients(found: &mut Found<'_, '_>, graph: &Graph) {
    let inputs = found.inputs;
    for (placed, component) in inputs.placed() {
        let Some(instance) = graph.named(placed.name.get_ref()) else { continue };
        for (provided, text) in instance.provides.iter().zip(&component.provides) {
            if provided.sessions.len() > usize::from(*text.max_clients.get_ref()) {
                let message = format!(
                    "{} clients are routed to `{}.{}`, which takes {}",
                    provided.sessions.len(),
                    instance.name,
                    provided.name,
                    text.max_clients.get_ref()
                );
                found.at(
                    &instance.name,
                    "too-many-clients",
                    message,
                    "raise max_clients in its component.toml if it can bear it",
                );
            }
        }
    }
}

fn check_logs(found: &mut Found<'_, '_>, graph: &Graph) {
    const SINK: &str = "hybrid.log.Sink";
    for instance in &graph.instances {
        let keeps = instance.provides.iter().any(|provided| provided.interface == SINK);
        if !keeps && !instance.uses.iter().any(|used| used.name == "log" && used.interface == SINK) {
            let message = format!("`{}` cannot tell what happens", instance.name);
            found.at(
                &instance.name,
                "missing-log",
                message,
                "add the use `log` of hybrid.log.Sink to its component.toml",
            );
        }
    }
}

fn check_sharing(found: &mut Found<'_, '_>, graph: &Graph) {
    let (mut pages, mut interrupts, mut timers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for instance in &graph.instances {
        for device in &instance.devices {
            let mut share = |other: Option<&str>, rule, what: String| {
                if let Some(other) = other {
                    found.at(&instance.name, rule, format!("{what} is held by `{other}` already"), "one holder only");
                }
            };
            if let Some(page) = device.page {
                share(
                    pages.insert(page, instance.name.as_str()),
                    "device-shared",
                    format!("the page {page:#x} of `{}`", device.device),
                );
            }
            if let Some(irq) = device.irq {
                share(
                    interrupts.insert(irq, instance.name.as_str()),
                    "interrupt-shared",
                    format!("the interrupt {irq} of `{}`", device.device),
                );
            }
            if device.timer_access {
                share(
                    timers.insert(&device.device, instance.name.as_str()),
                    "device-shared",
                    format!("the timer `{}`", device.device),
                );
            }
        }
    }
}

/// Private memory of an instance, with its program at its largest and its tables.
fn memory_of(inputs: &Inputs<'_>, instance: &Instance) -> u64 {
    const TABLES: u64 = 256 << 10;
    if instance.id == layout::SECURITYD {
        return 0;
    }
    instance.stack
        + instance.heap
        + instance.dma.iter().map(|dma| dma.bytes).sum::<u64>()
        + inputs.limits.image_max.0
        + TABLES
}

fn check_memory(found: &mut Found<'_, '_>, graph: &Graph) {
    let memory = &found.inputs.board.memory;
    let room = memory.smallest.0 - memory.reserved.0;
    let regions: u64 = graph.sessions.iter().filter_map(|session| session.region).sum();
    let sum = regions + graph.instances.iter().map(|instance| memory_of(found.inputs, instance)).sum::<u64>();
    if sum > room {
        let largest = graph
            .instances
            .iter()
            .max_by_key(|instance| memory_of(found.inputs, instance))
            .map_or("", |instance| instance.name.as_str());
        let message = format!("all instances take {}, but the smallest board leaves {}", Size(sum), Size(room));
        found.at(
            largest,
            "memory-exceeded",
            message,
            "this instance takes the most: make heaps smaller, or drop an instance",
        );
    }
}

/// With programs at their largest: a graph that is accepted can be installed, whatever is compiled.
fn check_slots(found: &mut Found<'_, '_>, graph: &Graph) {
    let largest = found.inputs.limits.image_max.0.div_ceil(4096);
    for instance in &graph.instances {
        let program_pages = if instance.id == layout::SECURITYD { 0 } else { largest };
        let needed = graph.slots_for(instance, program_pages);
        if needed > layout::MADE_MAX {
            let message = format!(
                "`{}` can need {needed} pages, page tables and other objects; securityd has slots for {}",
                instance.name,
                layout::MADE_MAX
            );
            found.at(
                &instance.name,
                "slots-exceeded",
                message,
                "one for each 4 KiB of program, stack, DMA memory and regions that it serves: make these smaller",
            );
        }
    }
}
