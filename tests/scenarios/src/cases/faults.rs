//! Components that are stopped, that fault, or that try what they may not: the rest goes on.
use super::gateway;
use crate::hardware::Hardware;
use crate::http;
use crate::scenario::{BOOT_WITHIN, Image, SAY_WITHIN, Scenario, Stage};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        gateway("kill-httpd", "after `kill httpd` the console and all others still run", kill_httpd),
        gateway("kill-status", "after `kill status` httpd still answers, with an error for its pages", kill_status),
        Scenario {
            name: "trespassers".into(),
            about: "a component that uses what it was not given gets an error or is stopped; the log names it; the rest goes on".into(),
            image: Image::Product("gateway-test"),
            hardware: Hardware::default(),
            run: trespassers,
        },
    ]
}

fn kill_httpd(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    stage.command("kill httpd", "httpd is stopped")?;
    let patience = Duration::from_secs(5);
    ensure!(
        http::request_within(stage.port, "GET", "/", patience).is_err(),
        "httpd is stopped, yet the page is answered"
    );
    still_running(stage, "httpd")?;
    stage.command("net", "connections")?;
    stage.compare_grants(|line| !ends_with(line, "httpd"))?;
    stage.power_off()
}

fn kill_status(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    stage.command("kill status", "status is stopped")?;
    for _ in 0..5 {
        let status = http::request(stage.port, "GET", "/")
            .context("httpd does not answer after the death of a provider")?
            .status;
        ensure!(matches!(status, 502..=504), "the page of a dead provider is answered by {status}");
    }
    still_running(stage, "status")?;
    stage.compare_grants(|line| !ends_with(line, "status"))?;
    stage.power_off()
}

/// The shell answers, the victim is listed as killed, and the log says who stopped it and where it was.
fn still_running(stage: &mut Stage, victim: &str) -> Result<()> {
    let processes = stage.command("ps", "of memory are free")?;
    for line in processes.lines().filter(|line| line.contains("  ") && !line.starts_with("name")) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(state)) = (words.next(), words.next()) else { continue };
        if !matches!(state, "starting" | "running" | "faulted" | "killed") {
            continue;
        }
        let expected = if name == victim { "killed" } else { "running" };
        ensure!(state == expected, "{name} is {state}, not {expected}:\n{processes}");
    }
    ensure!(processes.contains("killed"), "ps does not say that {victim} was killed:\n{processes}");
    let log = stage.command("log 50", "\n> ")?;
    let told = format!("{victim} was stopped: stopped by shell at 0x");
    let is_told = log.lines().any(|line| line.contains("securityd") && line.contains(&told));
    ensure!(is_told, "the log has no line of securityd with {told:?}:\n{log}");
    Ok(())
}

/// Whether the grant of a golden line ends with the instance `name`: its own, and the calls and bells of others to it.
/// The shared regions of others stay.
fn ends_with(line: &str, name: &str) -> bool {
    let mut words = line.split_whitespace();
    let (holder, kind, target) = (words.next(), words.next(), words.next().unwrap_or_default());
    holder == Some(name) || (matches!(kind, Some("call" | "bell")) && target.split('.').next() == Some(name))
}

/// The trespassers whose deed is a fault.
const FAULTY: [&str; 6] = [
    "trespasser-beyond",
    "trespasser-kernel",
    "trespasser-device",
    "trespasser-code",
    "trespasser-syscall",
    "trespasser-panic",
];

fn trespassers(stage: &mut Stage) -> Result<()> {
    let console = stage.console();
    console.expect("invocations were refused", BOOT_WITHIN)?;
    stage.boot()?;
    let text = stage.console().text();
    ensure!(!text.contains("BROKE OUT"), "a trespasser got what it was not given:\n{text}");
    for name in FAULTY {
        let is_told =
            text.lines().any(|line| line.contains("securityd") && line.contains(name) && line.contains("fault"));
        ensure!(is_told, "the log has no line of securityd about the fault of {name}:\n{text}");
    }
    stage.console().skip_to_end();
    let processes = stage.command("ps", "of memory are free")?;
    ensure!(
        processes.matches("faulted").count() == FAULTY.len(),
        "not exactly {} components have faulted:\n{processes}",
        FAULTY.len()
    );
    ensure!(text.contains("panic: ") && text.contains("on purpose"), "the panic left no message:\n{text}");
    let capability = processes.lines().find(|line| line.contains("trespasser-capability"));
    ensure!(
        capability.is_some_and(|line| line.contains("running")),
        "refused system calls stopped a component:\n{processes}"
    );
    stage.compare_grants(|line| !FAULTY.iter().any(|name| ends_with(line, name)))?;
    stage.console().send_line("off")?;
    stage.console().expect_end(SAY_WITHIN)
}
