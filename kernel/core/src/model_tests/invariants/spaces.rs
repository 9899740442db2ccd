//! Page tables and capabilities agree both ways; ASIDs; interrupts; what an exit applies.

use std::collections::{BTreeMap, BTreeSet};

use hybrid_abi::limits::TIMER_IRQ;

use crate::cap::{Cap, Mapping, VmRights, ZombieKind};
use crate::kernel::{IrqUse, Kernel};
use crate::model_tests::hardware::{Applied, Translation};
use crate::model_tests::invariants::Objects;
use crate::model_tests::machine::Machine;
use crate::object::{SlotRef, TableRef, TcbSlot};
use crate::platform::Platform;

const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// The entries of a table that are not zero, and their numbers.
fn table<const N: usize>(k: &Kernel<Machine<N>>, at: u64) -> Vec<(u64, u64)> {
    const PIECE: usize = 64;
    let mut entries = Vec::new();
    for first in (0..512).step_by(PIECE) {
        // Tables are mostly empty: such pieces are passed at once.
        if !k.platform.is_zero(at + 8 * first, 8 * PIECE as u64) {
            let words = (first..).zip(k.platform.words::<PIECE>(at + 8 * first));
            entries.extend(words.filter(|(_, word)| word.get() != 0).map(|(n, word)| (n, word.get())));
        }
    }
    entries
}

/// ASIDs and their root tables.
fn live<const N: usize>(k: &Kernel<Machine<N>>) -> Vec<(u16, TableRef)> {
    let mut live = Vec::new();
    for (index, pool) in (0u16..).zip(&k.asid_pools) {
        let Some(pool) = pool.get() else { continue };
        for (n, root) in table(k, pool.paddr()) {
            live.push((index * 512 + u16::try_from(n).unwrap(), TableRef::new(root).unwrap()));
        }
    }
    live
}

/// Pools, ASIDs and root tables name each other; the installed address space is the right one.
pub(super) fn asids<const N: usize>(k: &Kernel<Machine<N>>, caps: &[(SlotRef, Cap)], objects: &Objects) {
    for (index, pool) in k.asid_pools.iter().enumerate() {
        if let Some(pool) = pool.get() {
            assert!(objects.pools.contains(&pool), "a dead pool is number {index}");
        }
    }
    let mut owners: BTreeMap<TableRef, u16> = BTreeMap::new();
    for (_, cap) in caps {
        match *cap {
            Cap::VSpace { at, asid } if asid != 0 => {
                assert_eq!(*owners.entry(at).or_insert(asid), asid, "copies of a root table differ in their ASID");
            }
            Cap::AsidPool { at, index } => assert_eq!(k.asid_pools[usize::from(index)].get(), Some(at)),
            _ => {}
        }
    }
    for (asid, root) in live(k) {
        assert_ne!(asid, 0);
        assert!(objects.spaces.contains(&root), "ASID {asid} of a dead root table");
        assert_eq!(owners.get(&root), Some(&asid), "a root table does not know its ASID");
    }
    for core in 0..N {
        let state = k.core_state(core);
        let installed = state.installed_space.get();
        assert_eq!(k.platform.spaces[core].get(), installed);
        if installed != 0 {
            assert!(k.is_live(installed), "a dead address space is installed");
        }
        // A core that was stopped, or told to choose anew, installs what it needs when it enters.
        let is_told = (k.platform.stopped.get() | k.platform.woken.get()) & 1 << core != 0;
        if let Some(thread) = state.current.get().filter(|_| !is_told) {
            let wanted = match k.cap(thread.slot(TcbSlot::VSpace)) {
                Cap::VSpace { at, asid } if k.space_of_asid(asid) == Some(at) && asid != 0 => {
                    at.paddr() | u64::from(asid) << 48
                }
                _ => 0,
            };
            assert_eq!(installed, wanted, "not the current thread's address space");
        }
    }
}

/// Physical base, log2 bytes and rights of what a frame capability maps.
type Mapped = (u64, u32, VmRights);

struct Walk<'k, const N: usize> {
    k: &'k Kernel<Machine<N>>,
    objects: &'k Objects,
    frames: BTreeMap<(u16, u64), Vec<Mapped>>,
    tables: BTreeSet<(TableRef, u16, u64)>,
    seen: BTreeSet<u64>,
    entries: BTreeMap<Translation, u64>,
}

impl<const N: usize> Walk<'_, N> {
    fn table(&mut self, asid: u16, at: u64, vaddr: u64, bits: u32) {
        assert!(self.seen.insert(at), "a page table is in two places");
        for (n, entry) in table(self.k, at) {
            let vaddr = vaddr + (n << bits);
            assert!(entry & 1 == 1, "an invalid entry that is not zero");
            assert!(vaddr < 1 << 47, "a mapping beyond user space");
            self.entries.insert(Translation { asid, vaddr, bits }, entry);
            if bits > 12 && entry & 2 != 0 {
                let next = TableRef::new(entry & ADDRESS).unwrap();
                assert!(self.objects.tables.contains(&next), "the tree contains a dead page table");
                assert!(self.tables.contains(&(next, asid, vaddr)), "a page table that no capability maps here");
                self.table(asid, next.paddr(), vaddr, bits - 9);
            } else {
                self.leaf(asid, vaddr, bits, entry);
            }
        }
    }

    /// Whoever could map this page still holds a capability that says so and has the rights.
    fn leaf(&self, asid: u16, vaddr: u64, bits: u32, entry: u64) {
        let rights = match entry >> 6 & 3 {
            1 => VmRights::ReadWrite,
            3 => VmRights::ReadOnly,
            _ => VmRights::KernelOnly,
        };
        let allowed = |(base, size, most): &(u64, u32, VmRights)| {
            *base == entry & ADDRESS && *size == bits && strength(rights) <= strength(*most)
        };
        let is_covered = self.frames.get(&(asid, vaddr)).is_some_and(|frames| frames.iter().any(allowed));
        assert!(is_covered, "a page at {vaddr:#x} that no capability maps there: {entry:#x}");
    }
}

