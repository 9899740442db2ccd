//! What stands in a text, as written; nothing is resolved or checked.
use crate::diagnostic::Span;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// One text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) docs: Vec<String>,
    /// Dotted, "hybrid.net.stack".
    pub(crate) library: Name,
    pub(crate) version: u64,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) docs: Vec<String>,
    pub(crate) name: Name,
    pub(crate) kind: ItemKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ItemKind {
    Const(Number),
    Enum(Vec<Member>),
    Struct(Vec<Member>),
    Union(Vec<Member>),
    Resource { per_client: Number, members: Vec<Member> },
    Interface(Vec<Member>),
}

#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) value: u64,
    pub(crate) span: Span,
}

/// Anything with an ordinal.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) docs: Vec<String>,
    pub(crate) ordinal: Number,
    pub(crate) name: Name,
    pub(crate) kind: MemberKind,
}

#[derive(Clone, Debug)]
pub(crate) enum MemberKind {
    /// An ordinal that once had a meaning. Its name is the word `reserved`.
    Reserved,
    /// A member of an enum, or one of a union without a value.
    Plain,
    /// A field of a struct, or a member of a union with a value.
    Typed(TypeRef),
    Operation(Operation),
    Event(Vec<Parameter>),
    Ring(Ring),
}

#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) arguments: Vec<Parameter>,
    pub(crate) results: Vec<Parameter>,
    pub(crate) error: Option<Name>,
    pub(crate) idempotent: Option<Span>,
}

#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) direction: Name,
    pub(crate) bytes: Bound,
    pub(crate) element: TypeRef,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Name,
    pub(crate) type_ref: TypeRef,
}

/// A number, or the name of a constant.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    Number(Number),
    Constant(Name),
}

#[derive(Clone, Debug)]
pub(crate) struct TypeRef {
    pub(crate) span: Span,
    pub(crate) kind: TypeKind,
}

#[derive(Clone, Debug)]
pub(crate) enum TypeKind {
    /// A scalar or a declared type, possibly with its library in front.
    Named(String),
    String(Bound),
    Bytes(Bound),
    List(Box<TypeRef>, Bound),
    Array(Box<TypeRef>, Bound),
    Option(Box<TypeRef>),
    Own(Name),
    Cap {
        kind: Name,
        rights: Name,
    },
    Region {
        rights: Name,
    },
}
