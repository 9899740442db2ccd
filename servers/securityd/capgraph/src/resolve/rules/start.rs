//! Who is started when its device is found, or by a command: somebody does it, and does not need it for that.

use super::super::finder::is_driven;
use super::spawned::supervisor;
use crate::graph::{Graph, Instance, Policy};
use crate::rules::{Found, LIFECYCLE, needs};

/// Who uses it tells which devices are there.
const DRIVERS: &str = "hybrid.process.Drivers";
/// Who uses it can have others started.
const SERVICES: &str = "hybrid.process.Services";

/// `start = "on-device"` of a whole graph. What is installed at run time can have no device, so the device need not know the rule.
pub(crate) fn check(found: &mut Found<'_>, graph: &Graph) {
    let needed = finder(graph).map(|finder| needs(graph, finder.id));
    for instance in graph.instances.iter().filter(|instance| instance.awaits_device) {
        let name = &instance.name;
        let mut tell = |what: &str, help: &str| found.at(name, "bad-start", format!("`{name}` {what}"), help);
        match &needed {
            None => tell(
                "starts when its device is found, and nobody looks for it",
                "somebody who is shown the device tree has to use hybrid.process.Drivers of the supervisor",
            ),
            Some(needed) if needed.contains(&instance.id) => tell(
                "starts when its device is found, and is needed to find it",
                "who looks for devices and who supervises call it, so it starts at boot",
            ),
            Some(_) => {}
        }
        if instance.devices.is_empty() || !instance.devices.iter().all(is_driven) {
            tell(
                "starts when its device is found, and has one that cannot be, or none",
                "only what is in the device tree or behind a transport is found",
            );
        }
        if instance.place.is_some() {
            tell("is a place, which its installer starts", "leave out `start`");
        }
    }
}

/// `start = "command"` of a whole graph.
pub(crate) fn check_commanded(found: &mut Found<'_>, graph: &Graph) {
    // Who waits for somebody else may wait for ever.
    let is_operator = |instance: &Instance| {
        let is_there = !instance.awaits_command && !instance.is_spawned;
        is_there && supervisor(graph, instance, SERVICES).is_some()
    };
    let is_any_operator = graph.instances.iter().any(is_operator);
    for instance in graph.instances.iter().filter(|instance| instance.awaits_command) {
        let name = &instance.name;
        let mut tell = |what: &str, help: &str| found.at(name, "bad-start", format!("`{name}` {what}"), help);
        if !is_any_operator {
            tell(
                "is started by a command, and nobody can give one",
                "somebody who runs without a command has to use hybrid.process.Services of the supervisor",
            );
        }
        if instance.restart.policy != Policy::Never {
            tell(
                "is started by a command, and without one when it ended",
                "its component.toml has to say `policy = \"never\"` in [restart]",
            );
        }
        if instance.place.is_some() || instance.awaits_verdict {
            tell(
                "is started by a command, and waits for something else, too",
                "leave out `after`; a place is started by its installer",
            );
        }
        if graph.sessions.iter().any(|session| session.server == instance.id && session.has_operations) {
            tell("is started by a command, and others call it", "who is called is there from the boot on");
        }
    }
}

/// It is shown the device tree, and tells the supervisor.
fn finder(graph: &Graph) -> Option<&Instance> {
    let tells = |finder: &&Instance| {
        let used = finder.uses.iter().filter(|used| used.interface == DRIVERS);
        let mut servers = used.filter_map(|used| graph.instance(graph.session_of(used)?.server));
        finder.devices.iter().any(crate::Device::is_tree) && servers.any(|server| server.uses_interface(LIFECYCLE))
    };
    graph.instances.iter().find(tells)
}
