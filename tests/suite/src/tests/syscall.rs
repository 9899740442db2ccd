//! System-call mechanics (conformance 1 to 13).

use core::hint::black_box;

use hybrid_sys::abi::{label, syscall};
use hybrid_sys::{CPtr, Endpoint, Error, Frame, Message, MessageInfo, Notification, Reply, Rights, Tcb, buffer};

use super::tests;
use crate::probe::{count_changed, svc, svc_place};
use crate::suite::Test;
use crate::world::{OWN, Outcome, Plan, SELF, World, ask, cell};

pub(super) const TESTS: &[Test] = tests![
    s00_memory_is_copied_whole,
    c001_calls_preserve_all_other_registers + ["c012"],
    c001_client_and_server_keep_registers_across_messages,
    c002_undefined_label_neither_faults_nor_blocks + ["x073"],
    c002_null_capability_is_invalid_capability + ["x072"],
    c003_signalled_notification_is_received_at_once,
    c004_reply_recv_with_null_reply_takes_the_signal,
    c005_send_recv_signals_and_waits,
    c006_debug_put_char_prints_or_is_unknown,
    c007_poll_of_nothing_gives_zero_and_keeps_registers,
    c008_poll_gives_a_signal_once,
    c009_poll_of_endpoint_sees_bound_notification,
    c010_poll_takes_a_queued_message,
    c011_undefined_numbers_fault_with_registers,
    c013_without_buffer_four_words_travel,
    s01_results_of_sends_are_not_delivered,
    s01_first_phase_invokes_untyped_but_not_threads,
    x088_poll_with_unresolvable_reply_object_faults,
    x092_call_on_unused_reply_object_does_nothing,
    x093_signal_with_badge_zero,
    x095_reply_recv_with_cnode_as_reply_object,
];

/// The compiler calls `memcpy` and `memmove` of hybrid-sys for these: each byte is where it belongs, and none beside is touched.
fn s00_memory_is_copied_whole(_: &World) -> Outcome {
    const BYTES: usize = 576;
    // About the sizes of what is moved at once: words, pairs of them, and blocks of 128 bytes.
    const DISTANCES: [isize; 23] =
        [-129, -128, -127, -70, -64, -63, -33, -9, -8, -7, -1, 1, 7, 8, 9, 33, 63, 64, 65, 70, 127, 128, 129];
    let mut fresh = [0_u8; BYTES];
    (1..).zip(&mut fresh).for_each(|(value, byte)| *byte = value);
    for length in (0..=140).chain([191, 192, 193, 200, 255, 256, 257]) {
        for (from, distance) in
            DISTANCES.iter().flat_map(|distance| [176_usize, 179, 183].map(|from| (from, *distance)))
        {
            let (length, mut moved, mut copied) = (black_box(length), fresh, [0; BYTES]);
            let to = from.wrapping_add_signed(distance);
            moved.copy_within(from..from + length, to);
            copied[to..to + length].copy_from_slice(&fresh[from..from + length]);
            for (at, (moved, copied)) in moved.into_iter().zip(copied).enumerate() {
                let source = (to..to + length).contains(&at).then(|| fresh[at - to + from]);
                check!(moved == source.unwrap_or(fresh[at]) && copied == source.unwrap_or(0));
            }
        }
    }
    Ok(())
}

fn c001_calls_preserve_all_other_registers(world: &World) -> Outcome {
    let notification = world.notification()?;
    let (cap, reply) = (notification.cptr().0, world.reply()?.cptr().0);
    for _ in 0..10 {
        for (number, info) in [
            (syscall::SEND, 0),
            (syscall::NB_SEND, 0),
            (syscall::WAIT, 0),
            (syscall::NB_WAIT, 0),
            (syscall::NB_RECV, 0),
            (syscall::YIELD, 0),
            (syscall::CALL, 0),
            (syscall::RECV, 0),
            (syscall::CALL, MessageInfo::new(99, 0, 0, 2).0),
            (syscall::SEND, MessageInfo::new(99, 0, 0, 2).0),
            (syscall::REPLY_RECV, 0),
        ] {
            if matches!(number, syscall::WAIT | syscall::RECV | syscall::REPLY_RECV) {
                notification.signal();
            }
            let target = if info != 0 { OWN.cptr().0 } else { cap };
            check_eq!(count_changed(number, target, reply, info), 0);
        }
    }
    // First phases that signal: destination in x6 or x8.
    for number in [syscall::NB_SEND_WAIT, syscall::NB_SEND_RECV] {
        check_eq!(count_changed(number, cap, cap, 0), 0);
    }
    Ok(())
}

