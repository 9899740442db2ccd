//! Notifications: signals, waiters, binding, the time that they lend (conformance 77 to 83, 86).

use hybrid_sys::{CPtr, Endpoint, Error, Message, MessageInfo, Notification, ObjectType, Rights, Tcb, buffer};

use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, Plan, SELF, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c077_bound_notification_and_messages_are_told_apart,
    c077_pending_signal_wins_over_queued_senders,
    c077_signal_that_came_meanwhile_is_received_after_the_reply,
    c078_bound_thread_waits_on_the_notification_itself,
    c079_bound_thread_without_time_waits_for_it,
    c079_bound_thread_runs_on_the_notifications_time,
    c080_badges_are_ored,
    c081_signal_wakes_the_highest_waiter_only,
    c082_receiving_from_anothers_notification_faults,
    c083_bind_refuses_what_it_must,
    c086_deleted_thread_frees_the_notifications_time,
    c086_deleted_time_leaves_a_thread_with_its_own_alone,
    s04_signal_leaves_a_caller_alone,
    s02_deleted_notification_restarts_its_queue,
    s02_deleted_notification_frees_its_thread,
];

const NOTHING: Message = Message { info: MessageInfo(0), registers: [0; 4] };

fn badged(world: &World, notification: Notification, badge: u64) -> Result<Notification, Error> {
    Ok(Notification::at(world.mint(notification, Rights::ALL, badge)?))
}

fn c077_bound_notification_and_messages_are_told_apart(world: &World) -> Outcome {
    let (endpoint, notification) = (world.endpoint()?, world.notification()?);
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 0x100)?);
    let signaller = badged(world, notification, 0x200)?;
    let (signals, messages, other) = (cell(), cell(), cell());
    for priority in [110, 90] {
        [signals, messages, other].iter().for_each(|word| word.set(0));
        let thread = world.prepare(&Plan::at(priority), move || {
            loop {
                match endpoint.wait().badge {
                    0x100 => messages.add(1),
                    0x200 => signals.add(1),
                    _ => other.add(1),
                };
            }
        })?;
        thread.tcb.bind_notification(notification)?;
        thread.tcb.resume()?;
        world.settle()?;
        world.spawn(&Plan::at(100), move || {
            for _ in 0..20 {
                sender.send(&NOTHING);
                signaller.signal();
                // With a lower receiver a second signal would be merged into the first.
                sender.send(&NOTHING);
            }
        })?;
        world.settle()?;
        check!(messages.get() == 40 && other.get() == 0);
        check!(signals.get() == 20);
        world.at(thread.tcb.cptr().0).delete()?;
    }
    Ok(())
}

fn c077_pending_signal_wins_over_queued_senders(world: &World) -> Outcome {
    let (endpoint, notification, reply) = (world.endpoint()?, world.notification()?, world.reply()?);
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 0x100)?);
    world.spawn(&Plan::at(100), move || sender.send(&NOTHING))?;
    world.settle()?;
    SELF.bind_notification(notification)?;
    badged(world, notification, 0x3)?.signal();
    let (first, second) = (endpoint.recv(reply).badge, endpoint.recv(reply).badge);
    SELF.unbind_notification()?;
    check!(first == 3 && second == 0x100);
    Ok(())
}

fn c078_bound_thread_waits_on_the_notification_itself(world: &World) -> Outcome {
    for (waiter, signaller) in [(100, 110), (100, 100), (110, 100)] {
        let (notification, seen, count) = (world.notification()?, cell(), cell());
        let signal = badged(world, notification, 0x11)?;
        let thread = world.prepare(&Plan::at(waiter), move || {
            while count.get() < 10 {
                seen.set(notification.wait());
                count.add(1);
            }
        })?;
        thread.tcb.bind_notification(notification)?;
        thread.tcb.resume()?;
        for round in 1..=10 {
            world.spawn(&Plan::at(signaller), move || signal.signal())?;
            world.settle()?;
            check!(seen.get() == 0x11 && count.get() == round);
        }
    }
    Ok(())
}

fn c079_bound_thread_without_time_waits_for_it(world: &World) -> Outcome {
    let (endpoint, notification, seen) = (world.endpoint()?, world.notification()?, cell());
    let thread = world.prepare(&Plan::at(100), move || seen.set(endpoint.wait().badge))?;
    thread.tcb.bind_notification(notification)?;
    thread.tcb.resume()?;
    world.settle()?;
    thread.context.unbind()?;
    badged(world, notification, 0x12)?.signal();
    world.settle()?;
    check_eq!(seen.get(), 0);
    thread.context.bind(thread.tcb)?;
    world.settle()?;
    check_eq!(seen.get(), 0x12);
    Ok(())
}

