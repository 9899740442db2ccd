//! Rules for names: how they are written, and that those made from them in Rust do not collide.
use super::Checker;
use crate::ast::{Item, ItemKind, Name};
use crate::diagnostic::{Diagnostic, Span};
use crate::model::{DefKind, World};
use crate::names::{pascal, snake};
use std::collections::BTreeMap;

/// Words of Rust, which cannot be names of members.
const WORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false final \
    fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait \
    true try type typeof unsafe unsized use virtual where while yield";

/// Types that generated code uses by these names.
const TYPES: [&str; 17] = [
    "S", "C", "Self", "Sized", "Option", "Some", "None", "Result", "Ok", "Err", "Vec", "String", "Cow", "From",
    "TryFrom", "Into", "Drop",
];

impl Checker<'_> {
    pub(super) fn library_name(&mut self, name: &Name) {
        let mut parts = name.text.split('.');
        let is_ours = parts.next() == Some("hybrid") && (2..=3).contains(&name.text.split('.').count());
        if !is_ours || !parts.all(is_snake) {
            let hint = "a library is named `hybrid.<area>` or `hybrid.<area>.<name>`, in lower case";
            self.reject("library-name", &name.span, format!("`{}` is no name for a library", name.text), hint);
        }
        if let Some(word) = name.text.split('.').find(|part| is_word(part)) {
            self.reserved(&name.span, word);
        }
    }

    pub(super) fn item_name(&mut self, item: &Item) {
        let name = &item.name;
        let is_const = matches!(item.kind, ItemKind::Const(_));
        if is_const && !is_upper(&name.text) {
            self.reject(
                "name-case",
                &name.span,
                format!("`{}` is not in upper case", name.text),
                "constants are written LIKE_THIS",
            );
        } else if !is_const {
            self.type_name(name);
        }
    }

    /// The name of a type, a member of an enum or union, or an event.
    pub(super) fn type_name(&mut self, name: &Name) {
        if !is_pascal(&name.text) {
            let message = format!("`{}` is not in camel case", name.text);
            self.reject(
                "name-case",
                &name.span,
                message,
                "types, members of enums and unions, and events are written LikeThis",
            );
        } else if name.text == "Self" {
            self.reserved(&name.span, "Self");
        }
    }

    /// The name of a field, argument, operation or ring.
    pub(super) fn value_name(&mut self, name: &Name) {
        if !is_snake(&name.text) {
            let message = format!("`{}` is not in snake case", name.text);
            self.reject("name-case", &name.span, message, "fields, operations and rings are written like_this");
        } else if is_word(&name.text) {
            self.reserved(&name.span, &name.text);
        }
    }

    pub(super) fn unique<'n>(&mut self, names: impl Iterator<Item = &'n Name>) {
        let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
        for name in names {
            if let Some(first) = seen.get(name.text.as_str()) {
                let message = format!("`{}` is named twice", name.text);
                let twice = Diagnostic::new("name-duplicate", &name.span, message);
                self.found.push(twice.related(first, "it is named here"));
            } else {
                seen.insert(&name.text, &name.span);
            }
        }
    }

    fn reserved(&mut self, span: &Span, word: &str) {
        let message = format!("`{word}` is a word of Rust");
        self.reject("name-reserved", span, message, "choose another word");
    }

    /// A declared name close to `wanted`.
    pub(super) fn similar(&self, library: usize, wanted: &str) -> Option<String> {
        let scalars = crate::model::Scalar::ALL.iter().map(|(name, _)| *name);
        let declared = self.ids.keys().filter(|(home, _)| *home == library).map(|(_, name)| name.as_str());
        let mut near: Vec<_> =
            declared.chain(scalars).map(|name| (distance(name, wanted), name)).filter(|(d, _)| *d <= 2).collect();
        near.sort_unstable();
        near.first().map(|(_, name)| (*name).to_owned())
    }

    /// Rejects declarations whose Rust names collide with those made for another.
    pub(super) fn generated_names(&mut self, world: &World) {
        let mut taken: BTreeMap<(usize, String), Span> = BTreeMap::new();
        for (id, def) in world.defs() {
            let span = &self.files[id.library].items[id.index].name.span;
            if TYPES.contains(&def.name.as_str()) {
                self.found.push(
                    Diagnostic::new("name-reserved", span, format!("`{}` is a type that bindings use", def.name))
                        .hint("choose another word"),
                );
            }
            let module = format!("{}.{}", world.libraries[id.library].name, snake(&def.name));
            if matches!(def.kind, DefKind::Interface(_)) && self.libraries.contains_key(&module) {
                let message = format!("the constants of this interface collide with the library `{module}`");
                self.found.push(Diagnostic::new("generated-name", span, message).hint("rename one of them"));
            }
            for name in made_names(&def.name, &def.kind) {
                match taken.get(&(id.library, name.clone())) {
                    None => {
                        taken.insert((id.library, name), span.clone());
                    }
                    Some(first) => self.found.push(
                        Diagnostic::new("generated-name", span, format!("the Rust name `{name}` is needed twice"))
                            .related(first, "it is made for this as well")
                            .hint("rename one of them"),
                    ),
                }
            }
        }
    }
}

/// Rust types and traits that a declaration becomes.
fn made_names(name: &str, kind: &DefKind) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    let operations = match kind {
        DefKind::Resource(resource) => {
            names.push(format!("{name}Client"));
            &resource.operations
        }
        DefKind::Interface(interface) => {
            let parts = ["Client", "Server", "Loopback", "Objects", "Rings", "ClientRings", "ServerRings"];
            names.extend(parts.iter().map(|part| format!("{name}{part}")));
            names.extend(interface.events.iter().map(|event| format!("{name}{}", event.name)));
            &interface.operations
        }
        _ => return names,
    };
    let several = operations.iter().filter(|operation| operation.results.len() > 1);
    names.extend(several.map(|operation| format!("{name}{}", pascal(&operation.name))));
    names
}

fn is_snake(text: &str) -> bool {
    let mut parts = text.split('_');
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && parts.all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}

fn is_upper(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_lowercase()) && is_snake(&text.to_ascii_lowercase())
}

fn is_pascal(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_word(text: &str) -> bool {
    WORDS.split_ascii_whitespace().any(|word| word == text)
}

/// How many letters have to be changed, added or taken away.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
