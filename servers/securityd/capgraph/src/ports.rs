//! Gives each session its port at both ends, ordered by the peer's id; who has a port keeps it.

use alloc::format;
use alloc::vec::Vec;

use crate::graph::{Graph, Session};
use crate::layout;
use crate::rules::Found;

/// Which end of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Client,
    Server,
}

/// Assigns the ports of all sessions that need one.
pub(crate) fn assign(found: &mut Found<'_>, graph: &mut Graph) {
    let ids: Vec<(u16, usize)> = graph.instances.iter().map(|instance| (instance.id, instance.devices.len())).collect();
    for (id, devices) in ids {
        let mut ends: Vec<(u16, End, u8, u8, usize)> =
            graph.sessions.iter().enumerate().filter_map(|(index, session)| end(id, index, session)).collect();
        ends.sort_unstable();
        let room = usize::from(layout::PORTS).saturating_sub(devices.min(layout::DEVICES_MAX));
        if ends.len() > room {
            report_full(found, graph, id, ends.len(), room);
            continue;
        }
        // Who has a port keeps it: at run time only the new sessions get one. At build time nobody has one yet.
        let taken: Vec<Option<u8>> = ends.iter().map(|(_, end, .., index)| *port(graph, *end, *index)).collect();
        let mut free = (0..layout::PORTS).filter(|port| !taken.contains(&Some(*port)));
        for (_, end, _, _, index) in ends {
            let port = port(graph, end, index);
            *port = port.or_else(|| free.next());
        }
    }
}

/// The place of an end's port.
fn port(graph: &mut Graph, end: End, index: usize) -> &mut Option<u8> {
    let session = &mut graph.sessions[index];
    match end {
        End::Client => &mut session.client_port,
        End::Server => &mut session.server_port,
    }
}

/// The sort key of the session's end at instance `id`, if there is one and it needs a port.
fn end(id: u16, index: usize, session: &Session) -> Option<(u16, End, u8, u8, usize)> {
    let needs = session.region.is_some() || session.rings_client || session.rings_server;
    if !needs {
        None
    } else if session.client == id {
        Some((session.server, End::Client, session.client_use, session.provided, index))
    } else if session.server == id {
        Some((session.client, End::Server, session.provided, session.client_use, index))
    } else {
        None
    }
}

fn report_full(found: &mut Found<'_>, graph: &Graph, id: u16, wanted: usize, room: usize) {
    if let Some(instance) = graph.instance(id) {
        let message = format!("`{}` has {wanted} sessions with bells, but room for {room}", instance.name);
        let help = "split the component, or route fewer clients to it";
        found.at(&instance.name, "notification-full", message, help);
    }
}
