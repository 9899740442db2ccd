//! What a session is at most: what client and route say, met; enforced by the server's runtime, not here.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::rulebook::InterfaceFacts;

/// The longest prefix.
const PREFIX_MAX: usize = 64;

/// What one text says of a session; nothing: no less than the interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    pub(crate) operations: Option<Vec<String>>,
    pub(crate) rate: Option<u32>,
    pub(crate) max_objects: Option<u16>,
    pub(crate) prefix: Option<String>,
}

/// What a session is at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// The interface's operations that it has, by ordinal and name; all, if nothing is said. Those of objects come with the objects.
    pub operations: Option<Vec<(u16, String)>>,
    /// The others.
    pub denied: Vec<u16>,
    /// Calls a second.
    pub rate: Option<u32>,
    /// Objects that the server keeps for the client.
    pub max_objects: Option<u16>,
    /// What the names begin with that the client gives the server.
    pub prefix: Option<String>,
}

impl fmt::Display for Limits {
    /// As facts of a line, each behind a space.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operations) = &self.operations {
            let names: Vec<&str> = operations.iter().map(|(_, name)| name.as_str()).collect();
            write!(out, " operations={}", names.join(","))?;
        }
        if let Some(rate) = self.rate {
            write!(out, " rate={rate}")?;
        }
        if let Some(max) = self.max_objects {
            write!(out, " max_objects={max}")?;
        }
        self.prefix.iter().try_for_each(|prefix| write!(out, " prefix={prefix}"))
    }
}

/// The least of both, which must be something.
///
/// # Errors
/// A sentence about what makes no sense.
pub(crate) fn meet(asked: &Asked, allowed: &Asked, facts: &InterfaceFacts) -> Result<Limits, String> {
    if *asked == Asked::default() && *allowed == Asked::default() {
        return Ok(Limits::default());
    }
    if !facts.has_operations {
        return Err("an interface without operations has nothing that can be narrowed".into());
    }
    let mut limits = Limits {
        rate: least(asked.rate, allowed.rate),
        max_objects: least(asked.max_objects, allowed.max_objects),
        prefix: longer(asked.prefix.as_ref(), allowed.prefix.as_ref())?,
        ..Limits::default()
    };
    for name in asked.operations.iter().chain(&allowed.operations).flatten() {
        if !facts.operations.iter().any(|(_, known)| known == name) {
            return Err(format!("the interface has no operation `{name:.40}`"));
        }
    }
    if asked.operations.is_some() || allowed.operations.is_some() {
        let is_in = |list: &Option<Vec<String>>, name: &String| list.as_ref().is_none_or(|list| list.contains(name));
        let has = |(_, name): &&(u16, String)| is_in(&asked.operations, name) && is_in(&allowed.operations, name);
        let kept: Vec<(u16, String)> = facts.operations.iter().filter(has).cloned().collect();
        let others = facts.operations.iter().filter(|operation| !has(operation));
        limits.denied = others.map(|(ordinal, _)| *ordinal).collect();
        limits.operations = Some(kept);
    }
    let is_nothing = limits.operations.as_ref().is_some_and(Vec::is_empty) || limits.rate == Some(0);
    if is_nothing { Err("nothing is left of it".to_string()) } else { Ok(limits) }
}

fn least<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

/// Whether all that is below `inner` is below `outer`: by whole parts between slashes, as [`hybrid_start::Limits::covers`] has it, or a session
/// would reach beyond what its route allows.
fn is_below(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || outer.ends_with('/'))
}

/// The narrower of two prefixes, of which one must be below the other.
fn longer(one: Option<&String>, other: Option<&String>) -> Result<Option<String>, String> {
    let is_word = |letter: u8| letter.is_ascii_graphic() && letter != b'=' && letter != b'#';
    let is_plain = |text: &&String| !text.is_empty() && text.len() <= PREFIX_MAX && text.bytes().all(is_word);
    if !one.iter().chain(&other).all(is_plain) {
        return Err(format!("a prefix is 1 to {PREFIX_MAX} letters without spaces"));
    }
    match (one, other) {
        (Some(one), Some(other)) if is_below(other, one) => Ok(Some(one.clone())),
        (Some(one), Some(other)) if is_below(one, other) => Ok(Some(other.clone())),
        (Some(one), Some(other)) => Err(format!("nothing is below `{one}` and below `{other}`")),
        (one, other) => Ok(one.or(other).cloned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> InterfaceFacts {
        let operations = vec![(1, "open".into()), (2, "list".into()), (5, "drop".into())];
        InterfaceFacts { has_operations: true, operations, ..InterfaceFacts::default() }
    }

    fn asked(operations: &[&str], rate: Option<u32>, prefix: Option<&str>) -> Asked {
        let operations = (!operations.is_empty()).then(|| operations.iter().map(ToString::to_string).collect());
        Asked { operations, rate, prefix: prefix.map(ToString::to_string), max_objects: None }
    }

    #[test]
    fn session_is_what_both_texts_say_and_no_more() {
        assert_eq!(meet(&Asked::default(), &Asked::default(), &InterfaceFacts::default()), Ok(Limits::default()));
        let one = asked(&["open", "list"], Some(20), Some("/a/b"));
        let limits = meet(&one, &asked(&["drop", "list"], Some(7), Some("/a")), &facts()).unwrap();
        assert_eq!(limits.to_string(), " operations=list rate=7 prefix=/a/b");
        assert_eq!(limits.denied, [1, 5]);
        let limits = meet(&Asked::default(), &one, &facts()).unwrap();
        assert_eq!(
            (limits.to_string().as_str(), limits.denied),
            (" operations=open,list rate=20 prefix=/a/b", vec![5])
        );
        let most = Asked { max_objects: Some(3), ..Asked::default() };
        assert_eq!(
            meet(&most, &Asked { max_objects: Some(0), ..Asked::default() }, &facts()).unwrap().max_objects,
            Some(0)
        );
    }

    #[test]
    fn what_leaves_nothing_or_means_nothing_is_refused() {
        let all = Asked::default();
        for (one, other) in [
            (asked(&["close"], None, None), all.clone()),
            (asked(&["open"], None, None), asked(&["list"], None, None)),
            (asked(&[], Some(0), None), all.clone()),
            (asked(&[], None, Some("/a")), asked(&[], None, Some("/b"))),
            (asked(&[], None, Some("/guest")), asked(&[], None, Some("/guestbook"))),
            (asked(&[], None, Some("/guestbook")), asked(&[], None, Some("/guest"))),
            (asked(&[], None, Some("a b")), all.clone()),
            (asked(&[], None, Some("")), all.clone()),
        ] {
            assert!(meet(&one, &other, &facts()).is_err(), "{one:?}, {other:?}");
        }
        assert!(meet(&asked(&[], Some(5), None), &all, &InterfaceFacts::default()).is_err());
    }
}
