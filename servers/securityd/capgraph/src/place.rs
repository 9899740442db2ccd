//! A component for a place: the rules of the build, and never more than the place has; instantiates nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hybrid_config::Problem;

use crate::admit::{Manifest, RoutedUse, admit};
use crate::graph::{Graph, Instance, Use};
use crate::layout;
use crate::rulebook::Rulebook;
use crate::rules::Found;

/// The place `contract` of `live` as `manifest` fills it, or every finding against that.
///
/// INV-PLACE-1: ids, slots, sessions, ports and sizes are the contract's; what the manifest does not use stays closed. Time and priority are what it asks
/// for.
///
/// # Errors
/// What the same rules say as at build time, and what the place does not have.
pub fn fill(live: &Graph, contract: &Instance, manifest: &Manifest, book: &Rulebook) -> Result<Instance, Vec<Problem>> {
    let manifest = Manifest { id: contract.id, ..manifest.clone() };
    // That it needs less than it is allowed to is no mistake here.
    let counts = |problem: &Problem| !["unused-allow", "unused-except"].contains(&problem.rule);
    let mut problems = admit(&live.without(contract.id), &manifest, book).err().unwrap_or_default();
    problems.retain(counts);
    let place = |_: &str| (format!("the manifest of {:.40}", manifest.name), 0);
    check_within(&mut Found { book, place: &place, problems: &mut problems }, live, contract, &manifest);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Instance {
        component: manifest.component,
        parameters: manifest.parameters,
        priority: layout::priority(&manifest.class),
        budget_us: manifest.budget_us,
        period_us: manifest.period_us,
        ..contract.clone()
    })
}

/// Whether a component that was installed by `manifest` has the place's use.
#[must_use]
pub fn has_use(manifest: &Manifest, used: &Use) -> bool {
    manifest.uses.iter().any(|wanted| wanted.name == used.name)
}

fn check_within(found: &mut Found<'_>, live: &Graph, contract: &Instance, manifest: &Manifest) {
    let mut tell = |is_wrong: bool, what: String| {
        if is_wrong {
            let message = format!("{what} is more than the place `{}` has", contract.name);
            found.at(&contract.name, "beyond-place", message, "ask for less, or let the integrator widen the place");
        }
    };
    tell(manifest.name != contract.name, format!("the name {:.40}", manifest.name));
    tell(layout::priority(&manifest.class) > contract.priority, format!("the priority class {:.20}", manifest.class));
    tell(manifest.stack > contract.stack, format!("a stack of {} bytes", manifest.stack));
    tell(manifest.heap > contract.heap, format!("a heap of {} bytes", manifest.heap));
    let (budget, period) = (manifest.budget_us, manifest.period_us);
    tell(budget > contract.budget_us || period < contract.period_us, format!("a budget of {budget} us in {period}"));
    let others = manifest.devices.len() + manifest.dma.len() + manifest.provides.len();
    tell(others > 0, "a device, DMA memory or an interface of its own".to_string());
    for wanted in &manifest.uses {
        let is_of_place = contract.uses.iter().any(|used| is_same(live, used, wanted));
        tell(!is_of_place, format!("the use {:.40} of {:.80} by {:.80}", wanted.name, wanted.interface, wanted.route));
    }
}

fn is_same(live: &Graph, used: &Use, wanted: &RoutedUse) -> bool {
    let session = live.session_of(used);
    let is_routed = session.is_some_and(|session| {
        live.server_name(session) == wanted.route && session.is_on_demand == wanted.is_on_demand
    });
    (&used.name, &used.interface) == (&wanted.name, &wanted.interface) && is_routed
}
