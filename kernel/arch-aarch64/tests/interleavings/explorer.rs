//! Runs a few cores, each on a thread of the host, step by step, in every order within a bound on preemptions.
//!
//! A step ends where a core touches what others touch: an atomic word, or the interrupts that wait for a core. A case is
//! run again and again, each time with the last decision that has an alternative taken otherwise.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::CORES;

/// What a core can do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Runs,
    /// Polls, and saw nothing newer than this write: it would only poll again.
    Polls(u64),
    /// Waits for an interrupt.
    Waits,
}

/// One decision: which of so many was taken.
#[derive(Clone, Copy)]
struct Choice {
    taken: usize,
    of: usize,
}

struct State {
    status: [Status; CORES],
    /// Interrupts that wait for a core, one bit each.
    pending: [u8; CORES],
    /// Counts what anybody wrote.
    writes: u64,
    running: usize,
    /// Changes of core that are still to be made where the last one could go on.
    preemptions: u32,
    choices: Vec<Choice>,
    /// Decisions made in this run.
    made: usize,
    /// Nobody goes on. `Err`: why that is wrong.
    end: Option<Result<(), String>>,
    /// Cores whose threads are not done with this run.
    left: usize,
}

/// Unwinds a core's thread when the run is over.
struct Over;

static STATE: Mutex<Option<State>> = Mutex::new(None);
/// Says that it is a core's turn, or that the run is over.
static DONE: Condvar = Condvar::new();
static TURNS: [Condvar; CORES] = [const { Condvar::new() }; CORES];
/// One exploration at a time, whatever the test runner does.
static ALONE: Mutex<()> = Mutex::new(());
/// Number of the run: atomics of an earlier one have their first value again.
pub(crate) static RUN: AtomicU64 = AtomicU64::new(0);
/// There are no more runs.
static IS_OVER: AtomicBool = AtomicBool::new(false);

thread_local! {
    pub(crate) static CORE: Cell<usize> = const { Cell::new(0) };
    /// The last write when this core began to look.
    static LOOKED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn can_go_on(&self, core: usize) -> bool {
        match self.status[core] {
            Status::Runs => true,
            Status::Polls(seen) => self.writes > seen,
            Status::Waits => self.pending[core] != 0,
        }
    }

    fn choose(&mut self, of: usize) -> usize {
        if self.made == self.choices.len() {
            self.choices.push(Choice { taken: 0, of });
        }
        let choice = self.choices[self.made];
        assert_eq!(choice.of, of, "the run is not the same again");
        self.made += 1;
        choice.taken
    }

    /// Decides who makes the next step.
    fn decide(&mut self, core: usize) {
        let goes_on = self.can_go_on(core);
        let others: Vec<usize> = (0..CORES).filter(|other| *other != core && self.can_go_on(*other)).collect();
        let may_change = !goes_on || self.preemptions > 0;
        let options: Vec<usize> =
            goes_on.then_some(core).into_iter().chain(others.into_iter().filter(|_| may_change)).collect();
        if options.is_empty() {
            let polls = self.status.iter().any(|status| matches!(status, Status::Polls(_)));
            let wrong = polls.then(|| "a core polls for what nobody will do".to_owned());
            self.end.get_or_insert(wrong.map_or(Ok(()), Err));
            return;
        }
        let taken = if options.len() == 1 { 0 } else { self.choose(options.len()) };
        self.preemptions -= u32::from(goes_on && taken != 0);
        self.running = options[taken];
    }
}

/// A step ends, after which the core is in this status; gives the state when the core has its turn again.
fn step(status: Status) -> MutexGuard<'static, Option<State>> {
    let core = CORE.get();
    let mut guard = lock();
    if let Some(state) = guard.as_mut().filter(|state| state.end.is_none()) {
        state.status[core] = status;
        state.decide(core);
        match state.end {
            Some(_) => TURNS.iter().for_each(Condvar::notify_one),
            None if state.running != core => TURNS[state.running].notify_one(),
            None => {}
        }
    }
    wait_for_turn(guard)
}

