//! Rules about texts, each with its own name; it changes nothing. Those about the graph are in `crate::rules`.

mod keys;
mod shape;

use hybrid_config::Problem;

use super::Inputs;

/// Rules about the texts alone: names, values, reasons, needs.
pub(crate) fn check_texts(inputs: &Inputs<'_>, problems: &mut Vec<Problem>) {
    shape::check(inputs, problems);
}
