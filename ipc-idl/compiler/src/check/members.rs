//! Rules for what has an ordinal: members of enums, structs, unions, resources and interfaces.
use super::Checker;
use super::types::{Place, minted, split_cap};
use crate::ast::{self, Item, Member, MemberKind, Number};
use crate::diagnostic::{Diagnostic, Span};
use crate::model::{
    DefKind, EnumMember, Event, Field, Interface, OBJECTS_MAX, ORDINAL_MAX, Operation, REGION_BYTES_MAX, Resource,
    Ring, Type, UnionMember,
};
use crate::names::snake;

/// Smallest data area of a ring, bytes.
const RING_BYTES_MIN: u64 = 256;

impl Checker<'_> {
    pub(super) fn enum_members(&mut self, item: &Item, members: &[Member]) -> Vec<EnumMember> {
        self.body(item, members, "enum-empty");
        let mut list = Vec::new();
        for member in members.iter().filter(|member| !is_reserved(member)) {
            self.type_name(&member.name);
            let (name, docs) = (member.name.text.clone(), member.docs.clone());
            list.push(EnumMember { ordinal: ordinal(member), name, docs });
        }
        list
    }

    pub(super) fn fields(&mut self, library: usize, item: &Item, members: &[Member]) -> Vec<Field> {
        self.body(item, members, "struct-empty");
        let mut list = Vec::new();
        for member in members {
            let MemberKind::Typed(type_ref) = &member.kind else {
                let hint = "fields are written one after the other, without their ordinals; make a new struct";
                self.reject("struct-reserved", &member.ordinal.span, "a struct cannot lose a field", hint);
                continue;
            };
            self.value_name(&member.name);
            if let Some(kind) = self.type_of(library, type_ref, Place::Data) {
                list.push(Field { name: member.name.text.clone(), docs: member.docs.clone(), kind });
            }
        }
        list
    }

    pub(super) fn union_members(&mut self, library: usize, item: &Item, members: &[Member]) -> Vec<UnionMember> {
        self.body(item, members, "union-empty");
        let mut list = Vec::new();
        for member in members.iter().filter(|member| !is_reserved(member)) {
            self.type_name(&member.name);
            let value = match &member.kind {
                MemberKind::Typed(type_ref) => self.type_of(library, type_ref, Place::Data),
                _ => None,
            };
            let (name, docs) = (member.name.text.clone(), member.docs.clone());
            list.push(UnionMember { ordinal: ordinal(member), name, docs, value });
        }
        list
    }

    pub(super) fn resource(
        &mut self,
        library: usize,
        item: &Item,
        per_client: &Number,
        members: &[Member],
    ) -> Resource {
        self.body(item, members, "resource-empty");
        if !(1..=OBJECTS_MAX).contains(&per_client.value) {
            let message = format!("a quota is within 1 to {OBJECTS_MAX}");
            self.reject("quota-range", &per_client.span, message, "");
        }
        let mut operations = Vec::new();
        for member in members {
            match &member.kind {
                MemberKind::Operation(syntax) => operations.push(self.operation(library, member, syntax)),
                MemberKind::Event(_) | MemberKind::Ring(_) => {
                    let hint = "rings and bells belong to a session, and a session to an interface";
                    self.reject("resource-member", &member.name.span, "a resource has operations only", hint);
                }
                _ => {}
            }
        }
        let mints = minted(&operations);
        Resource { per_client: u16::try_from(per_client.value).unwrap_or(u16::MAX), operations, mints }
    }

    pub(super) fn interface(&mut self, library: usize, item: &Item, members: &[Member]) -> Interface {
        self.body(item, members, "interface-empty");
        let mut interface = Interface::default();
        for member in members {
            match &member.kind {
                MemberKind::Operation(syntax) => {
                    let operation = self.operation(library, member, syntax);
                    interface.operations.push(operation);
                }
                MemberKind::Event(parameters) => {
                    self.type_name(&member.name);
                    let fields = self.parameters(library, parameters, Place::Data);
                    let (name, docs) = (member.name.text.clone(), member.docs.clone());
                    interface.events.push(Event { ordinal: ordinal(member), name, docs, fields });
                }
                MemberKind::Ring(syntax) => interface.rings.extend(self.ring(library, member, syntax)),
                _ => {}
            }
        }
        self.method_names(&interface, members);
        interface
    }

    fn operation(&mut self, library: usize, member: &Member, syntax: &ast::Operation) -> Operation {
        self.value_name(&member.name);
        if member.name.text == "new" {
            let hint = "the client's constructor has this name";
            self.reject("operation-name", &member.name.span, "an operation cannot be called `new`", hint);
        }
        let arguments = self.parameters(library, &syntax.arguments, Place::Argument);
        let results = self.parameters(library, &syntax.results, Place::Result);
        let (arguments, argument_caps) = split_cap(arguments);
        let (results, result_caps) = split_cap(results);
        self.one_cap(&argument_caps, member);
        self.one_cap(&result_caps, member);
        let returns_object = result_caps.iter().any(|(_, field)| matches!(field.kind, Type::Own(_)));
        if let (Some(span), true) = (&syntax.idempotent, returns_object) {
            let hint = "each retry would make another object";
            self.reject("idempotent-own", span, "an operation that hands out an object is not idempotent", hint);
        }
        Operation {
            ordinal: ordinal(member),
            name: member.name.text.clone(),
            docs: member.docs.clone(),
            arguments,
            argument_cap: argument_caps.into_iter().next(),
            results,
            result_cap: result_caps.into_iter().next(),
            error: syntax.error.as_ref().and_then(|name| self.domain_error(library, name)),
            is_idempotent: syntax.idempotent.is_some(),
        }
    }

    fn one_cap(&mut self, caps: &[(usize, Field)], member: &Member) {
        if caps.len() > 1 {
            let hint = "the kernel has one receive slot for each message; use two operations";
            self.reject("one-capability", &member.name.span, "a message carries one capability at most", hint);
        }
    }

    fn ring(&mut self, library: usize, member: &Member, syntax: &ast::Ring) -> Option<Ring> {
        self.value_name(&member.name);
        let is_to_client = match syntax.direction.text.as_str() {
            "to_client" => true,
            "to_server" => false,
            other => {
                let hint = "a ring goes `to_client` or `to_server`";
                self.reject("ring-direction", &syntax.direction.span, format!("`{other}` is no direction"), hint);
                return None;
            }
        };
        let (bytes, span) = self.bound_number(library, &syntax.bytes)?;
        let capacity = usize::try_from(bytes).ok()?;
        if !bytes.is_power_of_two() || bytes < RING_BYTES_MIN || capacity > REGION_BYTES_MAX / 2 {
            let hint = "a power of two from 256 to 2097152, so that indices wrap by masking";
            self.reject("ring-bytes", &span, format!("a ring cannot have {bytes} bytes"), hint);
            return None;
        }
        let element = self.type_of(library, &syntax.element, Place::Data)?;
        if !self.is_record(&element) {
            let hint = "records are structs, unions or `bytes<N>`, so that the ring can be extended";
            self.reject("ring-element", &syntax.element.span, "this is not a record", hint);
            return None;
        }
        let (name, docs) = (member.name.text.clone(), member.docs.clone());
        Some(Ring { ordinal: ordinal(member), name, docs, is_to_client, capacity, offset: 0, element })
    }

    fn is_record(&self, element: &Type) -> bool {
        match element {
            Type::Bytes(_) => true,
            Type::Named(id) => !matches!(self.item(*id).kind, ast::ItemKind::Enum(_)),
            _ => false,
        }
    }

    /// An event becomes the method `pull_…`, which no operation may have.
    fn method_names(&mut self, interface: &Interface, members: &[Member]) {
        for event in &interface.events {
            let method = format!("pull_{}", snake(&event.name));
            let is_clash = |member: &&Member| member.name.text == method || member.name.text == snake(&event.name);
            if let Some(member) = members.iter().find(is_clash) {
                let message =
                    format!("`{}` collides with what is made for the event `{}`", member.name.text, event.name);
                self.reject("operation-name", &member.name.span, message, "rename one of them");
            }
        }
    }

    /// What all bodies have in common: there are members, with good ordinals and different names.
    fn body(&mut self, item: &Item, members: &[Member], rule_if_empty: &'static str) {
        if members.iter().all(is_reserved) {
            self.reject(rule_if_empty, &item.name.span, format!("`{}` has no members", item.name.text), "");
        }
        self.unique(members.iter().filter(|member| !is_reserved(member)).map(|member| &member.name));
        self.ordinals(members);
    }

    fn ordinals(&mut self, members: &[Member]) {
        let mut expected = 1;
        let mut seen: Vec<(u64, &Span)> = Vec::new();
        for member in members {
            let Number { value, span } = &member.ordinal;
            if let Some((_, first)) = seen.iter().find(|(other, _)| other == value) {
                let twice = Diagnostic::new("ordinal-duplicate", span, format!("the ordinal {value} is taken"));
                self.found.push(twice.related(first, "it is taken here"));
            } else if *value == 0 {
                self.reject("ordinal-zero", span, "ordinals start at 1", "");
            } else if *value > ORDINAL_MAX {
                self.reject("ordinal-range", span, format!("ordinals end at {ORDINAL_MAX}"), "");
            } else if *value < expected {
                let hint = "members stand in the order of their ordinals";
                self.reject("ordinal-order", span, format!("the ordinal {value} stands too late"), hint);
            } else if *value > expected && !is_later(members, expected) {
                let hint =
                    format!("if {expected} had a meaning once, write `reserved {expected}`; it can never have another");
                self.reject("ordinal-gap", span, format!("the ordinal {expected} is missing"), &hint);
            }
            seen.push((*value, span));
            expected = expected.max(value.saturating_add(1));
        }
    }
}

