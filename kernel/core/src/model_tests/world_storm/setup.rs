//! The world of a storm: five workers with three capability spaces and two address spaces, and a supervisor above them.
//!
//! | who | capability space | address space | time |
//! |---|---|---|---|
//! | supervisor (the initial thread, priority 255) | root CNode | boot's | its own; sleeps until interrupt 41 |
//! | workers 0, 1 | `wide`, one level of 64 slots | boot's | round-robin, sporadic with 4 refills |
//! | worker 2 | `top`, two levels above `wide` and `narrow` | second | budget 2 ms of 8 |
//! | worker 3 | `narrow`, 64 slots under guard 3 | second | round-robin |
//! | workers 4, 5 | `wide`, `narrow` | boot's | none: passive |

use hybrid_abi::bootinfo::word;
use hybrid_abi::label as l;
use hybrid_abi::object::ObjectType as T;

use crate::cap::Cap;
use crate::model_tests::world::{CNODE, World};
use crate::object::TcbRef;

/// Interrupt that wakes the supervisor.
pub(super) const ALARM: u32 = 41;
/// Bytes of the arena.
pub(super) const MEMORY: u64 = 768 << 10;
/// Where pages of both address spaces are mapped.
pub(super) const PAGES: u64 = 0x1000_0000;

pub(super) struct Setup<const N: usize> {
    pub(super) w: World<N>,
    /// Slot of the notification that the supervisor sleeps on.
    pub(super) alarm: u64,
    /// Slot of the handler of interrupt 41.
    pub(super) bell: u64,
    /// First slot of the root CNode that nothing uses.
    pub(super) end: u64,
}

/// Next free slot of each filled CNode.
struct Fill {
    wide: u64,
    narrow: u64,
    next: [u64; 2],
}

impl Fill {
    /// Copies (data `None`) or mints a capability into both spaces, or one of them.
    fn share<const N: usize>(&mut self, w: &World<N>, source: u64, to: [bool; 2], rights: u64, data: Option<u64>) {
        for side in (0..2).filter(|side| to[*side]) {
            let (cnode, radix) = if side == 0 { (self.wide, 6) } else { (self.narrow, 6) };
            let index = self.next[side];
            if index >= 1 << radix {
                continue;
            }
            self.next[side] += 1;
            match data {
                None => w.ok(cnode, l::CNODE_COPY, &[index, radix, source, 64, rights], &[CNODE]),
                Some(data) => w.ok(cnode, l::CNODE_MINT, &[index, radix, source, 64, rights, data], &[CNODE]),
            };
        }
    }

    fn give<const N: usize>(&mut self, w: &World<N>, source: u64, side: usize) {
        let (cnode, radix) = if side == 0 { (self.wide, 6) } else { (self.narrow, 6) };
        w.ok(cnode, l::CNODE_MOVE, &[self.next[side], radix, source, 64], &[CNODE]);
        self.next[side] += 1;
    }
}

const BOTH: [bool; 2] = [true, true];
const WIDE: [bool; 2] = [true, false];
const NARROW: [bool; 2] = [false, true];

/// Guard 0 of so many bits.
const fn guard(size: u64) -> u64 {
    size
}

