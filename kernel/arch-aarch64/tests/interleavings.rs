//! The kernel lock and the calls between cores (`src/cores.rs` itself) in every order of steps within a bound.
//!
//! Around it stands a small kernel that does between cores what `run.rs` and `sched/cores.rs` do: cores run threads, wake
//! each other's, stop each other and ask each other. At the end of each run nobody may wait for what has happened. The steps are
//! those of a machine on which all see one order of memory; weaker orders are docs/kernel/smp.md's argument.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cores::Request;

#[path = "../src/cores.rs"]
#[expect(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "as in the crate; what nobody waits for is not used here"
)]
mod cores;
mod interleavings {
    pub(crate) mod explorer;
    pub(crate) mod steps;
}
use interleavings::explorer;
use interleavings::steps::{atomic, cpu};

/// Cores of the machine; the kernel is built for more.
pub(crate) const CORES: usize = 3;

const REMOTE_CALL: u32 = 0;
const RESCHEDULE: u32 = 1;

/// What a thread does in its next system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Wakes a thread, or saves it the next wait.
    Signal(usize),
    /// Blocks until it is signalled.
    Wait,
    /// Takes a thread from its core and looks at its registers; it goes on afterwards.
    Inspect(usize),
    /// Has a core do something that only that one can do.
    Ask(usize),
}
use Call::{Ask, Inspect, Signal, Wait};

/// A thread that lives on one core and then polls in user mode for ever, or until somebody stops it.
#[derive(Clone, Debug)]
struct Thread {
    home: usize,
    priority: u8,
    script: &'static [Call],
    done: usize,
    is_blocked: bool,
    has_signal: bool,
    /// Its registers are in memory.
    is_saved: bool,
}

const fn thread(home: usize, priority: u8, script: &'static [Call]) -> Thread {
    Thread { home, priority, script, done: 0, is_blocked: false, has_signal: false, is_saved: true }
}

#[derive(Default)]
struct Kernel {
    threads: Vec<Thread>,
    ready: [Vec<usize>; CORES],
    current: [Option<usize>; CORES],
    /// The core was stopped and will choose.
    chooses: [bool; CORES],
    to_wake: [bool; CORES],
    served: [u32; CORES],
    asked: [u32; CORES],
    holder: Option<usize>,
    is_in_user_mode: [bool; CORES],
}

static KERNEL: Mutex<Option<Kernel>> = Mutex::new(None);

/// The kernel's state. Not a lock of the machine's: one core runs at a time.
fn kernel<T>(work: impl FnOnce(&mut Kernel) -> T) -> T {
    let mut guard: MutexGuard<'_, _> = KERNEL.lock().unwrap_or_else(PoisonError::into_inner);
    work(guard.as_mut().expect("started"))
}

impl Kernel {
    fn best(&self, core: usize) -> Option<usize> {
        self.ready[core].iter().copied().max_by_key(|thread| self.threads[*thread].priority)
    }

    /// `ready_push`, `tell_home` and `wake_home`.
    fn make_ready(&mut self, here: usize, thread: usize) {
        let (home, priority) = (self.threads[thread].home, self.threads[thread].priority);
        self.ready[home].push(thread);
        let running = self.current[home].map(|running| self.threads[running].priority);
        if home != here && running.is_none_or(|running| running < priority) && !self.chooses[home] {
            self.to_wake[home] = true;
        }
    }

    /// `schedule`: the best of the ready ones and the current one.
    fn choose(&mut self, core: usize) {
        self.chooses[core] = false;
        let current = self.current[core].map(|thread| self.threads[thread].priority);
        let best = self.best(core).filter(|best| current.is_none_or(|current| self.threads[*best].priority > current));
        if let Some(best) = best {
            self.ready[core].retain(|thread| *thread != best);
            self.ready[core].extend(self.current[core].replace(best));
        }
    }
}

fn serve(core: usize, request: Request) {
    assert_eq!(request, Request::ReleaseFp);
    kernel(|k| {
        assert!(!k.is_in_user_mode[core] && k.holder != Some(core), "does something for another core in user mode");
        k.served[core] += 1;
    });
}

fn enter(core: usize) {
    kernel(|k| {
        if let Some(thread) = k.current[core].filter(|_| k.is_in_user_mode[core]) {
            k.threads[thread].is_saved = true;
        }
        k.is_in_user_mode[core] = false;
    });
    cores::enter(|request| serve(core, request));
    kernel(|k| assert_eq!(k.holder.replace(core), None, "two cores have the lock"));
}

/// The tail of every entry: chooses, wakes who was made ready, waits if there is nobody, goes to user mode.
fn leave(core: usize) {
    loop {
        let wakes = kernel(|k| {
            k.choose(core);
            std::mem::take(&mut k.to_wake)
        });
        for other in (0..CORES).filter(|other| wakes[*other]) {
            explorer::raise(other, RESCHEDULE);
        }
        if kernel(|k| {
            k.holder = None;
            k.current[core].is_some()
        }) {
            cores::leave();
            // On the way the registers are still read.
            kernel(|k| {
                let thread = k.current[core].expect("nobody takes it away meanwhile");
                k.threads[thread].is_saved = false;
                k.is_in_user_mode[core] = true;
            });
            return;
        }
        cores::idle();
        explorer::wait_for_interrupt();
        enter(core);
        explorer::acknowledge();
    }
}

