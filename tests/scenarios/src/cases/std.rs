//! Programs on Rust's `std` and on C, as components: what they print, and how they end.
use crate::hardware::Hardware;
use crate::scenario::{Image, SAY_WITHIN, Scenario, Stage, last_lines};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// The scenarios of this subject.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario {
        name: "std".into(),
        about: "programs on std and C print, sleep and hash with real seeds, are refused what was not granted, end with a status".into(),
        image: Image::Product("gateway-std"),
        hardware: Hardware::default(),
        run: programs,
    }]
}

/// The lines that the console must show, from the level on. An info line is standard output or a good end, a warning standard error or a refusal.
const LINES: [&str; 39] = [
    "I hello-std: hello from std, hello-std one two",
    "I hello-std: MOOD is Ok(\"fine\")",
    "I hello-std: [(\"the\", 3), (\"brown\", 1), (\"dog\", 1), (\"end\", 1)",
    "I hello-std: sum 3581496.489, 88890 digits",
    "I hello-std: slept at least 20 ms: true",
    "I hello-std: threads: 6000, 0, 4950",
    "I hello-std: a time-out: true",
    "W hello-std: clone refused: all threads of component.toml run",
    "I hello-std: a fifth thread: Resource temporarily unavailable (os error 11); 3 others ended",
    "I hello-std: a file: No such file or directory (os error 2)",
    "I hello-std: a socket: Permission denied (os error 13)",
    "I hello-std: a process: Function not implemented (os error 38)",
    "W hello-std: and one line in two parts",
    "W hello-std: openat refused: its component was granted no files",
    "W hello-std: socket refused: its component was granted no network",
    "W hello-std: ended with status 3",
    "W hello-panic: as told",
    "E hello-panic: ended by signal 6",
    "I hello-c: hello from C, hello-c has 1 arguments",
    "I hello-c: one third is 0.333333, as a long double 0.333333333333333333",
    "I hello-c: memory keeps what is written: yes",
    "I hello-c: slept at least 20 ms: yes",
    "I hello-c: handled 1 signal",
    "I hello-c: writable and executable memory: Permission denied",
    "I hello-c: a file: No such file or directory",
    "I hello-c: a copy: Function not implemented",
    "W hello-c: clone refused: a component cannot be copied or replaced",
    "I hello-c: ended with status 0",
    "I hello-pthreads: a sixth thread: Resource temporarily unavailable",
    "I hello-pthreads: turns: 4000 of 4000, counted apart 4000, keys destroyed 4",
    "I hello-pthreads: detached threads: 200",
    "I hello-pthreads: to cancel a thread: Function not implemented",
    "I hello-pthreads: a time-out: yes",
    "I hello-pthreads: ended with status 0",
    "I stress-std: stress: handed on 89700",
    "I stress-std: stress: turns 900",
    "I stress-std: stress: readers saw only whole pairs: true",
    "I stress-std: stress: came and went 300",
    "I stress-std: stress: three others wait for ever",
];

/// The lines that are not in this log.
fn missing(log: &str) -> Vec<&'static str> {
    LINES.into_iter().filter(|line| !log.contains(line)).collect()
}

fn programs(stage: &mut Stage) -> Result<()> {
    stage.boot()?;
    // Three programs write at once, so their lines come in any order.
    let deadline = Instant::now() + SAY_WITHIN;
    while !missing(&stage.console().text()).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = stage.console().text();
    let missing = missing(&log);
    ensure!(missing.is_empty(), "not on the console: {missing:#?}. Its last lines:\n{}", last_lines(&log, 40));
    let refusals = log.matches("hello-std: openat refused").count();
    ensure!(refusals == 1, "a refusal is to be told once, not {refusals} times");
    // Both would be the same if a hash map's seed came from anything but the entropy server.
    let seed = |name: &str| {
        let rest = log.split_once(&format!("{name}: seed ")).with_context(|| format!("{name} tells no seed"))?.1;
        Ok::<_, anyhow::Error>(rest.lines().next().unwrap_or_default().trim().to_string())
    };
    let seeds = (seed("hello-std")?, seed("hello-panic")?);
    ensure!(seeds.0 != seeds.1, "two instances hash alike: {seeds:?}");
    // Status 0 is no fault: its policy `on-fault` starts it no more.
    let status = stage.command("svc status hello-c", "\n> ")?;
    let is_left =
        status.lines().any(|line| line.starts_with("hello-c") && line.contains(" ended       1     1      0"));
    ensure!(
        is_left && status.contains("came to its end"),
        "hello-c is not taken for one that came to its end:\n{status}"
    );
    let processes = stage.command("ps", "of memory are free")?;
    let state = |name: &str| {
        processes.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_whitespace().nth(1))
    };
    ensure!(
        (state("hello-c"), state("hello-std")) == (Some("ended"), Some("faulted")),
        "a status is taken for another:\n{processes}"
    );
    // Who has ended holds nothing, and nobody holds anything of theirs but the memory of a log that was shared. The threads of who has not are as
    // declared.
    let counts = |line: &str| !line.contains("hello-") || line.split_whitespace().nth(1) == Some("region");
    stage
        .compare_grants(|line| counts(line) && !line.starts_with("hello-"))
        .context("what programs do changes no grant of others")?;
    stage.power_off()
}
