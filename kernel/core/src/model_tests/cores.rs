//! Several cores: migration, calls across cores, changes of remote threads (§5.13).

use hybrid_abi::bootinfo::word;
use hybrid_abi::label as l;
use hybrid_abi::limits::{REMOTE_CALL_SGI, RESCHEDULE_SGI};
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::{self, Syscall};
use proptest::prelude::*;

use crate::model_tests::capabilities::cases;
use crate::model_tests::invariants::check;
use crate::model_tests::machine::Effect;
use crate::model_tests::world::{Answer, CNODE, Thread, World};
use crate::object::{NotificationState, TcbRef, ThreadState};
use crate::platform::Platform;

const CORES: usize = 4;
type Machine = World<CORES>;
const MS: u64 = 62_500;

fn machine() -> Machine {
    Machine::with_cores(1 << 21)
}

/// Continues on this core.
fn on(w: &Machine, core: usize) {
    w.k.platform.core.set(core);
}

fn current(w: &Machine, core: usize) -> Option<TcbRef> {
    w.k.core_state(core).current.get()
}

/// Cores that were stopped drop their entry, cores that were woken take their interrupt, until nobody is waiting.
fn settle(w: &Machine) {
    let here = w.k.platform.core();
    for _ in 0..100 {
        let (stopped, woken) = (w.k.platform.stopped.take(), w.k.platform.woken.take());
        if stopped | woken == 0 {
            on(w, here);
            return;
        }
        for core in 0..CORES {
            on(w, core);
            // What the others have to do still is known to the invariants only by these bits.
            let rest = !((2 << core) - 1);
            if stopped & 1 << core != 0 {
                w.k.handle_syscall();
            }
            if woken & 1 << core != 0 {
                w.interrupt(RESCHEDULE_SGI);
            }
            let pending = (w.k.platform.stopped.get(), w.k.platform.woken.get());
            w.k.platform.stopped.set(pending.0 | stopped & rest);
            w.k.platform.woken.set(pending.1 | woken & rest);
            check(&w.k);
            w.k.platform.stopped.set(pending.0);
            w.k.platform.woken.set(pending.1);
        }
    }
    panic!("cores wake each other for ever");
}

fn control(w: &Machine, core: usize) -> u64 {
    w.info(word::SCHED_CONTROL) + core as u64
}

fn place(w: &Machine, context: u64, core: usize, budget_us: u64, period_us: u64) {
    w.ok(control(w, core), l::SCHED_CONTROL_CONFIGURE_FLAGS, &[budget_us, period_us, 0, 0x5a, 0], &[context]);
}

/// A thread that runs on this core.
fn started(w: &mut Machine, core: usize, priority: u64) -> Thread {
    let thread = w.thread(priority);
    place(w, thread.context, core, 5000, 5000);
    w.start(thread);
    settle(w);
    assert_eq!(current(w, core), Some(thread.at));
    thread
}

#[test]
fn boot_gives_time_of_each_core_to_the_first_thread() {
    let w = machine();
    assert_eq!(w.info(word::NUM_NODES), 4);
    assert_eq!(w.info(word::SCHED_CONTROL + 1) - w.info(word::SCHED_CONTROL), 4);
    check(&w.k);
}

#[test]
fn thread_starts_and_moves_where_its_time_is() {
    let mut w = machine();
    let thread = started(&mut w, 1, 100);
    for core in [2, 3, 0, 1] {
        place(&w, thread.context, core, 5000, 5000);
        check(&w.k);
        settle(&w);
        // The root thread has core 0 for itself.
        assert_eq!(current(&w, core), if core == 0 { Some(w.root) } else { Some(thread.at) });
        assert_eq!(w.k.tcb(thread.at).pc(), thread.start_pc(), "it repeats what was interrupted");
    }
    assert_eq!((current(&w, 2), current(&w, 3)), (None, None));
}

#[test]
fn thread_that_moves_itself_goes_on_there() {
    let w = machine();
    place(&w, 14, 0, 5000, 5000);
    w.send(Syscall::Call, control(&w, 3), l::SCHED_CONTROL_CONFIGURE_FLAGS, &[5000, 5000, 0, 0, 0], &[14]);
    assert_eq!((current(&w, 0), w.k.platform.woken.get()), (None, 1 << 3));
    check(&w.k);
    settle(&w);
    assert_eq!(current(&w, 3), Some(w.root));
    on(&w, 3);
    assert_eq!(w.message(w.root).1.label(), 0);
    check(&w.k);
}

