//! Address spaces: what mapping, unmapping and deletion leave in page tables and TLBs (kernel-abi chapter 6).

use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall;
use hybrid_abi::vm::{ATTR_DEFAULT, ATTR_EXECUTE_NEVER};

use crate::cap::space_word;
use crate::cap::{Cap, FrameSize, Mapping, VmRights};
use crate::model_tests::invariants::check;
use crate::model_tests::machine::Effect;
use crate::model_tests::world::{CNODE, World};
use crate::object::TableRef;
use crate::platform::{CacheOperation, Platform};
use crate::vspace::descriptor::{self, Entry};

const AT: u64 = 0x1000_0000;

struct Space {
    w: World,
    space: u64,
    root: TableRef,
    asid: u16,
    tables: [u64; 3],
    frame: u64,
}

impl Space {
    /// An address space with three levels of tables at `AT` and a frame that is not mapped.
    fn new() -> Self {
        Self::in_memory(2 << 20)
    }

    fn in_memory(bytes: u64) -> Self {
        let mut w = World::new(bytes);
        let space = w.make(T::VSpace, 0);
        w.ok(6, l::ASID_POOL_ASSIGN, &[], &[space]);
        let tables = [0; 3].map(|_| w.make(T::PageTable, 0));
        for table in tables {
            w.ok(table, l::PAGE_TABLE_MAP, &[AT, 0], &[space]);
        }
        let frame = w.make(T::SmallPage, 0);
        let Cap::VSpace { at, asid } = w.cap(space) else { panic!() };
        w.k.platform.take_effects();
        Self { w, space, root: at, asid, tables, frame }
    }

    fn map(&self, frame: u64, vaddr: u64, rights: u64) {
        self.w.ok(frame, l::PAGE_MAP, &[vaddr, rights, ATTR_DEFAULT | ATTR_EXECUTE_NEVER], &[self.space]);
    }

    /// The last-level entry for an address, by walking the memory as hardware does.
    fn entry(&self, vaddr: u64) -> Entry {
        let mut table = self.root.paddr();
        for level in 0..=3 {
            let word = self.w.k.platform.words::<1>(table + descriptor::index(vaddr, level) * 8)[0].get();
            match descriptor::decode(word, level) {
                Entry::Table(next) => table = next,
                other => return other,
            }
        }
        unreachable!()
    }

    fn base(&self, frame: u64) -> u64 {
        let Cap::Frame { base, .. } = self.w.cap(frame) else { panic!() };
        base
    }
}

#[test]
fn rights_of_capability_and_call_are_both_masks() {
    use VmRights::{KernelOnly, ReadOnly, ReadWrite};
    let mut s = Space::new();
    let read_only = s.w.copy(s.frame, 2);
    let nothing = s.w.copy(s.frame, 1);
    let base = s.base(s.frame);
    let table = [
        (s.frame, [KernelOnly, KernelOnly, ReadOnly, ReadWrite]),
        (read_only, [KernelOnly, KernelOnly, ReadOnly, ReadOnly]),
        (nothing, [KernelOnly; 4]),
    ];
    for (frame, expected) in table {
        for (rights, expected) in (0..4).zip(expected) {
            s.map(frame, AT, rights);
            assert_eq!(s.entry(AT), Entry::Leaf { base, rights: expected });
        }
        s.w.ok(frame, l::PAGE_UNMAP, &[], &[]);
        assert_eq!(s.entry(AT), Entry::Invalid);
    }
    check(&s.w.k);
}

#[test]
fn remapping_breaks_before_it_makes() {
    let mut s = Space::new();
    let other = s.w.make(T::SmallPage, 0);
    s.map(s.frame, AT, 3);
    assert!(s.w.k.platform.take_effects().is_empty());
    // Another frame at the same place silently replaces the first, whose capability becomes stale.
    s.map(other, AT, 3);
    assert_eq!(s.w.k.platform.take_effects(), [Effect::InvalidatePage(s.asid, AT)]);
    s.w.ok(s.frame, l::PAGE_UNMAP, &[], &[]);
    assert!(s.w.k.platform.take_effects().is_empty());
    assert_eq!(s.entry(AT), Entry::Leaf { base: s.base(other), rights: VmRights::ReadWrite });
    // Fewer rights for the same frame: invalidated as well.
    s.map(other, AT, 2);
    assert_eq!(s.w.k.platform.take_effects(), [Effect::InvalidatePage(s.asid, AT)]);
    assert_eq!(s.entry(AT), Entry::Leaf { base: s.base(other), rights: VmRights::ReadOnly });
}

