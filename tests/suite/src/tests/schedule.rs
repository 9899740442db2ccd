//! Priorities, scheduling contexts, yielding: what holds without a clock (conformance 87 to 106).

use hybrid_sys::{CPtr, Error, ObjectType, SchedContext, SchedParameters, Tcb, yield_now};

use super::tests;
use crate::suite::Test;
use crate::timer::spin_us;
use crate::world::{Outcome, Plan, SELF, World, cell, share};

pub(super) const TESTS: &[Test] = tests![
    c087_configure_checks_its_numbers + ["x054", "x055", "x056", "x058"],
    c089_bind_refuses_what_it_must,
    c091_bind_before_and_after_resume,
    c091_passive_waiter_is_bound_again,
    c095_all_priorities_run_from_high_to_low,
    c096_priority_is_bounded_by_authority + ["x048", "x049"],
    c096_priorities_act_at_once,
    c097_own_mcp_goes_down_and_not_up,
    c101_suspension_gives_no_new_budget,
    c102_yield_to_refuses_what_it_must,
    c106_extra_refills_are_bounded + ["x057"],
    x096_threads_of_the_own_priority_run_in_order_of_waking,
    x097_two_lower_threads_both_run,
    x098_dropping_to_the_priority_of_a_ready_thread,
    x099_raising_a_ready_thread_to_the_own_priority,
    x100_yield_to_an_equal_thread,
    x101_yield_to_a_lower_thread,
    x104_bind_of_an_unconfigured_context,
    s03_schedule_parameters_without_context,
    s05_unbound_thread_stops_in_place,
];

/// Largest period and budget in µs.
const MOST_US: u64 = 0x218d_ef41_6bdb;

fn c087_configure_checks_its_numbers(world: &World) -> Outcome {
    let context = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    let control = world.control(0);
    for other in [world.endpoint()?.cptr(), CPtr::NULL, SELF.cptr()] {
        check!(control.configure(SchedContext(other), &share(20, 20)) == Err(Error::InvalidCapability { number: 1 }));
    }
    let range = |max| Err(Error::Range { min: 20, max });
    for (budget, period, max) in [
        (0, 1000, MOST_US),
        (0, 0, MOST_US),
        (19, 1000, MOST_US),
        (20, 19, MOST_US),
        (1000, 999, 999),
        (2000, 1000, 1000),
        (u64::MAX, u64::MAX, MOST_US),
        (20, MOST_US + 1, MOST_US),
        (MOST_US + 1, 20, MOST_US),
    ] {
        check!(control.configure(context, &share(budget, period)) == range(max));
    }
    for (budget, period) in [(20, 20), (20, 1000), (MOST_US, MOST_US), (20, MOST_US)] {
        control.configure(context, &share(budget, period))?;
    }
    check!(control.cptr().invoke(33, &[20, 20, 0, 0], &[context.cptr()]) == Err(Error::TruncatedMessage));
    check!(control.cptr().invoke(33, &[20, 20, 0, 0, 0], &[]) == Err(Error::TruncatedMessage));
    check!(control.cptr().invoke(34, &[20, 20, 0, 0, 0], &[context.cptr()]) == Err(Error::IllegalOperation));
    Ok(())
}

fn c089_bind_refuses_what_it_must(world: &World) -> Outcome {
    let thread = world.prepare(&Plan::at(1), || ())?;
    let other = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    let (notification, endpoint) = (world.notification()?, world.endpoint()?.cptr());
    let illegal = Err(Error::IllegalOperation);
    check!(other.bind(Tcb(endpoint)) == Err(Error::InvalidCapability { number: 1 }));
    check!(other.bind(Tcb(CPtr::NULL)) == Err(Error::InvalidCapability { number: 1 }));
    check!(other.bind(thread.tcb) == illegal);
    let second = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    check!(thread.context.bind(second) == illegal);
    check!(other.unbind_object(endpoint) == Err(Error::InvalidCapability { number: 1 }));
    check!(other.unbind_object(thread.tcb.cptr()) == illegal);
    check!(other.unbind_object(notification.cptr()) == illegal);
    // A thread and a notification at once.
    thread.context.bind_notification(notification)?;
    check!(other.bind_notification(notification) == illegal);
    check!(thread.context.bind_notification(world.notification()?) == illegal);
    thread.context.unbind_object(notification.cptr())?;
    check!(thread.context.unbind_object(notification.cptr()) == illegal);
    other.bind_notification(notification)?;
    thread.context.unbind_object(thread.tcb.cptr())?;
    check!(thread.context.unbind_object(thread.tcb.cptr()) == illegal);
    other.bind(thread.tcb)?;
    other.unbind()?;
    other.unbind()?;
    other.bind(thread.tcb)?;
    check!(SchedContext::at(14).unbind() == illegal && SchedContext::at(14).unbind_object(SELF.cptr()) == illegal);
    Ok(())
}

