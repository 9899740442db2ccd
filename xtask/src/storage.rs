//! Refuses a product whose servers of files promise more than a store of theirs has; counts nothing on a disk.
use crate::build::ROOT_PAGES_MAX;
use anyhow::{Context, Result, ensure};
use hybrid_capgraph::{Graph, Instance};
use hybrid_quota::{IN_MEMORY, Quotas, counted, promised};
use hybrid_scenarios::disk;
use std::collections::BTreeSet;

/// Bytes of a boot partition that the host's image may take: the largest root task that a build allows, and a kernel.
const IMAGE_MAX: u64 = ROOT_PAGES_MAX * 4096 + (1 << 20);

/// What can be written below the first name of a prefix, by the folder of the server; what `imaged` serves nobody can change.
const STORES: [(&str, &str, Store); 3] = [
    ("servers/fsd", "data", Store::Redox),
    ("servers/fsd", "tmp", Store::Memory),
    ("servers/bootd", "boot", Store::Fat),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Redox,
    Memory,
    Fat,
}

/// A session below a store's first name.
struct Client<'a> {
    name: &'a str,
    prefix: &'a str,
    /// The names behind the first one.
    below: Vec<&'a str>,
}

impl Client<'_> {
    fn quota(&self, quotas: Quotas<'_>) -> u64 {
        quotas.of(self.name, Some(self.prefix))
    }
}

/// All quotas on each store fit into what it has for them.
///
/// # Errors
/// Who has how much, and where, if that is too much.
pub(crate) fn check(graph: &Graph) -> Result<()> {
    for (component, mount, store) in STORES {
        for server in graph.instances.iter().filter(|instance| instance.component == component) {
            check_store(graph, server, mount, store)?;
        }
    }
    Ok(())
}

fn check_store(graph: &Graph, server: &Instance, mount: &str, store: Store) -> Result<()> {
    let clients: Vec<Client<'_>> = clients(graph, server.id, mount).collect();
    if clients.is_empty() {
        return Ok(());
    }
    let parameter = server.parameters.iter().find(|(name, _)| name == "quotas");
    let quotas = Quotas::new(parameter.map(|(_, text)| text.as_str()));
    let together = clients.iter().fold(0_u64, |sum, client| sum.saturating_add(client.quota(quotas)));
    let room = room(graph, server, store, &clients).with_context(|| format!("/{mount} of {}", server.name))?;
    let each: Vec<String> =
        clients.iter().map(|client| format!("{} {} at {}", client.name, client.quota(quotas), client.prefix)).collect();
    ensure!(
        together <= room,
        "{}: the quotas of {} on /{mount} are {together} bytes together, and it has room for {room}: {}. \
         Give less in its parameter `quotas`; who is not named there has {} (docs/storage.md)",
        graph.product,
        server.name,
        each.join(", "),
        quotas.of("", None)
    );
    Ok(())
}

