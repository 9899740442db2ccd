//! The measured vectors of kernel-abi appendix C, as a table of calls and answers.

use hybrid_abi::bootinfo::word;
use hybrid_abi::label as l;
use hybrid_abi::object::ObjectType as T;

use crate::model_tests::invariants::check;
use crate::model_tests::world::{Answer, CNODE, World};

struct Fixture {
    w: World,
    ep: u64,
    nt: u64,
    tcb: u64,
    sc: u64,
    rp: u64,
    fr: u64,
    vs: u64,
    pt: [u64; 4],
    lp: u64,
    cn2: u64,
    u2: u64,
    ut: u64,
    free: u64,
}

impl Fixture {
    fn new() -> Self {
        let mut w = World::new(16 << 20);
        let ut = w.largest_untyped();
        let lp = w.make(T::LargePage, 0);
        let ep = w.make(T::Endpoint, 0);
        let nt = w.make(T::Notification, 0);
        let tcb = w.make(T::Tcb, 0);
        let sc = w.make(T::SchedContext, 8);
        let rp = w.make(T::Reply, 0);
        let fr = w.make(T::SmallPage, 0);
        let vs = w.make(T::VSpace, 0);
        let pt = [0; 4].map(|_| w.make(T::PageTable, 0));
        let cn2 = w.make(T::CapTable, 2);
        let u2 = w.make(T::Untyped, 12);
        let free = w.free_slot();
        Self { w, ep, nt, tcb, sc, rp, fr, vs, pt, lp, cn2, u2, ut, free }
    }

    #[track_caller]
    fn expect(&self, dest: u64, label: u64, words: &[u64], caps: &[u64], error: u64, data: &[u64]) {
        check(&self.w.k);
        let answer = self.w.call(dest, label, words, caps);
        assert_eq!(answer, Answer::error(error, data), "call of {dest} label {label} with {words:x?} {caps:?}");
        check(&self.w.k);
    }

    /// Retype of `ut` into the free slot.
    #[track_caller]
    fn retype(&self, kind: u64, size: u64, error: u64, data: &[u64]) {
        self.expect(self.ut, l::UNTYPED_RETYPE, &[kind, size, 0, 0, self.free, 1], &[CNODE], error, data);
    }

    #[track_caller]
    fn retype_at(&self, [index, depth, offset, count]: [u64; 4], root: u64, error: u64, data: &[u64]) {
        let words = [T::Endpoint.number(), 0, index, depth, offset, count];
        self.expect(self.ut, l::UNTYPED_RETYPE, &words, &[root], error, data);
    }

    fn delete(&self, slot: u64) {
        self.w.ok(CNODE, l::CNODE_DELETE, &[slot, 64], &[]);
    }
}

#[test]
fn retype_vectors() {
    let f = Fixture::new();
    f.retype(99, 0, 1, &[0]);
    f.retype(T::Untyped.number(), 64, 4, &[0, 0x2f]);
    f.retype(T::Untyped.number(), 48, 4, &[0, 0x2f]);
    f.retype(T::Untyped.number(), 3, 1, &[1]);
    f.retype(T::Tcb.number(), 70, 4, &[0, 0x2f]);
    f.retype(T::Tcb.number(), 63, 0, &[]);
    f.delete(f.free);
    f.retype(T::CapTable.number(), 0, 1, &[1]);
    f.retype(T::CapTable.number(), 43, 4, &[0, 0x2f]);
    f.retype(T::SchedContext.number(), 6, 1, &[1]);
    f.retype_at([0, 0, f.free, 257], CNODE, 4, &[1, 0x100]);
    f.retype_at([0, 0, f.free, 0], CNODE, 4, &[1, 0x100]);
    f.retype_at([0, 0, 4096, 1], CNODE, 4, &[0, 0xfff]);
    f.retype_at([0, 0, 4095, 2], CNODE, 4, &[1, 1]);
    f.retype_at([0, 0, 1, 1], CNODE, 8, &[]);
    f.retype_at([0, 0, f.free, 1], f.ep, 6, &[0, 2, 0]);
    f.retype_at([f.ep, 64, 0, 1], CNODE, 6, &[0, 2, 0x40]);
    f.retype_at([f.ep, 63, 0, 1], CNODE, 6, &[0, 3, 0x3f, 0x40]);
    f.retype_at([f.ep, 65, 0, 1], CNODE, 4, &[1, 0x40]);
    let device = f.w.info(word::UNTYPED);
    f.expect(device, l::UNTYPED_RETYPE, &[T::Endpoint.number(), 0, 0, 0, f.free, 1], &[CNODE], 1, &[1]);
    f.expect(f.u2, l::UNTYPED_RETYPE, &[T::LargePage.number(), 0, 0, 0, f.free, 1], &[CNODE], 10, &[0x1000]);
    f.expect(f.u2, l::UNTYPED_RETYPE, &[T::Endpoint.number(), 0, 0, 0, f.free], &[CNODE], 7, &[]);
    f.expect(f.u2, l::UNTYPED_RETYPE, &[T::Endpoint.number(), 0, 0, 0, f.free, 1], &[], 7, &[]);
    f.expect(f.u2, 99, &[], &[], 3, &[]);
}

