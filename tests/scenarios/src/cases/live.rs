//! Live equals declared: a system in which it does not says so, capability by capability.
use super::audit;
use super::std::all_said;
use crate::hardware::Hardware;
use crate::http;
use crate::scenario::{Image, Scenario, Stage, lines_with};
use anyhow::{Context, Result, anyhow, bail, ensure};
use hybrid_capgraph::Listing;
use std::time::{Duration, Instant};

/// From a kill until the page is there again, on a slow and busy host.
const BACK_WITHIN: Duration = Duration::from_secs(120);

/// From a new life until the page tells that it was looked at, on such a host.
const LOOKED_WITHIN: Duration = Duration::from_secs(60);

/// From a new life's beginning to the comparison that its beginning asks for, in microseconds of the device's time: a fraction of the time
/// between two comparisons in the background, one of which might do as well.
const AT_ONCE_US: u64 = 2_000_000;
/// New lives, one of which must have been looked at so soon: a paused host delays, and the background looks soon once in five.
const LIVES: usize = 3;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    let of = |name: &str, about: &str, image, run| Scenario {
        name: name.into(),
        about: about.into(),
        image,
        hardware: Hardware::default(),
        run,
    };
    vec![
        of(
            "verdict",
            "the network is started after the auditor's verdict; each new life is looked at at once; the page shows it",
            Image::Product("gateway"),
            verdict,
        ),
        of(
            "planted",
            "one wrong capability of each kind, planted by securityd itself: auditd names each, before the network is up and when asked",
            Image::Planted("gateway"),
            planted,
        ),
        of(
            "isolated",
            "who holds what is not declared is isolated before it runs, where the product wants that; the rest lives on",
            Image::Planted("gateway-isolate"),
            isolated,
        ),
    ]
}

/// The status page's JSON, as soon as it is served.
fn status(stage: &Stage) -> Result<String> {
    let response = http::request(stage.port, "GET", "/api/status")?;
    ensure!(response.status == 200, "/api/status is answered by {}", response.status);
    Ok(response.text())
}

/// What the audit trail says of the verdict, and that it said so before anything moved frames.
fn verdict_in_trail(stage: &mut Stage) -> Result<Vec<String>> {
    let trail = audit::read(stage)?;
    let records: Vec<_> = trail.chains.iter().flat_map(|chain| &chain.records).collect();
    let place = |kind: &str, text: &str| {
        let found = records.iter().position(|record| record.kind == kind && record.text.starts_with(text));
        found.with_context(|| format!("no record {kind} {text}: {records:#?}"))
    };
    let verdict = place("Verdict", "procd finds live ")?;
    for mover in ["nic", "netd"] {
        ensure!(verdict < place("Started", mover)?, "{mover} was started before the verdict was known");
    }
    Ok(records.iter().filter(|record| record.kind == "Verdict").map(|record| record.text.clone()).collect())
}

/// The number that follows `"name":` behind the last `from` in a JSON text.
fn number(json: &str, from: &str, name: &str) -> Result<u64> {
    let rest = json.rfind(from).and_then(|at| json.get(at..));
    let rest = rest.and_then(|rest| rest.split_once(&format!("\"{name}\":"))).map(|(_, rest)| rest);
    let digits = rest.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("no {name} behind {from} in {json}"))
}

fn verdict(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let told = verdict_in_trail(stage)?;
    ensure!(told == ["procd finds live as declared"], "the trail tells: {told:?}");
    let page = http::request(stage.port, "GET", "/")?.text();
    ensure!(
        page.contains("as declared<small>") && !page.contains("Not as declared"),
        "not on the page:\n{}",
        lines_with(&page, "declared")
    );
    let json = status(stage)?;
    ensure!(json.contains("\"live\":{\"verdict\":\"as declared\""), "not in the JSON: {json}");
    let mut after_us = Vec::new();
    while !after_us.iter().any(|after| *after < AT_ONCE_US) {
        ensure!(after_us.len() < LIVES, "new lives were looked at {after_us:?} us after they began");
        stage.command("kill httpd", "httpd is stopped")?;
        http::wait_for_page(stage.port, BACK_WITHIN)?;
        after_us.push(looked_at_new_life(stage)?);
    }
    compare_elsewhere(stage)?;
    stage.finish()
}

/// How long after the beginning of httpd's newest life the comparison began that the page shows; waits for one that is younger than that life,
/// since the page may be as old as status's `FRESH_NS` says.
fn looked_at_new_life(stage: &Stage) -> Result<u64> {
    let deadline = Instant::now() + LOOKED_WITHIN;
    loop {
        let json = status(stage)?;
        let looked = number(&json, "\"live\":{", "at_us")?;
        let entry = json.rfind("httpd was started again").context("the page's log does not tell of the new life");
        let began = entry.and_then(|entry| {
            let line = json[..entry].rfind("{\"sequence\"").map(|at| &json[at..entry]).unwrap_or_default();
            number(line, "{\"sequence\"", "at_us")
        });
        match began {
            Ok(began) if looked >= began => return Ok(looked - began),
            _ if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            Ok(began) => bail!("nobody has looked since the new life began: {looked} us, {began} us"),
            Err(why) => return Err(why),
        }
    }
}