#[test]
fn deleting_a_frame_capability_removes_its_own_mapping_only() {
    let mut s = Space::new();
    let copy = s.w.copy(s.frame, 3);
    s.map(s.frame, AT, 3);
    s.map(copy, AT + 0x1000, 3);
    let Cap::Frame { mapping, size: FrameSize::Small, .. } = s.w.cap(copy) else { panic!() };
    assert_eq!(mapping, Some(Mapping { asid: s.asid, vaddr: AT + 0x1000 }));
    s.w.ok(CNODE, l::CNODE_DELETE, &[copy, 64], &[]);
    assert_eq!(s.w.k.platform.take_effects(), [Effect::InvalidatePage(s.asid, AT + 0x1000)]);
    assert_eq!(s.entry(AT + 0x1000), Entry::Invalid);
    assert_ne!(s.entry(AT), Entry::Invalid);
    s.w.ok(CNODE, l::CNODE_DELETE, &[s.frame, 64], &[]);
    assert_eq!(s.entry(AT), Entry::Invalid);
}

#[test]
fn unmapped_table_is_zeroed_and_its_frames_become_stale() {
    let s = Space::new();
    s.map(s.frame, AT, 3);
    let table = s.tables[2];
    let Cap::PageTable { at, .. } = s.w.cap(table) else { panic!() };
    s.w.ok(table, l::PAGE_TABLE_UNMAP, &[], &[]);
    assert!(s.w.k.platform.take_effects().contains(&Effect::InvalidateAsid(s.asid)));
    assert!(s.w.k.platform.words::<512>(at.paddr()).iter().all(|word| word.get() == 0));
    assert_eq!(s.entry(AT), Entry::Invalid);
    s.w.ok(s.frame, l::PAGE_UNMAP, &[], &[]);
    s.w.ok(table, l::PAGE_TABLE_MAP, &[AT, 0], &[s.space]);
    s.map(s.frame, AT, 2);
    check(&s.w.k);
}

#[test]
fn deleted_space_takes_its_asid_along() {
    let mut s = Space::new();
    s.map(s.frame, AT, 3);
    s.w.ok(CNODE, l::CNODE_DELETE, &[s.space, 64], &[]);
    assert_eq!(s.w.k.platform.take_effects(), [Effect::InvalidateAsid(s.asid)]);
    s.w.ok(s.frame, l::PAGE_UNMAP, &[], &[]);
    s.w.ok(s.tables[0], l::PAGE_TABLE_UNMAP, &[], &[]);
    // The ASID goes to the next space, to which the old capabilities mean nothing.
    let next = s.w.make(T::VSpace, 0);
    s.w.ok(6, l::ASID_POOL_ASSIGN, &[], &[next]);
    assert!(matches!(s.w.cap(next), Cap::VSpace { asid, .. } if asid == s.asid));
    check(&s.w.k);
}

/// A thread loses its own address space: the walkers are off it before the ASID is invalidated.
#[test]
fn own_space_is_left_before_its_asid_is_invalidated() {
    let mut s = Space::new();
    let thread = s.w.thread(200);
    s.w.ok(thread.slot, l::TCB_SET_SPACE, &[0, 0], &[0, CNODE, s.space]);
    s.w.ok(1, l::TCB_SET_PRIORITY, &[100], &[1]);
    s.w.start(thread);
    assert_eq!(s.w.k.platform.spaces[0].get(), space_word(s.root, s.asid));
    s.w.ok(CNODE, l::CNODE_REVOKE, &[s.space, 64], &[]);
    assert_eq!(s.w.k.platform.spaces[0].get(), 0, "the thread's copy was its address space");
    s.w.ok(CNODE, l::CNODE_DELETE, &[s.space, 64], &[]);
    assert_eq!(s.w.current(), thread.at);
    check(&s.w.k);
}

