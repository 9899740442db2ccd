//! The snapshot as JSON; the shape is described in README.md and only grows.

use crate::escape::push_json;
use crate::gather::{Component, Found, LogLine, Snapshot};
use alloc::string::String;
use core::fmt::Write;
use hybrid_interfaces::live::Verdict;
use hybrid_interfaces::log::Level;
use hybrid_interfaces::security::State;

/// Writes the whole document.
pub(crate) fn write(snapshot: &Snapshot<'_>) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let summary = &snapshot.summary;
    out.push_str("{\"product\":");
    push_json(&mut out, &summary.product);
    out.push_str(",\"version\":");
    push_json(&mut out, &summary.version);
    push_number(&mut out, "uptime_ms", snapshot.now_ns / 1_000_000);
    push_number(&mut out, "grants", summary.grants.into());
    out.push_str(",\"problem\":");
    match snapshot.problem {
        Some(problem) => push_json(&mut out, problem),
        None => out.push_str("null"),
    }
    push_found(&mut out, snapshot.found.as_ref());
    out.push_str(",\"memory\":{\"total_bytes\":");
    push_decimal(&mut out, summary.memory_total);
    push_number(&mut out, "free_bytes", summary.memory_free);
    out.push_str(",\"components\":{");
    push_list(&mut out, snapshot.components.iter(), |out, component| {
        push_json(out, &component.instance.name);
        out.push(':');
        push_decimal(out, component.instance.memory_bytes);
    });
    out.push_str("},\"heap_in_use\":{");
    push_list(&mut out, snapshot.components.iter(), |out, component| {
        push_json(out, &component.instance.name);
        out.push(':');
        push_decimal(out, component.instance.heap_bytes);
    });
    out.push_str("}},\"components\":[");
    push_list(&mut out, snapshot.components.iter(), push_component);
    out.push_str("],\"log\":[");
    push_list(&mut out, snapshot.log.iter(), push_entry);
    out.push_str("]}\n");
    out
}

fn push_found(out: &mut String, found: Option<&Found>) {
    let Some(Found { comparison, lines }) = found else { return out.push_str(",\"live\":null") };
    out.push_str(",\"live\":{\"verdict\":");
    push_json(out, verdict(comparison.verdict));
    push_number(out, "equal", comparison.equal.into());
    push_number(out, "different", comparison.differences.into());
    push_number(out, "absent", comparison.absent.into());
    push_number(out, "capabilities", comparison.capabilities.into());
    push_number(out, "comparison", comparison.number.into());
    push_number(out, "at_us", comparison.at_ns / 1000);
    out.push_str(",\"differences\":[");
    push_list(out, lines.iter(), |out, line| push_json(out, line));
    out.push_str("]}");
}

fn push_component(out: &mut String, component: &Component) {
    let instance = &component.instance;
    out.push_str("{\"name\":");
    push_json(out, &instance.name);
    out.push_str(",\"component\":");
    push_json(out, &instance.component);
    out.push_str(",\"state\":");
    push_json(out, state(instance.state));
    push_number(out, "generation", instance.generation.into());
    push_number(out, "priority", instance.priority.into());
    push_number(out, "memory_bytes", instance.memory_bytes);
    push_number(out, "capabilities", instance.capabilities.into());
    out.push_str(",\"detail\":");
    push_json(out, &instance.detail);
    out.push_str(",\"grants\":[");
    push_list(out, component.grants.iter(), |out, grant| push_json(out, grant));
    out.push_str("]}");
}

fn push_entry(out: &mut String, entry: &LogLine) {
    out.push_str("{\"sequence\":");
    push_decimal(out, entry.sequence);
    push_number(out, "at_us", entry.at_ns / 1000);
    out.push_str(",\"level\":");
    push_json(out, level(entry.level));
    push_number(out, "dropped_before", entry.dropped_before.into());
    out.push_str(",\"component\":");
    push_json(out, &entry.component);
    out.push_str(",\"target\":");
    push_json(out, &entry.target);
    out.push_str(",\"text\":");
    push_json(out, &entry.text);
    out.push('}');
}

fn push_list<T>(out: &mut String, items: impl Iterator<Item = T>, mut push: impl FnMut(&mut String, T)) {
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(',');
        }
        push(out, item);
    }
}

/// A further member with a number.
fn push_number(out: &mut String, name: &str, number: u64) {
    // Writing to a String cannot fail.
    let _ = write!(out, ",\"{name}\":{number}");
}

fn push_decimal(out: &mut String, number: u64) {
    let _ = write!(out, "{number}");
}

/// The word for a state.
pub(crate) fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Faulted => "faulted",
        State::Killed => "killed",
        State::Failed => "failed",
        State::Empty => "empty",
        State::Ended => "ended",
    }
}

/// The words for a verdict.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::AsDeclared => "as declared",
        Verdict::Different => "not as declared",
        Verdict::Unable => "unknown",
    }
}

/// The word for a level.
pub(crate) fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
