//! Scheduling contexts that travel with messages (conformance 61 to 71).

use hybrid_sys::abi::syscall;
use hybrid_sys::{Endpoint, Error, Message, MessageInfo, Reply};

use super::message::{is_patterned, patterned};
use super::tests;
use crate::probe::{probe_undefined, svc};
use crate::suite::Test;
use crate::world::{Outcome, Plan, Thread, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c061_passive_proxies_and_server_answer_in_a_chain,
    c062_reply_by_send_gives_the_time_back,
    c063_send_to_a_passive_receiver_donates_nothing,
    c064_message_of_a_sender_without_time,
    c065_context_deleted_under_a_blocked_thread,
    c066_passive_fault_handler_runs_on_the_faulters_time,
    c067_callers_are_handed_on_to_other_passive_servers,
    c068_clients_context_deleted_during_its_call,
    c069_reply_object_then_context_deleted_during_a_call,
    c070_low_passive_server_serves_a_higher_client,
    c071_first_phases_donate_without_a_link,
    s05_equal_budgets_follow_the_caller_not_the_server,
    s05_call_to_a_lower_server_overtakes_nobody,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };

/// Starts a thread, lets it reach its wait, and takes its time away.
pub(super) fn passive<F: Fn() + Copy + Send + 'static>(world: &World, plan: &Plan, body: F) -> Result<Thread, Error> {
    let thread = world.spawn(plan, body)?;
    world.settle()?;
    thread.context.unbind()?;
    Ok(thread)
}

fn c061_passive_proxies_and_server_answer_in_a_chain(world: &World) -> Outcome {
    const PROXIES: usize = 5;
    for (servers, is_other_space) in [(100, false), (110, false), (90, false), (100, true)] {
        for length in [2, 60] {
            let mut endpoints = [Endpoint::at(0); PROXIES + 1];
            for endpoint in &mut endpoints {
                *endpoint = world.endpoint()?;
            }
            let (served, forwarded, good) = (cell(), cell(), cell());
            let place = || -> Result<Plan, Error> {
                let plan = Plan::at(servers);
                Ok(if is_other_space { plan.in_space(world.address_space()?) } else { plan })
            };
            let (endpoint, reply) = (endpoints[PROXIES], world.reply()?);
            passive(world, &place()?, move || {
                let mut message = endpoint.recv(reply);
                loop {
                    served.add(u64::from(is_patterned(&message, length)));
                    message = endpoint.reply_recv(reply, &patterned(message.info.label() + 1, length));
                }
            })?;
            for hop in 0..PROXIES {
                let (here, next, reply) = (endpoints[hop], endpoints[hop + 1], world.reply()?);
                passive(world, &place()?, move || {
                    let mut message = here.recv(reply);
                    loop {
                        forwarded.add(u64::from(is_patterned(&message, length)));
                        let answer = next.call(&patterned(message.info.label() + 1, length));
                        message = here.reply_recv(reply, &patterned(answer.info.label() + 1, length));
                    }
                })?;
            }
            let first = endpoints[0];
            world.spawn(&Plan::at(100), move || {
                for round in 0..10 {
                    let answer = first.call(&patterned(round * 100, length));
                    let hops = 2 * PROXIES as u64 + 1;
                    good.add(u64::from(answer.info.label() == round * 100 + hops && is_patterned(&answer, length)));
                }
            })?;
            world.settle()?;
            check!(good.get() == 10 && served.get() == 10 && forwarded.get() == 50);
            world.close()?;
            world.open()?;
        }
    }
    Ok(())
}

fn c062_reply_by_send_gives_the_time_back(world: &World) -> Outcome {
    let (endpoint, reply, steps, done) = (world.endpoint()?, world.reply()?, cell(), cell());
    let server = passive(world, &Plan::at(100), move || {
        let _ = endpoint.recv(reply);
        steps.set(1);
        reply.send(&Message::new(0, &[7]));
        steps.set(2);
    })?;
    let client = world.spawn(&Plan::at(90), move || done.set(endpoint.call(&NOTHING).registers[0]))?;
    world.settle()?;
    check!(done.get() == 7 && steps.get() == 1);
    // The context is the client's again, the server has none.
    check!(client.context.unbind_object(server.tcb.cptr()) == Err(Error::IllegalOperation));
    server.context.bind(server.tcb)?;
    world.settle()?;
    check_eq!(steps.get(), 2);
    Ok(())
}

