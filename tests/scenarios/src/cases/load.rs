//! Many connections and many requests: no error, no leak, still answering.
use super::gateway;
use crate::http;
use crate::load;
use crate::scenario::{Scenario, Stage};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
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

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![gateway("load", "200 connections, 100,000 requests: no error, memory before = after, still answering", load)]
}

fn load(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let url = format!("http://127.0.0.1:{}/", stage.port);
    // Once beforehand, so that buffers which are kept for later are there.
    load::for_seconds(&url, CONNECTIONS, 5)?;
    let before = settled_memory(stage)?;
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
    let after = settled_memory(stage)?;
    ensure!(
        before["components"] == after["components"] && before["free_bytes"] == after["free_bytes"],
        "memory before and after {requests} requests differs:\n{before:#}\n{after:#}"
    );
    no_leak(&before["heap_in_use"], &after["heap_in_use"])?;
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

/// The memory figures of /api/status, read when connections of a load have ended.
fn settled_memory(stage: &mut Stage) -> Result<Value> {
    std::thread::sleep(Duration::from_secs(3));
    let text = http::request(stage.port, "GET", "/api/status")?.text();
    let status: Value = serde_json::from_str(&text).with_context(|| format!("/api/status is not JSON:\n{text}"))?;
    Ok(status["memory"].clone())
}