impl<const N: usize> Setup<N> {
    pub(super) fn new() -> Self {
        let mut w = World::<N>::with_cores(MEMORY);
        let (wide, narrow, top) = (w.make(T::CapTable, 6), w.make(T::CapTable, 6), w.make(T::CapTable, 2));
        let mut fill = Fill { wide, narrow, next: [0, 0] };
        let alarm = w.make(T::Notification, 0);
        let bell = w.free_slot();
        w.ok(4, l::IRQ_ISSUE_HANDLER, &[u64::from(ALARM), bell, 64], &[CNODE]);
        w.ok(bell, l::IRQ_SET_HANDLER, &[], &[alarm]);

        let endpoints = [w.make(T::Endpoint, 0), w.make(T::Endpoint, 0)];
        for (n, endpoint) in endpoints.into_iter().enumerate() {
            fill.share(&w, endpoint, BOTH, 15, None);
            fill.share(&w, endpoint, BOTH, 15, Some(1 + n as u64));
            fill.share(&w, endpoint, [n == 0, n == 1], 1, None);
        }
        let notifications = [w.make(T::Notification, 0), w.make(T::Notification, 0)];
        for notification in notifications {
            fill.share(&w, notification, BOTH, 3, None);
            fill.share(&w, notification, BOTH, 3, Some(4));
        }
        for _ in 0..3 {
            let reply = w.make(T::Reply, 0);
            fill.share(&w, reply, BOTH, 15, None);
        }
        let second = Self::address_spaces(&mut w, &mut fill);
        Self::workers(&mut w, &mut fill, [wide, narrow, top], second, endpoints, notifications[0]);
        Self::others(&mut w, &mut fill);
        let end = w.free_slot();
        Self { w, alarm, bell, end }
    }

    /// A second address space with tables, and pages in both.
    fn address_spaces(w: &mut World<N>, fill: &mut Fill) -> u64 {
        let second = w.make(T::VSpace, 0);
        w.ok(6, l::ASID_POOL_ASSIGN, &[], &[second]);
        for space in [second, 3] {
            for _ in 0..3 {
                let table = w.make(T::PageTable, 0);
                // The boot space has the first level already.
                if w.call(table, l::PAGE_TABLE_MAP, &[PAGES, 0], &[space]).label == 0 {
                    fill.share(w, table, if space == 3 { WIDE } else { NARROW }, 15, None);
                }
            }
        }
        let frames = [w.make(T::SmallPage, 0), w.make(T::SmallPage, 0)];
        for (n, frame) in frames.into_iter().enumerate() {
            let rights = if n == 0 { 3 } else { 2 };
            w.ok(frame, l::PAGE_MAP, &[PAGES + 0x1000 * n as u64, rights, 3], &[if n == 0 { 3 } else { second }]);
            fill.share(w, frame, BOTH, if n == 0 { 15 } else { 2 }, None);
            fill.give(w, frame, n);
        }
        let loose = [w.make(T::PageTable, 0), w.make(T::VSpace, 0), w.make(T::PageTable, 0)];
        for (n, object) in loose.into_iter().enumerate() {
            fill.give(w, object, n % 2);
        }
        fill.share(w, 3, WIDE, 15, None);
        fill.share(w, second, BOTH, 15, None);
        second
    }