fn c079_bound_thread_runs_on_the_notifications_time(world: &World) -> Outcome {
    let (endpoint, notification) = (world.endpoint()?, world.notification()?);
    let (seen, count) = (cell(), cell());
    let thread = world.prepare(&Plan::at(100), move || {
        loop {
            seen.set(endpoint.wait().badge);
            count.add(1);
        }
    })?;
    thread.tcb.bind_notification(notification)?;
    thread.tcb.resume()?;
    world.settle()?;
    thread.context.unbind()?;
    thread.context.bind_notification(notification)?;
    let signal = badged(world, notification, 0x12)?;
    for round in 1..=5 {
        signal.signal();
        world.settle()?;
        check!(seen.get() == 0x12 && count.get() == round);
        // The thread blocks on the endpoint with the notification bound: the time is the notification's again.
        check!(thread.context.unbind_object(thread.tcb.cptr()) == Err(Error::IllegalOperation));
    }
    Ok(())
}

fn c080_badges_are_ored(world: &World) -> Outcome {
    let notification = world.notification()?;
    for is_call in [false, true] {
        for badge in [1, 4, 1 << 63, 4] {
            let slot = world.mint(notification, Rights::WRITE, badge)?;
            if is_call {
                check_eq!(Endpoint::at(slot).call(&NOTHING).info.0, 0);
            } else {
                Notification::at(slot).signal();
            }
        }
        check!(notification.wait() == (1 << 63 | 5));
        check!(notification.poll() == 0);
    }
    Ok(())
}

fn c081_signal_wakes_the_highest_waiter_only(world: &World) -> Outcome {
    let (notification, order) = (world.notification()?, cell());
    for (digit, priority) in [(1, 101), (2, 103), (3, 102), (4, 102)] {
        world.spawn(&Plan::at(priority), move || {
            let _ = notification.wait();
            order.push(digit);
        })?;
        world.settle()?;
    }
    for expected in [0x2, 0x23, 0x234, 0x2341] {
        notification.signal();
        world.settle()?;
        check_eq!(order.get(), expected);
    }
    Ok(())
}

fn c082_receiving_from_anothers_notification_faults(world: &World) -> Outcome {
    let (notification, handler, reply) = (world.notification()?, world.endpoint()?, world.reply()?);
    SELF.bind_notification(notification)?;
    for is_blocking in [true, false] {
        world.spawn(&Plan::at(254).with_fault(handler), move || {
            let _ = if is_blocking { notification.wait() } else { notification.poll() };
        })?;
        world.settle()?;
        let fault = handler.try_recv(reply);
        // The own notification may speak first; it was not signalled here.
        check!(fault.info == MessageInfo::new(1, 0, 0, 5));
        check!(fault.registers[1..] == [notification.cptr().0, 1, 2] && buffer::word(4) == 0);
    }
    SELF.unbind_notification()?;
    check_eq!(notification.poll(), 0);
    Ok(())
}

fn c083_bind_refuses_what_it_must(world: &World) -> Outcome {
    let (first, second) = (world.notification()?, world.notification()?);
    let other = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    check!(SELF.unbind_notification() == Err(Error::IllegalOperation));
    check!(SELF.bind_notification(Notification(world.endpoint()?.cptr())) == Err(Error::IllegalOperation));
    check!(SELF.bind_notification(Notification(CPtr::NULL)) == Err(Error::IllegalOperation));
    let unreadable = Notification::at(world.mint(first, Rights::WRITE, 0)?);
    check!(SELF.bind_notification(unreadable) == Err(Error::IllegalOperation));
    SELF.bind_notification(first)?;
    check!(SELF.bind_notification(second) == Err(Error::IllegalOperation));
    check!(other.bind_notification(first) == Err(Error::IllegalOperation));
    SELF.unbind_notification()?;
    other.bind_notification(first)?;
    other.unbind_notification()?;
    world.spawn(&Plan::at(100), move || _ = first.wait())?;
    world.settle()?;
    check!(other.bind_notification(first) == Err(Error::IllegalOperation));
    first.signal();
    world.settle()?;
    other.bind_notification(first)?;
    // The binding holds no capability; deleting the thread ends it.
    world.at(other.cptr().0).delete()?;
    SELF.bind_notification(first)?;
    SELF.unbind_notification()?;
    Ok(())
}

