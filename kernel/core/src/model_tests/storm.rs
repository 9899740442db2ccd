//! Random threads doing random calls on shared objects while time passes: the invariants hold after every entry.
//!
//! Nothing is predicted here; arguments are often nonsense. Objects are deleted and revoked under the threads' feet.

use hybrid_abi::bootinfo::word;
use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::Syscall;
use proptest::prelude::*;

use crate::kernel::UserFault;
use crate::model_tests::capabilities::cases;
use crate::model_tests::invariants::check;
use crate::model_tests::world::{CNODE, Thread, World};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The current thread does an IPC call: call, dest, source, reply, message info bits.
    Ipc {
        call: Syscall,
        dest: usize,
        source: usize,
        reply: usize,
        length: u64,
        caps: u64,
    },
    /// An IPC call as clients and servers do it: endpoint 0 or 1, reply object 0…2.
    Talk {
        call: Syscall,
        endpoint: usize,
        badge: usize,
        reply: usize,
        length: u64,
    },
    /// A call with notifications 0 and 1 (and endpoint 0) as drivers do it: dest and source by their slots, reply object 0…2.
    Bell {
        call: Syscall,
        dest: usize,
        source: usize,
        reply: usize,
    },
    /// The current thread invokes an object: object, label, words, capabilities.
    Invoke {
        object: usize,
        label: u64,
        words: [u64; 6],
        caps: [usize; 3],
    },
    /// A sensible control call on thread, scheduling context or slot number `object`.
    Control {
        kind: u8,
        object: usize,
        other: usize,
        value: u64,
    },
    Fault,
    Interrupt(u32),
    Time(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let object = 0..40usize;
    let calls = prop::sample::select(Syscall::ALL);
    let word = prop_oneof![4 => 0..8u64, 2 => 60..70u64, 1 => any::<u64>(), 2 => 0..120u64];
    prop_oneof![
        10 => (calls, object.clone(), object.clone(), object.clone(), 0..8u64, 0..4u64)
            .prop_map(|(call, dest, source, reply, length, caps)| Event::Ipc { call, dest, source, reply, length, caps }),
        20 => (
            prop::sample::select(vec![Syscall::Call, Syscall::Call, Syscall::ReplyRecv, Syscall::ReplyRecv, Syscall::Recv]),
            0..2usize, 0..3usize, 0..3usize, 0..8u64,
        ).prop_map(|(call, endpoint, badge, reply, length)| Event::Talk { call, endpoint, badge, reply, length }),
        20 => (
            prop::sample::select(vec![
                Syscall::Send, Syscall::NbSend, Syscall::Wait, Syscall::NbWait, Syscall::NbSendWait, Syscall::NbSendRecv,
                Syscall::Recv,
            ]),
            prop_oneof![4 => 8..14usize, 1 => 0..8usize], prop_oneof![4 => 8..14usize, 1 => 0..8usize], 0..3usize,
        ).prop_map(|(call, dest, source, reply)| Event::Bell { call, dest, source, reply }),
        4 => (object.clone(), 0..60u64, prop::array::uniform6(word), prop::array::uniform3(object.clone()))
            .prop_map(|(object, label, words, caps)| Event::Invoke { object, label, words, caps }),
        8 => (0..12u8, object.clone(), object, 0..260u64)
            .prop_map(|(kind, object, other, value)| Event::Control { kind, object, other, value }),
        2 => Just(Event::Fault),
        1 => (26..50u32).prop_map(Event::Interrupt),
        4 => prop_oneof![0..3000u64, 0..800_000u64].prop_map(Event::Time),
    ]
}

/// Index of the first reply object in `Storm::slots`: after two endpoints with four and two notifications with three.
const FIRST_REPLY: usize = 14;

struct Storm {
    w: World,
    /// Slots of everything; the same in all threads, which share one CSpace.
    slots: Vec<u64>,
    threads: Vec<Thread>,
    contexts: Vec<u64>,
}

