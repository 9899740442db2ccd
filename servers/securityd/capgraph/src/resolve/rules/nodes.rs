//! Whether securityd has a node of its capability space for each instance, and for the program of each that is spawned.

use crate::graph::Graph;
use crate::layout;
use crate::rules::Found;

/// The kernel's CNode and securityd's own slots.
const OWN: usize = 2;
const ROOM: usize = layout::NODES - OWN;

/// What is installed at run time fills a place, which is counted here, so the device need not know the rule.
pub(crate) fn check(found: &mut Found<'_>, graph: &Graph) {
    let instances = graph.instances.len();
    let spawned = graph.instances.iter().filter(|instance| instance.is_spawned).count();
    if let Some(last) = graph.instances.last().filter(|_| instances + spawned > ROOM) {
        let message = format!(
            "{instances} instances, {spawned} of them spawned, take {} nodes of securityd's capability space, which has {ROOM}",
            instances + spawned
        );
        let help = "each takes one, and one that is spawned two: leave out instances, first copies of programs that seldom run at once";
        found.at(&last.name, "too-many-instances", message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::{ROOM, check};
    use crate::graph::{Graph, Instance, tests::sample};
    use crate::rules::Found;

    fn findings(graph: &Graph) -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let interfaces = crate::idl_interfaces(&root).unwrap();
        let whole = crate::resolve_whole(&root, "gateway", "qemu-virt", &interfaces, crate::Date::default());
        let ((_, book), mut problems) = (whole.unwrap(), Vec::new());
        let place = |_: &str| ("system.toml".into(), 1);
        check(&mut Found { book: &book, place: &place, problems: &mut problems }, graph);
        problems.iter().map(|problem| format!("{} {}", problem.rule, problem.message)).collect()
    }

    /// securityd and so many others.
    fn product(others: usize, spawned: usize) -> Graph {
        let mut graph = sample();
        let client = graph.instances.remove(1);
        let other = |number: usize| Instance { is_spawned: number < spawned, ..client.clone() };
        graph.instances.extend((0..others).map(other));
        graph
    }

    #[test]
    fn each_instance_takes_a_node_and_one_that_is_spawned_two() {
        assert_eq!(ROOM, 254);
        for (others, spawned) in [(253, 0), (203, 50), (127, 126)] {
            assert!(findings(&product(others, spawned)).is_empty(), "{others} {spawned}");
            for one_more in [product(others + 1, spawned), product(others, spawned + 1)] {
                let found = findings(&one_more);
                assert!(found.len() == 1 && found[0].starts_with("too-many-instances "), "{found:?}");
                assert!(found[0].contains(" take 255 nodes ") && found[0].ends_with(" has 254"), "{found:?}");
            }
        }
    }
}