#[test]
fn cnode_vectors() {
    let mut f = Fixture::new();
    let (a, b) = (f.w.free_slot(), f.w.free_slot());
    let empty = f.w.free_slot();
    let copy = |f: &Fixture, source: u64, target: u64, error: u64, data: &[u64]| {
        f.expect(CNODE, l::CNODE_COPY, &[target, 64, source, 64, 15], &[CNODE], error, data);
    };
    let mint = |f: &Fixture, source: u64, target: u64, badge: u64, error: u64| {
        f.expect(CNODE, l::CNODE_MINT, &[target, 64, source, 64, 15, badge], &[CNODE], error, &[]);
    };
    copy(&f, empty, a, 6, &[1, 2, 0x40]);
    copy(&f, f.ep, f.nt, 8, &[]);
    copy(&f, empty, f.nt, 8, &[]);
    copy(&f, f.vs, a, 3, &[]);
    copy(&f, f.pt[0], a, 3, &[]);
    copy(&f, 4, a, 3, &[]);
    copy(&f, f.ut, a, 9, &[]);
    let bep = a;
    mint(&f, f.ep, bep, 0x1234, 0);
    mint(&f, bep, b, 0x99, 3);
    mint(&f, bep, b, 0, 3);
    let mutate = |f: &Fixture, source: u64, data: u64, error: u64| {
        f.expect(CNODE, l::CNODE_MUTATE, &[b, 64, source, 64, data], &[CNODE], error, &[]);
    };
    mutate(&f, bep, 0, 3);
    mutate(&f, f.ep, 5, 3);
    mutate(&f, f.cn2, 63, 3);
    mutate(&f, f.cn2, 62, 0);
    f.expect(CNODE, l::CNODE_MOVE, &[f.cn2, 64, b, 64], &[CNODE], 0, &[]);
    let rotate = [f.free, 64, 0, bep, 64, 0, f.ep, 64];
    f.expect(CNODE, l::CNODE_ROTATE, &rotate, &[CNODE, CNODE], 3, &[]);
    f.expect(CNODE, l::CNODE_COPY, &[b, 64, 1, 64, 15], &[f.ep], 6, &[1, 1]);
    f.expect(f.cn2, l::CNODE_COPY, &[1, 1, f.ep, 64, 15], &[CNODE], 6, &[0, 4, 1, 0, 0x3e]);
    f.expect(f.cn2, l::CNODE_COPY, &[1, 64, f.ep, 64, 15], &[CNODE], 0, &[]);
    f.expect(f.cn2, l::CNODE_COPY, &[5, 64, f.ep, 64, 15], &[CNODE], 6, &[0, 4, 0x40, 0, 0x3e]);
    f.expect(CNODE, 99, &[], &[], 3, &[]);
    f.expect(CNODE, l::CNODE_DELETE, &[1], &[], 7, &[]);
    f.expect(CNODE, l::CNODE_DELETE, &[1, 0], &[], 4, &[1, 64]);
    f.expect(CNODE, l::CNODE_DELETE, &[1, 65], &[], 4, &[1, 64]);
    f.expect(empty, 5, &[], &[], 2, &[0]);
    f.expect(CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[empty, 64], &[], 3, &[]);
    f.expect(CNODE, l::CNODE_CANCEL_BADGED_SENDS, &[f.ep, 64], &[], 0, &[]);
}

