//! One function that feeds hostile bytes to every decoder (feature `fuzz` of the bindings).
use super::client::{reply_function, request_function};
use super::expressions::pull_method;
use crate::model::{Def, DefKind, World};
use crate::names::snake;

/// The call of each library's decoders.
pub(super) fn entry(world: &World) -> String {
    let calls: String = world
        .libraries
        .iter()
        .map(|library| {
            let path: Vec<_> = library.name.split('.').skip(1).collect();
            format!("crate::{}::fuzz_library(data, message);\n", path.join("::"))
        })
        .collect();
    let values = calls.replace("fuzz_library(data, message)", "fuzz_values(sampler)");
    format!(
        "#[cfg(feature = \"fuzz\")]\nfn fuzz_all(data: &[u8], message: &::hybrid_ipc::Incoming) {{\n{calls}}}\n\
         #[cfg(all(feature = \"fuzz\", feature = \"samples\"))]\nfn fuzz_all_values(sampler: &mut ::hybrid_ipc::Sampler) {{\n{values}}}\n"
    )
}

/// The decoders of one library. A value that decodes must encode to the same bytes again.
pub(super) fn library(defs: &[Def]) -> String {
    let (mut calls, mut values) = (String::new(), String::new());
    for def in defs {
        let name = &def.name;
        match &def.kind {
            DefKind::Struct(_) | DefKind::Union(_) => {
                values += &format!(
                    "let value = {name}::sample(sampler);\nlet mut buffer = ::alloc::vec![0; {name}::MAX_ENCODED];\n\
                     let length = value.encode(&mut buffer).expect(\"MAX_ENCODED is enough\");\n\
                     assert_eq!({name}::decode(&buffer[..length]), Ok(value), \"{name}\");\n"
                );
                calls += &format!(
                    "if let Ok(value) = {name}::decode(data) {{\nlet mut buffer = ::alloc::vec![0; {name}::MAX_ENCODED];\n\
                     assert_eq!(value.encode(&mut buffer), Ok(data.len()), \"{name}\");\nassert_eq!(buffer.get(..data.len()), Some(data), \"{name}\");\n}}\n"
                );
            }
            DefKind::Resource(resource) => {
                calls += &resource.operations.iter().map(|operation| both(name, operation)).collect::<String>();
            }
            DefKind::Interface(interface) => {
                calls += &interface.operations.iter().map(|operation| both(name, operation)).collect::<String>();
                for event in &interface.events {
                    calls += &format!("let _ = {}_{}_reply(message);\n", snake(name), pull_method(&event.name));
                }
            }
            DefKind::Const(_) | DefKind::Enum(_) => {}
        }
    }
    format!(
        "#[cfg(feature = \"fuzz\")]\npub(crate) fn fuzz_library(data: &[u8], message: &ipc::Incoming) {{\nlet _ = (data, message);\n{calls}}}\n\
         #[cfg(all(feature = \"fuzz\", feature = \"samples\"))]\npub(crate) fn fuzz_values(sampler: &mut ipc::Sampler) {{\nlet _ = &mut *sampler;\n{values}}}\n"
    )
}

fn both(owner: &str, operation: &crate::model::Operation) -> String {
    format!(
        "let _ = {}(message);\nlet _ = {}(message);\n",
        request_function(owner, operation),
        reply_function(owner, operation)
    )
}
