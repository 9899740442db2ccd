//! The kernel's own test suite, run as the root task on each way to boot.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Result, bail, ensure};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(300);

/// One scenario for each interrupt controller and exception level.
pub(super) fn all() -> Vec<Scenario> {
    let machines =
        [(2, false, "cortex-a53"), (3, true, "cortex-a57"), (3, false, "cortex-a72"), (2, true, "cortex-a53")];
    machines
        .map(|(gic, starts_at_el2, cpu)| Scenario {
            name: format!("kernel-suite-gicv{gic}-el{}", if starts_at_el2 { 2 } else { 1 }),
            about: "the kernel passes its suite of system calls and faults".into(),
            image: Image::Package("hybrid-suite", &[]),
            hardware: Hardware { gic, starts_at_el2, cpu: cpu.into(), ..Hardware::default() },
            run: suite,
        })
        .into()
}

/// The suite prints `SUITE PASS` with a number, or `SUITE FAIL` with what failed, and powers off.
fn suite(stage: &mut Stage) -> Result<()> {
    stage.console().expect_end(WITHIN)?;
    let text = stage.console().text();
    if let Some(line) = text.lines().find(|line| line.contains("SUITE FAIL")) {
        bail!("{line}");
    }
    ensure!(text.contains("SUITE PASS"), "the suite ended without a verdict:\n{text}");
    Ok(())
}
