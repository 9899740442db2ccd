//! What must hold between any two entries, checked over everything that is reachable.

mod memory;
mod objects;
mod spaces;

use std::collections::BTreeSet;

use crate::cap::{Cap, ZombieKind};
use crate::kernel::{IRQS, Kernel};
use crate::model_tests::machine::Machine;
use crate::object::{EndpointRef, NotificationRef, PoolRef, ReplyRef, SchedContextRef, SlotRef, TableRef, TcbRef};
use crate::platform::Platform;

#[cfg(test)]
pub(crate) use objects::{release_heap, wait_queue};

/// All slots that exist, by walking from the interrupt table and the root CNode along derivation lists.
struct Reach<'k, const N: usize> {
    k: &'k Kernel<Machine<N>>,
    /// For each place of a slot in memory: it is in `slots`.
    is_seen: Vec<bool>,
    slots: Vec<SlotRef>,
    /// How many of them were gone through.
    passed: usize,
    tables: BTreeSet<(u64, u64)>,
}

impl<const N: usize> Reach<'_, N> {
    fn add(&mut self, slot: SlotRef) {
        let place = usize::try_from((slot.paddr() - self.k.platform.ram().start) / 32).unwrap();
        if self.k.slot(slot).word0() != 0 && !std::mem::replace(&mut self.is_seen[place], true) {
            self.slots.push(slot);
        }
    }

    /// INV-CDT-1, second half: an empty slot has no neighbours and no flags.
    fn add_table(&mut self, base: u64, count: u64) {
        if !self.tables.insert((base, count)) {
            return;
        }
        // Large tables are mostly empty: such pieces are passed at once.
        const PIECE: u64 = 32;
        for first in (0..count).step_by(32) {
            let end = count.min(first + PIECE);
            if self.k.platform.is_zero(base + 32 * first, 32 * (end - first)) {
                continue;
            }
            for n in first..end {
                let [word0, word1, node, next] = self.k.platform.words::<4>(base + 32 * n);
                if word0.get() != 0 {
                    self.add(SlotRef::new(base + 32 * n).unwrap());
                } else {
                    assert_eq!((word1.get(), node.get(), next.get()), (0, 0, 0), "an empty slot with something in it");
                }
            }
        }
    }

    fn run(&mut self) {
        while let Some(slot) = self.slots.get(self.passed).copied() {
            self.passed += 1;
            match self.k.cap(slot) {
                Cap::CNode { at, radix, .. } => self.add_table(at.paddr(), 1 << radix),
                Cap::Zombie { kind: ZombieKind::CNode { .. }, base, remaining } => self.add_table(base, remaining),
                Cap::Tcb { at } => self.add_table(at.slot_at(0).unwrap().paddr(), 5),
                Cap::Zombie { kind: ZombieKind::Tcb, base, remaining } => {
                    self.add_table(TcbRef::new(base).unwrap().slot_at(0).unwrap().paddr(), remaining);
                }
                _ => {}
            }
            let view = self.k.slot(slot);
            view.next().into_iter().chain(view.node().prev).for_each(|other| self.add(other));
        }
    }
}

/// Every occupied slot.
pub(crate) fn occupied<const N: usize>(k: &Kernel<Machine<N>>) -> Vec<SlotRef> {
    let ram = k.platform.ram();
    let is_seen = vec![false; usize::try_from((ram.end - ram.start) / 32).unwrap()];
    let mut reach = Reach { k, is_seen, slots: Vec::new(), passed: 0, tables: BTreeSet::new() };
    reach.add_table(k.irq_table.get(), IRQS as u64);
    reach.add_table(k.platform.root_cnode.get(), 1 << hybrid_abi::limits::ROOT_CNODE_BITS);
    reach.run();
    reach.slots.sort_unstable();
    reach.slots
}

/// Checks everything; panics with a reason.
#[track_caller]
pub(crate) fn check<const N: usize>(k: &Kernel<Machine<N>>) {
    let caps: Vec<(SlotRef, Cap)> = occupied(k).into_iter().map(|slot| (slot, k.cap(slot))).collect();
    let mut objects = Objects::default();
    for (_, cap) in &caps {
        objects.add(*cap);
    }
    memory::derivation(k, &caps);
    memory::objects_do_not_overlap(&caps);
    memory::untyped_memory(k, &caps);
    objects::threads(k, &objects);
    objects::replies(k, &objects);
    objects::contexts(k, &objects);
    objects::queues(k, &objects);
    objects::schedule(k, &objects);
    spaces::asids(k, &caps, &objects);
    spaces::mappings(k, &caps, &objects);
    spaces::interrupts(k, &caps);
    spaces::exits(k, &objects);
}

#[derive(Default)]
struct Objects {
    threads: BTreeSet<TcbRef>,
    endpoints: BTreeSet<EndpointRef>,
    notifications: BTreeSet<NotificationRef>,
    replies: BTreeSet<ReplyRef>,
    contexts: BTreeSet<SchedContextRef>,
    spaces: BTreeSet<TableRef>,
    tables: BTreeSet<TableRef>,
    pools: BTreeSet<PoolRef>,
}

impl Objects {
    fn add(&mut self, cap: Cap) {
        match cap {
            Cap::Tcb { at } => drop(self.threads.insert(at)),
            Cap::Endpoint { at, .. } => drop(self.endpoints.insert(at)),
            Cap::Notification { at, .. } => drop(self.notifications.insert(at)),
            Cap::Reply { at, .. } => drop(self.replies.insert(at)),
            Cap::SchedContext { at, .. } => drop(self.contexts.insert(at)),
            Cap::VSpace { at, .. } => drop(self.spaces.insert(at)),
            Cap::PageTable { at, .. } => drop(self.tables.insert(at)),
            Cap::AsidPool { at, .. } => drop(self.pools.insert(at)),
            Cap::Zombie { kind: ZombieKind::Endpoint, base, .. } => self.endpoints.extend(EndpointRef::new(base)),
            Cap::Zombie { kind: ZombieKind::Notification, base, .. } => {
                self.notifications.extend(NotificationRef::new(base));
            }
            _ => {}
        }
    }
}
