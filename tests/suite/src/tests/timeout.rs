//! Timeout faults and the recovery of servers (conformance 114, 115).

use core::cell::Cell;

use hybrid_sys::abi::label;
use hybrid_sys::{CPtr, Endpoint, Error, Message, MessageInfo, Rights, buffer};

use super::donation::passive;
use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, Plan, World, ask, cell};

pub(super) const TESTS: &[Test] = tests![
    c114_timeout_faults_come_again_and_again,
    c115_servers_timeout_goes_to_its_own_handler,
    s05_answered_timeout_with_another_label_stops_the_thread,
    s05_round_robin_and_yield_raise_no_timeout,
    s05_timeout_reply_sets_all_registers,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };

fn c114_timeout_faults_come_again_and_again(world: &World) -> Outcome {
    let (endpoint, reply, count) = (world.endpoint()?, world.reply()?, cell());
    let handler = CPtr(world.mint(endpoint, Rights::ALL, 0x71)?);
    let thread = world.prepare(&Plan::at(254).with_time(1_000, 2_000), move || {
        loop {
            count.add(1);
        }
    })?;
    thread.tcb.set_timeout_endpoint(handler)?;
    thread.tcb.resume()?;
    let (mut before, is_exact) = (0, crate::timer::is_exact());
    for _ in 0..100 {
        let fault = endpoint.recv(reply);
        check!(fault.badge == 0x71 && fault.info == MessageInfo::new(5, 0, 0, 2) && fault.registers[0] == 0x5c);
        // It ran since the last one and used about its budget; a paused host may have used it up instead.
        check!(!is_exact || (count.get() > before && fault.registers[1] >= 900));
        before = count.get();
        reply.send(&NOTHING);
    }
    check!(before > 0);
    Ok(())
}

fn c115_servers_timeout_goes_to_its_own_handler(world: &World) -> Outcome {
    let (endpoint, inner, timeouts, reply) = (world.endpoint()?, world.reply()?, world.endpoint()?, world.reply()?);
    let (served, answers) = (cell(), cell());
    let server = passive(world, &Plan::at(100), move || {
        let mut message = endpoint.recv(inner);
        loop {
            // Only a request of 0 is within its client's budget.
            if message.registers[0] != 0 {
                loop {
                    core::hint::spin_loop();
                }
            }
            served.add(1);
            message = endpoint.reply_recv(inner, &Message::new(0, &[0x60]));
        }
    })?;
    server.tcb.set_timeout_endpoint(CPtr(world.mint(timeouts, Rights::ALL, 0x72)?))?;
    // Where the server waits: its registers to come back to.
    let mut words = [0; 34];
    let answer = ask(server.tcb, label::TCB_READ_REGISTERS, &[0, 36], &[]);
    check_eq!(answer.info, 36);
    for (index, word) in words.iter_mut().enumerate() {
        *word = if index < 4 { answer.words[index] } else { buffer::word(index) };
    }
    let spare = world.context(0, (10_000, 10_000))?;
    // Each client asks when it is told to, so that no pause of the host decides what happens. The first one's time never runs out; the
    // other, whose time comes back after its period, would otherwise ask again before the server is passive, and run on the spare context.
    let mut clients = [world.notification()?; 2];
    clients[1] = world.notification()?;
    for (request, (budget, period)) in [(0, (10_000, 10_000)), (1, (2_000, 10_000))] {
        let told = clients[request as usize];
        world.spawn(&Plan::at(90).with_time(budget, period), move || {
            loop {
                let _ = told.wait();
                answers.push(endpoint.call(&Message::new(0, &[request])).registers[0] & 0xf | request << 1 | 8);
            }
        })?;
    }
    for (index, request) in [0, 1, 0, 1, 1, 0].into_iter().enumerate() {
        clients[request].signal();
        if request == 1 {
            let fault = timeouts.recv(reply);
            check!(fault.badge == 0x72 && fault.info == MessageInfo::new(5, 0, 0, 2) && fault.registers[0] == 0x5c);
            // The client is answered in the server's place and has its time back.
            inner.send(&Message::new(0, &[0x51]));
            spare.bind(server.tcb)?;
            let mut back = Message::new(0, &words[..4]);
            back.info = MessageInfo::new(0, 0, 0, 34);
            words.iter().enumerate().skip(4).for_each(|(index, word)| buffer::set_word(index, *word));
            reply.send(&back);
            // The server reaches its wait on the spare context, and is passive again.
            world.settle()?;
            spare.unbind()?;
        }
        check!(world.wait_until(|| answers.get() >> (4 * index) != 0)?);
    }
    check_eq!(answers.get(), 0x8b_8bb8);
    check_eq!(served.get(), 3);
    Ok(())
}

