//! Who holds, who could come to hold, who can influence, and along which ways; answers are values and plain text.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use crate::grant::{Grant, What};
use crate::graph::{Graph, Session};

/// The most steps of one path that `why` lists.
pub const PATH_STEPS_MAX: usize = 8;
/// The most paths that `why` lists.
pub const PATHS_MAX: usize = 200;
/// The most steps that the search for paths takes; a graph of a hundred instances ends it, not the reader's patience.
const SEARCH_MAX: usize = 200_000;

/// One way in which an instance influences another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Instance name.
    pub from: String,
    /// Instance name, or a device's.
    pub to: String,
    /// `calls`, `answers`, `shares memory with`, `rings`, `drives`, `installs`.
    pub how: &'static str,
    /// `netd.tcp (hybrid.net.stack.Tcp)`.
    pub over: String,
    /// Why, as the texts say.
    pub reason: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// An interface (`hybrid.net.stack.Tcp`), or one that an instance provides (`netd.tcp`).
    Interface(String),
    /// A device of the board, or everything of one `compatible`.
    Device(String),
    /// An interrupt's number.
    Irq(u32),
    /// A region (`netd.tcp`, both sides), DMA memory (`buffers`), an instance's own, or a physical address in a register page.
    Memory(String),
    /// A key.
    Key(String),
    /// A target, kind or verb: whatever stands in a line.
    Any(String),
}

impl Thing {
    fn is_granted_by(&self, grant: &Grant) -> bool {
        let named = |name: &String| grant.target == *name || grant.kind == *name;
        match self {
            Self::Interface(name) => {
                named(name) && matches!(grant.what, What::Call { .. } | What::Region { .. } | What::Bell { .. })
            }
            Self::Device(name) => {
                named(name)
                    && matches!(
                        grant.what,
                        What::Device { .. }
                            | What::Interrupt { .. }
                            | What::Timer
                            | What::Audit { .. }
                            | What::Shown { .. }
                    )
            }
            Self::Irq(number) => matches!(grant.what, What::Interrupt { irq, .. } if irq == *number),
            Self::Memory(name) => match grant.what {
                What::Device { page, .. } => address(name).is_some_and(|at| at & !0xfff == page) || named(name),
                What::Region { .. } | What::Dma { .. } | What::Memory { .. } => named(name),
                _ => false,
            },
            Self::Key(name) => named(name) && matches!(grant.what, What::Key),
            Self::Any(name) => named(name) || grant.what.verb() == *name,
        }
    }

    /// Whether a server can hand it on in an answer: an address space, an interrupt or a key it cannot.
    const fn can_travel(&self) -> bool {
        matches!(self, Self::Interface(_) | Self::Any(_))
    }
}

fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(&text.strip_prefix("0x")?.replace('_', ""), 16).ok()
}

/// From where to where the registers of a grant are.
fn registers(grant: &Grant) -> Option<(u64, u64)> {
    let What::Device { page, bits, .. } = grant.what else { return None };
    Some((page, page.saturating_add(1 << (bits & 63))))
}

/// One side of a region.
struct Side {
    holder: String,
    target: String,
}

impl Side {
    fn is_of(&self, grant: &Grant) -> bool {
        matches!(grant.what, What::Region { .. }) && grant.holder == self.holder && grant.target == self.target
    }
}

/// The answer to `caps who`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// The grants themselves.
    pub grants: Vec<Grant>,
    /// Who could come to hold it: the chain of servers whose answers may carry it on.
    pub could: BTreeMap<String, Vec<String>>,
    /// Who can influence a holder, with the least number of steps.
    pub influence: BTreeMap<String, usize>,
}

impl Graph {
    fn name(&self, id: u16) -> String {
        self.instance(id).map_or_else(String::new, |instance| instance.name.clone())
    }

