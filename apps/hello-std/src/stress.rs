//! Threads that hand on, fight, park, come and go by the hundred; afterwards as many as may be wait for ever.

use std::sync::{Arc, Barrier, Condvar, Mutex, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 300;

/// Says whether all was as it should be. The threads that are left stay, so that a comparison of what lives finds them.
pub(crate) fn run() -> ! {
    println!("stress: handed on {}", handed_on());
    println!("stress: turns {}", turns());
    println!("stress: readers saw only whole pairs: {}", whole_pairs());
    println!("stress: parked at least 10 ms: {}", parked());
    println!("stress: came and went {}", came_and_went());
    let gate = Arc::new(Barrier::new(4));
    for _ in 0..3 {
        let gate = Arc::clone(&gate);
        thread::spawn(move || {
            gate.wait();
            wait_for_ever()
        });
    }
    gate.wait();
    println!("stress: three others wait for ever");
    wait_for_ever()
}

fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// Numbers through two threads, by a channel without a bound and one that holds two.
fn handed_on() -> u64 {
    let (first, from_first) = mpsc::channel();
    let (second, from_second) = mpsc::sync_channel(2);
    thread::scope(|scope| {
        let sending = scope.spawn(move || (0..ROUNDS).all(|number| first.send(number).is_ok()));
        let doubling = scope.spawn(move || from_first.iter().all(|number| second.send(2 * number).is_ok()));
        let sum = from_second.iter().sum();
        // A scope ends with the closures; their threads may still be there, and there are no others.
        let is_all_sent = [sending, doubling].into_iter().all(|thread| thread.join().unwrap_or(false));
        if is_all_sent { sum } else { 0 }
    })
}

/// Three threads that take turns, by one condition.
fn turns() -> u64 {
    let (turn, changed) = (Mutex::new(0_u64), Condvar::new());
    thread::scope(|scope| {
        let threads = [0, 1, 2].map(|number| {
            let (turn, changed) = (&turn, &changed);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                    let waited = changed.wait_while(turn, |turn| *turn % 3 != number);
                    *waited.unwrap_or_else(PoisonError::into_inner) += 1;
                    changed.notify_all();
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap_or_default());
    });
    turn.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn whole_pairs() -> bool {
    let pair = RwLock::new((0_u64, 0_u64));
    thread::scope(|scope| {
        let reader = || {
            (0..ROUNDS).all(|_| {
                let pair = pair.read().unwrap_or_else(PoisonError::into_inner);
                pair.0 == pair.1
            })
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for _ in 0..ROUNDS {
            let mut pair = pair.write().unwrap_or_else(PoisonError::into_inner);
            pair.0 += 1;
            thread::yield_now();
            pair.1 += 1;
        }
        readers.into_iter().all(|reader| reader.join().unwrap_or(false))
    })
}

fn parked() -> bool {
    let start = Instant::now();
    // A park may end early; its time-out counts from the last.
    while start.elapsed() < Duration::from_millis(10) {
        thread::park_timeout(Duration::from_millis(10));
    }
    true
}

/// Each gets a stack, and gives it back for the next.
fn came_and_went() -> u64 {
    (0..ROUNDS).filter(|&number| thread::spawn(move || number % 7).join().is_ok()).count() as u64
}
