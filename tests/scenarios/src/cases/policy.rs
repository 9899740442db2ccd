//! The access policy, replaced over the console while the device serves.
use super::gateway;
use crate::http::Connection;
use crate::scenario::{SAY_WITHIN, Scenario, Stage};
use anyhow::{Result, anyhow, ensure};
use hybrid_capgraph::Source;
use hybrid_capgraph::access::{console_lines, read_policy};
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![gateway(
        "policy",
        "a new access policy holds at once, is refused when it locks out, is over when nobody confirms it, and limits rates",
        policy,
    )]
}

/// The pages stay, their data goes.
const CLOSED: &str = r#"
    rule = [
        { protocol = "Http", verbs = ["CONNECT"], decision = "allow", limit = 512 },
        { protocol = "Http", endpoint = "/api/*", decision = "deny" },
        { protocol = "Http", verbs = ["GET", "HEAD"], endpoint = "/*", decision = "allow" },
    ]
"#;
/// Everybody but the administrator.
const LOCKED: &str = r#"
    rule = [
        { who = ["peer:10.0.2.2"], decision = "deny" },
        { protocol = "Http", decision = "allow" },
    ]
"#;
/// Three at once, then one in a long time.
const SLOW: &str = r#"
    rule = [
        { protocol = "Http", verbs = ["CONNECT"], decision = "allow", limit = 512 },
        { protocol = "Http", verbs = ["GET"], endpoint = "/api/*", decision = "allow", rate = "1/h burst 3" },
        { protocol = "Http", verbs = ["GET", "HEAD"], endpoint = "/*", decision = "allow" },
    ]
"#;

fn policy(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let mut open = Connection::open(stage.port)?;
    for _ in 0..3 {
        expect(&mut open, "/api/status", 200)?;
    }
    // Compiled, so that it is the device that refuses it.
    load(stage, "locked", LOCKED)?;
    stage.command("policy check", "LockedOut: it would deny what must stay allowed: Http CONNECT")?;
    stage.command("policy try 60", "LockedOut")?;
    stage.command("policy data 0 AAAA", "3 bytes at 0")?;
    stage.command("policy check", "Unsound")?;
    expect(&mut open, "/api/status", 200)?;

    load(stage, "closed", CLOSED)?;
    stage.command("policy check", "it could be tried")?;
    stage.command("policy try 3600", "as epoch 2")?;
    // What httpd had remembered is void, also for a connection that was open before.
    expect(&mut open, "/api/status", 403)?;
    stage.command("policy confirm", "NotProven")?;
    expect(&mut open, "/", 200)?;
    stage.command("policy confirm", "confirmed")?;
    stage.command("policy show", "closed, 3 rules")?;
    expect(&mut open, "/api/status", 403)?;

    load(stage, "slow", SLOW)?;
    stage.command("policy try 3600", "as epoch 3")?;
    for status in [200, 200, 200, 429, 429] {
        expect(&mut open, "/api/status", status)?;
    }
    expect(&mut open, "/", 200)?;
    stage.command("policy rollback", "in force again")?;
    expect(&mut open, "/api/status", 403)?;

    stage.command("policy try 1", "as epoch 5")?;
    wait_until_over(stage, "slow")?;
    expect(&mut open, "/api/status", 403)?;
    stage.command("policy show", "epoch 6")?;
    let trail = super::audit::read(stage)?;
    for told in [
        "a policy is refused to shell: it would deny what must stay allowed",
        "shell tries a policy for 3600 s: \"closed\"",
        "shell could not confirm the policy \"closed\": NotProven",
        "shell confirms the policy \"closed\"",
        "shell ends the trial: \"closed\"",
        "\"slow\" was not confirmed in time: \"closed\"",
        "(Rule, asked by httpd)",
        "(Rate, asked by httpd)",
    ] {
        let mut records = trail.chains.iter().flat_map(|chain| &chain.records);
        ensure!(records.any(|record| record.text.contains(told)), "the audit trail does not tell: {told}");
    }
    stage.finish()
}

/// Types a policy's lines.
fn load(stage: &mut Stage, name: &str, text: &str) -> Result<()> {
    let source = Source::new(format!("{name}.toml"), text);
    let (_, compiled) = read_policy(&source).map_err(|problems| anyhow!("{problems:?}"))?;
    for line in console_lines(&compiled.policy.to_bytes()) {
        stage.command(&line, " bytes at ")?;
    }
    Ok(())
}

fn expect(connection: &mut Connection, path: &str, status: u16) -> Result<()> {
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: device\r\n\r\n").as_bytes())?;
    let got = connection.response("GET")?.status;
    ensure!(got == status, "GET {path} is answered by {got}, not by {status}");
    Ok(())
}

/// Until the trial of `name` is over by itself; the device's clock decides when.
fn wait_until_over(stage: &mut Stage, name: &str) -> Result<()> {
    let start = Instant::now();
    while stage.command("policy show", " bytes\r\n")?.contains(name) {
        ensure!(start.elapsed() < SAY_WITHIN, "the trial of `{name}` does not end");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
