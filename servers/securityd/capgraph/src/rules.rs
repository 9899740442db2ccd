//! Rules about a whole graph, and the small ones about one word of it; at build time and on the device alike.

mod holders;
mod never;
mod policy;
mod verdict;

#[cfg(feature = "std")]
pub(crate) use verdict::needs;

use alloc::string::String;
use alloc::vec::Vec;

use hybrid_config::Problem;

use crate::graph::Graph;
use crate::rulebook::Rulebook;

/// Where findings go, and where the text of an instance stands.
pub(crate) struct Found<'a> {
    pub(crate) book: &'a Rulebook,
    /// File and line of an instance.
    pub(crate) place: &'a dyn Fn(&str) -> (String, usize),
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Found<'_> {
    pub(crate) fn at(&mut self, instance: &str, rule: &'static str, message: String, help: &str) {
        let (file, line) = (self.place)(instance);
        self.problems.push(Problem { file, line, rule, message, help: help.into() });
    }
}

/// Who uses it decides about lives.
pub(crate) const LIFECYCLE: &str = "hybrid.process.Lifecycle";

/// Every rule about the graph: who reaches whom, who holds what, what must never be, and whether it fits.
pub(crate) fn check_graph(found: &mut Found<'_>, graph: &Graph) {
    holders::check(found, graph);
    policy::check(found, graph);
    never::check(found, graph);
    verdict::check(found, graph);
}

/// Up to `most` of a-z, 0-9, - and _.
pub(crate) fn is_name(text: &str, most: usize) -> bool {
    let is_plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '_';
    !text.is_empty() && text.len() <= most && text.chars().all(is_plain)
}

/// One line of at most `most` bytes.
pub(crate) fn is_reason(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains(['\n', '\r'])
}
