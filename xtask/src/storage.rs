//! Refuses a product whose file server promises more of the disk than the disk has; counts nothing on a disk.
use anyhow::{Result, ensure};
use hybrid_capgraph::Graph;
use hybrid_quota::{Quotas, promised};
use hybrid_scenarios::disk;

/// The file server with the data partition, by its folder, and the first name of the prefixes that lead to it.
const SERVER: &str = "servers/fsd";
const DATA: &str = "data";

/// All quotas on the data partition fit into what [`promised`] says of it.
///
/// # Errors
/// Who has how much, if that is too much.
pub(crate) fn check(graph: &Graph) -> Result<()> {
    let room = promised(disk::partition_bytes(DATA));
    for server in graph.instances.iter().filter(|instance| instance.component == SERVER) {
        let parameter = server.parameters.iter().find(|(name, _)| name == "quotas");
        let quotas = Quotas::new(parameter.map(|(_, text)| text.as_str()));
        let clients: Vec<(&str, u64)> = clients(graph, server.id).map(|name| (name, quotas.of(name))).collect();
        let together = clients.iter().fold(0_u64, |sum, (_, quota)| sum.saturating_add(*quota));
        let each: Vec<String> = clients.iter().map(|(name, quota)| format!("{name} {quota}")).collect();
        ensure!(
            together <= room,
            "the quotas of {} on the data partition are {together} bytes together, and it has room for {room}: {}. \
             Give less in its parameter `quotas` (docs/storage.md)",
            server.name,
            each.join(", ")
        );
    }
    Ok(())
}

/// The instances with a session to that server below `/data`. One that has several counts as often, as the server has it.
fn clients(graph: &Graph, server: u16) -> impl Iterator<Item = &str> {
    let is_below = |prefix: &str| prefix.trim_start_matches('/').split('/').next() == Some(DATA);
    let sessions = graph.sessions.iter().filter(move |session| session.server == server);
    let sessions = sessions.filter(move |session| session.limits.prefix.as_deref().is_some_and(is_below));
    sessions
        .filter_map(|session| graph.instances.iter().find(|one| one.id == session.client))
        .map(|one| one.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::caps;
    use hybrid_capgraph::Graph;

    fn gateway(quotas: &str) -> Graph {
        let (mut graph, _) = caps::resolve("gateway", "qemu-virt").expect("it resolves");
        let fsd = graph.instances.iter_mut().find(|instance| instance.name == "fsd").expect("it has one");
        fsd.parameters = vec![("quotas".into(), quotas.into())];
        graph
    }

    #[test]
    fn every_product_promises_no_more_than_there_is() {
        for product in crate::product::names().expect("a folder") {
            let (graph, _) = caps::resolve(&product, "qemu-virt").expect("it resolves");
            check(&graph).expect(&product);
        }
    }

    #[test]
    fn product_that_promises_more_than_the_disk_is_refused_by_names() {
        check(&gateway("historyd=20M shell=4K")).expect("there is room");
        let refused = check(&gateway("historyd=63M shell=4K")).expect_err("there is not").to_string();
        assert!(refused.contains("historyd 66060288") && refused.contains("shell 4096"), "{refused}");
        // Who is not a client of it has no part in it.
        check(&gateway("historyd=1M shell=4K netd=9000M")).expect("there is room");
        assert!(check(&gateway("historyd=18446744073709551615 shell=1M")).is_err());
    }
}
