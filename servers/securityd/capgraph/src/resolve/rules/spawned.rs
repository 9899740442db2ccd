//! Who is spawned: somebody may, somebody does it, and it stands where it can be read.

use super::super::family;
use crate::graph::{Graph, Instance};
use crate::rules::{Found, LIFECYCLE};

/// Who uses it can have programs started.
const SPAWNER: &str = "hybrid.process.Spawner";
/// Who uses it can ask what it is given.
const PROGRAM: &str = "hybrid.process.Program";
/// The longest path of a program (`PATH_MAX` of hybrid.process).
const PATH_MAX: usize = 64;

/// `start = "spawned"` of a whole graph. What is installed at run time is started by its installer, so the device need not know the rule.
pub(crate) fn check(found: &mut Found<'_>, graph: &Graph) {
    check_supervisors(found, graph);
    for instance in graph.instances.iter().filter(|instance| instance.is_spawned) {
        let name = &instance.name;
        let mut tell = |what: &str, help: &str| found.at(name, "bad-start", format!("`{name}` {what}"), help);
        let parent = family::parent(graph, instance);
        if parent.is_none_or(|parent| supervisor(graph, parent, SPAWNER).is_none()) {
            tell(
                "is spawned, and nobody can spawn it",
                "it has to use hybrid.process.Streams of one that uses hybrid.process.Spawner of the supervisor",
            );
        } else if supervisor(graph, instance, PROGRAM).is_none() {
            tell(
                "is spawned, and cannot ask what it is given",
                "it has to use hybrid.process.Program of the supervisor",
            );
        }
        if !is_of_the_boot(graph, instance) {
            tell("is spawned by one that it spawns itself", "the first of a family is started at boot");
        }
        if instance.place.is_some() || instance.awaits_verdict || !instance.devices.is_empty() {
            tell(
                "is spawned, and waits for something else, too",
                "a place, a driver and who waits for the verdict start otherwise",
            );
        }
        if graph.sessions.iter().any(|session| session.server == instance.id && session.has_operations) {
            tell("is spawned, and others call it", "who is called is there from the boot on");
        }
        if family::path(instance).is_some_and(|path| !is_path(path)) {
            tell(
                "is spawned by a path that is none",
                "up to 64 printable letters that begin with a slash; several last names have commas between them",
            );
        }
    }
}

/// What the supervisor is told of the family counts among its parameters.
fn check_supervisors(found: &mut Found<'_>, graph: &Graph) {
    let supervises = |instance: &&Instance| instance.uses_interface(LIFECYCLE);
    for Instance { name, parameters, .. } in graph.instances.iter().filter(supervises) {
        let told = parameters.iter().filter(|(key, _)| family::is_own(key)).count();
        if told > 0 && parameters.len() > found.book.limits.parameters_max {
            let message = format!("too many parameters: `{name}` is told of {told} that are spawned or commanded, too");
            found.at(name, "bad-value", message, "the limit is in kernel-config/limits.toml");
        }
    }
}

/// Whether one of those who spawn each other is not spawned: somebody has to be there first.
fn is_of_the_boot(graph: &Graph, instance: &Instance) -> bool {
    let mut ancestors = core::iter::successors(Some(instance), |child| family::parent(graph, child));
    ancestors.by_ref().take(graph.instances.len() + 1).any(|ancestor| !ancestor.is_spawned)
        || ancestors.next().is_none()
}

/// Who supervises, if the instance has this use of it.
pub(super) fn supervisor<'a>(graph: &'a Graph, instance: &Instance, interface: &str) -> Option<&'a Instance> {
    let used = instance.uses.iter().find(|used| used.interface == interface)?;
    let server = graph.instance(graph.session_of(used)?.server)?;
    server.uses_interface(LIFECYCLE).then_some(server)
}

/// One path, or one for each last name. servers/procd/src/family.rs reads them.
fn is_path(path: &str) -> bool {
    let Some((folder, names)) = path.rsplit_once('/').filter(|_| path.starts_with('/')) else { return false };
    let is_name = |name: &str| !name.is_empty() && folder.len() + 1 + name.len() <= PATH_MAX;
    names.split(',').all(is_name) && path.bytes().all(|letter| letter.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::{PATH_MAX, is_path};

    #[test]
    fn path_has_a_folder_and_names_that_are_not_empty() {
        let long = |letters: usize| format!("/{}", "x".repeat(letters));
        for path in ["/w", "/bin/w", "/bin/cat,ls,w", &long(PATH_MAX - 1), &format!("{},y", long(PATH_MAX - 1))] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "/", "w", "bin/w", "/bin/", "/bin/a,,b", "/bin/a,", "/bin/a b", "/b\u{e4}", &long(PATH_MAX)] {
            assert!(!is_path(path), "{path}");
        }
    }
}
