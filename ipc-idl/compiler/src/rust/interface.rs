//! What belongs to one interface or resource, put together: constants, result types, ring ends, client and server.
use super::{Scope, client, docs_or, module_of, server, types};
use crate::model::{Def, DefId, DefKind, Interface, Operation, Resource, Ring, Type};
use crate::names::{pascal, snake};

pub(super) fn resource(scope: &Scope<'_>, def: &Def, resource: &Resource) -> String {
    let id = scope.world.defs().find(|(id, other)| id.library == scope.library && other.name == def.name);
    let mut out = result_types(scope, &def.name, &resource.operations);
    out += &client::of_resource(scope, &def.name, resource);
    if let Some((id, _)) = id {
        out += &server::resource_trait(scope, id, &def.docs, resource);
    }
    for operation in &resource.operations {
        out += &client::reply_decoder(scope, &def.name, operation);
        out += &server::request_decoder(scope, &def.name, operation);
    }
    out
}

pub(super) fn interface(scope: &Scope<'_>, id: DefId, def: &Def, interface: &Interface) -> String {
    let name = &def.name;
    let mut out = constants(scope, id, interface);
    out += &result_types(scope, name, &interface.operations);
    for event in &interface.events {
        let own = if event.docs.is_empty() {
            vec![format!("Event `{}` of `{name}`.", event.name)]
        } else {
            event.docs.clone()
        };
        out += &types::structure(scope, &format!("{name}{}", event.name), &own, &event.fields);
    }
    if !interface.rings.is_empty() {
        out += &rings(scope, name, interface);
    }
    if interface.operations.is_empty() && interface.events.is_empty() {
        return out;
    }
    out += &client::of_interface(scope, name, interface);
    for operation in &interface.operations {
        out += &client::reply_decoder(scope, name, operation);
    }
    for event in &interface.events {
        out += &client::event_decoder(scope, name, event);
    }
    out += &server::interface_trait(scope, name, &def.docs, interface);
    out += &server::dispatcher(scope, name, interface);
    out + &server_structs(scope, name, interface)
}

fn result_types(scope: &Scope<'_>, owner: &str, operations: &[Operation]) -> String {
    let several = operations.iter().filter(|operation| operation.results.len() > 1);
    several
        .map(|operation| {
            let name = format!("{owner}{}", pascal(&operation.name));
            let own = vec![format!("Results of the operation `{}` of `{owner}`.", operation.name)];
            types::structure(scope, &name, &own, &operation.results)
        })
        .collect()
}

fn constants(scope: &Scope<'_>, id: DefId, interface: &Interface) -> String {
    let name = &scope.def(id).name;
    let mut out = format!(
        "/// Constants of the interface `{name}`.\npub mod {} {{\n/// Full name.\npub const INTERFACE: &str = \"{}\";\n\
         /// Bytes of a session's region, whole pages; 0 without rings.\npub const REGION_BYTES: usize = {};\n",
        module_of(name),
        scope.world.full_name(id),
        interface.region_bytes
    );
    let has_ordinals = !(interface.operations.is_empty() && interface.events.is_empty());
    if has_ordinals {
        out += "/// Ordinals, which are the labels of requests.\npub mod ordinal {\n";
    }
    for operation in &interface.operations {
        out += &format!(
            "/// `{0}`.\npub const {1}: u64 = {2};\n",
            operation.name,
            operation.name.to_ascii_uppercase(),
            operation.ordinal
        );
    }
    for event in &interface.events {
        let upper = snake(&event.name).to_ascii_uppercase();
        out += &format!("/// `{0}`.\npub const {upper}: u64 = {1};\n", event.name, event.ordinal);
    }
    if has_ordinals {
        out += "}\n";
    }
    for ring in &interface.rings {
        let upper = ring.name.to_ascii_uppercase();
        out += &format!(
            "/// Where the ring `{0}` starts in the region.\npub const {upper}_RING_OFFSET: usize = {1};\n\
             /// Bytes of its data area.\npub const {upper}_RING_BYTES: usize = {2};\n",
            ring.name, ring.offset, ring.capacity
        );
    }
    out + "}\n"
}

