//! Message transfer: words, lengths, priorities, cores (conformance 40 to 45), capabilities (51 to 54).

use hybrid_sys::{CPtr, Endpoint, Error, Frame, Message, MessageInfo, ObjectType, Received, Rights, Tcb, buffer};

use super::tests;
use crate::suite::Test;
use crate::world::{OWN, Outcome, Plan, World, cell};

pub(super) const TESTS: &[Test] = tests![
    c040_send_carries_every_length_in_every_order,
    c040_send_between_every_pair_of_cores if Cores,
    c041_call_carries_every_length_in_every_order,
    c041_call_between_every_pair_of_cores if Cores,
    c042_try_send_reaches_waiting_receivers_only,
    c042_try_send_between_every_pair_of_cores if Cores,
    c043_two_exchangers_make_progress,
    c043_two_exchangers_on_two_cores_make_progress if Cores,
    c045_messages_carry_the_senders_badge,
    c051_capability_needs_grant + ["x080"],
    c052_own_endpoint_is_unwrapped + ["x076", "x077"],
    c053_only_the_first_capability_is_placed + ["x078"],
    c054_no_receive_slot_no_capability + ["x081"],
    x079_transfer_own_frame_own,
    x082_transfer_own_and_frame_without_slot,
    x083_transfer_of_an_empty_slot,
    x084_transfer_of_an_untyped_with_children,
    x085_transfer_of_three_own_endpoints,
    x086_transfer_of_an_unresolvable_address_faults,
    s04_transferred_capability_is_a_child,
    s01_length_above_the_maximum_is_cut,
    s01_unwrapped_bits_of_the_sender_do_not_arrive,
];

fn word_for(length: u64, index: u64) -> u64 {
    (length << 32) | (index << 8) | 0xa5
}

/// A message of `length` words with a known pattern.
pub(super) fn patterned(label: u64, length: u64) -> Message {
    let mut message = Message::new(label, &[0; 4]);
    message.info = MessageInfo::new(label, 0, 0, length);
    for index in 0..4 {
        message.registers[index] = word_for(length, index as u64);
    }
    for index in 4..length {
        buffer::set_word(index as usize, word_for(length, index));
    }
    message
}

/// Whether it is the message that [`patterned`] made.
pub(super) fn is_patterned(received: &Received, length: u64) -> bool {
    let word = |index: u64| if index < 4 { received.registers[index as usize] } else { buffer::word(index as usize) };
    received.info.length() as u64 == length && (0..length).all(|index| word(index) == word_for(length, index))
}

/// How the two sides talk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Send, Recv.
    Send,
    /// Call, ReplyRecv.
    ReplyRecv,
    /// Call, Recv, Send on the reply object.
    ReplySend,
}

/// One client sends every `step`-th length to one server; both check every word.
fn exchange(world: &World, way: Way, plans: [Plan; 2], is_server_first: bool, step: u64) -> Outcome {
    let [client, server] = plans;
    let count = 120 / step + 1;
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 0x77)?);
    let (good, answered) = (cell(), cell());
    let take = move |received: &Received, length: u64| {
        let is_good = received.badge == 0x77 && received.info.label() == length + 3 && is_patterned(received, length);
        good.add(u64::from(is_good));
    };
    let serve = move || {
        let mut received = endpoint.recv(reply);
        for length in (0..=120).step_by(step as usize) {
            take(&received, length);
            if length + step > 120 && way != Way::Send {
                reply.send(&patterned(5, length));
                return;
            }
            received = match way {
                Way::Send if length + step > 120 => return,
                Way::Send => endpoint.recv(reply),
                Way::ReplyRecv => endpoint.reply_recv(reply, &patterned(5, length)),
                Way::ReplySend => {
                    reply.send(&patterned(5, length));
                    endpoint.recv(reply)
                }
            };
        }
    };
    let ask = move || {
        for length in (0..=120).step_by(step as usize) {
            let message = patterned(length + 3, length);
            if way == Way::Send {
                sender.send(&message);
                answered.add(1);
            } else {
                let answer = sender.call(&message);
                let is_good = answer.badge == 0 && answer.info.label() == 5 && is_patterned(&answer, length);
                answered.add(u64::from(is_good));
            }
        }
    };
    let (server, client) = (world.prepare(&server, serve)?, world.prepare(&client, ask)?);
    let (first, second) = if is_server_first { (server, client) } else { (client, server) };
    first.tcb.resume()?;
    world.settle()?;
    second.tcb.resume()?;
    world.settle()?;
    check!(world.wait_until(|| answered.get() == count && good.get() == count)?);
    Ok(())
}

