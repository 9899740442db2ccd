//! Endpoint queues, callers, rights (conformance 44 to 50, 55 to 60).

use hybrid_sys::abi::register::Register;
use hybrid_sys::{CPtr, Endpoint, Message, MessageInfo, Received, Reply, Rights, Suspend, buffer};

use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, Plan, SELF, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c044_caller_is_suspended_and_resumed_cleanly,
    c046_callers_are_served_by_priority,
    c047_new_priority_reorders_the_queue,
    c048_receivers_are_chosen_by_priority,
    c049_sending_without_write_does_nothing,
    c050_receiving_without_read_faults,
    c055_call_without_grants_stops_the_caller + ["x089"],
    c056_call_without_reply_object_stops_the_caller + ["x090"],
    c057_cancelling_a_badge_restarts_its_caller_only,
    c059_deleting_an_endpoint_restarts_its_queue,
    c060_reply_object_used_again_cancels_its_caller,
    x091_reply_by_send,
    x087_self_suspended_thread_suspends_itself_again,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };

fn c044_caller_is_suspended_and_resumed_cleanly(world: &World) -> Outcome {
    let (endpoint, reply, done) = (world.endpoint()?, world.reply()?, cell());
    let client = world.spawn(&Plan::at(254), move || {
        for round in 1..=3 {
            done.set(endpoint.call(&Message::new(1, &[round])).registers[0]);
        }
    })?;
    check!(endpoint.recv(reply).registers[0] == 1);
    client.tcb.suspend()?;
    // Its reply object is free: an answer reaches nobody.
    reply.send(&Message::new(0, &[99]));
    world.settle()?;
    check_eq!(done.get(), 0);
    client.tcb.resume()?;
    world.settle()?;
    client.tcb.suspend()?;
    check!(endpoint.try_recv(reply).info.label() != 1);
    client.tcb.resume()?;
    for round in 1..=3 {
        check!(endpoint.recv(reply).registers[0] == round);
        reply.send(&Message::new(0, &[round + 10]));
        world.settle()?;
        check_eq!(done.get(), round + 10);
    }
    Ok(())
}

fn c046_callers_are_served_by_priority(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    for priority in [103, 101, 105, 102, 104] {
        world.spawn(&Plan::at(priority), move || {
            let _ = endpoint.call(&Message::new(1, &[u64::from(priority)]));
        })?;
        world.settle()?;
    }
    for expected in [105, 104, 103, 102, 101] {
        check_eq!(endpoint.recv(reply).registers[0], expected);
        reply.send(&NOTHING);
    }
    Ok(())
}

fn c047_new_priority_reorders_the_queue(world: &World) -> Outcome {
    // Senders 1 to 4 at 10, 20, 30, 40; then one gets a new priority. (sender, its priority, order in which they are served)
    let cases = [
        (4, 5, [3, 2, 1, 4]),
        (1, 50, [1, 4, 3, 2]),
        (1, 25, [4, 3, 1, 2]),
        (4, 25, [3, 4, 2, 1]),
        (2, 30, [4, 3, 2, 1]),
        (3, 20, [4, 2, 3, 1]),
        (4, 30, [3, 4, 2, 1]),
        (2, 20, [4, 3, 2, 1]),
    ];
    for (moved, priority, order) in cases {
        let endpoint = world.endpoint()?;
        let mut threads = [None; 5];
        for sender in 1..=4 {
            let thread = world.spawn(&Plan::at(10 * sender), move || {
                endpoint.send(&Message::new(0, &[u64::from(sender)]));
            })?;
            threads[usize::from(sender)] = Some(thread.tcb);
            world.settle()?;
        }
        if let Some(tcb) = threads[moved] {
            tcb.set_priority(SELF, priority)?;
        }
        for sender in order {
            check_eq!(endpoint.wait().registers[0], sender);
        }
    }
    // An unchanged priority goes behind its equals.
    let endpoint = world.endpoint()?;
    let first = world.spawn(&Plan::at(10), move || endpoint.send(&Message::new(0, &[1])))?;
    world.settle()?;
    world.spawn(&Plan::at(10), move || endpoint.send(&Message::new(0, &[2])))?;
    world.settle()?;
    first.tcb.set_priority(SELF, 10)?;
    check!(endpoint.wait().registers[0] == 2 && endpoint.wait().registers[0] == 1);
    Ok(())
}