fn c001_client_and_server_keep_registers_across_messages(world: &World) -> Outcome {
    for is_other_space in [false, true] {
        let (endpoint, reply) = (world.endpoint()?.cptr().0, world.reply()?.cptr().0);
        let (wrong, rounds) = (cell(), cell());
        let plan = Plan::at(254);
        let plan = if is_other_space { plan.in_space(world.address_space()?) } else { plan };
        let server = world.spawn(&plan, move || {
            let _ = Endpoint::at(endpoint).recv(Reply::at(reply));
            loop {
                wrong.add(count_changed(syscall::REPLY_RECV, endpoint, reply, rounds.add(1) % 12));
            }
        })?;
        for length in [0, 1, 4, 5, 10, 120] {
            check_eq!(count_changed(syscall::CALL, endpoint, reply, MessageInfo::new(1, 0, 0, length).0), 0);
        }
        server.tcb.suspend()?;
        check!(wrong.get() == 0 && rounds.get() >= 6);
    }
    Ok(())
}

fn c002_undefined_label_neither_faults_nor_blocks(_: &World) -> Outcome {
    for undefined in [0, 17, 26, 99, 1 << 40] {
        check!(OWN.cptr().invoke(undefined, &[0, 0], &[]) == Err(Error::IllegalOperation));
    }
    check!(ask(OWN, 99, &[], &[]).info == MessageInfo::new(3, 0, 0, 0).0);
    let cnode = Endpoint(OWN.cptr());
    cnode.send(&Message::new(99, &[1, 2]));
    cnode.try_send(&Message::new(99, &[1, 2]));
    check!(OWN.cptr().invoke(label::CNODE_DELETE, &[1], &[]) == Err(Error::TruncatedMessage));
    Ok(())
}

fn c002_null_capability_is_invalid_capability(world: &World) -> Outcome {
    check!(CPtr::NULL.invoke(1, &[], &[]) == Err(Error::InvalidCapability { number: 0 }));
    check!(CPtr(world.slot()).invoke(1, &[], &[]) == Err(Error::InvalidCapability { number: 0 }));
    check!(ask(CPtr::NULL, 1, &[], &[]).info == MessageInfo::new(2, 0, 0, 1).0);
    Ok(())
}

fn badged(world: &World, notification: Notification, badge: u64) -> Result<Notification, Error> {
    Ok(Notification::at(world.mint(notification, Rights::ALL, badge)?))
}

fn c003_signalled_notification_is_received_at_once(world: &World) -> Outcome {
    let notification = world.notification()?;
    let (sender, reply) = (badged(world, notification, 0x40)?, world.reply()?);
    for number in [syscall::WAIT, syscall::NB_WAIT, syscall::RECV, syscall::NB_RECV] {
        sender.signal();
        // Receiving from a notification does not look at x6.
        for x6 in [reply.cptr().0, 0, 0x123_4567] {
            let after = svc(number, [notification.cptr().0, 0x77, 1, 2, 3, 4, x6, 0, 5]);
            check!(after[1..7] == [0x77, 1, 2, 3, 4, x6]);
            check_eq!(after[0], 0x40);
            sender.signal();
        }
        let _ = notification.poll();
    }
    Ok(())
}

fn c004_reply_recv_with_null_reply_takes_the_signal(world: &World) -> Outcome {
    let notification = world.notification()?;
    badged(world, notification, 7)?.signal();
    let received = Endpoint(notification.cptr()).reply_recv(Reply::at(0), &Message::default());
    check!(received.badge == 7);
    Ok(())
}

fn c005_send_recv_signals_and_waits(world: &World) -> Outcome {
    let (source, target) = (world.notification()?, world.notification()?);
    let (at_source, at_target) = (badged(world, source, 9)?, badged(world, target, 5)?);
    let same = Endpoint(source.cptr()).send_recv(at_source.cptr(), Reply::at(0), &Message::default());
    check!(same.badge == 9);
    at_source.signal();
    check!(Endpoint(source.cptr()).send_recv(at_target.cptr(), Reply::at(0), &Message::default()).badge == 9);
    check!(target.poll() == 5);
    check!(source.signal_wait(at_source) == 9);
    at_source.signal();
    check!(source.signal_wait(at_target) == 9 && target.poll() == 5 && source.poll() == 0);
    Ok(())
}

fn c006_debug_put_char_prints_or_is_unknown(world: &World) -> Outcome {
    let (endpoint, reply, same) = (world.endpoint()?, world.reply()?, cell());
    let given = [u64::from(b'#'), 11, 12, 13, 14, 15, 16, syscall::DEBUG_PUT_CHAR as u64, 18];
    world.spawn(&Plan::at(254).with_fault(endpoint), move || {
        same.set(u64::from(svc(syscall::DEBUG_PUT_CHAR, given) == given));
    })?;
    world.settle()?;
    if super::has_debug_calls(world) {
        "c006 printed\n".bytes().for_each(hybrid_sys::debug_put_char);
        check!(same.get() == 1);
    } else {
        let fault = endpoint.recv(reply);
        check!(fault.info.label() == 2 && buffer::word(12) == syscall::DEBUG_PUT_CHAR as u64 && same.get() == 0);
    }
    Ok(())
}