    /// Every edge of influence: a call carries the question there and the answer back, memory and bells are for both sides.
    #[must_use]
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: Vec<Edge> = self.sessions.iter().flat_map(|session| self.edges_of(session)).collect();
        for instance in &self.instances {
            edges.extend(instance.place.map(|place| Edge {
                from: self.name(place.installer),
                to: instance.name.clone(),
                how: "installs",
                over: "its program".into(),
                reason: "whoever fills a place decides what runs there".into(),
            }));
            edges.extend(instance.devices.iter().map(|device| Edge {
                from: instance.name.clone(),
                to: device.device.clone(),
                how: if device.read_only || device.is_tree() { "reads" } else { "drives" },
                over: device.compatible.clone(),
                reason: device.reason.clone(),
            }));
        }
        edges.sort();
        edges
    }

    fn edges_of(&self, session: &Session) -> Vec<Edge> {
        let used = self.instance(session.client).and_then(|client| client.uses.get(usize::from(session.client_use)));
        let (interface, reason) = used.map_or(("", ""), |used| (&used.interface, &used.reason));
        let over = format!("{} ({interface})", self.server_name(session));
        let (client, server) = (self.name(session.client), self.name(session.server));
        let edge = |from: &String, to: &String, how| Edge {
            from: from.clone(),
            to: to.clone(),
            how,
            over: over.clone(),
            reason: reason.to_owned(),
        };
        let mut edges = Vec::new();
        if session.has_operations {
            edges.push(edge(&client, &server, "calls"));
            edges.push(edge(&server, &client, "answers"));
        }
        if session.region.is_some() {
            edges.push(edge(&client, &server, "shares memory with"));
            edges.push(edge(&server, &client, "shares memory with"));
        } else if session.rings_client {
            edges.push(edge(&server, &client, "rings"));
        }
        edges
    }

    /// Client names of each server whose answers can carry capabilities to them.
    fn handing_on(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut clients: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for session in self.sessions.iter().filter(|session| session.has_operations) {
            let mints = self.instance(session.server).and_then(|server| server.endpoint).is_some_and(|own| own.mints);
            let receives = self.instance(session.client).is_some_and(|client| client.own_cnode);
            if mints && receives {
                clients.entry(self.name(session.server)).or_default().insert(self.name(session.client));
            }
        }
        clients
    }

    /// Who holds `thing`, who could come to hold it, and who can influence a holder.
    #[must_use]
    pub fn holders(&self, thing: &Thing) -> Holders {
        let other_sides = self.other_sides(thing);
        let is_meant = |grant: &Grant| thing.is_granted_by(grant) || other_sides.iter().any(|side| side.is_of(grant));
        let (mut grants, others): (Vec<Grant>, Vec<Grant>) = self.grants().into_iter().partition(is_meant);
        if matches!(thing, Thing::Device(_)) {
            // The board can have a second name for the same registers, for who only looks at them.
            let pages: Vec<(u64, u64)> = grants.iter().filter_map(registers).collect();
            let is_same = |(start, end): (u64, u64)| pages.iter().any(|(other, last)| start < *last && *other < end);
            grants.extend(others.into_iter().filter(|grant| registers(grant).is_some_and(is_same)));
        }
        let holders: BTreeSet<String> = grants.iter().map(|grant| grant.holder.clone()).collect();
        let mut could = BTreeMap::new();
        if thing.can_travel() {
            let handing_on = self.handing_on();
            let mut queue: VecDeque<Vec<String>> = holders.iter().map(|holder| vec![holder.clone()]).collect();
            while let Some(chain) = queue.pop_front() {
                for next in chain.last().and_then(|last| handing_on.get(last)).into_iter().flatten() {
                    if !holders.contains(next) && !could.contains_key(next) {
                        let longer: Vec<String> = chain.iter().chain([next]).cloned().collect();
                        could.insert(next.clone(), longer.clone());
                        queue.push_back(longer);
                    }
                }
            }
        }
        let influence = self.distances_to(&holders);
        Holders { grants, could, influence }
    }

    /// A region has two holders, whose lines name each other: both sides of the one that is asked for by either name.
    fn other_sides(&self, thing: &Thing) -> Vec<Side> {
        let Thing::Memory(name) = thing else { return Vec::new() };
        let mut sides = Vec::new();
        for session in self.sessions.iter().filter(|session| session.region.is_some()) {
            let (client, server) = (self.client_name(session), self.server_name(session));
            if *name == client || *name == server {
                sides.push(Side { holder: self.name(session.client), target: server });
                sides.push(Side { holder: self.name(session.server), target: client });
            }
        }
        sides
    }

    /// The least number of steps from each other instance to one of `goals`.
    fn distances_to(&self, goals: &BTreeSet<String>) -> BTreeMap<String, usize> {
        let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for edge in self.edges() {
            before.entry(edge.to).or_default().insert(edge.from);
        }
        let mut found: BTreeMap<String, usize> = goals.iter().map(|goal| (goal.clone(), 0)).collect();
        let mut queue: VecDeque<String> = goals.iter().cloned().collect();
        while let Some(here) = queue.pop_front() {
            let steps = found.get(&here).copied().unwrap_or(0) + 1;
            for next in before.get(&here).into_iter().flatten() {
                if !found.contains_key(next) {
                    found.insert(next.clone(), steps);
                    queue.push_back(next.clone());
                }
            }
        }
        found.retain(|name, _| !goals.contains(name));
        found
    }

    /// Every simple path of influence from `from` to `to` (an instance or a device), shortest first, and whether a bound cut the list.
    #[must_use]
    pub fn paths(&self, from: &str, to: &str) -> (Vec<Vec<Edge>>, bool) {
        let mut steps: BTreeMap<String, BTreeMap<String, Vec<Edge>>> = BTreeMap::new();
        for edge in self.edges() {
            steps.entry(edge.from.clone()).or_default().entry(edge.to.clone()).or_default().push(edge);
        }
        // Breadth first, so that the bound keeps the shortest; parallel edges are one step.
        let mut queue = VecDeque::from([vec![from.to_owned()]]);
        let (mut found, mut cut, mut taken) = (Vec::new(), false, 0);
        while let Some(path) = queue.pop_front() {
            taken += 1;
            if taken > SEARCH_MAX || found.len() > PATHS_MAX {
                cut = true;
                break;
            }
            let Some(here) = path.last() else { continue };
            if here == to && path.len() > 1 {
                found.push(path);
                continue;
            }
            if path.len() > PATH_STEPS_MAX {
                cut = true;
                continue;
            }
            for next in steps.get(here).into_iter().flat_map(BTreeMap::keys).filter(|next| !path.contains(next)) {
                queue.push_back(path.iter().chain([next]).cloned().collect());
            }
        }
        found.truncate(PATHS_MAX);
        let edges_of = |path: Vec<String>| {
            let pairs = path.windows(2).filter_map(|pair| steps.get(&pair[0])?.get(&pair[1]));
            pairs.flatten().cloned().collect()
        };
        (found.into_iter().map(edges_of).collect(), cut)
    }
}

