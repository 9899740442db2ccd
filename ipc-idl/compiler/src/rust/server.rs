//! Servers: the trait that a server implements and the dispatcher that decodes, calls and encodes.
use super::Scope;
use super::client::{data_type, error_type, in_order, parameters, request_function, rights};
use super::expressions::{Form, Text, pull_method};
use super::types::member_docs;
use crate::model::{DefId, DefKind, Event, Field, Interface, Operation, Resource, Type};
use crate::names::snake;

/// The trait of an interface.
pub(super) fn interface_trait(scope: &Scope<'_>, name: &str, lines: &[String], interface: &Interface) -> String {
    let mut out = member_docs(lines, "An interface.");
    out += &format!("pub trait {name}: Sized {{\n");
    for id in &interface.resources {
        let resource = &scope.def(*id).name;
        let nested = others(scope, *id).into_iter().map(|(other, _)| format!(", {other} = Self::{other}"));
        out += &format!(
            "/// What the server keeps for each live `{resource}`.\ntype {resource}: {}<Self{}>;\n",
            scope.path(*id),
            nested.collect::<String>()
        );
    }
    for operation in &interface.operations {
        let result = server_result(scope, name, operation, "'_", None);
        out += &member_docs(&operation.docs, &format!("Operation {}.", operation.ordinal));
        out += &errors_section(operation);
        out += &format!(
            "fn {}(&mut self, client: ipc::ClientId{}) -> {result};\n",
            operation.name,
            parameters(scope, operation, false)
        );
    }
    for event in &interface.events {
        let kind = scope.made_type(&format!("{name}{}", event.name), &event.fields, "'_");
        out += &member_docs(&event.docs, &format!("Event {}.", event.ordinal));
        out += &format!(
            "///\n/// `None` when it did not happen for this client since it was last pulled.\n\
             fn {}(&mut self, client: ipc::ClientId) -> Option<{kind}>;\n",
            pull_method(&event.name)
        );
    }
    out + "}\n"
}

/// The trait of a resource, generic over the server that is lent to it.
pub(super) fn resource_trait(scope: &Scope<'_>, id: DefId, lines: &[String], resource: &Resource) -> String {
    let name = &scope.def(id).name;
    let mut out = member_docs(lines, "A resource.");
    out += "///\n/// `server` is the server that the object belongs to.\n";
    out += &format!("pub trait {name}<S: ?Sized>: Sized {{\n");
    for (other, path) in others(scope, id) {
        out += &format!("/// What the server keeps for each live `{other}`.\ntype {other}: {path}<S>;\n");
    }
    for operation in &resource.operations {
        let borrows = operation.results.iter().any(|field| scope.world.borrows(&field.kind));
        let (generic, life) = if borrows { ("<'a>", "'a ") } else { ("", "") };
        let result = server_result(scope, name, operation, "'a", Some(id));
        out += &member_docs(&operation.docs, &format!("Operation {}.", operation.ordinal));
        out += &errors_section(operation);
        out += &format!(
            "fn {}{generic}(&{life}mut self, server: &{life}mut S, client: ipc::ClientId{}) -> {result};\n",
            operation.name,
            parameters(scope, operation, false)
        );
    }
    out + "}\n"
}

fn errors_section(operation: &Operation) -> String {
    if operation.error.is_some() {
        "///\n/// # Errors\n/// The operation was not done.\n".into()
    } else {
        String::new()
    }
}

/// Resources other than itself that a resource hands out: name and path of the trait.
fn others(scope: &Scope<'_>, id: DefId) -> Vec<(String, String)> {
    let DefKind::Resource(resource) = &scope.def(id).kind else { return Vec::new() };
    let others = resource.mints.iter().filter(|other| **other != id);
    others.map(|other| (scope.def(*other).name.clone(), scope.path(*other))).collect()
}

/// What a server returns. `owner` is the resource whose trait this is for.
fn server_result(scope: &Scope<'_>, name: &str, operation: &Operation, life: &str, owner: Option<DefId>) -> String {
    let data = data_type(scope, name, operation, life);
    let value = match &operation.result_cap {
        None => data,
        Some((_, cap)) => {
            let cap = match &cap.kind {
                Type::Own(id) if Some(*id) == owner => "Self".to_owned(),
                Type::Own(id) => format!("Self::{}", scope.def(*id).name),
                other => scope.rust_type(other, life),
            };
            if operation.results.is_empty() { cap } else { format!("({cap}, {data})") }
        }
    };
    match operation.error {
        Some(_) => format!("Result<{value}, {}>", error_type(scope, operation)),
        None => value,
    }
}

/// The function that decodes a request, apart from the dispatcher, so that it can be fuzzed.
pub(super) fn request_decoder(scope: &Scope<'_>, owner: &str, operation: &Operation) -> String {
    let kinds: String =
        operation.arguments.iter().map(|field| scope.argument_type(&field.kind, false) + ", ").collect();
    let names: String = operation.arguments.iter().map(|field| format!("{}, ", field.name)).collect();
    let reads = scope.bind(&operation.arguments, "__incoming", Text::Lent);
    format!(
        "fn {}(__incoming: &ipc::Incoming) -> Result<({kinds}), ipc::DecodeError> {{\n{reads}Ok(({names}))\n}}\n",
        request_function(owner, operation)
    )
}