fn c007_poll_of_nothing_gives_zero_and_keeps_registers(world: &World) -> Outcome {
    let (notification, endpoint, reply) = (world.notification()?, world.endpoint()?, world.reply()?.cptr().0);
    for (number, source) in [
        (syscall::NB_WAIT, notification.cptr().0),
        (syscall::NB_RECV, endpoint.cptr().0),
        (syscall::NB_WAIT, endpoint.cptr().0),
    ] {
        let after = svc(number, [source, 0x77, 1, 2, 3, 4, reply, 0, 5]);
        check!(after == [0, 0x77, 1, 2, 3, 4, reply, number as u64, 5]);
    }
    Ok(())
}

fn c008_poll_gives_a_signal_once(world: &World) -> Outcome {
    let notification = world.notification()?;
    badged(world, notification, 0x1234_5678_9abc_def0)?.signal();
    check!(notification.poll() == 0x1234_5678_9abc_def0);
    check!(notification.poll() == 0);
    Ok(())
}

fn c009_poll_of_endpoint_sees_bound_notification(world: &World) -> Outcome {
    let (endpoint, notification, reply) = (world.endpoint()?, world.notification()?, world.reply()?);
    SELF.bind_notification(notification)?;
    badged(world, notification, 3)?.signal();
    let first = endpoint.try_recv(reply).badge;
    let second = endpoint.try_recv(reply).badge;
    SELF.unbind_notification()?;
    check!(first == 3 && second == 0);
    Ok(())
}

fn c010_poll_takes_a_queued_message(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 0xbad)?);
    world.spawn(&Plan::at(254), move || sender.send(&Message::new(0x5_5555_5555, &[0x1111, 0x2222])))?;
    world.settle()?;
    let got = endpoint.try_recv(reply);
    check!(got.badge == 0xbad && got.info == MessageInfo::new(0x5_5555_5555, 0, 0, 2));
    check!(got.registers[..2] == [0x1111, 0x2222] && endpoint.try_recv(reply).badge == 0);
    Ok(())
}

fn c011_undefined_numbers_fault_with_registers(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let has_debug_calls = super::has_debug_calls(world);
    let numbers = [0, 1, 0xc1, i64::MAX, i64::MIN, -34, -1000, -(1 << 32) - 1]
        .into_iter()
        .chain(-33..=-20)
        .chain((-19..=-12).filter(|_| !has_debug_calls));
    for number in numbers {
        world.spawn(&Plan::at(254).with_fault(endpoint), move || {
            svc(number, [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0, 0x19]);
        })?;
        let fault = endpoint.recv(reply);
        check!(fault.info == MessageInfo::new(2, 0, 0, 13) && fault.registers == [0x11, 0x12, 0x13, 0x14]);
        check!((4..7).all(|index| buffer::word(index) == 0x11 + index as u64));
        check!(buffer::word(7) == number as u64 && buffer::word(12) == number as u64);
        check!(buffer::word(8) == svc_place() && buffer::word(10) == svc_place() + 4);
        check!(buffer::word(11) & 0x0fff_fe3f == 0 && buffer::word(9) != 0);
    }
    Ok(())
}

fn c013_without_buffer_four_words_travel(world: &World) -> Outcome {
    let (endpoint, reply, bad) = (world.endpoint()?, world.reply()?, cell());
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 6)?);
    let thread = world.prepare(&Plan::at(254), move || {
        // Extra capabilities are not looked up without a buffer: this address resolves to nothing.
        let mut message = Message::new(3, &[1, 2, 3, 4]);
        message.info = MessageInfo::new(3, 0, 2, 10);
        sender.send(&message);
        let answer = sender.call(&Message::new(4, &[5, 6, 7, 8]));
        bad.set(u64::from(answer.info != MessageInfo::new(9, 0, 0, 4) || answer.registers != [21, 22, 23, 24]));
        let answer = sender.call(&Message::new(4, &[5]));
        bad.add(u64::from(answer.info != MessageInfo::new(9, 0, 0, 2) || answer.registers[..2] != [31, 32]));
    })?;
    thread.tcb.set_ipc_buffer(0, Frame::at(0))?;
    thread.tcb.resume()?;
    let got = endpoint.recv(reply);
    check!(got.badge == 6 && got.info == MessageInfo::new(3, 0, 0, 4) && got.registers == [1, 2, 3, 4]);
    check!(endpoint.recv(reply).registers == [5, 6, 7, 8]);
    let mut long = Message::new(9, &[21, 22, 23, 24]);
    long.info = MessageInfo::new(9, 0, 1, 100);
    buffer::set_cap(0, CPtr(endpoint.cptr().0));
    reply.send(&long);
    check!(endpoint.recv(reply).registers[0] == 5);
    bad.add(100);
    reply.send(&Message::new(9, &[31, 32]));
    world.settle()?;
    check_eq!(bad.get(), 100);
    Ok(())
}

