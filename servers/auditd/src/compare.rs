//! Declared against live: two lists of lines, and which of the declared ones need not be there now.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hybrid_capgraph::{Grant, Graph, Held, What, layout};

use crate::fact::{Cap, Fact};
use crate::index::Index;
use crate::lines::{Lines, SHARED_FRAME, key, other};

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is there, sorted.
    pub lines: Vec<String>,
    /// `-` and a missing line, `+` and one that nothing declares.
    pub differences: Vec<String>,
    /// Lines on both sides.
    pub equal: u32,
    /// Declared lines that need not be there now.
    pub absent: u32,
    /// Capabilities in the system.
    pub capabilities: u32,
}

impl Report {
    /// Who holds what nothing declares, each once, with the first such line. Who lacks something is none; nor is who has a page of its own that
    /// another maps, which is a line of the other's too.
    pub fn suspects(&self) -> impl Iterator<Item = (&str, &str)> {
        let extra = self.differences.iter().filter_map(|line| Some((line.as_str(), line.strip_prefix("+ ")?)));
        let words = extra.map(|(line, rest)| (line, rest.split_ascii_whitespace()));
        let mut seen: Vec<&str> = Vec::new();
        words.filter_map(move |(line, mut words)| {
            let (holder, _kind, what) = (words.next()?, words.next()?, words.next());
            let is_new = what != Some(SHARED_FRAME) && !seen.contains(&holder);
            seen.extend(is_new.then_some(holder));
            is_new.then_some((holder, line))
        })
    }
}

/// Compares everything.
#[must_use]
pub fn compare(graph: &Graph, facts: &[Fact]) -> Report {
    let index = Index::of(graph, facts);
    let mut lines = strangers(&index, facts);
    for instance in &graph.instances {
        if let Some(body) = index.bodies.get(&instance.id) {
            lines.extend(Lines::of(&index, instance, body));
        }
    }
    lines.sort();
    let mut report = Report { capabilities: u32::try_from(facts.len()).unwrap_or(u32::MAX), ..Report::default() };
    let mut unmatched: BTreeMap<&str, u32> = BTreeMap::new();
    for line in &lines {
        *unmatched.entry(line).or_default() += 1;
    }
    let mut missing = Vec::new();
    for grant in graph.grants().iter().filter(|grant| is_shown(&grant.what)) {
        let line = key(grant);
        match unmatched.get_mut(line.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                report.equal += 1;
            }
            _ if may_be_absent(&index, grant) => report.absent += 1,
            _ => missing.push(format!("- {line}")),
        }
    }
    let extra = unmatched.iter().flat_map(|(line, count)| (0..*count).map(move |_| format!("+ {line}")));
    report.differences = extra.chain(missing).collect();
    report.lines = lines;
    report
}

const fn is_shown(what: &What) -> bool {
    !matches!(what, What::Time { .. } | What::Timer | What::Key)
}

/// Nothing of an instance that is down is there, nor what leads to it; sessions on demand come and go, and so does what is installed.
fn may_be_absent(index: &Index<'_>, grant: &Grant) -> bool {
    let is_up = |name: &str| {
        let instance = index.graph.named(name);
        instance.is_none_or(|instance| index.bodies.contains_key(&instance.id))
    };
    let to = grant.target.split('.').next().unwrap_or_default();
    match grant.what {
        _ if grant.held != Held::Always => true,
        What::Call { .. } | What::Bell { .. } => !is_up(&grant.holder) || !is_up(to),
        _ => !is_up(&grant.holder),
    }
}

/// What nobody that is declared has: threads, CNodes, spaces, interrupts that ring nobody's bell.
fn strangers(index: &Index<'_>, facts: &[Fact]) -> Vec<String> {
    let mut lines: Vec<String> =
        index.strangers.iter().map(|at| other("?", "thread", "", &format!("page={at:#x}"))).collect();
    lines.extend(index.stray_cnodes.iter().map(|at| other("?", "cnode", "", &format!("page={at:#x}"))));
    for asid in index.pages.keys().filter(|asid| index.of_space(**asid).is_none()) {
        lines.push(other("?", "space", "", &format!("page={asid}")));
    }
    let table = index.interrupt_table;
    for (irq, slot) in (0..256_u32).map(|irq| (irq, table + crate::index::SLOT * u64::from(irq))) {
        let Some(Cap::Notification { at, .. }) = index.slots.get(&slot) else { continue };
        let holder = index.owners.get(at).and_then(|id| index.graph.instance(*id));
        let is_declared = holder.is_some_and(|holder| holder.devices.iter().any(|device| device.irq == Some(irq)));
        if !is_declared {
            let name = holder.map_or("?", |holder| holder.name.as_str());
            lines.push(other(name, "interrupt-bell", "", &format!("irq={irq}")));
        }
    }
    // The kernel's list itself: an instance's copy is a line of that instance, and securityd has the original.
    let nodes: Vec<_> =
        index.bodies.iter().filter(|(id, _)| **id != layout::SECURITYD).map(|(_, body)| body.cnode).collect();
    let is_held = |slot: u64| {
        nodes.iter().any(|(node, radix)| (*node..node + (crate::index::SLOT << (radix & 31))).contains(&slot))
    };
    let lists = facts.iter().filter(|fact| matches!(fact.cap, Cap::Audit { .. }) && !is_held(fact.slot)).count();
    if lists > 1 {
        lines.push(other("?", "audit", "", &format!("slots={lists}")));
    }
    lines
}
