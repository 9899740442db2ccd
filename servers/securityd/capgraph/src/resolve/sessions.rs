//! Routes become sessions; the order in which instances start; no slots and no addresses.

use std::collections::BTreeMap;

use hybrid_config::{PAGE, Problem};

use super::Inputs;
use super::text::{ComponentText, InstanceText};
use crate::graph::{Graph, Session};
use crate::layout;

/// Joins every use with the provided interface that its route names.
pub(crate) fn join(inputs: &Inputs<'_>, graph: &mut Graph, problems: &mut Vec<Problem>) {
    let mut placed: Vec<_> = inputs.placed().collect();
    placed.sort_by_key(|(instance, _)| *instance.id.get_ref());
    for (instance, component) in placed {
        check_routes(inputs, instance, component, problems);
        for (index, used) in component.uses.iter().enumerate().take(layout::USES_MAX) {
            if let Some(session) = session(inputs, instance, index, used.name.get_ref(), used.interface.get_ref(), problems) {
                attach(graph, session);
            }
        }
    }
}

fn check_routes(inputs: &Inputs<'_>, instance: &InstanceText, component: &ComponentText, problems: &mut Vec<Problem>) {
    let source = &inputs.system.source;
    let name = instance.name.get_ref();
    for used in &component.uses {
        if !instance.routes.contains_key(used.name.get_ref()) {
            let message = format!("`{name}` has no route for its use `{}` ({})", used.name.get_ref(), used.interface.get_ref());
            let help = format!("add `{} = \"<instance>.<provided name>\"` to its routes", used.name.get_ref());
            problems.push(source.problem(instance.name.span(), "unrouted-use", message, help));
        }
    }
    for (key, route) in &instance.routes {
        if !component.uses.iter().any(|used| used.name.get_ref() == key) {
            let message = format!("`{name}` routes `{key}`, but its component uses nothing of that name");
            problems.push(source.problem(route.span(), "unused-route", message, "remove the route, or add the use to component.toml"));
        }
    }
}

fn session(inputs: &Inputs<'_>, instance: &InstanceText, index: usize, used: &str, interface: &str, problems: &mut Vec<Problem>) -> Option<Session> {
    let source = &inputs.system.source;
    let route = instance.routes.get(used)?;
    let mut report = |rule, message: String, help: &str| problems.push(source.problem(route.span(), rule, message, help));
    if route.get_ref().contains('*') || route.get_ref() == "any" {
        report("wildcard-route", format!("the route of `{used}` matches more than one thing"), "name one instance and one provided interface");
        return None;
    }
    let Some((server, provided)) = route.get_ref().split_once('.') else {
        report("bad-value", format!("`{}` is no route", route.get_ref()), "write \"<instance>.<provided name>\"");
        return None;
    };
    let target = inputs.placed().find(|(other, _)| other.name.get_ref() == server);
    let Some((target, component)) = target else {
        report("unknown-instance", format!("there is no instance `{server}`"), "name an instance of this product");
        return None;
    };
    let found = component.provides.iter().position(|offer| offer.name.get_ref() == provided);
    let Some(found) = found else {
        report("unknown-interface", format!("`{server}` provides nothing called `{provided}`"), "look at its component.toml");
        return None;
    };
    let offered = component.provides[found].interface.get_ref();
    if offered != interface {
        report("interface-mismatch", format!("`{used}` wants {interface}, but `{}` is {offered}", route.get_ref()), "route it to the same interface");
        return None;
    }
    if target.name.get_ref() == instance.name.get_ref() {
        report("call-cycle", format!("`{server}` is routed to itself"), "a component calls its own code directly");
        return None;
    }
    let facts = inputs.interfaces.facts(interface)?;
    let has_bells = facts.has_rings || facts.has_events;
    Some(Session {
        client: *instance.id.get_ref(),
        client_use: u8::try_from(index).ok()?,
        server: *target.id.get_ref(),
        provided: u8::try_from(found).ok()?,
        has_operations: facts.has_operations,
        region: facts.has_rings.then_some(facts.region_bytes.next_multiple_of(PAGE)),
        rings_server: facts.has_rings,
        rings_client: has_bells,
        client_port: None,
        server_port: None,
    })
}

fn attach(graph: &mut Graph, session: Session) {
    let Ok(index) = u16::try_from(graph.sessions.len()) else { return };
    let used = graph.instances.iter_mut().find(|instance| instance.id == session.client);
    if let Some(used) = used.and_then(|instance| instance.uses.get_mut(usize::from(session.client_use))) {
        used.session = index;
    }
    let server = graph.instances.iter_mut().find(|instance| instance.id == session.server);
    if let Some(provided) = server.and_then(|instance| instance.provides.get_mut(usize::from(session.provided))) {
        provided.sessions.push(index);
    }
    graph.sessions.push(session);
}

/// Servers before the clients that call them; among equals the more important first, then by id.
pub(crate) fn start_order(graph: &Graph) -> Vec<u16> {
    let mut depth: BTreeMap<u16, usize> = graph.instances.iter().map(|instance| (instance.id, 0)).collect();
    // Longest call chain below each instance; bounded, so that a cycle (reported elsewhere) ends too.
    for _ in 0..graph.instances.len() {
        for session in graph.sessions.iter().filter(|session| session.has_operations) {
            let below = depth.get(&session.server).copied().unwrap_or(0) + 1;
            if let Some(own) = depth.get_mut(&session.client) {
                *own = (*own).max(below);
            }
        }
    }
    let mut order: Vec<_> = graph.instances.iter().collect();
    order.sort_by_key(|instance| (instance.id != layout::SECURITYD, depth.get(&instance.id).copied(), u8::MAX - instance.priority, instance.id));
    order.into_iter().map(|instance| instance.id).collect()
}