#[test]
fn stopped_thread_does_not_finish_the_call_it_was_entering() {
    let mut w = machine();
    let notification = w.make(T::Notification, 0);
    let thread = started(&mut w, 2, 100);
    let tcb = w.k.tcb(thread.at);
    // It executes SVC while core 0 has the lock.
    tcb.set_x::<0>(notification);
    tcb.set_x::<1>(0);
    tcb.set_x::<7>(syscall::SEND.cast_unsigned());
    tcb.set_fault_ip(0x7000);
    tcb.set_pc(0x7004);
    w.ok(thread.slot, l::TCB_SUSPEND, &[], &[]);
    assert_eq!((w.k.platform.stopped.get(), tcb.state()), (1 << 2, ThreadState::Inactive));
    settle(&w);
    assert_eq!(current(&w, 2), None);
    let crate::cap::Cap::Notification { at, .. } = w.cap(notification) else { panic!() };
    assert_eq!(w.k.notification(at).state(), NotificationState::Idle);
    w.ok(thread.slot, l::TCB_RESUME, &[], &[]);
    settle(&w);
    assert_eq!((current(&w, 2), tcb.pc()), (Some(thread.at), 0x7000));
    on(&w, 2);
    w.svc(syscall::SEND);
    assert_eq!(w.k.notification(at).state(), NotificationState::Active);
    check(&w.k);
}

#[test]
fn registers_of_a_running_thread_are_those_it_stopped_with() {
    let mut w = machine();
    let thread = started(&mut w, 1, 100);
    w.k.tcb(thread.at).set_x::<3>(0x1234);
    let words = w.ok(thread.slot, l::TCB_READ_REGISTERS, &[0, 8], &[]);
    assert_eq!(words[0], thread.start_pc());
    w.ok(thread.slot, l::TCB_WRITE_REGISTERS, &[0, 1, 0x9000], &[]);
    settle(&w);
    assert_eq!((current(&w, 1), w.k.tcb(thread.at).pc()), (Some(thread.at), 0x9000));
}

