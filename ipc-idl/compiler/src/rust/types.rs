//! Enums, structs and unions in Rust, with their codecs.
use super::expressions::{Form, Text};
use super::{Scope, docs, docs_or};
use crate::model::{Def, EnumMember, Field, Type, UnionMember, varint_size};
use std::fmt::Write;

pub(super) fn enumeration(def: &Def, members: &[EnumMember]) -> String {
    let name = &def.name;
    let mut out = docs_or(&def.docs, "One of several.");
    let _ = writeln!(
        out,
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(u16)]\npub enum {name} {{"
    );
    for member in members {
        let own = docs_or(&member.docs, &format!("`{}`, ordinal {}.", member.name, member.ordinal));
        let _ = writeln!(out, "{own}{} = {},", member.name, member.ordinal);
    }
    let all: Vec<_> = members.iter().map(|member| format!("Self::{}", member.name)).collect();
    let arms: String = members.iter().map(|m| format!("{} => Ok(Self::{}),\n", m.ordinal, m.name)).collect();
    let largest = members.iter().map(|m| varint_size(usize::from(m.ordinal))).max().unwrap_or(0);
    let names: String = members.iter().map(|m| format!("Self::{0} => \"{0}\",\n", m.name)).collect();
    let _ = write!(
        out,
        "}}\nimpl {name} {{\n/// Most bytes on the wire.\npub const MAX_ENCODED: usize = {largest};\n\
         /// All members, in the order of their ordinals.\npub const ALL: &'static [Self] = &[{}];\n\
         /// Its ordinal, which is its number on the wire.\n#[must_use]\npub const fn code(self) -> u16 {{ self as u16 }}\n\
         /// Its name in the IDL.\n#[must_use]\npub const fn name(self) -> &'static str {{\nmatch self {{\n{names}}}\n}}\n\
         #[doc(hidden)]\npub fn encode_to(self, __w: &mut ipc::Writer<'_>) -> Result<(), ipc::EncodeError> {{ __w.u16(self.code()) }}\n\
         #[doc(hidden)]\npub fn decode_from(__r: &mut ipc::Reader<'_>) -> Result<Self, ipc::DecodeError> {{ Self::try_from(__r.u16()?) }}\n}}\n\
         impl TryFrom<u16> for {name} {{\ntype Error = ipc::DecodeError;\n\
         fn try_from(code: u16) -> Result<Self, ipc::DecodeError> {{\nmatch code {{\n{arms}_ => Err(ipc::DecodeError::UnknownMember),\n}}\n}}\n}}\n\
         impl ipc::DomainError for {name} {{\nfn from_code(code: u16) -> Option<Self> {{ Self::try_from(code).ok() }}\n}}\n\
         impl ipc::scalar::Scalar for {name} {{\nfn to_word(self) -> u64 {{ u64::from(self.code()) }}\n\
         fn from_word(word: u64) -> Result<Self, ipc::DecodeError> {{ Self::try_from(<u16 as ipc::scalar::Scalar>::from_word(word)?) }}\n}}\n",
        all.join(", ")
    );
    out += &super::samples::enumeration(name);
    out += &super::serialize::enumeration(name);
    out
}

/// A struct; also the results of an operation and the parts of an event.
pub(super) fn structure(scope: &Scope<'_>, name: &str, lines: &[String], fields: &[Field]) -> String {
    let shape = Shape::new(scope, name, fields.iter().map(|field| &field.kind));
    let mut out = docs_or(lines, "Several values.");
    let _ = writeln!(out, "{}pub struct {} {{", shape.derives, shape.declared);
    for field in fields {
        let own = docs_or(&field.docs, &format!("`{}`.", field.name));
        let _ = writeln!(out, "{own}pub {}: {},", field.name, scope.rust_type(&field.kind, "'a"));
    }
    out += "}\n";
    let writes: String =
        fields.iter().map(|field| scope.encode(&field.kind, &format!("self.{}", field.name), Form::Value)).collect();
    let reads: String =
        fields.iter().map(|field| format!("{}: {},\n", field.name, scope.decode(&field.kind, Text::Cow))).collect();
    let owned: String = fields
        .iter()
        .map(|field| format!("{}: {},\n", field.name, scope.owned(&field.kind, &format!("self.{}", field.name))))
        .collect();
    let size = scope.world.fields_size(fields);
    out += &shape.codec(size, &format!("{writes}Ok(())"), &format!("Ok(Self {{\n{reads}}})"));
    out += &shape.owning_method(&format!("{name} {{\n{owned}}}"));
    out += &super::samples::structure(scope, &shape, fields);
    out += &super::serialize::structure(&shape, fields);
    out
}

pub(super) fn union(scope: &Scope<'_>, def: &Def, members: &[UnionMember]) -> String {
    let name = &def.name;
    let shape = Shape::new(scope, name, members.iter().flat_map(|member| &member.value));
    let mut out = docs_or(&def.docs, "One of several values.");
    let _ = writeln!(out, "{}pub enum {} {{", shape.derives, shape.declared);
    let (mut writes, mut reads, mut owned) = (String::new(), String::new(), String::new());
    for member in members {
        let (label, ordinal) = (&member.name, member.ordinal);
        out += &docs_or(&member.docs, &format!("`{label}`, ordinal {ordinal}."));
        if let Some(kind) = &member.value {
            let _ = writeln!(out, "{label}({}),", scope.rust_type(kind, "'a"));
            let write = scope.encode(kind, "__value", Form::Reference);
            let _ = write!(writes, "Self::{label}(__value) => {{\n__w.u16({ordinal})?;\n{write}}}\n");
            let _ = writeln!(reads, "{ordinal} => Ok(Self::{label}({})),", scope.decode(kind, Text::Cow));
            let _ = writeln!(owned, "Self::{label}(__value) => {name}::{label}({}),", scope.owned(kind, "__value"));
        } else {
            let _ = writeln!(out, "{label},");
            let _ = writeln!(writes, "Self::{label} => __w.u16({ordinal})?,");
            let _ = writeln!(reads, "{ordinal} => Ok(Self::{label}),");
            let _ = writeln!(owned, "Self::{label} => {name}::{label},");
        }
    }
    out += "}\n";
    let writes = format!("match self {{\n{writes}}}\nOk(())");
    let reads = format!("match __r.u16()? {{\n{reads}_ => Err(ipc::DecodeError::UnknownMember),\n}}");
    out += &shape.codec(def.size, &writes, &reads);
    out += &shape.owning_method(&format!("match self {{\n{owned}}}"));
    out += &super::samples::union(scope, &shape, members);
    out += &super::serialize::union(&shape, members);
    out
}

/// How a struct or union is declared: with a lifetime if it borrows, `Copy` if it can be.
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) borrows: bool,
    derives: &'static str,
    declared: String,
}

