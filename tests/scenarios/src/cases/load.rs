//! Many connections and many requests: no error, no leak, still answering.
use super::gateway;
use crate::http;
use crate::load;
use crate::scenario::{Scenario, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Requests in a row that must end without an error; and so many in the long form, which takes some six minutes.
const REQUESTS: u64 = 30_000;
const REQUESTS_LONG: u64 = 100_000;
/// Connections at once.
const CONNECTIONS: u32 = 200;
const FEW_CONNECTIONS: u32 = 8;
/// One run of the generator; runs are repeated until there were enough requests.
const RUN_SECONDS: u32 = 20;
/// What a heap may hold more than before, bytes: a few entries of the log.
const HEAP_SLACK: u64 = 8 * 1024;
/// An emulated machine on a slow host answers 100 requests a second or more.
const AT_MOST: Duration = Duration::from_secs(1000);

/// Requests, and connections with one request each, over which a leak of a byte a request, or of 16 bytes a connection, shows.
const LEAK_REQUESTS: u64 = 10_000;
const LEAK_CONNECTIONS: u32 = 600;
/// So many rounds of these fill every pool: the first few did, on all hosts that were seen.
const LEAK_ROUNDS: u32 = 6;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    let about = "200 connections, 30,000 requests: no error, memory before = after, still answering";
    vec![gateway("load", about, |stage| load(stage, REQUESTS))]
}

/// The same for longer.
pub(super) fn long() -> Vec<Scenario> {
    let about = "200 connections, 100,000 requests: no error, memory before = after, still answering";
    vec![gateway("load-long", about, |stage| load(stage, REQUESTS_LONG))]
}

fn load(stage: &mut Stage, enough: u64) -> Result<()> {
    stage.boot()?;
    let before = settled_memory(stage)?;
    let start = Instant::now();
    let requests = at_least(stage, enough, CONNECTIONS, start)?;
    let full = settled_memory(stage)?;
    let requests = requests + no_leak(stage, Memory { granted: before.granted, heap: full.heap }, start)?;
    let status = http::request(stage.port, "GET", "/")?.status;
    ensure!(status == 200, "after {requests} requests the page is answered by {status}");
    stage.finish()
}

/// Buffers of closed connections are kept for the next ones, and how many are open at once is a matter of how fast the host is. But they are bounded:
/// after some rounds one adds nothing. A leak, of a request or of a connection, adds to each. Returns the requests.
fn no_leak(stage: &mut Stage, mut then: Memory, start: Instant) -> Result<u64> {
    let mut requests = 0;
    for round in 1.. {
        requests += at_least(stage, LEAK_REQUESTS, FEW_CONNECTIONS, start)?;
        for _ in 0..LEAK_CONNECTIONS {
            let status = http::request(stage.port, "GET", "/nope")?.status;
            ensure!(status == 404, "a request on a connection of its own is answered by {status}");
        }
        requests += u64::from(LEAK_CONNECTIONS);
        let now = settled_memory(stage)?;
        let grown = grown(&then, &now);
        if grown.is_empty() {
            break;
        }
        let last = grown.join("\n");
        ensure!(round < LEAK_ROUNDS, "each of {round} rounds, of {requests} requests, took memory; the last:\n{last}");
        then.heap = now.heap;
    }
    Ok(requests)
}

/// So many requests or some more, none of which failed.
fn at_least(stage: &Stage, enough: u64, connections: u32, start: Instant) -> Result<u64> {
    let url = format!("http://127.0.0.1:{}/", stage.port);
    let mut requests = 0;
    while requests < enough {
        requests += faultless(&url, connections)?;
        let seconds = start.elapsed().as_secs();
        ensure!(seconds < AT_MOST.as_secs(), "only {requests} of {enough} requests, {seconds} s after the start");
    }
    Ok(requests)
}

/// One run of the generator; returns its requests, none of which failed.
fn faultless(url: &str, connections: u32) -> Result<u64> {
    let report = load::for_seconds(url, connections, RUN_SECONDS)?;
    ensure!(report.errors == 0, "{} of {} requests failed: {report:?}", report.errors, report.requests + report.errors);
    Ok(report.requests)
}

/// Memory per component, bytes: what it was granted, and what of its heap is in use.
struct Memory {
    granted: BTreeMap<String, u64>,
    heap: BTreeMap<String, u64>,
}

/// The memory figures of /api/status, read when the connections of a load have ended.
fn settled_memory(stage: &mut Stage) -> Result<Memory> {
    std::thread::sleep(Duration::from_secs(5));
    memory(stage.port)
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
