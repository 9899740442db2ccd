//! Messages between threads and address spaces (conformance 40 to 76).

use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::abi::limits::TCB_FLAG_FPU_DISABLED;
use hybrid_sys::{CPtr, Endpoint, Message, MessageInfo, Reply, Rights, Tcb, buffer};

use super::tests;
use crate::suite::Test;
use crate::world::{OWN, Outcome, Plan, SELF, World};

pub(super) const TESTS: &[Test] = tests![
    c040_send_carries_every_length,
    c041_call_and_reply_between_address_spaces,
    c042_try_send_reaches_waiting_receivers_only,
    c046_callers_are_served_by_priority,
    c051_capability_needs_grant,
    c052_own_endpoint_is_unwrapped,
    c061_passive_server_runs_on_the_callers_time,
    c077_bound_notification_and_messages_are_told_apart,
];

/// Slots a helper thread needs: endpoint, reply, and more by test; set before it starts.
static SLOTS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static RESULT: AtomicU64 = AtomicU64::new(0);

fn slot(index: usize) -> u64 {
    SLOTS[index].load(Ordering::Relaxed)
}

fn set_slots(values: &[u64]) {
    for (slot, value) in SLOTS.iter().zip(values) {
        slot.store(*value, Ordering::Relaxed);
    }
    RESULT.store(0, Ordering::Relaxed);
}

fn word_for(length: u64, index: u64) -> u64 {
    length << 32 | index << 8 | 0xa5
}

