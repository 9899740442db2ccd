//! The snapshot as one HTML page; no script, nothing from elsewhere.

use crate::escape::push_html;
use crate::gather::{Component, Found, LogLine, Snapshot};
use crate::json::{level, state, verdict};
use alloc::string::String;
use core::fmt::Write;

/// Writes the whole page.
pub(crate) fn write(snapshot: &Snapshot<'_>) -> String {
    let mut out = String::with_capacity(24 * 1024);
    out.push_str(HEAD);
    push_html(&mut out, &snapshot.summary.product);
    out.push_str(" · HybridOS</title></head><body><header><div><h1>");
    push_html(&mut out, &snapshot.summary.product);
    out.push_str("</h1><p>HybridOS ");
    push_html(&mut out, &snapshot.summary.version);
    out.push_str("</p></div><a href=\"/api/status\">as JSON</a></header><main>");
    if let Some(problem) = snapshot.problem {
        out.push_str("<p class=\"problem\">Not everything is here: ");
        push_html(&mut out, problem);
        out.push_str(".</p>");
    }
    push_figures(&mut out, snapshot);
    push_differences(&mut out, snapshot.found.as_ref());
    out.push_str("<section><h2>Components</h2><p class=\"hint\">Open one to see every capability that it was granted; it holds no ");
    out.push_str("others. What is granted to nobody stays with securityd, the root task.</p>");
    let largest = snapshot.components.iter().map(|component| component.instance.memory_bytes).max().unwrap_or(0);
    for component in snapshot.components {
        push_component(&mut out, component, largest);
    }
    out.push_str("</section><section><h2>Log</h2><div class=\"log\">");
    for entry in snapshot.log {
        push_entry(&mut out, entry);
    }
    out.push_str("</div></section></main></body></html>\n");
    out
}

fn push_figures(out: &mut String, snapshot: &Snapshot<'_>) {
    let summary = &snapshot.summary;
    let used = summary.memory_total.saturating_sub(summary.memory_free);
    let running = snapshot.components.iter().filter(|component| state(component.instance.state) == "running").count();
    out.push_str("<section class=\"figures\">");
    push_figure(out, "Uptime", |out| push_duration(out, snapshot.now_ns / 1_000_000_000));
    push_figure(out, "Memory in use", |out| {
        push_size(out, used);
        out.push_str("<small> of ");
        push_size(out, summary.memory_total);
        out.push_str("</small>");
    });
    push_figure(out, "Components", |out| {
        let _ = write!(out, "{running}<small> of {} running</small>", snapshot.components.len());
    });
    push_figure(out, "Grants", |out| {
        let _ = write!(out, "{}", summary.grants);
    });
    push_figure(out, "Live is", |out| match &snapshot.found {
        None => out.push_str("unknown"),
        Some(Found { comparison, .. }) => {
            out.push_str(verdict(comparison.verdict));
            let age = snapshot.now_ns.saturating_sub(comparison.at_ns) / 1_000_000_000;
            let _ = write!(out, "<small>{} capabilities, {age} s ago</small>", comparison.capabilities);
        }
    });
    out.push_str("</section>");
}

/// What the kernel lists otherwise than declared, if anything.
fn push_differences(out: &mut String, found: Option<&Found>) {
    let Some(Found { comparison, lines }) = found.filter(|found| found.comparison.differences > 0) else { return };
    let _ = write!(out, "<section><h2>Not as declared</h2><p class=\"hint\">{} lines, ", comparison.differences);
    out.push_str("+ for what nothing declares, - for what is missing.</p><pre class=\"problem\">");
    for line in lines {
        push_html(out, line);
        out.push('\n');
    }
    out.push_str("</pre></section>");
}

fn push_figure(out: &mut String, name: &str, value: impl FnOnce(&mut String)) {
    out.push_str("<div><h3>");
    out.push_str(name);
    out.push_str("</h3><p>");
    value(out);
    out.push_str("</p></div>");
}

fn push_component(out: &mut String, component: &Component, largest: u64) {
    let instance = &component.instance;
    let state = state(instance.state);
    let _ = write!(out, "<details><summary><i class=\"{state}\"></i><b>");
    push_html(out, &instance.name);
    let _ = write!(out, "</b><span>{state}</span><span>");
    push_size(out, instance.memory_bytes);
    // Whole percents of the largest component's memory, at least a hair.
    let percent = instance.memory_bytes.saturating_mul(100).checked_div(largest).unwrap_or(0).clamp(1, 100);
    let _ = write!(
        out,
        "</span><meter max=\"100\" value=\"{percent}\"></meter><span>{} capabilities</span></summary><p>",
        instance.capabilities
    );
    push_html(out, &instance.component);
    let _ = write!(out, " · generation {} · priority {} · heap in use ", instance.generation, instance.priority);
    push_size(out, instance.heap_bytes);
    if !instance.detail.is_empty() {
        out.push_str(" · <em>");
        push_html(out, &instance.detail);
        out.push_str("</em>");
    }
    out.push_str("</p><pre>");
    for grant in &component.grants {
        push_html(out, grant);
        out.push('\n');
    }
    out.push_str("</pre></details>");
}