fn c063_send_to_a_passive_receiver_donates_nothing(world: &World) -> Outcome {
    for is_blocking in [true, false] {
        let (endpoint, got) = (world.endpoint()?, cell());
        let receiver = passive(world, &Plan::at(100), move || {
            loop {
                got.push(endpoint.wait().registers[0]);
            }
        })?;
        let sent = cell();
        world.spawn(&Plan::at(90), move || {
            for digit in 1..=3 {
                let message = Message::new(0, &[digit]);
                if is_blocking {
                    endpoint.send(&message)
                } else {
                    endpoint.try_send(&message)
                }
                sent.set(digit);
            }
        })?;
        world.settle()?;
        // The first is delivered, the receiver stands still; the others wait or are lost.
        check!(got.get() == 0 && sent.get() == if is_blocking { 1 } else { 3 });
        receiver.context.bind(receiver.tcb)?;
        world.settle()?;
        check_eq!(got.get(), if is_blocking { 0x123 } else { 1 });
        check_eq!(sent.get(), 3);
    }
    Ok(())
}

fn c064_message_of_a_sender_without_time(world: &World) -> Outcome {
    for is_call in [false, true] {
        let (endpoint, reply, passed) = (world.endpoint()?, world.reply()?, cell());
        let sender = world.spawn(&Plan::at(100), move || {
            if is_call {
                let _ = endpoint.call(&Message::new(5, &[6]));
            } else {
                endpoint.send(&Message::new(5, &[6]));
            }
            passed.set(1);
        })?;
        world.settle()?;
        sender.context.unbind()?;
        let got = endpoint.recv(reply);
        check!(got.info.label() == 5 && got.registers[0] == 6);
        reply.send(&NOTHING);
        world.settle()?;
        check_eq!(passed.get(), 0);
        sender.context.bind(sender.tcb)?;
        world.settle()?;
        check_eq!(passed.get(), 1);
    }
    Ok(())
}

fn c065_context_deleted_under_a_blocked_thread(world: &World) -> Outcome {
    let (endpoint, reply, sent, got) = (world.endpoint()?, world.reply()?, cell(), cell());
    let sender = world.spawn(&Plan::at(100), move || {
        endpoint.send(&Message::new(5, &[6]));
        sent.set(1);
    })?;
    world.settle()?;
    world.at(sender.context.cptr().0).delete()?;
    check_eq!(endpoint.recv(reply).registers[0], 6);
    world.settle()?;
    check_eq!(sent.get(), 0);
    let fresh = world.context(0, (10_000, 10_000))?;
    fresh.bind(sender.tcb)?;
    world.settle()?;
    check_eq!(sent.get(), 1);
    // The same for one that receives.
    let receiver = world.spawn(&Plan::at(100), move || got.set(endpoint.wait().registers[0]))?;
    world.settle()?;
    world.at(receiver.context.cptr().0).delete()?;
    endpoint.send(&Message::new(5, &[9]));
    world.settle()?;
    check_eq!(got.get(), 0);
    let fresh = world.context(0, (10_000, 10_000))?;
    fresh.bind(receiver.tcb)?;
    world.settle()?;
    check_eq!(got.get(), 9);
    Ok(())
}

fn c066_passive_fault_handler_runs_on_the_faulters_time(world: &World) -> Outcome {
    let (endpoint, reply, faults, done) = (world.endpoint()?, world.reply()?, cell(), cell());
    for (handler, faulter) in [(110, 100), (90, 100)] {
        [faults, done].iter().for_each(|word| word.set(0));
        let handler = passive(world, &Plan::at(handler), move || {
            let mut fault = endpoint.recv(reply);
            loop {
                faults.add(1);
                fault = endpoint.reply_recv(reply, &Message::new(0, &[fault.registers[0] + 4]));
            }
        })?;
        let faulter = world.spawn(&Plan::at(faulter).with_fault(endpoint), move || {
            for _ in 0..5 {
                probe_undefined(0);
            }
            done.set(1);
        })?;
        world.settle()?;
        check!(faults.get() == 5 && done.get() == 1);
        check!(faulter.context.unbind_object(handler.tcb.cptr()) == Err(Error::IllegalOperation));
        world.at(handler.tcb.cptr().0).delete()?;
    }
    Ok(())
}

