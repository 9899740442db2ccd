//! Rules that only the whole shows: who calls whom, who shares what, who is allowed to, and whether it fits.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_config::Size;

use super::Found;
use crate::graph::{Graph, Instance};
use crate::layout;

pub(super) fn check(found: &mut Found<'_>, graph: &Graph) {
    check_calls(found, graph);
    check_cycles(found, graph);
    check_clients(found, graph);
    check_logs(found, graph);
    check_sharing(found, graph);
    check_memory(found, graph);
    check_slots(found, graph);
    check_places(found, graph);
}

/// A place has somebody who fills it, and nothing that could not be taken back from what is installed there.
fn check_places(found: &mut Found<'_>, graph: &Graph) {
    let mut programs = 0_u64;
    for instance in &graph.instances {
        let Some(place) = instance.place else { continue };
        let mut tell = |is_wrong: bool, message: String, help: &str| {
            if is_wrong {
                found.at(&instance.name, "bad-place", message, help);
            }
        };
        let installs = |other: &Instance| other.uses.iter().any(|used| used.interface == INSTALL);
        let message = format!("nobody who uses {INSTALL} fills the place `{}`", instance.name);
        tell(!graph.instance(place.installer).is_some_and(installs), message, "name its installer");
        let devices = instance.devices.len() + instance.dma.len() + instance.keys.len() + instance.provides.len();
        let message = format!("the place `{}` has devices, keys or interfaces of its own", instance.name);
        tell(devices > 0, message, "what drives a device or serves others is built in");
        programs = programs.saturating_add(instance.program_max);
        let message = format!("the programs of places take {}, with `{}`", Size(programs), instance.name);
        tell(programs > layout::PROGRAMS_MAX, message, "`[memory] program` says how large one may be; 1 MiB for all");
    }
}

/// Who uses it fills places.
const INSTALL: &str = "hybrid.security.Install";

fn check_calls(found: &mut Found<'_>, graph: &Graph) {
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

fn check_cycles(found: &mut Found<'_>, graph: &Graph) {
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

fn check_clients(found: &mut Found<'_>, graph: &Graph) {
    for instance in &graph.instances {
        for provided in &instance.provides {
            if provided.sessions.len() > usize::from(provided.max_clients) {
                let message = format!(
                    "{} clients are routed to `{}.{}`, which takes {}",
                    provided.sessions.len(),
                    instance.name,
                    provided.name,
                    provided.max_clients
                );
                let help = "raise max_clients in its component.toml if it can bear it";
                found.at(&instance.name, "too-many-clients", message, help);
            }
        }
    }
}

fn check_logs(found: &mut Found<'_>, graph: &Graph) {
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

fn check_sharing(found: &mut Found<'_>, graph: &Graph) {
    let (mut pages, mut interrupts, mut others) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for instance in &graph.instances {
        for device in &instance.devices {
            let mut share = |other: Option<&str>, rule, what: String| {
                if let Some(other) = other {
                    found.at(&instance.name, rule, format!("{what} is held by `{other}` already"), "one holder only");
                }
            };
            // Who only looks is no second hand on a device, and is named by the policy.
            if let Some(page) = device.page.filter(|_| !device.read_only) {
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
            if device.timer_access || device.is_audit() {
                share(
                    others.insert(&device.device, instance.name.as_str()),
                    "device-shared",
                    format!("`{}`", device.device),
                );
            }
        }
    }
}

/// Private memory of an instance, with its program at its largest and its tables.
fn memory_of(instance: &Instance) -> u64 {
    const TABLES: u64 = 256 << 10;
    if instance.id == layout::SECURITYD {
        return 0;
    }
    // Sizes that are too large are told elsewhere, and must not stop this rule.
    let dma = instance.dma.iter().map(|dma| dma.bytes);
    // Each further thread has a stack of the runtime's and an IPC buffer.
    let threads = u64::from(instance.further_threads()) * (32 << 10);
    let stacks = u64::from(instance.thread_stacks()).saturating_mul(instance.thread_stack);
    let parts = [instance.stack, instance.heap, instance.program_max, threads, stacks, TABLES];
    parts.into_iter().chain(dma).fold(0, u64::saturating_add)
}

fn check_memory(found: &mut Found<'_>, graph: &Graph) {
    let room = found.book.room;
    let regions = graph.sessions.iter().filter_map(|session| session.region);
    let private = graph.instances.iter().map(memory_of);
    let sum = regions.chain(private).fold(0, u64::saturating_add);
    if sum > room {
        let largest = graph
            .instances
            .iter()
            .max_by_key(|instance| memory_of(instance))
            .map_or("", |instance| instance.name.as_str());
        let message =
            format!("all instances take {}, but the smallest board that it is for leaves {}", Size(sum), Size(room));
        found.at(
            largest,
            "memory-exceeded",
            message,
            "this instance takes the most: make its heap smaller, tell the size of its program, or drop an instance",
        );
    }
}

/// With programs at their largest: a graph that is accepted can be installed, whatever is compiled.
fn check_slots(found: &mut Found<'_>, graph: &Graph) {
    for instance in &graph.instances {
        let program_pages = if instance.id == layout::SECURITYD { 0 } else { instance.program_max.div_ceil(4096) };
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
                "one for each 4 KiB of program, stacks, DMA memory and regions that it serves: make these smaller",
            );
        }
    }
}
