//! Components that are stopped, that fault, or that try what they may not: the rest goes on.
use super::gateway;
use super::std::all_said;
use crate::hardware::Hardware;
use crate::http;
use crate::scenario::{Image, SAY_WITHIN, Scenario, Stage, lines_with};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        gateway("kill-httpd", "while httpd is stopped by command the console and all others run; started, it serves again", kill_httpd),
        gateway("kill-status", "while status is stopped by command httpd answers with an error; started, it serves again", kill_status),
        gateway("kill-procd", "the supervisor itself comes back, and still does its work", kill_procd),
        Scenario {
            name: "trespassers".into(),
            about: "a component that uses what it was not given gets an error or is stopped; the log names it; the rest goes on".into(),
            image: Image::Product("gateway-test"),
            hardware: Hardware::default(),
            run: trespassers,
        },
        Scenario {
            name: "lapses".into(),
            about: "a component that hangs is started again and well; one that panics in every life ends as failed; the rest goes on".into(),
            image: Image::Product("gateway-lapse"),
            hardware: Hardware::default(),
            run: lapses,
        },
    ]
}

fn kill_httpd(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    stage.command("svc stop httpd", "httpd is stopped")?;
    let patience = Duration::from_secs(5);
    ensure!(
        http::request_within(stage.port, "GET", "/", patience).is_err(),
        "httpd is stopped, yet the page is answered"
    );
    still_running(stage, "httpd")?;
    stage.command("net", "connections")?;
    stage.compare_grants(|line| !ends_with(line, "httpd"))?;
    serves_again(stage, "httpd")?;
    stage.power_off()
}

fn kill_status(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    stage.command("svc stop status", "status is stopped")?;
    for _ in 0..5 {
        let status = http::request(stage.port, "GET", "/")
            .context("httpd does not answer after the death of a provider")?
            .status;
        ensure!(matches!(status, 502..=504), "the page of a dead provider is answered by {status}");
    }
    still_running(stage, "status")?;
    stage.compare_grants(|line| !ends_with(line, "status"))?;
    serves_again(stage, "status")?;
    stage.power_off()
}

/// Started by command, the service answers within a while, and everybody holds what is declared.
fn serves_again(stage: &mut Stage, name: &str) -> Result<()> {
    stage.command(&format!("svc start {name}"), &format!("{name} is started"))?;
    http::wait_for_page(stage.port, SAY_WITHIN)
        .with_context(|| format!("{name} is started, yet its page is not served"))?;
    stage.compare_grants(|_| true)
}

fn kill_procd(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    for name in ["procd", "timed"] {
        stage.command(&format!("kill {name}"), &format!("{name} is stopped"))?;
        let is_back = |status: &str| line_of(status, name).starts_with(&[name, "running", "2"]);
        stage
            .command_until(&format!("svc status {name}"), "\n> ", is_back)
            .with_context(|| format!("{name} did not come back"))?;
    }
    stage.compare_grants(|_| true)?;
    stage.power_off()
}

/// The words of the line about the component `name`.
fn line_of<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let words = |line: &'a str| line.split_whitespace().collect::<Vec<_>>();
    text.lines().map(words).find(|words| words.first() == Some(&name)).unwrap_or_default()
}

fn lapses(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    all_said(stage, &["lapse-panic is failed", "lapse-hang gave no sign of life"])?;
    // Nobody says when its next life has begun.
    let is_well = |status: &str| line_of(status, "lapse-hang").starts_with(&["lapse-hang", "running", "2", "1", "1"]);
    let status = stage.command_until("svc status", "\n> ", is_well).context("it is not well after its hang")?;
    ensure!(
        line_of(&status, "lapse-panic").starts_with(&["lapse-panic", "failed", "4", "4", "0"]),
        "no crash loop:\n{status}"
    );
    let others = status.lines().filter(|line| line.contains(" running ")).count();
    let page = http::request(stage.port, "GET", "/").context("the page is not served beside a crash loop")?;
    ensure!(page.status == 200 && others > 10, "{} and {others} run:\n{status}", page.status);
    stage.compare_grants(|line| !ends_with(line, "lapse-panic") && !FAULTY.iter().any(|name| ends_with(line, name)))?;
    stage.console().send_line("off")?;
    stage.console().expect_end(SAY_WITHIN)
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
    let told = format!("{victim} was stopped: stopped by procd: svc stop at 0x");
    let is_told = log.lines().any(|line| line.contains("securityd") && line.contains(&told));
    ensure!(is_told, "the log has no line of securityd with {told:?}:\n{}", lines_with(&log, victim));
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
    stage.boot()?;
    // When each of them has its turn is the scheduler's choice.
    let told = FAULTY.map(|name| format!("securityd: {name} faulted: "));
    let mut lines: Vec<&str> = told.iter().map(String::as_str).collect();
    lines.extend(["invocations were refused", "panic: ", "on purpose"]);
    let text = all_said(stage, &lines)?;
    ensure!(!text.contains("BROKE OUT"), "a trespasser got what it was not given:\n{}", lines_with(&text, "BROKE OUT"));
    let processes = stage.command("ps", "of memory are free")?;
    let trespassers = processes.lines().filter(|line| line.starts_with("trespasser-"));
    let faulted = trespassers.filter(|line| line.contains("faulted")).count();
    ensure!(faulted == FAULTY.len(), "not exactly {} of them have faulted:\n{processes}", FAULTY.len());
    let capability = processes.lines().find(|line| line.contains("trespasser-capability"));
    ensure!(
        capability.is_some_and(|line| line.contains("running")),
        "refused system calls stopped a component:\n{processes}"
    );
    stage.compare_grants(|line| !FAULTY.iter().any(|name| ends_with(line, name)))?;
    stage.console().send_line("off")?;
    stage.console().expect_end(SAY_WITHIN)
}
