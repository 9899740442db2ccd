//! Rules that only a build needs, each with its own name; those that devices know too are in `crate::rules`.

mod keys;
mod nodes;
mod shape;
mod spawned;
mod start;

use hybrid_config::Problem;

use super::Inputs;
use crate::graph::Graph;
use crate::rules::Found;

/// Rules about the texts alone: names, values, reasons, needs.
pub(crate) fn check_texts(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    shape::check(inputs, problems);
}

/// Rules about a graph of which what comes at run time can break none.
pub(crate) fn check_built(found: &mut Found<'_>, graph: &Graph) {
    start::check(found, graph);
    start::check_commanded(found, graph);
    spawned::check(found, graph);
    nodes::check(found, graph);
}
