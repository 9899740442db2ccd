//! Cancelling queues of many threads, preempted at every step (kernel-abi §2.8, §4.8).

use hybrid_abi::label as l;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::{self, Syscall};

use crate::cap::{Cap, ZombieKind};
use crate::model_tests::invariants::check;
use crate::model_tests::world::{CNODE, Thread, World};
use crate::object::{ThreadState, context};

const THREADS: u64 = 12;

/// The root at priority 100 and many threads, started one by one to block themselves; then they get this priority.
fn crowd(mut w: World, priority: u64, block: impl Fn(&World, usize)) -> (World, Vec<Thread>) {
    let threads: Vec<_> = (0..THREADS).map(|_| w.thread(priority)).collect();
    for (n, thread) in threads.iter().enumerate() {
        w.ok(thread.slot, l::TCB_SET_PRIORITY, &[200], &[1]);
        w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
        w.start(*thread);
        assert_eq!(w.current(), thread.at);
        block(&w, n);
        assert_eq!(w.current(), w.root);
        w.ok(thread.slot, l::TCB_SET_PRIORITY, &[priority], &[1]);
    }
    check(&w.k);
    w.k.work_limit.set(1);
    (w, threads)
}

fn state(w: &World, thread: Thread) -> ThreadState {
    w.k.tcb(thread.at).state()
}

/// One entry of the current thread's system call that is preempted at its first preemption point; false if it ended before.
fn preempted_step(w: &World) -> bool {
    let thread = w.current();
    let tcb = w.k.tcb(thread);
    let at = tcb.pc();
    w.k.platform.countdown.set(Some(0));
    tcb.set_fault_ip(at);
    tcb.set_pc(at + 4);
    w.k.handle_syscall();
    w.k.platform.countdown.set(None);
    check(&w.k);
    tcb.state() == ThreadState::Restart || tcb.pc() == at
}

fn set_up(w: &World, dest: u64, label: u64, words: &[u64]) {
    let info = hybrid_abi::message::MessageInfo::new(label, 0, 0, words.len() as u64);
    w.put_message(info, words, &[]);
    let tcb = w.k.tcb(w.current());
    tcb.set_x::<0>(dest);
    tcb.set_context_word(context::X0 + 7, syscall::CALL.cast_unsigned());
}

#[test]
fn deleting_an_endpoint_or_notification_is_preempted_between_threads() {
    for kind in [T::Endpoint, T::Notification] {
        for is_sending in [false, true] {
            let mut w = World::new(4 << 20);
            let object = w.make(kind, 0);
            let (w, threads) = crowd(w, 50, |w, _| match (kind, is_sending) {
                (T::Endpoint, true) => w.send(Syscall::Call, object, 1, &[], &[]),
                _ => w.receive(Syscall::Wait, object, 0),
            });
            set_up(&w, CNODE, l::CNODE_DELETE, &[object, 64]);
            for n in 1..THREADS {
                assert!(preempted_step(&w), "step {n} of {kind:?}");
                let restarted = threads.iter().filter(|thread| state(&w, **thread) == ThreadState::Restart).count();
                assert_eq!(restarted as u64, n);
                let expected = if kind == T::Endpoint { ZombieKind::Endpoint } else { ZombieKind::Notification };
                assert!(matches!(w.cap(object), Cap::Zombie { kind, remaining: 0, .. } if kind == expected));
            }
            assert!(!preempted_step(&w));
            assert_eq!(w.cap(object), Cap::Null);
            assert_eq!(w.message(w.root), (0, Default::default(), vec![]));
            assert!(threads.iter().all(|thread| state(&w, *thread) == ThreadState::Restart));
        }
    }
}

/// Threads above the deleter run as soon as they are restarted: their calls find nothing to wait for, and the deletion ends.
#[test]
fn restarted_threads_cannot_queue_again_while_their_endpoint_dies() {
    let mut w = World::new(4 << 20);
    let endpoint = w.make(T::Endpoint, 0);
    let (w, threads) = crowd(w, 200, |w, _| w.send(Syscall::Send, endpoint, 1, &[], &[]));
    set_up(&w, CNODE, l::CNODE_DELETE, &[endpoint, 64]);
    for thread in &threads {
        assert!(preempted_step(&w) || w.cap(endpoint) == Cap::Null);
        assert_eq!(w.current(), thread.at);
        // It repeats its Send, which is silently ignored, and goes to sleep.
        w.svc(syscall::SEND);
        assert_eq!((w.current(), state(&w, *thread)), (thread.at, ThreadState::Running));
        w.send(Syscall::Send, thread.slot, l::TCB_SUSPEND, &[], &[]);
        assert_eq!(w.current(), w.root);
        check(&w.k);
    }
    assert_eq!(w.cap(endpoint), Cap::Null);
}

