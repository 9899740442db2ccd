//! Tests that deliberate faults asked for: each fails with one line of the kernel left out that no other test missed.

use hybrid_abi::bootinfo::word;
use hybrid_abi::extension;
use hybrid_abi::label as l;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::Syscall;

use crate::cap::Cap;
use crate::model_tests::invariants::check;
use crate::model_tests::world::{CNODE, Thread, World};

fn low_root() -> World {
    let w = World::new(1 << 20);
    w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    w
}

/// A thread on a budget that it has used up, so that it waits for the next period while the root thread runs.
fn sleeper(w: &mut World) -> Thread {
    let thread = w.thread(200);
    let control = w.info(word::SCHED_CONTROL);
    w.ok(control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[1000, 100_000, 0, 0, 0], &[thread.context]);
    w.start(thread);
    w.run_for(70_000);
    assert!(w.k.tcb(thread.at).is_release_queued());
    assert_eq!(w.current(), w.root);
    thread
}

#[test]
fn suspended_or_unbound_sleeper_leaves_the_release_queue() {
    let mut w = low_root();
    let thread = sleeper(&mut w);
    w.ok(thread.slot, l::TCB_SUSPEND, &[], &[]);
    check(&w.k);
    let mut w = low_root();
    let thread = sleeper(&mut w);
    w.ok(thread.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    check(&w.k);
}

#[test]
fn fp_registers_of_a_dead_thread_are_forgotten() {
    let mut w = low_root();
    let (thread, notification) = (w.thread(200), w.make(T::Notification, 0));
    w.start(thread);
    // What an exit to it leaves.
    check(&w.k);
    w.receive(Syscall::Wait, notification, 0);
    let owner = || w.k.platform.hardware.fp_owner[0].get();
    assert_eq!((w.current(), owner()), (w.root, Some(thread.at)));
    w.ok(CNODE, l::CNODE_DELETE, &[thread.slot, 64], &[]);
    assert_eq!(owner(), None);
}

/// The scheduling context that a thread yielded to dies while the thread is ready but does not run.
#[test]
fn dead_context_ends_the_yield_to_it() {
    let mut w = low_root();
    let notification = w.make(T::Notification, 0);
    let (caller, target, other) = (w.thread(200), w.thread(200), w.thread(210));
    w.ok(caller.slot, l::TCB_SET_MC_PRIORITY, &[255], &[1]);
    w.start(other);
    w.receive(Syscall::Wait, notification, 0);
    w.start(caller);
    w.start(target);
    assert_eq!(w.current(), caller.at);
    w.send(Syscall::Call, target.context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]);
    assert_eq!(w.current(), target.at);
    w.send(Syscall::Send, notification, 0, &[], &[]);
    assert_eq!(w.current(), other.at);
    w.ok(CNODE, l::CNODE_DELETE, &[target.context, 64], &[]);
    check(&w.k);
    assert_eq!(w.k.tcb(caller.at).yield_to(), None);
}

#[test]
fn timer_access_of_the_caller_is_applied_at_once() {
    let w = low_root();
    let platform = w.info(word::EMPTY) - 2;
    check(&w.k);
    w.ok(platform, extension::PLATFORM_TIMER_ACCESS, &[1], &[1]);
    check(&w.k);
}