/// A message of `length` words with a known pattern.
fn patterned(label: u64, length: u64) -> Message {
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

fn is_patterned(received: &hybrid_sys::Received, length: u64) -> bool {
    let word = |index: u64| if index < 4 { received.registers[index as usize] } else { buffer::word(index as usize) };
    received.info.length() as u64 == length && (0..length).all(|index| word(index) == word_for(length, index))
}

extern "C" fn send_all_lengths(_: u64) {
    for length in 0..=120 {
        Endpoint::at(slot(0)).send(&patterned(length, length));
    }
}

fn c040_send_carries_every_length(world: &World) -> Outcome {
    for (priority, is_other_space) in [(254, false), (255, false), (254, true)] {
        let endpoint = world.endpoint()?;
        let badged = world.mint(endpoint, Rights::WRITE, 0x77)?;
        set_slots(&[badged]);
        let space = if is_other_space { Some(world.address_space()?) } else { None };
        world.start(&Plan { space, ..Plan::new(send_all_lengths, 0, priority) })?;
        for length in 0..=120 {
            let received = endpoint.wait();
            check!(received.badge == 0x77 && received.info.label() == length && is_patterned(&received, length));
        }
    }
    Ok(())
}

extern "C" fn echo(_: u64) {
    let (endpoint, reply) = (Endpoint::at(slot(0)), Reply::at(slot(1)));
    let mut received = endpoint.recv(reply);
    loop {
        let length = received.info.length() as u64;
        let label = u64::from(is_patterned(&received, length)) | received.badge << 8;
        received = endpoint.reply_recv(reply, &patterned(label, length));
    }
}

fn c041_call_and_reply_between_address_spaces(world: &World) -> Outcome {
    for is_other_space in [false, true] {
        let (endpoint, reply) = (world.endpoint()?, world.reply()?);
        let badged = Endpoint::at(world.mint(endpoint, Rights::ALL, 0x33)?);
        set_slots(&[endpoint.cptr().0, reply.cptr().0]);
        let space = if is_other_space { Some(world.address_space()?) } else { None };
        let server = world.start(&Plan { space, ..Plan::new(echo, 0, 254) })?;
        server.tcb.set_flags(0, TCB_FLAG_FPU_DISABLED)?;
        for length in 0..=120 {
            let answer = badged.call(&patterned(5, length));
            check!(answer.badge == 0 && answer.info.label() == 0x3301 && is_patterned(&answer, length));
        }
    }
    Ok(())
}

extern "C" fn receive_one(_: u64) {
    let received = Endpoint::at(slot(0)).wait();
    RESULT.store(received.registers[0], Ordering::Relaxed);
}

fn c042_try_send_reaches_waiting_receivers_only(world: &World) -> Outcome {
    let endpoint = world.endpoint()?;
    set_slots(&[endpoint.cptr().0]);
    endpoint.try_send(&Message::new(1, &[41]));
    SELF.set_priority(SELF, 100)?;
    world.start(&Plan::new(receive_one, 0, 101))?;
    let before = RESULT.load(Ordering::Relaxed);
    endpoint.try_send(&Message::new(1, &[42]));
    SELF.set_priority(SELF, 255)?;
    check!(before == 0 && RESULT.load(Ordering::Relaxed) == 42);
    Ok(())
}

extern "C" fn call_with(argument: u64) {
    let _ = Endpoint::at(slot(0)).call(&Message::new(1, &[argument]));
}

fn c046_callers_are_served_by_priority(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    set_slots(&[endpoint.cptr().0]);
    SELF.set_priority(SELF, 100)?;
    for priority in [103, 101, 105, 102, 104] {
        world.start(&Plan::new(call_with, u64::from(priority), priority))?;
    }
    SELF.set_priority(SELF, 255)?;
    for expected in [105, 104, 103, 102, 101] {
        check!(endpoint.recv(reply).registers[0] == expected);
        reply.send(&Message::default());
    }
    Ok(())
}

/// Sends the capability in slot 1 (and 2) through the endpoint in slot 0.
extern "C" fn send_capabilities(_: u64) {
    let mut message = Message::new(7, &[1, 2, 3]);
    message.info = MessageInfo::new(7, 5, 2, 3);
    buffer::set_cap(0, CPtr(slot(1)));
    buffer::set_cap(1, CPtr(slot(2)));
    Endpoint::at(slot(0)).send(&message);
}

fn c051_capability_needs_grant(world: &World) -> Outcome {
    let (endpoint, frame) = (world.endpoint()?, world.frame()?);
    for (rights, info, arrives) in [(Rights::ALL, 0x7083, true), (Rights::WRITE.or(Rights::GRANT_REPLY), 0x7003, false)]
    {
        let place = world.slot();
        set_slots(&[world.mint(endpoint, rights, 1)?, frame.cptr().0, 1]);
        buffer::set_receive_slot(OWN.cptr(), place, 64);
        world.start(&Plan::new(send_capabilities, 0, 254))?;
        let received = endpoint.wait();
        check!(received.info.0 == info);
        let address = hybrid_sys::Frame::at(place).address();
        check!(if arrives { address == frame.address() } else { address.is_err() });
    }
    Ok(())
}

fn c052_own_endpoint_is_unwrapped(world: &World) -> Outcome {
    let (endpoint, frame) = (world.endpoint()?, world.frame()?);
    let (sender, passed) = (world.mint(endpoint, Rights::ALL, 1)?, world.mint(endpoint, Rights::ALL, 0x99)?);
    // Values of kernel ABI appendix C: E, F and F, E with a receive slot.
    for (caps, info, badge) in
        [([passed, frame.cptr().0], 0x7303, (0, 0x99)), ([frame.cptr().0, passed], 0x7503, (1, 0x99))]
    {
        let place = world.slot();
        set_slots(&[sender, caps[0], caps[1]]);
        buffer::set_receive_slot(OWN.cptr(), place, 64);
        world.start(&Plan::new(send_capabilities, 0, 254))?;
        let received = endpoint.wait();
        check!(received.info.0 == info);
        check!(buffer::badge(badge.0) == badge.1);
        check!(hybrid_sys::Frame::at(place).address() == frame.address());
    }
    Ok(())
}

fn c061_passive_server_runs_on_the_callers_time(world: &World) -> Outcome {
    let (endpoint, reply) = (world.endpoint()?, world.reply()?);
    set_slots(&[endpoint.cptr().0, reply.cptr().0]);
    let space = Some(world.address_space()?);
    let server = world.start(&Plan { space, ..Plan::new(echo, 0, 254) })?;
    // Let it reach its receive, then take its time away.
    let first = endpoint.call(&patterned(5, 1));
    check!(first.info.label() == 1);
    server.context.unbind()?;
    for length in [1, 30, 120] {
        let answer = endpoint.call(&patterned(5, length));
        check!(answer.info.label() == 1 && is_patterned(&answer, length));
    }
    Ok(())
}

extern "C" fn count_both_kinds(_: u64) {
    let (mut signals, mut messages) = (0, 0);
    while signals < 3 || messages < 3 {
        match Endpoint::at(slot(0)).wait().badge {
            0x100 => messages += 1,
            _ => signals += 1,
        }
        RESULT.store(signals << 8 | messages, Ordering::Relaxed);
    }
}

fn c077_bound_notification_and_messages_are_told_apart(world: &World) -> Outcome {
    let (endpoint, notification) = (world.endpoint()?, world.notification()?);
    let sender = Endpoint::at(world.mint(endpoint, Rights::ALL, 0x100)?);
    let signaller = hybrid_sys::Notification::at(world.mint(notification, Rights::ALL, 0x200)?);
    set_slots(&[endpoint.cptr().0]);
    let thread = world.thread(&Plan::new(count_both_kinds, 0, 101))?;
    Tcb::bind_notification(thread.tcb, notification)?;
    SELF.set_priority(SELF, 100)?;
    thread.tcb.resume()?;
    for _ in 0..3 {
        signaller.signal();
        sender.send(&Message::default());
    }
    SELF.set_priority(SELF, 255)?;
    check!(RESULT.load(Ordering::Relaxed) == 0x303);
    Ok(())
}
