//! Libraries whose names are resolved, whose rules are checked and whose sizes are known.

/// All libraries that were compiled together.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) libraries: Vec<Library>,
}

/// Which declaration of which library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DefId {
    pub(crate) library: usize,
    pub(crate) index: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Library {
    /// "hybrid.net.stack".
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) docs: Vec<String>,
    pub(crate) defs: Vec<Def>,
}

#[derive(Clone, Debug)]
pub(crate) struct Def {
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) kind: DefKind,
    /// Most bytes on the wire; 0 for what is no value.
    pub(crate) size: usize,
    /// Whether a value holds strings or byte strings.
    pub(crate) borrows: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum DefKind {
    Const(u64),
    Enum(Vec<EnumMember>),
    Struct(Vec<Field>),
    Union(Vec<UnionMember>),
    Resource(Resource),
    Interface(Interface),
}

#[derive(Clone, Debug)]
pub(crate) struct EnumMember {
    pub(crate) ordinal: u16,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct UnionMember {
    pub(crate) ordinal: u16,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) value: Option<Type>,
}

/// A field, an argument or a result.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) kind: Type,
}

#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) per_client: u16,
    pub(crate) operations: Vec<Operation>,
    /// Resources of this library that its operations hand out, each once.
    pub(crate) mints: Vec<DefId>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Interface {
    pub(crate) operations: Vec<Operation>,
    pub(crate) events: Vec<Event>,
    pub(crate) rings: Vec<Ring>,
    /// Resources that can be reached through it, in the order of their object kinds.
    pub(crate) resources: Vec<DefId>,
    pub(crate) region_bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) ordinal: u16,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    /// What goes as data, in order.
    pub(crate) arguments: Vec<Field>,
    /// The capability among the arguments, and its place among all of them.
    pub(crate) argument_cap: Option<(usize, Field)>,
    pub(crate) results: Vec<Field>,
    pub(crate) result_cap: Option<(usize, Field)>,
    pub(crate) error: Option<DefId>,
    pub(crate) is_idempotent: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) ordinal: u16,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) ordinal: u16,
    pub(crate) name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) is_to_client: bool,
    pub(crate) capacity: usize,
    pub(crate) offset: usize,
    pub(crate) element: Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar(Scalar),
    Text(usize),
    Bytes(usize),
    List(Box<Type>, usize),
    Array(Scalar, usize),
    Option(Box<Type>),
    /// An enum, struct or union.
    Named(DefId),
    Own(DefId),
    /// `true`: signal.
    Notification {
        can_signal: bool,
    },
    Region {
        can_write: bool,
    },
}

impl Scalar {
    pub(crate) const ALL: [(&'static str, Self); 9] = [
        ("bool", Self::Bool),
        ("u8", Self::U8),
        ("u16", Self::U16),
        ("u32", Self::U32),
        ("u64", Self::U64),
        ("i8", Self::I8),
        ("i16", Self::I16),
        ("i32", Self::I32),
        ("i64", Self::I64),
    ];

    /// Its name, the same in the IDL and in Rust.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, scalar)| *scalar == self).map_or("", |(name, _)| name)
    }

    /// Most bytes on the wire: a varint has 7 bits a byte.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 3,
            Self::U32 | Self::I32 => 5,
            Self::U64 | Self::I64 => 10,
        }
    }
}

impl World {
    pub(crate) fn def(&self, id: DefId) -> &Def {
        &self.libraries[id.library].defs[id.index]
    }

    /// Most bytes of a value on the wire, by what is known of the declared types.
    pub(crate) fn size(&self, kind: &Type) -> usize {
        match kind {
            Type::Scalar(scalar) => scalar.size(),
            Type::Text(max) | Type::Bytes(max) => varint_size(*max).saturating_add(*max),
            Type::List(element, max) => varint_size(*max).saturating_add(self.size(element).saturating_mul(*max)),
            Type::Array(scalar, count) => scalar.size().saturating_mul(*count),
            Type::Option(inner) => self.size(inner).saturating_add(1),
            Type::Named(id) => self.def(*id).size,
            Type::Own(_) | Type::Notification { .. } | Type::Region { .. } => 0,
        }
    }

