//! Tells the supervisor who is spawned, by whom and as what, and who waits for a command; decides nothing.

use crate::graph::{Graph, Instance};
use crate::rules::LIFECYCLE;

/// Who provides it is the parent of those that use it.
pub(super) const STREAMS: &str = "hybrid.process.Streams";

/// How the parameters begin that tell who is spawned, and who waits for a command; nobody else gives the supervisor such.
const SPAWN: &str = "spawn.";
const COMMAND: &str = "command.";

/// Whether a parameter of the supervisor's is the resolver's own.
pub(super) fn is_own(key: &str) -> bool {
    key.starts_with(SPAWN) || key.starts_with(COMMAND)
}

/// Adds to who supervises `spawn.INSTANCE` for every instance that is spawned: its parent and its path; and `command.INSTANCE` for every one that a
/// command starts. servers/procd reads them.
pub(super) fn tell(graph: &mut Graph) {
    let spawned = graph.instances.iter().filter_map(|instance| spawned(graph, instance));
    let commanded = graph.instances.iter().filter(|instance| instance.awaits_command);
    let commanded = commanded.map(|instance| (format!("{COMMAND}{}", instance.name), String::new()));
    let told: Vec<(String, String)> = spawned.chain(commanded).collect();
    for supervisor in graph.instances.iter_mut().filter(|instance| instance.uses_interface(LIFECYCLE)) {
        supervisor.parameters.extend(told.iter().cloned());
    }
}

/// The path is the parameter `path`, else `/bin/` and the name of the program.
fn spawned(graph: &Graph, instance: &Instance) -> Option<(String, String)> {
    let parent = parent(graph, instance).filter(|_| instance.is_spawned)?;
    let path = path(instance).map_or_else(|| format!("/bin/{}", instance.program()), String::from);
    Some((format!("{SPAWN}{}", instance.name), format!("{} {path}", parent.name)))
}

/// The parameter `path`, if it has one.
pub(super) fn path(instance: &Instance) -> Option<&str> {
    instance.parameters.iter().find(|(key, _)| key == "path").map(|(_, path)| path.as_str())
}

/// Who provides its standard streams.
pub(super) fn parent<'a>(graph: &'a Graph, instance: &Instance) -> Option<&'a Instance> {
    let used = instance.uses.iter().find(|used| used.interface == STREAMS)?;
    graph.instance(graph.session_of(used)?.server)
}