impl Storm {
    fn new() -> Self {
        let mut w = World::new(1 << 20);
        let mut slots = Vec::new();
        let endpoints = [w.make(T::Endpoint, 0), w.make(T::Endpoint, 0)];
        for endpoint in endpoints {
            slots.extend([endpoint, w.mint(endpoint, 15, 1), w.mint(endpoint, 15, 2), w.mint(endpoint, 1, 0)]);
        }
        let notifications = [w.make(T::Notification, 0), w.make(T::Notification, 0)];
        for notification in notifications {
            slots.extend([notification, w.mint(notification, 3, 1), w.mint(notification, 3, 2)]);
        }
        slots.extend([w.make(T::Reply, 0), w.make(T::Reply, 0), w.make(T::Reply, 0)]);
        let irq = w.free_slot();
        w.ok(4, l::IRQ_ISSUE_HANDLER, &[40, irq, 64], &[CNODE]);
        w.ok(irq, l::IRQ_SET_HANDLER, &[], &[notifications[0]]);
        slots.push(irq);
        let mut threads = vec![Thread { slot: 1, at: w.root, context: 14 }];
        let mut contexts = vec![14];
        for n in 0..5u64 {
            let thread = if n < 3 { w.thread(100 + n) } else { w.passive_thread(100 + n) };
            w.ok(thread.slot, l::TCB_SET_MC_PRIORITY, &[255], &[1]);
            w.ok(thread.slot, l::TCB_SET_TIMEOUT_ENDPOINT, &[], &[endpoints[0]]);
            w.ok(thread.slot, l::TCB_SET_SPACE, &[0, 0], &[endpoints[1], CNODE, 3]);
            if n < 3 {
                contexts.push(thread.context);
            }
            threads.push(thread);
        }
        contexts.extend([w.make(T::SchedContext, 7), w.make(T::SchedContext, 9)]);
        slots.extend(contexts.iter().skip(1));
        slots.extend(threads.iter().map(|thread| thread.slot));
        slots.extend([0, CNODE, w.info(word::SCHED_CONTROL)]);
        w.ok(1, l::TCB_SET_PRIORITY, &[101], &[1]);
        for thread in threads.iter().skip(1) {
            if w.k.current_thread() == Some(w.root) {
                w.start(*thread);
            }
        }
        w.k.work_limit.set(1);
        w.preempt_every.set(Some(2));
        Self { w, slots, threads, contexts }
    }

    fn slot(&self, n: usize) -> u64 {
        self.slots[n % self.slots.len()]
    }

