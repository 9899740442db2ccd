//! Several cores (conformance 92, 105, 127, 133, 141, 142).

use hybrid_sys::{Attributes, Error, Frame, Message, Rights};

use super::tests;
use crate::probe::{float_changes, peek, poke};
use crate::suite::Test;
use crate::timer::{now_us, pause, pause_us};
use crate::world::{FREE_ADDRESS, Outcome, Plan, SPACE, Thread, WAIT_US, Word, World, cell, share};

pub(super) const TESTS: &[Test] = tests![
    c092_deleting_the_context_of_an_exhausted_thread if Cores,
    c105_thread_moves_itself_to_every_core if Cores,
    c127_unmapping_faults_a_thread_of_another_core if Cores,
    c127_narrowed_rights_fault_a_thread_of_another_core if Cores,
    c133_float_state_survives_migration if Cores,
    c141_suspended_thread_is_moved if Cores,
    c141_running_thread_is_moved_and_keeps_running if Cores,
    c142_deleting_a_running_thread_stops_it if Cores,
    c142_threads_of_all_cores_come_and_go if Cores,
    s05_all_cores_run_at_once if Cores,
    s05_suspended_thread_of_another_core_executes_nothing_more if Cores,
    s05_signal_wakes_a_thread_of_another_core if Cores,
    s07_self_suspension_on_another_core if Cores,
    s08_private_interrupts_belong_to_their_core if Cores,
];

fn counter(world: &World, plan: Plan) -> Result<(Thread, &'static Word), Error> {
    let count = cell();
    let thread = world.spawn(&plan, move || {
        loop {
            count.add(1);
            pause();
        }
    })?;
    Ok((thread, count))
}

/// Whether a thread runs elsewhere: it counts while this thread keeps its own core to itself.
fn runs_elsewhere(count: &Word) -> bool {
    let before = count.get();
    becomes(|| count.get() != before)
}

/// Whether another core makes the condition true, within some time; this thread keeps its own core to itself.
fn becomes(condition: impl Fn() -> bool) -> bool {
    let end = now_us() + WAIT_US;
    while now_us() < end {
        if condition() {
            return true;
        }
        pause();
    }
    condition()
}

/// Whether a thread does not run at all for some milliseconds.
fn stands_still(world: &World, count: &Word) -> Result<bool, Error> {
    let before = count.get();
    pause_us(3_000);
    world.sleep_us(3_000)?;
    Ok(count.get() == before)
}

fn s05_all_cores_run_at_once(world: &World) -> Outcome {
    let counts = [cell(), cell(), cell(), cell()];
    for (core, count) in (1..world.cores).zip(counts) {
        world.spawn(&Plan::at(1).on_core(core), move || {
            loop {
                count.add(1);
                pause();
            }
        })?;
    }
    for (_, count) in (1..world.cores).zip(counts) {
        check!(runs_elsewhere(count));
    }
    // A thread of this core does not run meanwhile.
    let (_, here) = counter(world, Plan::at(100))?;
    pause_us(3_000);
    check_eq!(here.get(), 0);
    Ok(())
}

fn c092_deleting_the_context_of_an_exhausted_thread(world: &World) -> Outcome {
    for round in 0..30 {
        let core = 1 + round % (world.cores - 1);
        let (thread, count) = counter(world, Plan::at(100).on_core(core).with_time(200, 400))?;
        check!(runs_elsewhere(count));
        world.at(thread.context.cptr().0).delete()?;
        check!(stands_still(world, count)?);
        world.at(thread.tcb.cptr().0).delete()?;
    }
    Ok(())
}

fn c105_thread_moves_itself_to_every_core(world: &World) -> Outcome {
    let (control, own, stage) = (world.boot.info.sched_control.start, cell(), cell());
    let (cores, count, failed) = (world.cores, cell(), cell());
    let thread = world.prepare(&Plan::at(100), move || {
        for round in 1..=3 * cores {
            let context = hybrid_sys::SchedContext::at(own.get());
            let moved =
                hybrid_sys::SchedControl::at(control + round % cores).configure(context, &share(10_000, 10_000));
            failed.add(u64::from(moved.is_err()));
            stage.set(round);
            // On core 0 it goes on by itself; elsewhere when it was seen.
            while round % cores != 0 && stage.get() == round {
                count.add(1);
                pause();
            }
        }
        stage.set(u64::MAX);
    })?;
    own.set(thread.context.cptr().0);
    thread.tcb.resume()?;
    for round in 1..=3 * world.cores {
        // 1000 and more: it was seen in the round before and has not gone on yet.
        check!(world.wait_until(|| stage.get() == u64::MAX || (round..1000).contains(&stage.get()))?);
        if round % world.cores != 0 {
            check!(stage.get() == round && runs_elsewhere(count));
            stage.set(round + 1000);
        }
        if round % world.cores == 0 {
            check!(world.wait_until(|| stage.get() != round)?);
        }
    }
    check!(world.wait_until(|| stage.get() == u64::MAX)?);
    check_eq!(failed.get(), 0);
    Ok(())
}

