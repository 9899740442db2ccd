//! Rules for types: what they name, what may stand where, and bounds.
use super::Checker;
use crate::ast::{Bound, ItemKind, Name, Parameter, TypeKind, TypeRef};
use crate::diagnostic::Span;
use crate::model::{DefId, DefKind, Field, Operation, Scalar, Type};

/// Largest bound of a string, byte string or list: also what a `u16` can count.
const BOUND_MAX: u64 = 65535;
/// Largest array: arrays are copied around as values.
const ARRAY_MAX: usize = 32;

/// Where a type stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In data: a field, a member of a union, a part of an event, or inside another type.
    Data,
    Argument,
    Result,
}

impl Checker<'_> {
    pub(super) fn parameters(&mut self, library: usize, list: &[Parameter], place: Place) -> Vec<Field> {
        self.unique(list.iter().map(|parameter| &parameter.name));
        let mut fields = Vec::new();
        for parameter in list {
            self.value_name(&parameter.name);
            if let Some(kind) = self.type_of(library, &parameter.type_ref, place) {
                fields.push(Field { name: parameter.name.text.clone(), docs: Vec::new(), kind });
            }
        }
        fields
    }

    pub(super) fn type_of(&mut self, library: usize, type_ref: &TypeRef, place: Place) -> Option<Type> {
        let span = &type_ref.span;
        match &type_ref.kind {
            TypeKind::Named(name) => self.named(library, name, span),
            TypeKind::String(bound) => Some(Type::Text(self.bound(library, bound)?)),
            TypeKind::Bytes(bound) => Some(Type::Bytes(self.bound(library, bound)?)),
            TypeKind::List(element, bound) => {
                let element = self.type_of(library, element, Place::Data)?;
                if element == Type::Scalar(Scalar::U8) {
                    self.reject("list-of-bytes", span, "a list of `u8` is a byte string", "write `bytes<N>`");
                }
                Some(Type::List(Box::new(element), self.bound(library, bound)?))
            }
            TypeKind::Array(element, bound) => self.array(library, element, bound),
            TypeKind::Option(inner) => Some(Type::Option(Box::new(self.type_of(library, inner, Place::Data)?))),
            TypeKind::Own(name) => self.own(library, name, span, place),
            TypeKind::Cap { kind, rights } => self.capability(kind, rights, span, place),
            TypeKind::Region { rights } => self.region(rights, span, place),
        }
    }

    fn named(&mut self, library: usize, name: &str, span: &Span) -> Option<Type> {
        if let Some((_, scalar)) = Scalar::ALL.iter().find(|(word, _)| *word == name) {
            return Some(Type::Scalar(*scalar));
        }
        if ["f32", "f64", "float", "double"].contains(&name) {
            let hint =
                "components run without a floating-point unit; use an integer and name its unit (`level_millibel`)";
            self.reject("no-floats", span, "there are no floating-point numbers", hint);
            return None;
        }
        let id = self.resolve(library, name, span)?;
        let (rule, hint) = match &self.item(id).kind {
            ItemKind::Enum(_) | ItemKind::Struct(_) | ItemKind::Union(_) => return Some(Type::Named(id)),
            ItemKind::Resource { .. } => ("resource-as-data", "an object is handed over as a capability: `own …`"),
            ItemKind::Interface(_) => ("interface-as-data", "interfaces are granted by routes, never passed around"),
            ItemKind::Const(_) => ("constant-as-type", "constants are bounds"),
        };
        self.reject(rule, span, format!("`{name}` is not a type of data"), hint);
        None
    }

    fn array(&mut self, library: usize, element: &TypeRef, bound: &Bound) -> Option<Type> {
        let kind = self.type_of(library, element, Place::Data)?;
        let count = self.bound(library, bound)?;
        if count > ARRAY_MAX {
            let hint = "arrays are for addresses and the like; use `bytes<N>` or `list<T, N>`";
            self.reject("array-length", &element.span, format!("an array has {ARRAY_MAX} elements at most"), hint);
        }
        if let Type::Scalar(scalar) = kind {
            return Some(Type::Array(scalar, count));
        }
        let hint = "use `list<T, N>`, or a struct whose fields have names";
        self.reject("array-element", &element.span, "an array has integers or `bool`s", hint);
        None
    }

    fn own(&mut self, library: usize, name: &Name, span: &Span, place: Place) -> Option<Type> {
        let id = self.resolve(library, &name.text, &name.span)?;
        if !matches!(self.item(id).kind, ItemKind::Resource { .. }) {
            let message = format!("`{}` is not a resource", name.text);
            self.reject("own-not-resource", &name.span, message, "only objects of a `resource` are owned");
            return None;
        }
        match place {
            Place::Result => Some(Type::Own(id)),
            Place::Argument => {
                let hint = "objects go from the server to the client; pass a number that the server can look up";
                self.reject("own-argument", span, "an object cannot be an argument", hint);
                None
            }
            Place::Data => self.cap_in_data(span),
        }
    }

    fn capability(&mut self, kind: &Name, rights: &Name, span: &Span, place: Place) -> Option<Type> {
        if kind.text != "Notification" {
            let message = format!("`{}` is no kind of capability that can be passed", kind.text);
            self.reject(
                "capability-kind",
                &kind.span,
                message,
                "only `cap Notification<signal>` and `cap Notification<wait>`",
            );
            return None;
        }
        let can_signal = match rights.text.as_str() {
            "signal" => true,
            "wait" => false,
            _ => return self.bad_rights(rights, "a notification has `signal` or `wait`"),
        };
        if place == Place::Data { self.cap_in_data(span) } else { Some(Type::Notification { can_signal }) }
    }

    fn region(&mut self, rights: &Name, span: &Span, place: Place) -> Option<Type> {
        let can_write = match rights.text.as_str() {
            "r" => false,
            "rw" => true,
            _ => return self.bad_rights(rights, "a region has `r` or `rw`"),
        };
        if place == Place::Data { self.cap_in_data(span) } else { Some(Type::Region { can_write }) }
    }

    fn bad_rights(&mut self, rights: &Name, hint: &str) -> Option<Type> {
        self.reject("rights", &rights.span, format!("there are no rights `{}`", rights.text), hint);
        None
    }

    fn cap_in_data(&mut self, span: &Span) -> Option<Type> {
        let hint = "make it an argument or a result of its own: the kernel moves capabilities apart from data";
        self.reject("capability-in-data", span, "a capability cannot be part of data", hint);
        None
    }

    /// The number that a bound is.
    pub(super) fn bound(&mut self, library: usize, bound: &Bound) -> Option<usize> {
        let (value, span) = self.bound_number(library, bound)?;
        if (1..=BOUND_MAX).contains(&value) {
            return usize::try_from(value).ok();
        }
        self.reject("bound-range", &span, format!("the bound {value} is not within 1 to {BOUND_MAX}"), "");
        None
    }

    pub(super) fn bound_number(&mut self, library: usize, bound: &Bound) -> Option<(u64, Span)> {
        match bound {
            Bound::Number(number) => Some((number.value, number.span.clone())),
            Bound::Constant(name) => {
                let id = self.resolve(library, &name.text, &name.span)?;
                if let ItemKind::Const(number) = &self.item(id).kind {
                    return Some((number.value, name.span.clone()));
                }
                self.reject("bound-constant", &name.span, format!("`{}` is not a constant", name.text), "");
                None
            }
        }
    }
}

/// The capability among the parameters, with its place, and the rest.
pub(super) fn split_cap(fields: Vec<Field>) -> (Vec<Field>, Vec<(usize, Field)>) {
    let is_cap = |kind: &Type| matches!(kind, Type::Own(_) | Type::Notification { .. } | Type::Region { .. });
    let (caps, data): (Vec<_>, Vec<_>) = fields.into_iter().enumerate().partition(|(_, field)| is_cap(&field.kind));
    (data.into_iter().map(|(_, field)| field).collect(), caps)
}

/// The resources that operations hand out, each once.
pub(super) fn minted(operations: &[Operation]) -> Vec<DefId> {
    let mut ids = Vec::new();
    for operation in operations {
        if let Some((_, Field { kind: Type::Own(id), .. })) = &operation.result_cap
            && !ids.contains(id)
        {
            ids.push(*id);
        }
    }
    ids
}

/// Operations of an interface or a resource.
pub(super) fn operations(kind: &DefKind) -> &[Operation] {
    match kind {
        DefKind::Interface(interface) => &interface.operations,
        DefKind::Resource(resource) => &resource.operations,
        _ => &[],
    }
}
