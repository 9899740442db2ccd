//! `hybrid-cuts FIRST COUNT LOG KEPT CUTS [SEED]`: judges what losses of power at random points of a disk's log leave.
//!
//! FIRST and COUNT are the sectors of its data partition, LOG the log of all its writes since that was empty, KEPT what was said to be kept, each with
//! the length of the log at that time.
#![forbid(unsafe_code)]

mod books;
mod campaign;
mod disk;
mod log;
#[cfg(test)]
mod tests;
mod tree;

use anyhow::{Context, Result, bail};
use campaign::Judge;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, count, log, kept, cuts, seed @ ..] = arguments.as_slice() else {
        bail!("usage: hybrid-cuts FIRST COUNT LOG KEPT CUTS [SEED]");
    };
    let seed = seed.first().map_or(Ok(1), |seed| seed.parse()).context("SEED is a number")?;
    let sectors = |text: &str| text.parse().with_context(|| format!("{text} is no number of sectors"));
    let (first, count) = (sectors(first)?, sectors(count)?);
    let log = std::fs::read(log).with_context(|| format!("cannot read {log}"))?;
    let said = campaign::parse(&std::fs::read_to_string(kept).with_context(|| format!("cannot read {kept}"))?)?;
    let entries = log::parse(&log)?;
    let judge = Judge::new("main", &entries, &said)?;
    let verdict = judge.cut(first, count, cuts.parse().context("CUTS is a number")?, seed)?;
    println!("{verdict}");
    Ok(if verdict.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