fn c048_receivers_are_chosen_by_priority(world: &World) -> Outcome {
    let (endpoint, order) = (world.endpoint()?, cell());
    for (digit, priority) in [(1, 100), (3, 120), (2, 110)] {
        let reply = world.reply()?;
        world.spawn(&Plan::at(priority), move || {
            let _ = endpoint.recv(reply);
            loop {
                order.push(digit);
                let _ = endpoint.reply_recv(reply, &NOTHING);
            }
        })?;
        world.settle()?;
    }
    // The highest server answers and waits again before anybody else calls.
    let _ = endpoint.call(&NOTHING);
    world.settle()?;
    let _ = endpoint.call(&NOTHING);
    world.settle()?;
    check_eq!(order.get(), 0x33);
    // While nobody has answered yet, the next in rank are taken.
    order.set(0);
    SELF.set_priority(SELF, 200)?;
    for _ in 0..3 {
        endpoint.try_send(&NOTHING);
    }
    SELF.set_priority(SELF, 255)?;
    world.settle()?;
    check_eq!(order.get(), 0x321);
    Ok(())
}

fn c049_sending_without_write_does_nothing(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let silent = Endpoint::at(world.mint(endpoint, Rights(14), 3)?);
    let (answers, passed) = (cell(), cell());
    world.spawn(&Plan::at(254), move || {
        silent.send(&NOTHING);
        silent.try_send(&NOTHING);
        passed.set(1);
        let answer = silent.call(&NOTHING);
        answers.set(answer.info.0 << 8 | answer.registers[0]);
    })?;
    world.settle()?;
    check!(passed.get() == 1 && endpoint.try_recv(reply).badge == 0);
    check_eq!(answers.get(), MessageInfo::new(2, 0, 0, 1).0 << 8);
    // A signal without Write changes nothing either.
    let notification = world.notification()?;
    hybrid_sys::Notification::at(world.mint(notification, Rights::READ, 3)?).signal();
    check_eq!(notification.poll(), 0);
    let only_write = world.mint(notification, Rights::WRITE, 3)?;
    hybrid_sys::Notification::at(only_write).signal();
    check_eq!(notification.poll(), 3);
    Ok(())
}

fn c050_receiving_without_read_faults(world: &World) -> Outcome {
    let (handler, reply) = (world.endpoint()?, world.reply()?);
    let blind = world.mint(world.endpoint()?, Rights(13), 0)?;
    let deaf = world.mint(world.notification()?, Rights::WRITE, 0)?;
    for source in [blind, deaf, 1] {
        for kind in 0..4 {
            world.spawn(&Plan::at(254).with_fault(handler), move || {
                let endpoint = Endpoint::at(source);
                let _: Received = match kind {
                    0 => endpoint.wait(),
                    1 => endpoint.recv(reply),
                    2 => endpoint.try_recv(reply),
                    _ => endpoint.reply_recv(Reply::at(0), &NOTHING),
                };
            })?;
            let fault = handler.recv(reply);
            check!(fault.info == MessageInfo::new(1, 0, 0, 5) && fault.registers[1..] == [source, 1, 2]);
            check!(buffer::word(4) == 0);
        }
    }
    Ok(())
}

/// A thread that calls once and says what it got.
fn stopped_caller(world: &World, rights: Rights, has_reply: bool) -> Outcome {
    let (endpoint, reply, got) = (world.endpoint()?, world.reply()?, cell());
    let sender = Endpoint::at(world.mint(endpoint, rights, 0x42)?);
    let caller = world.spawn(&Plan::at(254), move || {
        let answer = sender.call(&Message::new(6, &[1]));
        got.set(answer.info.0);
    })?;
    for _ in 0..3 {
        world.settle()?;
        let message = if has_reply { endpoint.try_recv(reply) } else { endpoint.wait() };
        check!(message.badge == 0x42 && message.info == MessageInfo::new(6, 0, 0, 1) && message.registers[0] == 1);
        reply.send(&Message::new(9, &[]));
        world.settle()?;
        // It stands still at its call, which Resume issues again.
        check_eq!(got.get(), 0);
        check!(endpoint.try_recv(reply).badge == 0);
        let place = caller.tcb.read_registers(Suspend::No, 36)?.read(Register::Pc);
        // SAFETY: the address is in the suite's code.
        let instruction = unsafe { core::ptr::with_exposed_provenance::<u32>(place as usize).read_volatile() };
        check_eq!(u64::from(instruction), 0xd400_0001);
        caller.tcb.resume()?;
    }
    Ok(())
}