/// The same inside a CNode that is deleted, and for an interrupt's notification.
#[test]
fn dying_containers_go_on_with_the_queue_inside() {
    let mut w = World::new(4 << 20);
    let (cnode, endpoint, notification) = (w.make(T::CapTable, 2), w.make(T::Endpoint, 0), w.make(T::Notification, 0));
    let irq = w.free_slot();
    w.ok(4, l::IRQ_ISSUE_HANDLER, &[40, irq, 64], &[CNODE]);
    w.ok(irq, l::IRQ_SET_HANDLER, &[], &[notification]);
    let (w, threads) = crowd(w, 50, |w, n| match n % 2 {
        0 => w.receive(Syscall::Wait, endpoint, 0),
        _ => w.receive(Syscall::Wait, notification, 0),
    });
    // The last capabilities: of the endpoint in the CNode, of the notification in the interrupt table.
    w.ok(cnode, l::CNODE_MOVE, &[3, 2, endpoint, 64], &[CNODE]);
    w.ok(CNODE, l::CNODE_DELETE, &[notification, 64], &[]);
    for (slot, parity) in [(cnode, 0), (irq, 1)] {
        set_up(&w, CNODE, l::CNODE_DELETE, &[slot, 64]);
        let mut steps = 0;
        while preempted_step(&w) {
            steps += 1;
            assert!(steps < 3 * THREADS, "no end");
        }
        assert!(steps >= THREADS / 2 - 1);
        assert_eq!(w.cap(slot), Cap::Null);
        for (n, thread) in threads.iter().enumerate() {
            assert!(n % 2 != parity || state(&w, *thread) == ThreadState::Restart, "thread {n}");
        }
    }
}

#[test]
fn cancelling_badged_sends_goes_on_where_it_was_preempted() {
    let mut w = World::new(4 << 20);
    let endpoint = w.make(T::Endpoint, 0);
    let badged = [w.mint(endpoint, 15, 1), w.mint(endpoint, 15, 2)];
    let (w, threads) = crowd(w, 50, |w, n| w.send(Syscall::Send, badged[n / 2 % 2], 1, &[], &[]));
    set_up(&w, CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[badged[1], 64]);
    // One step for each sender: skipped ones are not looked at again.
    for n in 1..THREADS {
        assert!(preempted_step(&w), "step {n}");
    }
    assert!(!preempted_step(&w));
    for (n, thread) in threads.iter().enumerate() {
        let expected = if n / 2 % 2 == 1 { ThreadState::Restart } else { ThreadState::BlockedOnSend };
        assert_eq!(state(&w, *thread), expected, "thread {n}");
    }
}

/// The sender at which it would go on leaves the queue, or moves in it: nobody is forgotten.
#[test]
fn cursor_of_cancelled_sends_survives_changes_of_the_queue() {
    for change in 0..4 {
        let mut w = World::new(4 << 20);
        let endpoint = w.make(T::Endpoint, 0);
        let badged = w.mint(endpoint, 15, 1);
        let (w, threads) = crowd(w, 50, |w, _| w.send(Syscall::Send, badged, 1, &[], &[]));
        let next = |w: &World| w.k.tcb(w.root).cancel_cursor();
        set_up(&w, CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[badged, 64]);
        for _ in 0..3 {
            assert!(preempted_step(&w));
        }
        let at = next(&w).unwrap();
        match change {
            0 => w.k.suspend(at),
            1 => w.k.change_priority(at, 10),
            2 => w.k.change_priority(at, 60),
            _ => w.k.forget_cursor(w.root),
        }
        check(&w.k);
        assert!(next(&w) != Some(at));
        while preempted_step(&w) {}
        assert_eq!(next(&w), None);
        assert_eq!(w.k.endpoint(w.k.words(w.slot(endpoint)).endpoint().unwrap().0).head(), None);
        for thread in &threads {
            let expected = if change == 0 && thread.at == at { ThreadState::Inactive } else { ThreadState::Restart };
            assert_eq!(state(&w, *thread), expected, "change {change}");
        }
    }
}

/// A call that is not the preempted one starts at the head.
#[test]
fn cursor_is_for_the_same_call_only() {
    let mut w = World::new(4 << 20);
    let endpoint = w.make(T::Endpoint, 0);
    let badged = [w.mint(endpoint, 15, 1), w.mint(endpoint, 15, 2)];
    let (w, threads) = crowd(w, 50, |w, n| w.send(Syscall::Send, badged[n % 2], 1, &[], &[]));
    set_up(&w, CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[badged[0], 64]);
    for _ in 0..5 {
        assert!(preempted_step(&w));
    }
    w.ok(CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[badged[1], 64], &[]);
    for (n, thread) in threads.iter().enumerate() {
        assert!(n % 2 == 0 || state(&w, *thread) == ThreadState::Restart, "thread {n}");
    }
}