fn every_order(world: &World, ways: &[Way]) -> Outcome {
    for is_other_space in [false, true] {
        for way in ways {
            for (client, server) in [(100, 120), (110, 110), (120, 100)] {
                for is_server_first in [false, true] {
                    let server = Plan::at(server);
                    let server = if is_other_space { server.in_space(world.address_space()?) } else { server };
                    exchange(world, *way, [Plan::at(client), server], is_server_first, 1)?;
                    world.close()?;
                    world.open()?;
                }
            }
        }
    }
    Ok(())
}

fn every_pair(world: &World, ways: &[Way]) -> Outcome {
    for way in ways {
        for client in 0..world.cores {
            for server in 0..world.cores {
                let client = Plan::at(100).on_core(client);
                let server = Plan::at(100).on_core(server).in_space(world.address_space()?);
                // A message to another core takes long where few processors emulate many.
                exchange(world, *way, [client, server], true, 15)?;
                world.close()?;
                world.open()?;
            }
        }
    }
    Ok(())
}

fn c040_send_carries_every_length_in_every_order(world: &World) -> Outcome {
    every_order(world, &[Way::Send])
}

fn c040_send_between_every_pair_of_cores(world: &World) -> Outcome {
    every_pair(world, &[Way::Send])
}

fn c041_call_carries_every_length_in_every_order(world: &World) -> Outcome {
    every_order(world, &[Way::ReplyRecv, Way::ReplySend])
}

fn c041_call_between_every_pair_of_cores(world: &World) -> Outcome {
    every_pair(world, &[Way::ReplyRecv, Way::ReplySend])
}

/// A receiver on some core; whether NBSend reaches it before and after it waits.
fn try_send(world: &World, receiver: Plan, sender: Plan) -> Outcome {
    let (endpoint, got, sent) = (world.endpoint()?, cell(), cell());
    let receiver = world.prepare(&receiver, move || got.set(endpoint.wait().registers[0]))?;
    world.spawn(&sender, move || {
        endpoint.try_send(&Message::new(1, &[41]));
        sent.set(1);
    })?;
    world.settle()?;
    check!(world.wait_until(|| sent.get() == 1)?);
    receiver.tcb.resume()?;
    world.settle()?;
    world.sleep_us(2_000)?;
    check_eq!(got.get(), 0);
    // The receiver waits by now, on whatever core it is.
    let is_received = world.wait_until(|| {
        endpoint.try_send(&Message::new(1, &[42]));
        got.get() != 0
    })?;
    check!(is_received && got.get() == 42);
    Ok(())
}

fn c042_try_send_reaches_waiting_receivers_only(world: &World) -> Outcome {
    for (receiver, sender) in [(100, 90), (100, 100), (100, 110)] {
        try_send(world, Plan::at(receiver), Plan::at(sender))?;
    }
    try_send(world, Plan::at(100).in_space(world.address_space()?), Plan::at(100))
}

fn c042_try_send_between_every_pair_of_cores(world: &World) -> Outcome {
    for receiver in 0..world.cores {
        for sender in 0..world.cores {
            try_send(world, Plan::at(100).on_core(receiver), Plan::at(100).on_core(sender))?;
        }
    }
    Ok(())
}