fn strength(rights: VmRights) -> u8 {
    match rights {
        VmRights::KernelOnly => 0,
        VmRights::ReadOnly => 1,
        VmRights::ReadWrite => 2,
    }
}

/// Every entry of every live table has a capability that recorded it, and nothing that is gone can still be cached.
pub(super) fn mappings<const N: usize>(k: &Kernel<Machine<N>>, caps: &[(SlotRef, Cap)], objects: &Objects) {
    let mut walk = Walk {
        k,
        objects,
        frames: BTreeMap::new(),
        tables: BTreeSet::new(),
        seen: BTreeSet::new(),
        entries: BTreeMap::new(),
    };
    for (_, cap) in caps {
        match *cap {
            Cap::Frame { base, size, rights, mapping: Some(Mapping { asid, vaddr }), .. } => {
                walk.frames.entry((asid, vaddr)).or_default().push((base, size.bits(), rights));
            }
            Cap::PageTable { at, mapping: Some(Mapping { asid, vaddr }) } => {
                walk.tables.insert((at, asid, vaddr));
            }
            _ => {}
        }
    }
    for (asid, root) in live(k) {
        walk.table(asid, root.paddr(), 0, 39);
    }
    let mut cached = k.platform.hardware.translations.borrow_mut();
    for (at, entry) in cached.iter() {
        assert_eq!(walk.entries.get(at), Some(entry), "a TLB may still hold {at:x?}");
    }
    *cached = walk.entries;
}

/// Uses, handler capabilities, handler slots and masks agree.
pub(super) fn interrupts<const N: usize>(k: &Kernel<Machine<N>>, caps: &[(SlotRef, Cap)]) {
    let handlers: BTreeSet<u32> =
        caps.iter().filter_map(|(_, cap)| if let Cap::IrqHandler { irq } = cap { Some(*irq) } else { None }).collect();
    let unmasked = k.platform.hardware.unmasked.borrow();
    let held = k.platform.hardware.held.borrow();
    for (place, usage) in (0u32..).zip(&k.irq_uses) {
        // The private interrupts of further cores follow after all of core 0.
        let at = match place.checked_sub(160) {
            None => (0, place),
            Some(above) => (1 + above as usize / 32, above % 32),
        };
        let is_timer = u64::from(at.1) == TIMER_IRQ && at.0 < N;
        let is_kernels = is_timer || (N > 1 && at.0 < N && at.1 < 2);
        let wanted = match (handlers.contains(&place), is_kernels) {
            (true, _) => IrqUse::Handler,
            (false, true) => IrqUse::Reserved,
            (false, false) => IrqUse::Inactive,
        };
        assert_eq!(usage.get(), wanted, "interrupt {at:?}");
        let content = k.cap(SlotRef::new(k.irq_table.get() + 32 * u64::from(place)).unwrap());
        // A handler whose deletion is under way is masked first.
        let is_dying = matches!(content, Cap::Zombie { kind: ZombieKind::Notification, .. });
        if wanted != IrqUse::Reserved && !is_dying {
            assert_eq!(unmasked.contains(&at), wanted == IrqUse::Handler, "mask of interrupt {at:?}");
        }
        assert!(wanted == IrqUse::Handler || !held.contains(&at), "interrupt {at:?} is held without a handler");
        match content {
            Cap::Null => {}
            Cap::Notification { .. } => assert_eq!(wanted, IrqUse::Handler, "interrupt {at:?} signals without handler"),
            _ if is_dying => {}
            other => panic!("{other:?} in the slot of interrupt {at:?}"),
        }
    }
}

/// FP registers and access bits of whoever runs next.
pub(super) fn exits<const N: usize>(k: &Kernel<Machine<N>>, objects: &Objects) {
    let hardware = &k.platform.hardware;
    for owner in &hardware.fp_owner {
        if let Some(thread) = owner.get() {
            assert!(objects.threads.contains(&thread), "the FP unit keeps a dead thread's registers");
            assert_eq!(k.tcb(thread).flags() & 1, 0, "the FP unit belongs to a thread that may not use it");
        }
    }
    let core = k.platform.core();
    let Some(thread) = k.current_thread() else { return };
    let tcb = k.tcb(thread);
    let wanted = Applied { thread, flags: tcb.flags(), has_timer_access: tcb.has_timer_access() };
    if let Some(applied) = hardware.applied[core].get().filter(|applied| applied.thread == thread) {
        assert_eq!(applied, wanted, "a change of a running thread is not applied");
    }
    hardware.applied[core].set(Some(wanted));
    if wanted.flags & 1 == 0 {
        hardware.fp_owner[core].set(Some(thread));
    }
}
