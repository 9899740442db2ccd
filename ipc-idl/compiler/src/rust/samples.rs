//! Random values of every type, for property tests (feature `samples` of the bindings).
use super::Scope;
use super::types::Shape;
use crate::model::{Field, Type, UnionMember};

const HEAD: &str =
    "/// A value made of random choices, bounds included.\n#[must_use]\npub fn sample(__s: &mut ipc::Sampler) -> Self";

pub(super) fn enumeration(name: &str) -> String {
    format!("#[cfg(feature = \"samples\")]\nimpl {name} {{\n{HEAD} {{ *__s.one_of(Self::ALL) }}\n}}\n")
}

pub(super) fn structure(scope: &Scope<'_>, shape: &Shape, fields: &[Field]) -> String {
    let values: String =
        fields.iter().map(|field| format!("{}: {},\n", field.name, sample(scope, &field.kind))).collect();
    format!(
        "#[cfg(feature = \"samples\")]\n{} {{\n{HEAD} {{\nlet _ = &mut *__s;\nSelf {{\n{values}}}\n}}\n}}\n",
        shape.head()
    )
}

pub(super) fn union(scope: &Scope<'_>, shape: &Shape, members: &[UnionMember]) -> String {
    let mut arms = String::new();
    for (at, member) in members.iter().enumerate() {
        let pattern = if at + 1 == members.len() { "_".to_owned() } else { at.to_string() };
        let value = member.value.as_ref().map_or(String::new(), |kind| format!("({})", sample(scope, kind)));
        arms += &format!("{pattern} => Self::{}{value},\n", member.name);
    }
    let count = members.len();
    format!(
        "#[cfg(feature = \"samples\")]\n{} {{\n{HEAD} {{\nmatch __s.below({count}) {{\n{arms}}}\n}}\n}}\n",
        shape.head()
    )
}

fn sample(scope: &Scope<'_>, kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => format!("__s.{}()", scalar.name()),
        Type::Text(max) => format!("Cow::Owned(__s.text({max}))"),
        Type::Bytes(max) => format!("Cow::Owned(__s.bytes({max}))"),
        Type::List(inner, max) => format!("(0..__s.length({max})).map(|_| {}).collect()", sample(scope, inner)),
        Type::Array(scalar, _) => format!("::core::array::from_fn(|_| __s.{}())", scalar.name()),
        Type::Option(inner) => format!("if __s.bool() {{ Some({}) }} else {{ None }}", sample(scope, inner)),
        Type::Named(id) => format!("{}::sample(__s)", scope.path(*id)),
        Type::Own(_) | Type::Notification { .. } | Type::Region { .. } => "()".to_owned(),
    }
}
