//! Budgets, refills, timeouts and YieldTo on a clock that the tests move (kernel-abi chapter 5, appendix C).

use hybrid_abi::bootinfo::word;
use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::{self, Syscall};
use proptest::prelude::*;

use crate::cap::Cap;
use crate::model_tests::capabilities::cases;
use crate::model_tests::invariants::check;
use crate::model_tests::world::{Thread, World};
use crate::object::{SchedContextRef, ThreadState};

/// Ticks of a millisecond and of the minimum budget.
const MS: u64 = 62_500;
const MIN: u64 = 1250;

fn configure(w: &World, context: u64, budget_us: u64, period_us: u64, extra: u64) {
    let control = w.info(word::SCHED_CONTROL);
    w.ok(control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[budget_us, period_us, extra, 0x5a, 0], &[context]);
}

fn consumed(w: &World, context: u64) -> u64 {
    w.ok(context, l::SCHED_CONTEXT_CONSUMED, &[], &[])[0]
}

fn context_of(w: &World, slot: u64) -> SchedContextRef {
    let Cap::SchedContext { at, .. } = w.cap(slot) else { panic!("no scheduling context") };
    at
}

/// Root below a started thread of priority 200 with these parameters.
fn with_budget(budget_us: u64, period_us: u64, extra: u64) -> (World, Thread) {
    let mut w = World::new(1 << 20);
    let thread = w.thread(200);
    configure(&w, thread.context, budget_us, period_us, extra);
    w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    w.start(thread);
    assert_eq!(w.current(), thread.at);
    (w, thread)
}

#[test]
fn periodic_thread_gets_its_budget_in_each_period() {
    let (w, thread) = with_budget(1000, 10_000, 0);
    let mut ran = 0;
    let start = w.k.platform.clock.get();
    while w.k.platform.clock.get() < start + 40 * MS - MS / 2 {
        let runs = w.k.current_thread() == Some(thread.at);
        w.run_for(100);
        ran += if runs { 100 } else { 0 };
        check(&w.k);
    }
    assert!((4 * MS - 1000..=4 * MS + 1000).contains(&ran), "{ran} ticks");
    // The rest belongs to the root thread; the consumed time is reported once.
    assert_eq!(w.current(), w.root);
    let us = consumed(&w, thread.context);
    assert!((3950..=4050).contains(&us), "{us} µs");
    assert_eq!(consumed(&w, thread.context), 0);
}

#[test]
fn round_robin_rotates_equal_threads_every_slice() {
    let mut w = World::new(1 << 20);
    let threads = [w.thread(200), w.thread(200)];
    w.ok(1, l::TCB_SET_PRIORITY, &[200], &[1]);
    threads.into_iter().for_each(|thread| w.start(thread));
    for expected in [w.root, threads[0].at, threads[1].at, w.root] {
        assert_eq!(w.current(), expected);
        w.run_for(5 * MS);
        check(&w.k);
    }
}

#[test]
fn call_with_less_than_the_minimum_budget_restarts() {
    let (w, thread) = with_budget(1000, 10_000, 0);
    let pc = w.k.tcb(thread.at).pc();
    w.k.platform.clock.set(w.k.platform.clock.get() + MS - MIN + 1);
    w.svc(syscall::YIELD);
    assert_eq!((w.current(), w.k.tcb(thread.at).fault_ip()), (w.root, pc));
    assert_eq!(w.k.tcb(thread.at).state(), ThreadState::Restart);
    check(&w.k);
}

#[test]
fn yield_sleeps_until_the_next_period_and_counts_only_real_time() {
    let (w, thread) = with_budget(1000, 10_000, 0);
    w.run_for(100 * 125);
    w.svc(syscall::YIELD);
    assert_eq!(w.current(), w.root);
    assert_eq!(consumed(&w, thread.context), 200);
    // Suspend and resume do not bring the budget back.
    w.ok(thread.slot, l::TCB_SUSPEND, &[], &[]);
    w.ok(thread.slot, l::TCB_RESUME, &[], &[]);
    assert_eq!(w.current(), w.root);
    check(&w.k);
    w.run_for(10 * MS);
    assert_eq!(w.current(), thread.at);
}