fn c127_unmapping_faults_a_thread_of_another_core(world: &World) -> Outcome {
    for is_other_space in [false, true] {
        for core in 1..world.cores {
            let (frame, handler, reply) = (world.frame()?, world.endpoint()?, world.reply()?);
            let own = Frame::at(world.mint(frame, Rights::ALL, 0)?);
            world.map(SPACE, own, FREE_ADDRESS + 0x10_0000, Rights::ALL, Attributes::DATA)?;
            let plan = Plan::at(100).on_core(core).with_fault(handler);
            let (plan, space) = if is_other_space {
                let space = world.address_space()?;
                (plan.in_space(space), space)
            } else {
                (plan, SPACE)
            };
            world.map(space, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
            let (last, count) = (cell(), cell());
            let thread = world.spawn(&plan, move || {
                loop {
                    last.set(peek(FREE_ADDRESS));
                    count.add(1);
                    pause();
                }
            })?;
            for round in 1..=10 {
                check!(runs_elsewhere(count));
                frame.unmap()?;
                // From now on it cannot read the page: a value written now is never seen.
                poke(FREE_ADDRESS + 0x10_0000, 0xdead);
                let fault = handler.recv(reply);
                check!(fault.info.label() == 6 && fault.registers[1] == FREE_ADDRESS && last.get() == round - 1);
                poke(FREE_ADDRESS + 0x10_0000, round);
                frame.map(space, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
                reply.send(&Message::default());
                check!(world.wait_until(|| last.get() == round)?);
            }
            world.at(thread.tcb.cptr().0).delete()?;
            frame.unmap()?;
            own.unmap()?;
        }
    }
    Ok(())
}

fn c127_narrowed_rights_fault_a_thread_of_another_core(world: &World) -> Outcome {
    let (frame, handler, reply, count) = (world.frame()?, world.endpoint()?, world.reply()?, cell());
    world.map(SPACE, frame, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
    world.spawn(&Plan::at(100).on_core(1).with_fault(handler), move || {
        loop {
            poke(FREE_ADDRESS, count.add(1));
            pause();
        }
    })?;
    for _ in 0..20 {
        check!(runs_elsewhere(count));
        frame.map(SPACE, FREE_ADDRESS, Rights::READ, Attributes::DATA)?;
        let seen = peek(FREE_ADDRESS);
        let fault = handler.recv(reply);
        check!(fault.info.label() == 6 && fault.registers[3] & 0x7c == 0x4c && peek(FREE_ADDRESS) == seen);
        frame.map(SPACE, FREE_ADDRESS, Rights::ALL, Attributes::DATA)?;
        reply.send(&Message::default());
    }
    Ok(())
}

fn c133_float_state_survives_migration(world: &World) -> Outcome {
    let (wrong, rounds) = (cell(), cell());
    let mut threads = [None; 4];
    for (place, seed) in threads.iter_mut().zip(1..) {
        *place = Some(world.spawn(&Plan::at(100).with_time(1_000, 1_000).on_core(seed % world.cores), move || {
            loop {
                wrong.add(float_changes(seed << 40 | rounds.add(1) << 8, 2_000));
                pause();
            }
        })?);
    }
    for step in 0..60 {
        for (thread, index) in threads.iter().flatten().zip(0..) {
            let core = (step * (index + 1) + index) % world.cores;
            world.control(core).configure(thread.context, &share(1_000, 1_000))?;
        }
        world.sleep_us(1_000)?;
    }
    let before = rounds.get();
    check!(world.wait_until(|| rounds.get() > before + 8)?);
    check_eq!(wrong.get(), 0);
    Ok(())
}

fn c141_suspended_thread_is_moved(world: &World) -> Outcome {
    let (thread, count) = counter(world, Plan::at(100).on_core(1))?;
    for step in 0..12 {
        check!(world.wait_until(|| count.get() > 0)?);
        thread.tcb.suspend()?;
        check!(stands_still(world, count)?);
        let core = step % world.cores;
        world.control(core).configure(thread.context, &share(5_000, 5_000))?;
        check!(stands_still(world, count)?);
        count.set(0);
        thread.tcb.resume()?;
        check!(core == 0 || runs_elsewhere(count));
    }
    Ok(())
}

fn c141_running_thread_is_moved_and_keeps_running(world: &World) -> Outcome {
    let (thread, count) = counter(world, Plan::at(100).on_core(1))?;
    for step in 0..40 {
        let core = 1 + step * 3 % (world.cores - 1).max(1);
        world.control(core).configure(thread.context, &share(5_000, 5_000))?;
        check!(runs_elsewhere(count));
        if step % 8 == 0 {
            // Over the own core, where it cannot run while this thread spins.
            world.control(0).configure(thread.context, &share(5_000, 5_000))?;
            let before = count.get();
            pause_us(2_000);
            check_eq!(count.get(), before);
        }
    }
    Ok(())
}

fn c142_deleting_a_running_thread_stops_it(world: &World) -> Outcome {
    for round in 0..30 {
        let core = 1 + round % (world.cores - 1);
        let (thread, count) = counter(world, Plan::at(100).on_core(core))?;
        check!(runs_elsewhere(count));
        world.at(thread.tcb.cptr().0).delete()?;
        check!(stands_still(world, count)?);
    }
    Ok(())
}

fn c142_threads_of_all_cores_come_and_go(world: &World) -> Outcome {
    let end = now_us() + WAIT_US / 2;
    for round in 0..40 {
        // Cores that always want the kernel lock are slow where the host has no processor for each: what fits in is enough.
        if round > 2 && now_us() > end {
            break;
        }
        let (calls, endpoint, notification) = (cell(), world.endpoint()?, world.notification()?);
        for core in 0..world.cores {
            let reply = world.reply()?;
            world.spawn(&Plan::at(100).on_core(core).with_time(500, 500), move || {
                loop {
                    notification.signal();
                    let _ = notification.poll();
                    let _ = endpoint.try_recv(reply);
                    endpoint.try_send(&Message::new(1, &[2, 3, 4]));
                    hybrid_sys::yield_now();
                    calls.add(1);
                }
            })?;
        }
        check!(world.wait_until(|| calls.get() > 20)?);
        world.close()?;
        world.open()?;
    }
    Ok(())
}

fn s05_suspended_thread_of_another_core_executes_nothing_more(world: &World) -> Outcome {
    let (thread, count) = counter(world, Plan::at(100).on_core(world.cores - 1))?;
    for _ in 0..50 {
        check!(runs_elsewhere(count));
        thread.tcb.suspend()?;
        let at_stop = count.get();
        pause_us(200);
        check_eq!(count.get(), at_stop);
        thread.tcb.resume()?;
    }
    Ok(())
}

fn s05_signal_wakes_a_thread_of_another_core(world: &World) -> Outcome {
    for core in 1..world.cores {
        let (bell, seen) = (world.notification()?, cell());
        world.spawn(&Plan::at(100).on_core(core), move || {
            loop {
                let _ = bell.wait();
                seen.add(1);
            }
        })?;
        for round in 1..=20 {
            bell.signal();
            // This thread never leaves its core: only the other core can have counted.
            check!(becomes(|| seen.get() == round));
        }
    }
    Ok(())
}

fn s08_private_interrupts_belong_to_their_core(world: &World) -> Outcome {
    // GetTriggerCore for the physical timer of each core: in use once per core.
    let issue = |slot: u64, irq: u64, core: u64| {
        let words = [irq, 0, slot, 64, core];
        crate::timer::CONTROL.cptr().invoke(56, &words, &[crate::world::OWN.cptr()]).map(|_| ())
    };
    let slots = world.slots(4);
    for core in 0..world.cores {
        issue(slots + core, 29, core)?;
        check!(issue(world.slot(), 29, core) == Err(Error::RevokeFirst));
        check!(issue(world.slot(), 27, core) == Err(Error::RevokeFirst));
        check!(
            issue(world.slot(), 0, core) == Err(Error::RevokeFirst)
                && issue(world.slot(), 1, core) == Err(Error::RevokeFirst)
        );
    }
    world.at(slots + 1).delete()?;
    issue(slots + 1, 29, 1)?;
    check!(issue(world.slot(), 160, 0) == Err(Error::Range { min: 0, max: 159 }));
    check!(matches!(issue(world.slot(), 40, 99), Err(Error::InvalidArgument { .. })));
    // Too short a message, or no capability, is truncated.
    check!(crate::timer::CONTROL.cptr().invoke(56, &[29, 0, slots, 64, 0], &[]) == Err(Error::TruncatedMessage));
    check!(
        crate::timer::CONTROL.cptr().invoke(56, &[29, 0, slots, 64], &[crate::world::OWN.cptr()])
            == Err(Error::TruncatedMessage)
    );
    Ok(())
}

fn s07_self_suspension_on_another_core(world: &World) -> Outcome {
    let (count, own) = (cell(), cell());
    let thread = world.prepare(&Plan::at(100).on_core(1), move || {
        loop {
            count.add(1);
            let _ = hybrid_sys::Tcb::at(own.get()).suspend();
        }
    })?;
    own.set(thread.tcb.cptr().0);
    thread.tcb.resume()?;
    check!(world.wait_until(|| count.get() > 0)?);
    check!(stands_still(world, count)?);
    thread.tcb.resume()?;
    check!(stands_still(world, count)? && count.get() == 1);
    Ok(())
}