/// `stop_remote`: the thread goes back to the head of its ready queue.
fn stop(core: usize, thread: usize) {
    let home = kernel(|k| k.threads[thread].home);
    if home != core && kernel(|k| k.current[home] == Some(thread)) {
        cores::stop(home, || explorer::raise(home, REMOTE_CALL));
        kernel(|k| {
            assert!(!k.is_in_user_mode[home], "still in user mode");
            assert!(k.threads[thread].is_saved, "its registers are not saved yet");
            k.current[home] = None;
            k.chooses[home] = true;
            k.make_ready(core, thread);
        });
    }
}

fn carry_out(core: usize, thread: usize, call: Call) {
    match call {
        Signal(other) => kernel(|k| {
            if std::mem::take(&mut k.threads[other].is_blocked) {
                k.make_ready(core, other);
            } else {
                k.threads[other].has_signal = true;
            }
        }),
        Wait => kernel(|k| {
            if !std::mem::take(&mut k.threads[thread].has_signal) {
                k.threads[thread].is_blocked = true;
                k.current[core] = None;
            }
        }),
        Inspect(other) => stop(core, other),
        Ask(other) => {
            let before = kernel(|k| {
                k.asked[other] += 1;
                k.served[other]
            });
            cores::ask(other, Request::ReleaseFp, || explorer::raise(other, REMOTE_CALL));
            assert_eq!(kernel(|k| k.served[other]), before + 1, "asked, and not done once");
        }
    }
}

/// What a core does for ever.
fn run(core: usize) {
    enter(core);
    loop {
        leave(core);
        let next = kernel(|k| {
            let thread = &k.threads[k.current[core].expect("somebody runs")];
            thread.script.get(thread.done).copied()
        });
        let is_pending = explorer::is_pending();
        match next {
            Some(call) if !is_pending || explorer::either() => {
                enter(core);
                // A core that was stopped has no current thread: the call is made later.
                if let Some(thread) = kernel(|k| k.current[core]) {
                    kernel(|k| k.threads[thread].done += 1);
                    carry_out(core, thread, call);
                }
            }
            _ => {
                explorer::wait_for_interrupt();
                enter(core);
                explorer::acknowledge();
            }
        }
    }
}

/// Nobody can go on: everything must have happened.
fn check() {
    kernel(|k| {
        for core in 0..CORES {
            let running = k.current[core].map(|thread| k.threads[thread].priority);
            let best = k.best(core).map(|best| k.threads[best].priority);
            assert!(best <= running, "core {core} does not run the best of its threads: a wake-up is lost");
        }
        for (n, thread) in k.threads.iter().enumerate() {
            let is_over = thread.done == thread.script.len();
            assert!(!thread.is_blocked && is_over, "thread {n} waits for ever: {thread:?}");
        }
        assert_eq!(k.served, k.asked);
    });
}

/// Runs threads that are ready at first under every order of steps with one preemption, or more if asked for.
fn try_all(threads: &[Thread]) {
    let start = || {
        let mut k = Kernel { threads: threads.to_vec(), ..Kernel::default() };
        for (n, thread) in threads.iter().enumerate() {
            k.ready[thread.home].push(n);
        }
        *KERNEL.lock().unwrap_or_else(PoisonError::into_inner) = Some(k);
    };
    let preemptions = std::env::var("HYBRID_PREEMPTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let runs = explorer::explore(preemptions, start, run, check);
    println!("{runs} runs with at most {preemptions} preemptions");
    assert!(runs > 100, "only {runs} orders");
}

#[test]
fn call_and_answer_between_two_cores_arrive() {
    try_all(&[thread(0, 5, &[Signal(1), Wait, Signal(1), Wait]), thread(1, 5, &[Wait, Signal(0), Wait, Signal(0)])]);
}

#[test]
fn waking_a_core_that_is_busy_idle_or_between_is_not_lost() {
    let threads = [
        thread(0, 5, &[Signal(2), Wait]),
        thread(1, 1, &[]),
        thread(1, 9, &[Wait, Signal(0), Signal(3), Wait]),
        thread(2, 5, &[Wait, Signal(2)]),
    ];
    try_all(&threads);
}

#[test]
fn stopping_a_thread_waits_for_its_registers() {
    let threads = [thread(0, 5, &[Inspect(1), Signal(1)]), thread(1, 5, &[Wait]), thread(2, 5, &[Inspect(1)])];
    try_all(&threads);
}

#[test]
fn stopping_each_other_ends() {
    let threads = [thread(0, 5, &[Inspect(1), Inspect(2)]), thread(1, 5, &[Inspect(0)]), thread(2, 5, &[Inspect(0)])];
    try_all(&threads);
}

#[test]
fn cores_that_ask_each_other_are_served() {
    try_all(&[thread(0, 5, &[Ask(1)]), thread(1, 5, &[Ask(0)])]);
}

#[test]
fn an_idle_core_does_what_it_is_asked_for() {
    try_all(&[thread(0, 5, &[Ask(1)])]);
}