#[test]
fn rotate_moves_two_capabilities_or_swaps() {
    let mut f = Fixture::new();
    let (a, b, empty) = (f.free, f.w.free_slot(), f.w.free_slot());
    let rotate = |f: &Fixture, target: u64, pivot: u64, source: u64, error: u64, data: &[u64]| {
        f.expect(CNODE, l::CNODE_ROTATE, &[target, 64, 0, pivot, 64, 0, source, 64], &[CNODE, CNODE], error, data);
    };
    let (tcb, sc) = (f.w.cap(f.tcb), f.w.cap(f.sc));
    rotate(&f, f.nt, f.tcb, f.sc, 8, &[]);
    rotate(&f, a, f.tcb, f.tcb, 3, &[]);
    rotate(&f, f.tcb, f.tcb, f.sc, 3, &[]);
    rotate(&f, a, b, empty, 6, &[1, 2, 64]);
    rotate(&f, a, b, f.sc, 6, &[0, 2, 64]);
    rotate(&f, a, f.tcb, f.sc, 0, &[]);
    assert_eq!([f.w.cap(a), f.w.cap(f.tcb), f.w.cap(f.sc)], [tcb, sc, crate::cap::Cap::Null]);
    rotate(&f, a, f.tcb, a, 0, &[]);
    assert_eq!([f.w.cap(a), f.w.cap(f.tcb)], [sc, tcb]);
}

#[test]
fn mapping_vectors() {
    let f = Fixture::new();
    let map = |f: &Fixture, frame: u64, space: u64, vaddr: u64, rights: u64, error: u64, data: &[u64]| {
        f.expect(frame, l::PAGE_MAP, &[vaddr, rights, 3], &[space], error, data);
    };
    let table = |f: &Fixture, table: u64, vaddr: u64, error: u64, data: &[u64]| {
        f.expect(table, l::PAGE_TABLE_MAP, &[vaddr, 3], &[f.vs], error, data);
    };
    map(&f, f.fr, f.vs, 0x1000_0000, 3, 2, &[1]);
    table(&f, f.pt[0], 0x1000_0000, 2, &[1]);
    f.expect(6, l::ASID_POOL_ASSIGN, &[], &[f.vs], 0, &[]);
    f.expect(6, l::ASID_POOL_ASSIGN, &[], &[f.vs], 2, &[1]);
    map(&f, f.fr, f.vs, 0x1000_0000, 3, 6, &[0, 2, 0x27]);
    table(&f, f.pt[0], 0x1000_0fff, 0, &[]);
    table(&f, f.pt[0], 0x1000_0fff, 2, &[0]);
    map(&f, f.fr, f.vs, 0x1000_0000, 3, 6, &[0, 2, 0x1e]);
    table(&f, f.pt[1], 0x1000_0fff, 0, &[]);
    map(&f, f.fr, f.vs, 0x1000_0000, 3, 6, &[0, 2, 0x15]);
    map(&f, f.lp, f.vs, 0x1000_0000, 3, 0, &[]);
    table(&f, f.pt[2], 0x1000_0000, 8, &[]);
    map(&f, f.lp, f.vs, 0x1020_0000, 3, 1, &[0]);
    map(&f, f.lp, 3, 0x1000_0000, 3, 2, &[1]);
    map(&f, f.lp, f.vs, 0x1000_0000, 2, 0, &[]);
    map(&f, f.fr, f.vs, 0x8000_0000_0000, 3, 1, &[0]);
    map(&f, f.fr, f.vs, 0x7fff_ffff_f000, 3, 6, &[0, 2, 0x27]);
    table(&f, f.pt[2], 0x7fff_ffff_ffff, 0, &[]);
    map(&f, f.fr, f.vs, 0x10001, 3, 5, &[]);
    f.expect(f.fr, l::PAGE_CLEAN_DATA, &[0, 64], &[], 3, &[]);
    f.expect(f.lp, l::PAGE_CLEAN_DATA, &[64, 64], &[], 1, &[1]);
    f.expect(f.lp, l::PAGE_CLEAN_DATA, &[0, 0x20_0001], &[], 1, &[0]);
    f.expect(f.lp, l::PAGE_INVALIDATE_DATA, &[0, 64], &[], 3, &[]);
    f.expect(f.vs, l::VSPACE_CLEAN_DATA, &[0x1000_0000, 0x1020_0001], &[], 4, &[0x1000_0000, 0x101f_ffff]);
    f.expect(f.vs, l::VSPACE_CLEAN_DATA, &[0x2000_0000, 0x2000_1000], &[], 0, &[]);
    f.expect(f.pt[1], l::PAGE_TABLE_UNMAP, &[], &[], 0, &[]);
    f.expect(f.lp, l::PAGE_CLEAN_DATA, &[0, 64], &[], 2, &[0]);
    f.expect(f.lp, l::PAGE_UNMAP, &[], &[], 0, &[]);
    let crate::cap::Cap::Frame { base, .. } = f.w.cap(f.fr) else { panic!() };
    f.expect(f.fr, l::PAGE_GET_ADDRESS, &[], &[], 0, &[base]);
}

