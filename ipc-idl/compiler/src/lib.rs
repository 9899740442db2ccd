//! The IDL compiler; never runs on the device.
//!
//! Texts below `ipc-idl/` in, and out come Rust bindings ([`generate`]), facts for the capability graph
//! ([`interfaces`]) and golden summaries ([`summaries`]). The language is described in `ipc-idl/LANGUAGE.md`.
//! Everything takes the IDL root, the folder `ipc-idl` of the checkout.
#![forbid(unsafe_code)]

mod ast;
mod check;
mod diagnostic;
mod document;
mod info;
mod lexer;
mod model;
mod names;
mod parser;
mod rust;
mod summary;
mod tree;

pub use diagnostic::{Diagnostic, Diagnostics, Source, Span};
pub use info::{InterfaceInfo, RingInfo};
pub use summary::{Change, changes};
pub use tree::{Error, bless, check_all, document, generate, interface, interfaces, sources, summaries};

use model::World;

/// Texts that obey all rules.
#[derive(Clone, Debug)]
pub struct Compilation {
    world: World,
}

/// Compiles texts together.
///
/// # Errors
/// All mistakes that could be found.
pub fn compile(sources: Vec<Source>) -> Result<Compilation, Diagnostics> {
    let mut files = Vec::new();
    let mut list = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        match parser::parse(number, &source.text) {
            Ok(file) => files.push(file),
            Err(diagnostic) => list.push(diagnostic),
        }
    }
    // With a text missing, names of its library would be reported as unknown.
    if !list.is_empty() {
        return Err(Diagnostics { sources, list });
    }
    match check::check(&files) {
        Ok(world) => Ok(Compilation { world }),
        Err(list) => Err(Diagnostics { sources, list }),
    }
}

impl Compilation {
    /// The Rust module of all libraries.
    #[must_use]
    pub fn rust(&self) -> String {
        rust::generate(&self.world)
    }

    /// What the capability graph needs to know of each interface.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceInfo> {
        info::interfaces(&self.world)
    }

    /// Name and summary of each library, one line per element.
    #[must_use]
    pub fn summaries(&self) -> Vec<(String, String)> {
        summary::summaries(&self.world)
    }

    /// All interfaces as one Markdown page.
    #[must_use]
    pub fn document(&self) -> String {
        document::document(&self.world)
    }
}