    fn run(&self, event: &Event) {
        let w = &self.w;
        let is_idle = w.k.current_thread().is_none();
        match event {
            Event::Time(ticks) => w.run_for(*ticks),
            Event::Interrupt(irq) => w.interrupt(*irq),
            _ if is_idle => w.run_for(700_000),
            Event::Fault if w.k.platform.clock.get().is_multiple_of(4) => {
                let _ = w.k.handle_fault(UserFault::Exception { number: 7 });
            }
            Event::Fault => {
                let (address, syndrome) = (0x1234_5000, 0x1_9200_0047);
                let _ = w.k.handle_fault(UserFault::Vm { address, is_instruction: false, syndrome });
            }
            Event::Ipc { call, dest, source, reply, length, caps } => {
                let is_send = matches!(call, Syscall::Send | Syscall::NbSend | Syscall::Call);
                self.put(MessageInfo::new(3, 0, *caps, *length), &[1, 2, 3, 4, 5, 6], [*reply, *dest, *source]);
                let tcb = w.k.tcb(w.current());
                tcb.set_x::<0>(self.slot(if is_send { *dest } else { *source }));
                tcb.set_x::<6>(self.slot(*reply));
                tcb.set_x::<8>(self.slot(*dest));
                w.svc(call.number());
            }
            Event::Talk { call, endpoint, badge, reply, length } => {
                self.put(MessageInfo::new(5, 0, 0, *length), &[9, 8, 7, 6, 5, 4, 3], [0; 3]);
                let tcb = w.k.tcb(w.current());
                let badge = if *call == Syscall::Call { *badge } else { 0 };
                tcb.set_x::<0>(self.slots[endpoint * 4 + badge]);
                tcb.set_x::<6>(self.slots[FIRST_REPLY + reply]);
                w.svc(call.number());
            }
            Event::Bell { call, dest, source, reply } => {
                self.put(MessageInfo::new(5, 0, 0, 2), &[9, 8, 7, 6], [0; 3]);
                let tcb = w.k.tcb(w.current());
                let is_send = matches!(call, Syscall::Send | Syscall::NbSend);
                let reply = self.slots[FIRST_REPLY + reply];
                tcb.set_x::<0>(self.slots[if is_send { *dest } else { *source }]);
                tcb.set_x::<6>(if *call == Syscall::NbSendWait { self.slots[*dest] } else { reply });
                tcb.set_x::<8>(self.slots[*dest]);
                w.svc(call.number());
            }
            Event::Invoke { object, label, words, caps } => {
                let words = words.map(|word| {
                    if (60..64).contains(&word) { self.slot(usize::try_from(word).unwrap_or(0)) } else { word }
                });
                self.put(MessageInfo::new(*label, 0, 3, 6), &words, *caps);
                w.k.tcb(w.current()).set_x::<0>(self.slot(*object));
                w.svc(Syscall::Call.number());
            }
            Event::Control { kind, object, other, value } => self.control(*kind, *object, *other, *value),
        }
    }

    fn control(&self, kind: u8, object: usize, other: usize, value: u64) {
        let thread = self.threads[object % self.threads.len()].slot;
        let context = self.contexts[other % self.contexts.len()];
        let budget = [value * 40 + 20, 20_000, 0, 9, value & 1];
        let (dest, label, words, cap): (u64, u64, &[u64], u64) = match kind {
            0 => (thread, l::TCB_SUSPEND, &[], 0),
            1 | 2 => (thread, l::TCB_RESUME, &[], 0),
            3 => (thread, l::TCB_SET_PRIORITY, &[value % 110], 1),
            4 => (context, l::SCHED_CONTEXT_BIND, &[], thread),
            5 => (context, l::SCHED_CONTEXT_UNBIND, &[], 0),
            6 => (context, l::SCHED_CONTEXT_YIELD_TO, &[], 0),
            7 => (self.w.info(word::SCHED_CONTROL), l::SCHED_CONTROL_CONFIGURE_FLAGS, &budget, context),
            8 => (context, l::SCHED_CONTEXT_BIND, &[], self.slot(8 + other % 6)),
            9 => (thread, l::TCB_BIND_NOTIFICATION, &[], self.slot(8 + other % 6)),
            10 if value.is_multiple_of(4) => (CNODE, l::CNODE_DELETE, &[self.slot(other), 64], 0),
            10 => (CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[self.slot(other % 8), 64], 0),
            _ if value.is_multiple_of(8) => (CNODE, l::CNODE_REVOKE, &[self.slot(other), 64], 0),
            _ => (thread, l::TCB_UNBIND_NOTIFICATION, &[], 0),
        };
        let is_root_slot = label == l::CNODE_DELETE && [CNODE, 1].contains(&words[0]);
        if is_root_slot {
            return;
        }
        // Call with whatever reply; the caller may be the thread that is acted on.
        let words = words.to_vec();
        self.put(MessageInfo::new(label, 0, 1, words.len() as u64), &words, [0; 3]);
        if let Some(buffer) = self.w.k.buffer(self.w.current(), false) {
            buffer[hybrid_abi::ipc_buffer::CAPS_OR_BADGES].set(cap);
        }
        self.w.k.tcb(self.w.current()).set_x::<0>(dest);
        self.w.svc(Syscall::Call.number());
    }