    /// Whether a value holds strings or byte strings.
    pub(crate) fn borrows(&self, kind: &Type) -> bool {
        match kind {
            Type::Text(_) | Type::Bytes(_) => true,
            Type::List(inner, _) | Type::Option(inner) => self.borrows(inner),
            Type::Named(id) => self.def(*id).borrows,
            Type::Scalar(_) | Type::Array(..) | Type::Own(_) | Type::Notification { .. } | Type::Region { .. } => false,
        }
    }

    /// Whether a value can travel in one message register.
    pub(crate) fn is_scalar(&self, kind: &Type) -> bool {
        match kind {
            Type::Scalar(_) => true,
            Type::Named(id) => matches!(self.def(*id).kind, DefKind::Enum(_)),
            _ => false,
        }
    }

    /// Whether a value is `Copy` in Rust.
    pub(crate) fn is_copy(&self, kind: &Type) -> bool {
        match kind {
            Type::Scalar(_) | Type::Array(..) | Type::Notification { .. } | Type::Region { .. } => true,
            Type::Option(inner) => self.is_copy(inner),
            Type::Named(id) => match &self.def(*id).kind {
                DefKind::Enum(_) => true,
                DefKind::Struct(fields) => fields.iter().all(|field| self.is_copy(&field.kind)),
                DefKind::Union(members) => members.iter().flat_map(|m| &m.value).all(|kind| self.is_copy(kind)),
                _ => false,
            },
            Type::Text(_) | Type::Bytes(_) | Type::List(..) | Type::Own(_) => false,
        }
    }

    /// Whether the values go in message registers: scalars only, one word each, four at most.
    pub(crate) fn fits_registers(&self, fields: &[Field], extra_words: usize) -> bool {
        fields.len() + extra_words <= REGISTER_WORDS && fields.iter().all(|field| self.is_scalar(&field.kind))
    }

    /// Most bytes of the values, one after the other.
    pub(crate) fn fields_size(&self, fields: &[Field]) -> usize {
        fields.iter().fold(0, |sum, field| sum.saturating_add(self.size(&field.kind)))
    }

    /// All declarations with their numbers.
    pub(crate) fn defs(&self) -> impl Iterator<Item = (DefId, &Def)> {
        self.libraries.iter().enumerate().flat_map(|(library, content)| {
            content.defs.iter().enumerate().map(move |(index, def)| (DefId { library, index }, def))
        })
    }

    /// "hybrid.log.Reader".
    pub(crate) fn full_name(&self, id: DefId) -> String {
        format!("{}.{}", self.libraries[id.library].name, self.def(id).name)
    }
}

/// Words of a message in registers; the same as `hybrid_ipc::REGISTER_WORDS`.
pub(crate) const REGISTER_WORDS: usize = 4;
/// Longest payload of a message; the same as `hybrid_ipc::MAX_BYTES`.
pub(crate) const MESSAGE_BYTES: usize = 928;
/// Bytes in front of a ring's data; the same as `hybrid_ring::HEADER_BYTES`.
pub(crate) const RING_HEADER_BYTES: usize = 128;
/// Bytes in front of a record; the same as `hybrid_ring::RECORD_HEADER_BYTES`.
pub(crate) const RECORD_HEADER_BYTES: usize = 8;
/// Granularity of a session's region.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Largest region of a session: the address space that a session has.
pub(crate) const REGION_BYTES_MAX: usize = 4 << 20;
/// Resources that an interface can tell apart in the object part of a badge.
pub(crate) const RESOURCE_KINDS: usize = 16;
/// Live objects of one kind.
pub(crate) const OBJECTS_MAX: u64 = 4095;
/// Largest ordinal; labels above are the runtime's.
pub(crate) const ORDINAL_MAX: u64 = 0x7fff;

/// Bytes of the varint of `value`.
pub(crate) fn varint_size(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    usize::try_from(bits.div_ceil(7).max(1)).unwrap_or(10)
}
