//! A storm over all objects and all invocations: random threads do random things, and after every step every invariant
//! holds, every answer is the one that the ABI's text demands, and every refused call has changed nothing.
//!
//! A case is a seed and a number of steps; `HYBRID_MODEL_SEED` and `HYBRID_MODEL_VERBOSE` show one again.

mod census;
mod dice;
mod draw;
mod oracle;
#[cfg(test)]
mod provoke;
#[cfg(test)]
mod refusals;
mod rulings;
mod setup;
mod space_rulings;
mod step;
mod supervisor;
#[cfg(test)]
mod tests;

use dice::Dice;
pub use step::Counts;
use step::{Storm, cells};

/// Says which case failed.
struct Case {
    seed: u64,
    step: u64,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("storm with seed {} failed in step {}", self.seed, self.step);
        }
    }
}

/// Runs one case on a machine of `N` cores, of which any enters next; gives what it reached.
pub fn run<const N: usize>(seed: u64, steps: u64) -> Counts {
    let mut dice = Dice::new(seed);
    let mut case = Case { seed, step: 0 };
    let mut storm = Storm::<N>::new();
    for step in 0..steps {
        case.step = step;
        if !storm.step(&mut dice) {
            break;
        }
    }
    storm.counts.fast = storm.k().model.fast_count.get();
    storm.counts.clone()
}

/// As [`take_bytes`], but the bytes are invocations only: capability, label, length, words, all of them without any sense.
pub fn take_invocations(bytes: &[u8]) -> u64 {
    let mut dice = Dice::Bytes(bytes);
    let mut storm = Storm::<1>::new();
    while !dice.is_used_up() && storm.counts.steps < 300 && storm.step_of_decoder(&mut dice) {}
    storm.counts.steps
}

/// What a long operation left: memory, the kernel's own state, and how many preemption points it had.
#[cfg(test)]
#[derive(Debug, PartialEq, Eq)]
struct Left {
    memory: Vec<u64>,
    cells: step::Cells,
    points: u32,
}

/// After a storm, the supervisor deletes, revokes or retypes something, preempted after so many preemption points (`None`: never).
/// `None`: the supervisor cannot run any more.
#[cfg(test)]
fn preempted_operation(seed: u64, steps: u64, at: Option<u32>) -> Option<Left> {
    let mut dice = Dice::new(seed);
    let mut storm = Storm::<1>::new();
    storm.is_checked = false;
    for _ in 0..steps {
        storm.step(&mut dice);
    }
    storm.wake_supervisor()?;
    let points = storm.long_operation(&mut dice, at);
    crate::model_tests::invariants::check(storm.k());
    let memory = storm.k().platform.words_of_all();
    Some(Left { memory, cells: cells(storm.k()), points })
}

/// Runs the case that bytes stand for: every decision is made by the next of them.
pub fn take_bytes(bytes: &[u8]) -> u64 {
    let mut dice = Dice::Bytes(bytes);
    let mut storm = Storm::<1>::new();
    while !dice.is_used_up() && storm.counts.steps < 300 && storm.step(&mut dice) {}
    storm.counts.steps
}

/// Runs one case twice on a machine of `N` cores, once without the fast paths: memory, the kernel's own state on each core and the
/// machine's stay equal.
pub fn compare_fast_and_slow<const N: usize>(seed: u64, steps: u64) -> Counts {
    let mut case = Case { seed, step: 0 };
    let (mut fast, mut slow) = (Storm::<N>::new(), Storm::<N>::new());
    let (mut dice, mut same_dice) = (Dice::new(seed), Dice::new(seed));
    (fast.is_checked, slow.is_checked) = (false, false);
    slow.k().model.is_slow_only.set(true);
    for step in 0..steps {
        case.step = step;
        let (taken, sampled) = (fast.k().model.fast_count.get(), fast.k().platform.samples.get());
        let goes_on = fast.step(&mut dice);
        // A fast way that did not look at the clock is compared with the ordinary way at the time of the last look.
        let is_frozen = fast.k().model.fast_count.get() != taken && fast.k().platform.samples.get() == sampled;
        slow.k().model.is_clock_frozen.set(is_frozen);
        slow.step(&mut same_dice);
        slow.k().model.is_clock_frozen.set(false);
        assert_eq!(all_cores(&fast), all_cores(&slow));
        assert_eq!(fast.k().platform.difference(&slow.k().platform), None, "memory differs");
        if !goes_on {
            break;
        }
    }
    fast.counts.fast = fast.k().model.fast_count.get();
    fast.counts.clone()
}

/// What the kernel knows of a core, with its last sample of the clock and the time since its last charge.
type OfCore = (step::Cells, u64, u64);

/// That of each core; the clock of all, and who is to enter.
fn all_cores<const N: usize>(storm: &Storm<N>) -> (Vec<OfCore>, u64, [u8; 2]) {
    let machine = &storm.k().platform;
    let here = machine.core.get();
    let of_core = |core| {
        machine.core.set(core);
        let state = storm.k().this_core();
        (cells(storm.k()), state.now.get(), state.consumed.get())
    };
    let cores = (0..N).map(of_core).collect();
    machine.core.set(here);
    (cores, machine.clock.get(), [machine.stopped.get(), machine.woken.get()])
}
