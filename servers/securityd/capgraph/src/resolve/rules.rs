//! The rules that always hold, each with its own name; it changes nothing.

mod holders;
mod keys;
mod never;
mod policy;
mod shape;

use hybrid_config::Problem;

use super::Inputs;
use crate::graph::Graph;

/// Rules about the texts alone: names, values, reasons, needs.
pub(crate) fn check_texts(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    shape::check(inputs, problems);
}

/// Rules about the graph: who reaches whom, who holds what, and whether it fits.
pub(crate) fn check_graph(inputs: &Inputs<'_>, graph: &Graph, problems: &mut Vec<Problem>) {
    holders::check(inputs, graph, problems);
}
