//! A route becomes a session, at build time and on the device; no slots and no addresses.

use alloc::format;
use alloc::string::String;

use crate::graph::{Graph, Session};
use crate::layout;
use crate::limit::{Asked, meet};
use crate::rulebook::Rulebook;

/// Bytes in a page.
const PAGE: u64 = 4096;

/// One end: the use.
pub(crate) struct Route<'a> {
    /// Instance id.
    pub(crate) client: u16,
    /// Of the use.
    pub(crate) index: usize,
    /// The component's name for it.
    pub(crate) name: &'a str,
    /// Full name.
    pub(crate) interface: &'a str,
    /// Whether the client asks for it when it needs it.
    pub(crate) is_on_demand: bool,
    /// What the client asks for, and what the route allows.
    pub(crate) limits: (&'a Asked, &'a Asked),
}

/// Rule, message and help.
pub(crate) type Refusal = (&'static str, String, &'static str);

/// The session of a use whose route is `target`: one instance that provides the interface that is wanted.
pub(crate) fn session(graph: &Graph, book: &Rulebook, route: &Route<'_>, target: &str) -> Result<Session, Refusal> {
    let refuse = |rule, message: String, help| Err((rule, message, help));
    let used = route.name;
    if target.contains('*') || target == "any" {
        let message = format!("the route of `{used}` matches more than one thing");
        return refuse("wildcard-route", message, "name one instance and one provided interface");
    }
    let Some((server_name, provided_name)) = target.split_once('.') else {
        return refuse("bad-value", format!("`{target}` is no route"), "write \"<instance>.<provided name>\"");
    };
    let Some(server) = graph.named(server_name) else {
        let message = format!("there is no instance `{server_name}`");
        return refuse("unknown-instance", message, "name an instance of this product");
    };
    let Some(provided) = server.provides.iter().position(|offer| offer.name == provided_name) else {
        let message = format!("`{server_name}` provides nothing called `{provided_name}`");
        return refuse("unknown-interface", message, "look at its component.toml");
    };
    let offered = server.provides.get(provided).map_or("", |offer| offer.interface.as_str());
    if offered != route.interface {
        let message = format!("`{used}` wants {}, but `{target}` is {offered}", route.interface);
        return refuse("interface-mismatch", message, "route it to the same interface");
    }
    if server.id == route.client {
        let message = format!("`{server_name}` is routed to itself");
        return refuse("call-cycle", message, "a component calls its own code directly");
    }
    let facts = book.facts(route.interface);
    if route.is_on_demand && (facts.has_rings || !facts.has_operations) {
        let message = format!("`{used}` is on demand, but {} has rings", route.interface);
        return refuse("on-demand-rings", message, "memory is shared for a whole life only: leave out on_demand");
    }
    let limits = meet(route.limits.0, route.limits.1, &facts).map_err(|why| {
        ("bad-limit", format!("`{used}` and its route: {why}"), "see docs/capabilities.md, limits of a session")
    })?;
    let too_many = |_| ("too-many-uses", format!("`{used}` is out of the range of its list"), "split the component");
    Ok(Session {
        client: route.client,
        client_use: u8::try_from(route.index).map_err(too_many)?,
        server: server.id,
        provided: u8::try_from(provided).map_err(too_many)?,
        has_operations: facts.has_operations,
        region: facts.has_rings.then_some(facts.region_bytes.next_multiple_of(PAGE)),
        rings_server: facts.has_rings,
        rings_client: facts.has_rings || facts.has_events,
        client_port: None,
        server_port: None,
        is_on_demand: route.is_on_demand,
        limits,
    })
}

/// Puts a session into the graph and tells both ends.
pub(crate) fn attach(graph: &mut Graph, session: Session) {
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

/// The uses that a component may have are fewer than an index of a session can tell.
const _: () = assert!(layout::USES_MAX <= u8::MAX as usize);