fn push_entry(out: &mut String, entry: &LogLine) {
    let micros = entry.at_ns / 1000;
    let _ = write!(
        out,
        "<p class=\"{}\"><time>{}.{:03}</time><b>",
        level(entry.level),
        micros / 1_000_000,
        micros / 1000 % 1000
    );
    push_html(out, &entry.component);
    out.push_str("</b><span>");
    if entry.dropped_before > 0 {
        let _ = write!(out, "<em>({} records lost before this one)</em> ", entry.dropped_before);
    }
    push_html(out, &entry.text);
    out.push_str("</span></p>");
}

fn push_duration(out: &mut String, seconds: u64) {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    let _ = match (days, hours, minutes) {
        (0, 0, 0) => write!(out, "{seconds} s"),
        (0, 0, _) => write!(out, "{minutes} min {} s", seconds % 60),
        (0, _, _) => write!(out, "{hours} h {minutes} min"),
        _ => write!(out, "{days} d {hours} h"),
    };
}

fn push_size(out: &mut String, bytes: u64) {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let _ = match tenths % 10 {
        0 => write!(out, "{} {}", tenths / 10, UNITS[unit]),
        tenth => write!(out, "{}.{tenth} {}", tenths / 10, UNITS[unit]),
    };
}

/// Everything before the title's text.
const HEAD: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<link rel=\"icon\" href=\"data:,\"><style>\
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--ink:#1c2330;--soft:#657084;--line:#e3e6ec;--accent:#2457d6;--ok:#1a9a5b;--bad:#cf3434;--warn:#b7791f}\
@media(prefers-color-scheme:dark){:root{--bg:#12151b;--card:#1b2029;--ink:#e6e9ef;--soft:#93a0b5;--line:#2b323f;--accent:#7ea2ff;--ok:#4cc38a;--bad:#ff7b72;--warn:#e3b341}}\
*{box-sizing:border-box;margin:0}\
body{background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
header,main{max-width:60rem;margin:auto;padding:1rem}\
header{display:flex;align-items:center;justify-content:space-between;padding-top:2rem}\
h1{font-size:1.8rem;line-height:1.2}h2{font-size:1.15rem;margin-bottom:.25rem}\
h3,header p,.hint,small{color:var(--soft);font-size:.85rem;font-weight:400}\
a{color:var(--accent)}section{margin-top:1.5rem}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin-top:0}\
.figures div,details,.log,.problem{background:var(--card);border:1px solid var(--line);border-radius:.6rem}\
.figures div{padding:.8rem 1rem}.figures p{font-size:1.35rem;font-weight:600}.figures small{display:inline-block;margin-left:.35rem}\
.problem{padding:.6rem 1rem;margin-bottom:.75rem;color:var(--bad)}\
details{margin-top:.5rem}summary{display:flex;flex-wrap:wrap;align-items:center;gap:.2rem .8rem;padding:.6rem 1rem;cursor:pointer}\
summary::after{content:'›';margin-left:auto;color:var(--soft)}details[open] summary::after{content:'‹'}summary b{min-width:6.5rem}summary span{color:var(--soft);font-size:.9rem;min-width:5.5rem}meter{width:5rem;flex:1 1 4rem;max-width:14rem}\
i{width:.65rem;height:.65rem;border-radius:50%;background:var(--warn)}i.running{background:var(--ok)}i.faulted,i.killed{background:var(--bad)}\
details p{padding:0 1rem;color:var(--soft);font-size:.85rem}\
pre{overflow-x:auto;padding:.5rem 1rem 1rem;font:.78rem/1.6 ui-monospace,monospace}\
.log{padding:.5rem 0;font-size:.85rem;margin-top:.5rem}.log p{display:flex;flex-wrap:wrap;gap:0 .8rem;padding:.15rem 1rem;border-left:3px solid transparent}\
.log time{color:var(--soft);font-variant-numeric:tabular-nums;min-width:4.5rem}.log b{min-width:5.5rem}.log span{flex:1 1 16rem;overflow-wrap:anywhere}\
.log .error{border-color:var(--bad)}.log .warn{border-color:var(--warn)}\
</style><title>";