/// Bytes that all quotas of a store may be.
fn room(graph: &Graph, server: &Instance, store: Store, clients: &[Client<'_>]) -> Result<u64> {
    let room = match store {
        // What directories take is in its reserve.
        Store::Redox => return Ok(promised(partition(graph, server))),
        Store::Memory => IN_MEMORY,
        Store::Fat => {
            // Whoever has all of the volume is charged for what the host wrote there.
            let has_all = clients.iter().any(|client| client.below.is_empty());
            disk::boot_room(partition(graph, server))?.saturating_sub(if has_all { 0 } else { IMAGE_MAX })
        }
    };
    // The directories with which sessions begin count for nobody, unless they lie in another's.
    let ways = clients.iter().flat_map(|client| (1..=client.below.len()).filter_map(|len| client.below.get(..len)));
    let directories = ways.collect::<BTreeSet<_>>().len() as u64;
    Ok(room.saturating_sub(directories * counted(0)))
}

/// Bytes of the partition that a server's route to its disk names.
fn partition(graph: &Graph, server: &Instance) -> u64 {
    let routes = graph.sessions.iter().filter(|session| session.client == server.id);
    let names = routes.filter_map(|session| session.limits.prefix.as_deref());
    names.map(|name| disk::partition_bytes(name.trim_matches('/'))).max().unwrap_or(0)
}

/// The sessions to that server below `mount`. An instance that has several counts as often, as the server has it.
fn clients<'a>(graph: &'a Graph, server: u16, mount: &str) -> impl Iterator<Item = Client<'a>> {
    let sessions = graph.sessions.iter().filter(move |session| session.server == server);
    sessions.filter_map(move |session| {
        let prefix = session.limits.prefix.as_deref()?;
        let mut names = prefix.split('/').filter(|name| !name.is_empty());
        let is_below = names.next() == Some(mount);
        let client = graph.instances.iter().find(|one| one.id == session.client).filter(|_| is_below)?;
        Some(Client { name: &client.name, prefix, below: names.collect() })
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::caps;
    use hybrid_capgraph::Graph;

    /// A product whose server of files has these quotas, and whose clients of it these prefixes.
    fn product(name: &str, server: &str, quotas: &str, prefixes: &[(&str, &str)]) -> Graph {
        let (mut graph, _) = caps::resolve(name, "qemu-virt").expect("it resolves");
        let id = |name: &str| graph.instances.iter().find(|one| one.name == name).expect("it has one").id;
        let (server_id, prefixes) = (id(server), prefixes.iter().map(|(client, prefix)| (id(client), *prefix)));
        let prefixes: Vec<(u16, &str)> = prefixes.collect();
        for (client, prefix) in prefixes {
            let mut sessions = graph.sessions.iter_mut();
            let session = sessions.find(|session| (session.client, session.server) == (client, server_id));
            session.expect("it is a client").limits.prefix = Some(prefix.into());
        }
        let instance = graph.instances.iter_mut().find(|instance| instance.id == server_id).expect("it has one");
        instance.parameters = vec![("quotas".into(), quotas.into())];
        graph
    }

    fn gateway(quotas: &str) -> Graph {
        product("gateway", "fsd", quotas, &[])
    }

    fn refused(graph: &Graph) -> String {
        check(graph).expect_err("there is no room").to_string()
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
        let refused = refused(&gateway("historyd=63M shell=4K"));
        for part in
            ["gateway: ", "fsd on /data", "historyd 66060288 at /data/log", "shell 4096", "66064384 bytes", "`quotas`"]
        {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        // What a directory is given comes before what its clients are.
        check(&gateway("historyd=63M shell=63M /data/log=1M")).expect("there is room");
        assert!(check(&gateway("historyd=1M /data/log=63M")).is_err());
        // Who is not a client of it has no part in it.
        check(&gateway("historyd=1M shell=4K netd=9000M")).expect("there is room");
        assert!(check(&gateway("historyd=18446744073709551615 shell=1M")).is_err());
    }

    #[test]
    fn quotas_in_memory_leave_room_for_the_directories_they_are_in() {
        let beside = |quotas, prefix| product("gateway", "fsd", quotas, &[("historyd", "/tmp/a/b"), ("shell", prefix)]);
        check(&beside("historyd=1M shell=1016K", "/tmp/a/b")).expect("there is room");
        let refused = refused(&beside("historyd=1M shell=1020K", "/tmp/a/b"));
        for part in ["fsd on /tmp", "shell 1044480", "room for 2088960", "2093056 bytes"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        // Two by default, which are all of it, have no room for what they are in.
        assert!(check(&beside("", "/tmp/c")).is_err());
        check(&beside("shell=1000K", "/tmp/c")).expect("there is room");
        // What is on the disk takes none of it.
        check(&beside("historyd=2040K shell=20M", "/data/log")).expect("there is room");
        check(&beside("shell=20M", "/tmp/c")).expect_err("it is not on the disk");
    }

    #[test]
    fn quotas_on_a_boot_partition_are_less_than_its_volume_and_leave_room_for_the_image() {
        let boot = |quotas, prefix| product("gateway-store", "bootd", quotas, &[("updater", prefix)]);
        check(&boot("updater=31M", "/boot")).expect("what the host wrote is part of it");
        let refused = refused(&boot("updater=32M", "/boot"));
        assert!(refused.contains("gateway-store: ") && refused.contains("bootd on /boot"), "{refused}");
        check(&boot("updater=4M", "/boot/x")).expect("there is room beside the largest image");
        check(&boot("updater=31M", "/boot/x")).expect_err("there is none beside it");
    }

    #[test]
    fn server_without_a_partition_has_no_room() {
        let mut graph = gateway("historyd=4K shell=4K");
        let fsd = graph.instances.iter().find(|instance| instance.name == "fsd").expect("it has one").id;
        let mut own = graph.sessions.iter_mut().filter(|session| session.client == fsd);
        own.find(|session| session.limits.prefix.is_some()).expect("a disk").limits.prefix = Some("/none".into());
        assert!(refused(&graph).contains("room for 0"));
    }
}