#[test]
fn call_crosses_cores_and_the_answer_comes_back() {
    let mut w = machine();
    let (endpoint, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let (server, client) = (started(&mut w, 2, 50), started(&mut w, 1, 60));
    on(&w, 2);
    w.receive(Syscall::Recv, endpoint, reply);
    assert_eq!(current(&w, 2), None);
    on(&w, 1);
    w.send(Syscall::Call, endpoint, 7, &[1, 2, 3, 4, 5], &[]);
    assert_eq!(current(&w, 1), None);
    check(&w.k);
    settle(&w);
    assert_eq!(current(&w, 2), Some(server.at));
    assert_eq!(w.message(server.at).2, [1, 2, 3, 4, 5]);
    on(&w, 2);
    w.put_message(MessageInfo::new(8, 0, 0, 1), &[9], &[]);
    w.receive(Syscall::ReplyRecv, endpoint, reply);
    settle(&w);
    assert_eq!((current(&w, 1), current(&w, 2)), (Some(client.at), None));
    assert_eq!((w.message(client.at).1.label(), w.message(client.at).2), (8, vec![9]));
}

#[test]
fn passive_server_runs_where_its_callers_time_is() {
    let mut w = machine();
    let (endpoint, reply) = (w.make(T::Endpoint, 0), w.make(T::Reply, 0));
    let server = started(&mut w, 2, 100);
    on(&w, 2);
    w.receive(Syscall::Recv, endpoint, reply);
    on(&w, 0);
    w.ok(server.context, l::SCHED_CONTEXT_UNBIND, &[], &[]);
    for core in [1, 3, 1] {
        let client = started(&mut w, core, 60);
        on(&w, core);
        w.send(Syscall::Call, endpoint, 7, &[1], &[]);
        assert_eq!(current(&w, core), Some(server.at));
        assert_eq!(w.k.tcb(server.at).core(), core as u64);
        check(&w.k);
        w.receive(Syscall::ReplyRecv, endpoint, reply);
        assert_eq!(current(&w, core), Some(client.at));
        settle(&w);
        on(&w, 0);
        w.ok(client.slot, l::TCB_SUSPEND, &[], &[]);
        settle(&w);
    }
}

#[test]
fn deleting_what_runs_elsewhere_ends_it() {
    let mut w = machine();
    let (thread, other) = (started(&mut w, 1, 100), started(&mut w, 2, 100));
    w.ok(CNODE, l::CNODE_DELETE, &[thread.slot, 64], &[]);
    assert_eq!(w.k.platform.stopped.get(), 1 << 1);
    settle(&w);
    assert_eq!(current(&w, 1), None);
    w.ok(CNODE, l::CNODE_DELETE, &[other.context, 64], &[]);
    settle(&w);
    assert_eq!((current(&w, 2), w.k.tcb(other.at).sched_context()), (None, None));
    // Its time comes back on another core.
    let context = w.make(T::SchedContext, 8);
    place(&w, context, 3, 1000, 10_000);
    w.ok(context, l::SCHED_CONTEXT_BIND, &[], &[other.slot]);
    settle(&w);
    assert_eq!(current(&w, 3), Some(other.at));
}

/// A thread that runs on core 1 in an address space of its own, and the slot of that.
fn thread_in_its_own_space(w: &mut Machine) -> (Thread, u64) {
    let space = w.make(T::VSpace, 0);
    w.ok(6, l::ASID_POOL_ASSIGN, &[], &[space]);
    let thread = w.thread(100);
    place(w, thread.context, 1, 5000, 5000);
    let none = w.free_slot();
    w.ok(thread.slot, l::TCB_SET_SPACE, &[0, 0], &[none, CNODE, space]);
    w.start(thread);
    settle(w);
    assert_eq!(current(w, 1), Some(thread.at));
    (thread, space)
}

#[test]
fn deleted_address_space_leaves_the_core_that_has_it() {
    let mut w = machine();
    let (thread, space) = thread_in_its_own_space(&mut w);
    let installed = w.k.platform.spaces[1].get();
    assert_ne!(installed, 0);
    w.k.platform.take_effects();
    w.ok(CNODE, l::CNODE_REVOKE, &[space, 64], &[]);
    w.ok(CNODE, l::CNODE_DELETE, &[space, 64], &[]);
    assert_eq!(w.k.platform.spaces[1].get(), 0, "the core still translates with a dead table");
    assert!(w.k.platform.take_effects().iter().any(|effect| matches!(effect, Effect::InvalidateAsid(_))));
    settle(&w);
    assert_eq!(current(&w, 1), Some(thread.at), "the thread goes on, to fault");
    check(&w.k);
}

#[test]
fn thread_that_loses_its_space_capability_elsewhere_stops_translating_with_it() {
    let mut w = machine();
    let (thread, space) = thread_in_its_own_space(&mut w);
    let installed = w.k.platform.spaces[1].get();
    // Another capability to the same space is nobody's business.
    let copy = w.free_slot();
    w.ok(CNODE, l::CNODE_COPY, &[copy, 64, space, 64, 15], &[CNODE]);
    w.ok(CNODE, l::CNODE_DELETE, &[copy, 64], &[]);
    assert_eq!((w.k.platform.woken.get(), w.k.platform.spaces[1].get()), (0, installed));
    // The thread's own: the core must enter, since a fast call of the thread would not look at its address space.
    w.ok(CNODE, l::CNODE_REVOKE, &[space, 64], &[]);
    assert_eq!(w.k.platform.woken.get(), 1 << 1);
    settle(&w);
    assert_eq!((current(&w, 1), w.k.platform.spaces[1].get()), (Some(thread.at), 0));
}

#[test]
fn time_used_elsewhere_is_charged_when_it_is_asked_for() {
    let mut w = machine();
    let thread = started(&mut w, 1, 100);
    place(&w, thread.context, 1, 2000, 10_000);
    settle(&w);
    w.ok(thread.context, l::SCHED_CONTEXT_CONSUMED, &[], &[]);
    settle(&w);
    w.k.platform.clock.set(w.k.platform.clock.get() + MS);
    assert_eq!(w.ok(thread.context, l::SCHED_CONTEXT_CONSUMED, &[], &[]), [1000]);
    settle(&w);
    assert_eq!(current(&w, 1), Some(thread.at));
    // The rest of its budget ends on its own core, at the right time.
    on(&w, 1);
    w.run_for(MS - 1250 + 1);
    assert_eq!((current(&w, 1), w.k.tcb(thread.at).is_release_queued()), (Some(thread.at), false));
    w.run_for(1250);
    assert_eq!((current(&w, 1), w.k.tcb(thread.at).is_release_queued()), (None, true));
    check(&w.k);
    w.run_for(8 * MS);
    assert_eq!(current(&w, 1), Some(thread.at));
}

#[test]
fn stopping_a_thread_without_budget_left_is_its_timeout() {
    let mut w = machine();
    let endpoint = w.make(T::Endpoint, 0);
    let thread = w.thread(100);
    place(&w, thread.context, 1, 1000, 10_000);
    w.ok(thread.slot, l::TCB_SET_TIMEOUT_ENDPOINT, &[], &[endpoint]);
    w.start(thread);
    settle(&w);
    // Its core has not taken its timer interrupt yet.
    w.k.platform.clock.set(w.k.platform.clock.get() + 2 * MS);
    w.ok(thread.slot, l::TCB_SET_PRIORITY, &[101], &[1]);
    assert_eq!(w.k.tcb(thread.at).state(), ThreadState::BlockedOnSend);
    settle(&w);
    assert_eq!(current(&w, 1), None);
}

#[test]
fn yielding_to_another_core_returns_at_once() {
    let mut w = machine();
    let thread = started(&mut w, 1, 100);
    w.ok(1, l::TCB_SET_PRIORITY, &[50], &[1]);
    w.k.platform.clock.set(w.k.platform.clock.get() + MS);
    assert_eq!(w.ok(thread.context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]), [1000]);
    settle(&w);
    assert_eq!((current(&w, 0), current(&w, 1)), (Some(w.root), Some(thread.at)));
}

