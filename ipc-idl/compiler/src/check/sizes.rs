//! Sizes: no type contains itself, every message fits the IPC buffer, every record its ring, every ring its region.
use super::Checker;
use super::members::{is_data, member_span};
use super::types::operations;
use crate::diagnostic::Diagnostic;
use crate::model::{
    DefId, DefKind, Field, MESSAGE_BYTES, PAGE_BYTES, RECORD_HEADER_BYTES, REGION_BYTES_MAX, RING_HEADER_BYTES, Type,
    World, varint_size,
};

impl Checker<'_> {
    pub(super) fn sizes(&mut self, world: &mut World) {
        let ids: Vec<DefId> = world.defs().filter(|(_, def)| is_data(&def.kind)).map(|(id, _)| id).collect();
        let mut done = Vec::new();
        for id in ids {
            if !self.size_of(world, id, &mut Vec::new(), &mut done) {
                return;
            }
        }
        let ids: Vec<DefId> = world.defs().map(|(id, _)| id).collect();
        for id in ids {
            self.messages(world, id);
            self.region_layout(world, id);
        }
    }

    /// Computes the size of a type after those of its parts. False: it contains itself.
    fn size_of(&mut self, world: &mut World, id: DefId, path: &mut Vec<DefId>, done: &mut Vec<DefId>) -> bool {
        if done.contains(&id) {
            return true;
        }
        if path.contains(&id) {
            let names: Vec<_> = path.iter().map(|id| world.def(*id).name.clone()).collect();
            let message = format!("`{}` contains itself", world.def(id).name);
            self.found.push(
                Diagnostic::new("type-cycle", &self.item(id).name.span, message)
                    .hint(format!("the way round is {}: its size would have no bound", names.join(" → "))),
            );
            return false;
        }
        path.push(id);
        for part in parts(&world.def(id).kind) {
            if !self.size_of(world, part, path, done) {
                return false;
            }
        }
        path.pop();
        let size = data_size(world, id);
        let borrows = data_borrows(world, id);
        let def = &mut world.libraries[id.library].defs[id.index];
        (def.size, def.borrows) = (size, borrows);
        done.push(id);
        true
    }

    /// Every request and reply fits the IPC buffer.
    fn messages(&mut self, world: &World, id: DefId) {
        let kind = &world.def(id).kind;
        for operation in operations(kind) {
            self.message(world, id, operation.ordinal, "request", &operation.arguments, 0);
            self.message(world, id, operation.ordinal, "reply", &operation.results, 0);
        }
        if let DefKind::Interface(interface) = kind {
            for event in &interface.events {
                self.message(world, id, event.ordinal, "event", &event.fields, 1);
            }
        }
    }

    fn message(&mut self, world: &World, id: DefId, ordinal: u16, what: &str, fields: &[Field], extra: usize) {
        let size = world.fields_size(fields).saturating_add(extra);
        if world.fits_registers(fields, extra) || size <= MESSAGE_BYTES {
            return;
        }
        let large = fields.iter().max_by_key(|field| world.size(&field.kind));
        let large = large.map_or(String::new(), |f| format!(" (`{}` alone {})", f.name, world.size(&f.kind)));
        let span = member_span(self.item(id), ordinal).clone();
        let message = format!("the {what} can have {size} bytes{large}, the IPC buffer has {MESSAGE_BYTES}");
        self.reject(
            "message-size",
            &span,
            message,
            "use a region or a ring, lower a bound, or return one part per call",
        );
    }

    /// Places the rings of an interface one after the other in its region.
    fn region_layout(&mut self, world: &mut World, id: DefId) {
        let DefKind::Interface(interface) = &world.def(id).kind else { return };
        let mut rings = interface.rings.clone();
        let mut offset = 0;
        for ring in &mut rings {
            let record = record_size(world, &ring.element).saturating_add(RECORD_HEADER_BYTES);
            let record = record.checked_next_multiple_of(8).unwrap_or(usize::MAX);
            if record > ring.capacity {
                let span = member_span(self.item(id), ring.ordinal).clone();
                let message = format!("a record can take {record} bytes, the ring has {}", ring.capacity);
                self.reject("ring-record", &span, message, "the largest record must fit the empty ring");
            }
            ring.offset = offset;
            offset += RING_HEADER_BYTES + ring.capacity;
        }
        let region_bytes = offset.next_multiple_of(PAGE_BYTES);
        if region_bytes > REGION_BYTES_MAX {
            let message = format!("the rings take {region_bytes} bytes, a session's region has {REGION_BYTES_MAX}");
            let span = self.item(id).name.span.clone();
            self.reject("region-size", &span, message, "lower the `bytes` of a ring");
        }
        if let DefKind::Interface(interface) = &mut world.libraries[id.library].defs[id.index].kind {
            (interface.rings, interface.region_bytes) = (rings, region_bytes);
        }
    }
}

/// The declared types that a value contains.
fn parts(kind: &DefKind) -> Vec<DefId> {
    let types: Vec<&Type> = match kind {
        DefKind::Struct(fields) => fields.iter().map(|field| &field.kind).collect(),
        DefKind::Union(members) => members.iter().flat_map(|member| &member.value).collect(),
        _ => Vec::new(),
    };
    types.into_iter().filter_map(innermost).collect()
}

fn innermost(kind: &Type) -> Option<DefId> {
    match kind {
        Type::Named(id) => Some(*id),
        Type::List(inner, _) | Type::Option(inner) => innermost(inner),
        _ => None,
    }
}

fn data_size(world: &World, id: DefId) -> usize {
    match &world.def(id).kind {
        DefKind::Enum(members) => members.iter().map(|m| varint_size(usize::from(m.ordinal))).max().unwrap_or(0),
        DefKind::Struct(fields) => world.fields_size(fields),
        DefKind::Union(members) => {
            let size = |member: &crate::model::UnionMember| {
                let value = member.value.as_ref().map_or(0, |kind| world.size(kind));
                varint_size(usize::from(member.ordinal)).saturating_add(value)
            };
            members.iter().map(size).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn data_borrows(world: &World, id: DefId) -> bool {
    match &world.def(id).kind {
        DefKind::Struct(fields) => fields.iter().any(|field| world.borrows(&field.kind)),
        DefKind::Union(members) => members.iter().flat_map(|member| &member.value).any(|kind| world.borrows(kind)),
        _ => false,
    }
}

/// A byte string is a record as it is, without a length of its own.
pub(crate) fn record_size(world: &World, element: &Type) -> usize {
    match element {
        Type::Bytes(max) => *max,
        other => world.size(other),
    }
}