    fn put(&self, info: MessageInfo, words: &[u64], caps: [usize; 3]) {
        let thread = self.w.current();
        let tcb = self.w.k.tcb(thread);
        tcb.set_x::<1>(info.0);
        (0..4).for_each(|n| tcb.set_message_register(n, words.get(n).copied().unwrap_or(0)));
        if let Some(buffer) = self.w.k.buffer(thread, true) {
            for (n, word) in words.iter().enumerate().skip(4) {
                buffer[1 + n].set(*word);
            }
            for (n, cap) in caps.iter().enumerate() {
                buffer[hybrid_abi::ipc_buffer::CAPS_OR_BADGES + n].set(self.slot(*cap));
            }
            buffer[hybrid_abi::ipc_buffer::RECEIVE_CNODE].set(CNODE);
            buffer[hybrid_abi::ipc_buffer::RECEIVE_INDEX].set(3000);
            buffer[hybrid_abi::ipc_buffer::RECEIVE_DEPTH].set(64);
        }
    }
}

/// Everything that the kernel keeps outside objects, and what it told the machine.
fn machine_state(w: &World) -> impl PartialEq + std::fmt::Debug {
    let k = w.k.this_core();
    (
        (k.current.get(), k.current_context.get(), k.switch.get(), k.now.get(), k.consumed.get()),
        (k.reprogram.get(), k.release_head.get(), k.space_changed.get(), k.installed_space.get(), k.ready.highest()),
        (w.k.platform.clock.get(), w.k.platform.deadlines[0].get(), w.k.platform.spaces[0].get()),
    )
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn invariants_hold_whatever_threads_do(events in prop::collection::vec(event(), 1..150)) {
        let storm = Storm::new();
        check(&storm.w.k);
        for event in &events {
            storm.run(event);
            check(&storm.w.k);
        }
    }

    #[test]
    fn fast_path_leaves_the_same_state_as_the_slow_path(events in prop::collection::vec(event(), 1..200)) {
        let (fast, slow) = (Storm::new(), Storm::new());
        slow.w.k.model.is_slow_only.set(true);
        for event in &events {
            let (taken, sampled) = (fast.w.k.model.fast_count.get(), fast.w.k.platform.samples.get());
            fast.run(event);
            // A fast way that did not look at the clock is compared with the ordinary way at the time of the last look.
            let is_frozen = fast.w.k.model.fast_count.get() != taken && fast.w.k.platform.samples.get() == sampled;
            slow.w.k.model.is_clock_frozen.set(is_frozen);
            slow.run(event);
            slow.w.k.model.is_clock_frozen.set(false);
            prop_assert_eq!(machine_state(&fast.w), machine_state(&slow.w), "after {:?}", event);
            prop_assert_eq!(fast.w.k.platform.difference(&slow.w.k.platform), None, "after {:?}", event);
        }
    }
}

