//! Routes become sessions; the order in which instances start; no slots and no addresses.

use std::collections::BTreeMap;

use hybrid_config::Problem;

use super::Inputs;
use super::text::{ComponentText, InstanceText};
use crate::graph::Graph;
use crate::join::{self, Route};
use crate::layout;
use crate::rulebook::Rulebook;

/// Joins every use with the provided interface that its route names.
pub(crate) fn join_all(inputs: &Inputs<'_>, book: &Rulebook, graph: &mut Graph, problems: &mut Vec<Problem>) {
    let mut placed: Vec<_> = inputs.placed().collect();
    placed.sort_by_key(|(instance, _)| *instance.id.get_ref());
    for (instance, component) in placed {
        check_routes(inputs, instance, component, problems);
        for (index, used) in component.uses.iter().enumerate().take(layout::USES_MAX) {
            let Some(target) = instance.routes.get(used.name.get_ref()) else { continue };
            let (client, name, interface) = (*instance.id.get_ref(), used.name.get_ref(), used.interface.get_ref());
            let (asked, allowed, is_on_demand) = (used.asked(), target.get_ref().allowed(), used.on_demand);
            let route = Route { client, index, name, interface, is_on_demand, limits: (&asked, &allowed) };
            match join::session(graph, book, &route, target.get_ref().target()) {
                Ok(session) => join::attach(graph, session),
                Err((rule, message, help)) => {
                    problems.push(inputs.system.source.problem(target.span(), rule, message, help));
                }
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
