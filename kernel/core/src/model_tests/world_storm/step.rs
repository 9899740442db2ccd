//! One step of a storm: something happens, and everything that can be said about it is checked.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use hybrid_abi::ipc_buffer;
use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::syscall::Syscall;

use crate::kernel::{IrqUse, UserFault};
use crate::model_tests::invariants::check;
use crate::model_tests::world_storm::census::Census;
use crate::model_tests::world_storm::dice::Dice;
use crate::model_tests::world_storm::draw::{Call, draw, hostile};
use crate::model_tests::world_storm::oracle::{Done, K, Verdict, buffer_at, judge};
use crate::model_tests::world_storm::setup::{ALARM, Setup};
use crate::model_tests::world_storm::supervisor;
#[cfg(test)]
use crate::model_tests::world_storm::{
    oracle::invocation,
    refusals::{Seen, refusal},
};
use crate::object::{PoolRef, SchedContextRef, SlotRef, TcbRef, ThreadState, context};
use crate::platform::Platform;
use crate::preempt::LOOK_AFTER;
use crate::sched::Switch;

/// What a storm reached, so that its silence means something.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Things that happened.
    pub steps: u64,
    /// System calls.
    pub calls: u64,
    /// Refused as predicted, by error number, and compared with the state before.
    pub refused: BTreeMap<u64, u64>,
    /// Carried out as predicted, by label.
    pub done: BTreeMap<u64, u64>,
    /// Capability faults, as predicted.
    pub faults: u64,
    /// Calls that were preempted and repeated.
    pub preempted: u64,
    /// Calls that took a fast path.
    pub fast: u64,
    /// Steps in which nobody ran.
    pub idle: u64,
    /// Calls that began after the timer was due: of their state little is compared.
    pub late: u64,
}

impl Counts {
    /// Adds another case's.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.calls += other.calls;
        self.late += other.late;
        self.faults += other.faults;
        self.preempted += other.preempted;
        self.fast += other.fast;
        self.idle += other.idle;
        for (code, n) in &other.refused {
            *self.refused.entry(*code).or_default() += n;
        }
        for (label, n) in &other.done {
            *self.done.entry(*label).or_default() += n;
        }
    }
}

pub(super) struct Storm<const N: usize> {
    pub(super) setup: Setup<N>,
    pub(super) counts: Counts,
    /// Where each thread executed its last system call: there again means that it is repeated.
    last_svc: BTreeMap<TcbRef, u64>,
    /// What the supervisor still does before it sleeps.
    busy: u64,
    idle: u32,
    /// Every refusal that was compared with the state before.
    #[cfg(test)]
    pub(super) seen: Seen,
    /// Check invariants and predictions (off where two worlds are compared, which does that once already).
    pub(super) is_checked: bool,
    pub(super) is_verbose: bool,
}

impl<const N: usize> Storm<N> {
    pub(super) fn new() -> Self {
        let setup = Setup::new();
        Self {
            setup,
            counts: Counts::default(),
            last_svc: BTreeMap::new(),
            busy: 0,
            idle: 0,
            #[cfg(test)]
            seen: Seen::new(),
            is_checked: true,
            is_verbose: std::env::var_os("HYBRID_MODEL_VERBOSE").is_some(),
        }
    }

    pub(super) fn k(&self) -> &K<N> {
        &self.setup.w.k
    }

    /// False: nothing will ever happen again in this world.
    pub(super) fn step(&mut self, dice: &mut Dice<'_>) -> bool {
        self.counts.steps += 1;
        if N > 1 && self.enter_core(dice) {
            self.after();
            return true;
        }
        let Some(thread) = self.k().current_thread() else { return self.wait(dice) };
        self.idle = 0;
        let is_supervisor = thread == self.setup.w.root;
        let roll = dice.below(100);
        match roll {
            _ if is_supervisor => self.supervise(thread, dice),
            0..5 => self.pass(dice.below(3000)),
            5..8 => self.pass(dice.below(200_000)),
            8 => self.pass(dice.below(2_000_000)),
            9..11 => {
                let irq = match dice.below(8) {
                    0..3 => 40 + u32::try_from(dice.below(4)).unwrap(),
                    3 => 50,
                    4 => ALARM,
                    5 => 27,
                    _ => u32::try_from(dice.below(200)).unwrap(),
                };
                self.interrupt(Some(irq).filter(|irq| *irq < 170));
            }
            11 => self.fault(thread, dice),
            _ => self.act(thread, dice),
        }
        self.after();
        true
    }

