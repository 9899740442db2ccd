//! Clients: a method for each operation and event.
use super::Scope;
use super::expressions::{Form, Text, pull_method};
use super::types::member_docs;
use crate::model::{Event, Field, Interface, Operation, Resource, Type};
use crate::names::{pascal, snake};

const ERRORS: &str = "///\n/// # Errors\n/// See `CallError`.\n";

pub(super) fn of_interface(scope: &Scope<'_>, name: &str, interface: &Interface) -> String {
    let mut methods = String::new();
    for operation in &interface.operations {
        methods += &method(scope, name, operation);
    }
    for event in &interface.events {
        methods += &pull(scope, name, event);
    }
    format!(
        "/// Client of [`{name}`].\n#[derive(Debug)]\npub struct {name}Client<C> {{\nstub: ipc::Stub<C>,\n}}\n\
         impl<C: ipc::Caller> {name}Client<C> {{\n{}{methods}}}\n",
        constructor()
    )
}

pub(super) fn of_resource(scope: &Scope<'_>, name: &str, resource: &Resource) -> String {
    let methods: String = resource.operations.iter().map(|operation| method(scope, name, operation)).collect();
    format!(
        "/// One object of [`{name}`]. Dropping it closes the object.\n#[derive(Debug)]\n\
         pub struct {name}Client<C: ipc::Caller> {{\nstub: ipc::Stub<C>,\n}}\n\
         impl<C: ipc::Caller> {name}Client<C> {{\n{}{methods}}}\n\
         impl<C: ipc::Caller> Drop for {name}Client<C> {{\nfn drop(&mut self) {{\nself.stub.close();\n}}\n}}\n",
        constructor()
    )
}

fn constructor() -> String {
    "/// A client that calls through `caller`.\n#[must_use]\npub fn new(caller: C) -> Self {\nSelf { stub: ipc::Stub::new(caller) }\n}\n\
     /// The way to the server.\npub fn caller(&mut self) -> &mut C {\nself.stub.caller()\n}\n"
        .to_owned()
}

fn method(scope: &Scope<'_>, owner: &str, operation: &Operation) -> String {
    let error = error_type(scope, operation);
    let result = result_type(scope, owner, operation);
    let retry = if operation.is_idempotent { "Once" } else { "Never" };
    let mut out = member_docs(&operation.docs, &format!("Operation {}.", operation.ordinal));
    out += ERRORS;
    out += &format!(
        "pub fn {}(&mut self{}) -> Result<{result}, ipc::CallError<{error}>> {{\n",
        operation.name,
        parameters(scope, operation, true)
    );
    out += &prepare(scope, operation);
    if let Some((_, cap)) = &operation.argument_cap {
        let (can_read, can_write) = rights(&cap.kind);
        out += &format!(
            "self.stub.set_cap(ipc::CapToSend::Copy {{ slot: {}.0, rights: ipc::Rights {{ can_read: {can_read}, can_write: {can_write} }} }});\n",
            cap.name
        );
    }
    let call = if operation.result_cap.is_some() { "call_for_cap" } else { "call" };
    out += &format!("let __reply = self.stub.{call}::<{error}>(ipc::Retry::{retry})?;\n");
    let value = if operation.results.is_empty() { "" } else { "let __value = " };
    let decoded = format!("{}(__reply)", reply_function(owner, operation));
    out += &if operation.result_cap.is_some() {
        let discard = "self.stub.discard_cap();\nreturn Err(__error.into());";
        let (name, bound) = if value.is_empty() { ("()", "") } else { ("__value", value) };
        format!("{bound}match {decoded} {{\nOk({name}) => {name},\nErr(__error) => {{\n{discard}\n}}\n}};\n")
    } else {
        format!("{value}{decoded}?;\n")
    };
    out += &match &operation.result_cap {
        None if operation.results.is_empty() => "Ok(())\n}\n".to_owned(),
        None => "Ok(__value)\n}\n".to_owned(),
        Some((_, cap)) => {
            let taken = match &cap.kind {
                Type::Own(id) => {
                    format!("{}Client::new(self.stub.received().ok_or(ipc::CallError::BadMessage)?)", scope.path(*id))
                }
                Type::Notification { .. } => {
                    "ipc::NotificationCap(self.stub.received_slot().ok_or(ipc::CallError::BadMessage)?)".into()
                }
                _ => "ipc::RegionCap(self.stub.received_slot().ok_or(ipc::CallError::BadMessage)?)".into(),
            };
            if operation.results.is_empty() {
                format!("Ok({taken})\n}}\n")
            } else {
                format!("Ok(({taken}, __value))\n}}\n")
            }
        }
    };
    out
}

