//! Keys: every need has one of its class, every given one is needed; nothing here sees a key's bytes.

use std::collections::BTreeSet;

use hybrid_config::Problem;

use super::shape::{check_name, check_reason};
use crate::resolve::Inputs;
use crate::resolve::text::{ComponentText, InstanceText};

/// The product's own list.
pub(super) fn check_product(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    let source = &inputs.system.source;
    let mut seen = BTreeSet::new();
    for key in &inputs.system.keys {
        check_name(inputs, source, &key.name, problems);
        check_name(inputs, source, &key.class, problems);
        check_reason(inputs, source, &key.reason, problems);
        if !seen.insert(key.name.get_ref().as_str()) {
            let message = format!("the key `{}` is declared twice", key.name.get_ref());
            problems.push(source.problem(key.name.span(), "duplicate-name", message, "rename or remove one"));
        }
    }
}

/// What one instance needs and is given.
pub(super) fn check(
    inputs: &Inputs<'_>,
    instance: &InstanceText,
    component: &ComponentText,
    problems: &mut Vec<Problem>,
) {
    let source = &inputs.system.source;
    for need in &component.keys {
        let (name, class) = (need.name.get_ref(), need.class.get_ref());
        let Some(given) = instance.keys.get(name) else {
            let message = format!("`{}` needs a key `{name}` ({class})", instance.name.get_ref());
            let help = format!("add `keys = {{ {name} = \"<key of the product>\" }}` to it");
            problems.push(source.problem(instance.name.span(), "key-unrouted", message, help));
            continue;
        };
        let found = inputs.system.keys.iter().find(|key| key.name.get_ref() == given.get_ref());
        if found.is_none_or(|key| key.class.get_ref() != class) {
            let what =
                found.map_or_else(|| "no key of the product".into(), |key| format!("of class {}", key.class.get_ref()));
            let message = format!("`{name}` wants a key of class {class}, but `{}` is {what}", given.get_ref());
            let help = "give it a [[key]] of this product with that class";
            problems.push(source.problem(given.span(), "key-mismatch", message, help));
        }
    }
    for (name, given) in &instance.keys {
        if !component.keys.iter().any(|need| need.name.get_ref() == name) {
            let message =
                format!("`{}` is given the key `{name}`, but its component needs none", instance.name.get_ref());
            let help = "remove it, or add the need to component.toml";
            problems.push(source.problem(given.span(), "key-unused", message, help));
        }
    }
}
