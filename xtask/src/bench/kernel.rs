//! `cargo xtask bench kernel`: counts, compares with targets and with the committed figures.
use super::rows::{self, ROWS, Row};
use super::{page, plot};
use crate::build::{self, Recipe};
use crate::cargo;
use crate::folders;
use crate::progress::Step;
use crate::setup;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hybrid_scenarios::hardware::{Hardware, ImageFiles};
use hybrid_scenarios::machine::Machine;
use hybrid_scenarios::scenario::{LAST, last_lines};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Options of `cargo xtask bench kernel`.
#[derive(Args, Default)]
pub(crate) struct KernelBench {
    /// Print only these rows (names or parts of names)
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Only print; docs/performance.md stays as it is
    #[arg(long)]
    print: bool,
    /// The kernel that is built for several cores, on one emulated core
    #[arg(long)]
    smp: bool,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Make these figures the ones that later commits are compared with (tests/bench/baseline.json)
    #[arg(long, conflicts_with = "only")]
    bless: bool,
}

/// What the root task printed.
pub(crate) struct Measured {
    /// The figures of each row, by its id.
    pub(crate) rows: BTreeMap<String, Figures>,
    /// Kernel instructions by (what there are many of, how many, operation).
    pub(crate) scale: Vec<(String, u64, String, u64)>,
}

/// The figures of one row.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Kernel instructions, the middle of all rounds.
    pub(crate) kernel: u64,
    /// The same round with the user's stub and server loop.
    pub(crate) all: u64,
    min: u64,
    max: u64,
}

/// Which kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    OneCore,
    SeveralCores,
}

const WITHIN: Duration = Duration::from_secs(300);
/// A row that costs more than so many percent above the committed figure is a regression.
pub(crate) const ALLOWED_PERCENT: u64 = 3;
const SMP_FEATURE: &str = "smp";