/// Client → first server → second server on the client's time; replies come back one by one.
#[test]
fn replies_of_a_chain_leave_nothing_behind() {
    let mut w = low_root();
    let endpoints = [w.make(T::Endpoint, 0), w.make(T::Endpoint, 0)];
    let replies = [w.make(T::Reply, 0), w.make(T::Reply, 0)];
    let servers = [w.thread(210), w.thread(211)];
    for n in 0..2 {
        w.start(servers[n]);
        w.receive(Syscall::Recv, endpoints[n], replies[n]);
        w.ok(servers[n].context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    }
    let client = w.thread(200);
    w.start(client);
    w.send(Syscall::Call, endpoints[0], 1, &[], &[]);
    assert_eq!(w.current(), servers[0].at);
    w.send(Syscall::Call, endpoints[1], 1, &[], &[]);
    assert_eq!(w.current(), servers[1].at);
    check(&w.k);
    w.send(Syscall::Send, replies[1], 0, &[], &[]);
    check(&w.k);
    assert_eq!(w.current(), servers[0].at, "the time went back to the first server");
    let Cap::Reply { at, .. } = w.cap(replies[1]) else { panic!() };
    assert_eq!((w.k.reply(at).older(), w.k.reply(at).newer()), (None, None));
    w.send(Syscall::Send, replies[0], 0, &[], &[]);
    check(&w.k);
    assert_eq!(w.current(), client.at);
}

/// A caller that was given other time while it waited keeps that; what it lent stays with the server.
#[test]
fn returning_time_does_not_replace_other_time() {
    let mut w = low_root();
    let (endpoint, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let (server, client) = (w.thread(210), w.thread(200));
    w.start(server);
    w.receive(Syscall::Recv, endpoint, reply);
    w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    w.start(client);
    w.send(Syscall::Call, endpoint, 1, &[], &[]);
    assert_eq!(w.current(), server.at);
    w.ok(server.context, l::SCHED_CONTEXT_BIND, &[], &[client.slot]);
    w.send(Syscall::Send, reply, 0, &[], &[]);
    check(&w.k);
    let (Cap::SchedContext { at: given, .. }, tcb) = (w.cap(server.context), w.k.tcb(client.at)) else { panic!() };
    assert_eq!(tcb.sched_context(), Some(given));
}

/// A notification lends its scheduling context and gets it back at the next wait.
#[test]
fn notification_gets_its_context_back() {
    let mut w = low_root();
    let notification = w.make(T::Notification, 0);
    let thread = w.thread(200);
    w.start(thread);
    w.receive(Syscall::Wait, notification, 0);
    w.ok(thread.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    w.ok(thread.context, l::SCHED_CONTEXT_BIND, &[], &[notification]);
    w.send(Syscall::Send, notification, 0, &[], &[]);
    assert_eq!(w.current(), thread.at);
    let Cap::SchedContext { at, .. } = w.cap(thread.context) else { panic!() };
    assert_eq!(w.k.context(at).thread(), Some(thread.at));
    w.receive(Syscall::Wait, notification, 0);
    assert_eq!(w.k.context(at).thread(), None);
    check(&w.k);
}

/// The scheduling context that a call lent dies while the server runs on it.
#[test]
fn dead_context_leaves_its_chain() {
    let mut w = low_root();
    let (endpoint, reply, notification) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0), w.make(T::Notification, 0));
    let (server, client, other) = (w.thread(205), w.thread(200), w.thread(210));
    w.start(other);
    w.receive(Syscall::Wait, notification, 0);
    w.start(server);
    w.receive(Syscall::Recv, endpoint, reply);
    w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    w.start(client);
    w.send(Syscall::Call, endpoint, 1, &[], &[]);
    assert_eq!(w.current(), server.at);
    w.send(Syscall::Send, notification, 0, &[], &[]);
    assert_eq!(w.current(), other.at);
    w.ok(CNODE, l::CNODE_DELETE, &[client.context, 64], &[]);
    check(&w.k);
    let Cap::Reply { at, .. } = w.cap(reply) else { panic!() };
    assert_eq!(w.k.reply(at).sched_context(), None);
}

/// A call to a server of lower priority lets a ready thread between the two run first, with the server's own time and with lent time.
#[test]
fn call_to_a_lower_server_overtakes_nobody() {
    for is_passive in [false, true] {
        let mut w = low_root();
        let (endpoint, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
        let (server, middle, caller) = (w.thread(200), w.thread(205), w.thread(210));
        w.start(server);
        w.receive(Syscall::Recv, endpoint, reply);
        if is_passive {
            w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
        }
        w.start(middle);
        w.start(caller);
        assert_eq!(w.current(), caller.at);
        w.send(Syscall::Call, endpoint, 1, &[], &[]);
        assert_eq!(w.current(), middle.at);
        check(&w.k);
    }
}