fn prepare(scope: &Scope<'_>, operation: &Operation) -> String {
    let arguments = &operation.arguments;
    let ordinal = operation.ordinal;
    if scope.world.fits_registers(arguments, 0) {
        let words: Vec<_> = arguments.iter().map(|argument| Scope::to_word(&argument.name)).collect();
        return format!("self.stub.set_registers({ordinal}, &[{}]);\n", words.join(", "));
    }
    let writes: String = arguments
        .iter()
        .map(|argument| scope.encode(&argument.kind, &argument.name, argument_form(&argument.kind)))
        .collect();
    format!("self.stub.set_payload({ordinal}, |__w| {{\n{writes}Ok(())\n}})?;\n")
}

/// Strings and byte strings are references already.
fn argument_form(kind: &Type) -> Form {
    match kind {
        Type::Text(_) | Type::Bytes(_) | Type::List(..) => Form::Reference,
        _ => Form::Value,
    }
}

fn pull(scope: &Scope<'_>, owner: &str, event: &Event) -> String {
    let kind = scope.made_type(&format!("{owner}{}", event.name), &event.fields, "'static");
    let mut out = member_docs(&event.docs, &format!("Event {}.", event.ordinal));
    out += "///\n/// Never waits: `None` when it did not happen since it was last pulled.\n";
    out += ERRORS;
    let method = pull_method(&event.name);
    out + &format!(
        "pub fn {method}(&mut self) -> Result<Option<{kind}>, ipc::CallError<::core::convert::Infallible>> {{\n\
         self.stub.set_registers({}, &[]);\n\
         let __reply = self.stub.call::<::core::convert::Infallible>(ipc::Retry::Never)?;\n\
         Ok({}_{method}_reply(__reply)?)\n}}\n",
        event.ordinal,
        snake(owner)
    )
}

/// The functions that decode replies, apart from the clients, so that they can be fuzzed.
pub(super) fn reply_decoder(scope: &Scope<'_>, owner: &str, operation: &Operation) -> String {
    let kind = data_type(scope, owner, operation, "'static");
    let reads = scope.bind(&operation.results, "__reply", Text::Cow);
    let value = match operation.results.as_slice() {
        [] => "()".to_owned(),
        [field] => scope.owned(&field.kind, &field.name),
        fields => struct_value(scope, &format!("{owner}{}", pascal(&operation.name)), fields),
    };
    format!(
        "fn {}(__reply: &ipc::Incoming) -> Result<{kind}, ipc::DecodeError> {{\n{reads}Ok({value})\n}}\n",
        reply_function(owner, operation)
    )
}