/// The dispatcher of an interface: one function that never fails, and one for each operation.
pub(super) fn dispatcher(scope: &Scope<'_>, name: &str, interface: &Interface) -> String {
    let module = snake(name);
    let mut arms = String::new();
    let mut functions = String::new();
    for operation in &interface.operations {
        let lent = if needs_objects(operation, None) { "objects, " } else { "" };
        arms +=
            &format!("(0, {}) => {module}_{}(server, {lent}incoming, outgoing),\n", operation.ordinal, operation.name);
        functions += &request_decoder(scope, name, operation);
        functions += &operation_function(scope, name, interface, operation, None);
    }
    for event in &interface.events {
        let method = pull_method(&event.name);
        arms += &format!("(0, {}) => {module}_{method}(server, incoming, outgoing),\n", event.ordinal);
        functions += &event_function(scope, name, event);
    }
    arms += "(0, _) => Err(ipc::Refusal::UnknownOperation),\n";
    for id in &interface.resources {
        let resource = snake(&scope.def(*id).name);
        arms += &format!(
            "(object, _) if objects.{resource}.is_kind_of(object) => {module}_{resource}_object(server, objects, incoming, outgoing),\n"
        );
        functions += &resource_functions(scope, name, interface, *id);
    }
    arms += "_ => Err(ipc::Refusal::Stale),\n";
    let objects = objects_parameter(name, interface);
    format!(
        "/// Answers one request to [`{name}`]. `outgoing` holds the reply, whatever the request was.\n\
         pub fn dispatch_{module}<S: {name}>(server: &mut S, {objects}incoming: &ipc::Incoming, outgoing: &mut ipc::Outgoing) {{\n\
         let done = match (incoming.badge().object(), incoming.label()) {{\n{arms}}};\n\
         if let Err(refusal) = done {{\noutgoing.set_refusal(refusal);\n}}\n}}\n{functions}"
    )
}

fn objects_parameter(name: &str, interface: &Interface) -> String {
    if interface.resources.is_empty() { String::new() } else { format!("objects: &mut {name}Objects<S>, ") }
}

/// An operation of an object finds it in its table; one that hands out an object puts it there.
fn needs_objects(operation: &Operation, resource: Option<DefId>) -> bool {
    resource.is_some() || matches!(operation.result_cap, Some((_, Field { kind: Type::Own(_), .. })))
}

/// The operations of one resource, as reached through one interface.
fn resource_functions(scope: &Scope<'_>, name: &str, interface: &Interface, id: DefId) -> String {
    let def = scope.def(id);
    let DefKind::Resource(resource) = &def.kind else { return String::new() };
    let (module, field) = (snake(name), snake(&def.name));
    let mut arms = String::new();
    let mut functions = String::new();
    for operation in &resource.operations {
        let function = format!("{module}_{field}_{}", operation.name);
        arms += &format!("{} => {function}(server, objects, incoming, outgoing),\n", operation.ordinal);
        functions += &operation_function(scope, name, interface, operation, Some(id));
    }
    format!(
        "fn {module}_{field}_object<S: {name}>(server: &mut S, objects: &mut {name}Objects<S>, incoming: &ipc::Incoming, outgoing: &mut ipc::Outgoing) \
         -> Result<(), ipc::Refusal> {{\nmatch incoming.label() {{\n{arms}\
         ipc::CLOSE => {{\nobjects.{field}.close(incoming.badge().object(), incoming.client()).ok_or(ipc::Refusal::Stale)?;\n\
         outgoing.set_registers(ipc::reply::OK, &[]);\nOk(())\n}}\n\
         _ => Err(ipc::Refusal::UnknownOperation),\n}}\n}}\n{functions}"
    )
}

