//! The kernel's own test suite, run as the root task on each kind of kernel and way to boot.
use crate::hardware::Hardware;
use crate::scenario::{Image, LAST, Scenario, Stage, last_lines, lines_with};
use anyhow::{Result, bail, ensure};
use std::time::Duration;

/// What the name of each of these scenarios starts with; the rest is the configuration.
pub const PREFIX: &str = "kernel-suite-";
/// For a host that has much else to do; a test that hangs ends the suite by itself.
const WITHIN: Duration = Duration::from_secs(900);
const SUITE: &str = "hybrid-suite";

/// Configuration, features of the kernel, GIC version, entered at EL2, processor, cores, what time is.
type Configuration = (&'static str, &'static [&'static str], u8, bool, &'static str, u8, Time);

/// What time is in a scenario.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    /// It advances with the instructions that are executed; cores take turns. Exact and repeatable.
    Instructions,
    /// The host's, with cores that run at the same time. What depends on time has wide bounds.
    Host,
}
use Time::{Host, Instructions};

const CONFIGURATIONS: [Configuration; 11] = [
    ("gicv2-el1", &[], 2, false, "cortex-a53", 1, Instructions),
    ("gicv3-el2", &[], 3, true, "cortex-a57", 1, Host),
    ("gicv3-el1", &[], 3, false, "cortex-a72", 1, Instructions),
    ("gicv2-el2", &[], 2, true, "cortex-a53", 1, Host),
    ("smp-gicv2-1core", &["smp"], 2, false, "cortex-a53", 1, Instructions),
    ("smp-gicv3-1core", &["smp"], 3, true, "cortex-a57", 1, Instructions),
    ("smp-gicv2-4cores", &["smp"], 2, false, "cortex-a53", 4, Instructions),
    ("smp-gicv3-4cores", &["smp"], 3, true, "cortex-a57", 4, Instructions),
    ("smp-gicv3-2cores-parallel", &["smp"], 3, false, "cortex-a72", 2, Host),
    (SPIN_TABLE, &["smp"], 2, false, "cortex-a57", 4, Instructions),
    ("debug", &["debug-calls"], 2, false, "cortex-a53", 1, Host),
];

/// The other cores wait in a spin table instead of being off.
const SPIN_TABLE: &str = "smp-gicv2-4cores-spin-table";

/// One scenario for each configuration.
pub(super) fn all() -> Vec<Scenario> {
    let scenario = |(name, features, gic, starts_at_el2, cpu, smp, time): Configuration| {
        let (cpu, counts_instructions) = (cpu.into(), time == Instructions);
        let (has_parallel_cores, has_spin_table) = (!counts_instructions, name == SPIN_TABLE);
        let hardware = Hardware {
            gic,
            starts_at_el2,
            cpu,
            smp,
            counts_instructions,
            has_parallel_cores,
            has_spin_table,
            ..Hardware::default()
        };
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
    let mut counts = text.lines().filter_map(|line| line.trim().strip_suffix(" cores in use")?.split_once(" of "));
    ensure!(counts.all(|(used, all)| used == all), "not all cores came:\n{}", lines_with(&text, "cores in use"));
    ensure!(text.contains("SUITE PASS"), "the suite ended without a verdict:\n{}", last_lines(&text, LAST));
    Ok(())
}

/// As [`suite`]; what a test printed by the debug call must really be on the console.
fn debug_suite(stage: &mut Stage) -> Result<()> {
    suite(stage)?;
    ensure!(stage.console().text().contains("c006 printed"), "the debug call printed nothing");
    Ok(())
}
