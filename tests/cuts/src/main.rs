//! `hybrid-cuts DISK LOG KEPT CUTS [SEED]`: judges what losses of power at random points of a disk's log leave.
//!
//! DISK is an image with a partition table, LOG the log of all its writes since its data partition was empty, KEPT what was said to be kept, each with
//! the length of the log at that time.
#![forbid(unsafe_code)]

mod books;
mod campaign;
mod disk;
mod log;
#[path = "../../../apps/hello-files/src/plan.rs"]
mod plan;
#[cfg(test)]
mod tests;
mod tree;

use anyhow::{Context, Result, bail};
use campaign::Judge;
use std::path::Path;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [disk, log, kept, cuts, seed @ ..] = arguments.as_slice() else {
        bail!("usage: hybrid-cuts DISK LOG KEPT CUTS [SEED]");
    };
    let seed = seed.first().map_or(Ok(1), |seed| seed.parse()).context("SEED is a number")?;
    let (first, count) = partition(Path::new(disk), "data")?;
    let log = std::fs::read(log).with_context(|| format!("cannot read {log}"))?;
    let said = campaign::parse(&std::fs::read_to_string(kept).with_context(|| format!("cannot read {kept}"))?)?;
    let entries = log::parse(&log)?;
    let judge = Judge::new("main", &entries, &said)?;
    let verdict = judge.cut(first, count, cuts.parse().context("CUTS is a number")?, seed)?;
    println!("{verdict}");
    Ok(if verdict.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// First sector and number of sectors.
fn partition(disk: &Path, name: &str) -> Result<(u64, u64)> {
    let table = gpt::GptConfig::new().open(disk).with_context(|| format!("no partitions in {}", disk.display()))?;
    let one = table.partitions().values().find(|one| one.name == name).with_context(|| format!("no {name}"))?;
    Ok((one.first_lba, one.last_lba - one.first_lba + 1))
}
