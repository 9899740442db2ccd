//! `hybrid-fuzz [TARGET…] [OPTION…]`: feeds these targets, or all; see README.md.
#![forbid(unsafe_code)]

use hybrid_fuzz::driver::{self, Bounds};
use hybrid_fuzz::targets::{self, Target};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

const USAGE: &str = "hybrid-fuzz [TARGET…] [--seconds N (each) | --total N (all together)] [--count N] [--seed N]
hybrid-fuzz TARGET --replay FILE
hybrid-fuzz [TARGET…] --write-seeds FOLDER
hybrid-fuzz --list";

/// What was asked for.
struct Wish {
    targets: Vec<&'static Target>,
    seconds: u64,
    count: u64,
    seed: u64,
    replay: Option<PathBuf>,
    seeds: Option<PathBuf>,
}

fn main() -> ExitCode {
    let wish = match Wish::read(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(text) => {
            eprintln!("{text}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let done = match (&wish.replay, &wish.seeds) {
        (Some(file), _) => wish.replay(file),
        (None, Some(folder)) => wish.write_seeds(folder),
        (None, None) => wish.feed(),
    };
    done.map_or_else(
        |text| {
            eprintln!("{text}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

impl Wish {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |time| time.as_secs());
        let mut wish =
            Self { targets: Vec::new(), seconds: 10, count: u64::MAX, seed: clock, replay: None, seeds: None };
        let mut total = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
            match word.as_str() {
                "--seconds" => wish.seconds = number(value()?)?,
                "--total" => total = Some(number(value()?)?),
                "--count" => wish.count = number(value()?)?,
                "--seed" => wish.seed = number(value()?)?,
                "--replay" => wish.replay = Some(value()?.into()),
                "--write-seeds" => wish.seeds = Some(value()?.into()),
                "--list" => targets::ALL.iter().for_each(|target| println!("{:14} {}", target.name, target.about)),
                name => wish.targets.push(targets::find(name).ok_or_else(|| unknown(name))?),
            }
            if word == "--list" {
                std::process::exit(0);
            }
        }
        if wish.targets.is_empty() {
            wish.targets = targets::ALL.iter().collect();
        }
        if let Some(total) = total {
            wish.seconds = (total / wish.targets.len() as u64).max(1);
        }
        Ok(wish)
    }

    fn feed(&self) -> Result<(), String> {
        let bounds = Bounds { time: Duration::from_secs(self.seconds), count: self.count };
        let mut failures = Vec::new();
        for target in &self.targets {
            println!("{} --seed {} for {} s", target.name, self.seed, self.seconds);
            match driver::feed(target, self.seed, bounds) {
                Ok(count) => println!("    {count} inputs"),
                Err(finding) => {
                    println!("    FOUND: {}\n    again: {}", finding.what, finding.replay);
                    failures.push(target.name);
                }
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(format!("findings in: {}", failures.join(", "))) }
    }

    fn replay(&self, file: &Path) -> Result<(), String> {
        let [target] = self.targets[..] else { return Err("say which target the file is for".into()) };
        let input = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        driver::take(target, &input)?;
        println!("{}: {} bytes, nothing wrong", target.name, input.len());
        Ok(())
    }

    /// The samples as files, one folder per target, as fuzzers want them.
    fn write_seeds(&self, folder: &Path) -> Result<(), String> {
        for target in &self.targets {
            let place = folder.join(target.name);
            std::fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
            for (number, sample) in driver::samples(target).iter().enumerate() {
                let file = place.join(format!("seed-{number:03}"));
                std::fs::write(&file, sample).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        Ok(())
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
    format!("there is no target {name}; there are: {}", names.join(", "))
}