/// Decodes the request of one operation, runs it and encodes its reply.
fn operation_function(
    scope: &Scope<'_>,
    name: &str,
    interface: &Interface,
    operation: &Operation,
    resource: Option<DefId>,
) -> String {
    let owner = resource.map_or(name.to_owned(), |id| scope.def(id).name.clone());
    let object = resource.map_or(String::new(), |id| format!("{}_", snake(&scope.def(id).name)));
    let mut out = format!(
        "fn {}_{object}{}<S: {name}>(server: &mut S, {}incoming: &ipc::Incoming, outgoing: &mut ipc::Outgoing) -> Result<(), ipc::Refusal> {{\n",
        snake(name),
        operation.name,
        if needs_objects(operation, resource) { objects_parameter(name, interface) } else { String::new() }
    );
    let names: String = operation.arguments.iter().map(|field| format!("{}, ", field.name)).collect();
    let bound = if names.is_empty() { String::new() } else { format!("let ({names}) = ") };
    out += &format!("{bound}{}(incoming)?;\n", request_function(&owner, operation));
    if let Some(table) = minted_table(scope, operation) {
        out += &format!("if !objects.{table}.has_room(incoming.client()) {{\nreturn Err(ipc::Refusal::Quota);\n}}\n");
    }
    let arguments: String = in_order(operation).map(|field| format!(", {}", field.name)).collect();
    let call = match resource {
        None => format!("server.{}(incoming.client(){arguments})", operation.name),
        Some(id) => {
            let table = snake(&scope.def(id).name);
            out += &format!(
                "let Some(__object) = objects.{table}.find(incoming.badge().object(), incoming.client()) else {{\nreturn Err(ipc::Refusal::Stale);\n}};\n"
            );
            format!("__object.{}(server, incoming.client(){arguments})", operation.name)
        }
    };
    // Last of all that can fail: what nobody took, the runtime deletes.
    if let Some((_, cap)) = &operation.argument_cap {
        let kind = scope.rust_type(&cap.kind, "'_");
        out += &format!("let {} = {kind}(incoming.expect_cap()?);\n", cap.name);
    }
    let is_unit = operation.results.is_empty() && operation.result_cap.is_none();
    let (bound, value) = if is_unit { ("", "()") } else { ("let __value = ", "__value") };
    out += &if operation.error.is_some() {
        format!(
            "{bound}match {call} {{\nOk({value}) => {value},\nErr(__error) => {{\n\
             outgoing.set_domain_error(__error.code());\nreturn Ok(());\n}}\n}};\n"
        )
    } else {
        format!("{bound}{call};\n")
    };
    out + &reply(scope, operation) + "Ok(())\n}\n"
}

/// The table that the object that an operation hands out goes to.
fn minted_table(scope: &Scope<'_>, operation: &Operation) -> Option<String> {
    match &operation.result_cap {
        Some((_, Field { kind: Type::Own(id), .. })) => Some(snake(&scope.def(*id).name)),
        _ => None,
    }
}

/// Encodes `__value`; then the capability, which an encoding error must not leave behind.
fn reply(scope: &Scope<'_>, operation: &Operation) -> String {
    let mut out = String::new();
    match (&operation.result_cap, operation.results.is_empty()) {
        (Some(_), true) => out += "let __cap = __value;\n",
        (Some(_), false) => out += "let (__cap, __value) = __value;\n",
        (None, _) => {}
    }
    out += &encode_results(scope, &operation.results);
    if let Some(table) = minted_table(scope, operation) {
        out += &format!(
            "let object = objects.{table}.insert(incoming.client(), __cap).ok_or(ipc::Refusal::Quota)?;\n\
             outgoing.set_cap(ipc::CapToSend::Object(incoming.badge().with_object(object)));\n"
        );
    } else if let Some((_, cap)) = &operation.result_cap {
        let (can_read, can_write) = rights(&cap.kind);
        out += &format!(
            "outgoing.set_cap(ipc::CapToSend::Copy {{ slot: __cap.0, rights: ipc::Rights {{ can_read: {can_read}, can_write: {can_write} }} }});\n"
        );
    }
    out
}

fn encode_results(scope: &Scope<'_>, results: &[Field]) -> String {
    let part =
        |field: &Field| if results.len() == 1 { "__value".to_owned() } else { format!("__value.{}", field.name) };
    if scope.world.fits_registers(results, 0) {
        let words: Vec<_> = results.iter().map(|field| Scope::to_word(&part(field))).collect();
        return format!("outgoing.set_registers(ipc::reply::OK, &[{}]);\n", words.join(", "));
    }
    let writes: String = results.iter().map(|field| scope.encode(&field.kind, &part(field), Form::Value)).collect();
    format!("outgoing.set_payload(ipc::reply::OK, |__w| {{\n{writes}Ok(())\n}})?;\n")
}

fn event_function(scope: &Scope<'_>, name: &str, event: &Event) -> String {
    let method = pull_method(&event.name);
    let body = if scope.world.fits_registers(&event.fields, 1) {
        let mut words = vec!["1".to_owned()];
        words.extend(event.fields.iter().map(|field| Scope::to_word(&format!("__event.{}", field.name))));
        let zeros = vec!["0"; words.len()].join(", ");
        format!(
            "match __event {{\nSome(__event) => {{\nlet _ = &__event;\noutgoing.set_registers(ipc::reply::OK, &[{}]);\n}}\n\
             None => outgoing.set_registers(ipc::reply::OK, &[{zeros}]),\n}}\n",
            words.join(", ")
        )
    } else {
        let writes: String =
            event.fields.iter().map(|f| scope.encode(&f.kind, &format!("__event.{}", f.name), Form::Value)).collect();
        format!(
            "outgoing.set_payload(ipc::reply::OK, |__w| {{\n__w.bool(__event.is_some())?;\nif let Some(__event) = &__event {{\n{writes}}}\nOk(())\n}})?;\n"
        )
    };
    format!(
        "fn {}_{method}<S: {name}>(server: &mut S, incoming: &ipc::Incoming, outgoing: &mut ipc::Outgoing) -> Result<(), ipc::Refusal> {{\n\
         let [] = incoming.registers::<0>()?;\nlet __event = server.{method}(incoming.client());\n{body}Ok(())\n}}\n",
        snake(name)
    )
}
