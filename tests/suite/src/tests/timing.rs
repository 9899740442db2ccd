//! Budgets, slices, periods, consumed time (conformance 88, 90, 98 to 100, 103, 104).
//!
//! A host that pauses the emulator distorts time, and a thread that stands still for the pause is charged for it: where time is not
//! exact, everything takes ten times as long, bounds are wider, and one good round of several is enough.

use hybrid_sys::{Error, SchedParameters, yield_now};

use super::tests;
use crate::suite::Test;
use crate::timer::{is_exact, now_us, spin_us};
use crate::world::{Outcome, Plan, SELF, Thread, Word, World, cell, share};

pub(super) const TESTS: &[Test] = tests![
    c088_reconfigured_budget_takes_effect,
    c090_deleting_a_context_stops_its_thread,
    c098_resume_without_context_runs_nothing,
    c099_round_robin_slice_is_accurate,
    c100_periodic_thread_runs_once_a_period,
    c100_utilisations_are_in_proportion,
    c103_yield_to_ends_when_the_target_stops,
    c103_yield_to_ends_when_the_target_runs_out if ExactTime,
    c104_equal_priorities_rotate,
    x103_consumed_time_of_a_tenth,
    s05_budget_limits_a_spinning_thread,
    s05_sporadic_thread_keeps_its_bandwidth,
    s05_reconfigured_context_starts_with_its_new_budget,
];

fn spinner(world: &World, plan: Plan) -> Result<(Thread, &'static Word), Error> {
    let count = cell();
    let thread = world.spawn(&plan, move || {
        loop {
            count.add(1);
        }
    })?;
    Ok((thread, count))
}

/// Rounds of which one must be good.
fn tries() -> u64 {
    if is_exact() { 6 } else { 60 }
}

/// How many times as long something takes where a pause of the host must not matter.
fn stretch() -> u64 {
    if is_exact() { 1 } else { 10 }
}

/// Consumed and elapsed µs while this thread sleeps.
fn use_of(world: &World, thread: Thread, us: u64) -> Result<(u64, u64), Error> {
    let _ = thread.context.take_consumed_us()?;
    let start = now_us();
    world.sleep_us(us)?;
    let consumed = thread.context.take_consumed_us()?;
    Ok((consumed, now_us() - start))
}

/// Ends the test unless a thread consumes so many thousandths of the time, within a third; exactly timed within a tenth.
fn consumes(world: &World, thread: Thread, thousandths: u64) -> Outcome {
    let (us, slack) = if is_exact() { (60_000, 10) } else { (200_000, 3) };
    let mut seen = 0;
    for _ in 0..tries() {
        let (consumed, elapsed) = use_of(world, thread, us)?;
        let expected = elapsed * thousandths / 1000;
        seen = consumed * 1000 / elapsed;
        if consumed.abs_diff(expected) <= expected / slack + 100 {
            return Ok(());
        }
    }
    Err(crate::world::Failure::Differ("the thousandths of time used", seen, thousandths, line!()))
}

fn c088_reconfigured_budget_takes_effect(world: &World) -> Outcome {
    let (thread, _) = spinner(world, Plan::at(100).with_time(2_000, 10_000))?;
    for (budget, period) in
        [(2_000, 10_000), (5_000, 10_000), (1_000, 10_000), (3_000, 5_000), (1_000, 1_000), (2_000, 10_000)]
    {
        world.control(0).configure(thread.context, &share(budget, period))?;
        consumes(world, thread, budget * 1000 / period)?;
    }
    Ok(())
}

fn c090_deleting_a_context_stops_its_thread(world: &World) -> Outcome {
    for time in [(10_000, 10_000), (1_000, 3_000)] {
        let (thread, count) = spinner(world, Plan::at(100).with_time(time.0, time.1))?;
        check!(world.is_counting(count)?);
        world.at(thread.context.cptr().0).delete()?;
        check!(world.stands_still(count)?);
    }
    Ok(())
}

fn c098_resume_without_context_runs_nothing(world: &World) -> Outcome {
    for is_deleted in [true, false] {
        let (thread, count) = spinner(world, Plan::at(100))?;
        check!(world.is_counting(count)?);
        thread.tcb.suspend()?;
        if is_deleted {
            world.at(thread.context.cptr().0).delete()?;
        } else {
            thread.context.unbind()?;
        }
        thread.tcb.resume()?;
        check!(world.stands_still(count)?);
        world.context(0, (10_000, 10_000))?.bind(thread.tcb)?;
        check!(world.is_counting(count)?);
        world.at(thread.tcb.cptr().0).delete()?;
    }
    Ok(())
}