    /// Another core enters next. True if it did so already: it was stopped, told to choose anew, or its timer fired.
    fn enter_core(&self, dice: &mut Dice<'_>) -> bool {
        let machine = &self.setup.w.k.platform;
        let core = dice.index(N);
        machine.core.set(core);
        let told = (machine.stopped.get() | machine.woken.get()) & 1 << core != 0;
        machine.stopped.set(machine.stopped.get() & !(1 << core));
        machine.woken.set(machine.woken.get() & !(1 << core));
        if told {
            self.enter_at_pc();
            self.k().handle_interrupt(Some(1));
        } else if machine.clock.get() >= machine.deadlines[core].get() {
            self.interrupt(Some(27));
        } else {
            return false;
        }
        true
    }

    /// Nothing but one invocation, of which every part is the next byte or word of the input.
    pub(super) fn step_of_decoder(&mut self, dice: &mut Dice<'_>) -> bool {
        self.counts.steps += 1;
        let Some(thread) = self.k().current_thread() else { return self.wait(dice) };
        let census = Census::of(self.k(), thread, self.setup.end + 8);
        let word = |dice: &mut Dice<'_>| match dice.below(4) {
            0 => census.any(dice),
            1 => dice.below(256),
            2 => hostile(dice),
            _ => dice.word(),
        };
        let (dest, label, length) = (census.any(dice), dice.below(64), dice.below(12));
        let words = (0..length).map(|_| word(dice)).collect();
        let caps: Vec<u64> = (0..dice.below(4)).map(|_| census.any(dice)).collect();
        let info = MessageInfo::new(label, 0, caps.len() as u64, length).0;
        let number = if dice.below(8) == 0 { Syscall::NbSend } else { Syscall::Call }.number();
        let call = Call { number, x0: dest, info, words, caps, ..Call::default() };
        self.put(thread, &call);
        self.svc(thread, dice);
        self.after();
        true
    }

    /// Makes the supervisor the current thread, if it still can be.
    #[cfg(test)]
    pub(super) fn wake_supervisor(&mut self) -> Option<()> {
        for _ in 0..3 {
            if self.k().current_thread() == Some(self.setup.w.root) {
                return Some(());
            }
            self.setup.w.k.platform.hardware.held.borrow_mut().remove(&(0, ALARM));
            self.interrupt(Some(ALARM));
        }
        None
    }

    /// The supervisor deletes, revokes or retypes; preempted at one point, then it goes on to the end. Gives the number of points.
    #[cfg(test)]
    pub(super) fn long_operation(&mut self, dice: &mut Dice<'_>, preempt_at: Option<u32>) -> u32 {
        let thread = self.setup.w.root;
        let slots: Vec<u64> = (30..self.setup.end).filter(|n| self.setup.w.cap(*n) != crate::cap::Cap::Null).collect();
        let slot = if slots.is_empty() { self.setup.alarm } else { dice.pick(&slots) };
        let (dest, label, words) = match dice.below(3) {
            0 => (2, l::CNODE_DELETE, vec![slot, 64]),
            1 => (2, l::CNODE_REVOKE, vec![slot, 64]),
            _ => (slot, l::UNTYPED_RETYPE, vec![2, 0, 0, 0, self.setup.end + 4, 1]),
        };
        let info = MessageInfo::new(label, 0, 1, words.len() as u64).0;
        let number = Syscall::Call.number();
        self.put(thread, &Call { number, x0: dest, info, words, caps: vec![2], ..Call::default() });
        let machine = &self.setup.w.k.platform;
        let asked = machine.asked.get();
        self.k().work_limit.set(1);
        machine.countdown.set(preempt_at);
        let tcb = self.k().tcb(thread);
        let at = tcb.pc();
        // It is repeated until it is done, or has deleted who repeats it.
        loop {
            tcb.set_fault_ip(at);
            tcb.set_pc(at + 4);
            self.k().handle_syscall();
            check(self.k());
            if self.k().current_thread() != Some(thread) || tcb.pc() != at {
                break;
            }
        }
        machine.countdown.set(None);
        machine.asked.get() - asked
    }

    fn after(&mut self) {
        // Miri takes a second for it.
        if self.is_checked && (!cfg!(miri) || self.counts.steps.is_multiple_of(8)) {
            check(self.k());
        }
    }

    /// Nobody runs: time passes until somebody does, or the alarm rings.
    fn wait(&mut self, dice: &mut Dice<'_>) -> bool {
        self.counts.idle += 1;
        self.idle += 1;
        let left =
            self.k().platform.deadlines[self.k().platform.core()].get().saturating_sub(self.k().platform.clock.get());
        if self.idle < 3 && left < 1 << 40 && dice.percent(60) {
            self.pass(left + dice.below(2) * 1000);
        } else {
            let irq = if dice.percent(60) { ALARM } else { 40 };
            self.interrupt(Some(irq));
        }
        self.after();
        self.idle < 12 * u32::try_from(N).unwrap()
    }

    fn pass(&self, ticks: u64) {
        if self.is_verbose {
            println!("{ticks} ticks pass");
        }
        self.enter_at_pc();
        self.setup.w.run_for(ticks);
    }

    fn interrupt(&self, irq: Option<u32>) {
        if self.is_verbose {
            println!("interrupt {irq:?}");
        }
        // What the controller keeps away does not come; one that a handler holds neither.
        let hardware = &self.k().platform.hardware;
        let irq = irq.filter(|irq| {
            !hardware.held.borrow().contains(&(if *irq < 32 { self.k().platform.core() } else { 0 }, *irq))
        });
        self.enter_at_pc();
        self.k().handle_interrupt(irq);
    }

    fn enter_at_pc(&self) {
        if let Some(thread) = self.k().current_thread() {
            self.k().tcb(thread).set_fault_ip(self.k().tcb(thread).pc());
        }
    }

    fn fault(&self, thread: TcbRef, dice: &mut Dice<'_>) {
        let fault = match dice.below(3) {
            0 => UserFault::Exception { number: 0x0200_0000 },
            n => UserFault::Vm { address: hostile(dice), is_instruction: n == 1, syndrome: 0x9200_0004 },
        };
        if self.is_verbose {
            println!("{thread:x?}: {fault:x?}");
        }
        self.enter_at_pc();
        self.k().handle_fault(fault);
    }

    fn supervise(&mut self, thread: TcbRef, dice: &mut Dice<'_>) {
        let was_asleep = self.k().tcb(thread).x::<7>() == Syscall::Wait.number().cast_unsigned();
        let call = if was_asleep {
            self.busy = 1 + dice.below(4);
            supervisor::acknowledge(self.setup.bell)
        } else if self.busy == 0 {
            supervisor::sleep(self.setup.alarm)
        } else {
            self.busy -= 1;
            let census = Census::of(self.k(), thread, self.setup.end + 8);
            supervisor::mend(&census, self.setup.alarm, dice)
        };
        self.put(thread, &call);
        self.svc(thread, dice);
    }

    fn act(&mut self, thread: TcbRef, dice: &mut Dice<'_>) {
        let is_repeated = self.last_svc.get(&thread) == Some(&self.k().tcb(thread).pc());
        if !is_repeated || dice.percent(70) {
            let census = Census::of(self.k(), thread, self.setup.end + 8);
            let call = draw(&census, dice);
            self.put(thread, &call);
        }
        self.svc(thread, dice);
    }

    /// Registers and buffer of the thread.
    pub(super) fn put(&self, thread: TcbRef, call: &Call) {
        if self.is_verbose {
            println!("{thread:x?}: {call:x?} label {}", MessageInfo(call.info).label());
        }
        let tcb = self.k().tcb(thread);
        tcb.set_x::<0>(call.x0);
        tcb.set_x::<1>(call.info);
        tcb.set_x::<6>(call.x6);
        tcb.set_x::<7>(call.number.cast_unsigned());
        tcb.set_x::<8>(call.x8);
        for n in 0..4 {
            tcb.set_message_register(n, call.words.get(n).copied().unwrap_or(0));
        }
        let Some(buffer) = buffer_at(self.k(), thread, false) else { return };
        let buffer = self.k().platform.words::<{ ipc_buffer::WORDS }>(buffer);
        for (n, word) in call.words.iter().enumerate().skip(4) {
            buffer[ipc_buffer::MESSAGE + n].set(*word);
        }
        for (n, cap) in call.caps.iter().enumerate() {
            buffer[ipc_buffer::CAPS_OR_BADGES + n].set(*cap);
        }
        for (n, word) in call.receive.iter().enumerate() {
            buffer[ipc_buffer::RECEIVE_CNODE + n].set(*word);
        }
    }

    /// The thread executes the system call in its registers.
    pub(super) fn svc(&mut self, thread: TcbRef, dice: &mut Dice<'_>) {
        self.counts.calls += 1;
        let limit = dice.pick(&[1, 1, 2, 5, LOOK_AFTER]);
        let countdown = if dice.percent(50) { Some(u32::try_from(dice.below(5)).unwrap()) } else { None };
        let machine = &self.setup.w.k.platform;
        self.k().work_limit.set(limit);
        machine.countdown.set(countdown);
        // The last call may have ended later than it knew: then the timer's interrupt is pending, and this call finds it due.
        let is_late = machine.clock.get() >= machine.deadlines[machine.core()].get();
        self.counts.late += u64::from(is_late);
        machine.tick.set(if dice.percent(10) && self.is_checked { dice.below(400) } else { 0 });
        let tcb = self.k().tcb(thread);
        let at = tcb.pc();
        tcb.set_fault_ip(at);
        tcb.set_pc(at.wrapping_add(4));
        self.last_svc.insert(thread, at);
        let verdict = if self.is_checked { judge(self.k(), thread) } else { Verdict::Unknown };
        if matches!(verdict, Verdict::Refused(_) | Verdict::Nothing) {
            machine.save();
        }
        let asked = self.k().platform.asked.get();
        let number = self.k().tcb(thread).x::<7>();
        let label = MessageInfo(self.k().tcb(thread).x::<1>()).label();
        #[cfg(test)]
        let name = refusal_in(self.k(), thread, &verdict);
        let is_broke = is_broke(self.k());
        let before = cells(self.k());
        self.k().handle_syscall();
        let machine = &self.setup.w.k.platform;
        machine.countdown.set(None);
        let is_ticking = machine.tick.replace(0) != 0 || is_late;
        let was_asked = machine.asked.get() != asked;
        let tcb = self.setup.w.k.tcb(thread);
        let is_answered =
            tcb.state() == ThreadState::Running && tcb.pc() == at.wrapping_add(4) && tcb.yield_to().is_none();
        if tcb.pc() == at && was_asked {
            self.counts.preempted += 1;
        }
        let is_call = number == Syscall::Call.number().cast_unsigned();
        if is_broke || (is_ticking && !is_answered) {
            return;
        }
        match verdict {
            Verdict::Unknown => {}
            Verdict::Nothing => self.unchanged(&before, &[], is_ticking),
            Verdict::Fault => {
                self.counts.faults += 1;
                assert!(!is_answered, "a fault that did not stop the thread");
            }
            Verdict::Refused(answer) => {
                *self.counts.refused.entry(answer.label).or_default() += 1;
                assert!(is_answered, "no answer instead of {answer:x?}");
                let mut allowed = Vec::new();
                if is_call {
                    let (badge, info, words) = self.setup.w.message(thread);
                    assert_eq!((badge, info.label(), words), (0, answer.label, answer.words.clone()), "label {label}");
                    assert_eq!((info.extra_caps(), info.caps_unwrapped()), (0, 0));
                    allowed = answer_words(self.k(), thread, answer.words.len());
                }
                self.unchanged(&before, &allowed, is_ticking);
                #[cfg(test)]
                if N == 1 && !is_ticking {
                    *self.seen.entry(name).or_default() += 1;
                }
            }
            Verdict::Done(done) => {
                *self.counts.done.entry(label).or_default() += 1;
                self.carried_out(thread, label, &done, is_call && is_answered);
                let may_stop = was_asked || is_answered || done == Done::Anything || is_self_stopping(label);
                assert!(may_stop, "label {label}: no answer, no preemption");
            }
        }
    }

    fn carried_out(&self, thread: TcbRef, label: u64, done: &Done, is_answered: bool) {
        if !is_answered || *done == Done::Anything {
            return;
        }
        let (badge, info, words) = self.setup.w.message(thread);
        assert_eq!((badge, info.label()), (0, 0), "label {label} was refused: {info:x?} {words:x?}");
        match done {
            Done::Words(wanted) => assert_eq!(&words, wanted, "label {label}"),
            Done::Count(count) => assert_eq!(words.len(), *count, "label {label}"),
            Done::Anything => {}
        }
    }

    /// Nothing but these words differs from the state before.
    fn unchanged(&self, before: &Cells, allowed: &[u64], is_ticking: bool) {
        // On several cores the thread that is asked for was stopped first, whatever the answer.
        if is_ticking || N > 1 {
            return;
        }
        let machine = &self.setup.w.k.platform;
        let changes: Vec<u64> = machine.changes().into_iter().filter(|at| !allowed.contains(at)).collect();
        assert!(changes.is_empty(), "a refused call changed {changes:x?}");
        assert_eq!(&cells(self.k()), before, "a refused call changed the kernel's own state");
    }
}

