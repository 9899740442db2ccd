//! `hybrid-fuzz [TARGET] [--seconds N] [--seed N]`: feeds one target, or all.
#![forbid(unsafe_code)]

use hybrid_fuzz::{feed, targets};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    let seconds = value("--seconds").unwrap_or(10);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let seed = value("--seed").unwrap_or(clock);
    let wanted = words.first().filter(|word| !word.starts_with("--"));
    let chosen: Vec<_> = targets::ALL.iter().filter(|target| wanted.is_none_or(|name| name == target.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        eprintln!("there is no such target; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    for target in chosen {
        println!("{} --seed {seed} for {seconds} s", target.name);
        println!("    {} inputs", feed(target, seed, Duration::from_secs(seconds)));
    }
    ExitCode::SUCCESS
}
