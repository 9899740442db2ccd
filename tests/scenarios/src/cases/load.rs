//! Many connections and many requests: no error, no leak, still answering.
use super::gateway;
use crate::http;
use crate::load;
use crate::scenario::{Scenario, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Requests in a row that must end without an error.
const REQUESTS: u64 = 100_000;
/// Connections at once.
const CONNECTIONS: u32 = 200;
/// One run of the generator; runs are repeated until there were enough requests.
const RUN_SECONDS: u32 = 20;
/// What a heap may hold more after the requests, bytes.
const HEAP_SLACK: u64 = 32 * 1024;
/// An emulated machine on a slow host answers 100 requests a second or more.
const AT_MOST: Duration = Duration::from_secs(1000);

/// The last connections of a load time out in this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![gateway("load", "200 connections, 100,000 requests: no error, memory before = after, still answering", load)]
}

fn load(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let url = format!("http://127.0.0.1:{}/", stage.port);
    // Once beforehand, so that buffers which are kept for later are there.
    load::for_seconds(&url, CONNECTIONS, 5)?;
    let before = settled_memory(stage, None)?;
    let start = Instant::now();
    let mut requests = 0;
    while requests < REQUESTS {
        let report = load::for_seconds(&url, CONNECTIONS, RUN_SECONDS)?;
        ensure!(
            report.errors == 0,
            "{} of {} requests failed: {report:?}",
            report.errors,
            report.requests + report.errors
        );
        requests += report.requests;
        ensure!(start.elapsed() < AT_MOST, "only {requests} requests in {} s", start.elapsed().as_secs());
    }
    settled_memory(stage, Some(&before))?;
    ensure!(http::request(stage.port, "GET", "/")?.status == 200, "the page is gone");
    stage.finish()
}

/// Every component's heap holds what it held before, but for the length of texts that are kept (the log, a rendered page):
/// a leak of one byte in three requests would show.
fn no_leak(before: &Value, after: &Value) -> Result<()> {
    let before = before.as_object().context("/api/status tells no heap_in_use")?;
    ensure!(before.values().any(|bytes| bytes.as_u64() > Some(0)), "no component tells its use of the heap");
    for (name, bytes) in before {
        let was = bytes.as_u64().with_context(|| format!("heap_in_use of {name} is no number"))?;
        let is = after[name].as_u64().with_context(|| format!("{name} tells no heap_in_use any more"))?;
        ensure!(is <= was + HEAP_SLACK, "the heap of {name} grew from {was} to {is} bytes");
    }
    Ok(())
}

/// Memory per component, bytes: what it was granted, and what of its heap is in use.
struct Memory {
    granted: BTreeMap<String, u64>,
    heap: BTreeMap<String, u64>,
}

/// The memory figures of /api/status. With `before`: waits until they are as before, which takes until the last
/// connections of a load have timed out.
fn settled_memory(stage: &mut Stage, before: Option<&Memory>) -> Result<Memory> {
    let deadline = Instant::now() + SETTLES_WITHIN;
    loop {
        std::thread::sleep(Duration::from_secs(3));
        let memory = memory(stage.port)?;
        let Some(before) = before else { return Ok(memory) };
        let grown = grown(before, &memory);
        if grown.is_empty() {
            return Ok(memory);
        }
        ensure!(Instant::now() < deadline, "more memory than before the load:\n{}", grown.join("\n"));
    }
}

/// One line for each component that has more than before: granted at all, or in use beyond the slack.
fn grown(before: &Memory, after: &Memory) -> Vec<String> {
    let pairs = |before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, slack: u64, what: &str| {
        let is_more = |name: &String, now: u64| before.get(name).is_none_or(|then| now > then + slack);
        let more = after.iter().filter(|(name, now)| is_more(name, **now));
        more.map(|(name, now)| format!("{name}: {now} bytes {what}, {:?} before", before.get(name))).collect::<Vec<_>>()
    };
    let mut lines = pairs(&before.granted, &after.granted, 0, "granted");
    lines.extend(pairs(&before.heap, &after.heap, HEAP_SLACK, "of heap in use"));
    lines
}

fn memory(port: u16) -> Result<Memory> {
    let text = http::request(port, "GET", "/api/status")?.text();
    let status: Value = serde_json::from_str(&text).with_context(|| format!("/api/status is not JSON:\n{text}"))?;
    let figures = |key: &str| -> Result<BTreeMap<String, u64>> {
        let object = status["memory"][key].as_object().with_context(|| format!("/api/status has no memory.{key}"))?;
        let figure = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
        let figures: BTreeMap<_, _> = object.iter().filter_map(figure).collect();
        ensure!(!figures.is_empty(), "/api/status has no figures in memory.{key}");
        Ok(figures)
    };
    Ok(Memory { granted: figures("components")?, heap: figures("heap_in_use")? })
}

#[cfg(test)]
mod tests {
    use super::{HEAP_SLACK, Memory, grown};

    fn with(granted: u64, heap: u64) -> Memory {
        Memory { granted: [("netd".into(), granted)].into(), heap: [("netd".into(), heap)].into() }
    }

    #[test]
    fn grown_names_what_is_more_than_before() {
        assert!(grown(&with(5, 1000), &with(5, 1000 + HEAP_SLACK)).is_empty());
        assert_eq!(grown(&with(5, 1000), &with(6, 1001 + HEAP_SLACK)).len(), 2);
    }
}