#[test]
fn pool_gives_512_identifiers_and_takes_them_back_together() {
    let mut w = World::new(16 << 20);
    let memory = w.make(T::Untyped, 12);
    let pool = w.free_slot();
    w.ok(5, l::ASID_CONTROL_MAKE_POOL, &[pool, 64], &[memory, CNODE]);
    let spaces: Vec<u64> = (0..513).map(|_| w.make(T::VSpace, 0)).collect();
    for space in &spaces[..512] {
        w.ok(pool, l::ASID_POOL_ASSIGN, &[], &[*space]);
    }
    assert_eq!(w.call(pool, l::ASID_POOL_ASSIGN, &[], &[spaces[512]]).label, 8);
    w.k.platform.take_effects();
    w.ok(CNODE, l::CNODE_DELETE, &[pool, 64], &[]);
    let ended = w.k.platform.take_effects();
    assert_eq!(ended.len(), 512);
    assert!(ended.contains(&Effect::InvalidateAsid(512)) && ended.contains(&Effect::InvalidateAsid(1023)));
    check(&w.k);
}

#[test]
fn cache_calls_reach_the_right_bytes() {
    let s = Space::new();
    s.map(s.frame, AT, 3);
    let base = s.base(s.frame);
    s.w.k.platform.take_effects();
    s.w.ok(s.frame, l::PAGE_CLEAN_INVALIDATE_DATA, &[64, 256], &[]);
    s.w.ok(s.space, l::VSPACE_UNIFY_INSTRUCTION, &[AT + 8, AT + 0x1000], &[]);
    s.w.ok(s.space, l::VSPACE_INVALIDATE_DATA, &[AT, AT + 1], &[]);
    let expected = [
        Effect::Cache(CacheOperation::CleanInvalidate, base + 64, 192),
        Effect::Cache(CacheOperation::Unify, base + 8, 0xff8),
        Effect::Cache(CacheOperation::Invalidate, base, 1),
    ];
    assert_eq!(s.w.k.platform.take_effects(), expected);
}

#[test]
fn a_preempted_cache_call_that_fails_leaves_its_message() {
    let mut s = Space::in_memory(16 << 20);
    let large = s.w.make(T::LargePage, 0);
    s.map(large, AT + (2 << 20), 3);
    let words = s.w.k.words(s.w.slot(large));
    s.w.put_message(MessageInfo::new(l::PAGE_CLEAN_DATA, 0, 0, 2), &[64, 1 << 20], &[]);
    let tcb = s.w.k.tcb(s.w.current());
    tcb.set_x::<0>(large);
    tcb.set_x::<7>(syscall::SEND.cast_unsigned());
    tcb.set_fault_ip(tcb.pc());
    s.w.k.platform.countdown.set(Some(0));
    s.w.k.handle_syscall();
    assert!(tcb.x::<2>() > 64, "it was preempted after a piece");
    s.w.k.unmap_frame(words.frame().unwrap(), words.mapping().unwrap());
    s.w.k.handle_syscall();
    assert_eq!((tcb.x::<2>(), tcb.maintained_from()), (64, 0));
    check(&s.w.k);
}

#[test]
fn retype_cleans_what_it_zeroes() {
    let mut w = World::new(1 << 20);
    let memory = w.make(T::Untyped, 14);
    let frame = w.retype(memory, T::SmallPage, 0);
    let Cap::Frame { base, .. } = w.cap(frame) else { panic!() };
    w.k.platform.words::<512>(base).iter().for_each(|word| word.set(7));
    w.ok(CNODE, l::CNODE_REVOKE, &[memory, 64], &[]);
    w.k.platform.take_effects();
    let again = w.retype(memory, T::SmallPage, 0);
    assert!(matches!(w.cap(again), Cap::Frame { base: at, .. } if at == base));
    assert!(w.k.platform.words::<512>(base).iter().all(|word| word.get() == 0));
    assert_eq!(w.k.platform.take_effects(), [Effect::Cache(CacheOperation::Clean, base, 4096)]);
}
