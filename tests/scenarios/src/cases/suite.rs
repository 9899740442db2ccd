//! The kernel's own test suite, run as the root task on each kind of kernel and way to boot.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage};
use anyhow::{Result, bail, ensure};
use std::time::Duration;

/// What the name of each of these scenarios starts with; the rest is the configuration.
pub const PREFIX: &str = "kernel-suite-";
const WITHIN: Duration = Duration::from_secs(400);
const SUITE: &str = "hybrid-suite";

/// Configuration, features of the kernel, GIC version, entered at EL2, processor, cores, time counted in instructions.
type Configuration = (&'static str, &'static [&'static str], u8, bool, &'static str, u8, bool);

const CONFIGURATIONS: [Configuration; 9] = [
    ("gicv2-el1", &[], 2, false, "cortex-a53", 1, true),
    ("gicv3-el2", &[], 3, true, "cortex-a57", 1, false),
    ("gicv3-el1", &[], 3, false, "cortex-a72", 1, true),
    ("gicv2-el2", &[], 2, true, "cortex-a53", 1, false),
    ("smp-gicv2-1core", &["smp"], 2, false, "cortex-a53", 1, true),
    ("smp-gicv3-1core", &["smp"], 3, true, "cortex-a57", 1, true),
    ("smp-gicv2-4cores", &["smp"], 2, false, "cortex-a53", 4, false),
    ("smp-gicv3-4cores", &["smp"], 3, true, "cortex-a57", 4, false),
    ("debug", &["debug-calls"], 2, false, "cortex-a53", 1, false),
];

/// One scenario for each configuration.
pub(super) fn all() -> Vec<Scenario> {
    let scenario = |(name, features, gic, starts_at_el2, cpu, smp, counts_instructions): Configuration| {
        let cpu = cpu.into();
        let hardware = Hardware { gic, starts_at_el2, cpu, smp, counts_instructions, ..Hardware::default() };
        Scenario {
            name: format!("{PREFIX}{name}"),
            about: "the kernel does what its requirements say".into(),
            image: Image::Package(SUITE, features),
            hardware,
            run: if features.contains(&"debug-calls") { debug_suite } else { suite },
        }
    };
    CONFIGURATIONS.map(scenario).into()
}

/// The suite prints `SUITE PASS` with a number, or `SUITE FAIL` with what failed, and powers off.
fn suite(stage: &mut Stage) -> Result<()> {
    stage.console().expect_end(WITHIN)?;
    let text = stage.console().text();
    let failures: Vec<&str> =
        text.lines().filter(|line| line.starts_with("FAIL ") || line.contains("SUITE FAIL")).collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    ensure!(text.contains("SUITE PASS"), "the suite ended without a verdict:\n{text}");
    Ok(())
}

/// As [`suite`]; what a test printed by the debug call must really be on the console.
fn debug_suite(stage: &mut Stage) -> Result<()> {
    suite(stage)?;
    ensure!(stage.console().text().contains("c006 printed"), "the debug call printed nothing");
    Ok(())
}
