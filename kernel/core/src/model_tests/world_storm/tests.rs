//! Slices of the storm for the ordinary test run, and the long one.

use crate::model_tests::world_storm::dice::Dice;
use crate::model_tests::world_storm::{
    Counts, compare_fast_and_slow, preempted_operation, run, take_bytes, take_invocations,
};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn storm<const N: usize>(first: u64, cases: u64, steps: u64) -> Counts {
    let mut counts = Counts::default();
    for seed in first..first + cases {
        counts.add(&run::<N>(seed, steps));
    }
    assert!(counts.late * 50 < counts.calls, "too few calls are compared: {counts:?}");
    counts
}

#[test]
fn storm_agrees_with_the_abi() {
    let first = number("HYBRID_MODEL_SEED", 1);
    let counts = storm::<1>(first, number("HYBRID_MODEL_CASES", 40), number("HYBRID_MODEL_STEPS", 400));
    println!("{counts:?}");
}

#[test]
fn storm_agrees_with_the_abi_on_four_cores() {
    let first = number("HYBRID_MODEL_SEED", 1);
    let counts = storm::<4>(first, number("HYBRID_MODEL_CASES", 40), number("HYBRID_MODEL_STEPS", 400));
    println!("{counts:?}");
}

#[test]
fn storm_is_the_same_with_and_without_fast_paths() {
    let counts = compared::<1>();
    assert!(counts.fast > 50, "{counts:?}");
}

#[test]
fn storm_is_the_same_with_and_without_fast_paths_on_four_cores() {
    let counts = compared::<4>();
    assert!(counts.fast > 50, "{counts:?}");
}

fn compared<const N: usize>() -> Counts {
    let mut counts = Counts::default();
    let first = number("HYBRID_MODEL_SEED", 1);
    for seed in first..first + number("HYBRID_MODEL_CASES", 40) {
        counts.add(&compare_fast_and_slow::<N>(seed, number("HYBRID_MODEL_STEPS", 400)));
    }
    println!("{counts:?}");
    counts
}

#[test]
fn storm_takes_any_bytes() {
    let mut dice = Dice::new(7);
    let mut steps = 0;
    for _ in 0..20 {
        let bytes: Vec<u8> = (0..2000).map(|_| dice.word().to_le_bytes()[5]).collect();
        steps += take_bytes(&bytes);
    }
    assert!(steps > 1000, "{steps} steps");
}

#[test]
fn decoder_takes_any_bytes() {
    let mut dice = Dice::new(8);
    let mut steps = 0;
    for _ in 0..20 {
        let bytes: Vec<u8> = (0..2000).map(|_| dice.word().to_le_bytes()[5]).collect();
        steps += take_invocations(&bytes);
    }
    assert!(steps > 500, "{steps} steps");
}

/// Delete, Revoke and Retype after random storms, preempted after each preemption point in turn: memory and kernel end as if they had
/// not been preempted.
#[test]
fn long_operations_end_the_same_wherever_they_are_preempted() {
    let mut points = 0;
    for seed in 1..=number("HYBRID_MODEL_CASES", 80) {
        let Some(whole) = preempted_operation(seed, 60, None) else { continue };
        points += whole.points;
        for at in 0..whole.points {
            let mut cut = preempted_operation(seed, 60, Some(at)).unwrap();
            cut.points = whole.points;
            assert!(cut == whole, "seed {seed}, preempted at {at}: another state");
        }
    }
    assert!(points >= 8, "{points} points");
}

/// The long run: `HYBRID_MODEL_SEED`, `HYBRID_MODEL_CASES` and `HYBRID_MODEL_STEPS` say which cases. Every eighth case is
/// run twice, with and without the fast paths. Prints what it reached every thousand cases.
#[test]
#[ignore = "millions of steps, half an hour: run by hand as docs/kernel/evidence.md says"]
fn long() {
    long_storm::<1>();
}

/// The same on four cores.
#[test]
#[ignore = "more than a million steps, many minutes: run by hand as docs/kernel/evidence.md says"]
fn long_on_four_cores() {
    long_storm::<4>();
}

fn long_storm<const N: usize>() {
    let (first, cases, steps) =
        (number("HYBRID_MODEL_SEED", 1), number("HYBRID_MODEL_CASES", 25_000), number("HYBRID_MODEL_STEPS", 500));
    let start = std::time::Instant::now();
    let (mut counts, mut compared) = (Counts::default(), Counts::default());
    for seed in first..first + cases {
        counts.add(&run::<N>(seed, steps));
        if seed % 8 == 0 {
            compared.add(&compare_fast_and_slow::<N>(seed, steps));
        }
        if (seed - first) % 1000 == 999 || seed + 1 == first + cases {
            let time = start.elapsed().as_secs();
            println!(
                "{N} cores, seeds {first} to {seed}, {time} s: {} steps, fast = slow in {}",
                counts.steps, compared.steps
            );
            println!("{counts:?}\n{compared:?}");
        }
    }
}
