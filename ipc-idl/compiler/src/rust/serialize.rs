//! `serde::Serialize` for every type (feature `serde` of the bindings): for traces, JSON and the postcard crate.
use super::types::Shape;
use crate::model::{Field, UnionMember};

const METHOD: &str = "fn serialize<S: ::serde::Serializer>(&self, __s: S) -> Result<S::Ok, S::Error>";

/// By name for people, by ordinal on the wire.
pub(super) fn enumeration(name: &str) -> String {
    format!(
        "#[cfg(feature = \"serde\")]\nimpl ::serde::Serialize for {name} {{\n{METHOD} {{\n\
         if __s.is_human_readable() {{ __s.serialize_str(self.name()) }} else {{ __s.serialize_u16(self.code()) }}\n}}\n}}\n"
    )
}

pub(super) fn structure(shape: &Shape, fields: &[Field]) -> String {
    let parts: String = fields
        .iter()
        .map(|field| {
            format!("::serde::ser::SerializeStruct::serialize_field(&mut __parts, \"{0}\", &self.{0})?;\n", field.name)
        })
        .collect();
    let mutable = if fields.is_empty() { "" } else { "mut " };
    format!(
        "#[cfg(feature = \"serde\")]\nimpl ::serde::Serialize for {} {{\n{METHOD} {{\n\
         let {mutable}__parts = __s.serialize_struct(\"{}\", {})?;\n{parts}::serde::ser::SerializeStruct::end(__parts)\n}}\n}}\n",
        shape.with("'_"),
        shape.name,
        fields.len()
    )
}

pub(super) fn union(shape: &Shape, members: &[UnionMember]) -> String {
    let name = &shape.name;
    let mut arms = String::new();
    for member in members {
        let (label, ordinal) = (&member.name, member.ordinal);
        arms += &if member.value.is_some() {
            format!(
                "Self::{label}(__value) => __s.serialize_newtype_variant(\"{name}\", {ordinal}, \"{label}\", __value),\n"
            )
        } else {
            format!("Self::{label} => __s.serialize_unit_variant(\"{name}\", {ordinal}, \"{label}\"),\n")
        };
    }
    format!(
        "#[cfg(feature = \"serde\")]\nimpl ::serde::Serialize for {} {{\n{METHOD} {{\nmatch self {{\n{arms}}}\n}}\n}}\n",
        shape.with("'_")
    )
}
