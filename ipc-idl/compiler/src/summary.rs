//! Golden summaries: one line per element of an interface, for review; nothing of its documentation.
use crate::model::{DefId, DefKind, Event, Field, Interface, Operation, Ring, Type, World};
use std::fmt::Write;

pub(crate) fn summaries(world: &World) -> Vec<(String, String)> {
    let mut list: Vec<_> =
        (0..world.libraries.len()).map(|at| (world.libraries[at].name.clone(), library(world, at))).collect();
    list.sort();
    list
}

fn library(world: &World, at: usize) -> String {
    let library = &world.libraries[at];
    let mut out = format!("library {} version {}\n", library.name, library.version);
    for def in &library.defs {
        let name = &def.name;
        match &def.kind {
            DefKind::Const(value) => line(&mut out, format!("const {name} = {value}")),
            DefKind::Enum(members) => {
                line(&mut out, format!("enum {name}: ≤ {} B", def.size));
                members.iter().for_each(|m| line(&mut out, format!("enum {name}.{} = {}", m.name, m.ordinal)));
            }
            DefKind::Struct(fields) => {
                line(&mut out, format!("struct {name}: ≤ {} B, {} fields", def.size, fields.len()));
                for (index, field) in fields.iter().enumerate() {
                    let kind = text(world, at, &field.kind);
                    line(&mut out, format!("struct {name}.{} = {}: {kind}", field.name, index + 1));
                }
            }
            DefKind::Union(members) => {
                line(&mut out, format!("union {name}: ≤ {} B", def.size));
                for member in members {
                    let value =
                        member.value.as_ref().map_or(String::new(), |kind| format!("({})", text(world, at, kind)));
                    line(&mut out, format!("union {name}.{}{value} = {}", member.name, member.ordinal));
                }
            }
            DefKind::Resource(resource) => {
                line(&mut out, format!("resource {name}: {} per client", resource.per_client));
                resource
                    .operations
                    .iter()
                    .for_each(|o| line(&mut out, operation(world, at, &format!("resource {name}"), o)));
            }
            DefKind::Interface(interface) => interface_lines(world, at, name, interface, &mut out),
        }
    }
    out
}

fn line(out: &mut String, text: String) {
    let _ = writeln!(out, "{text}");
}

fn interface_lines(world: &World, at: usize, name: &str, interface: &Interface, out: &mut String) {
    line(out, format!("interface {name}: region {} B", interface.region_bytes));
    let owner = format!("interface {name}");
    let mut lines: Vec<(u16, String)> = Vec::new();
    lines.extend(interface.operations.iter().map(|o| (o.ordinal, operation(world, at, &owner, o))));
    lines.extend(interface.events.iter().map(|e| (e.ordinal, event(world, at, &owner, e))));
    lines.extend(interface.rings.iter().map(|r| (r.ordinal, ring(world, at, &owner, r))));
    lines.sort();
    lines.into_iter().for_each(|(_, text)| line(out, text));
}

fn operation(world: &World, at: usize, owner: &str, operation: &Operation) -> String {
    let error = operation.error.map_or(String::new(), |id| format!(" ! {}", name(world, at, id)));
    let idempotent = if operation.is_idempotent { " idempotent" } else { "" };
    format!(
        "{owner}.{} = {}: ({}) -> ({}){error}{idempotent}; request {}, reply {}",
        operation.name,
        operation.ordinal,
        list(world, at, &operation.arguments, operation.argument_cap.as_ref()),
        list(world, at, &operation.results, operation.result_cap.as_ref()),
        size(world, &operation.arguments, 0, operation.argument_cap.is_some()),
        size(world, &operation.results, 0, operation.result_cap.is_some())
    )
}

fn event(world: &World, at: usize, owner: &str, event: &Event) -> String {
    let (fields, reply) = (list(world, at, &event.fields, None), size(world, &event.fields, 1, false));
    format!("{owner}.{} = {}: event ({fields}); reply {reply}", event.name, event.ordinal)
}

