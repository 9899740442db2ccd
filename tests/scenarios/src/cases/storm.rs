//! Random system calls from sandboxes with every kind of capability: the kernel and a pair of threads outside stay sane.
use crate::hardware::Hardware;
use crate::scenario::{Image, Scenario, Stage, last_lines};
use anyhow::{Result, ensure};
use std::time::Duration;

/// A slow and busy host; a billion instructions take about 20 s on an idle one.
const WITHIN: Duration = Duration::from_secs(1200);
/// Millions of instructions of a slice, and of a night.
const SLICE: u32 = 300;
const NIGHT: u32 = 4_000;

/// Slices for every run of the tests.
pub(super) fn all() -> Vec<Scenario> {
    let seed = seed().unwrap_or(1);
    vec![storm("kernel-storm", 1, 2, SLICE, seed), storm("kernel-storm-smp", 4, 3, SLICE, seed)]
}

/// Billions of instructions, with several seeds.
pub(super) fn long() -> Vec<Scenario> {
    let seed = seed().unwrap_or(1000);
    let machines = [(1, 2, seed), (1, 3, seed + 1), (2, 3, seed + 2), (4, 2, seed + 3)];
    let name = |cores: u8, gic: u8| format!("kernel-storm-long-gicv{gic}-{cores}");
    machines.map(|(cores, gic, seed)| storm(&name(cores, gic), cores, gic, NIGHT, seed)).into()
}

/// The seed that the caller wants: `HYBRID_STORM_SEED=…`.
fn seed() -> Option<u64> {
    std::env::var("HYBRID_STORM_SEED").ok()?.parse().ok()
}

fn storm(name: &str, cores: u8, gic: u8, millions: u32, seed: u64) -> Scenario {
    Scenario {
        name: name.into(),
        about: format!("{millions} million instructions of random system calls harm nobody else (seed {seed})"),
        image: Image::Package("hybrid-storm", if cores == 1 { &["export-pmu"] } else { &["export-pmu", "smp"] }),
        hardware: Hardware {
            gic,
            smp: cores,
            cpu: "cortex-a57".into(),
            counts_instructions: true,
            command_line: format!("storm.seed={seed} storm.millions={millions}"),
            ..Hardware::default()
        },
        run: passes,
    }
}

/// `STORM PASS`, or `STORM FAIL` with what was wrong; a panic or hang of the kernel gives neither.
fn passes(stage: &mut Stage) -> Result<()> {
    stage.console().expect_end(WITHIN)?;
    let text = stage.console().text();
    ensure!(text.contains("STORM PASS"), "the storm did not pass:\n{}", last_lines(&text, 12));
    Ok(())
}
