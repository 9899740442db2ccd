//! Test suites of others, run as components: how many tests pass, and that none fails which the lists do not leave out.
use crate::hardware::Hardware;
use crate::scenario::{Image, LAST, Scenario, Stage, last_lines};
use anyhow::{Context, Result, bail, ensure};
use others_lists::List;
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![scenario("others", "Rust's std", "gateway-others", std)]
}

/// Those whose programs take minutes to build. An image holds as much as fits into a boot partition.
pub(super) fn long() -> Vec<Scenario> {
    vec![
        scenario("others-library", "units of Rust's std", "gateway-others-library", library),
        scenario("others-alloc", "Rust's alloc", "gateway-others-alloc", alloc),
        scenario("others-core", "Rust's core", "gateway-others-core", core),
        scenario("others-tokio", "tokio's sockets, files, signals and processes", "gateway-others-tokio", tokio),
        scenario("others-tokio-io", "tokio's input and output, macros and locks", "gateway-others-tokio-io", tokio_io),
        scenario("others-tokio-rt", "tokio's runtimes", "gateway-others-tokio-rt", tokio_rt),
        scenario("others-tokio-task", "tokio's tasks and time", "gateway-others-tokio-task", tokio_task),
    ]
}

fn scenario(name: &str, suite: &str, product: &'static str, run: fn(&mut Stage) -> Result<()>) -> Scenario {
    Scenario {
        name: name.into(),
        about: format!("the tests of {suite} pass, but for those that tests/others leaves out with a reason"),
        image: Image::Product(product),
        // Where the disk is, the scenario's own play says.
        hardware: Hardware { disk: Some("disk.img".into()), ..Hardware::default() },
        run,
    }
}

/// The lists that the programs were built with.
const STD: &str = include_str!("../../../others/std.list");
const STD_UNIT: &str = include_str!("../../../others/std-unit.list");
const ALLOC: &str = include_str!("../../../others/alloc.list");
const ALLOC_UNIT: &str = include_str!("../../../others/alloc-unit.list");
const CORE: &str = include_str!("../../../others/core.list");
const TOKIO: &str = include_str!("../../../others/tokio.list");

fn std(stage: &mut Stage) -> Result<()> {
    others(stage, &[(STD, "others-std")])
}

fn library(stage: &mut Stage) -> Result<()> {
    others(stage, &[(STD_UNIT, "others-std-unit")])
}

fn alloc(stage: &mut Stage) -> Result<()> {
    others(stage, &[(ALLOC, "others-alloc"), (ALLOC_UNIT, "others-alloc-unit")])
}

fn core(stage: &mut Stage) -> Result<()> {
    others(stage, &[(CORE, "others-core")])
}

fn tokio(stage: &mut Stage) -> Result<()> {
    others(stage, &[(TOKIO, "others-tokio-net")])
}

fn tokio_io(stage: &mut Stage) -> Result<()> {
    others(stage, &[(TOKIO, "others-tokio-io")])
}

fn tokio_rt(stage: &mut Stage) -> Result<()> {
    others(stage, &[(TOKIO, "others-tokio-rt")])
}

fn tokio_task(stage: &mut Stage) -> Result<()> {
    others(stage, &[(TOKIO, "others-tokio-task")])
}

/// From the start to the end of an image's suites, on a slow and busy host.
const ALL_WITHIN: Duration = Duration::from_secs(900);

/// Plays the programs of an image, each with its list.
fn others(stage: &mut Stage, programs: &[(&str, &str)]) -> Result<()> {
    stage.boot()?;
    let deadline = Instant::now() + ALL_WITHIN;
    for (list, program) in programs {
        let list = List::read(list).map_err(anyhow::Error::msg)?;
        compare(&ended(stage, program, deadline)?, &list, program)?;
    }
    stage.compare_grants_without(&["others-", "worker-", "sh-", "utils-"])?;
    stage.power_off()
}

/// Compares what the list says with what `program` did, of which `log` tells.
fn compare(log: &str, list: &List, program: &str) -> Result<()> {
    let counts = Counts::read(log, program);
    let counts = counts.with_context(|| {
        format!("{program} ended within a test, or its last line is lost:\n{}", last_lines(log, LAST))
    })?;
    let without = list.without(program);
    report(program, &counts, &without);
    ensure!(counts.failed == 0, "tests of {program} fail:\n{}", failures(log, program));
    ensure!(
        counts.left_out == without.len(),
        "the list leaves out {} tests of {program}, of which there are {}: one has another name now, or is no more",
        without.len(),
        counts.left_out
    );
    let expected = list.counts(program).with_context(|| format!("the list has no counts of {program}"))?;
    ensure!(
        (counts.passed, counts.ignored) == expected,
        "the list says that {} tests of {program} pass and {} are ignored",
        expected.0,
        expected.1
    );
    let is_well = lines(log, program).any(|line| line == "ended with status 0");
    ensure!(is_well, "{program} did not end well:\n{}", last_lines(log, LAST));
    for (why, count) in list.tests_not_compiled() {
        println!("{count} tests are not compiled: {why}");
    }
    for (why, count) in list.files_without() {
        println!("{count} files are not compiled: {why}");
    }
    Ok(())
}