#[test]
fn thread_and_schedule_vectors() {
    let f = Fixture::new();
    let empty = f.free;
    let control = f.w.info(word::SCHED_CONTROL);
    f.expect(f.tcb, l::TCB_SET_PRIORITY, &[256], &[1], 4, &[0, 0xff]);
    f.expect(f.tcb, l::TCB_SET_PRIORITY, &[1], &[f.ep], 2, &[1]);
    f.expect(f.tcb, l::TCB_CONFIGURE, &[0, 0, 0], &[empty, 3, f.fr], 3, &[]);
    f.expect(f.tcb, l::TCB_CONFIGURE, &[0, 0, 0], &[CNODE, empty, f.fr], 3, &[]);
    f.expect(f.tcb, l::TCB_CONFIGURE, &[0, 0, 0x1001], &[CNODE, 3, f.fr], 5, &[]);
    f.expect(f.tcb, l::TCB_CONFIGURE, &[0, 0, 0x1000], &[CNODE, 3, f.ep], 3, &[]);
    f.expect(f.tcb, l::TCB_SET_SCHED_PARAMS, &[1, 1], &[1, f.ep, f.ep], 2, &[2]);
    f.expect(f.tcb, l::TCB_SET_SCHED_PARAMS, &[1, 1], &[1, f.sc, f.nt], 2, &[3]);
    f.expect(f.tcb, l::TCB_SET_SPACE, &[0, 0], &[f.nt, CNODE, 3], 2, &[1]);
    f.expect(f.tcb, l::TCB_SET_TIMEOUT_ENDPOINT, &[], &[f.nt], 2, &[1]);
    let configure = |budget: u64, period: u64, extra: u64, target: u64, error: u64, data: &[u64]| {
        f.expect(control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[budget, period, extra, 0, 0], &[target], error, data);
    };
    configure(19, 1000, 0, f.sc, 4, &[0x14, 0x218d_ef41_6bdb]);
    configure(2000, 1000, 0, f.sc, 4, &[0x14, 0x3e8]);
    configure(u64::MAX, u64::MAX, 0, f.sc, 4, &[0x14, 0x218d_ef41_6bdb]);
    configure(1000, 1000, 99, f.sc, 4, &[0, 8]);
    configure(1000, 1000, 0, f.ep, 2, &[1]);
    configure(20, 20, 8, f.sc, 0, &[]);
    f.expect(f.sc, l::SCHED_CONTEXT_BIND, &[], &[f.ep], 2, &[1]);
    f.expect(14, l::SCHED_CONTEXT_BIND, &[], &[f.tcb], 3, &[]);
    f.expect(14, l::SCHED_CONTEXT_UNBIND, &[], &[], 3, &[]);
    f.expect(14, l::SCHED_CONTEXT_YIELD_TO, &[], &[], 3, &[]);
    f.expect(f.sc, l::SCHED_CONTEXT_YIELD_TO, &[], &[], 3, &[]);
    f.expect(f.sc, l::SCHED_CONTEXT_CONSUMED, &[], &[], 0, &[0]);
    f.expect(f.tcb, l::TCB_BIND_NOTIFICATION, &[], &[f.ep], 3, &[]);
    f.expect(f.tcb, l::TCB_UNBIND_NOTIFICATION, &[], &[], 3, &[]);
    f.expect(1, l::TCB_READ_REGISTERS, &[0, 1], &[], 3, &[]);
    f.expect(f.tcb, l::TCB_READ_REGISTERS, &[0, 0], &[], 4, &[1, 0x24]);
    f.expect(f.tcb, l::TCB_READ_REGISTERS, &[0, 37], &[], 4, &[1, 0x24]);
    f.expect(f.tcb, l::TCB_SET_FLAGS, &[0, 0xff], &[], 0, &[1]);
    f.expect(f.tcb, l::DOMAIN_SET_SET, &[0], &[f.tcb], 3, &[]);
    f.expect(11, l::DOMAIN_SET_SET, &[1], &[f.tcb], 1, &[0]);
    f.expect(11, l::DOMAIN_SET_SET, &[0], &[f.ep], 1, &[1]);
    f.expect(11, l::DOMAIN_SET_SET, &[0], &[f.tcb], 0, &[]);
    f.expect(f.rp, 5, &[], &[], 0, &[]);
}