fn ring(world: &World, at: usize, owner: &str, ring: &Ring) -> String {
    let direction = if ring.is_to_client { "to_client" } else { "to_server" };
    let record = match &ring.element {
        Type::Bytes(max) => *max,
        other => world.size(other),
    };
    format!(
        "{owner}.{} = {}: ring {direction} of {}; {} B at {}, record ≤ {record} B",
        ring.name,
        ring.ordinal,
        text(world, at, &ring.element),
        ring.capacity,
        ring.offset
    )
}

pub(crate) fn list(world: &World, at: usize, fields: &[Field], cap: Option<&(usize, Field)>) -> String {
    let mut all: Vec<&Field> = fields.iter().collect();
    if let Some((place, field)) = cap {
        all.insert((*place).min(all.len()), field);
    }
    let parts: Vec<_> = all.iter().map(|field| format!("{}: {}", field.name, text(world, at, &field.kind))).collect();
    parts.join(", ")
}

fn size(world: &World, fields: &[Field], extra: usize, has_cap: bool) -> String {
    let cap = if has_cap { " + 1 cap" } else { "" };
    if world.fits_registers(fields, extra) {
        return format!("{} words{cap}", fields.len() + extra);
    }
    format!("≤ {} B{cap}", world.fields_size(fields) + extra)
}

pub(crate) fn name(world: &World, at: usize, id: DefId) -> String {
    if id.library == at { world.def(id).name.clone() } else { world.full_name(id) }
}

pub(crate) fn text(world: &World, at: usize, kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => scalar.name().to_owned(),
        Type::Text(max) => format!("string<{max}>"),
        Type::Bytes(max) => format!("bytes<{max}>"),
        Type::List(inner, max) => format!("list<{}, {max}>", text(world, at, inner)),
        Type::Array(scalar, count) => format!("array<{}, {count}>", scalar.name()),
        Type::Option(inner) => format!("{}?", text(world, at, inner)),
        Type::Named(id) => name(world, at, *id),
        Type::Own(id) => format!("own {}", name(world, at, *id)),
        Type::Notification { can_signal } => {
            format!("cap Notification<{}>", if *can_signal { "signal" } else { "wait" })
        }
        Type::Region { can_write } => format!("region<{}>", if *can_write { "rw" } else { "r" }),
    }
}

/// A difference between a committed summary and the present texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new element. Old clients and servers do not notice.
    Added(String),
    /// An element that is gone, or that means something else now.
    Broken(String),
}

/// Compares the committed summary of a library with the present one.
///
/// Lines that are gone or changed are broken, unless the version of the library was raised: then clients and
/// servers know that they must be built together.
#[must_use]
pub fn changes(committed: &str, present: &str) -> Vec<Change> {
    let (old, new): (Vec<&str>, Vec<&str>) = (committed.lines().collect(), present.lines().collect());
    let is_raised = version(&new) > version(&old);
    let meanings: Vec<String> = new.iter().map(|line| meaning(line)).collect();
    let mut list = Vec::new();
    for line in &old {
        if !is_raised && !line.starts_with("library ") && !meanings.contains(&meaning(line)) {
            list.push(Change::Broken((*line).to_owned()));
        }
    }
    list.extend(new.iter().filter(|line| !old.contains(line)).map(|line| Change::Added((*line).to_owned())));
    list
}

/// A line without the sizes that grow when something is added elsewhere: a member of a union, a ring at the end.
fn meaning(line: &str) -> String {
    let words = line.split(' ').collect::<Vec<_>>();
    let is_size = |at: usize| at > 0 && matches!(words[at - 1], "≤" | "region");
    words.iter().enumerate().map(|(at, word)| if is_size(at) { "_ " } else { word }).collect::<Vec<_>>().join(" ")
}

fn version(lines: &[&str]) -> u64 {
    let first = lines.first().copied().unwrap_or_default();
    first.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