/// Threads of one priority that note who runs and how long each stretch was (µs): shortest and longest.
fn rotate(world: &World, threads: u64, slice_us: u64, stretches: u64) -> Result<(u64, u64, u64), Error> {
    let (owner, since, seen) = (cell(), cell(), cell());
    let (shortest, longest, order) = (cell(), cell(), cell());
    shortest.set(u64::MAX);
    for index in 1..=threads {
        world.spawn(&Plan::at(100).with_time(slice_us, slice_us), move || {
            while seen.get() < stretches {
                if owner.get() == index {
                    continue;
                }
                // The other one may have ended after its last note, between the two looks above: that was no stretch.
                if seen.get() >= stretches {
                    break;
                }
                let now = now_us();
                // The first stretch began before anybody looked.
                if seen.add(1) > 2 {
                    shortest.set(shortest.get().min(now - since.get()));
                    longest.set(longest.get().max(now - since.get()));
                }
                order.push(index);
                owner.set(index);
                since.set(now);
            }
        })?;
    }
    world.wait_until(|| seen.get() >= stretches)?;
    Ok((shortest.get(), longest.get(), order.get()))
}

fn c099_round_robin_slice_is_accurate(world: &World) -> Outcome {
    let (mut too_short_by, mut too_long_by) = (0u64, 0);
    for _ in 0..tries().min(20) {
        let (shortest, longest, _) = rotate(world, 2, 100_000, 8)?;
        // A paused host lengthens one stretch, and may make the next one look short.
        let (least, most) = if is_exact() { (98_000u64, 102_000) } else { (10_000, 900_000) };
        (too_short_by, too_long_by) = (least.saturating_sub(shortest), longest.saturating_sub(most));
        if too_short_by + too_long_by == 0 {
            break;
        }
    }
    check_eq!(too_short_by, 0);
    check_eq!(too_long_by, 0);
    Ok(())
}

fn c104_equal_priorities_rotate(world: &World) -> Outcome {
    let mut takes_turns = false;
    for _ in 0..tries().min(20) {
        let (_, _, order) = rotate(world, 4, 5_000 * stretch(), 12)?;
        let turns = |thread: u64| (0..12).filter(|index| order >> (4 * index) & 0xf == thread).count();
        // Twelve slices of four threads: three each, but for one that a paused host or an unlucky moment swallowed.
        takes_turns = (1..=4).all(|thread| (2..=4).contains(&turns(thread)));
        if takes_turns {
            break;
        }
    }
    check!(takes_turns);
    Ok(())
}

fn c100_periodic_thread_runs_once_a_period(world: &World) -> Outcome {
    let (rounds, period) = (cell(), 10_000 * stretch());
    world.spawn(&Plan::at(100).with_time(period / 5, period), move || {
        loop {
            rounds.add(1);
            yield_now();
        }
    })?;
    let mut is_once = false;
    for _ in 0..tries().min(20) {
        let (before, start) = (rounds.get(), now_us());
        world.sleep_us(10 * period)?;
        let periods = (now_us() - start) / period;
        let ran = rounds.get() - before;
        check!(ran <= periods + 2);
        is_once |= ran + 1 >= periods;
        if is_once {
            break;
        }
    }
    check!(is_once);
    Ok(())
}

fn c100_utilisations_are_in_proportion(world: &World) -> Outcome {
    // Two that fit: 20 % and 40 %.
    let (small, _) = spinner(world, Plan::at(100).with_time(1_000, 5_000))?;
    let (large, _) = spinner(world, Plan::at(100).with_time(4_000, 10_000))?;
    consumes(world, small, 200)?;
    consumes(world, large, 400)?;
    small.tcb.suspend()?;
    large.tcb.suspend()?;
    // Three that give up what is left: 80 %, 40 % and 20 % by their periods run 4 : 2 : 1 times.
    let mut is_ordered = false;
    let longer = stretch();
    for _ in 0..tries().min(20) {
        let (mut counts, mut threads) = ([0; 3], [None; 3]);
        for (place, period) in threads.iter_mut().zip([2_500, 5_000, 10_000]) {
            let rounds = cell();
            let thread = world.spawn(&Plan::at(100).with_time(2_000 * longer, period * longer), move || {
                loop {
                    rounds.add(1);
                    yield_now();
                }
            })?;
            *place = Some((thread, rounds));
        }
        world.sleep_us(100_000 * longer)?;
        for (count, (thread, rounds)) in counts.iter_mut().zip(threads.into_iter().flatten()) {
            thread.tcb.suspend()?;
            *count = rounds.get();
        }
        is_ordered = counts[2] > 5
            && (counts[1] * 10).abs_diff(counts[2] * 20) <= counts[2] * 5
            && (counts[0] * 10).abs_diff(counts[2] * 40) <= counts[2] * 10;
        if is_ordered {
            break;
        }
    }
    check!(is_ordered);
    Ok(())
}

/// No pause of a host uses this up.
const LONG_US: u64 = 20_000_000;