fn c055_call_without_grants_stops_the_caller(world: &World) -> Outcome {
    stopped_caller(world, Rights::WRITE, true)?;
    stopped_caller(world, Rights::WRITE.or(Rights::READ), true)?;
    // The same where the receiver was there first.
    let (endpoint, reply, got, returned) = (world.endpoint()?, world.reply()?, cell(), cell());
    let silent = Endpoint::at(world.mint(endpoint, Rights::WRITE, 3)?);
    world.spawn(&Plan::at(150), move || {
        loop {
            got.set(endpoint.recv(reply).registers[0]);
        }
    })?;
    world.settle()?;
    world.spawn(&Plan::at(100), move || {
        let _ = silent.call(&Message::new(0, &[9]));
        returned.set(1);
    })?;
    world.settle()?;
    check!(got.get() == 9 && returned.get() == 0);
    Ok(())
}

fn c056_call_without_reply_object_stops_the_caller(world: &World) -> Outcome {
    stopped_caller(world, Rights::ALL, false)
}

fn c057_cancelling_a_badge_restarts_its_caller_only(world: &World) -> Outcome {
    const CALLERS: u64 = 32;
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let (results, returned) = (cell(), cell());
    let badged = world.slots(CALLERS);
    for index in 0..CALLERS {
        world.at(badged + index).mint_from(world.at(endpoint.cptr().0), Rights::ALL, 100 + index)?;
        let copy = world.slot();
        world.at(copy).copy_from(world.at(badged + index), Rights::ALL)?;
        world.spawn(&Plan::at(100), move || {
            let answer = Endpoint::at(copy).call(&Message::new(0, &[index]));
            results.set(answer.info.0);
            returned.add(1 << index);
        })?;
    }
    world.settle()?;
    check_eq!(returned.get(), 0);
    // Cancelling alone: the caller calls again and is queued again.
    world.at(badged + 3).cancel_badged_sends()?;
    world.settle()?;
    check_eq!(returned.get(), 0);
    let order = (0..CALLERS).map(|step| step * 7 % CALLERS);
    let mut expected = 0;
    for index in order.take(20) {
        world.at(badged + index).revoke()?;
        world.settle()?;
        check_eq!(returned.get(), expected);
        world.at(badged + index).cancel_badged_sends()?;
        world.settle()?;
        expected |= 1 << index;
        check_eq!(returned.get(), expected);
        check_eq!(results.get(), MessageInfo::new(2, 0, 0, 1).0);
    }
    // The others are still queued, each once.
    let mut left = 0;
    for _ in 0..CALLERS - 20 {
        let message = endpoint.try_recv(reply);
        check!(message.badge == 100 + message.registers[0]);
        left |= 1 << message.registers[0];
        reply.send(&NOTHING);
    }
    check!(left & expected == 0 && left | expected == (1 << CALLERS) - 1);
    check_eq!(endpoint.try_recv(reply).badge, 0);
    Ok(())
}