impl KernelBench {
    /// Measures, prints the table, and writes what was asked for.
    ///
    /// # Errors
    /// The image does not build or boot, there is no such row, or a file cannot be written.
    pub(crate) fn run(self) -> Result<ExitCode> {
        setup::ensure()?;
        if let Some(name) = self.only.iter().find(|name| !ROWS.iter().any(|row| row.id.contains(name.as_str()))) {
            bail!("there is no row {name:?}; there are: {}", ROWS.map(|row| row.id).join(", "));
        }
        let build = if self.smp { Build::SeveralCores } else { Build::OneCore };
        let measured = measure(build)?;
        let before = Baseline::load()?;
        let is_wanted = |row: &Row| self.only.is_empty() || self.only.iter().any(|name| row.id.contains(name.as_str()));
        print!("{}", table(&measured, &before.of(build), is_wanted, Style::Terminal));
        if let Some(path) = &self.json {
            std::fs::write(path, as_json(&measured)).with_context(|| format!("cannot write {}", path.display()))?;
            println!("written to {}", path.display());
        }
        if self.only.is_empty() && !self.print {
            write_page(build, &measured, &before)?;
        }
        if self.bless {
            before.with(build, &measured).save()?;
            println!("{} holds these figures now", folders::shown(&baseline_path()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the part of docs/performance.md that belongs to this kernel.
///
/// # Errors
/// The page cannot be written.
pub(crate) fn write_page(build: Build, measured: &Measured, before: &Baseline) -> Result<()> {
    let mut text = table(measured, &before.of(build), |_| true, Style::Page);
    let name = match build {
        Build::OneCore => "one core",
        Build::SeveralCores => "several cores",
    };
    if build == Build::OneCore {
        text.push_str(&plot::section(&measured.scale)?);
    }
    page::write_part(name, &text)
}

/// Builds the benchmark with the kernel asked for, boots it and reads what it prints.
///
/// # Errors
/// It does not build, boot or finish, or the counter does not count as it should.
pub(crate) fn measure(build: Build) -> Result<Measured> {
    let features: &[&str] = match build {
        Build::OneCore => &["export-pmu"],
        Build::SeveralCores => &["export-pmu", SMP_FEATURE],
    };
    if build == Build::SeveralCores && !has_smp()? {
        bail!(
            "the package hybrid-kernel has no feature {SMP_FEATURE:?} in this checkout, so there is no kernel for several cores to measure"
        );
    }
    let folder = build::image(&Recipe::of_package("hybrid-bench", features))?;
    let step = Step::start("count instructions");
    let hardware =
        Hardware { counts_instructions: true, cpu: "cortex-a57".into(), memory_mib: 1024, ..Hardware::default() };
    let name = if build == Build::SeveralCores { "bench-kernel-smp.log" } else { "bench-kernel.log" };
    let log = folders::logs()?.join(name);
    let mut machine = Machine::start(&hardware, &ImageFiles::in_folder(&folder), &log)?;
    machine.console.expect_end(WITHIN)?;
    let text = machine.console.text();
    let last = || last_lines(&text, LAST);
    ensure!(text.contains("bench: done"), "the benchmark did not finish; its console's last lines:\n{}", last());
    let measured = parse(&text)?;
    let nothing = measured.rows.get("nothing").context("the benchmark printed no row \"nothing\"")?;
    let null = measured.rows.get("null").context("the benchmark printed no row \"null\"")?;
    ensure!(
        nothing.max == 0 && null.kernel > 0 && null.all > null.kernel,
        "this QEMU does not leave user code out of a counter with PMEVTYPER.U set; use one that does (7.2 and 10.0 do)"
    );
    step.done();
    Ok(measured)
}

/// Whether the kernel of this checkout can be built for several cores.
///
/// # Errors
/// `cargo metadata` fails.
pub(crate) fn has_smp() -> Result<bool> {
    let metadata = cargo::metadata(cargo::Dependencies::Without)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let kernel = packages.iter().find(|package| package["name"] == "hybrid-kernel");
    Ok(kernel.is_some_and(|kernel| kernel["features"].get(SMP_FEATURE).is_some()))
}

/// The lines `bench: row ID KERNEL ALL MIN MAX` and `bench: scale KIND COUNT OPERATION KERNEL`.
fn parse(text: &str) -> Result<Measured> {
    let mut measured = Measured { rows: BTreeMap::new(), scale: Vec::new() };
    for line in text.lines().filter_map(|line| line.trim_end().strip_prefix("bench: ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| -> Result<u64> {
            words.get(index).and_then(|word| word.parse().ok()).with_context(|| format!("no number in {line:?}"))
        };
        match words.first() {
            Some(&"row") => {
                let id = words.get(1).with_context(|| format!("no id in {line:?}"))?;
                ensure!(rows::find(id).is_some(), "the benchmark printed a row {id:?} that xtask does not know");
                let figures = Figures { kernel: number(2)?, all: number(3)?, min: number(4)?, max: number(5)? };
                measured.rows.insert((*id).to_string(), figures);
            }
            Some(&"scale") => {
                let (kind, operation) = (words[1].to_string(), words.get(3).copied().unwrap_or_default().to_string());
                measured.scale.push((kind, number(2)?, operation, number(4)?));
            }
            _ => {}
        }
    }
    let missing: Vec<&str> = ROWS.iter().map(|row| row.id).filter(|id| !measured.rows.contains_key(*id)).collect();
    ensure!(missing.is_empty(), "the benchmark did not print: {}", missing.join(", "));
    Ok(measured)
}

/// How a table is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Terminal,
    Page,
}

/// The rows that `is_wanted` picks, beside seL4's, the target and the committed figures.
fn table(
    measured: &Measured,
    before: &BTreeMap<String, u64>,
    is_wanted: impl Fn(&Row) -> bool,
    style: Style,
) -> String {
    let mut text = String::new();
    match style {
        Style::Terminal => text.push_str(&format!(
            "{:<32} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}  {}\n",
            "row", "seL4", "target", "ours", "with stub", "before", "change", "met"
        )),
        Style::Page => {
            text.push_str("| row | kernel instructions | seL4 | target | ours | with stub | before | met |\n");
            text.push_str("|---|---|---:|---:|---:|---:|---:|:---:|\n");
        }
    }
    let or_dash = |number: Option<u64>| number.map_or_else(|| "–".to_string(), grouped);
    let (mut met, mut wanted) = (0, 0);
    for row in ROWS.iter().filter(|row| is_wanted(row)) {
        let Some(figures) = measured.rows.get(row.id) else { continue };
        let verdict = match row.target {
            None => "",
            Some(target) if figures.kernel <= target => "yes",
            Some(_) => "no",
        };
        wanted += usize::from(row.target.is_some());
        met += usize::from(verdict == "yes");
        let old = before.get(row.id).copied();
        let (sel4, target, old_text) = (or_dash(row.sel4), or_dash(row.target), or_dash(old));
        let (ours, all) = (grouped(figures.kernel), grouped(figures.all));
        // Writing to a String cannot fail.
        let _ = match style {
            Style::Terminal => writeln!(
                text,
                "{:<32} {sel4:>9} {target:>9} {ours:>9} {all:>9} {old_text:>9} {:>7}  {verdict}",
                row.id,
                change(figures.kernel, old)
            ),
            Style::Page => writeln!(
                text,
                "| `{}` | {} | {sel4} | {target} | {ours} | {all} | {old_text} | {verdict} |",
                row.id, row.meaning
            ),
        };
    }
    let _ = writeln!(text, "\n{met} of {wanted} targets met");
    text
}

/// The difference in percent.
fn change(now: u64, before: Option<u64>) -> String {
    match before {
        Some(before) if before > 0 && before != now => {
            format!("{:+.1}%", (now as f64 / before as f64 - 1.0) * 100.0)
        }
        _ => String::new(),
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn as_json(measured: &Measured) -> String {
    let rows: Map<String, Value> = measured
        .rows
        .iter()
        .map(|(id, figures)| {
            let Figures { kernel, all, min, max } = figures;
            (id.clone(), json!({"kernel": kernel, "with_stub": all, "min": min, "max": max}))
        })
        .collect();
    let scale: Vec<Value> = measured
        .scale
        .iter()
        .map(|(kind, count, operation, kernel)| {
            json!({"many": kind, "count": count, "operation": operation, "kernel": kernel})
        })
        .collect();
    format!("{:#}\n", json!({"rows": rows, "scale": scale}))
}

/// The committed figures: for each kernel, kernel instructions by row.
pub(crate) struct Baseline(Map<String, Value>);

fn baseline_path() -> PathBuf {
    folders::checkout().join("tests/bench/baseline.json")
}

impl Build {
    fn key(self) -> &'static str {
        match self {
            Self::OneCore => "one_core",
            Self::SeveralCores => "several_cores",
        }
    }
}

impl Baseline {
    /// Reads tests/bench/baseline.json; empty if there is none.
    ///
    /// # Errors
    /// It is not JSON.
    pub(crate) fn load() -> Result<Self> {
        Self::from_file(&baseline_path())
    }

    fn from_file(path: &Path) -> Result<Self> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(Self(Map::new())) };
        serde_json::from_str(&text).map(Self).with_context(|| {
            format!("{} is not valid; `cargo xtask bench kernel --bless` writes it anew", folders::shown(path))
        })
    }

    /// The figures of one kernel.
    pub(crate) fn of(&self, build: Build) -> BTreeMap<String, u64> {
        let rows = self.0.get(build.key()).and_then(Value::as_object);
        rows.into_iter().flatten().filter_map(|(id, value)| Some((id.clone(), value.as_u64()?))).collect()
    }

    fn with(mut self, build: Build, measured: &Measured) -> Self {
        let rows: Map<String, Value> =
            measured.rows.iter().map(|(id, figures)| (id.clone(), json!(figures.kernel))).collect();
        self.0.insert(build.key().into(), rows.into());
        self
    }

    fn save(&self) -> Result<()> {
        let path = baseline_path();
        let text = format!("{:#}\n", Value::Object(self.0.clone()));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The rows that cost more than [`ALLOWED_PERCENT`] above the committed figure, a sentence for each.
    pub(crate) fn regressions(&self, build: Build, measured: &Measured) -> Vec<String> {
        let old = self.of(build);
        let worse = measured.rows.iter().filter_map(|(id, figures)| Some((id, figures.kernel, *old.get(id)?)));
        worse
            .filter(|(_, now, before)| now * 100 > before * (100 + ALLOWED_PERCENT))
            .map(|(id, now, before)| {
                format!(
                    "{id} ({}): {} instructions, {} in tests/bench/baseline.json ({}): make it cheaper, or argue in the \
                     commit message why it costs more and run `cargo xtask bench kernel{} --bless`",
                    build.key().replace('_', " "),
                    grouped(now),
                    grouped(before),
                    change(now, Some(before)),
                    if build == Build::SeveralCores { " --smp" } else { "" }
                )
            })
            .collect()
    }
}

/// The check `bench`: measures every kernel there is and compares with the committed figures.
///
/// # Errors
/// As [`measure`].
pub(crate) fn regressions() -> Result<Vec<String>> {
    let baseline = Baseline::load()?;
    let mut problems = baseline.regressions(Build::OneCore, &measure(Build::OneCore)?);
    if has_smp()? {
        problems.extend(baseline.regressions(Build::SeveralCores, &measure(Build::SeveralCores)?));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::{Baseline, Build, Figures, Measured, grouped, parse};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn baseline(figure: u64) -> Baseline {
        let Value::Object(map) = json!({"one_core": {"null": figure}}) else { unreachable!("an object literal") };
        Baseline(map)
    }

    fn measured(kernel: u64) -> Measured {
        let figures = Figures { kernel, all: kernel, min: kernel, max: kernel };
        Measured { rows: BTreeMap::from([("null".to_string(), figures)]), scale: Vec::new() }
    }

    #[test]
    fn regressions_more_than_three_percent_above_are_named_with_both_numbers() {
        let problems = baseline(1000).regressions(Build::OneCore, &measured(1031));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("null") && problems[0].contains("1,031") && problems[0].contains("1,000"));
    }

    #[test]
    fn regressions_within_three_percent_or_of_another_kernel_are_none() {
        assert!(baseline(1000).regressions(Build::OneCore, &measured(1030)).is_empty());
        assert!(baseline(1000).regressions(Build::SeveralCores, &measured(2000)).is_empty());
    }

    #[test]
    fn grouped_puts_a_comma_between_thousands() {
        assert_eq!(
            ["7", "999", "1000", "1234567"].map(|text| grouped(text.parse().unwrap_or(0))),
            ["7", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn parse_refuses_a_text_without_all_rows() {
        let error = parse("bench: row null 1 2 1 1\r\n").err().expect("many rows are missing");
        assert!(error.to_string().contains("call-reply-0"), "{error}");
    }
}
