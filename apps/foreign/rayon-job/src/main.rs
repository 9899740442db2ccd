//! A job on several threads with rayon, checked against the same without; for the scenario `programs`.
#![forbid(unsafe_code)]

use rayon::prelude::*;
use std::process::ExitCode;

/// Threads of the pool; the main thread waits for them.
const THREADS: usize = 3;
/// What rayon's jobs need at this depth, with room to spare.
const STACK: usize = 128 * 1024;
const NUMBERS: u32 = 30_000;

fn main() -> ExitCode {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).stack_size(STACK).build();
    let pool = match pool {
        Ok(pool) => pool,
        Err(error) => {
            eprintln!("no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let is_right = pool.install(job);
    println!("as without threads: {is_right}");
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_prime(number: &u32) -> bool {
    *number > 1
        && (2..).take_while(|divisor| divisor * divisor <= *number).all(|divisor| !number.is_multiple_of(divisor))
}

/// Whether what several threads find is what one finds.
fn job() -> bool {
    let primes = (0..NUMBERS).into_par_iter().filter(is_prime).count();
    println!("{primes} primes below {NUMBERS}, by {} threads", rayon::current_num_threads());
    let mixed: Vec<u32> = (0..NUMBERS).map(|number| number.wrapping_mul(2_654_435_761) >> 7).collect();
    let (mut sorted, mut expected) = (mixed.clone(), mixed.clone());
    sorted.par_sort_unstable();
    expected.sort_unstable();
    let sum: u64 = mixed.par_iter().map(|number| u64::from(*number)).sum();
    let (left, right) = rayon::join(|| mixed.iter().max(), || mixed.par_iter().min());
    println!("sorted {}, sum {sum}, from {right:?} to {left:?}", sorted.len());
    primes == (0..NUMBERS).filter(is_prime).count()
        && sorted == expected
        && sum == mixed.iter().map(|number| u64::from(*number)).sum::<u64>()
        && (left, right) == (mixed.iter().max(), mixed.iter().min())
}
