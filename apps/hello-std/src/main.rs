//! Says what a component with Rust's standard library can do, and ends with a status that depends on it.
#![forbid(unsafe_code)]

mod own;
mod stress;

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

fn main() {
    if std::env::args().nth(1).as_deref() == Some("stress") {
        stress::run();
    }
    println!("hello from std, {}", std::env::args().collect::<Vec<_>>().join(" "));
    println!("MOOD is {:?}", std::env::var("MOOD"));
    println!("{}", counted("the quick brown fox jumps over the lazy dog the end"));
    // The same for two instances if it came from anything but the entropy server.
    println!("seed {:x}", RandomState::new().hash_one(1));
    println!("{}", sums());
    println!("slept at least 20 ms: {}", slept());
    println!("{}", threads());
    println!("a time-out: {}", timed_out());
    println!("a fifth thread: {}", fifth_thread());
    println!("a file: {}", std::fs::read("/etc/shadow").map_or_else(|error| error.to_string(), |_| "there".into()));
    println!(
        "a socket: {}",
        std::net::TcpListener::bind("0.0.0.0:80").map_or_else(|error| error.to_string(), |_| "there".into())
    );
    println!("talks to itself: {}", own::talk());
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

/// A lock that threads fight for, a value for each, a thread that is parked, and a hundred that come and go.
fn threads() -> String {
    thread_local!(static OWN: Cell<u32> = const { Cell::new(0) });
    let total = Mutex::new(0_u32);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    OWN.set(OWN.get() + 1);
                    *total.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
            });
        }
    });
    let parked = std::thread::spawn(|| {
        std::thread::park();
        OWN.get()
    });
    parked.thread().unpark();
    let rest = (0..100).map(|number| std::thread::spawn(move || number).join().unwrap_or_default()).sum::<u32>();
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    format!("threads: {total}, {}, {rest}", OWN.get() + parked.join().unwrap_or(u32::MAX))
}

/// Who waits for what never comes waits for as long as it said, while others compute.
fn timed_out() -> bool {
    let (never, lock) = (Condvar::new(), Mutex::new(()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (_guard, outcome) =
            never.wait_timeout(guard, Duration::from_millis(30)).unwrap_or_else(PoisonError::into_inner);
        is_over.store(true, Ordering::Relaxed);
        outcome.timed_out()
    })
}

/// component.toml declares four.
fn fifth_thread() -> String {
    let gate = Arc::new(Barrier::new(4));
    let wait = || {
        let gate = Arc::clone(&gate);
        move || {
            gate.wait();
        }
    };
    let others: Vec<_> = (0..3).map(|_| std::thread::spawn(wait())).collect();
    let fifth = std::thread::Builder::new().spawn(|| ()).map_or_else(|error| error.to_string(), |_| "started".into());
    gate.wait();
    let joined = others.into_iter().filter_map(|thread| thread.join().ok()).count();
    format!("{fifth}; {joined} others ended")
}

fn slept() -> bool {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    start.elapsed() >= Duration::from_millis(20)
}
