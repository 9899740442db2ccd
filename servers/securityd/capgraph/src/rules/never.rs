//! What must never be, and the exceptions from it; an exception that is over or does nothing is a finding itself.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_config::{Except, Forbidden, Holder, Never, Problem};

use super::Found;
use crate::graph::{Graph, Instance};
use crate::layout::priority;

/// An instance that breaks a never rule, and in which way.
struct Breach {
    rule: &'static str,
    instance: String,
    words: String,
}

pub(super) fn check(found: &mut Found<'_>, graph: &Graph) {
    let policy = &found.book.policy;
    let mut used = BTreeSet::new();
    for never in &policy.nevers {
        for breach in breaches(graph, &never.forbidden) {
            let covers = |except: &Except| {
                except.never == never.id && except.product == graph.product && except.instance == breach.instance
            };
            match policy.excepts.iter().enumerate().find(|(_, except)| covers(except)) {
                Some((index, except)) => {
                    used.insert(index);
                    check_day(found, except);
                }
                None => report(found, never, &breach),
            }
        }
    }
    for (index, except) in policy.excepts.iter().enumerate() {
        let is_known = policy.nevers.iter().any(|never| never.id == except.never);
        if !is_known || (except.product == graph.product && !used.contains(&index)) {
            let message = format!("`{}` needs no exception from {}", except.instance, except.never);
            found.problems.push(at(except, "unused-except", message, "remove it: an unused exception is a hole"));
        }
    }
}

fn check_day(found: &mut Found<'_>, except: &Except) {
    if except.expires < found.book.today {
        let message = format!(
            "the exception of `{}` from {} ended on {}; {} answers for it",
            except.instance, except.never, except.expires, except.owner
        );
        let help = "mend what it excuses, or decide again: a new day with a reason";
        found.problems.push(at(except, "expired", message, help));
    }
}

fn report(found: &mut Found<'_>, never: &Never, breach: &Breach) {
    let message = format!(
        "`{}` {}; {} ({}:{}): {}",
        breach.instance, breach.words, never.id, never.file, never.line, never.reason
    );
    let help = "split the component or change its routes; an exception needs an owner, a reason and a last day";
    found.at(&breach.instance, breach.rule, message, help);
}

fn at(except: &Except, rule: &'static str, message: String, help: &str) -> Problem {
    Problem { file: except.file.clone(), line: except.line, rule, message, help: help.into() }
}

/// Every instance that does what is forbidden, each once.
fn breaches(graph: &Graph, forbidden: &Forbidden) -> Vec<Breach> {
    let breach = |rule, instance: &Instance, words| Breach { rule, instance: instance.name.clone(), words };
    let mut found = Vec::new();
    for instance in &graph.instances {
        match forbidden {
            Forbidden::Both(first, second) if is(instance, first) && is(instance, second) => {
                let words = format!("is both {} and {}", name(first), name(second));
                found.push(breach("never-both", instance, words));
            }
            Forbidden::SharesPage(holder, other) if is(instance, holder) => {
                if let Some(peer) = peers(graph, instance, Kind::Memory).find(|peer| is(peer, other)) {
                    let words = format!("shares a page with `{}`, which is {}", peer.name, name(other));
                    found.push(breach("never-shares-page", instance, words));
                }
            }
            Forbidden::ReachesDevice(holder, device) if is(instance, holder) => {
                let drives = |other: &Instance| other.devices.iter().any(|own| own.compatible == *device);
                let through = peers(graph, instance, Kind::Any).find(|peer| drives(peer));
                if drives(instance) {
                    found.push(breach("never-reaches-device", instance, format!("holds a device {device}")));
                } else if let Some(peer) = through {
                    let words = format!("has a route to `{}`, which holds a device {device}", peer.name);
                    found.push(breach("never-reaches-device", instance, words));
                }
            }
            Forbidden::Granted(holder, other) if is(instance, holder) => {
                if let Some(server) = peers(graph, instance, Kind::Grants).find(|peer| is(peer, other)) {
                    let words = format!("can be handed capabilities by `{}`, which is {}", server.name, name(other));
                    found.push(breach("never-granted", instance, words));
                }
            }
            _ => {}
        }
    }
    found
}

/// What joins two instances.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A region, either way.
    Memory,
    /// A route of the instance's own, to the server.
    Any,
    /// A route whose answers carry capabilities, to the server.
    Grants,
}

fn peers<'a>(graph: &'a Graph, instance: &'a Instance, kind: Kind) -> impl Iterator<Item = &'a Instance> {
    graph.sessions.iter().filter_map(move |session| {
        let server = graph.instance(session.server);
        let mints = server.and_then(|server| server.endpoint).is_some_and(|endpoint| endpoint.mints);
        let is_client = session.client == instance.id;
        match kind {
            Kind::Memory if session.region.is_none() => None,
            Kind::Memory if is_client => server,
            Kind::Memory if session.server == instance.id => graph.instance(session.client),
            Kind::Any if is_client => server,
            Kind::Grants if is_client && session.has_operations && mints && instance.own_cnode => server,
            _ => None,
        }
    })
}

