//! IPC scenarios of kernel-abi appendix C and chapter 13 on the fake machine.

use hybrid_abi::bootinfo::word;
use hybrid_abi::ipc_buffer;
use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::{self, Syscall};

use crate::cap::Cap;
use crate::kernel::UserFault;
use crate::model_tests::invariants::check;
use crate::model_tests::machine::Effect;
use crate::model_tests::world::{CNODE, Thread, World};
use crate::object::{TcbRef, ThreadState, context};

const MEMORY: u64 = 4 << 20;

fn world() -> World {
    World::new(MEMORY)
}

fn state(w: &World, thread: TcbRef) -> ThreadState {
    w.k.tcb(thread).state()
}

/// Lowers the root thread below `priority`, so that started threads run at once.
fn lower_root(w: &World, priority: u64) {
    w.ok(1, l::TCB_SET_PRIORITY, &[priority], &[1]);
}

fn info(label: u64, caps: u64, length: u64) -> MessageInfo {
    MessageInfo::new(label, 0, caps, length)
}

/// A world with the root at priority 100 and a started thread at 200 that runs now.
fn with_thread() -> (World, Thread) {
    let mut w = world();
    let thread = w.thread(200);
    lower_root(&w, 100);
    w.start(thread);
    assert_eq!(w.current(), thread.at);
    check(&w.k);
    (w, thread)
}

#[test]
fn send_then_receive_transfers_words_badge_and_label() {
    let mut w = world();
    let ep = w.make(T::Endpoint, 0);
    let badged = w.mint(ep, 15, 0x77);
    let sender = w.thread(200);
    let reply = w.make(T::Reply, 0);
    lower_root(&w, 100);
    for length in 0..=120u64 {
        w.start(sender);
        let words: Vec<u64> = (0..length).map(|n| n * 3 + length).collect();
        w.send(Syscall::Send, badged, 9, &words, &[]);
        assert_eq!(w.current(), w.root);
        assert_eq!(state(&w, sender.at), ThreadState::BlockedOnSend);
        check(&w.k);
        w.receive(Syscall::Recv, ep, reply);
        check(&w.k);
        // The sender has the higher priority and runs on.
        assert_eq!(w.current(), sender.at);
        let (badge, got, received) = w.message(w.root);
        assert_eq!((badge, got, received), (0x77, info(9, 0, length), words));
        w.ok(sender.slot, l::TCB_SET_TLS_BASE, &[1], &[]);
        w.send(Syscall::Send, sender.slot, l::TCB_SUSPEND, &[], &[]);
        assert_eq!(w.current(), w.root);
    }
}

