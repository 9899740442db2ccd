//! Says what a component with Rust's standard library can do, and ends with a status that depends on it.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

fn main() {
    println!("hello from std, {}", std::env::args().collect::<Vec<_>>().join(" "));
    println!("MOOD is {:?}", std::env::var("MOOD"));
    println!("{}", counted("the quick brown fox jumps over the lazy dog the end"));
    // The same for two instances if it came from anything but the entropy server.
    println!("seed {:x}", RandomState::new().hash_one(1));
    println!("{}", sums());
    println!("slept at least 20 ms: {}", slept());
    println!("a file: {}", std::fs::read("/etc/passwd").map_or_else(|error| error.to_string(), |_| "there".into()));
    println!(
        "a socket: {}",
        std::net::TcpListener::bind("0.0.0.0:80").map_or_else(|error| error.to_string(), |_| "there".into())
    );
    println!(
        "a process: {}",
        std::process::Command::new("sh").spawn().map_or_else(|error| error.to_string(), |_| "there".into())
    );
    eprint!("and one line ");
    eprintln!("in two parts");
    match std::env::args().nth(1).as_deref() {
        Some("panic") => panic!("as told"),
        Some("abort") => std::process::abort(),
        _ => std::process::exit(3),
    }
}

/// Words and how often each comes, through a map whose order nobody can guess.
fn counted(text: &str) -> String {
    let mut counts = HashMap::new();
    for word in text.split(' ') {
        *counts.entry(word).or_insert(0) += 1;
    }
    let mut counts: Vec<(&str, i32)> = counts.into_iter().collect();
    counts.sort_by_key(|(word, count)| (-count, *word));
    format!("{counts:?}")
}

/// Memory that comes and goes, and arithmetic with fractions.
fn sums() -> String {
    let rows: Vec<Vec<f64>> =
        (1..=200).map(|row| (1..=200).map(|column| f64::from(row * column).sqrt()).collect()).collect();
    let text: String = (0..20_000).map(|number| number.to_string()).collect();
    format!("sum {:.3}, {} digits", rows.iter().flatten().sum::<f64>(), text.len())
}

fn slept() -> bool {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    start.elapsed() >= Duration::from_millis(20)
}
