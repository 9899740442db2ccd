//! Priorities, budgets, time (conformance 87 to 106, 114).

use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::{CPtr, Error, Message, ObjectType, SchedContext, SchedControl, SchedParameters};

use super::tests;
use super::thread::let_run;
use crate::suite::Test;
use crate::world::{Outcome, Plan, SELF, World};

pub(super) const TESTS: &[Test] = tests![
    c087_configure_checks_its_numbers,
    c089_bind_refuses_what_it_must,
    c095_priorities_run_from_high_to_low,
    c096_priority_is_bounded_by_authority,
    c102_yield_to_refuses_what_it_must,
    c106_extra_refills_are_bounded,
    budget_limits_a_spinning_thread,
    c114_timeout_faults_come_again_and_again,
];

fn parameters(budget_us: u64, period_us: u64) -> SchedParameters {
    SchedParameters { budget_us, period_us, extra_refills: 0, badge: 0, is_sporadic: false }
}

fn control(world: &World) -> SchedControl {
    SchedControl::at(world.boot.info.sched_control.start)
}

fn c087_configure_checks_its_numbers(world: &World) -> Outcome {
    let context = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    let control = control(world);
    let not_a_context = SchedContext(world.endpoint()?.cptr());
    check!(control.configure(not_a_context, &parameters(20, 20)) == Err(Error::InvalidCapability { number: 1 }));
    for (budget, period) in [(0, 1000), (0, 0), (1000, 999), (19, 1000)] {
        check!(matches!(control.configure(context, &parameters(budget, period)), Err(Error::Range { .. })));
    }
    control.configure(context, &parameters(20, 1000))?;
    Ok(())
}

fn c089_bind_refuses_what_it_must(world: &World) -> Outcome {
    let thread = world.thread(&Plan::new(record, 0, 1))?;
    let other = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    let notification = world.notification()?;
    check!(other.bind(hybrid_sys::Tcb(world.endpoint()?.cptr())) == Err(Error::InvalidCapability { number: 1 }));
    check!(other.bind(thread.tcb) == Err(Error::IllegalOperation));
    check!(other.unbind_object(thread.tcb.cptr()) == Err(Error::IllegalOperation));
    other.bind_notification(notification)?;
    check!(other.bind_notification(notification) == Err(Error::IllegalOperation));
    thread.context.unbind()?;
    other.bind(thread.tcb)?;
    Ok(())
}

static ORDER: AtomicU64 = AtomicU64::new(0);

extern "C" fn record(digit: u64) {
    ORDER.store(ORDER.load(Ordering::Relaxed) * 10 + digit, Ordering::Relaxed);
}

fn c095_priorities_run_from_high_to_low(world: &World) -> Outcome {
    ORDER.store(0, Ordering::Relaxed);
    for (digit, priority) in [(3, 0), (1, 253), (2, 64)] {
        world.start(&Plan::new(record, digit, priority))?;
    }
    SELF.set_priority(SELF, 0)?;
    for _ in 0..3 {
        hybrid_sys::yield_now();
    }
    SELF.set_priority(SELF, 255)?;
    check!(ORDER.load(Ordering::Relaxed) == 123);
    Ok(())
}

fn c096_priority_is_bounded_by_authority(world: &World) -> Outcome {
    let thread = world.thread(&Plan::new(record, 0, 1))?;
    check!(thread.tcb.set_priority(thread.tcb, 255) == Err(Error::Range { min: 0, max: 254 }));
    check!(thread.tcb.set_priority(SELF, 256) == Err(Error::Range { min: 0, max: 255 }));
    thread.tcb.set_mc_priority(thread.tcb, 10)?;
    check!(thread.tcb.set_mc_priority(thread.tcb, 11) == Err(Error::Range { min: 0, max: 10 }));
    Ok(())
}

fn c102_yield_to_refuses_what_it_must(world: &World) -> Outcome {
    check!(SchedContext::at(14).yield_to() == Err(Error::IllegalOperation));
    let unbound = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    check!(unbound.yield_to() == Err(Error::IllegalOperation));
    let stopped = world.thread(&Plan::new(record, 0, 1))?;
    check!(stopped.context.yield_to()? == 0);
    Ok(())
}

fn c106_extra_refills_are_bounded(world: &World) -> Outcome {
    let context = SchedContext::at(world.make(ObjectType::SchedContext, 8)?);
    let too_many = SchedParameters { extra_refills: 9, ..parameters(100, 1000) };
    check!(control(world).configure(context, &too_many) == Err(Error::Range { min: 0, max: 8 }));
    control(world).configure(context, &SchedParameters { extra_refills: 8, ..too_many })?;
    Ok(())
}

static SPINS: AtomicU64 = AtomicU64::new(0);

extern "C" fn spin(_: u64) {
    loop {
        SPINS.fetch_add(1, Ordering::Relaxed);
    }
}

fn budget_limits_a_spinning_thread(world: &World) -> Outcome {
    // 2 ms of every 10 ms, for 100 ms. An emulator that the host pauses distorts this: one good round of several is enough.
    let thread = world.start(&Plan { time_us: (2_000, 10_000), ..Plan::new(spin, 0, 254) })?;
    let mut is_a_fifth = false;
    for _ in 0..5 {
        let _ = thread.context.take_consumed_us()?;
        let start = hybrid_sys::count_virtual();
        let_run(world, 100)?;
        let consumed = thread.context.take_consumed_us()?;
        let elapsed = (hybrid_sys::count_virtual() - start) * 1_000_000 / hybrid_sys::count_per_second();
        is_a_fifth |= (elapsed / 8..=elapsed / 4).contains(&consumed);
    }
    thread.tcb.suspend()?;
    let _ = thread.context.take_consumed_us()?;
    check!(is_a_fifth && thread.context.take_consumed_us()? == 0);
    Ok(())
}

fn c114_timeout_faults_come_again_and_again(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let handler = CPtr(world.mint(endpoint, hybrid_sys::Rights::ALL, 0x71)?);
    let thread = world.thread(&Plan { time_us: (1_000, 2_000), ..Plan::new(spin, 0, 254) })?;
    thread.tcb.set_timeout_endpoint(handler)?;
    thread.tcb.resume()?;
    for _ in 0..20 {
        let fault = endpoint.recv(reply);
        check!(
            fault.badge == 0x71 && fault.info.label() == 5 && fault.info.length() == 2 && fault.registers[0] == 0x5c
        );
        reply.send(&Message::default());
    }
    Ok(())
}
