//! Facts about interfaces for the capability graph; no wire format.
use crate::model::{DefKind, Field, Operation, Type, World};

/// What an interface needs from whoever connects its client and server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// "hybrid.net.link.Link".
    pub name: String,
    /// There are operations: clients need an endpoint capability. Pulling an event is one too.
    pub has_operations: bool,
    /// The interface's own operations, without those of its objects: ordinal and name.
    pub operations: Vec<(u16, String)>,
    /// There are events: the server rings a bell of the client.
    pub has_events: bool,
    /// There are rings: the session has a region, and a bell each way.
    pub has_rings: bool,
    /// The server hands out objects: it mints from its own endpoint, the client receives capabilities.
    pub mints_resources: bool,
    /// Requests carry capabilities: the server receives them.
    pub takes_caps: bool,
    /// Replies carry capabilities: the client receives them.
    pub returns_caps: bool,
    /// Bytes of a session's region, whole pages; 0 without rings.
    pub region_bytes: usize,
    /// The rings in the region.
    pub rings: Vec<RingInfo>,
}

impl InterfaceInfo {
    /// Whether a client receives capabilities, for which it needs free slots and its own CNode.
    #[must_use]
    pub fn receives_caps(&self) -> bool {
        self.returns_caps
    }
}

/// One ring in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingInfo {
    /// Its name.
    pub name: String,
    /// Whether the client reads it.
    pub is_to_client: bool,
    /// Where its header starts in the region.
    pub offset: usize,
    /// Bytes of its data area.
    pub capacity: usize,
}

pub(crate) fn interfaces(world: &World) -> Vec<InterfaceInfo> {
    let mut list = Vec::new();
    for (id, def) in world.defs() {
        let DefKind::Interface(interface) = &def.kind else { continue };
        let of_resources = interface.resources.iter().filter_map(|id| match &world.def(*id).kind {
            DefKind::Resource(resource) => Some(&resource.operations),
            _ => None,
        });
        let operations: Vec<&Operation> = interface.operations.iter().chain(of_resources.flatten()).collect();
        let returned = |operation: &&Operation| operation.result_cap.as_ref().map(|(_, field)| field.kind.clone());
        list.push(InterfaceInfo {
            name: world.full_name(id),
            has_operations: !(interface.operations.is_empty() && interface.events.is_empty()),
            operations: interface.operations.iter().map(|own| (own.ordinal, own.name.clone())).collect(),
            has_events: !interface.events.is_empty(),
            has_rings: !interface.rings.is_empty(),
            mints_resources: operations.iter().filter_map(returned).any(|kind| matches!(kind, Type::Own(_))),
            takes_caps: operations.iter().any(|operation| matches!(operation.argument_cap, Some((_, Field { .. })))),
            returns_caps: operations.iter().any(|operation| operation.result_cap.is_some()),
            region_bytes: interface.region_bytes,
            rings: interface.rings.iter().map(ring).collect(),
        });
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

fn ring(ring: &crate::model::Ring) -> RingInfo {
    RingInfo { name: ring.name.clone(), is_to_client: ring.is_to_client, offset: ring.offset, capacity: ring.capacity }
}