/// Two threads that send and receive on the same endpoint.
fn two_exchangers(world: &World, cores: [u64; 2]) -> Outcome {
    let (endpoint, rounds, wrong) = (world.endpoint()?, cell(), cell());
    // A message to another core takes long where few processors emulate many.
    let wanted = if cores == [0, 0] { 1000 } else { 50 };
    for core in cores {
        let reply = world.reply()?;
        world.spawn(&Plan::at(100).on_core(core), move || {
            loop {
                let received = endpoint.send_recv(endpoint.cptr(), reply, &patterned(9, 120));
                wrong.add(u64::from(received.info.label() != 9 || !is_patterned(&received, 120)));
                if rounds.add(1) >= wanted {
                    return;
                }
            }
        })?;
    }
    let is_done = if cores == [0, 0] {
        world.settle()?;
        rounds.get() >= wanted
    } else {
        // On two cores a message that meets nobody is lost, and both may then wait: push now and then. Two threads of one other
        // core are only waited for: `settle` is about this core.
        world.wait_until(|| {
            endpoint.try_send(&patterned(9, 120));
            rounds.get() >= wanted
        })?
    };
    check_eq!(wrong.get(), 0);
    check!(is_done);
    Ok(())
}

fn c043_two_exchangers_make_progress(world: &World) -> Outcome {
    two_exchangers(world, [0, 0])
}

fn c043_two_exchangers_on_two_cores_make_progress(world: &World) -> Outcome {
    two_exchangers(world, [0, 1])?;
    two_exchangers(world, [world.cores - 1, 1])?;
    two_exchangers(world, [1, 0])
}

fn c045_messages_carry_the_senders_badge(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    for badge in [0, 1, 0xbad_cafe, u64::MAX, 1 << 63] {
        let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, badge)?);
        let copy = world.slot();
        world.at(copy).copy_from(world.at(sender.cptr().0), Rights::ALL)?;
        world.spawn(&Plan::at(254), move || {
            sender.send(&Message::default());
            let _ = Endpoint::at(copy).call(&Message::default());
        })?;
        check_eq!(endpoint.recv(reply).badge, badge);
        check_eq!(endpoint.recv(reply).badge, badge);
        reply.send(&Message::default());
    }
    Ok(())
}

/// What a transfer of capabilities gave: message info, the three words for badges, the receive slot.
struct Transfer {
    info: u64,
    badges: [u64; 3],
    slot: u64,
}

/// A message with `caps` as appendix C sends it: label 7, length 3, unwrapped bits that mean nothing.
fn transfer(
    world: &World,
    endpoint: Endpoint,
    rights: Rights,
    caps: &[u64],
    has_slot: bool,
) -> Result<Transfer, Error> {
    let sender = Endpoint::at(world.mint(endpoint, rights, 1)?);
    let (caps, count) = ([caps[0], *caps.get(1).unwrap_or(&0), *caps.get(2).unwrap_or(&0)], caps.len() as u64);
    let slot = world.slot();
    buffer::set_receive_slot(if has_slot { OWN.cptr() } else { CPtr::NULL }, slot, 64);
    world.spawn(&Plan::at(254), move || {
        for (index, cap) in caps.into_iter().enumerate() {
            buffer::set_cap(index, CPtr(cap));
        }
        let mut message = Message::new(7, &[1, 2, 3]);
        message.info = MessageInfo::new(7, 5, count, 3);
        sender.send(&message);
    })?;
    let reply = world.reply()?;
    world.settle()?;
    // Invoking kernel objects uses the same words of the buffer: nothing may come between this and the receive.
    (0..3).for_each(|index| buffer::set_cap(index, CPtr(0xee)));
    let received = endpoint.try_recv(reply);
    if received.badge != 1 || received.registers[..3] != [1, 2, 3] {
        return Err(Error::Unknown(0x7a));
    }
    Ok(Transfer { info: received.info.0, badges: [buffer::badge(0), buffer::badge(1), buffer::badge(2)], slot })
}

/// The endpoint, a badged capability to it, and a frame.
fn things(world: &World) -> Result<(Endpoint, u64, Frame), Error> {
    let endpoint = world.endpoint()?;
    Ok((endpoint, world.mint(endpoint, Rights::ALL, 0x99)?, world.frame()?))
}

fn holds(slot: u64, frame: Frame) -> bool {
    Frame::at(slot).address() == frame.address()
}

