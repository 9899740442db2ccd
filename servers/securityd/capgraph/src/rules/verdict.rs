//! Who is started after the auditor's verdict: whoever must be, and nobody on whom it depends.

use alloc::collections::BTreeSet;
use alloc::format;

use super::{Found, LIFECYCLE};
use crate::graph::{Graph, Instance};

/// Who uses it hears the auditor's verdict.
const LIVE: &str = "hybrid.live.Live";
/// Who has it, on either side, moves frames.
const LINK: &str = "hybrid.net.link.Link";

pub(super) fn check(found: &mut Found<'_>, graph: &Graph) {
    let judges = |instance: &&Instance| instance.uses_interface(LIFECYCLE) && instance.uses_interface(LIVE);
    let judge = graph.instances.iter().find(judges);
    let needed = judge.map(|judge| needs(graph, judge.id)).unwrap_or_default();
    let has_auditor = graph.instances.iter().any(|instance| instance.devices.iter().any(|device| device.is_audit()));
    for instance in &graph.instances {
        let name = &instance.name;
        let moves_frames =
            instance.uses_interface(LINK) || instance.provides.iter().any(|provided| provided.interface == LINK);
        if has_auditor && moves_frames && !instance.awaits_verdict {
            let message = format!("`{name}` moves frames before anybody knows whether live is as declared");
            found.at(name, "before-verdict", message, "add `after = \"verdict\"` to it");
        }
        if !instance.awaits_verdict {
            continue;
        }
        if judge.is_none() {
            let message = format!("`{name}` waits for a verdict, and nobody starts it then");
            let help = format!("somebody has to use both {LIFECYCLE} and {LIVE}");
            found.at(name, "bad-after", message, &help);
        } else if needed.contains(&instance.id) {
            let message = format!("`{name}` waits for a verdict that needs it");
            found.at(name, "bad-after", message, "who supervises and who audits call it, so it comes before them");
        } else if instance.place.is_some() {
            let message = format!("the place `{name}` waits for a verdict, but its installer decides when it starts");
            found.at(name, "bad-after", message, "leave out `after`");
        }
    }
}

/// An instance and all that it calls, directly or not.
pub(crate) fn needs(graph: &Graph, id: u16) -> BTreeSet<u16> {
    let mut all = BTreeSet::new();
    let mut pending = alloc::vec![id];
    while let Some(id) = pending.pop() {
        if all.insert(id) {
            let calls = graph.sessions.iter().filter(|session| session.has_operations && session.client == id);
            pending.extend(calls.map(|session| session.server));
        }
    }
    all
}