#[test]
fn priorities_of_other_cores_are_looked_at() {
    let mut w = machine();
    let (first, second) = (started(&mut w, 1, 100), w.thread(90));
    place(&w, second.context, 1, 5000, 5000);
    w.start(second);
    assert_eq!(w.k.platform.woken.get(), 0, "a core was woken for nothing");
    w.ok(second.slot, l::TCB_SET_PRIORITY, &[110], &[1]);
    settle(&w);
    assert_eq!(current(&w, 1), Some(second.at));
    w.ok(second.slot, l::TCB_SET_PRIORITY, &[99], &[1]);
    settle(&w);
    assert_eq!(current(&w, 1), Some(first.at));
}

#[test]
fn private_interrupts_are_those_of_a_core() {
    let mut w = machine();
    let answer = |w: &Machine, words: &[u64]| w.call(4, l::IRQ_ISSUE_HANDLER_TRIGGER_CORE, words, &[CNODE]);
    let slots: Vec<u64> = (0..8).map(|_| w.free_slot()).collect();
    assert_eq!(answer(&w, &[30, 0, slots[0], 64]), Answer::error(7, &[]));
    assert_eq!(answer(&w, &[160, 0, slots[0], 64, 0]), Answer::error(4, &[0, 159]));
    assert_eq!(answer(&w, &[30, 0, slots[0], 64, 4]), Answer::error(1, &[0]));
    for core in 0..4 {
        for irq in [u64::from(REMOTE_CALL_SGI), u64::from(RESCHEDULE_SGI), 27] {
            assert_eq!(answer(&w, &[irq, 0, slots[0], 64, core]), Answer::error(9, &[]), "interrupt {irq}");
        }
        // Only the low 8 bits of the depth count.
        assert_eq!(answer(&w, &[30, 0, slots[usize::try_from(core).unwrap_or(0)], 0x140, core]).label, 0);
        assert_eq!(answer(&w, &[30, 0, slots[7], 64, core]), Answer::error(9, &[]));
    }
    let refused = w.call(4, l::IRQ_ISSUE_HANDLER_TRIGGER, &[29, 0, slots[7], 64], &[CNODE]);
    assert_eq!(refused, Answer::error(3, &[]));
    let notification = w.make(T::Notification, 0);
    for (core, slot) in slots.iter().enumerate().take(4) {
        let badged = w.mint(notification, 7, 1 << core);
        w.ok(*slot, l::IRQ_SET_HANDLER, &[], &[badged]);
    }
    for core in [2, 1] {
        on(&w, core);
        w.interrupt(30);
    }
    on(&w, 0);
    w.receive(Syscall::NbWait, notification, 0);
    assert_eq!(w.message(w.root).0, 0b110);
    check(&w.k);
    assert_eq!(answer(&w, &[40, 1, slots[4], 64, 3]).label, 0);
    assert!(w.k.platform.take_effects().contains(&Effect::Route(40, 3)));
    w.ok(CNODE, l::CNODE_DELETE, &[slots[4], 64], &[]);
    assert!(w.k.platform.take_effects().contains(&Effect::Route(40, 0)));
}