fn is_empty(slot: u64) -> bool {
    CPtr(slot).invoke(1, &[], &[]) == Err(Error::InvalidCapability { number: 0 })
}

fn c051_capability_needs_grant(world: &World) -> Outcome {
    let (endpoint, _, frame) = things(world)?;
    let got = transfer(world, endpoint, Rights::WRITE.or(Rights::GRANT_REPLY), &[frame.cptr().0], true)?;
    check!(got.info == 0x7003 && is_empty(got.slot));
    let got = transfer(world, endpoint, Rights::WRITE.or(Rights::GRANT), &[frame.cptr().0], true)?;
    check!(got.info == 0x7083 && holds(got.slot, frame));
    // It is usable with the rights that it had.
    let place = crate::world::FREE_ADDRESS;
    world.map(crate::world::SPACE, Frame::at(got.slot), place, Rights::ALL, hybrid_sys::Attributes::DATA)?;
    crate::probe::poke(place, 4);
    // A thread's capability, too.
    let tcb = world.make(ObjectType::Tcb, 0)?;
    let got = transfer(world, endpoint, Rights::ALL, &[tcb], true)?;
    check!(Tcb::at(got.slot).set_flags(0, 1)? == 1 && Tcb::at(tcb).set_flags(0, 0)? == 1);
    Ok(())
}

fn c052_own_endpoint_is_unwrapped(world: &World) -> Outcome {
    let (endpoint, own, frame) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[own, frame.cptr().0], true)?;
    check!(got.info == 0x7303 && got.badges == [0x99, 0xee, 0xee] && holds(got.slot, frame));
    let got = transfer(world, endpoint, Rights::ALL, &[frame.cptr().0, own], true)?;
    check!(got.info == 0x7503 && got.badges == [0xee, 0x99, 0xee] && holds(got.slot, frame));
    let got = transfer(world, endpoint, Rights::ALL, &[own], true)?;
    check!(got.info == 0x7283 && is_empty(got.slot));
    Ok(())
}

fn c053_only_the_first_capability_is_placed(world: &World) -> Outcome {
    let (endpoint, _, frame) = things(world)?;
    let tcb = world.make(ObjectType::Tcb, 0)?;
    let got = transfer(world, endpoint, Rights::ALL, &[frame.cptr().0, tcb], true)?;
    check!(got.info == 0x7083 && got.badges == [0xee; 3] && holds(got.slot, frame));
    Ok(())
}

fn c054_no_receive_slot_no_capability(world: &World) -> Outcome {
    let (endpoint, _, frame) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[frame.cptr().0], false)?;
    check!(got.info == 0x7003 && is_empty(got.slot));
    // Occupied, or addressed wrongly.
    let tcb = world.make(ObjectType::Tcb, 0)?;
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 1)?);
    for (root, index, depth) in [
        (OWN.cptr(), tcb, 64),
        (OWN.cptr(), world.slot(), 63),
        (OWN.cptr(), world.slot(), 0),
        (CPtr(tcb), world.slot(), 64),
    ] {
        let frame = frame.cptr();
        world.spawn(&Plan::at(254), move || {
            buffer::set_cap(0, frame);
            let mut message = Message::new(7, &[1, 2, 3]);
            message.info = MessageInfo::new(7, 0, 1, 3);
            sender.send(&message);
        })?;
        buffer::set_receive_slot(root, index, depth);
        check_eq!(endpoint.wait().info.0, 0x7003);
    }
    // The path is looked at when the message comes, not before: a slot that becomes free meanwhile is used.
    buffer::set_receive_slot(OWN.cptr(), tcb, 64);
    world.at(tcb).delete()?;
    let frame_cap = frame.cptr();
    world.spawn(&Plan::at(254), move || {
        buffer::set_cap(0, frame_cap);
        let mut message = Message::new(7, &[]);
        message.info = MessageInfo::new(7, 0, 1, 0);
        sender.send(&message);
    })?;
    check!(endpoint.wait().info.0 == 0x7080 && holds(tcb, frame));
    Ok(())
}

