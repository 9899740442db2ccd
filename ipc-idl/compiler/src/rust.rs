//! The model to Rust: types, clients, servers and ring ends; the meaning of every line is in LANGUAGE.md.
mod client;
mod expressions;
mod fuzz;
mod interface;
mod samples;
mod serialize;
mod server;
mod types;

use crate::model::{
    Def, DefId, DefKind, Library, MESSAGE_BYTES, RECORD_HEADER_BYTES, REGISTER_WORDS, RING_HEADER_BYTES, Type, World,
};
use crate::names::snake;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The text of the module that all libraries become.
pub(crate) fn generate(world: &World) -> String {
    let mut root = Module::default();
    for (index, library) in world.libraries.iter().enumerate() {
        let path = library.name.split('.').skip(1);
        let module = path.fold(&mut root, |module, part| module.children.entry(part.to_owned()).or_default());
        module.docs.clone_from(&library.docs);
        module.text = library_text(world, index, library);
    }
    let mut out = String::from("// Made from ipc-idl by its compiler; do not edit.\n");
    out.push_str(&agreement());
    root.emit(&mut out);
    out.push_str(&fuzz::entry(world));
    indent(&out)
}

/// Sizes that were checked here must be those of the runtime.
fn agreement() -> String {
    format!(
        "const _: () = assert!(\n::hybrid_ipc::REGISTER_WORDS == {REGISTER_WORDS} && ::hybrid_ipc::MAX_BYTES == {MESSAGE_BYTES}\n\
         && ::hybrid_ring::HEADER_BYTES == {RING_HEADER_BYTES} && ::hybrid_ring::RECORD_HEADER_BYTES == {RECORD_HEADER_BYTES}\n);\n"
    )
}

#[derive(Default)]
struct Module {
    docs: Vec<String>,
    text: String,
    children: BTreeMap<String, Module>,
}

impl Module {
    fn emit(&self, out: &mut String) {
        out.push_str(&self.text);
        for (name, child) in &self.children {
            let own = if child.docs.is_empty() {
                vec![format!("Interfaces of the area `{name}`.")]
            } else {
                child.docs.clone()
            };
            out.push_str(&docs(&own));
            let _ = writeln!(out, "pub mod {name} {{");
            child.emit(out);
            out.push_str("}\n");
        }
    }
}

fn library_text(world: &World, index: usize, library: &Library) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "/// Name of the library.\npub const LIBRARY: &str = \"{}\";", library.name);
    let _ = writeln!(out, "/// Version of the library.\npub const VERSION: u32 = {};", library.version);
    for (at, def) in library.defs.iter().enumerate() {
        let scope = Scope { world, library: index };
        let id = DefId { library: index, index: at };
        out.push_str(&match &def.kind {
            DefKind::Const(value) => {
                format!("{}pub const {}: usize = {value};\n", docs_or(&def.docs, "A bound."), def.name)
            }
            DefKind::Enum(members) => types::enumeration(def, members),
            DefKind::Struct(fields) => types::structure(&scope, &def.name, &def.docs, fields),
            DefKind::Union(members) => types::union(&scope, def, members),
            DefKind::Resource(resource) => interface::resource(&scope, def, resource),
            DefKind::Interface(content) => interface::interface(&scope, id, def, content),
        });
    }
    out += &fuzz::library(&library.defs);
    imports(&out) + &out
}

/// The names that the text of a library uses without a path.
fn imports(text: &str) -> String {
    let mut out = String::from("use ::hybrid_ipc as ipc;\n");
    for (name, path) in [("Cow", "::alloc::borrow::Cow"), ("Vec", "::alloc::vec::Vec")] {
        let is_used = [format!("{name}<"), format!("{name}::")].iter().any(|use_of| text.contains(use_of));
        if is_used {
            let _ = writeln!(out, "use {path};");
        }
    }
    out
}

/// A library while its text is made.
struct Scope<'w> {
    world: &'w World,
    library: usize,
}

impl Scope<'_> {
    fn def(&self, id: DefId) -> &Def {
        self.world.def(id)
    }

    /// How this library names a declaration.
    fn path(&self, id: DefId) -> String {
        let name = &self.def(id).name;
        if id.library == self.library {
            return name.clone();
        }
        let library = &self.world.libraries[id.library].name;
        format!("crate::{}::{name}", library.split('.').skip(1).collect::<Vec<_>>().join("::"))
    }

    /// The Rust type of a value that borrows for `life`.
    fn rust_type(&self, kind: &Type, life: &str) -> String {
        match kind {
            Type::Scalar(scalar) => scalar.name().to_owned(),
            Type::Text(_) => format!("Cow<{life}, str>"),
            Type::Bytes(_) => format!("Cow<{life}, [u8]>"),
            Type::List(inner, _) => format!("Vec<{}>", self.rust_type(inner, life)),
            Type::Array(scalar, count) => format!("[{}; {count}]", scalar.name()),
            Type::Option(inner) => format!("Option<{}>", self.rust_type(inner, life)),
            Type::Named(id) if self.def(*id).borrows => format!("{}<{life}>", self.path(*id)),
            Type::Named(id) => self.path(*id),
            Type::Own(id) => self.path(*id),
            Type::Notification { .. } => "ipc::NotificationCap".to_owned(),
            Type::Region { .. } => "ipc::RegionCap".to_owned(),
        }
    }

    /// The Rust type of an argument: at the client it is lent, at the server decoded.
    fn argument_type(&self, kind: &Type, is_client: bool) -> String {
        match kind {
            Type::Text(_) => "&str".to_owned(),
            Type::Bytes(_) => "&[u8]".to_owned(),
            Type::Option(inner) => format!("Option<{}>", self.argument_type(inner, is_client)),
            Type::List(inner, _) if is_client => format!("&[{}]", self.rust_type(inner, "'_")),
            Type::Named(_) if is_client && !self.world.is_scalar(kind) => format!("&{}", self.rust_type(kind, "'_")),
            _ => self.rust_type(kind, "'_"),
        }
    }
}

/// Documentation lines.
fn docs(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |out, line| out + &format!("/// {line}").replace("///  ", "/// ") + "\n")
}

fn docs_or(lines: &[String], other: &str) -> String {
    if lines.is_empty() { format!("/// {other}\n") } else { docs(lines) }
}

/// Name of the module of an interface's constants.
fn module_of(name: &str) -> String {
    snake(name)
}

/// Indents by braces, brackets and parentheses, one step for all that open on a line. Comments are left out; strings
/// hold none.
fn indent(text: &str) -> String {
    let mut out = String::new();
    // For each open bracket: whether it indents.
    let mut open: Vec<bool> = Vec::new();
    for line in text.lines().map(str::trim) {
        let is_comment = line.starts_with("//");
        let closers = if is_comment { 0 } else { line.chars().take_while(|c| "})]".contains(*c)).count() };
        open.truncate(open.len().saturating_sub(closers));
        let depth = open.iter().filter(|indents| **indents).count();
        let _ = writeln!(out, "{}{line}", "    ".repeat(if line.is_empty() { 0 } else { depth }));
        let before = open.len();
        for letter in line.chars().skip(closers).filter(|_| !is_comment) {
            if "{([".contains(letter) {
                open.push(open.len() == before);
            } else if "})]".contains(letter) {
                open.pop();
            }
        }
    }
    out
}