fn c091_bind_before_and_after_resume(world: &World) -> Outcome {
    let ran = cell();
    let later = world.prepare(&Plan::at(100).passive(), move || _ = ran.add(1))?;
    later.tcb.resume()?;
    world.settle()?;
    check_eq!(ran.get(), 0);
    later.context.bind(later.tcb)?;
    world.settle()?;
    check_eq!(ran.get(), 1);
    let before = world.prepare(&Plan::at(100).passive(), move || _ = ran.add(10))?;
    before.context.bind(before.tcb)?;
    world.settle()?;
    check_eq!(ran.get(), 1);
    before.tcb.resume()?;
    world.settle()?;
    check_eq!(ran.get(), 11);
    Ok(())
}

fn c091_passive_waiter_is_bound_again(world: &World) -> Outcome {
    let (notification, rounds) = (world.notification()?, cell());
    let thread = world.spawn(&Plan::at(100), move || {
        loop {
            let _ = notification.wait();
            rounds.add(1);
        }
    })?;
    world.settle()?;
    for round in 1..=3 {
        thread.context.unbind_object(thread.tcb.cptr())?;
        thread.context.bind_notification(notification)?;
        notification.signal();
        world.settle()?;
        check_eq!(rounds.get(), 2 * round - 1);
        // It waits again, and the time is the notification's: it can be the thread's once more.
        thread.context.unbind_object(notification.cptr())?;
        thread.context.bind(thread.tcb)?;
        notification.signal();
        world.settle()?;
        check_eq!(rounds.get(), 2 * round);
    }
    Ok(())
}

fn c095_all_priorities_run_from_high_to_low(world: &World) -> Outcome {
    let (next, wrong) = (cell(), cell());
    next.set(253);
    // Started in an order that has nothing to do with their priorities.
    for index in 0..254u64 {
        let priority = index * 97 % 254;
        world.spawn(&Plan::at(priority as u8), move || {
            wrong.add(u64::from(next.get() != priority));
            next.set(priority.wrapping_sub(1));
        })?;
    }
    SELF.set_priority(SELF, 0)?;
    // The thread of priority 0 is this one's equal: it runs when this one yields, if it has not before.
    yield_now();
    SELF.set_priority(SELF, 255)?;
    check!(wrong.get() == 0 && next.get() == u64::MAX);
    Ok(())
}

fn c096_priority_is_bounded_by_authority(world: &World) -> Outcome {
    let thread = world.prepare(&Plan::at(1), || ())?;
    let tcb = thread.tcb;
    let range = |max| Err(Error::Range { min: 0, max });
    check!(tcb.set_priority(tcb, 255) == range(254) && tcb.set_priority(SELF, 256) == range(255));
    check!(tcb.set_priority(SELF, u64::MAX) == range(255) && tcb.set_mc_priority(SELF, 256) == range(255));
    check!(tcb.set_priority(Tcb(world.endpoint()?.cptr()), 1) == Err(Error::InvalidCapability { number: 1 }));
    tcb.set_priority(tcb, 254)?;
    tcb.set_mc_priority(tcb, 10)?;
    check!(tcb.set_mc_priority(tcb, 11) == range(10) && tcb.set_priority(tcb, 11) == range(10));
    let both = |mcp, priority| tcb.set_sched_params(tcb, mcp, priority, thread.context.cptr(), CPtr::NULL);
    check!(both(11, 1) == range(10) && both(1, 11) == range(10));
    both(10, 10)?;
    // The authority's own priority does not matter, nor the target's.
    let authority = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    authority.set_mc_priority(SELF, 50)?;
    tcb.set_priority(authority, 50)?;
    Ok(())
}

fn c096_priorities_act_at_once(world: &World) -> Outcome {
    let order = cell();
    let start = |digit, priority| world.spawn(&Plan::at(priority), move || order.push(digit));
    SELF.set_priority(SELF, 100)?;
    let first = start(1, 50)?;
    start(2, 60)?;
    check_eq!(order.get(), 0);
    // Raising another above the own priority runs it now.
    first.tcb.set_priority(SELF, 101)?;
    check_eq!(order.get(), 1);
    // Lowering oneself below a ready thread runs that one now.
    SELF.set_priority(SELF, 59)?;
    check_eq!(order.get(), 0x12);
    SELF.set_priority(SELF, 255)?;
    Ok(())
}

