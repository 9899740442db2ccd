//! Runs the tests: on the host, then whole images in QEMU; ends with a summary.
use crate::build::{self, Recipe};
use crate::foreign::c_root;
use crate::product::Product;
use crate::progress::{self, Step};
use crate::{cargo, folders, kernel_table, miri, setup};
use anyhow::{Result, bail};
use clap::Args;
use hybrid_scenarios::cases;
use hybrid_scenarios::scenario::{Image, LAST, Places, Scenario};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Test {
    /// `host`, `fuzz`, `scenarios`, `power` (only if named or with --long; minutes), `miri` (only if named; half an hour), or names (or parts of names) of scenarios; nothing: all
    names: Vec<String>,
    /// Only list the scenarios
    #[arg(long)]
    list: bool,
    /// Also the scenarios that take minutes
    #[arg(long)]
    long: bool,
}

/// Lines of a failure that are told before any are left out.
const FIRST_LINES: usize = 16;

/// How one test ended.
struct Outcome {
    name: String,
    took: Duration,
    /// What went wrong, and where its log is.
    failure: Option<(String, PathBuf)>,
}

impl Test {
    /// Runs them all, whatever fails, and prints a summary.
    ///
    /// # Errors
    /// An image does not build, or there is no such test.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let scenarios = self.scenarios()?;
        if self.list {
            scenarios.iter().for_each(|scenario| println!("{:<34} {}", scenario.name, scenario.about));
            return Ok(ExitCode::SUCCESS);
        }
        setup::ensure()?;
        if scenarios.iter().any(|scenario| scenario.name == "programs") {
            setup::ensure_decoder()?;
        }
        if scenarios.iter().any(|scenario| scenario.name == "mqtt") {
            setup::ensure_mqtt_clients()?;
        }
        let mut outcomes = Vec::new();
        if self.names.is_empty() || self.names.iter().any(|name| name == "host") {
            // A test of what fetches Python packages starts Python.
            setup::ensure_pip()?;
            outcomes.push(host());
        }
        if self.names.is_empty() || self.names.iter().any(|name| name == "fuzz") {
            outcomes.push(fuzz());
        }
        if self.names.iter().any(|name| name == "miri") {
            outcomes.push(under_miri());
        }
        if (self.long && self.names.is_empty()) || self.names.iter().any(|name| name == "power") {
            outcomes.push(losses_of_power());
        }
        outcomes.extend(play_all(&scenarios));
        if let Some(failure) = kernel_table::report(&scenarios)? {
            let name = "the kernel's requirements".into();
            outcomes.push(Outcome { name, took: Duration::ZERO, failure: Some(failure) });
        }
        Ok(summary(&outcomes))
    }

    fn scenarios(&self) -> Result<Vec<Scenario>> {
        let mut all = cases::all();
        all.extend(hybrid_faults::all());
        if self.long {
            all.extend(cases::long());
            all.extend(hybrid_faults::long());
        }
        let names: Vec<&String> = self
            .names
            .iter()
            .filter(|name| !matches!(name.as_str(), "host" | "fuzz" | "scenarios" | "miri" | "power"))
            .collect();
        if let Some(name) = names.iter().find(|name| !all.iter().any(|scenario| scenario.name.contains(name.as_str())))
        {
            bail!("there is no scenario {name:?}; `cargo xtask test --list` lists them");
        }
        let is_all = self.names.is_empty() || self.names.iter().any(|name| name == "scenarios");
        all.retain(|scenario| is_all || names.iter().any(|name| scenario.name.contains(name.as_str())));
        Ok(all)
    }
}

/// All tests of all crates, on the host.
fn host() -> Outcome {
    let mut command = Command::new(cargo::host_cargo());
    command.current_dir(folders::checkout());
    // cargo-nextest runs the tests of several crates at once, where it is installed; documentation tests it cannot.
    if setup::on_path("cargo-nextest") {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--status-level",
            "fail",
            "--final-status-level",
            "fail",
        ]);
    } else {
        command.args(["test", "--workspace", "--no-fail-fast", "--quiet"]);
    }
    ran("host", "all crates", &mut command)
}

/// Runs a command that is a test as a whole, with its output in a log.
fn ran(name: &str, about: &str, command: &mut Command) -> Outcome {
    let step = Step::start(format!("test {name}: {about}"));
    let (start, log) = (Instant::now(), format!("test-{name}"));
    let failure = step.command(&log, command).err();
    let failure = failure.map(|error| (error.to_string(), folders::target().join(format!("logs/{log}.log"))));
    if failure.is_none() {
        step.done();
    }
    Outcome { name: name.into(), took: start.elapsed(), failure }
}

/// A minute of hostile bytes to everything that decodes bytes.
fn fuzz() -> Outcome {
    let mut command = Command::new(cargo::host_cargo());
    command.current_dir(folders::checkout()).args([
        "run",
        "--quiet",
        "--package",
        "hybrid-fuzz",
        "--",
        "--total",
        "60",
    ]);
    ran("fuzz", "hostile bytes to everything that takes bytes, one minute", &mut command)
}

/// A thousand losses of power at a random write of a random workload.
fn losses_of_power() -> Outcome {
    let mut command = Command::new(cargo::host_cargo());
    // With optimisation: it is the work of minutes.
    command.current_dir(folders::checkout()).args(["test", "--release", "--quiet", "--package", "fsd", "--"]);
    command.args(["--ignored", "campaign"]);
    ran("power", "a thousand losses of power under fsd, each with three lives", &mut command)
}

