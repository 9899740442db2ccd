//! Syntax trees to the model: names, bounds, ordinals, cycles and sizes; every rule of the language.
mod members;
mod names;
mod sizes;
mod types;

use crate::ast::{File, Item, ItemKind, Name};
use crate::diagnostic::{Diagnostic, Span};
use crate::model::{Def, DefId, DefKind, Library, World};
use std::collections::BTreeMap;

/// The model of all texts, or every mistake that could be found.
pub(crate) fn check(files: &[File]) -> Result<World, Vec<Diagnostic>> {
    let mut checker = Checker { files, ids: BTreeMap::new(), libraries: BTreeMap::new(), found: Vec::new() };
    checker.collect();
    let mut world = World { libraries: files.iter().enumerate().map(|(at, file)| checker.library(at, file)).collect() };
    checker.reach_resources(&mut world);
    // Sizes of types with broken parts would only repeat the first mistake.
    if checker.found.is_empty() {
        checker.sizes(&mut world);
    }
    if checker.found.is_empty() {
        checker.generated_names(&world);
    }
    checker.found.sort_by_key(|diagnostic| (diagnostic.span.file, diagnostic.span.bytes.start));
    if checker.found.is_empty() { Ok(world) } else { Err(checker.found) }
}

struct Checker<'a> {
    files: &'a [File],
    /// Declarations by library and name.
    ids: BTreeMap<(usize, String), DefId>,
    libraries: BTreeMap<String, usize>,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    /// Gives every declaration its number and checks their names.
    fn collect(&mut self) {
        let files = self.files;
        for (library, file) in files.iter().enumerate() {
            self.library_name(&file.library);
            match self.libraries.get(&file.library.text) {
                None => {
                    self.libraries.insert(file.library.text.clone(), library);
                }
                Some(&first) => self.found.push(
                    Diagnostic::new("library-duplicate", &file.library.span, "this library stands in another text")
                        .related(&files[first].library.span, "it is here"),
                ),
            }
            for (index, item) in file.items.iter().enumerate() {
                self.item_name(item);
                let key = (library, item.name.text.clone());
                if let Some(first) = self.ids.get(&key) {
                    let first = &file.items[first.index].name.span;
                    let message = format!("`{}` is declared twice", item.name.text);
                    let twice = Diagnostic::new("name-duplicate", &item.name.span, message);
                    self.found.push(twice.related(first, "it is declared here"));
                } else {
                    self.ids.insert(key, DefId { library, index });
                }
            }
        }
    }

    fn library(&mut self, at: usize, file: &File) -> Library {
        let defs = file.items.iter().map(|item| self.def(at, item)).collect();
        Library { name: file.library.text.clone(), version: file.version, docs: file.docs.clone(), defs }
    }

    fn def(&mut self, library: usize, item: &Item) -> Def {
        let kind = match &item.kind {
            ItemKind::Const(number) => DefKind::Const(number.value),
            ItemKind::Enum(members) => DefKind::Enum(self.enum_members(item, members)),
            ItemKind::Struct(members) => DefKind::Struct(self.fields(library, item, members)),
            ItemKind::Union(members) => DefKind::Union(self.union_members(library, item, members)),
            ItemKind::Resource { per_client, members } => {
                DefKind::Resource(self.resource(library, item, per_client, members))
            }
            ItemKind::Interface(members) => DefKind::Interface(self.interface(library, item, members)),
        };
        Def { name: item.name.text.clone(), docs: item.docs.clone(), kind, size: 0, borrows: false }
    }

    /// The declaration that `name` means in `library`: its own, or `hybrid.other.library.Name`.
    fn resolve(&mut self, library: usize, name: &str, span: &Span) -> Option<DefId> {
        let (home, short) = match name.rsplit_once('.') {
            None => (library, name),
            Some((other, short)) => match self.libraries.get(other) {
                Some(&home) => (home, short),
                None => {
                    self.found.push(Diagnostic::new("library-unknown", span, format!("there is no library `{other}`")));
                    return None;
                }
            },
        };
        let found = self.ids.get(&(home, short.to_owned())).copied();
        if found.is_none() {
            let mut diagnostic = Diagnostic::new("name-unknown", span, format!("`{name}` is not declared"));
            if let Some(close) = self.similar(home, short) {
                diagnostic = diagnostic.hint(format!("did you mean `{close}`?"));
            }
            self.found.push(diagnostic);
        }
        found
    }

    fn item(&self, id: DefId) -> &Item {
        &self.files[id.library].items[id.index]
    }

    fn reject(&mut self, rule: &'static str, span: &Span, message: impl Into<String>, hint: &str) {
        let diagnostic = Diagnostic::new(rule, span, message);
        self.found.push(if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) });
    }

    /// The enum that `! Name` means.
    fn domain_error(&mut self, library: usize, name: &Name) -> Option<DefId> {
        let id = self.resolve(library, &name.text, &name.span)?;
        if matches!(self.item(id).kind, ItemKind::Enum(_)) {
            return Some(id);
        }
        self.reject(
            "error-not-enum",
            &name.span,
            format!("`{}` is not an enum", name.text),
            "a domain error is one number; what else there is to say belongs in a result",
        );
        None
    }

    /// Finds for each interface the resources that can be reached through it, and rejects those that none reaches.
    fn reach_resources(&mut self, world: &mut World) {
        let mut reached = std::collections::BTreeSet::new();
        for library in 0..world.libraries.len() {
            for index in 0..world.libraries[library].defs.len() {
                let DefKind::Interface(interface) = &world.libraries[library].defs[index].kind else { continue };
                let mut resources = types::minted(&interface.operations);
                let mut at = 0;
                while let Some(id) = resources.get(at).copied() {
                    if let DefKind::Resource(resource) = &world.def(id).kind {
                        let more: Vec<_> =
                            resource.mints.iter().filter(|id| !resources.contains(id)).copied().collect();
                        resources.extend(more);
                    }
                    at += 1;
                }
                if resources.len() > crate::model::RESOURCE_KINDS {
                    let span = self.files[library].items[index].name.span.clone();
                    let hint = "a badge has room for 16 kinds of objects; split the interface";
                    self.reject("resource-kinds", &span, "too many resources are reached through this interface", hint);
                }
                reached.extend(resources.iter().copied());
                if let DefKind::Interface(interface) = &mut world.libraries[library].defs[index].kind {
                    interface.resources = resources;
                }
            }
        }
        for (id, def) in world.defs().filter(|(_, def)| matches!(def.kind, DefKind::Resource(_))) {
            if !reached.contains(&id) {
                let span = self.item(id).name.span.clone();
                let message = format!("no operation hands out `{}`", def.name);
                self.reject("resource-unreachable", &span, message, "an operation of an interface returns `own …`");
            }
        }
    }
}