#[test]
fn exhausted_budget_is_a_timeout_where_there_is_a_handler() {
    let mut w = World::new(1 << 20);
    let (ep, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let thread = w.thread(200);
    configure(&w, thread.context, 1000, 10_000, 0);
    w.ok(thread.slot, l::TCB_SET_TIMEOUT_ENDPOINT, &[], &[ep]);
    w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    w.start(thread);
    for _ in 0..3 {
        w.run_for(MS);
        assert_eq!((w.current(), w.k.tcb(thread.at).state()), (w.root, ThreadState::BlockedOnSend));
        w.receive(Syscall::Recv, ep, reply);
        let (_, info, words) = w.message(w.root);
        assert_eq!((info, words), (MessageInfo::new(5, 0, 0, 2), vec![0x5a, 1000]));
        check(&w.k);
        w.send(Syscall::Send, reply, 0, &[], &[]);
        // No second timeout for the same exhaustion: it waits for its next period.
        assert_eq!((w.current(), w.k.tcb(thread.at).state()), (w.root, ThreadState::Restart));
        assert!(w.k.tcb(thread.at).is_release_queued());
        w.run_for(10 * MS);
        assert_eq!(w.current(), thread.at);
    }
}

#[test]
fn yield_to_runs_an_equal_thread_first_and_reports_its_time() {
    let mut w = World::new(1 << 20);
    let (equal, lower) = (w.thread(100), w.thread(50));
    w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    assert_eq!(w.ok(equal.context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]), [0]);
    w.start(equal);
    w.start(lower);
    assert_eq!(w.ok(lower.context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]), [0]);
    w.send(Syscall::Call, equal.context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]);
    assert_eq!(w.current(), equal.at);
    check(&w.k);
    w.run_for(2 * MS);
    w.send(Syscall::Send, equal.slot, l::TCB_SUSPEND, &[], &[]);
    assert_eq!(w.current(), w.root);
    assert_eq!(w.message(w.root), (0, MessageInfo::new(0, 0, 0, 1), vec![2000]));
    // A lower MCP than the target's priority refuses.
    w.ok(equal.slot, l::TCB_SET_PRIORITY, &[120], &[1]);
    w.ok(1, l::TCB_SET_MC_PRIORITY, &[110], &[1]);
    assert_eq!(w.call(equal.context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]).label, 3);
}

#[test]
fn unconfigured_context_runs_nobody_and_blocked_threads_refuse_it() {
    let mut w = World::new(1 << 20);
    let thread = w.passive_thread(200);
    let (context, ep) = (w.make(T::SchedContext, 8), w.make(T::Endpoint, 0));
    w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    w.ok(context, l::SCHED_CONTEXT_BIND, &[], &[thread.slot]);
    w.start(thread);
    assert_eq!(w.current(), w.root);
    check(&w.k);
    configure(&w, context, 1000, 1000, 0);
    assert_eq!(w.current(), thread.at);
    w.receive(Syscall::Wait, ep, 0);
    w.ok(context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    let other = w.make(T::SchedContext, 8);
    assert_eq!(w.call(other, l::SCHED_CONTEXT_BIND, &[], &[thread.slot]).label, 3);
    w.ok(context, l::SCHED_CONTEXT_BIND, &[], &[thread.slot]);
    check(&w.k);
}

#[test]
fn new_parameters_of_a_ready_thread_count_from_now() {
    let mut w = World::new(1 << 20);
    let thread = w.thread(50);
    configure(&w, thread.context, 1000, 10_000, 4);
    w.start(thread);
    w.run_for(3 * MS);
    configure(&w, thread.context, 2000, 8000, 4);
    let (context, now) = (context_of(&w, thread.context), w.k.this_core().now.get());
    let refills = [0, 1].map(|n| (w.k.refill(context, n).start(), w.k.refill(context, n).amount()));
    assert_eq!(refills, [(now, MS), (now + 8 * MS, MS)]);
    check(&w.k);
}

proptest! {
    #![proptest_config(cases(200))]

    /// Whatever is charged and when: amounts add up, refills stay in order, and no window of one period holds more
    /// than the budget and what may be merged forward. A context is brought up to date whenever a thread starts to use it.
    #[test]
    fn refills_never_give_more_than_the_budget(
        budget_us in 20..500u64,
        slack_us in 1..2000u64,
        extra in 0..9u64,
        steps in prop::collection::vec((0..200_000u64, 1..200_000u64), 1..60),
    ) {
        let mut w = World::new(1 << 20);
        let slot = w.make(T::SchedContext, 8);
        configure(&w, slot, budget_us, budget_us + slack_us, extra.min(8));
        let context = context_of(&w, slot);
        let (budget, period) = (w.k.context(context).budget(), w.k.context(context).period());
        let mut used: Vec<(u64, u64)> = Vec::new();
        for (wait, wanted) in steps {
            w.k.this_core().now.set(w.k.this_core().now.get() + wait);
            w.k.refresh_refills(context);
            let head = w.k.head_refill(context);
            if head.start() <= w.k.this_core().now.get() {
                // Use the head from now on, all of it or a part.
                let usage = head.amount().min(wanted);
                let begins = w.k.this_core().now.get();
                w.k.this_core().now.set(begins + usage);
                w.k.charge_refills(context, usage);
                used.push((begins, usage));
            }
            // No entry led here, so nothing will program the timer.
            w.k.this_core().reprogram.set(false);
            check(&w.k);
            let now = w.k.this_core().now.get();
            let in_period: u64 = used.iter().filter(|(at, _)| at + period > now).map(|(_, n)| n).sum();
            prop_assert!(in_period <= budget + MIN, "{} in one period of {}, budget {}", in_period, period, budget);
        }
    }
}