/// The sender's extra capabilities, whether there is a receive slot, what arrives.
#[test]
fn capability_transfer_vectors() {
    struct Case {
        caps: &'static [Extra],
        has_slot: bool,
        info: u64,
        badges: [u64; 3],
        slot: Slot,
    }
    #[derive(Clone, Copy)]
    enum Extra {
        E,
        Plain,
        F,
        Thread,
        Empty,
        Untyped,
    }
    #[derive(PartialEq, Debug)]
    enum Slot {
        Frame,
        Empty,
    }
    use Extra::{E, Empty, F, Plain, Thread, Untyped};
    const X: u64 = 0xee;
    let cases = [
        Case { caps: &[E, F], has_slot: true, info: 0x7303, badges: [0x99, X, X], slot: Slot::Frame },
        Case { caps: &[F, E], has_slot: true, info: 0x7503, badges: [X, 0x99, X], slot: Slot::Frame },
        Case { caps: &[F, Thread], has_slot: true, info: 0x7083, badges: [X, X, X], slot: Slot::Frame },
        Case { caps: &[E, F, E], has_slot: true, info: 0x7b83, badges: [0x99, X, 0x99], slot: Slot::Frame },
        Case { caps: &[F], has_slot: false, info: 0x7003, badges: [X, X, X], slot: Slot::Empty },
        Case { caps: &[E, F], has_slot: false, info: 0x7283, badges: [0x99, X, X], slot: Slot::Empty },
        Case { caps: &[Empty], has_slot: true, info: 0x7003, badges: [X, X, X], slot: Slot::Empty },
        Case { caps: &[Untyped], has_slot: true, info: 0x7003, badges: [X, X, X], slot: Slot::Empty },
        Case { caps: &[E, Plain, E], has_slot: false, info: 0x7f83, badges: [0x99, 0, 0x99], slot: Slot::Empty },
    ];
    for (n, case) in cases.iter().enumerate() {
        let mut w = world();
        let ep = w.make(T::Endpoint, 0);
        let badged = w.mint(ep, 15, 0x99);
        let frame = w.make(T::SmallPage, 0);
        let sender = w.thread(200);
        let target = w.free_slot();
        let empty = w.free_slot();
        lower_root(&w, 100);
        w.start(sender);
        let caps: Vec<u64> = case
            .caps
            .iter()
            .map(|extra| match extra {
                E => badged,
                Plain => ep,
                F => frame,
                Thread => sender.slot,
                Empty => empty,
                Untyped => w.largest_untyped(),
            })
            .collect();
        // capsUnwrapped bits of the sender are dropped.
        w.put_message(MessageInfo::new(7, 5, caps.len() as u64, 3), &[1, 2, 3], &caps);
        w.k.tcb(sender.at).set_x::<0>(ep);
        w.svc(syscall::SEND);
        let buffer = w.k.buffer(w.root, true).unwrap();
        for n in 0..3 {
            buffer[ipc_buffer::CAPS_OR_BADGES + n].set(X);
        }
        buffer[ipc_buffer::RECEIVE_CNODE].set(CNODE);
        buffer[ipc_buffer::RECEIVE_INDEX].set(if case.has_slot { target } else { ep });
        buffer[ipc_buffer::RECEIVE_DEPTH].set(64);
        w.receive(Syscall::NbWait, ep, 0);
        check(&w.k);
        assert_eq!(w.k.tcb(w.root).x::<1>(), case.info, "case {n}");
        for (n, badge) in case.badges.iter().enumerate() {
            assert_eq!(buffer[ipc_buffer::CAPS_OR_BADGES + n].get(), *badge);
        }
        let slot = if matches!(w.cap(target), Cap::Frame { .. }) { Slot::Frame } else { Slot::Empty };
        assert_eq!(slot, case.slot, "case {n}");
    }
}

#[test]
fn capability_without_grant_stays_with_the_sender() {
    let mut w = world();
    let ep = w.make(T::Endpoint, 0);
    let no_grant = w.copy(ep, 3);
    let frame = w.make(T::SmallPage, 0);
    let sender = w.thread(200);
    let target = w.free_slot();
    lower_root(&w, 100);
    w.start(sender);
    w.send(Syscall::Send, no_grant, 7, &[1, 2, 3], &[frame]);
    let buffer = w.k.buffer(w.root, true).unwrap();
    buffer[ipc_buffer::RECEIVE_CNODE].set(CNODE);
    buffer[ipc_buffer::RECEIVE_INDEX].set(target);
    buffer[ipc_buffer::RECEIVE_DEPTH].set(64);
    w.receive(Syscall::NbWait, ep, 0);
    assert_eq!((w.k.tcb(w.root).x::<1>(), w.cap(target)), (0x7003, Cap::Null));
}

#[test]
fn call_and_reply_return_the_answer() {
    let mut w = world();
    let ep = w.make(T::Endpoint, 0);
    let reply = w.make(T::Reply, 0);
    let client = w.thread(200);
    lower_root(&w, 100);
    w.start(client);
    w.send(Syscall::Call, ep, 5, &[1, 2], &[]);
    w.receive(Syscall::Recv, ep, reply);
    check(&w.k);
    assert_eq!(state(&w, client.at), ThreadState::BlockedOnReply);
    assert_eq!(w.message(w.root).2, [1, 2]);
    w.send(Syscall::Send, reply, 0x99, &[42], &[]);
    check(&w.k);
    assert_eq!(w.current(), client.at);
    let (badge, got, words) = w.message(client.at);
    assert_eq!((badge, got.0, words), (0, 0x99001, vec![42]));
    // An unused reply object has no effect.
    assert!(w.ok(reply, 7, &[], &[]).is_empty());
}

