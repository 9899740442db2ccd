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
            if let Some(session) =
                session(inputs, instance, index, used.name.get_ref(), used.interface.get_ref(), problems)
            {
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
            let message =
                format!("`{name}` has no route for its use `{}` ({})", used.name.get_ref(), used.interface.get_ref());
            let help = format!("add `{} = \"<instance>.<provided name>\"` to its routes", used.name.get_ref());
            problems.push(source.problem(instance.name.span(), "unrouted-use", message, help));
        }
    }
    for (key, route) in &instance.routes {
        if !component.uses.iter().any(|used| used.name.get_ref() == key) {
            let message = format!("`{name}` routes `{key}`, but its component uses nothing of that name");
            problems.push(source.problem(
                route.span(),
                "unused-route",
                message,
                "remove the route, or add the use to component.toml",
            ));
        }
    }
}

fn session(
    inputs: &Inputs<'_>,
    instance: &InstanceText,
    index: usize,
    used: &str,
    interface: &str,
    problems: &mut Vec<Problem>,
) -> Option<Session> {
    let route = instance.routes.get(used)?;
    let (target, provided) = match target(inputs, instance, used, interface, route.get_ref()) {
        Ok(found) => found,
        Err((rule, message, help)) => {
            problems.push(inputs.system.source.problem(route.span(), rule, message, help));
            return None;
        }
    };
    let facts = inputs.interfaces.facts(interface)?;
    Some(Session {
        client: *instance.id.get_ref(),
        client_use: u8::try_from(index).ok()?,
        server: *target.id.get_ref(),
        provided: u8::try_from(provided).ok()?,
        has_operations: facts.has_operations,
        region: facts.has_rings.then_some(facts.region_bytes.next_multiple_of(PAGE)),
        rings_server: facts.has_rings,
        rings_client: facts.has_rings || facts.has_events,
        client_port: None,
        server_port: None,
    })
}

/// Rule, message and help.
type Refusal = (&'static str, String, &'static str);

/// The instance that a route names, and the index of the provided interface; it must be the interface that is wanted.
fn target<'a>(
    inputs: &'a Inputs<'_>,
    instance: &InstanceText,
    used: &str,
    interface: &str,
    route: &str,
) -> Result<(&'a InstanceText, usize), Refusal> {
    let refuse = |rule, message: String, help| Err((rule, message, help));
    if route.contains('*') || route == "any" {
        let message = format!("the route of `{used}` matches more than one thing");
        return refuse("wildcard-route", message, "name one instance and one provided interface");
    }
    let Some((server, provided)) = route.split_once('.') else {
        return refuse("bad-value", format!("`{route}` is no route"), "write \"<instance>.<provided name>\"");
    };
    let Some((target, component)) = inputs.placed().find(|(other, _)| other.name.get_ref() == server) else {
        let message = format!("there is no instance `{server}`");
        return refuse("unknown-instance", message, "name an instance of this product");
    };
    let Some(found) = component.provides.iter().position(|offer| offer.name.get_ref() == provided) else {
        let message = format!("`{server}` provides nothing called `{provided}`");
        return refuse("unknown-interface", message, "look at its component.toml");
    };
    let offered = component.provides[found].interface.get_ref();
    if offered != interface {
        let message = format!("`{used}` wants {interface}, but `{route}` is {offered}");
        return refuse("interface-mismatch", message, "route it to the same interface");
    }
    if target.name.get_ref() == instance.name.get_ref() {
        let message = format!("`{server}` is routed to itself");
        return refuse("call-cycle", message, "a component calls its own code directly");
    }
    Ok((target, found))
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
    order.sort_by_key(|instance| {
        (instance.id != layout::SECURITYD, depth.get(&instance.id).copied(), u8::MAX - instance.priority, instance.id)
    });
    order.into_iter().map(|instance| instance.id).collect()
}