fn c067_callers_are_handed_on_to_other_passive_servers(world: &World) -> Outcome {
    const CLIENTS: usize = 4;
    let front = world.endpoint()?;
    let (mut workers, mut replies) = ([Endpoint::at(0); CLIENTS], [Reply::at(0); CLIENTS + 1]);
    for reply in &mut replies {
        *reply = world.reply()?;
    }
    let (answers, lived, started) = (cell(), cell(), cell());
    for (index, worker) in workers.iter_mut().enumerate() {
        *worker = world.endpoint()?;
        let (endpoint, reply) = (*worker, replies[index]);
        passive(world, &Plan::at(100), move || {
            let got = endpoint.wait();
            started.add(1);
            reply.send(&Message::new(0, &[got.registers[0] * 16 + index as u64]));
            started.add(1 << 32);
        })?;
    }
    // It receives with a new reply object each time, and gives the time on to a worker without a link.
    passive(world, &Plan::at(100), move || {
        let mut got = front.recv(replies[0]);
        for index in 0..CLIENTS {
            let message = Message::new(0, &[got.registers[0]]);
            got = front.send_recv(workers[index].cptr(), replies[index + 1], &message);
        }
    })?;
    for client in 1..=CLIENTS as u64 {
        world.spawn(&Plan::at(90), move || {
            let answer = front.call(&Message::new(0, &[client])).registers[0];
            answers.add(u64::from(answer >> 4 == client) << (8 * (answer & 0xf)));
            lived.add(1);
        })?;
        world.settle()?;
    }
    check!(answers.get() == 0x0101_0101 && lived.get() == 4 && started.get() == 4);
    Ok(())
}

fn c068_clients_context_deleted_during_its_call(world: &World) -> Outcome {
    let (endpoint, reply, passed) = (world.endpoint()?, world.reply()?, cell());
    let client = world.spawn(&Plan::at(100), move || passed.set(endpoint.call(&NOTHING).registers[0]))?;
    let _ = endpoint.recv(reply);
    world.at(client.context.cptr().0).delete()?;
    reply.send(&Message::new(0, &[4]));
    world.settle()?;
    check_eq!(passed.get(), 0);
    world.context(0, (10_000, 10_000))?.bind(client.tcb)?;
    world.settle()?;
    check_eq!(passed.get(), 4);
    // With a passive server, which loses the time at once.
    let (endpoint, inner, steps) = (world.endpoint()?, world.reply()?, cell());
    passive(world, &Plan::at(100), move || {
        let _ = endpoint.recv(inner);
        loop {
            steps.add(1);
        }
    })?;
    let client = world.spawn(&Plan::at(100), move || passed.set(endpoint.call(&NOTHING).registers[0]))?;
    check!(world.wait_until(|| steps.get() > 0)?);
    world.at(client.context.cptr().0).delete()?;
    let before = steps.get();
    world.sleep_us(2_000)?;
    check_eq!(steps.get(), before);
    inner.send(&Message::new(0, &[5]));
    world.settle()?;
    check_eq!(passed.get(), 4);
    Ok(())
}

fn c069_reply_object_then_context_deleted_during_a_call(world: &World) -> Outcome {
    for is_passive in [false, true] {
        let (endpoint, inner, steps, passed) = (world.endpoint()?, world.reply()?, cell(), cell());
        let server = passive(world, &Plan::at(100), move || {
            let _ = endpoint.recv(inner);
            loop {
                steps.add(1);
            }
        })?;
        if !is_passive {
            server.context.bind(server.tcb)?;
        }
        let client = world.spawn(&Plan::at(100), move || {
            let _ = endpoint.call(&NOTHING);
            passed.set(1);
        })?;
        check!(world.wait_until(|| steps.get() > 0)?);
        world.at(inner.cptr().0).delete()?;
        world.at(client.context.cptr().0).delete()?;
        let before = steps.get();
        check!(world.wait_until(|| steps.get() > before || is_passive)?);
        world.sleep_us(2_000)?;
        check!(passed.get() == 0 && (!is_passive || steps.get() == before));
        world.at(server.tcb.cptr().0).delete()?;
    }
    Ok(())
}