pub(super) fn event_decoder(scope: &Scope<'_>, owner: &str, event: &Event) -> String {
    let name = format!("{owner}{}", event.name);
    let kind = scope.made_type(&name, &event.fields, "'static");
    let value = struct_value(scope, &name, &event.fields);
    let body = if scope.world.fits_registers(&event.fields, 1) {
        let names: Vec<_> = event.fields.iter().map(|field| field.name.as_str()).collect();
        let mut all = vec!["__happened"];
        all.extend(&names);
        let mut out = format!(
            "let [{}] = __reply.registers::<{}>()?;\nif !<bool as ipc::scalar::Scalar>::from_word(__happened)? {{\nreturn Ok(None);\n}}\n",
            all.join(", "),
            all.len()
        );
        for field in &event.fields {
            out += &format!("let {0} = ipc::scalar::Scalar::from_word({0})?;\n", field.name);
        }
        out + &format!("Ok(Some({value}))\n")
    } else {
        let mut out = "let mut __reader = __reply.payload()?;\nlet __r = &mut __reader;\n\
                       if !__r.bool()? {\n__reader.finish()?;\nreturn Ok(None);\n}\n"
            .to_owned();
        for field in &event.fields {
            out += &format!("let {} = {};\n", field.name, scope.decode(&field.kind, Text::Cow));
        }
        out + &format!("__reader.finish()?;\nOk(Some({value}))\n")
    };
    format!(
        "fn {}_{}_reply(__reply: &ipc::Incoming) -> Result<Option<{kind}>, ipc::DecodeError> {{\n{body}}}\n",
        snake(owner),
        pull_method(&event.name)
    )
}

fn struct_value(scope: &Scope<'_>, name: &str, fields: &[Field]) -> String {
    let part = |field: &Field| match scope.owned(&field.kind, &field.name) {
        same if same == field.name => same,
        owned => format!("{}: {owned}", field.name),
    };
    let parts: Vec<_> = fields.iter().map(part).collect();
    format!("{name} {{ {} }}", parts.join(", "))
}

pub(super) fn reply_function(owner: &str, operation: &Operation) -> String {
    format!("{}_{}_reply", snake(owner), operation.name)
}

pub(super) fn request_function(owner: &str, operation: &Operation) -> String {
    format!("{}_{}_request", snake(owner), operation.name)
}

pub(super) fn error_type(scope: &Scope<'_>, operation: &Operation) -> String {
    operation.error.map_or("::core::convert::Infallible".to_owned(), |id| scope.path(id))
}

/// The Rust type of the results that are data: nothing, one value, or a struct.
pub(super) fn data_type(scope: &Scope<'_>, owner: &str, operation: &Operation, life: &str) -> String {
    match operation.results.as_slice() {
        [] => "()".to_owned(),
        [field] => scope.rust_type(&field.kind, life),
        fields => scope.made_type(&format!("{owner}{}", pascal(&operation.name)), fields, life),
    }
}

fn result_type(scope: &Scope<'_>, owner: &str, operation: &Operation) -> String {
    let data = data_type(scope, owner, operation, "'static");
    let Some((_, cap)) = &operation.result_cap else { return data };
    let cap = match &cap.kind {
        Type::Own(id) => format!("{}Client<C::Received>", scope.path(*id)),
        other => scope.rust_type(other, "'static"),
    };
    if operation.results.is_empty() { cap } else { format!("({cap}, {data})") }
}

/// `, name: type` for each argument, the capability in its place.
pub(super) fn parameters(scope: &Scope<'_>, operation: &Operation, is_client: bool) -> String {
    let list =
        in_order(operation).map(|field| format!(", {}: {}", field.name, scope.argument_type(&field.kind, is_client)));
    list.collect()
}

/// All arguments as they stand in the text.
pub(super) fn in_order(operation: &Operation) -> impl Iterator<Item = &Field> {
    let at = operation.argument_cap.as_ref().map_or(operation.arguments.len(), |(at, _)| *at);
    let (before, after) = operation.arguments.split_at(at.min(operation.arguments.len()));
    before.iter().chain(operation.argument_cap.as_ref().map(|(_, field)| field)).chain(after)
}

/// What the receiver of a capability may do: (read, write).
pub(super) fn rights(kind: &Type) -> (bool, bool) {
    match kind {
        Type::Notification { can_signal } => (!can_signal, *can_signal),
        Type::Region { can_write } => (true, *can_write),
        _ => (false, false),
    }
}