fn is_reserved(member: &Member) -> bool {
    matches!(member.kind, MemberKind::Reserved)
}

/// Whether a member has the ordinal, so that it stands in the wrong place rather than being missing.
fn is_later(members: &[Member], ordinal: u64) -> bool {
    members.iter().any(|member| member.ordinal.value == ordinal)
}

/// Ordinals out of range were rejected.
fn ordinal(member: &Member) -> u16 {
    u16::try_from(member.ordinal.value).unwrap_or(u16::MAX)
}

/// Where the members of a declaration stand, by ordinal.
pub(super) fn member_span(item: &Item, wanted: u16) -> &Span {
    let members: &[Member] = match &item.kind {
        ast::ItemKind::Const(_) => &[],
        ast::ItemKind::Enum(members) | ast::ItemKind::Struct(members) | ast::ItemKind::Union(members) => members,
        ast::ItemKind::Resource { members, .. } | ast::ItemKind::Interface(members) => members,
    };
    members.iter().find(|member| ordinal(member) == wanted).map_or(&item.name.span, |member| &member.name.span)
}

/// Whether a declaration is a value with a size.
pub(super) fn is_data(kind: &DefKind) -> bool {
    matches!(kind, DefKind::Enum(_) | DefKind::Struct(_) | DefKind::Union(_))
}
