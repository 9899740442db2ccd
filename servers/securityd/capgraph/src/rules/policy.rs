//! Who may hold what is guarded: guards, allow lines, and what needs a line whether a guard says so or not.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_config::{Allow, Problem, Subject};

use super::Found;
use crate::graph::{Graph, Instance};
use crate::rulebook::Rulebook;

/// Something that an instance holds.
struct Holding {
    /// What an allow line must name.
    subject: Subject,
    /// What a guard would name.
    guarded: Subject,
    /// For people.
    words: String,
    /// Why it needs an allow line even without a guard, if it does.
    always: Option<&'static str>,
}

/// Checks every holding of every instance, and that no allow line is left over.
pub(super) fn check(found: &mut Found<'_>, graph: &Graph) {
    let book = found.book;
    let mut used = BTreeSet::new();
    for instance in &graph.instances {
        for holding in holdings(book, instance) {
            used.extend(check_holding(found, graph, instance, &holding));
        }
    }
    for (index, allow) in book.policy.allows.iter().enumerate() {
        if allow.product == graph.product && !used.contains(&index) {
            let message = format!("`{}` does not hold what this line allows", allow.instance);
            found.problems.push(at(
                allow,
                "unused-allow",
                message,
                "remove the line: an unused permission is a permission",
            ));
        }
    }
}

fn at(allow: &Allow, rule: &'static str, message: String, help: &str) -> Problem {
    Problem { file: allow.file.clone(), line: allow.line, rule, message, help: help.into() }
}

fn holdings(book: &Rulebook, instance: &Instance) -> Vec<Holding> {
    let plain = |subject: Subject, words: String| Holding { guarded: subject.clone(), subject, words, always: None };
    let mut holdings = Vec::new();
    for used in &instance.uses {
        holdings.push(plain(Subject::Interface(used.interface.clone()), used.interface.clone()));
    }
    for device in &instance.devices {
        let is_master = book.device(&device.device).is_some_and(|facts| facts.bus_master);
        let words = format!("the device {} ({})", device.device, device.compatible);
        let always = is_master.then_some("a bus master without an IOMMU reaches all memory");
        holdings.push(Holding { always, ..plain(Subject::Device(device.compatible.clone()), words) });
    }
    for dma in &instance.dma {
        let (subject, guarded) = (Subject::Dma(dma.name.clone()), Subject::Dma(String::new()));
        let words = format!("the DMA memory {}", dma.name);
        holdings.push(Holding { subject, guarded, words, always: Some("it is for bus masters only") });
    }
    for key in &instance.keys {
        let words = format!("the key {}", key.key);
        let always = Some("who holds a key can speak for it");
        holdings.push(Holding { always, ..plain(Subject::Key(key.key.clone()), words) });
    }
    for provided in &instance.provides {
        let facts = book.facts(&provided.interface);
        if facts.mints_resources || facts.takes_capabilities {
            let (subject, guarded) = (Subject::Grant(provided.name.clone()), Subject::Grant(String::new()));
            let words = format!("the right to pass capabilities on by {}", provided.name);
            holdings.push(Holding { subject, guarded, words, always: Some("it extends what others hold") });
        }
    }
    holdings
}

/// The allow line that covers the holding, if one is needed and there.
fn check_holding(found: &mut Found<'_>, graph: &Graph, instance: &Instance, holding: &Holding) -> Option<usize> {
    let policy = &found.book.policy;
    let guard = policy.guards.iter().find(|guard| guard.subject == holding.guarded);
    let reason = guard.map(|guard| guard.reason.as_str()).or(holding.always)?;
    let covers = |allow: &&Allow| {
        allow.product == graph.product && allow.instance == instance.name && allow.subject == holding.subject
    };
    let Some((index, allow)) = policy.allows.iter().enumerate().find(|(_, allow)| covers(allow)) else {
        let is_grant = matches!(holding.subject, Subject::Grant(_));
        let rule = if is_grant { "grant-without-policy" } else { "guarded" };
        let message = format!("`{}` holds {} without an allow line; {reason}", instance.name, holding.words);
        let help = "security adds an [[allow]] to kernel-config/policy, or the need goes";
        found.at(&instance.name, rule, message, help);
        return None;
    };
    if allow.expires < found.book.today {
        let message = format!(
            "what `{}` is allowed here ended on {}; {} answers for it",
            allow.instance, allow.expires, allow.owner
        );
        found.problems.push(at(allow, "expired", message, "decide again: a new day with a reason, or no line"));
    }
    Some(index)
}
