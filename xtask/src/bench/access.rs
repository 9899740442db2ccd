//! `cargo xtask bench access`: counts the instructions of access decisions in a whole image.
use super::kernel::grouped;
use super::page;
use crate::build::{self, Recipe};
use crate::folders;
use crate::product::Product;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result};
use clap::Args;
use hybrid_scenarios::hardware::{Hardware, ImageFiles};
use hybrid_scenarios::machine::{self, Machine};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Options of `cargo xtask bench access`.
#[derive(Args, Default)]
pub(crate) struct AccessBench {
    /// Only print; docs/performance.md stays as it is
    #[arg(long)]
    print: bool,
}

/// What tests/components/asker prints, what it means, and at most how many instructions are wanted.
const ROWS: [(&str, &str, Option<u64>); 3] = [
    ("remembered", "allowed, and remembered: the epoch is read from the page of peers, no call", Some(3_000)),
    ("asked", "allowed, asked of securityd: the call, the decision, the answer", None),
    ("denied", "denied by securityd: the same, with what a denial is counted and recorded by", None),
];

const WITHIN: Duration = Duration::from_secs(300);

impl AccessBench {
    /// Measures, prints the table, and writes it. Exit status 1 if a goal is missed.
    ///
    /// # Errors
    /// The image does not build or boot, or the page cannot be written.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        let (text, is_met) = measure()?;
        print!("{text}");
        if !self.print {
            page::write_part("access", &text)?;
        }
        Ok(ExitCode::from(u8::from(!is_met)))
    }
}

/// The table, and whether every goal is met.
///
/// # Errors
/// The image does not build, boot or finish.
pub(crate) fn measure() -> Result<(String, bool)> {
    let folder = build::image(&Recipe::of_product(Product::load("gateway-bench")?))?;
    let step = Step::start("count the instructions of access decisions");
    let port = Some(machine::free_port()?);
    let hardware = Hardware { counts_instructions: true, http_port: port, ..Hardware::default() };
    let log = folders::logs()?.join("bench-access.log");
    let mut machine = Machine::start(&hardware, &ImageFiles::in_folder(&folder), &log)?;
    let console = machine.console.expect("asker: done", WITHIN)?;
    step.done();
    let mut text =
        String::from("| decision | instructions | least | most | goal | met |\n|---|---:|---:|---:|---:|:---:|\n");
    let mut is_met = true;
    for (id, meaning, goal) in ROWS {
        let figures = figures(&console, id).with_context(|| format!("the image printed no figures of {id:?}"))?;
        let [middle, least, most] = figures;
        let verdict = goal.map(|goal| middle <= goal);
        is_met &= verdict.unwrap_or(true);
        let met = verdict.map_or("", |is_met| if is_met { "yes" } else { "no" });
        let goal = goal.map_or_else(|| "–".to_string(), grouped);
        let [middle, least, most] = [middle, least, most].map(grouped);
        writeln!(text, "| {meaning} | {middle} | {least} | {most} | {goal} | {met} |")?;
    }
    Ok((text, is_met))
}

/// The numbers behind `asker: ID`.
fn figures(console: &str, id: &str) -> Option<[u64; 3]> {
    let mark = format!("asker: {id} ");
    let line = console.lines().find_map(|line| line.split_once(&mark))?.1;
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn figures_are_those_of_their_line() {
        let console = "0.1 asker info asker: asked 700 690 9000\r\n0.1 asker info asker: denied 800 790 x\r\n";
        assert_eq!(figures(console, "asked"), Some([700, 690, 9000]));
        assert_eq!((figures(console, "denied"), figures(console, "remembered")), (None, None));
    }
}