fn c070_low_passive_server_serves_a_higher_client(world: &World) -> Outcome {
    let (endpoint, ready, reply, served) = (world.endpoint()?, world.notification()?, world.reply()?, cell());
    for start in 1..=3u64 {
        let server = world.spawn(&Plan::at(50), move || {
            // Announces itself and waits in one call.
            let mut message = endpoint.send_recv(ready.cptr(), reply, &NOTHING);
            loop {
                served.add(1);
                message = endpoint.reply_recv(reply, &Message::new(0, &[message.registers[0] + 1]));
            }
        })?;
        let _ = ready.wait();
        server.context.unbind()?;
        let good = cell();
        world.spawn(&Plan::at(100), move || {
            for round in 0..5 {
                good.add(u64::from(endpoint.call(&Message::new(0, &[round])).registers[0] == round + 1));
            }
        })?;
        world.settle()?;
        check!(good.get() == 5 && served.get() == 5 * start);
        world.at(server.tcb.cptr().0).delete()?;
    }
    Ok(())
}

fn c071_first_phases_donate_without_a_link(world: &World) -> Outcome {
    for number in [syscall::REPLY_RECV, syscall::NB_SEND_RECV, syscall::NB_SEND_WAIT] {
        let (target, source, got, back) = (world.endpoint()?, world.notification()?, cell(), cell());
        let receiver = passive(world, &Plan::at(100), move || {
            loop {
                got.set(target.wait().registers[0]);
            }
        })?;
        let sender = world.spawn(&Plan::at(100), move || {
            let (to, from) = (target.cptr().0, source.cptr().0);
            let info = MessageInfo::new(0, 0, 0, 1).0;
            let x6 = if number == syscall::NB_SEND_RECV { 0 } else { to };
            svc(number, [from, info, 0x77, 0, 0, 0, x6, 0, to]);
            back.set(1);
        })?;
        world.settle()?;
        check!(got.get() == 0x77 && back.get() == 0);
        // The receiver waits again, on the sender's context; there is no link back.
        source.signal();
        world.settle()?;
        check_eq!(back.get(), 0);
        sender.context.unbind_object(receiver.tcb.cptr())?;
        sender.context.bind(sender.tcb)?;
        world.settle()?;
        check_eq!(back.get(), 1);
    }
    Ok(())
}

fn s05_equal_budgets_follow_the_caller_not_the_server(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let server = passive(world, &Plan::at(100), move || {
        let _ = endpoint.recv(reply);
        loop {
            crate::timer::spin_us(2_000);
            let _ = endpoint.reply_recv(reply, &NOTHING);
        }
    })?;
    // What it used up to its wait is not what is measured.
    let _ = server.context.take_consumed_us()?;
    let client = world.spawn(&Plan::at(100), move || _ = endpoint.call(&NOTHING))?;
    world.settle()?;
    check!(client.context.take_consumed_us()? >= 1_900);
    check!(server.context.take_consumed_us()? < 1_900);
    Ok(())
}

/// Who is ready and more important than the server runs before it, whoever's time the server gets.
fn s05_call_to_a_lower_server_overtakes_nobody(world: &World) -> Outcome {
    for is_passive in [true, false] {
        let (endpoint, reply, order) = (world.endpoint()?, world.reply()?, cell());
        let server = world.spawn(&Plan::at(100), move || {
            let _ = endpoint.recv(reply);
            loop {
                order.push(3);
                let _ = endpoint.reply_recv(reply, &NOTHING);
            }
        })?;
        world.settle()?;
        if is_passive {
            server.context.unbind()?;
        }
        world.spawn(&Plan::at(150), move || order.push(2))?;
        world.spawn(&Plan::at(200), move || {
            order.push(1);
            let _ = endpoint.call(&NOTHING);
            order.push(4);
        })?;
        world.settle()?;
        check_eq!(order.get(), 0x1234);
    }
    Ok(())
}