fn c103_yield_to_ends_when_the_target_stops(world: &World) -> Outcome {
    for is_deleted in [false, true] {
        let (target, count) = spinner(world, Plan::at(100).with_time(LONG_US, LONG_US))?;
        target.tcb.suspend()?;
        let (consumed, done) = (cell(), cell());
        let caller = world.prepare(&Plan::at(100).with_time(LONG_US, LONG_US), move || {
            consumed.set(target.context.yield_to().unwrap_or(u64::MAX));
            done.set(1);
        })?;
        let _ = target.context.take_consumed_us()?;
        target.tcb.resume()?;
        caller.tcb.resume()?;
        check!(world.wait_until(|| count.get() > 0)?);
        world.sleep_us(3_000)?;
        check_eq!(done.get(), 0);
        if is_deleted {
            world.at(target.tcb.cptr().0).delete()?;
        } else {
            target.tcb.suspend()?;
        }
        world.settle()?;
        check!(done.get() == 1 && (1..2 * LONG_US).contains(&consumed.get()));
    }
    // The yielder is deleted meanwhile: nothing happens to the target.
    let (target, count) = spinner(world, Plan::at(100).with_time(1_000_000, 1_000_000))?;
    let caller = world.spawn(&Plan::at(100), move || _ = target.context.yield_to())?;
    world.sleep_us(2_000)?;
    world.at(caller.tcb.cptr().0).delete()?;
    check!(world.is_counting(count)?);
    target.tcb.suspend()?;
    check!(world.stands_still(count)?);
    Ok(())
}

fn c103_yield_to_ends_when_the_target_runs_out(world: &World) -> Outcome {
    let (target, _) = spinner(world, Plan::at(100).with_time(5_000, 1_000_000))?;
    target.tcb.suspend()?;
    target.tcb.resume()?;
    let consumed = cell();
    world.spawn(&Plan::at(100).with_time(1_000_000, 1_000_000), move || {
        consumed.set(target.context.yield_to().unwrap_or(u64::MAX));
    })?;
    world.sleep_us(20_000)?;
    check!((1..=5_100).contains(&consumed.get()));
    Ok(())
}

fn x103_consumed_time_of_a_tenth(world: &World) -> Outcome {
    let (thread, _) = spinner(world, Plan::at(200).with_time(1_000, 10_000))?;
    let (mut is_a_tenth, us) = (false, 40_000 * stretch());
    for _ in 0..tries() {
        let _ = thread.context.take_consumed_us()?;
        let start = now_us();
        SELF.set_priority(SELF, 100)?;
        spin_us(us);
        SELF.set_priority(SELF, 255)?;
        let elapsed = now_us() - start;
        let consumed = thread.context.take_consumed_us()?;
        check!(thread.context.take_consumed_us()? < 50);
        is_a_tenth = consumed.abs_diff(elapsed / 10) <= if is_exact() { 1_100 } else { elapsed / 30 };
        if is_a_tenth {
            break;
        }
    }
    check!(is_a_tenth);
    Ok(())
}

fn s05_budget_limits_a_spinning_thread(world: &World) -> Outcome {
    let (thread, _) = spinner(world, Plan::at(254).with_time(2_000, 10_000))?;
    consumes(world, thread, 200)?;
    thread.tcb.suspend()?;
    let _ = thread.context.take_consumed_us()?;
    check_eq!(thread.context.take_consumed_us()?, 0);
    Ok(())
}

fn s05_sporadic_thread_keeps_its_bandwidth(world: &World) -> Outcome {
    let count = cell();
    let thread = world.prepare(&Plan::at(100), move || {
        loop {
            count.add(1);
        }
    })?;
    let sporadic = SchedParameters { extra_refills: 8, is_sporadic: true, ..share(1_000, 4_000) };
    world.control(0).configure(thread.context, &sporadic)?;
    thread.tcb.resume()?;
    consumes(world, thread, 250)?;
    // However often it blocks and wakes, it gets no more than its share in a longer time.
    let mut is_bounded = false;
    for _ in 0..tries().min(20) {
        let _ = thread.context.take_consumed_us()?;
        let start = now_us();
        for _ in 0..100 {
            world.sleep_us(700)?;
            thread.tcb.suspend()?;
            thread.tcb.resume()?;
        }
        let consumed = thread.context.take_consumed_us()?;
        is_bounded = consumed <= (now_us() - start) / 4 + 1_300 && consumed > 1_000;
        if is_bounded {
            break;
        }
    }
    check!(is_bounded);
    Ok(())
}

fn s05_reconfigured_context_starts_with_its_new_budget(world: &World) -> Outcome {
    // It has given up its budget for an hour (which outlasts a pause of the host); a new configuration of the stopped thread gives a new one.
    let rounds = cell();
    let thread = world.spawn(&Plan::at(100).with_time(LONG_US, 3_600_000_000), move || {
        loop {
            rounds.add(1);
            yield_now();
        }
    })?;
    world.settle()?;
    check_eq!(rounds.get(), 1);
    thread.tcb.suspend()?;
    world.control(0).configure(thread.context, &share(LONG_US, 3_600_000_000))?;
    thread.tcb.resume()?;
    world.settle()?;
    check_eq!(rounds.get(), 2);
    Ok(())
}