fn c097_own_mcp_goes_down_and_not_up(world: &World) -> Outcome {
    let (result, own) = (cell(), cell());
    let thread = world.prepare(&Plan::at(100), move || {
        let me = Tcb::at(own.get());
        let lower = me.set_mc_priority(me, 100);
        let raise = me.set_mc_priority(me, 101);
        let priority = me.set_priority(me, 101);
        let refused = Err(Error::Range { min: 0, max: 100 });
        result.set(u64::from(lower == Ok(())) | u64::from(raise == refused) << 1 | u64::from(priority == refused) << 2);
    })?;
    own.set(thread.tcb.cptr().0);
    thread.tcb.resume()?;
    world.settle()?;
    check_eq!(result.get(), 7);
    Ok(())
}

fn c101_suspension_gives_no_new_budget(world: &World) -> Outcome {
    let rounds = cell();
    let thread = world.spawn(&Plan::at(100).with_time(1_000_000, 600_000_000), move || {
        loop {
            rounds.add(1);
            yield_now();
        }
    })?;
    world.settle()?;
    check_eq!(rounds.get(), 1);
    for _ in 0..3 {
        thread.tcb.suspend()?;
        thread.tcb.resume()?;
        world.sleep_us(2_000)?;
        check_eq!(rounds.get(), 1);
    }
    Ok(())
}

fn c102_yield_to_refuses_what_it_must(world: &World) -> Outcome {
    let illegal = Err(Error::IllegalOperation);
    check!(SchedContext::at(14).yield_to() == illegal);
    let unbound = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    check!(unbound.yield_to() == illegal);
    let stopped = world.prepare(&Plan::at(1), || ())?;
    check_eq!(stopped.context.yield_to()?, 0);
    // The target's priority is above the caller's MCP.
    let (result, target) = (cell(), world.prepare(&Plan::at(120), || ())?);
    let caller =
        world.prepare(&Plan::at(100), move || result.set(1 + u64::from(target.context.yield_to() == illegal)))?;
    caller.tcb.set_mc_priority(SELF, 119)?;
    caller.tcb.resume()?;
    world.settle()?;
    check_eq!(result.get(), 2);
    Ok(())
}

fn c106_extra_refills_are_bounded(world: &World) -> Outcome {
    for (bits, most) in [(7, 0), (8, 8), (9, 24), (12, 248)] {
        let context = SchedContext::at(world.make(ObjectType::SchedContext, bits)?);
        let parameters = |extra_refills| SchedParameters { extra_refills, ..share(100, 1000) };
        for beyond in [most + 1, 9999, u64::MAX] {
            check!(world.control(0).configure(context, &parameters(beyond)) == Err(Error::Range { min: 0, max: most }));
        }
        world.control(0).configure(context, &parameters(most))?;
    }
    Ok(())
}

fn x096_threads_of_the_own_priority_run_in_order_of_waking(world: &World) -> Outcome {
    let is_in_order = world.once_in_ten(|| {
        let (order, mut threads) = (cell(), [None; 3]);
        for (thread, digit) in threads.iter_mut().zip([0xa, 0xb, 0xc]) {
            *thread = Some(world.prepare(&Plan::at(100), move || order.push(digit))?);
        }
        SELF.set_priority(SELF, 100)?;
        for thread in threads.into_iter().flatten() {
            thread.tcb.resume()?;
        }
        let before = order.get();
        yield_now();
        Ok(before == 0 && order.get() == 0xabc)
    })?;
    check!(is_in_order);
    Ok(())
}

fn x097_two_lower_threads_both_run(world: &World) -> Outcome {
    let order = cell();
    for digit in [0xd, 0xf] {
        world.spawn(&Plan::at(50), move || order.push(digit))?;
    }
    SELF.set_priority(SELF, 40)?;
    check!(order.get() == 0xdf || order.get() == 0xfd);
    Ok(())
}

fn x098_dropping_to_the_priority_of_a_ready_thread(world: &World) -> Outcome {
    let continues = world.once_in_ten(|| {
        let order = cell();
        world.spawn(&Plan::at(50), move || order.push(1))?;
        yield_now();
        SELF.set_priority(SELF, 50)?;
        let before = order.get();
        yield_now();
        Ok(before == 0 && order.get() == 1)
    })?;
    check!(continues);
    Ok(())
}