/// The name of a refusal, before the call.
#[cfg(test)]
fn refusal_in<const N: usize>(k: &K<N>, thread: TcbRef, verdict: &Verdict) -> String {
    match (verdict, invocation(k, thread)) {
        (Verdict::Refused(answer), Ok(ask)) => refusal(&ask, answer),
        _ => String::new(),
    }
}

/// Calls that may take the caller's own thread away.
fn is_self_stopping(label: u64) -> bool {
    [l::CNODE_DELETE, l::CNODE_REVOKE, l::SCHED_CONTEXT_YIELD_TO, l::IRQ_SET_HANDLER, l::IRQ_CLEAR_HANDLER]
        .contains(&label)
}

/// The budget of the current scheduling context is used up: the system call is not carried out.
fn is_broke<const N: usize>(k: &K<N>) -> bool {
    let core = k.this_core();
    let Some(context) = core.current_context.get() else { return false };
    let used = core.consumed.get() + (k.platform.clock.get() - core.now.get());
    k.head_refill(context).amount() < used + k.min_budget.get()
}

/// Where the answer of so many words stands: x0, x1, message registers, buffer words.
fn answer_words<const N: usize>(k: &K<N>, thread: TcbRef, words: usize) -> Vec<u64> {
    let register = |n: usize| thread.paddr() + 8 * (context::X0 + n) as u64;
    let mut at = vec![register(0), register(1)];
    at.extend((0..words.min(4)).map(|n| register(2 + n)));
    if let Some(buffer) = buffer_at(k, thread, true) {
        at.extend((4..words).map(|n| buffer + 8 * (1 + n) as u64));
    }
    at
}

