//! Every refusal that the ABI knows, by object, call and reason: what a storm has to see; it rules on nothing.
//!
//! A storm compares all memory and the kernel's own cells before and after each call that is refused (`step.rs`); here is the list
//! that says for which refusals it did.

use std::collections::{BTreeMap, BTreeSet};

use hybrid_abi::label as l;
use hybrid_abi::{extension, limits};

use crate::cap::Cap;
use crate::model_tests::world::Answer;
use crate::model_tests::world_storm::oracle::Ask;

/// Lookup of a target slot under a CNode that the call names.
const TARGET: &[&str] = &["range depth", "target guard", "target short", "target left over"];
/// The same under a capability that may be none.
const ROOT: &str = "target not a CNode";
/// Lookup of a source slot.
const SOURCE: &[&str] = &["source not a CNode", "source guard", "source short", "source left over", "source missing"];

/// Object, its calls, and what each of them can be refused for. `*` stands for every label that the object does not have.
type Row = (&'static str, &'static [u64], &'static [&'static [&'static str]]);

const ANY_LABEL: u64 = u64::MAX;
/// A label has 52 bits.
const NO_LABEL: std::ops::RangeInclusive<u64> = ANY_LABEL..=ANY_LABEL;
const OTHER: &[u64] = &[ANY_LABEL];
const ILLEGAL: &[&str] = &["illegal"];
const TRUNCATED: &[&str] = &["truncated"];

const TABLE: &[Row] = &[
    ("null", OTHER, &[&["capability 0"]]),
    ("zombie", OTHER, &[&["capability 0"]]),
    ("endpoint", OTHER, &[&["capability 0"]]),
    ("notification", OTHER, &[&["capability 0"]]),
    ("untyped", OTHER, &[ILLEGAL]),
    ("untyped", &[l::UNTYPED_RETYPE], &[TRUNCATED, TARGET, &[ROOT, "target missing", "delete first", "memory"]]),
    ("untyped", &[l::UNTYPED_RETYPE], &[&["argument 0", "argument 1: CNode", "argument 1: untyped"]]),
    ("untyped", &[l::UNTYPED_RETYPE], &[&["argument 1: context", "argument 1: device"]]),
    ("untyped", &[l::UNTYPED_RETYPE], &[&["range size", "range offset", "range count", "range room"]]),
    ("cnode", OTHER, &[ILLEGAL]),
    ("cnode", &[l::CNODE_REVOKE, l::CNODE_DELETE], &[TRUNCATED, TARGET]),
    ("cnode", &[l::CNODE_CANCEL_BADGED_SENDS], &[TRUNCATED, TARGET, ILLEGAL]),
    (
        "cnode",
        &[l::CNODE_COPY, l::CNODE_MINT],
        &[TRUNCATED, TARGET, SOURCE, ILLEGAL, &["delete first", "revoke first"]],
    ),
    ("cnode", &[l::CNODE_MOVE], &[TRUNCATED, TARGET, SOURCE, &["delete first"]]),
    ("cnode", &[l::CNODE_MUTATE], &[TRUNCATED, TARGET, SOURCE, ILLEGAL, &["delete first"]]),
    ("cnode", &[l::CNODE_ROTATE], &[TRUNCATED, TARGET, SOURCE, ILLEGAL, &["delete first", "target missing"]]),
    ("thread", OTHER, &[ILLEGAL]),
    ("thread", &[l::TCB_READ_REGISTERS], &[TRUNCATED, ILLEGAL, &["range count"]]),
    ("thread", &[l::TCB_WRITE_REGISTERS], &[TRUNCATED, ILLEGAL]),
    ("thread", &[l::TCB_COPY_REGISTERS], &[TRUNCATED, &["capability 1"]]),
    ("thread", &[l::TCB_CONFIGURE, l::TCB_SET_IPC_BUFFER], &[TRUNCATED, ILLEGAL, &["alignment", "revoke first"]]),
    ("thread", &[l::TCB_SET_PRIORITY, l::TCB_SET_MC_PRIORITY], &[TRUNCATED, &["capability 1", "range"]]),
    ("thread", &[l::TCB_SET_SCHED_PARAMS], &[TRUNCATED, ILLEGAL, &["range"]]),
    ("thread", &[l::TCB_SET_SCHED_PARAMS], &[&["capability 1", "capability 2", "capability 3"]]),
    ("thread", &[l::TCB_SET_TIMEOUT_ENDPOINT], &[TRUNCATED, &["capability 1"]]),
    ("thread", &[l::TCB_SET_SPACE], &[TRUNCATED, ILLEGAL, &["capability 1", "revoke first"]]),
    ("thread", &[l::TCB_BIND_NOTIFICATION], &[TRUNCATED, ILLEGAL]),
    ("thread", &[l::TCB_UNBIND_NOTIFICATION], &[ILLEGAL]),
    ("thread", &[l::TCB_SET_TLS_BASE, l::TCB_SET_FLAGS], &[TRUNCATED]),
    ("context control", OTHER, &[ILLEGAL]),
    ("context control", &[l::SCHED_CONTROL_CONFIGURE_FLAGS], &[TRUNCATED, &["capability 1"]]),
    ("context control", &[l::SCHED_CONTROL_CONFIGURE_FLAGS], &[&["range limit", "range period", "range"]]),
    ("context", OTHER, &[ILLEGAL]),
    ("context", &[l::SCHED_CONTEXT_BIND, l::SCHED_CONTEXT_UNBIND_OBJECT], &[TRUNCATED, ILLEGAL, &["capability 1"]]),
    ("context", &[l::SCHED_CONTEXT_UNBIND, l::SCHED_CONTEXT_YIELD_TO], &[ILLEGAL]),
    ("interrupts", OTHER, &[ILLEGAL]),
    ("interrupts", &[l::IRQ_ISSUE_HANDLER, l::IRQ_ISSUE_HANDLER_TRIGGER], &[TRUNCATED, &["range", "revoke first"]]),
    ("interrupts", &[l::IRQ_ISSUE_HANDLER, l::IRQ_ISSUE_HANDLER_TRIGGER], &[TARGET, &[ROOT, "delete first"]]),
    ("interrupts", &[l::IRQ_ISSUE_SGI_SIGNAL], &[TRUNCATED, TARGET, &["range", "argument 1", ROOT, "delete first"]]),
    ("interrupt", OTHER, &[ILLEGAL]),
    ("interrupt", &[l::IRQ_SET_HANDLER], &[TRUNCATED, &["capability 0"]]),
    ("domain", OTHER, &[ILLEGAL]),
    ("domain", &[l::DOMAIN_SET_SET], &[TRUNCATED, &["argument 0", "argument 1"]]),
    ("domain", &[l::DOMAIN_SCHEDULE_CONFIGURE], &[TRUNCATED, &["range", "argument 2"]]),
    ("domain", &[l::DOMAIN_SCHEDULE_SET_START], &[TRUNCATED, &["range", "argument 0"]]),
    ("frame", OTHER, &[ILLEGAL]),
    ("frame", &[l::PAGE_MAP], &[TRUNCATED, &["capability 1", "dead", "alignment", "argument 0", "target missing"]]),
    ("frame", &[l::PAGE_CLEAN_DATA, l::PAGE_INVALIDATE_DATA], &[TRUNCATED, ILLEGAL, RANGE]),
    ("frame", &[l::PAGE_CLEAN_INVALIDATE_DATA, l::PAGE_UNIFY_INSTRUCTION], &[TRUNCATED, ILLEGAL, RANGE]),
    ("table", OTHER, &[ILLEGAL]),
    ("table", &[l::PAGE_TABLE_MAP], &[TRUNCATED, &["capability 0", "capability 1", "argument 0", "dead"]]),
    ("table", &[l::PAGE_TABLE_MAP], &[&["delete first"]]),
    ("table", &[l::PAGE_TABLE_UNMAP], &[&["revoke first"]]),
    ("space", OTHER, &[ILLEGAL]),
    ("space", &[l::VSPACE_CLEAN_DATA, l::VSPACE_INVALIDATE_DATA], &[TRUNCATED, ILLEGAL, SPACE_RANGE]),
    ("space", &[l::VSPACE_CLEAN_INVALIDATE_DATA, l::VSPACE_UNIFY_INSTRUCTION], &[TRUNCATED, ILLEGAL, SPACE_RANGE]),
    ("pools", OTHER, &[ILLEGAL]),
    ("pools", &[l::ASID_CONTROL_MAKE_POOL], &[TRUNCATED, TARGET, &[ROOT, "capability 1"]]),
    ("pools", &[l::ASID_CONTROL_MAKE_POOL], &[&["revoke first", "delete first"]]),
    ("pool", OTHER, &[ILLEGAL]),
    ("pool", &[l::ASID_POOL_ASSIGN], &[TRUNCATED, &["capability 1", "dead", "capability 0", "delete first"]]),
    ("platform", OTHER, &[ILLEGAL]),
    ("platform", &[extension::PLATFORM_TIMER_ACCESS], &[TRUNCATED, &["range", "capability 1"]]),
    ("platform", &[extension::PLATFORM_PUT_CHAR], &[TRUNCATED]),
    ("audit", OTHER, &[ILLEGAL]),
    ("audit", &[extension::AUDIT_LIST], &[TRUNCATED, &["range"]]),
];
const RANGE: &[&str] = &["dead", "argument 0", "argument 1", "capability 0"];
const SPACE_RANGE: &[&str] = &["dead", "argument 1", "capability 0", "range page"];

/// What the ABI knows but no world of these tests reaches: why.
pub(super) const NOT_HERE: [(&str, &str); 3] = [
    ("pool 54 dead", "a pool's number is live as long as a capability to the pool exists"),
    ("pool 54 capability 0", "the same"),
    ("pool 54 delete first", "512 address spaces do not fit the memory of these tests; c120 of the suite fills a pool"),
];

/// Every refusal of [`TABLE`].
pub(super) fn expected() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (object, labels, groups) in TABLE {
        for label in *labels {
            all.extend(groups.iter().copied().flatten().map(|why| name(object, *label, why)));
        }
    }
    all
}

/// The labels that [`TABLE`] asks for.
pub(super) fn labels() -> Vec<u64> {
    TABLE.iter().flat_map(|row| row.1).copied().filter(|label| *label != ANY_LABEL).collect()
}

fn name(object: &str, label: u64, why: &str) -> String {
    if label == ANY_LABEL { format!("{object} * {why}") } else { format!("{object} {label} {why}") }
}

/// Refusals that were seen, and how often.
pub(super) type Seen = BTreeMap<String, u64>;

/// The name in [`expected`] of a refusal.
pub(super) fn refusal<const N: usize>(ask: &Ask<'_, N>, answer: &Answer) -> String {
    let (object, own) = object(ask.cap);
    let is_own = own.contains(&ask.label) && (ask.cap != Cap::IrqControl || !(27..55).contains(&ask.label));
    let label = if is_own { ask.label } else { ANY_LABEL };
    name(object, label, &why(ask, label, answer))
}

/// Name of an object, and its labels.
fn object(cap: Cap) -> (&'static str, std::ops::RangeInclusive<u64>) {
    match cap {
        Cap::Null => ("null", NO_LABEL),
        Cap::Zombie { .. } => ("zombie", NO_LABEL),
        Cap::Endpoint { .. } => ("endpoint", NO_LABEL),
        Cap::Notification { .. } => ("notification", NO_LABEL),
        Cap::Reply { .. } | Cap::SgiSignal { .. } => ("never refused", NO_LABEL),
        Cap::Untyped { .. } => ("untyped", 1..=1),
        Cap::CNode { .. } => ("cnode", l::CNODE_REVOKE..=l::CNODE_ROTATE),
        Cap::Tcb { .. } => ("thread", l::TCB_READ_REGISTERS..=l::TCB_SET_FLAGS),
        Cap::SchedControl { .. } => ("context control", 33..=33),
        Cap::SchedContext { .. } => ("context", l::SCHED_CONTEXT_BIND..=l::SCHED_CONTEXT_YIELD_TO),
        Cap::IrqControl => ("interrupts", 26..=56),
        Cap::IrqHandler { .. } => ("interrupt", l::IRQ_ACK..=l::IRQ_CLEAR_HANDLER),
        Cap::Domain => ("domain", l::DOMAIN_SET_SET..=l::DOMAIN_SCHEDULE_SET_START),
        Cap::Frame { .. } => ("frame", l::PAGE_MAP..=l::PAGE_GET_ADDRESS),
        Cap::PageTable { .. } => ("table", l::PAGE_TABLE_MAP..=l::PAGE_TABLE_UNMAP),
        Cap::VSpace { .. } => ("space", l::VSPACE_CLEAN_DATA..=l::VSPACE_UNIFY_INSTRUCTION),
        Cap::AsidControl => ("pools", 53..=53),
        Cap::AsidPool { .. } => ("pool", 54..=54),
        Cap::Audit { .. } => ("audit", extension::AUDIT_LIST..=extension::AUDIT_LIST),
        Cap::Platform => ("platform", extension::PLATFORM_SYSTEM_OFF..=extension::PLATFORM_PUT_CHAR),
    }
}

fn why<const N: usize>(ask: &Ask<'_, N>, label: u64, answer: &Answer) -> String {
    let words = &answer.words;
    match answer.label {
        1 if label == l::UNTYPED_RETYPE && words[0] == 1 => match ask.word(0) {
            4 if ask.word(1) == 0 => "argument 1: CNode".into(),
            0 if ask.word(1) < 4 => "argument 1: untyped".into(),
            5 if ask.word(1) < 7 => "argument 1: context".into(),
            _ => "argument 1: device".into(),
        },
        1 => format!("argument {}", words[0]),
        2 => format!("capability {}", words[0]),
        3 => "illegal".into(),
        4 => format!("range{}", bounds(ask, label, words[0], words[1])),
        5 => "alignment".into(),
        6 if words[1] == 1 && (l::VSPACE_CLEAN_DATA..=l::PAGE_GET_ADDRESS).contains(&label) => "dead".into(),
        6 => {
            let side = if words[0] == 1 { "source" } else { "target" };
            let kind = match words[1] {
                1 => "not a CNode",
                2 => "missing",
                3 if words[3] == 0 => "left over",
                3 => "short",
                _ => "guard",
            };
            format!("{side} {kind}")
        }
        7 => "truncated".into(),
        8 => "delete first".into(),
        9 => "revoke first".into(),
        _ => "memory".into(),
    }
}

/// What a range error is about.
fn bounds<const N: usize>(ask: &Ask<'_, N>, label: u64, min: u64, max: u64) -> &'static str {
    match (label, min, max) {
        (l::UNTYPED_RETYPE, 0, 47) => " size",
        (l::UNTYPED_RETYPE, 0, _) => " offset",
        (l::UNTYPED_RETYPE, _, 256) => " count",
        (l::UNTYPED_RETYPE, ..) if ask.word(3) <= 64 => " room",
        (l::TCB_READ_REGISTERS, ..) => " count",
        (l::SCHED_CONTROL_CONFIGURE_FLAGS, limits::MIN_BUDGET_US, 0x218d_ef41_6bdb) => " limit",
        (l::SCHED_CONTROL_CONFIGURE_FLAGS, limits::MIN_BUDGET_US, _) => " period",
        (l::VSPACE_CLEAN_DATA..=l::VSPACE_UNIFY_INSTRUCTION, ..) => " page",
        (_, 1, 64) => " depth",
        _ => "",
    }
}