#[test]
fn call_without_grant_or_reply_object_stops_the_caller() {
    for (rights, takes_reply) in [(1, true), (15, false)] {
        let mut w = world();
        let ep = w.make(T::Endpoint, 0);
        let cap = w.copy(ep, rights);
        let reply = w.make(T::Reply, 0);
        let client = w.thread(200);
        lower_root(&w, 100);
        w.start(client);
        let at = w.k.tcb(client.at).pc();
        w.send(Syscall::Call, cap, 5, &[1], &[]);
        w.receive(if takes_reply { Syscall::NbRecv } else { Syscall::NbWait }, ep, reply);
        assert_eq!(w.message(w.root).2, [1]);
        assert_eq!(state(&w, client.at), ThreadState::Inactive);
        w.send(Syscall::Send, reply, 0, &[], &[]);
        assert_eq!(state(&w, client.at), ThreadState::Inactive);
        check(&w.k);
        w.send(Syscall::Call, client.slot, l::TCB_RESUME, &[], &[]);
        assert_eq!((w.current(), w.k.tcb(client.at).pc()), (client.at, at));
    }
}

#[test]
fn passive_server_runs_on_the_client_and_gives_back() {
    let mut w = world();
    let ep = w.make(T::Endpoint, 0);
    let reply = w.make(T::Reply, 0);
    let server = w.thread(210);
    let client = w.thread(200);
    lower_root(&w, 100);
    w.start(server);
    w.receive(Syscall::Recv, ep, reply);
    assert_eq!(w.current(), w.root);
    w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    w.start(client);
    w.send(Syscall::Call, ep, 1, &[5], &[]);
    check(&w.k);
    let Cap::SchedContext { at: context, .. } = w.cap(client.context) else { panic!() };
    assert_eq!((w.current(), w.k.tcb(server.at).sched_context()), (server.at, Some(context)));
    // Reply and wait for the next: the context goes back to the client, which runs.
    w.put_message(info(2, 0, 1), &[6], &[]);
    w.receive(Syscall::ReplyRecv, ep, reply);
    check(&w.k);
    assert_eq!((w.current(), w.k.tcb(client.at).sched_context()), (client.at, Some(context)));
    assert_eq!(w.message(client.at).2, [6]);
    assert_eq!(state(&w, server.at), ThreadState::BlockedOnReceive);
    // Suspending the client in a call leaves the server on the donated context.
    w.send(Syscall::Call, ep, 1, &[5], &[]);
    w.interrupt(27);
    w.send(Syscall::Send, client.slot, l::TCB_SUSPEND, &[], &[]);
    check(&w.k);
    assert_eq!((w.current(), w.k.tcb(server.at).sched_context()), (server.at, Some(context)));
}