fn wait_for_turn(mut guard: MutexGuard<'static, Option<State>>) -> MutexGuard<'static, Option<State>> {
    let core = CORE.get();
    loop {
        match guard.as_mut() {
            Some(state) if state.end.is_none() => {
                if state.running == core {
                    state.status[core] = Status::Runs;
                    return guard;
                }
            }
            _ => {
                drop(guard);
                resume_unwind(Box::new(Over));
            }
        }
        guard = TURNS[core].wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Before what others touch is looked at.
pub(crate) fn look() {
    let guard = step(Status::Runs);
    let writes = guard.as_ref().map(|state| state.writes);
    LOOKED.set(LOOKED.get().or(writes));
}

/// Before something is written that others look at.
pub(crate) fn write() {
    if let Some(state) = step(Status::Runs).as_mut() {
        state.writes += 1;
    }
}

/// What a core found is not what it waits for.
pub(crate) fn poll_again() {
    if let Some(seen) = LOOKED.take() {
        drop(step(Status::Polls(seen)));
    }
}

/// Sends an interrupt to a core.
pub(crate) fn raise(core: usize, sgi: u32) {
    if let Some(state) = step(Status::Runs).as_mut() {
        state.pending[core] |= 1 << sgi;
        state.writes += 1;
    }
}

/// Waits until an interrupt is pending.
pub(crate) fn wait_for_interrupt() {
    drop(step(Status::Waits));
}

/// Whether an interrupt is pending now.
pub(crate) fn is_pending() -> bool {
    step(Status::Runs).as_ref().is_some_and(|state| state.pending[CORE.get()] != 0)
}

/// Takes the first pending interrupt.
pub(crate) fn acknowledge() -> Option<u32> {
    let mut guard = step(Status::Runs);
    let pending = &mut guard.as_mut()?.pending[CORE.get()];
    let first = (*pending != 0).then(|| pending.trailing_zeros())?;
    *pending &= !(1 << first);
    Some(first)
}

/// One of several things happens.
pub(crate) fn either() -> bool {
    let mut guard = step(Status::Runs);
    guard.as_mut().is_some_and(|state| state.choose(2) == 1)
}

/// Runs `core` on each core with all decisions within the bound, and `check` at the end of each run, when nobody can go on.
/// Gives the number of runs.
pub(crate) fn explore(preemptions: u32, start: impl Fn(), core: impl Fn(usize) + Sync, check: impl Fn()) -> u64 {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (core, last) = (&core, RUN.load(Relaxed));
    IS_OVER.store(false, Relaxed);
    std::thread::scope(|scope| {
        for number in 0..CORES {
            scope.spawn(move || work(number, last, core));
        }
        let result = catch_unwind(AssertUnwindSafe(|| run_all(preemptions, start, check)));
        let mut guard = lock();
        *guard = None;
        IS_OVER.store(true, Relaxed);
        drop(guard);
        TURNS.iter().for_each(Condvar::notify_one);
        result.unwrap_or_else(|failure| resume_unwind(failure))
    })
}

fn run_all(preemptions: u32, start: impl Fn(), check: impl Fn()) -> u64 {
    let mut choices = Vec::new();
    for runs in 1.. {
        start();
        let state = run_once(State {
            status: [Status::Runs; CORES],
            pending: [0; CORES],
            writes: 0,
            running: 0,
            preemptions,
            choices: std::mem::take(&mut choices),
            made: 0,
            end: None,
            left: CORES,
        });
        let told = || state.choices.iter().map(|choice| choice.taken.to_string()).collect::<Vec<_>>().join(" ");
        if let Some(Err(reason)) = &state.end {
            panic!("run {runs}: {reason}; choices {}", told());
        }
        if let Err(failure) = catch_unwind(AssertUnwindSafe(&check)) {
            eprintln!("run {runs}, choices {}", told());
            resume_unwind(failure);
        }
        choices = state.choices;
        while choices.pop_if(|last| last.taken + 1 == last.of).is_some() {}
        match choices.last_mut() {
            Some(last) => last.taken += 1,
            None => return runs,
        }
    }
    unreachable!("more runs than there are numbers")
}

/// One run of all cores, from this state to its end.
fn run_once(state: State) -> State {
    let mut guard = lock();
    *guard = Some(state);
    RUN.fetch_add(1, Relaxed);
    TURNS.iter().for_each(Condvar::notify_one);
    while guard.as_ref().is_some_and(|state| state.left > 0) {
        guard = DONE.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    guard.take().expect("set above")
}

/// The thread of a core: run after run.
fn work(number: usize, mut last: u64, core: &(impl Fn(usize) + Sync)) {
    CORE.set(number);
    loop {
        let mut guard = lock();
        while guard.is_none() || RUN.load(Relaxed) == last {
            if IS_OVER.load(Relaxed) {
                return;
            }
            guard = TURNS[number].wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        last = RUN.load(Relaxed);
        drop(guard);
        run_core(number, core);
        if let Some(state) = lock().as_mut() {
            state.left -= 1;
            if state.left == 0 {
                DONE.notify_one();
            }
        }
    }
}

fn run_core(number: usize, core: &(impl Fn(usize) + Sync)) {
    LOOKED.set(None);
    let result = catch_unwind(AssertUnwindSafe(|| {
        drop(wait_for_turn(lock()));
        core(number);
    }));
    let failure = match result {
        Err(failure) if failure.is::<Over>() => return,
        Err(failure) => failure
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| failure.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "a core panicked".to_owned()),
        Ok(()) => "a core came to an end".to_owned(),
    };
    if let Some(state) = lock().as_mut() {
        state.end = Some(Err(format!("core {number}: {failure}")));
    }
    TURNS.iter().for_each(Condvar::notify_one);
}