    fn workers(
        w: &mut World<N>,
        fill: &mut Fill,
        [wide, narrow, top]: [u64; 3],
        second: u64,
        endpoints: [u64; 2],
        bound: u64,
    ) {
        let wide_root = w.mint(wide, 15, guard(58));
        w.ok(top, l::CNODE_MINT, &[0, 2, wide, 64, 15, guard(56)], &[CNODE]);
        w.ok(top, l::CNODE_MINT, &[1, 2, narrow, 64, 15, guard(56)], &[CNODE]);
        fill.share(w, wide_root, BOTH, 15, None);
        fill.share(w, narrow, BOTH, 15, Some(guard(58) | 3 << 6));
        fill.share(w, top, NARROW, 15, None);
        for n in 0..6u64 {
            let control = w.info(word::SCHED_CONTROL) + n % N as u64;
            let thread = w.make(T::Tcb, 0);
            let frame = w.make(T::SmallPage, 0);
            let (root, data) = match n {
                2 => (top, 0),
                3 | 5 => (narrow, guard(58) | 3 << 6),
                _ => (wide, guard(58)),
            };
            let space = if n == 2 || n == 3 { second } else { 3 };
            w.ok(thread, l::TCB_CONFIGURE, &[data, 0, PAGES + 0x400 * n], &[root, space, frame]);
            w.ok(thread, l::TCB_SET_PRIORITY, &[100 + n % 3], &[1]);
            w.ok(thread, l::TCB_SET_MC_PRIORITY, &[110], &[1]);
            let handler = if n == 1 { 0 } else { endpoints[1] };
            w.ok(thread, l::TCB_SET_SPACE, &[data, 0], &[handler, root, space]);
            if n == 2 {
                w.ok(thread, l::TCB_SET_TIMEOUT_ENDPOINT, &[], &[endpoints[0]]);
            }
            if n == 3 {
                w.ok(thread, l::TCB_BIND_NOTIFICATION, &[], &[bound]);
            }
            let context = w.make(T::SchedContext, 7 + n % 3);
            let (budget, period, extra, flags) = match n {
                1 => (400, 900, 4, 1),
                2 => (2000, 8000, 8, 0),
                _ => (5000, 5000, 0, 0),
            };
            w.ok(control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[budget, period, extra, n, flags], &[context]);
            if n < 4 {
                w.ok(context, l::SCHED_CONTEXT_BIND, &[], &[thread]);
            }
            fill.share(w, thread, [true, n % 2 == 1], 15, None);
            fill.share(w, context, [true, n % 2 == 0], 15, None);
            let Cap::Tcb { at } = w.cap(thread) else { unreachable!() };
            w.k.tcb(at).set_pc(start(at));
            w.k.tcb(at).set_fault_ip(start(at));
            w.ok(thread, l::TCB_RESUME, &[], &[]);
        }
    }

    /// Memory, interrupts and the rest.
    fn others(w: &mut World<N>, fill: &mut Fill) {
        for (bits, side) in [(14, 0), (13, 1), (12, 0), (12, 1), (10, 0), (9, 1)] {
            let untyped = w.make(T::Untyped, bits);
            fill.share(w, untyped, [side == 0, side == 1], 15, None);
        }
        let (first, end) = (w.info(word::UNTYPED), w.info(word::UNTYPED + 1));
        let device = (first..end).find(|slot| matches!(w.cap(*slot), Cap::Untyped { bits: 31.., is_device: true, .. }));
        if let Some(device) = device {
            // Some room for huge and large pages.
            let part = w.retype(device, T::Untyped, 31);
            fill.share(w, part, WIDE, 15, None);
        }
        for (irq, side) in [(40, 0), (50, 1)] {
            let slot = w.free_slot();
            w.ok(4, l::IRQ_ISSUE_HANDLER, &[irq, slot, 64], &[CNODE]);
            fill.share(w, slot, [side == 0, side == 1], 15, None);
        }
        let issued = w.free_slot();
        if N == 1 {
            w.ok(4, l::IRQ_ISSUE_SGI_SIGNAL, &[3, 1, issued, 64], &[CNODE]);
        } else {
            w.ok(4, l::IRQ_ISSUE_HANDLER_TRIGGER_CORE, &[20, 1, issued, 64, 1], &[CNODE]);
        }
        fill.share(w, issued, WIDE, 15, None);
        let empty = w.make(T::CapTable, 1);
        fill.give(w, empty, 1);
        let shared = [
            (5, NARROW),
            (6, BOTH),
            (11, NARROW),
            (w.info(word::SCHED_CONTROL), BOTH),
            (w.info(word::SCHED_CONTROL) + N as u64 - 1, WIDE),
        ];
        for (slot, to) in shared {
            fill.share(w, slot, to, 15, None);
        }
        let (platform, audit) = (w.info(word::EMPTY) - 2, w.info(word::EMPTY) - 1);
        fill.share(w, platform, NARROW, 15, None);
        fill.share(w, audit, NARROW, 15, None);
        fill.give(w, 4, 0);
    }
}

/// Where a worker starts.
pub(super) fn start(thread: TcbRef) -> u64 {
    0x50_0000 + thread.paddr()
}