fn x099_raising_a_ready_thread_to_the_own_priority(world: &World) -> Outcome {
    let continues = world.once_in_ten(|| {
        let order = cell();
        let thread = world.spawn(&Plan::at(50), move || order.push(1))?;
        yield_now();
        SELF.set_priority(SELF, 100)?;
        thread.tcb.set_priority(SELF, 100)?;
        let before = order.get();
        yield_now();
        Ok(before == 0 && order.get() == 1)
    })?;
    check!(continues);
    Ok(())
}

fn x100_yield_to_an_equal_thread(world: &World) -> Outcome {
    let is_target_first = world.once_in_ten(|| {
        let order = cell();
        world.spawn(&Plan::at(100), move || order.push(1))?;
        let target = world.spawn(&Plan::at(100), move || {
            order.push(2);
            spin_us(300);
        })?;
        yield_now();
        SELF.set_priority(SELF, 100)?;
        let before = order.get();
        let answer = crate::world::ask(target.context, 38, &[], &[]);
        // The target ran first, until it stopped; then the caller, at the head of its queue. One word tells the time.
        let seen = order.get();
        Ok(before == 0 && seen == 2 && answer.info == 1 && (250..5_000).contains(&answer.words[0]))
    })?;
    check!(is_target_first);
    Ok(())
}

fn x101_yield_to_a_lower_thread(world: &World) -> Outcome {
    let order = cell();
    SELF.set_priority(SELF, 100)?;
    let target = world.spawn(&Plan::at(50), move || order.push(2))?;
    check!(target.context.yield_to()? == 0 && order.get() == 0);
    Ok(())
}

fn x104_bind_of_an_unconfigured_context(world: &World) -> Outcome {
    let unconfigured = || world.make(ObjectType::SchedContext, 8).map(SchedContext::at);
    let (first, second, third) = (unconfigured()?, unconfigured()?, unconfigured()?);
    let ran = cell();
    let inactive = world.prepare(&Plan::at(100).passive(), move || _ = ran.add(1))?;
    first.bind(inactive.tcb)?;
    inactive.tcb.resume()?;
    world.settle()?;
    check_eq!(ran.get(), 0);
    // Configured, it runs.
    world.control(0).configure(first, &share(10_000, 10_000))?;
    world.settle()?;
    check_eq!(ran.get(), 1);
    let runnable = world.prepare(&Plan::at(100).passive(), move || _ = ran.add(1))?;
    runnable.tcb.resume()?;
    second.bind(runnable.tcb)?;
    let endpoint = world.endpoint()?;
    let blocked = world.spawn(&Plan::at(100), move || _ = endpoint.wait())?;
    world.settle()?;
    blocked.context.unbind()?;
    check!(third.bind(blocked.tcb) == Err(Error::IllegalOperation));
    let set = blocked.tcb.set_sched_params(SELF, 1, 1, third.cptr(), CPtr::NULL);
    check!(set == Err(Error::IllegalOperation));
    world.control(0).configure(third, &share(10_000, 10_000))?;
    third.bind(blocked.tcb)?;
    Ok(())
}

fn s03_schedule_parameters_without_context(world: &World) -> Outcome {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let set = |context| tcb.set_sched_params(SELF, 1, 1, context, CPtr::NULL);
    set(CPtr::NULL)?;
    check!(SELF.set_sched_params(SELF, 255, 255, CPtr::NULL, CPtr::NULL) == Err(Error::IllegalOperation));
    let (first, second) = (world.context(0, (100, 100))?, world.context(0, (100, 100))?);
    set(first.cptr())?;
    set(first.cptr())?;
    check!(set(second.cptr()) == Err(Error::IllegalOperation));
    set(CPtr::NULL)?;
    set(second.cptr())?;
    let other = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let taken = other.set_sched_params(SELF, 1, 1, second.cptr(), CPtr::NULL);
    check!(taken == Err(Error::IllegalOperation));
    Ok(())
}

fn s05_unbound_thread_stops_in_place(world: &World) -> Outcome {
    let count = cell();
    let thread = world.spawn(&Plan::at(100), move || {
        loop {
            count.add(1);
        }
    })?;
    check!(world.wait_until(|| count.get() > 0)?);
    thread.context.unbind()?;
    let stopped_at = count.get();
    world.sleep_us(2_000)?;
    check_eq!(count.get(), stopped_at);
    thread.context.bind(thread.tcb)?;
    check!(world.wait_until(|| count.get() > stopped_at)?);
    Ok(())
}