fn x079_transfer_own_frame_own(world: &World) -> Outcome {
    let (endpoint, own, frame) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[own, frame.cptr().0, own], true)?;
    check!(got.info == 0x7b83 && got.badges == [0x99, 0xee, 0x99] && holds(got.slot, frame));
    Ok(())
}

fn x082_transfer_own_and_frame_without_slot(world: &World) -> Outcome {
    let (endpoint, own, frame) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[own, frame.cptr().0], false)?;
    check!(got.info == 0x7283 && got.badges == [0x99, 0xee, 0xee]);
    Ok(())
}

fn x083_transfer_of_an_empty_slot(world: &World) -> Outcome {
    let (endpoint, ..) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[world.slot()], true)?;
    check!(got.info == 0x7003 && is_empty(got.slot));
    Ok(())
}

fn x084_transfer_of_an_untyped_with_children(world: &World) -> Outcome {
    let (endpoint, ..) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[world.fresh().cptr().0], true)?;
    check!(got.info == 0x7003 && is_empty(got.slot));
    Ok(())
}

fn x085_transfer_of_three_own_endpoints(world: &World) -> Outcome {
    let (endpoint, own, _) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[own, endpoint.cptr().0, own], false)?;
    check!(got.info == 0x7f83 && got.badges == [0x99, 0, 0x99]);
    Ok(())
}

fn x086_transfer_of_an_unresolvable_address_faults(world: &World) -> Outcome {
    let (endpoint, handler, reply) = (world.endpoint()?, world.endpoint()?, world.reply()?);
    world.spawn(&Plan::at(254).with_fault(handler), move || {
        buffer::set_cap(0, CPtr(0x12_3456));
        let mut message = Message::new(7, &[1]);
        message.info = MessageInfo::new(7, 0, 1, 1);
        endpoint.send(&message);
    })?;
    let fault = handler.recv(reply);
    check!(fault.info == MessageInfo::new(1, 0, 0, 7) && fault.registers[1..] == [0x12_3456, 0, 4]);
    check!(endpoint.try_recv(reply).badge == 0);
    Ok(())
}

fn s04_transferred_capability_is_a_child(world: &World) -> Outcome {
    let (endpoint, _, frame) = things(world)?;
    let got = transfer(world, endpoint, Rights::ALL, &[frame.cptr().0], true)?;
    check!(holds(got.slot, frame));
    world.at(frame.cptr().0).revoke()?;
    check!(is_empty(got.slot));
    Ok(())
}

fn s01_length_above_the_maximum_is_cut(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    world.spawn(&Plan::at(254), move || {
        let mut message = patterned(1, 120);
        message.info = MessageInfo(1 << 12 | 127);
        endpoint.send(&message);
    })?;
    let got = endpoint.wait();
    check!(got.info.0 == 1 << 12 | 120 && is_patterned(&got, 120));
    Ok(())
}

/// The bits that say which capabilities became badges are the kernel's: what a caller or replier sets there is cleared.
fn s01_unwrapped_bits_of_the_sender_do_not_arrive(world: &World) -> Outcome {
    let (endpoint, reply, got, answer) = (world.endpoint()?, world.reply()?, cell(), cell());
    let sent = Message { info: MessageInfo::new(7, 5, 0, 3), registers: [1, 2, 3, 4] };
    let server = move || {
        let _ = endpoint.recv(reply);
        loop {
            got.set(endpoint.reply_recv(reply, &sent).info.0);
        }
    };
    for is_passive in [true, false] {
        let plan = Plan::at(100);
        let thread =
            if is_passive { super::donation::passive(world, &plan, server)? } else { world.spawn(&plan, server)? };
        world.settle()?;
        world.spawn(&Plan::at(100), move || {
            for _ in 0..3 {
                answer.set(endpoint.call(&sent).info.0);
            }
        })?;
        world.settle()?;
        check!(answer.get() == MessageInfo::new(7, 0, 0, 3).0 && got.get() == answer.get());
        world.at(thread.tcb.cptr().0).delete()?;
    }
    Ok(())
}