/// The kernel's own cells and what it told the machine, without what the passing of time changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cells {
    threads: [Option<TcbRef>; 3],
    context: Option<SchedContextRef>,
    switch: Switch,
    installed: u64,
    is_pending: [bool; 2],
    deadline: u64,
    irq_uses: Vec<IrqUse>,
    pools: Vec<Option<PoolRef>>,
    /// The first capability of all, and where a listing stands.
    listing: [Option<SlotRef>; 2],
    incarnations: u64,
    masks: [BTreeSet<(usize, u32)>; 2],
}

pub(super) fn cells<const N: usize>(k: &K<N>) -> Cells {
    let core = k.this_core();
    let hardware = &k.platform.hardware;
    Cells {
        threads: [core.current.get(), core.release_head.get(), core.ready.highest()],
        context: core.current_context.get(),
        switch: core.switch.get(),
        installed: core.installed_space.get(),
        is_pending: [core.space_changed.get(), core.reprogram.get()],
        deadline: k.platform.deadlines[k.platform.core()].get(),
        irq_uses: k.irq_uses.iter().map(Cell::get).collect(),
        pools: k.asid_pools.iter().take(8).map(Cell::get).collect(),
        listing: [k.first_slot.get(), k.audit_next.get()],
        incarnations: k.incarnations.get(),
        masks: [hardware.unmasked.borrow().clone(), hardware.held.borrow().clone()],
    }
}
