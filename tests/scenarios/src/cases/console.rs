//! The shell on the serial line.
use super::gateway;
use crate::scenario::{SAY_WITHIN, Scenario, Stage};
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
    stage.finish()
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