/// The comparison above means something: a client and a server take the fast path both ways, with their own time
/// and on the client's.
#[test]
fn fast_path_is_taken_by_client_and_server() {
    for is_passive in [false, true] {
        let mut w = World::new(1 << 20);
        let (endpoint, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
        let (server, client) = (w.thread(210), w.thread(200));
        w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
        w.start(server);
        w.receive(Syscall::Recv, endpoint, reply);
        if is_passive {
            w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
        }
        w.start(client);
        let before = w.k.model.fast_count.get();
        for round in 1..=10 {
            w.send(Syscall::Call, endpoint, 1, &[round], &[]);
            assert_eq!(w.current(), server.at);
            w.put_message(MessageInfo::new(2, 0, 0, 1), &[round], &[]);
            w.receive(Syscall::ReplyRecv, endpoint, reply);
            assert_eq!((w.current(), w.message(client.at).2), (client.at, vec![round]));
            check(&w.k);
            assert_eq!(w.k.model.fast_count.get(), before + 2 * round);
        }
    }
}

/// So do a page fault and its answer, if the handler has no time of its own; the message is that of the ordinary way.
#[test]
fn fast_path_is_taken_by_page_faults() {
    for is_slow in [false, true] {
        let mut w = World::new(1 << 20);
        w.k.model.is_slow_only.set(is_slow);
        let (endpoint, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
        let handler_end = w.mint(endpoint, 9, 0x42);
        let (handler, client) = (w.thread(210), w.thread(200));
        w.ok(client.slot, l::TCB_SET_SPACE, &[0, 0], &[handler_end, CNODE, 3]);
        w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
        w.start(handler);
        w.receive(Syscall::Recv, endpoint, reply);
        w.ok(handler.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
        w.start(client);
        let before = w.k.model.fast_count.get();
        for round in 1..=4 {
            let (is_instruction, pc) = (round % 2 == 0, 0x7000 + round * 4);
            w.k.tcb(client.at).set_pc(pc + 4);
            w.k.tcb(client.at).set_fault_ip(pc);
            let _ = w.k.handle_fault(UserFault::Vm { address: 0x1234, is_instruction, syndrome: 0x9_9200_0007 });
            assert_eq!(w.current(), handler.at);
            let address = if is_instruction { pc } else { 0x1234 };
            let (badge, info, words) = w.message(handler.at);
            assert_eq!((badge, info), (0x42, MessageInfo::new(6, 0, 0, 4)));
            assert_eq!(words, [pc, address, u64::from(is_instruction), 0x9200_0007]);
            check(&w.k);
            // The label and the words of the answer do not matter.
            w.put_message(MessageInfo::new(round, 0, 0, 2), &[1, 2], &[]);
            w.receive(Syscall::ReplyRecv, endpoint, reply);
            assert_eq!((w.current(), w.k.tcb(client.at).pc()), (client.at, pc));
            check(&w.k);
            assert_eq!(w.k.model.fast_count.get() - before, if is_slow { 0 } else { 2 * round });
        }
    }
}

/// So do signals, waits and interrupts: each of these steps takes a fast way, and the right thread goes on.
#[test]
fn fast_path_is_taken_by_signals_and_interrupts() {
    let mut w = World::new(1 << 20);
    let (ping, pong) = (w.make(T::Notification, 0), w.make(T::Notification, 0));
    let irq = w.free_slot();
    w.ok(4, l::IRQ_ISSUE_HANDLER, &[40, irq, 64], &[CNODE]);
    w.ok(irq, l::IRQ_SET_HANDLER, &[], &[ping]);
    let (high, low) = (w.thread(210), w.thread(200));
    w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    w.start(low);
    w.start(high);
    let step = |call: Syscall, x0: u64, x6: u64, next: crate::object::TcbRef| {
        let before = w.k.model.fast_count.get();
        let tcb = w.k.tcb(w.current());
        tcb.set_x::<0>(x0);
        tcb.set_x::<1>(0);
        tcb.set_x::<6>(x6);
        w.svc(call.number());
        assert_eq!((w.current(), w.k.model.fast_count.get()), (next, before + 1), "{call:?}");
        check(&w.k);
    };
    assert_eq!(w.current(), high.at);
    step(Syscall::NbWait, ping, 0, high.at);
    step(Syscall::Wait, ping, 0, low.at);
    step(Syscall::Send, ping, 0, high.at);
    step(Syscall::NbSendWait, ping, pong, low.at);
    step(Syscall::NbWait, pong, 0, low.at);
    step(Syscall::NbSendWait, pong, ping, high.at);
    step(Syscall::NbSendWait, ping, pong, low.at);
    let before = w.k.model.fast_count.get();
    w.interrupt(40);
    assert_eq!((w.current(), w.k.model.fast_count.get()), (high.at, before + 1));
    check(&w.k);
}