fn s01_results_of_sends_are_not_delivered(world: &World) -> Outcome {
    let frame = world.frame()?;
    let info = MessageInfo::new(label::PAGE_GET_ADDRESS, 0, 0, 0).0;
    for number in [syscall::SEND, syscall::NB_SEND] {
        let after = svc(number, [frame.cptr().0, info, 1, 2, 3, 4, 5, 0, 6]);
        check!(after[..6] == [frame.cptr().0, info, 1, 2, 3, 4]);
    }
    let after = svc(syscall::CALL, [frame.cptr().0, info, 1, 2, 3, 4, 5, 0, 6]);
    check!(after[..6] == [0, 1, frame.address()?, 2, 3, 4]);
    // A result-less success writes x0 and x1 only.
    let info = MessageInfo::new(label::PAGE_UNMAP, 0, 0, 0).0;
    let after = svc(syscall::CALL, [frame.cptr().0, info, 1, 2, 3, 4, 5, 0, 6]);
    check!(after[..6] == [0, 0, 1, 2, 3, 4]);
    Ok(())
}

fn s01_first_phase_invokes_untyped_but_not_threads(world: &World) -> Outcome {
    let (notification, tcb) = (world.notification()?, Tcb::at(world.make(hybrid_sys::ObjectType::Tcb, 0)?));
    notification.signal();
    let info = MessageInfo::new(label::TCB_SET_FLAGS, 0, 0, 2).0;
    svc(syscall::REPLY_RECV, [notification.cptr().0, info, 0, 1, 0, 0, tcb.cptr().0, 0, 0]);
    check_eq!(tcb.set_flags(0, 0)?, 0);
    // CNode capabilities are refused too: the slot stays full.
    let endpoint = world.endpoint()?;
    notification.signal();
    let info = MessageInfo::new(label::CNODE_DELETE, 0, 0, 2).0;
    svc(syscall::REPLY_RECV, [notification.cptr().0, info, endpoint.cptr().0, 64, 0, 0, OWN.cptr().0, 0, 0]);
    world.mint(endpoint, Rights::ALL, 0)?;
    Ok(())
}

fn x088_poll_with_unresolvable_reply_object_faults(world: &World) -> Outcome {
    let (endpoint, handler, reply) = (world.endpoint()?.cptr().0, world.endpoint()?, world.reply()?);
    for (bad, words) in [(0x1_7000, [0x1_7000, 1, 4]), (endpoint, [endpoint, 1, 2]), (0, [0, 1, 2])] {
        world.spawn(&Plan::at(254).with_fault(handler), move || {
            let _ = Endpoint::at(endpoint).try_recv(Reply::at(bad));
        })?;
        let fault = handler.recv(reply);
        check!(fault.info.label() == 1 && fault.registers[1..] == words);
        check!(bad != 0x1_7000 || [buffer::word(4), buffer::word(5), buffer::word(6)] == [0x40, 0, 0x34]);
        check!(bad == 0x1_7000 || buffer::word(4) == 0);
    }
    Ok(())
}

fn x092_call_on_unused_reply_object_does_nothing(world: &World) -> Outcome {
    let reply = world.reply()?;
    let answer = Endpoint(reply.cptr()).call(&Message::new(5, &[1, 2]));
    check!(answer.info.0 == 0 && answer.badge == 0 && answer.registers == [1, 2, 0, 0]);
    reply.send(&Message::new(5, &[1]));
    Ok(())
}

fn x093_signal_with_badge_zero(world: &World) -> Outcome {
    let notification = world.notification()?;
    notification.signal();
    let after = svc(syscall::NB_WAIT, [notification.cptr().0, 0x77, 1, 2, 3, 4, 5, 0, 6]);
    check!(after[..7] == [0, 0x77, 1, 2, 3, 4, 5]);
    // It was active although its word was 0: a blocking wait returns.
    notification.signal();
    check_eq!(notification.wait(), 0);
    Ok(())
}

fn x095_reply_recv_with_cnode_as_reply_object(world: &World) -> Outcome {
    let notification = world.notification()?;
    badged(world, notification, 0x21)?.signal();
    // From a notification x6 is only the destination of the first phase, which refuses CNodes.
    let received = Endpoint(notification.cptr()).reply_recv(Reply(OWN.cptr()), &Message::default());
    check!(received.badge == 0x21);
    Ok(())
}