fn is(instance: &Instance, holder: &Holder) -> bool {
    match holder {
        Holder::Interface(name) => instance.uses.iter().any(|used| used.interface == *name),
        Holder::Device(name) => instance.devices.iter().any(|device| device.compatible == *name),
        Holder::Key(name) => instance.keys.iter().any(|key| key.key == *name),
        Holder::Class(name) => instance.priority == priority(name),
        Holder::Instance(name) => instance.name == *name,
    }
}

fn name(holder: &Holder) -> String {
    match holder {
        Holder::Interface(name) => format!("a holder of {name}"),
        Holder::Device(name) => format!("a holder of a device {name}"),
        Holder::Key(name) => format!("a holder of the key {name}"),
        Holder::Class(name) => format!("of the class {name}"),
        Holder::Instance(name) => format!("`{name}`"),
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::path::Path;

    use hybrid_config::{Date, Forbidden, Holder};

    use super::breaches;
    use crate::graph::{Device, Endpoint, Graph, Session, Trigger, Use};

    fn gateway() -> (Graph, crate::Rulebook) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let interfaces = crate::idl_interfaces(&root).unwrap();
        crate::resolve_whole(&root, "gateway", "qemu-virt", &interfaces, Date::parse("2026-11-24").unwrap()).unwrap()
    }

    /// Makes the instance at `index` one of `holder`.
    fn become_one(graph: &mut Graph, index: usize, holder: &Holder) {
        let instance = &mut graph.instances[index];
        match holder {
            Holder::Interface(interface) => instance.uses.push(Use {
                name: "more".into(),
                interface: interface.clone(),
                reason: "a test".into(),
                session: u16::MAX,
            }),
            Holder::Device(compatible) => instance.devices.push(Device {
                name: "more".into(),
                device: "more".into(),
                compatible: compatible.clone(),
                reason: "a test".into(),
                page: None,
                irq: None,
                trigger: Trigger::Level,
                timer_access: false,
                page_bits: 12,
                read_only: false,
            }),
            Holder::Key(key) => instance.keys.push(crate::Key {
                name: "more".into(),
                key: key.clone(),
                class: "c".into(),
                reason: "a test".into(),
            }),
            Holder::Class(class) => instance.priority = crate::layout::priority(class),
            Holder::Instance(name) => instance.name.clone_from(name),
        }
    }

    fn join(graph: &mut Graph, client: usize, server: usize) {
        graph.instances[client].own_cnode = true;
        graph.instances[server].endpoint = Some(Endpoint { mints: true });
        let (client, server) = (graph.instances[client].id, graph.instances[server].id);
        graph.sessions.push(Session {
            client,
            client_use: 0,
            server,
            provided: 0,
            has_operations: true,
            region: Some(4096),
            rings_server: true,
            is_on_demand: false,
            limits: crate::limit::Limits::default(),
            rings_client: true,
            client_port: None,
            server_port: None,
        });
    }

    /// Every never rule of `kernel-config/policy`: a graph that is the smallest breach of it, and the gateway, which is none.
    #[test]
    fn each_never_rule_of_the_policy_refuses_its_breach_and_accepts_the_gateway() {
        let (whole, book) = gateway();
        assert!(!book.policy.nevers.is_empty());
        for never in &book.policy.nevers {
            assert!(breaches(&whole, &never.forbidden).is_empty(), "{} is broken by the gateway", never.id);
            let mut graph = crate::graph::tests::sample();
            graph.sessions.clear();
            assert!(breaches(&graph, &never.forbidden).is_empty(), "{} is broken by nothing", never.id);
            match &never.forbidden {
                Forbidden::Both(first, second) => {
                    become_one(&mut graph, 1, first);
                    assert!(breaches(&graph, &never.forbidden).is_empty(), "{}: one alone is no breach", never.id);
                    become_one(&mut graph, 1, second);
                }
                Forbidden::SharesPage(first, second) | Forbidden::Granted(first, second) => {
                    become_one(&mut graph, 1, first);
                    become_one(&mut graph, 0, second);
                    assert!(breaches(&graph, &never.forbidden).is_empty(), "{}: no session, no breach", never.id);
                    join(&mut graph, 1, 0);
                }
                Forbidden::ReachesDevice(holder, device) => {
                    become_one(&mut graph, 1, holder);
                    become_one(&mut graph, 0, &Holder::Device(device.clone()));
                    assert!(breaches(&graph, &never.forbidden).is_empty(), "{}: no route, no breach", never.id);
                    join(&mut graph, 1, 0);
                }
            }
            let names: Vec<String> =
                breaches(&graph, &never.forbidden).into_iter().map(|breach| breach.instance).collect();
            assert_eq!(names, [graph.instances[1].name.clone()], "{}", never.id);
        }
    }
}
