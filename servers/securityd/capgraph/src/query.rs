//! The golden text, the card of one component, and the graph as DOT; answers are plain text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::grant::{Grant, What, text_of};
use crate::graph::{Graph, Instance};
use crate::paths::Edge;

/// The text of `images/<product>/capgraph.golden`: a head, then one grant a line, sorted.
#[must_use]
pub fn golden(graph: &Graph) -> String {
    let head = "# Every grant of this product, one a line; made by `cargo xtask caps bless`, never by hand. securityd's dump prints the same lines.";
    format!("{head}\n{}", text_of(&graph.grants()))
}

/// One screen about one instance: what it holds and why, what it offers and to whom, memory, devices, who can reach it, whom it can
/// influence, and what it could come to hold. Empty for an instance that is not there.
#[must_use]
pub fn show(graph: &Graph, name: &str) -> String {
    let Some(instance) = graph.named(name) else { return String::new() };
    let edges = graph.edges();
    let mut out = head(instance);
    out += "holds, and why\n";
    for used in &instance.uses {
        let Some(session) = graph.session_of(used) else { continue };
        let how =
            [(session.has_operations, "call"), (session.region.is_some(), "memory"), (session.rings_server, "bell")];
        let how: Vec<&str> = how.iter().filter(|(is_there, _)| *is_there).map(|(_, word)| *word).collect();
        let target = graph.server_name(session);
        let _ = writeln!(out, "  {target:<20} {:<26} {:<17} # {}", used.interface, how.join("+"), used.reason);
    }
    for grant in graph.grants_of(instance).iter().filter(|grant| is_special(grant)) {
        let reason = match grant.what {
            What::Reply { .. } => "its answers may carry capabilities",
            What::CNode { .. } => "it receives or hands out capabilities",
            _ => &grant.reason,
        };
        let _ = writeln!(out, "  {:<20} {:<26} {:<17} # {reason}", grant.target, grant.kind, grant.what.verb());
    }
    out += "offers\n";
    for provided in &instance.provides {
        let sessions = provided.sessions.iter().filter_map(|session| graph.sessions.get(usize::from(*session)));
        let clients: Vec<&str> =
            sessions.filter_map(|session| graph.instance(session.client)).map(|client| client.name.as_str()).collect();
        let clients = if clients.is_empty() { "nobody".to_owned() } else { clients.join(", ") };
        let _ = writeln!(out, "  {:<20} {:<26} to {clients}", provided.name, provided.interface);
    }
    let step = |found: BTreeSet<&str>| {
        if found.is_empty() { "nobody".into() } else { found.into_iter().collect::<Vec<_>>().join(", ") }
    };
    let is_thread = |edge: &&Edge| !matches!(edge.how, "drives" | "reads");
    let into: BTreeSet<&str> = edges.iter().filter(|edge| edge.to == name).map(|edge| edge.from.as_str()).collect();
    let out_of: BTreeSet<&str> =
        edges.iter().filter(is_thread).filter(|edge| edge.from == name).map(|edge| edge.to.as_str()).collect();
    let far: BTreeSet<String> = influences(graph, name);
    let far: BTreeSet<&str> = far.iter().map(String::as_str).filter(|other| !out_of.contains(other)).collect();
    let _ = writeln!(out, "reached by            {}", step(into));
    let _ = writeln!(out, "influences directly   {}", step(out_of));
    let _ = writeln!(out, "  and through others  {}", step(far));
    let could = could_hold(graph, name);
    let _ = writeln!(out, "could come to hold    {}", step(could.iter().map(String::as_str).collect()));
    out
}

fn head(instance: &Instance) -> String {
    let kib = |bytes: u64| format!("{} KiB", bytes >> 10);
    let time = if instance.budget_us == instance.period_us {
        "no limit".into()
    } else {
        format!("{} of {} µs", instance.budget_us, instance.period_us)
    };
    let dma: u64 = instance.dma.iter().map(|dma| dma.bytes).sum();
    format!(
        "{} (instance {}, {})\npriority {}, time {time}, stack {}, heap {}, DMA memory {}, {} slots\n",
        instance.name,
        instance.id,
        instance.component,
        instance.priority,
        kib(instance.stack),
        kib(instance.heap),
        kib(dma),
        1u32 << instance.cnode_bits.min(31)
    )
}

/// Grants that are not a session's and not everybody's.
fn is_special(grant: &Grant) -> bool {
    match grant.what {
        What::Device { .. }
        | What::Interrupt { .. }
        | What::Timer
        | What::Audit { .. }
        | What::Shown { .. }
        | What::Dma { .. }
        | What::CNode { .. }
        | What::Key => true,
        What::Reply { rights, .. } => rights == crate::Rights::GRANT,
        _ => false,
    }
}

/// Interfaces of servers whose answers may hand `holder` further capabilities: nothing else ever adds to what it holds.
fn could_hold(graph: &Graph, holder: &str) -> BTreeSet<String> {
    let sessions = graph.sessions.iter().filter(|session| {
        let mints =
            graph.instance(session.server).and_then(|server| server.endpoint).is_some_and(|endpoint| endpoint.mints);
        let receives = graph.instance(session.client).is_some_and(|client| client.name == holder && client.own_cnode);
        session.has_operations && mints && receives
    });
    sessions.map(|session| format!("resources of {}", graph.server_name(session))).collect()
}

/// Instances that `from` can influence, by any chain of sessions.
fn influences(graph: &Graph, from: &str) -> BTreeSet<String> {
    let names = graph.instances.iter().map(|instance| &instance.name);
    let reached = reachable(graph, from);
    names.filter(|name| *name != from && reached.contains(*name)).cloned().collect()
}

fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let edges = graph.edges();
    let mut reached = BTreeSet::from([from.to_owned()]);
    loop {
        let new: Vec<String> = edges
            .iter()
            .filter(|edge| reached.contains(&edge.from) && !reached.contains(&edge.to))
            .map(|edge| edge.to.clone())
            .collect();
        if new.is_empty() {
            return reached;
        }
        reached.extend(new);
    }
}

/// The graph as DOT: solid lines for calls, dashed for rings, devices as boxes.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n", graph.product);
    for instance in &graph.instances {
        let _ = writeln!(text, "  \"{}\" [label=\"{}\\n{}\"];", instance.name, instance.name, instance.priority);
        for device in &instance.devices {
            let _ = writeln!(text, "  \"{}\" [shape=box];", device.device);
            let _ = writeln!(text, "  \"{}\" -> \"{}\";", instance.name, device.device);
        }
    }
    for session in &graph.sessions {
        let name = |id| graph.instance(id).map_or("?", |instance| instance.name.as_str());
        let style = if session.has_operations { "solid" } else { "dashed" };
        let (client, server, label) = (name(session.client), name(session.server), graph.server_name(session));
        let _ = writeln!(text, "  \"{client}\" -> \"{server}\" [label=\"{label}\" style={style}];");
    }
    text + "}\n"
}
