//! Components that make random system calls, while a client asks for pages: the rest of the system goes on.
use crate::hardware::Hardware;
use crate::http::{self, Connection};
use crate::scenario::{BOOT_WITHIN, Image, LAST, SAY_WITHIN, Scenario, Stage, last_lines, lines_with};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// One random call costs so many instructions, the kernel's and the component's (measured: about 900).
const INSTRUCTIONS_PER_CALL: u64 = 1_000;
/// Instructions of a slice, and of a night.
const SLICE: u64 = 100_000_000;
const NIGHT: u64 = 1_000_000_000;
/// The instances that never fault, and those that do.
const STEADY: u64 = 2;
const FAULTY: usize = 4;

/// A slice for every run of the tests.
pub(super) fn all() -> Vec<Scenario> {
    vec![scenario("stress", |stage| stress(stage, SLICE))]
}

/// A billion instructions.
pub(super) fn long() -> Vec<Scenario> {
    vec![scenario("stress-long", |stage| stress(stage, NIGHT))]
}

fn scenario(name: &str, run: fn(&mut Stage) -> Result<()>) -> Scenario {
    Scenario {
        name: name.into(),
        about: "while components make random system calls and fault, every page is answered correctly".into(),
        image: Image::Product("gateway-stress"),
        hardware: Hardware::default(),
        run,
    }
}

fn stress(stage: &mut Stage, instructions: u64) -> Result<()> {
    stage.boot()?;
    let wanted = instructions / INSTRUCTIONS_PER_CALL;
    // On an idle host a second brings 100,000 calls or more.
    let deadline = Instant::now() + BOOT_WITHIN + Duration::from_millis(wanted / 5);
    let mut pages = 0_u32;
    while calls(&stage.console().text()) < wanted {
        let told = || format!("after {pages} pages");
        pages_are_right(stage.port).with_context(told)?;
        pages += 1;
        ensure!(
            Instant::now() < deadline,
            "only {} of {wanted} random calls in time:\n{}",
            calls(&stage.console().text()),
            last_lines(&stage.console().text(), LAST)
        );
    }
    ensure!(pages > 0, "no page was asked for");
    pages_are_right(stage.port)?;
    let text = stage.console().text();
    ensure!(!text.contains("kernel: "), "the kernel complains:\n{}", lines_with(&text, "kernel: "));
    let mut processes = stage.command("ps", "of memory are free")?;
    // Which of them is the slowest is the scheduler's choice.
    while faulted(&processes).count() < FAULTY && Instant::now() < deadline {
        pages_are_right(stage.port)?;
        processes = stage.command("ps", "of memory are free")?;
    }
    let count = faulted(&processes).count();
    ensure!(count == FAULTY, "{count} components have faulted, not {FAULTY}:\n{processes}");
    for name in faulted(&processes) {
        ensure!(name.starts_with("stress-fault-"), "{name} has faulted, too:\n{processes}");
    }
    only_they_differ(stage)?;
    stage.console().send_line("off")?;
    stage.console().expect_end(SAY_WITHIN)
}

/// Whoever holds his own slots may copy what he has from one to another, and these do; nobody else has anything that is not declared, and nobody
/// lacks anything but them.
fn only_they_differ(stage: &mut Stage) -> Result<()> {
    let text = stage.command("live", "; comparison ")?;
    ensure!(text.contains("live is "), "auditd does not say what is live:\n{text}");
    let others: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("+ ") || line.starts_with("- "))
        .filter(|line| line.split_whitespace().nth(1).is_none_or(|holder| !holder.starts_with("stress-")))
        .collect();
    ensure!(others.is_empty(), "held or missed by others: {others:#?}");
    Ok(())
}

/// Who has faulted by the rows of `ps`; a line of the log that comes between them tells of a fault, too.
fn faulted(processes: &str) -> impl Iterator<Item = &str> {
    processes.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        (words.next() == Some("faulted")).then_some(name)
    })
}

/// One page, one status, one error, on one connection.
fn pages_are_right(port: u16) -> Result<()> {
    let page = http::request(port, "GET", "/")?;
    ensure!(page.status == 200 && page.text().contains("<html"), "the page is wrong: {}", page.status);
    let mut connection = Connection::open(port)?;
    connection.send(b"GET /api/status HTTP/1.1\r\nHost: device\r\n\r\nGET /nope HTTP/1.1\r\nHost: device\r\n\r\n")?;
    let status = connection.response("GET")?;
    let json: serde_json::Value = serde_json::from_str(&status.text()).context("/api/status is not JSON")?;
    let (total, free) = (json["memory"]["total_bytes"].as_u64(), json["memory"]["free_bytes"].as_u64());
    ensure!(total > free && free > Some(0), "/api/status has {free:?} of {total:?} bytes free");
    ensure!(connection.response("GET")?.status == 404, "a page that is not there is answered otherwise");
    Ok(())
}

/// Random calls that the steady instances have logged: of each instance its last number, added up.
fn calls(console: &str) -> u64 {
    (1..=STEADY)
        .map(|instance| {
            let name = format!("stress-{instance}: ");
            let lines = console.lines().filter(|line| line.contains(&name) && line.trim_end().ends_with(" calls"));
            let number = |line: &str| line.trim_end().strip_suffix(" calls")?.rsplit(' ').next()?.parse().ok();
            lines.filter_map(number).next_back().unwrap_or(0_u64)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{calls, faulted};

    #[test]
    fn line_of_the_log_between_the_rows_is_no_component() {
        let text = "name state\r\nhttpd running 1\r\nstress-fault-1 faulted 1 90 wrote to 0x0\r\n\
                    [ 3.0] E securityd: stress-fault-2 faulted: wrote to 0x0\r\nstress-fault-2 faulted 1 90 wrote to 0x0\r\n";
        assert_eq!(faulted(text).collect::<Vec<_>>(), ["stress-fault-1", "stress-fault-2"]);
    }

    #[test]
    fn calls_are_the_last_of_each_instance() {
        let text = "[ 1.0] I stress-1: stress: 100000 calls\r\n[ 2.0] I stress-1: stress: 200000 calls\r\n\
                    [ 3.0] I stress-2: stress: 100000 calls\r\n[ 4.0] I httpd: 5 calls\r\n";
        assert_eq!(calls(text), 300_000);
    }
}
