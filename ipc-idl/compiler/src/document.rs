//! All interfaces as one Markdown page, for the book; the golden summaries are for reviews.
use crate::model::{Def, DefKind, Interface, Operation, World};
use crate::summary::{list, name, text};
use std::fmt::Write;

pub(crate) fn document(world: &World) -> String {
    let mut out = String::from("# Interfaces\n\nMade from the texts below `ipc-idl/` by `cargo xtask idl doc`.\n");
    let mut order: Vec<usize> = (0..world.libraries.len()).collect();
    order.sort_by_key(|at| &world.libraries[*at].name);
    for at in order {
        let library = &world.libraries[at];
        let _ = write!(out, "\n## {} (version {})\n\n{}\n", library.name, library.version, library.docs.join(" "));
        for def in &library.defs {
            declaration(world, at, def, &mut out);
        }
    }
    out
}

fn declaration(world: &World, at: usize, def: &Def, out: &mut String) {
    let (word, facts) = match &def.kind {
        DefKind::Const(value) => {
            let _ = writeln!(out, "\n`const {} = {value}` {}", def.name, def.docs.join(" "));
            return;
        }
        DefKind::Enum(_) => ("enum", String::new()),
        DefKind::Struct(_) => ("struct", format!("At most {} bytes. ", def.size)),
        DefKind::Union(_) => ("union", format!("At most {} bytes. ", def.size)),
        DefKind::Resource(resource) => ("resource", format!("At most {} for each client. ", resource.per_client)),
        DefKind::Interface(_) => ("interface", String::new()),
    };
    let _ = write!(out, "\n### {word} {}\n\n{facts}{}\n\n", def.name, def.docs.join(" "));
    match &def.kind {
        DefKind::Const(_) => {}
        DefKind::Enum(members) => members.iter().for_each(|m| item(out, m.ordinal, &m.name, &m.docs)),
        DefKind::Struct(fields) => {
            for (ordinal, field) in (1..).zip(fields) {
                item(out, ordinal, &format!("{}: {}", field.name, text(world, at, &field.kind)), &field.docs);
            }
        }
        DefKind::Union(members) => {
            for member in members {
                let value = member.value.as_ref().map_or(String::new(), |kind| format!("({})", text(world, at, kind)));
                item(out, member.ordinal, &format!("{}{value}", member.name), &member.docs);
            }
        }
        DefKind::Resource(resource) => resource.operations.iter().for_each(|o| operation(world, at, o, out)),
        DefKind::Interface(interface) => members(world, at, interface, out),
    }
}

fn members(world: &World, at: usize, interface: &Interface, out: &mut String) {
    interface.operations.iter().for_each(|o| operation(world, at, o, out));
    for event in &interface.events {
        let fields = list(world, at, &event.fields, None);
        item(out, event.ordinal, &format!("event {}({fields})", event.name), &event.docs);
    }
    for ring in &interface.rings {
        let direction = if ring.is_to_client { "to_client" } else { "to_server" };
        let what = text(world, at, &ring.element);
        let shape = format!("ring {}({direction}, bytes = {}): {what}", ring.name, ring.capacity);
        item(out, ring.ordinal, &shape, &ring.docs);
    }
}

fn operation(world: &World, at: usize, operation: &Operation, out: &mut String) {
    let error = operation.error.map_or(String::new(), |id| format!(" ! {}", name(world, at, id)));
    let shape = format!(
        "{}({}) -> ({}){error}{}",
        operation.name,
        list(world, at, &operation.arguments, operation.argument_cap.as_ref()),
        list(world, at, &operation.results, operation.result_cap.as_ref()),
        if operation.is_idempotent { " idempotent" } else { "" }
    );
    item(out, operation.ordinal, &shape, &operation.docs);
}

fn item(out: &mut String, ordinal: u16, shape: &str, docs: &[String]) {
    let _ = writeln!(out, "{}", format!("* `{ordinal}: {shape}` {}", docs.join(" ")).trim_end());
}