#[test]
fn interrupt_and_asid_vectors() {
    let mut f = Fixture::new();
    let (a, b, c, d) = (f.free, f.w.free_slot(), f.w.free_slot(), f.w.free_slot());
    let get = |f: &Fixture, irq: u64, slot: u64, error: u64, data: &[u64]| {
        f.expect(4, l::IRQ_ISSUE_HANDLER, &[irq, slot, 64], &[CNODE], error, data);
    };
    get(&f, 160, a, 4, &[0, 0x9f]);
    get(&f, 27, a, 9, &[]);
    get(&f, 30, f.ep, 8, &[]);
    get(&f, 30, a, 0, &[]);
    get(&f, 30, b, 9, &[]);
    let trigger = |f: &Fixture, irq: u64, slot: u64, error: u64| {
        f.expect(4, l::IRQ_ISSUE_HANDLER_TRIGGER, &[irq, 1, slot, 64], &[CNODE], error, &[]);
    };
    trigger(&f, 29, b, 0);
    trigger(&f, 33, c, 0);
    trigger(&f, 33, d, 9);
    let sgi = |f: &Fixture, sgi: u64, target: u64, error: u64, data: &[u64]| {
        f.expect(4, l::IRQ_ISSUE_SGI_SIGNAL, &[sgi, target, d, 64], &[CNODE], error, data);
    };
    sgi(&f, 16, 0, 4, &[0, 0xf]);
    sgi(&f, 3, 9, 1, &[1]);
    sgi(&f, 3, 0, 0, &[]);
    f.expect(a, l::IRQ_SET_HANDLER, &[], &[f.ep], 2, &[0]);
    let pool = f.w.free_slot();
    let make = |f: &Fixture, memory: u64, error: u64, data: &[u64]| {
        f.expect(5, l::ASID_CONTROL_MAKE_POOL, &[pool, 64], &[memory, CNODE], error, data);
    };
    make(&f, f.ep, 2, &[1]);
    make(&f, f.u2, 0, &[]);
    make(&f, f.u2, 9, &[]);
    f.expect(pool, l::ASID_POOL_ASSIGN, &[], &[f.vs], 0, &[]);
    assert!(matches!(f.w.cap(f.vs), crate::cap::Cap::VSpace { asid: 512, .. }));
    f.delete(pool);
    f.expect(f.fr, l::PAGE_MAP, &[0x1000_0000, 3, 3], &[f.vs], 6, &[0, 1]);
}