fn rings(scope: &Scope<'_>, name: &str, interface: &Interface) -> String {
    let mut out = format!(
        "/// Makes the ends of the rings of `{name}`.\n#[derive(Debug)]\npub struct {name}Rings;\nimpl {name}Rings {{\n"
    );
    for (side, method) in [("Client", "client"), ("Server", "server")] {
        let parts: String =
            interface.rings.iter().map(|ring| ring_value(scope, name, ring, side == "Client")).collect();
        out += &format!(
            "/// The {method}'s ends in the region of one session.\n///\n/// # Errors\n/// The region is too small for this interface.\n\
             pub fn {method}(region: &ipc::Region) -> Result<{name}{side}Rings, ipc::RingError> {{\nOk({name}{side}Rings {{\n{parts}}})\n}}\n"
        );
    }
    out += "}\n";
    for (side, method) in [("Client", "client"), ("Server", "server")] {
        out += &format!(
            "/// The {method}'s ends of the rings of `{name}`.\n#[derive(Debug)]\npub struct {name}{side}Rings {{\n"
        );
        for ring in &interface.rings {
            out += &docs_or(&ring.docs, &format!("Ring {}.", ring.ordinal));
            out += &format!("pub {}: {},\n", ring.name, ring_type(scope, ring, side == "Client", false));
        }
        out += "}\n";
    }
    out
}

fn ring_value(scope: &Scope<'_>, name: &str, ring: &Ring, is_client: bool) -> String {
    let (module, upper) = (module_of(name), ring.name.to_ascii_uppercase());
    let constructor = ring_type(scope, ring, is_client, true);
    format!(
        "{}: {constructor}::new(region, {module}::{upper}_RING_OFFSET, {module}::{upper}_RING_BYTES)?,\n",
        ring.name
    )
}

fn ring_type(scope: &Scope<'_>, ring: &Ring, is_client: bool, as_expression: bool) -> String {
    let end = if ring.is_to_client == is_client { "Consumer" } else { "Producer" };
    let turbofish = if as_expression { "::" } else { "" };
    match &ring.element {
        Type::Bytes(max) => format!("ipc::Bytes{end}{turbofish}<{max}>"),
        other => format!("ipc::Record{end}{turbofish}<{}>", scope.rust_type(other, "'static")),
    }
}

fn server_structs(scope: &Scope<'_>, name: &str, interface: &Interface) -> String {
    let alias = format!(
        "/// Client and server of [`{name}`] on the host.\npub type {name}Loopback<S> = ipc::Loopback<{name}Server<S>>;\n"
    );
    let module = module_of(name);
    if interface.resources.is_empty() {
        return format!(
            "{alias}/// A server of [`{name}`] and its dispatcher.\n#[derive(Debug, Default)]\npub struct {name}Server<S> {{\n/// The server.\npub server: S,\n}}\n\
             impl<S: {name}> {name}Server<S> {{\n/// Puts the dispatcher in front of `server`.\n#[must_use]\npub fn new(server: S) -> Self {{\nSelf {{ server }}\n}}\n}}\n\
             impl<S: {name}> ipc::Dispatch for {name}Server<S> {{\nfn dispatch(&mut self, incoming: &ipc::Incoming, outgoing: &mut ipc::Outgoing) {{\n\
             dispatch_{module}(&mut self.server, incoming, outgoing);\n}}\n}}\n"
        );
    }
    let (mut fields, mut values, mut closes) = (String::new(), String::new(), String::new());
    for (kind, id) in interface.resources.iter().enumerate() {
        let def = scope.def(*id);
        let DefKind::Resource(resource) = &def.kind else { continue };
        let field = snake(&def.name);
        fields += &format!("/// Live objects of `{0}`.\npub {field}: ipc::Objects<S::{0}>,\n", def.name);
        values += &format!("{field}: ipc::Objects::new({kind}, {}),\n", resource.per_client);
        closes += &format!("self.{field}.close_client(client);\n");
    }
    format!(
        "{alias}/// The live objects of a server of [`{name}`].\npub struct {name}Objects<S: {name}> {{\n{fields}}}\n\
         impl<S: {name}> {name}Objects<S> {{\n/// No objects.\n#[must_use]\npub const fn new() -> Self {{\nSelf {{\n{values}}}\n}}\n\
         /// Drops all objects of a client, for example when it died.\npub fn close_client(&mut self, client: ipc::ClientId) {{\n{closes}}}\n}}\n\
         impl<S: {name}> Default for {name}Objects<S> {{\nfn default() -> Self {{\nSelf::new()\n}}\n}}\n\
         /// A server of [`{name}`] with its objects and its dispatcher.\npub struct {name}Server<S: {name}> {{\n/// The server.\npub server: S,\n\
         /// Its live objects.\npub objects: {name}Objects<S>,\n}}\n\
         impl<S: {name}> {name}Server<S> {{\n/// Puts the dispatcher in front of `server`.\n#[must_use]\npub const fn new(server: S) -> Self {{\nSelf {{ server, objects: {name}Objects::new() }}\n}}\n}}\n\
         impl<S: {name}> ipc::Dispatch for {name}Server<S> {{\nfn dispatch(&mut self, incoming: &ipc::Incoming, outgoing: &mut ipc::Outgoing) {{\n\
         dispatch_{module}(&mut self.server, &mut self.objects, incoming, outgoing);\n}}\n}}\n"
    )
}