#[test]
fn deleting_replies_of_a_chain_moves_the_context_only_from_the_head() {
    for outer_first in [false, true] {
        let mut w = world();
        let (ep1, ep2) = (w.make(T::Endpoint, 0), w.make(T::Endpoint, 0));
        let (reply1, reply2) = (w.make(T::Reply, 0), w.make(T::Reply, 0));
        let (proxy, server, client) = (w.thread(210), w.thread(220), w.thread(200));
        lower_root(&w, 100);
        w.start(server);
        w.receive(Syscall::Recv, ep2, reply2);
        w.start(proxy);
        w.receive(Syscall::Recv, ep1, reply1);
        w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
        w.ok(proxy.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
        w.start(client);
        w.send(Syscall::Call, ep1, 1, &[], &[]);
        assert_eq!(w.current(), proxy.at);
        w.send(Syscall::Call, ep2, 1, &[], &[]);
        assert_eq!(w.current(), server.at);
        check(&w.k);
        let context = w.k.tcb(server.at).sched_context();
        if outer_first {
            w.ok(CNODE, l::CNODE_DELETE, &[reply1, 64], &[]);
            check(&w.k);
            assert_eq!(w.k.tcb(server.at).sched_context(), context);
            assert_eq!(state(&w, client.at), ThreadState::Inactive);
        }
        w.send(Syscall::Call, CNODE, l::CNODE_DELETE, &[reply2, 64], &[]);
        check(&w.k);
        assert_eq!(w.k.tcb(proxy.at).sched_context(), context);
        assert_eq!((state(&w, proxy.at), w.current()), (ThreadState::Inactive, w.root));
        if !outer_first {
            w.ok(CNODE, l::CNODE_DELETE, &[reply1, 64], &[]);
            assert_eq!(w.k.tcb(client.at).sched_context(), context);
        }
        check(&w.k);
    }
}

#[test]
fn notification_accumulates_wakes_one_and_prefers_bound_signals() {
    let mut w = world();
    let nt = w.make(T::Notification, 0);
    let (a, b) = (w.mint(nt, 3, 1), w.mint(nt, 3, 4));
    w.send(Syscall::Send, a, 0, &[], &[]);
    w.send(Syscall::Send, b, 0, &[], &[]);
    w.k.tcb(w.root).set_x::<1>(0x5555);
    w.receive(Syscall::NbWait, nt, 0);
    assert_eq!((w.k.tcb(w.root).x::<0>(), w.k.tcb(w.root).x::<1>()), (5, 0x5555));
    w.receive(Syscall::NbWait, nt, 0);
    assert_eq!(w.k.tcb(w.root).x::<0>(), 0);
    let (low, high) = (w.thread(150), w.thread(200));
    lower_root(&w, 100);
    for thread in [low, high] {
        w.start(thread);
        w.receive(Syscall::Wait, nt, 0);
    }
    w.send(Syscall::Send, a, 0, &[], &[]);
    assert_eq!((w.current(), w.k.tcb(high.at).x::<0>()), (high.at, 1));
    assert_eq!(state(&w, low.at), ThreadState::BlockedOnNotification);
    check(&w.k);
}

#[test]
fn bound_notification_interrupts_a_receive_and_others_may_not_wait() {
    let mut w = world();
    let (nt, ep, reply) = (w.make(T::Notification, 0), w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let badged = w.mint(nt, 3, 8);
    let server = w.thread(200);
    w.ok(server.slot, l::TCB_BIND_NOTIFICATION, &[], &[nt]);
    lower_root(&w, 100);
    w.start(server);
    w.receive(Syscall::Recv, ep, reply);
    w.send(Syscall::Send, badged, 0, &[], &[]);
    assert_eq!((w.current(), w.k.tcb(server.at).x::<0>()), (server.at, 8));
    check(&w.k);
    w.receive(Syscall::Recv, ep, reply);
    let other = w.thread(150);
    w.start(other);
    w.receive(Syscall::Wait, nt, 0);
    assert_eq!((state(&w, other.at), w.current()), (ThreadState::Inactive, w.root));
    check(&w.k);
}

#[test]
fn faults_reach_the_handler_with_the_specified_words() {
    let mut w = world();
    let (ep, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let handler = w.mint(ep, 15, 0xf0);
    let thread = w.thread(200);
    w.ok(thread.slot, l::TCB_SET_SPACE, &[0, 0], &[handler, CNODE, 3]);
    lower_root(&w, 100);
    w.start(thread);
    let pc = thread.start_pc();
    let recv = |w: &World, label: u64, words: &[u64]| {
        assert_eq!(w.current(), w.root);
        w.receive(Syscall::Recv, ep, reply);
        check(&w.k);
        let (badge, got, received) = w.message(w.root);
        assert_eq!((badge, got), (0xf0, info(label, 0, words.len() as u64)));
        assert_eq!(received, words);
    };
    let answer = |w: &World, label: u64, words: &[u64]| w.send(Syscall::Send, reply, label, words, &[]);
    // Data abort, instruction abort.
    w.k.handle_fault(UserFault::Vm { address: 0x1234, is_instruction: false, syndrome: 0x9200_0004 });
    recv(&w, 6, &[pc, 0x1234, 0, 0x9200_0004]);
    answer(&w, 1, &[7]);
    assert_eq!((w.current(), w.k.tcb(thread.at).pc()), (thread.at, pc));
    w.k.handle_fault(UserFault::Vm { address: 5, is_instruction: true, syndrome: 0x1_8200_0006 });
    recv(&w, 6, &[pc, pc, 1, 0x8200_0006]);
    answer(&w, 0, &[]);
    // User exception: registers by the reply.
    w.k.handle_fault(UserFault::Exception { number: 0xf200_0003 });
    recv(&w, 3, &[pc, 0, 0x140, 0xf200_0003, 0]);
    answer(&w, 0, &[0x7000, 0x8000, u64::MAX]);
    let tcb = w.k.tcb(thread.at);
    assert_eq!(
        (tcb.pc(), tcb.context_word(context::SP), tcb.context_word(context::SPSR)),
        (0x7000, 0x8000, 0xf000_0140)
    );
    // Capability fault of a send: guard mismatch.
    w.send(Syscall::Send, 0x17000, 0, &[], &[]);
    recv(&w, 1, &[0x7000, 0x17000, 0, 4, 0x40, 0, 0x34]);
    answer(&w, 0, &[]);
    // Of a receive: reply object is none, source is none.
    w.receive(Syscall::NbRecv, ep, 0x17000);
    recv(&w, 1, &[0x7000, 0x17000, 1, 4, 0x40, 0, 0x34]);
    answer(&w, 0, &[]);
    w.receive(Syscall::NbRecv, thread.slot, reply);
    recv(&w, 1, &[0x7000, thread.slot, 1, 2, 0]);
    answer(&w, 0, &[]);
    // Unknown system call.
    let tcb = w.k.tcb(thread.at);
    (0..8).for_each(|n| tcb.set_context_word(n, 100 + n as u64));
    w.svc(0xc1);
    let mut words: Vec<u64> = (100..107).collect();
    words.extend([0xc1, 0x7000, 0x8000, 0x7004, 0xf000_0140, 0xc1]);
    recv(&w, 2, &words);
    answer(&w, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 0x9000]);
    let tcb = w.k.tcb(thread.at);
    assert_eq!((tcb.x::<0>(), tcb.x::<7>(), tcb.pc()), (1, 8, 0x9000));
    w.svc(-34);
    w.receive(Syscall::Recv, ep, reply);
    answer(&w, 1, &[55]);
    assert_eq!((state(&w, thread.at), w.k.tcb(thread.at).x::<0>()), (ThreadState::Inactive, 55));
    check(&w.k);
}

#[test]
fn fault_without_handler_stops_the_thread() {
    let (w, thread) = with_thread();
    w.k.handle_fault(UserFault::Exception { number: 0x0200_0000 });
    assert_eq!((state(&w, thread.at), w.current()), (ThreadState::Inactive, w.root));
    check(&w.k);
}

#[test]
fn suspending_oneself_repeats_after_resume() {
    let (w, thread) = with_thread();
    let at = w.k.tcb(thread.at).pc();
    for _ in 0..2 {
        w.send(Syscall::Call, thread.slot, l::TCB_SUSPEND, &[], &[]);
        assert_eq!((state(&w, thread.at), w.current()), (ThreadState::Inactive, w.root));
        w.send(Syscall::Call, thread.slot, l::TCB_RESUME, &[], &[]);
        assert_eq!((w.current(), w.k.tcb(thread.at).pc()), (thread.at, at));
    }
    check(&w.k);
}

#[test]
fn equal_priority_threads_run_in_wake_up_order() {
    let mut w = world();
    lower_root(&w, 200);
    let threads = [w.thread(200), w.thread(200), w.thread(200)];
    for thread in threads {
        w.start(thread);
        assert_eq!(w.current(), w.root);
    }
    for thread in threads {
        w.svc(syscall::YIELD);
        assert_eq!(w.current(), thread.at);
        check(&w.k);
    }
    w.svc(syscall::YIELD);
    assert_eq!(w.current(), w.root);
}

#[test]
fn two_phase_calls_use_their_own_registers() {
    let mut w = world();
    let (a, b) = (w.make(T::Notification, 0), w.make(T::Notification, 0));
    let (signal_b, signal_a) = (w.mint(b, 3, 2), w.mint(a, 3, 1));
    w.send(Syscall::Send, signal_a, 0, &[], &[]);
    let tcb = w.k.tcb(w.root);
    tcb.set_x::<8>(signal_b);
    w.receive(Syscall::NbSendRecv, a, 0);
    assert_eq!(w.k.tcb(w.root).x::<0>(), 1);
    w.k.tcb(w.root).set_x::<6>(signal_a);
    w.receive(Syscall::NbSendWait, b, signal_a);
    assert_eq!(w.k.tcb(w.root).x::<0>(), 2);
    // ReplyRecv with an unusable first phase still receives.
    w.receive(Syscall::ReplyRecv, a, CNODE);
    assert_eq!(w.k.tcb(w.root).x::<0>(), 1);
    check(&w.k);
}

#[test]
fn every_call_preserves_the_other_registers() {
    let mut w = world();
    let nt = w.make(T::Notification, 0);
    for call in Syscall::ALL {
        let tcb = w.k.tcb(w.root);
        (9..31).for_each(|n| tcb.set_context_word(n, 1000 + n as u64));
        w.send(Syscall::Send, nt, 0, &[], &[]);
        tcb.set_x::<1>(0);
        w.receive(*call, nt, 0);
        assert_eq!(w.current(), w.root);
        (9..31).for_each(|n| assert_eq!(tcb.context_word(n), 1000 + n as u64));
        assert_eq!(tcb.x::<7>().cast_signed(), call.number());
    }
}

#[test]
fn cancel_badged_sends_restarts_only_that_badge() {
    let mut w = world();
    let ep = w.make(T::Endpoint, 0);
    let caps = [w.mint(ep, 15, 1), w.mint(ep, 15, 2)];
    let threads = [w.thread(200), w.thread(201)];
    lower_root(&w, 100);
    for (thread, cap) in threads.iter().zip(caps) {
        w.start(*thread);
        w.send(Syscall::Call, cap, 0, &[], &[]);
    }
    w.send(Syscall::Call, CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[caps[0], 64], &[]);
    assert_eq!((w.current(), w.k.tcb(threads[0].at).pc()), (threads[0].at, threads[0].start_pc()));
    assert_eq!(state(&w, threads[1].at), ThreadState::BlockedOnSend);
    check(&w.k);
}

#[test]
fn deleting_an_endpoint_restarts_its_threads() {
    let mut w = world();
    let (ep, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let threads = [w.thread(200), w.thread(201)];
    lower_root(&w, 100);
    for thread in threads {
        w.start(thread);
        w.receive(Syscall::Recv, ep, reply);
    }
    // The second receive took the reply object over and stopped the first thread.
    assert_eq!(state(&w, threads[0].at), ThreadState::Inactive);
    w.send(Syscall::Call, CNODE, l::CNODE_DELETE, &[ep, 64], &[]);
    assert_eq!((w.current(), w.k.tcb(threads[1].at).pc()), (threads[1].at, threads[1].start_pc()));
    check(&w.k);
}

#[test]
fn interrupts_signal_hold_and_release() {
    let mut w = world();
    let (nt, slot) = (w.make(T::Notification, 0), w.free_slot());
    let badged = w.mint(nt, 3, 0x10);
    w.ok(4, l::IRQ_ISSUE_HANDLER, &[48, slot, 64], &[CNODE]);
    w.ok(slot, l::IRQ_SET_HANDLER, &[], &[badged]);
    w.k.platform.take_effects();
    w.interrupt(48);
    assert_eq!(w.k.platform.take_effects(), [Effect::Hold(48)]);
    w.receive(Syscall::NbWait, nt, 0);
    assert_eq!(w.k.tcb(w.root).x::<0>(), 0x10);
    w.ok(slot, l::IRQ_ACK, &[], &[]);
    assert_eq!(w.k.platform.take_effects(), [Effect::Release(48)]);
    w.interrupt(49);
    assert_eq!(w.k.platform.take_effects(), [Effect::Mask(49), Effect::End(49)]);
    // Revoking the notification removes it from the handler; deleting the handler frees the number.
    w.ok(CNODE, l::CNODE_REVOKE, &[badged, 64], &[]);
    w.interrupt(48);
    w.receive(Syscall::NbWait, nt, 0);
    assert_eq!(w.k.tcb(w.root).x::<0>(), 0);
    w.ok(CNODE, l::CNODE_REVOKE, &[4, 64], &[]);
    assert_eq!(w.cap(slot), Cap::Null);
    w.ok(4, l::IRQ_ISSUE_HANDLER, &[48, slot, 64], &[CNODE]);
    check(&w.k);
}

#[test]
fn platform_capability_has_its_operations() {
    use hybrid_abi::extension as e;
    let mut w = world();
    let platform = w.info(word::UNTYPED + 1);
    let thread = w.thread(10);
    w.k.platform.take_effects();
    w.ok(platform, e::PLATFORM_PUT_CHAR, &[u64::from(b'x')], &[]);
    w.ok(platform, e::PLATFORM_SYSTEM_RESET, &[], &[]);
    w.ok(platform, e::PLATFORM_SYSTEM_OFF, &[], &[]);
    assert_eq!(w.k.platform.take_effects(), [Effect::Put(b'x'), Effect::Reset, Effect::Off]);
    w.ok(platform, e::PLATFORM_TIMER_ACCESS, &[1], &[thread.slot]);
    assert!(w.k.tcb(thread.at).has_timer_access());
    assert_eq!(w.call(platform, e::PLATFORM_TIMER_ACCESS, &[2], &[thread.slot]).label, 4);
    assert_eq!(w.call(platform, e::PLATFORM_TIMER_ACCESS, &[1], &[CNODE]).label, 2);
    assert_eq!(w.call(platform, 1, &[], &[]).label, 3);
    let copy = w.copy(platform, 0);
    assert_eq!(w.cap(copy), Cap::Platform);
}