/// The console's text once `program` has come to an end.
fn ended(stage: &mut Stage, program: &str, deadline: Instant) -> Result<String> {
    // A fault is told by securityd only.
    let by_fault = format!("{program} ended: ");
    loop {
        let log = stage.console().text();
        if lines(&log, program).any(|line| line.starts_with("ended ")) {
            return Ok(log);
        }
        if let Some(line) = lines(&log, "securityd").find(|line| line.starts_with(&by_fault)) {
            // Its own last lines may come after that.
            std::thread::sleep(Duration::from_secs(2));
            let log = stage.console().text();
            let has_ended = lines(&log, program).any(|line| line.starts_with("ended "));
            ensure!(has_ended, "{line}. The console's last lines:\n{}", last_lines(&log, LAST));
            return Ok(log);
        }
        if Instant::now() >= deadline {
            bail!("{program} does not end. The console's last lines:\n{}", last_lines(&log, LAST));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What `program` has said, line by line. A line of the console is `[time] LEVEL NAME: text`.
fn lines<'a>(log: &'a str, program: &'a str) -> impl Iterator<Item = &'a str> {
    log.lines().filter_map(move |line| {
        let (_, record) = line.split_once("] ")?;
        let (name, text) = record.get(2..)?.split_once(": ")?;
        (name == program).then_some(text.trim_end())
    })
}

fn report(program: &str, counts: &Counts, without: &[(&str, &str)]) {
    println!(
        "{program}: {} passed, {} failed, {} ignored by their authors, {} left out",
        counts.passed, counts.failed, counts.ignored, counts.left_out
    );
    let mut reasons: Vec<&str> = without.iter().map(|(_, why)| *why).collect();
    reasons.dedup();
    for why in reasons {
        println!("    {} left out: {why}", without.iter().filter(|(_, other)| *other == why).count());
    }
}

/// What libtest says at the end.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: usize,
    left_out: usize,
}

impl Counts {
    fn read(log: &str, program: &str) -> Option<Self> {
        let line = lines(log, program).find(|line| line.starts_with("test result: "))?;
        let count = |what: &str| {
            let (before, _) = line.split_once(what)?;
            before.trim_end().rsplit(' ').next()?.parse().ok()
        };
        Some(Self {
            passed: count(" passed;")?,
            failed: count(" failed;")?,
            ignored: count(" ignored;")?,
            left_out: count(" filtered out;")?,
        })
    }
}

/// What it says of the tests that failed, and why.
fn failures(log: &str, program: &str) -> String {
    let said: Vec<&str> = lines(log, program).skip_while(|line| *line != "failures:").collect();
    said.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{ALLOC, ALLOC_UNIT, CORE, Counts, STD, STD_UNIT, TOKIO, failures, lines};
    use others_lists::List;

    const LOG: &str = "[   1.0] I others-a: test x ... FAILED\r\n[   1.1] I others-b: test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\r\n\
        [   1.2] I others-a: failures:\r\n[   1.2] I others-a:     x\r\n> [   1.3] I others-a: test result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 8.42s\r\n\
        [   1.4] W others-a: ended with status 101\r\n";

    #[test]
    fn counts_are_those_of_the_program_that_is_asked_about() {
        assert_eq!(Counts::read(LOG, "others-a"), Some(Counts { passed: 4, failed: 1, ignored: 2, left_out: 3 }));
        assert_eq!(Counts::read(LOG, "others-b"), Some(Counts { passed: 9, failed: 0, ignored: 0, left_out: 0 }));
        assert_eq!(Counts::read(LOG, "others"), None);
        assert_eq!(lines(LOG, "others-a").last(), Some("ended with status 101"));
        assert!(failures(LOG, "others-a").starts_with("failures:\n    x\n"));
    }

    #[test]
    fn lists_can_be_read() {
        for text in [STD, STD_UNIT, ALLOC, ALLOC_UNIT, CORE, TOKIO] {
            assert!(List::read(text).unwrap().programs().count() > 0);
        }
    }
}
