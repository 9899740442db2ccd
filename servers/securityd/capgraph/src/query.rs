//! The golden text, and the questions that a reviewer asks of a graph; answers are plain text.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use crate::grant::{Grant, What, text_of};
use crate::graph::{Graph, Session};

/// The text of `images/<product>/capgraph.golden`: a head, then one grant a line, sorted.
#[must_use]
pub fn golden(graph: &Graph) -> String {
    let head = "# Every grant of this product, one a line; made by `cargo xtask caps bless`, never by hand. securityd's dump prints the same lines.";
    format!("{head}\n{}", text_of(&graph.grants()))
}

/// Who holds something: grants whose target, kind or verb is `what` (`netd.tcp`, `hybrid.net.stack.Tcp`, `uart0`, `dma`), one a line.
#[must_use]
pub fn who(graph: &Graph, what: &str) -> String {
    let matches = |grant: &Grant| grant.target == what || grant.kind == what || grant.what.verb() == what;
    lines(graph, |grant| matches(grant))
}

/// Everything that one instance holds, who reaches it, and the two closures: what it could come to hold, and whom it can influence.
#[must_use]
pub fn show(graph: &Graph, instance: &str) -> String {
    let held = lines(graph, |grant| grant.holder == instance);
    let prefix = format!("{instance}.");
    let reaches = lines(graph, |grant| {
        grant.target.starts_with(&prefix)
            && matches!(grant.what, What::Call { .. } | What::Bell { .. } | What::Region { .. })
    });
    let could_hold = listed(&could_hold(graph, instance));
    let influences = listed(&influences(graph, instance));
    format!(
        "# {instance} holds\n{held}# and is reached by\n{reaches}# could come to hold resources of\n{could_hold}# \
         can influence, step by step, through calls, answers and rings\n{influences}"
    )
}

/// Provided interfaces whose answers may hand `holder` further capabilities: nothing else ever adds to what it holds.
#[must_use]
pub fn could_hold(graph: &Graph, holder: &str) -> BTreeSet<String> {
    let sessions = graph
        .sessions
        .iter()
        .filter(|session| graph.instance(session.client).is_some_and(|client| client.name == holder));
    let mints = |session: &&Session| {
        graph.instance(session.server).and_then(|server| server.endpoint).is_some_and(|endpoint| endpoint.mints)
    };
    sessions.filter(|session| session.has_operations).filter(mints).map(|session| graph.server_name(session)).collect()
}

/// Instances that `from` can influence, by any chain of sessions.
#[must_use]
pub fn influences(graph: &Graph, from: &str) -> BTreeSet<String> {
    let names = graph.instances.iter().map(|instance| instance.name.as_str());
    names.filter(|name| *name != from && chain(graph, from, name).is_some()).map(str::to_owned).collect()
}

fn listed(names: &BTreeSet<String>) -> String {
    names.iter().fold(String::new(), |text, name| text + name + "\n")
}

/// Why `holder` can reach `target` (an instance, or `instance.interface`): the direct grants, else the shortest chain of influence.
#[must_use]
pub fn why(graph: &Graph, holder: &str, target: &str) -> String {
    let prefix = format!("{target}.");
    let direct =
        lines(graph, |grant| grant.holder == holder && (grant.target == target || grant.target.starts_with(&prefix)));
    if !direct.is_empty() {
        return format!("# {holder} holds this of {target}\n{direct}");
    }
    let server = target.split('.').next().unwrap_or(target);
    match chain(graph, holder, server) {
        Some(chain) => {
            format!("# {holder} holds nothing of {target}, but can influence it through\n{}\n", chain.join(" -> "))
        }
        None => format!("# {holder} neither holds anything of {target} nor can influence it\n"),
    }
}

/// The graph as DOT: solid lines for calls, dashed for rings, devices as boxes.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n", graph.product);
    for instance in &graph.instances {
        let _ = writeln!(text, "  \"{}\" [label=\"{}\\n{}\"];", instance.name, instance.name, instance.priority);
        for device in &instance.devices {
            let _ = writeln!(
                text,
                "  \"{}\" [shape=box];\n  \"{}\" -> \"{}\";",
                device.device, instance.name, device.device
            );
        }
    }
    for session in &graph.sessions {
        let name = |id| graph.instance(id).map_or("?", |instance| instance.name.as_str());
        let style = if session.has_operations { "solid" } else { "dashed" };
        let label = graph.server_name(session);
        let _ = writeln!(
            text,
            "  \"{}\" -> \"{}\" [label=\"{label}\" style={style}];",
            name(session.client),
            name(session.server)
        );
    }
    text + "}\n"
}

fn lines(graph: &Graph, matches: impl Fn(&Grant) -> bool) -> String {
    let grants: Vec<Grant> = graph.grants().into_iter().filter(matches).collect();
    text_of(&grants)
}

/// Shortest path over sessions, both ways: a ring or an answer carries influence back.
fn chain(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut neighbours: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for session in &graph.sessions {
        let client = graph.instance(session.client)?.name.as_str();
        let server = graph.instance(session.server)?.name.as_str();
        neighbours.entry(client).or_default().insert(server);
        neighbours.entry(server).or_default().insert(client);
    }
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(here) = queue.pop_front() {
        if here == to {
            let mut path = vec![here.to_owned()];
            let mut step = here;
            while let Some(before) = came_from.get(step).filter(|_| step != from) {
                path.push((*before).to_owned());
                step = before;
            }
            path.reverse();
            return Some(path);
        }
        for next in neighbours.get(here).into_iter().flatten() {
            if *next != from && !came_from.contains_key(next) {
                came_from.insert(next, here);
                queue.push_back(next);
            }
        }
    }
    None
}
