//! The shell on the serial line.
use super::gateway;
use crate::http;
use crate::scenario::{SAY_WITHIN, Scenario, Stage, TOO_SOON};
use anyhow::{Result, ensure};

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

/// Who asks without a pause whether live equals declared: fifty answers, few comparisons, and pages meanwhile.
fn live_again_and_again(stage: &mut Stage) -> Result<()> {
    const TIMES: (usize, usize) = (5, 10);
    let mut too_soon = 0;
    for _ in 0..TIMES.0 {
        stage.console().skip_to_end();
        stage.console().send("live\r".repeat(TIMES.1).as_bytes())?;
        let page = http::request(stage.port, "GET", "/")?;
        ensure!(page.status == 200, "the page is answered by {} while auditd is asked", page.status);
        for _ in 0..TIMES.1 {
            let text = stage.console().expect("; comparison ", SAY_WITHIN)?;
            ensure!(text.contains("live is as declared: "), "not as declared:\n{text}");
            too_soon += usize::from(text.contains(TOO_SOON));
        }
    }
    let asked = TIMES.0 * TIMES.1;
    ensure!(too_soon >= asked / 2, "asked {asked} times without a pause, auditd compared {} times", asked - too_soon);
    Ok(())
}

fn bytes(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    let every: Vec<u8> = (0..=255).collect();
    stage.console().send(&every)?;
    stage.console().send(&b"x".repeat(10_000))?;
    // The flood is longer than any ring; what is lost is lost, and the line that it left is dropped by Ctrl-C.
    stage.console().send(&[3])?;
    stage.console().expect("^C", SAY_WITHIN)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    stage.console().send(&[3])?;
    stage.command("uptime", " s\r\n")?;
    stage.finish()
}