/// As `cargo xtask caps compare gateway live.txt` does, for whoever does not believe the graph that securityd shows to auditd.
fn compare_elsewhere(stage: &mut Stage) -> Result<()> {
    let text = stage.command("live all", "grants in all")?;
    let listed = text.split_once("# shows ").map(|(_, rest)| format!("# shows {rest}")).context("no head")?;
    let live = Listing::parse(&listed).map_err(|why| anyhow!("{why}:\n{text}"))?;
    let golden: Vec<&str> = stage.golden.iter().map(String::as_str).collect();
    let declared = Listing::parse(&golden.join("\n")).map_err(|why| anyhow!("the golden file: {why}"))?;
    let found = hybrid_capgraph::compare(&declared, &live);
    ensure!(found.agrees(), "what the kernel lists is not what the golden file declares:\n{}", found.text());
    Ok(())
}

fn isolated(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    // Whether that was all is looked at a moment after the network may start.
    all_said(stage, &["procd finds live as declared"]).context("nobody looked whether that was all")?;
    let told = verdict_in_trail(stage)?;
    let is_told = |what: &str| told.iter().any(|text| text.starts_with(what));
    ensure!(is_told("procd finds live not as declared") && is_told("procd isolates suspect: + suspect "), "{told:#?}");
    ensure!(told.iter().filter(|text| text.starts_with("procd isolates")).count() == 1, "not it alone: {told:#?}");
    ensure!(is_told("procd finds live as declared"), "what was found then is not in the trail: {told:#?}");
    is_suspect(stage, "isolated")?;
    let list = stage.command("ps", "KiB of memory are free")?;
    ensure!(list.lines().any(|line| line.starts_with("suspect          isolated ")), "ps does not say so:\n{list}");
    let json = status(stage)?;
    ensure!(json.contains("isolated: it held what is not declared"), "the page does not say so: {json}");
    stage.compare_live()?;
    // The supervisor's next life knows it, and only the operator starts it again: without what was planted.
    stage.command("kill procd", "procd is stopped")?;
    is_suspect(stage, "isolated")?;
    http::wait_for_page(stage.port, BACK_WITHIN)?;
    stage.command("svc start suspect", "suspect is started")?;
    is_suspect(stage, "running")?;
    let others = stage.command("svc status", "> ")?;
    ensure!(!others.contains("isolated ") && !others.contains(" failed "), "somebody is down:\n{others}");
    stage.compare_live()?;
    stage.power_off()
}

fn is_suspect(stage: &mut Stage, phase: &str) -> Result<()> {
    let is_it = |text: &str| text.lines().any(|line| line.starts_with(&format!("suspect          {phase} ")));
    stage.command_until("svc status suspect", "\n> ", is_it).map(|_| ())
}

/// What servers/securityd/src/install/plant.rs plants, as auditd has to name it.
const PLANTED: [&str; 23] = [
    "shell call httpd slot=108 rights=read,write,grant,grantreply badge=",
    "shell call httpd slot=109 rights=write,grantreply badge=",
    "shell call httpd slot=110 rights=write,grant,grantreply badge=",
    "shell other notification slot=111",
    "shell other reply slot=112",
    "shell other thread slot=113",
    "shell other cnode slot=114",
    "shell other space slot=115",
    "shell other context slot=116",
    "shell other untyped slot=117",
    "shell other page-table slot=118",
    "shell other device-frame slot=119",
    "shell other frame slot=120",
    "shell other pool slot=121",
    "shell audit shell slot=122",
    "shell other platform slot=123",
    "shell other pool-control slot=124",
    "shell other domain slot=125",
    "shell other sgi slot=107",
    "shell other context-control slot=127",
    "shell interrupt shell slot=126 bit=61 irq=",
    "shell other frame httpd at=0x68000000 rights=read page=",
    "? other thread page=",
];

fn planted(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    // This product wants it told, so the network is up; and it was told before that.
    let told = verdict_in_trail(stage)?;
    ensure!(told.iter().all(|text| text.starts_with("procd finds live not as declared, ")), "{told:#?}");
    let (page, json) = (http::request(stage.port, "GET", "/")?.text(), status(stage)?);
    ensure!(
        page.contains("<h2>Not as declared</h2>") && page.contains("+ shell "),
        "not on the page:\n{}",
        lines_with(&page, "declared")
    );
    ensure!(json.contains("\"live\":{\"verdict\":\"not as declared\""), "not in the JSON: {json}");
    let text = stage.command("live", "; comparison ")?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    for wanted in PLANTED {
        ensure!(lines.iter().any(|line| line.starts_with(&format!("+ {wanted}"))), "not named: {wanted:?}\n{text}");
    }
    ensure!(lines.iter().any(|line| line.starts_with("live is NOT as declared: ")), "the verdict is wrong:\n{text}");
    // What is named beside them is their other side, no false alarm: a page of httpd's that somebody else maps.
    let is_known = |line: &&String| {
        PLANTED.iter().any(|wanted| line.starts_with(&format!("+ {wanted}")))
            || line.starts_with("+ httpd other shared-frame shell ")
    };
    let unknown: Vec<&String> =
        lines.iter().filter(|line| line.starts_with(['+', '-'])).filter(|line| !is_known(line)).collect();
    ensure!(unknown.is_empty(), "named, but not planted: {unknown:#?}");
    let log = stage.command("log 1000", "\n> ")?;
    ensure!(log.contains("not as declared: "), "the log does not tell of it:\n{}", lines_with(&log, "declared"));
    stage.power_off()
}