/// A thread that runs out of 1 ms in a long period, with its timeout handler.
fn exhausted(
    world: &World,
    period_us: u64,
) -> Result<(crate::world::Thread, Endpoint, &'static crate::world::Word), Error> {
    let (endpoint, count) = (world.endpoint()?, cell());
    let thread = world.prepare(&Plan::at(254).with_time(1_000, period_us), move || {
        loop {
            count.add(1);
        }
    })?;
    thread.tcb.set_timeout_endpoint(endpoint.cptr())?;
    thread.tcb.resume()?;
    Ok((thread, endpoint, count))
}

fn s05_answered_timeout_with_another_label_stops_the_thread(world: &World) -> Outcome {
    let (thread, endpoint, count) = exhausted(world, 3_000)?;
    let reply = world.reply()?;
    check_eq!(endpoint.recv(reply).info.label(), 5);
    let before = count.get();
    reply.send(&Message::new(1, &[]));
    world.sleep_us(10_000)?;
    check_eq!(count.get(), before);
    thread.tcb.resume()?;
    // A host that pauses may have used its new budget up, too: it goes on when that is answered.
    let goes_on = world.wait_until(|| {
        if endpoint.try_recv(reply).info.label() == 5 {
            reply.send(&NOTHING);
        }
        count.get() > before
    })?;
    check!(goes_on);
    Ok(())
}

fn s05_round_robin_and_yield_raise_no_timeout(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let sporadic = if crate::timer::is_exact() { (1_000, 2_000) } else { (500_000, 501_000) };
    for time in [(1_000, 1_000), sporadic] {
        let count = cell();
        let thread = world.prepare(&Plan::at(254).with_time(time.0, time.1), move || {
            loop {
                count.add(1);
                if time.0 != time.1 {
                    hybrid_sys::yield_now();
                }
            }
        })?;
        thread.tcb.set_timeout_endpoint(endpoint.cptr())?;
        thread.tcb.resume()?;
        // A host that pauses may use up the budget before the thread yields; then it goes on when that is answered.
        let may_time_out = time.0 != time.1 && !crate::timer::is_exact();
        let pauses = Cell::new(0);
        let goes_on = world.wait_until(|| {
            if may_time_out && endpoint.try_recv(reply).info.label() == 5 {
                reply.send(&NOTHING);
                pauses.set(pauses.get() + 1);
            }
            count.get() > 5
        })?;
        check!(goes_on);
        // Not one for each yield.
        check!(pauses.get() < 5);
        world.sleep_us(10_000)?;
        if !may_time_out {
            check!(endpoint.try_recv(reply).info.label() != 5);
        }
        world.at(thread.tcb.cptr().0).delete()?;
    }
    Ok(())
}

fn s05_timeout_reply_sets_all_registers(world: &World) -> Outcome {
    let (thread, endpoint, _) = exhausted(world, 3_000)?;
    let reply = world.reply()?;
    check_eq!(endpoint.recv(reply).info.label(), 5);
    let word = |index: usize| 0xabc0_0000 + index as u64;
    let mut back = Message::new(7, &[word(0), word(1), !0, word(3)]);
    back.info = MessageInfo::new(7, 0, 0, 34);
    (4..34).for_each(|index| buffer::set_word(index, word(index)));
    reply.send(&back);
    let answer = ask(thread.tcb, label::TCB_READ_REGISTERS, &[0, 36], &[]);
    check!(answer.words[0] == word(0) && answer.words[1] == word(1) && answer.words[3] == word(3));
    check!(answer.words[2] & 0xf000_0000 == 0xf000_0000 && answer.words[2] & 0x0fff_fe3f == 0);
    check!((4..34).all(|index| buffer::word(index) == word(index)));
    check!(buffer::word(34) != word(34));
    Ok(())
}
