//! The shell on the serial line.
use super::gateway;
use crate::http;
use crate::scenario::{SAY_WITHIN, Scenario, Stage, TOO_SOON};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Between two comparisons that were asked for, auditd rests so long at the least (`REST_MIN_NS`).
const REST_AT_LEAST: Duration = Duration::from_secs(1);
/// Who was not answered by then presses the key again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        gateway("console-commands", "the shell's commands say what they promise", commands),
        gateway("console-bytes", "no key and no flood of keys upsets the console", bytes),
    ]
}

fn commands(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let help = stage.command("help", "restart the device")?;
    ensure!(help.contains("kill NAME"), "help does not list the commands:\n{help}");
    let processes = stage.command("ps", "of memory are free")?;
    for name in ["securityd", "logd", "console", "timed", "nic", "netd", "httpd", "status", "shell"] {
        ensure!(processes.contains(name), "ps does not list {name}:\n{processes}");
    }
    stage.command("caps httpd", "netd.tcp")?;
    stage.command("log 5", "\n> ")?;
    stage.command("net", "connections")?;
    stage.command("uptime", " s\r\n")?;
    stage.command("audit", "\n> ")?;
    stage.command("kill nobody", "NoSuchInstance")?;
    stage.command("rm -rf /", "there is no such command")?;
    live_again_and_again(stage)?;
    stage.finish()
}

/// Who asks without a pause whether live equals declared: fifty answers, few comparisons, and pages meanwhile. How long fifty answers take is the host's
/// matter; between two comparisons is a rest.
fn live_again_and_again(stage: &mut Stage) -> Result<()> {
    const TIMES: (usize, usize) = (5, 10);
    let (start, mut compared) = (Instant::now(), 0);
    for _ in 0..TIMES.0 {
        stage.console().skip_to_end();
        stage.console().send("live\r".repeat(TIMES.1).as_bytes())?;
        let page = http::request(stage.port, "GET", "/")?;
        ensure!(page.status == 200, "the page is answered by {} while auditd is asked", page.status);
        for _ in 0..TIMES.1 {
            let text = stage.console().expect("; comparison ", SAY_WITHIN)?;
            ensure!(text.contains("live is as declared: "), "not as declared:\n{text}");
            compared += u64::from(!text.contains(TOO_SOON));
        }
    }
    let rests = start.elapsed().as_secs() / REST_AT_LEAST.as_secs();
    ensure!(
        compared <= 1 + rests,
        "asked without a pause, auditd compared {compared} times, with {rests} rests at most"
    );
    Ok(())
}

fn bytes(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let every: Vec<u8> = (0..=255).collect();
    stage.console().send(&every)?;
    stage.console().send(&b"x".repeat(10_000))?;
    // The flood is longer than any ring; what is lost is lost, and the line that it left is dropped by Ctrl-C. While the shell is behind, that and what
    // is typed then may be lost as well.
    let deadline = Instant::now() + SAY_WITHIN;
    loop {
        stage.console().skip_to_end();
        stage.console().send(b"\x03uptime\r")?;
        if stage.console().expect(" s\r\n", PATIENCE).is_ok() {
            break;
        }
        ensure!(Instant::now() < deadline, "nobody hears Ctrl-C and a command after it any more");
    }
    stage.finish()
}