fn c059_deleting_an_endpoint_restarts_its_queue(world: &World) -> Outcome {
    let (endpoint, handler, reply) = (world.endpoint()?, world.endpoint()?, world.reply()?);
    let (answer, sent) = (cell(), cell());
    world.spawn(&Plan::at(100), move || answer.set(endpoint.call(&NOTHING).info.0))?;
    world.spawn(&Plan::at(100), move || {
        endpoint.send(&NOTHING);
        sent.set(1);
    })?;
    world.settle()?;
    check!(answer.get() == 0 && sent.get() == 0);
    world.at(endpoint.cptr().0).delete()?;
    world.settle()?;
    check!(answer.get() == MessageInfo::new(2, 0, 0, 1).0 && sent.get() == 1);
    // Receivers find an empty slot, which is a fault.
    let endpoint = world.endpoint()?;
    let inner = world.reply()?;
    world.spawn(&Plan::at(100).with_fault(handler), move || _ = endpoint.recv(inner))?;
    world.settle()?;
    world.at(endpoint.cptr().0).delete()?;
    let fault = handler.recv(reply);
    check!(fault.info.label() == 1 && fault.registers[1..] == [endpoint.cptr().0, 1, 2]);
    Ok(())
}

fn c060_reply_object_used_again_cancels_its_caller(world: &World) -> Outcome {
    let (endpoint, reply, got) = (world.endpoint()?, world.reply()?, cell());
    let mut threads = [CPtr::NULL; 3];
    for index in 1..=2u64 {
        let thread = world.spawn(&Plan::at(100 + index as u8), move || {
            let answer = endpoint.call(&Message::new(0, &[index]));
            got.set(index << 8 | answer.registers[0]);
        })?;
        threads[index as usize] = thread.tcb.cptr();
    }
    check!(endpoint.recv(reply).registers[0] == 2);
    check!(endpoint.recv(reply).registers[0] == 1);
    reply.send(&Message::new(0, &[0x55]));
    reply.send(&Message::new(0, &[0x66]));
    world.settle()?;
    check_eq!(got.get(), 0x155);
    // The cancelled one calls again when it is resumed.
    hybrid_sys::Tcb(threads[2]).resume()?;
    check!(endpoint.recv(reply).registers[0] == 2);
    reply.send(&Message::new(0, &[0x77]));
    world.settle()?;
    check_eq!(got.get(), 0x277);
    // A receiver that waits with the object is cancelled as well.
    let other = world.endpoint()?;
    let waiter = world.spawn(&Plan::at(100), move || got.set(other.recv(reply).registers[0]))?;
    world.settle()?;
    let _ = endpoint.try_recv(reply);
    other.try_send(&Message::new(0, &[9]));
    world.settle()?;
    check_eq!(got.get(), 0x277);
    waiter.tcb.resume()?;
    world.settle()?;
    other.try_send(&Message::new(0, &[9]));
    world.settle()?;
    check_eq!(got.get(), 9);
    Ok(())
}

fn x091_reply_by_send(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let (info, word, badge) = (cell(), cell(), cell());
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 0x31)?);
    world.spawn(&Plan::at(100), move || {
        let answer = sender.call(&Message::new(1, &[1, 2, 3]));
        info.set(answer.info.0);
        word.set(answer.registers[0]);
        badge.set(answer.badge);
    })?;
    let _ = endpoint.recv(reply);
    badge.set(7);
    reply.send(&Message::new(0x99, &[0x4444]));
    world.settle()?;
    check!(info.get() == 0x9_9001 && word.get() == 0x4444 && badge.get() == 0);
    Ok(())
}

fn x087_self_suspended_thread_suspends_itself_again(world: &World) -> Outcome {
    let (before, after, own) = (cell(), cell(), cell());
    let thread = world.prepare(&Plan::at(100), move || {
        before.add(1);
        let _ = hybrid_sys::Tcb::at(own.get()).suspend();
        after.add(1);
    })?;
    own.set(thread.tcb.cptr().0);
    thread.tcb.resume()?;
    for _ in 0..3 {
        world.settle()?;
        check!(before.get() == 1 && after.get() == 0);
        thread.tcb.resume()?;
    }
    // Moved past the call by hand it goes on.
    world.settle()?;
    let registers = thread.tcb.read_registers(Suspend::No, 36)?;
    let past = registers.with(Register::Pc, registers.read(Register::Pc) + 4).with(Register::X(1), 0);
    thread.tcb.write_registers(hybrid_sys::Resume::After, &past)?;
    world.settle()?;
    check!(before.get() == 1 && after.get() == 1);
    Ok(())
}