/// The kernel's safe crates, interpreted.
fn under_miri() -> Outcome {
    let start = Instant::now();
    let ran = miri::run();
    let failure = ran.err().map(|error| (error.to_string(), folders::target().join("logs")));
    Outcome { name: "miri".into(), took: start.elapsed(), failure }
}

/// Plays them one after the other, but for the fault campaign, which plays beside the others: its device's time is counted in instructions, so
/// that a busy host changes what its own clients see and not what the device does. Scenarios whose cores run at the same time need the whole host,
/// so that they play before it.
fn play_all(scenarios: &[Scenario]) -> Vec<Outcome> {
    let mut images = HashMap::new();
    let (campaign, others): (Vec<&Scenario>, Vec<&Scenario>) =
        scenarios.iter().partition(|scenario| matches!(scenario.image, Image::Faults(_)));
    let (whole_host, others): (Vec<&Scenario>, Vec<&Scenario>) =
        others.into_iter().partition(|scenario| scenario.hardware.has_parallel_cores);
    // Its image is built before anything plays: two builds at once would only wait for each other.
    let campaign: Vec<(&Scenario, Result<Places>)> =
        campaign.into_iter().map(|scenario| (scenario, places_of(scenario, &mut images))).collect();
    let mut play_each = |scenarios: &[&Scenario]| -> Vec<Outcome> {
        scenarios.iter().map(|scenario| play(scenario, &places_of(scenario, &mut images))).collect()
    };
    let mut outcomes = play_each(&whole_host);
    std::thread::scope(|scope| {
        let beside =
            scope.spawn(|| campaign.iter().map(|(scenario, places)| play(scenario, places)).collect::<Vec<_>>());
        outcomes.extend(play_each(&others));
        outcomes.extend(beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    outcomes
}

/// Where the scenario's image is; it is built once.
fn places_of(scenario: &Scenario, images: &mut HashMap<(Image, bool), PathBuf>) -> Result<Places> {
    let key = (scenario.image, scenario.hardware.smp > 1);
    let image = match images.get(&key) {
        Some(folder) => folder.clone(),
        None => {
            let folder = folder_of(scenario.image, scenario.hardware.smp)?;
            images.insert(key, folder.clone());
            folder
        }
    };
    Ok(Places { checkout: folders::checkout(), image, logs: folders::logs()? })
}

/// Plays one scenario. One whose image cannot be built has failed, and the others are played.
fn play(scenario: &Scenario, places: &Result<Places>) -> Outcome {
    let step = Step::start(format!("test {}", scenario.name));
    step.message(scenario.about.clone());
    let start = Instant::now();
    let failure = match places {
        Ok(places) => scenario.play(places).err().map(|error| (format!("{error:#}"), scenario.log(&places.logs))),
        Err(error) => Some((format!("its image: {error:#}"), folders::target().join("logs"))),
    };
    if failure.is_none() {
        step.done();
    }
    Outcome { name: scenario.name.clone(), took: start.elapsed(), failure }
}

/// Builds an image.
fn folder_of(image: Image, cores: u8) -> Result<PathBuf> {
    let recipe = match image {
        Image::Product(name) => Recipe::of_product(Product::load(name)?).for_cores(cores),
        Image::Planted(name) => Recipe::of_product(Product::load(name)?).for_cores(cores).planted(),
        Image::Faults(name) => Recipe::of_product(Product::load(name)?).for_cores(cores).with_faults(),
        Image::Package(package, features) => Recipe::of_package(package, features),
        Image::ForeignRoot { gic, cores, has_exports } => return c_root::build(gic, cores, has_exports),
    };
    build::image(&recipe)
}

/// What was expected and what was seen stands in the first lines, the last of a console or a listing at the end.
fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(FIRST_LINES + LAST);
    if left_out == 0 {
        return text.into();
    }
    let (first, rest) = lines.split_at(FIRST_LINES);
    format!("{}\n[{left_out} lines are left out]\n{}", first.join("\n"), rest[left_out..].join("\n"))
}

fn summary(outcomes: &[Outcome]) -> ExitCode {
    let failed: Vec<(&Outcome, &(String, PathBuf))> =
        outcomes.iter().filter_map(|outcome| Some((outcome, outcome.failure.as_ref()?))).collect();
    for (outcome, (text, log)) in &failed {
        println!("\nFAILED {} (log: {})\n{}", outcome.name, folders::shown(log), progress::indented(&shortened(text)));
    }
    println!();
    for outcome in outcomes {
        let verdict = if outcome.failure.is_some() { "FAILED" } else { "ok    " };
        println!("{verdict} {:>6.1} s  {}", outcome.took.as_secs_f64(), outcome.name);
    }
    println!("\n{} of {} passed", outcomes.len() - failed.len(), outcomes.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_LINES, LAST, shortened};

    #[test]
    fn failure_is_told_by_its_first_and_its_last_lines() {
        let text = |count: usize| (0..count).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        let whole = text(FIRST_LINES + LAST);
        assert_eq!(shortened(&whole), whole);
        let short = shortened(&text(1000));
        let lines: Vec<&str> = short.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[FIRST_LINES + LAST]), (FIRST_LINES + LAST + 1, "line 0", "line 999"));
        assert_eq!(lines[FIRST_LINES], "[969 lines are left out]");
    }
}