/// One step of the random walk.
#[derive(Clone, Debug)]
enum Step {
    Core(usize),
    Configure(usize, usize, bool),
    Priority(usize, u64),
    Suspend(usize),
    Resume(usize),
    Yield,
    YieldTo(usize),
    Receive(bool),
    Call,
    Signal,
    Wait,
    Pass(u64),
    Unbind(usize),
    Bind(usize),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let thread = 0usize..6;
    prop_oneof![
        4 => (0..CORES).prop_map(Step::Core),
        2 => (thread.clone(), 0..CORES, any::<bool>()).prop_map(|(t, core, full)| Step::Configure(t, core, full)),
        2 => (thread.clone(), 1u64..200).prop_map(|(t, priority)| Step::Priority(t, priority)),
        1 => thread.clone().prop_map(Step::Suspend),
        3 => thread.clone().prop_map(Step::Resume),
        1 => Just(Step::Yield),
        1 => thread.clone().prop_map(Step::YieldTo),
        4 => any::<bool>().prop_map(Step::Receive),
        4 => Just(Step::Call),
        1 => Just(Step::Signal),
        1 => Just(Step::Wait),
        3 => (1u64..2 * MS).prop_map(Step::Pass),
        1 => thread.clone().prop_map(Step::Unbind),
        2 => thread.prop_map(Step::Bind),
        4 => Just(Step::Settle),
    ]
}

/// Objects that the random walk uses.
struct Walk {
    w: Machine,
    threads: Vec<Thread>,
    endpoint: u64,
    notification: u64,
    replies: Vec<u64>,
}

impl Walk {
    fn new() -> Self {
        let mut w = machine();
        let threads = (0..6).map(|n| w.thread(50 + n * 20)).collect();
        let (endpoint, notification) = (w.make(T::Endpoint, 0), w.make(T::Notification, 0));
        let replies = (0..6).map(|_| w.make(T::Reply, 0)).collect();
        Self { w, threads, endpoint, notification, replies }
    }

    /// The current thread of this core does it, if there is one; the answer does not matter.
    fn go(&self, step: &Step) {
        let w = &self.w;
        if let Step::Core(core) = step {
            return on(w, *core);
        }
        let here = w.k.platform.core();
        if matches!(step, Step::Settle) {
            return settle(w);
        }
        if let Step::Pass(ticks) = step {
            w.run_for(*ticks);
            return;
        }
        // A core that was stopped enters with nothing; one that was woken may do something first.
        if w.k.platform.stopped.get() & 1 << here != 0 {
            settle(w);
        }
        let Some(thread) = current(w, here) else { return };
        let call = |dest, label, words: &[u64], caps: &[u64]| w.send(Syscall::Call, dest, label, words, caps);
        let time = |core| control(w, core);
        match *step {
            Step::Configure(t, core, full) => {
                let words = [1000, if full { 1000 } else { 5000 }, 0, 0, 0];
                call(time(core), l::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[self.threads[t].context]);
            }
            Step::Priority(t, priority) => call(self.threads[t].slot, l::TCB_SET_PRIORITY, &[priority], &[1]),
            Step::Suspend(t) => call(self.threads[t].slot, l::TCB_SUSPEND, &[], &[]),
            Step::Resume(t) => call(self.threads[t].slot, l::TCB_RESUME, &[], &[]),
            Step::YieldTo(t) => call(self.threads[t].context, l::SCHED_CONTEXT_YIELD_TO, &[], &[]),
            Step::Unbind(t) => call(self.threads[t].context, l::SCHED_CONTEXT_UNBIND, &[], &[]),
            Step::Bind(t) => call(self.threads[t].context, l::SCHED_CONTEXT_BIND, &[], &[self.threads[t].slot]),
            Step::Yield => w.svc(syscall::YIELD),
            // The root thread never blocks: it is what lets the others go on.
            _ if thread == w.root => {}
            Step::Receive(replies) => {
                let own = self.threads.iter().position(|t| t.at == thread).unwrap();
                w.put_message(MessageInfo::new(1, 0, 0, 2), &[1, 2], &[]);
                w.receive(if replies { Syscall::ReplyRecv } else { Syscall::Recv }, self.endpoint, self.replies[own]);
            }
            Step::Call => call(self.endpoint, 5, &[1, 2, 3], &[]),
            Step::Signal => w.send(Syscall::Send, self.notification, 0, &[], &[]),
            Step::Wait => w.receive(Syscall::Wait, self.notification, 0),
            Step::Core(_) | Step::Pass(_) | Step::Settle => {}
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn random_walk_over_four_cores(steps in prop::collection::vec(step(), 1..120)) {
        let walk = Walk::new();
        for step in &steps {
            walk.go(step);
            check(&walk.w.k);
        }
        settle(&walk.w);
        check(&walk.w.k);
    }
}
