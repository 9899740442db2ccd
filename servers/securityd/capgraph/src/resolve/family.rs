//! Tells the supervisor who is spawned, by whom and as which program, as parameters of its own; decides nothing.

use crate::graph::{Graph, Instance};
use crate::rules::LIFECYCLE;

/// Who provides it is the parent of those that use it.
pub(super) const STREAMS: &str = "hybrid.process.Streams";

/// How the parameters begin that tell who is spawned; nobody else gives the supervisor such.
pub(super) const SPAWN: &str = "spawn.";

/// Adds to who supervises `spawn.INSTANCE` for every instance that is spawned: its parent and its path. servers/procd/src/family.rs reads them.
pub(super) fn tell(graph: &mut Graph) {
    let told: Vec<(String, String)> = graph.instances.iter().filter_map(|instance| spawned(graph, instance)).collect();
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