/// The text of `caps who`.
#[must_use]
pub fn who_text(graph: &Graph, thing: &Thing) -> String {
    let holders = graph.holders(thing);
    let mut out = String::from("# holds it\n");
    out += &crate::grant::text_of(&holders.grants);
    if holders.grants.is_empty() {
        out += "nobody\n";
    }
    let masters: Vec<&str> =
        graph.instances.iter().filter(|own| !own.dma.is_empty()).map(|own| own.name.as_str()).collect();
    if matches!(thing, Thing::Memory(_)) && !masters.is_empty() {
        let _ =
            writeln!(out, "# and, without an IOMMU, any memory is reached by the devices of\n{}", masters.join(", "));
    }
    out += "# could come to hold it, by an answer that carries a capability\n";
    for chain in holders.could.values() {
        let _ = writeln!(out, "{}", chain.join(" -> "));
    }
    if holders.could.is_empty() {
        out += "nobody\n";
    }
    out += "# can influence a holder, though it cannot come to hold it (steps: calls, answers, rings)\n";
    let only: Vec<(&String, &usize)> =
        holders.influence.iter().filter(|(name, _)| !holders.could.contains_key(*name)).collect();
    for steps in 1..=only.iter().map(|(_, steps)| **steps).max().unwrap_or(0) {
        let names: Vec<&str> = only.iter().filter(|(_, own)| **own == steps).map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            let _ = writeln!(out, "{steps}: {}", names.join(", "));
        }
    }
    if only.is_empty() {
        out += "nobody\n";
    }
    out
}

/// The text of `caps why`: every path with the reason on each edge.
#[must_use]
pub fn why_text(graph: &Graph, from: &str, to: &str) -> String {
    let goal = to.split('.').next().unwrap_or(to);
    let (paths, cut) = graph.paths(from, goal);
    if paths.is_empty() {
        let bound = if cut { format!(" in {PATH_STEPS_MAX} steps") } else { String::new() };
        return format!("# {from} cannot influence {to}{bound}\n");
    }
    // `netd.tcp` asks for the paths whose last step is over that interface.
    let over = format!("{to} (");
    let is_asked =
        |path: &&Vec<Edge>| goal == to || path.iter().any(|edge| edge.to == goal && edge.over.starts_with(&over));
    let asked: Vec<&Vec<Edge>> = paths.iter().filter(is_asked).collect();
    if asked.is_empty() {
        return format!("# {from} has no path that ends in {to}\n");
    }
    let mut out = String::new();
    for (number, path) in asked.iter().enumerate() {
        let mut names = vec![from];
        for edge in *path {
            if names.last() != Some(&edge.to.as_str()) {
                names.push(&edge.to);
            }
        }
        let _ = writeln!(out, "# path {}: {}", number + 1, names.join(" -> "));
        for edge in *path {
            let _ =
                writeln!(out, "{:<10} {:<18} {:<12} {}  # {}", edge.from, edge.how, edge.to, edge.over, edge.reason);
        }
    }
    let bound = if cut { "; there are more, longer ones" } else { "; there are no others" };
    let _ =
        writeln!(out, "paths: {} (searched: at most {PATH_STEPS_MAX} steps, {PATHS_MAX} paths{bound})", asked.len());
    out
}
