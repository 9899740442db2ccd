//! Looks for refusals that no storm has met: draws calls until one is refused for a new reason, then makes it.
//!
//! Only calls that are refused are made here, so the world stays as it is and a try costs no more than a look at it.

use std::collections::BTreeSet;

use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::Syscall;

use crate::cap::Cap;
use crate::cspace::slot_of;
use crate::model_tests::world::CNODE;
use crate::model_tests::world_storm::census::Census;
use crate::model_tests::world_storm::dice::Dice;
use crate::model_tests::world_storm::draw::{Call, spoilt_call};
use crate::model_tests::world_storm::oracle::{Verdict, invocation, judge};
use crate::model_tests::world_storm::refusals::{NOT_HERE, Seen, expected, labels, refusal};
use crate::model_tests::world_storm::setup::PAGES;
use crate::model_tests::world_storm::step::Storm;

/// Tries of one world for each label.
const TRIES: u64 = 400;
/// How often each refusal is wanted, by different calls where there are some.
const WANTED: u64 = 3;

impl Storm<1> {
    /// Things that only a long story leads to: a dead address space with what was mapped there, another one that has its ASID, a frame
    /// whose table is gone, copies of untyped memory, and a thread that is half deleted.
    fn prepare(&mut self) {
        let w = &mut self.setup.w;
        let space = |w: &mut crate::model_tests::world::World| {
            let (memory, pool) = (w.make(T::Untyped, 12), w.free_slot());
            w.ok(5, l::ASID_CONTROL_MAKE_POOL, &[pool, 64], &[memory, CNODE]);
            let (space, frame) = (w.make(T::VSpace, 0), w.make(T::SmallPage, 0));
            w.ok(pool, l::ASID_POOL_ASSIGN, &[], &[space]);
            let tables = [(); 3].map(|()| w.make(T::PageTable, 0));
            for table in tables {
                w.ok(table, l::PAGE_TABLE_MAP, &[PAGES, 0], &[space]);
            }
            w.ok(frame, l::PAGE_MAP, &[PAGES, 3, 3], &[space]);
            (pool, memory, tables[2])
        };
        let (pool, memory, _) = space(w);
        w.ok(CNODE, l::CNODE_DELETE, &[pool, 64], &[]);
        let pool = w.free_slot();
        w.ok(5, l::ASID_CONTROL_MAKE_POOL, &[pool, 64], &[memory, CNODE]);
        let (_, _, table) = space(w);
        w.ok(table, l::PAGE_TABLE_UNMAP, &[], &[]);
        let (memory, page) = (w.make(T::Untyped, 12), w.make(T::Untyped, 12));
        w.copy(memory, 15);
        w.retype(page, T::SmallPage, 0);
        let (notification, endpoint) = (w.make(T::Notification, 0), w.make(T::Endpoint, 0));
        w.copy(notification, 2);
        w.copy(endpoint, 2);
        w.make(T::VSpace, 0);
        self.take_back_irq_control();
        self.half_delete();
        self.setup.end = self.setup.w.free_slot();
    }

    /// The worker that has it gives it back to the supervisor.
    fn take_back_irq_control(&mut self) {
        let w = &mut self.setup.w;
        let to = w.free_slot();
        let is_wide = |slot: &u64| matches!(w.cap(*slot), Cap::CNode { radix: 6, guard_size: 0, .. });
        for from in (0..self.setup.end).filter(is_wide) {
            let Cap::CNode { at, .. } = w.cap(from) else { unreachable!() };
            let is_it = |index: &u64| w.k.cap(slot_of(at, *index).unwrap()) == Cap::IrqControl;
            if let Some(index) = (0..64).find(is_it) {
                w.ok(CNODE, l::CNODE_MOVE, &[to, 64, index, 6], &[from]);
                return;
            }
        }
        panic!("nobody has it");
    }

    /// A CNode with something in it, whose deletion was preempted and is never gone on with.
    fn half_delete(&mut self) {
        let w = &mut self.setup.w;
        let cnode = w.make(T::CapTable, 2);
        for index in 0..4 {
            w.ok(cnode, l::CNODE_COPY, &[index, 2, 1, 64, 15], &[CNODE]);
        }
        let info = MessageInfo::new(l::CNODE_DELETE, 0, 0, 2).0;
        let call = Call { number: Syscall::Call.number(), x0: CNODE, info, words: vec![cnode, 64], ..Call::default() };
        let thread = self.setup.w.root;
        self.put(thread, &call);
        let k = self.k();
        let at = k.tcb(thread).pc();
        k.work_limit.set(1);
        k.platform.countdown.set(Some(1));
        k.tcb(thread).set_fault_ip(at);
        k.tcb(thread).set_pc(at + 4);
        k.handle_syscall();
        k.platform.countdown.set(None);
        assert!(matches!(self.setup.w.cap(cnode), Cap::Zombie { .. }), "the deletion was not preempted");
    }

    /// The supervisor draws calls with each label for which something is still missing, and makes those that are refused for it.
    fn provoke(&mut self, dice: &mut Dice<'_>, missing: &BTreeSet<String>) {
        let thread = self.setup.w.root;
        for label in labels() {
            let census = Census::of(self.k(), thread, self.setup.end + 8);
            let is_wanted = missing.iter().any(|name| name.contains(&format!(" {label} ")) || name.contains(" * "));
            let calls: Vec<Call> =
                (0..if is_wanted { TRIES } else { 0 }).map(|_| spoilt_call(&census, dice, label)).collect();
            for call in calls {
                self.put(thread, &call);
                let Verdict::Refused(answer) = judge(self.k(), thread) else { continue };
                let Ok(ask) = invocation(self.k(), thread) else { continue };
                let name = refusal(&ask, &answer);
                if missing.contains(&name) && self.seen.get(&name).is_none_or(|n| *n < WANTED) {
                    self.svc(thread, dice);
                }
            }
        }
    }
}

/// Every refusal of the list is met, by storms or provoked after one, and leaves everything as it was; and no other is met.
#[test]
fn every_refusal_leaves_everything_as_it_was() {
    let known = expected();
    let mut seen = Seen::new();
    let excused = |name: &str| NOT_HERE.iter().any(|(excused, _)| *excused == name);
    let missing = |seen: &Seen| -> BTreeSet<String> {
        known.iter().filter(|name| !excused(name) && seen.get(*name).is_none_or(|n| *n < WANTED)).cloned().collect()
    };
    for seed in 1..=16 {
        if missing(&seen).is_empty() {
            break;
        }
        let mut dice = Dice::new(seed);
        let mut storm = Storm::<1>::new();
        storm.prepare();
        for _ in 0..4 {
            if storm.wake_supervisor().is_some() {
                storm.provoke(&mut dice, &missing(&seen));
            }
            for (name, count) in std::mem::take(&mut storm.seen) {
                *seen.entry(name).or_default() += count;
            }
            for _ in 0..40 {
                storm.step(&mut dice);
            }
        }
    }
    let met: BTreeSet<String> = seen.keys().cloned().collect();
    let unknown: Vec<&String> = met.difference(&known).collect();
    assert!(unknown.is_empty(), "refusals that the list does not have: {unknown:#?}");
    let never: Vec<&String> = known.difference(&met).filter(|name| !excused(name)).collect();
    println!("{} of {} refusals were met, {} times in all", met.len(), known.len(), seen.values().sum::<u64>());
    assert!(never.is_empty(), "refusals that were never met: {never:#?}");
}