fn c086_deleted_thread_frees_the_notifications_time(world: &World) -> Outcome {
    let (notification, seen) = (world.notification()?, cell());
    let waiter = |digit: u64| {
        world.spawn(&Plan::at(100).passive(), move || {
            loop {
                let _ = notification.wait();
                seen.push(digit);
            }
        })
    };
    let (first, second) = (waiter(1)?, waiter(2)?);
    let time = world.context(0, (10_000, 10_000))?;
    // Each borrows the time to reach its wait.
    for thread in [first, second] {
        time.bind(thread.tcb)?;
        world.settle()?;
        time.unbind()?;
    }
    time.bind_notification(notification)?;
    notification.signal();
    world.settle()?;
    check_eq!(seen.get(), 1);
    // The first in the queue now is the second thread; it takes the time and is deleted while it holds it.
    notification.signal();
    SELF.set_priority(SELF, 200)?;
    world.at(second.tcb.cptr().0).delete()?;
    seen.set(0);
    notification.signal();
    world.settle()?;
    check_eq!(seen.get(), 1);
    Ok(())
}

fn c086_deleted_time_leaves_a_thread_with_its_own_alone(world: &World) -> Outcome {
    let (notification, seen) = (world.notification()?, cell());
    let time = world.context(0, (10_000, 10_000))?;
    time.bind_notification(notification)?;
    world.spawn(&Plan::at(100), move || {
        loop {
            let _ = notification.wait();
            seen.add(1);
        }
    })?;
    world.settle()?;
    world.at(time.cptr().0).delete()?;
    for round in 1..=3 {
        notification.signal();
        world.settle()?;
        check_eq!(seen.get(), round);
    }
    Ok(())
}

fn s04_signal_leaves_a_caller_alone(world: &World) -> Outcome {
    let (endpoint, reply, notification) = (world.endpoint()?, world.reply()?, world.notification()?);
    let (answer, signal) = (cell(), cell());
    let thread = world.prepare(&Plan::at(100), move || {
        answer.set(endpoint.call(&NOTHING).registers[0]);
        signal.set(endpoint.wait().badge);
    })?;
    thread.tcb.bind_notification(notification)?;
    thread.tcb.resume()?;
    let bell = badged(world, notification, 0x44)?;
    world.settle()?;
    bell.signal();
    let _ = endpoint.recv(reply);
    bell.signal();
    world.settle()?;
    check!(answer.get() == 0 && signal.get() == 0);
    reply.send(&Message::new(0, &[5]));
    world.settle()?;
    check!(answer.get() == 5 && signal.get() == 0x44);
    Ok(())
}

fn s02_deleted_notification_restarts_its_queue(world: &World) -> Outcome {
    let (notification, handler, reply) = (world.notification()?, world.endpoint()?, world.reply()?);
    world.spawn(&Plan::at(100).with_fault(handler), move || _ = notification.wait())?;
    world.settle()?;
    world.at(notification.cptr().0).delete()?;
    let fault = handler.recv(reply);
    check!(fault.info.label() == 1 && fault.registers[1..] == [notification.cptr().0, 1, 2]);
    Ok(())
}

fn s02_deleted_notification_frees_its_thread(world: &World) -> Outcome {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    for _ in 0..2 {
        let notification = world.notification()?;
        tcb.bind_notification(notification)?;
        world.at(notification.cptr().0).delete()?;
        check!(tcb.unbind_notification() == Err(Error::IllegalOperation));
    }
    Ok(())
}

/// A server that is signalled while it serves finds the signal when it replies and waits, also where reply and wait are quick.
fn c077_signal_that_came_meanwhile_is_received_after_the_reply(world: &World) -> Outcome {
    let (endpoint, reply, notification) = (world.endpoint()?, world.reply()?, world.notification()?);
    let (seen, answers) = (cell(), cell());
    let bell = badged(world, notification, 0x44)?;
    let server = super::donation::passive(world, &Plan::at(100), move || {
        let _ = endpoint.recv(reply);
        loop {
            bell.signal();
            let got = endpoint.reply_recv(reply, &NOTHING);
            seen.set(got.badge);
            let _ = endpoint.recv(reply);
        }
    })?;
    server.tcb.bind_notification(notification)?;
    let client = world.spawn(&Plan::at(100), move || {
        let _ = endpoint.call(&NOTHING);
        answers.add(1);
    })?;
    world.settle()?;
    check_eq!(answers.get(), 1);
    client.context.unbind()?;
    client.context.bind(server.tcb)?;
    world.settle()?;
    check_eq!(seen.get(), 0x44);
    Ok(())
}
