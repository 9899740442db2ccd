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
        let sessions: Vec<(&str, &str, u64)> =
            sessions(graph, server.id).map(|(name, prefix)| (name, prefix, quotas.of(name, Some(prefix)))).collect();
        let together = sessions.iter().fold(0_u64, |sum, (.., quota)| sum.saturating_add(*quota));
        let each: Vec<String> =
            sessions.iter().map(|(name, prefix, quota)| format!("{name} {quota} at {prefix}")).collect();
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

/// The sessions with that server below `/data`: who has each, and its directory. An instance may have several, each with a quota.
fn sessions(graph: &Graph, server: u16) -> impl Iterator<Item = (&str, &str)> {
    let is_below = |prefix: &&str| prefix.trim_start_matches('/').split('/').next() == Some(DATA);
    let sessions = graph.sessions.iter().filter(move |session| session.server == server);
    sessions.filter_map(move |session| {
        let prefix = session.limits.prefix.as_deref().filter(is_below)?;
        Some((graph.instance(session.client)?.name.as_str(), prefix))
    })
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
        assert!(refused.contains("historyd 66060288 at /data/log") && refused.contains("shell 4096"), "{refused}");
        // What a directory is given comes before what its clients are.
        check(&gateway("historyd=63M shell=63M /data/log=1M")).expect("there is room");
        assert!(check(&gateway("historyd=1M /data/log=63M")).is_err());
        // Who is not a client of it has no part in it.
        check(&gateway("historyd=1M shell=4K netd=9000M")).expect("there is room");
        assert!(check(&gateway("historyd=18446744073709551615 shell=1M")).is_err());
    }
}