impl Shape {
    fn new<'t>(scope: &Scope<'_>, name: &str, kinds: impl Iterator<Item = &'t Type> + Clone) -> Self {
        let borrows = kinds.clone().any(|kind| scope.world.borrows(kind));
        let is_copy = kinds.clone().all(|kind| scope.world.is_copy(kind));
        let derives = if is_copy {
            "#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n"
        } else {
            "#[derive(Clone, Debug, PartialEq, Eq)]\n"
        };
        let declared = if borrows { format!("{name}<'a>") } else { name.to_owned() };
        Self { name: name.to_owned(), borrows, derives, declared }
    }

    /// `impl<'a> Name<'a>` or `impl Name`.
    pub(super) fn head(&self) -> String {
        if self.borrows { format!("impl<'a> {}", self.declared) } else { format!("impl {}", self.declared) }
    }

    /// The type with a lifetime, if it has one.
    pub(super) fn with(&self, life: &str) -> String {
        if self.borrows { format!("{}<{life}>", self.name) } else { self.name.clone() }
    }

    fn codec(&self, size: usize, writes: &str, reads: &str) -> String {
        let life = if self.borrows { "'a" } else { "'_" };
        let bytes = if self.borrows { "&'a [u8]" } else { "&[u8]" };
        let (head, own, view) = (self.head(), self.with("'static"), self.with("'v"));
        let (lent, read) = (self.with("'_"), self.with("'_"));
        format!(
            "{head} {{\n/// Most bytes on the wire.\npub const MAX_ENCODED: usize = {size};\n\
             /// Writes the value to the start of `buffer` and returns its length.\n\
             ///\n/// # Errors\n/// A part is beyond its bound, or the buffer is too small.\n\
             pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, ipc::EncodeError> {{\n\
             let mut __w = ipc::Writer::new(buffer);\nself.encode_to(&mut __w)?;\nOk(__w.written())\n}}\n\
             /// Reads a value that fills `bytes` exactly.\n///\n/// # Errors\n/// They are no value of this type.\n\
             pub fn decode(bytes: {bytes}) -> Result<Self, ipc::DecodeError> {{\n\
             let mut __r = ipc::Reader::new(bytes);\nlet __value = Self::decode_from(&mut __r)?;\n__r.finish()?;\nOk(__value)\n}}\n\
             #[doc(hidden)]\npub fn encode_to(&self, __w: &mut ipc::Writer<'_>) -> Result<(), ipc::EncodeError> {{\n{writes}\n}}\n\
             #[doc(hidden)]\npub fn decode_from(__r: &mut ipc::Reader<{life}>) -> Result<Self, ipc::DecodeError> {{\n{reads}\n}}\n}}\n\
             impl ipc::Record for {own} {{\ntype View<'v> = {view};\nconst MAX_ENCODED: usize = {size};\n\
             fn write(value: &{lent}, buffer: &mut [u8]) -> Result<usize, ipc::EncodeError> {{ value.encode(buffer) }}\n\
             fn read(bytes: &[u8]) -> Result<{read}, ipc::DecodeError> {{ {}::decode(bytes) }}\n}}\n",
            self.name
        )
    }

    fn owning_method(&self, value: &str) -> String {
        if !self.borrows {
            return String::new();
        }
        let (head, own) = (self.head(), self.with("'static"));
        format!(
            "{head} {{\n/// The same value, independent of the message that it came in.\n#[must_use]\npub fn into_owned(self) -> {own} {{\n{value}\n}}\n}}\n"
        )
    }
}

/// Documentation of a member of an interface, as it stands in the text.
pub(super) fn member_docs(lines: &[String], other: &str) -> String {
    if lines.is_empty() { docs_or(&[], other) } else { docs(lines) }
}
