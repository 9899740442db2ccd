//! A component that issues random system calls on everything it was given: the kernel and all others live on.

use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_sys::abi::syscall;
use hybrid_sys::{CNode, CNodeData, CPtr, IrqControl, ObjectType, Rights};

use super::tests;
use crate::suite::Test;
use crate::world::{Outcome, POOL, Plan, SELF, Thread, World, share};

pub(super) const TESTS: &[Test] = tests![s09_random_calls_harm_nobody];

static STATE: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// xorshift64*: any generator would do, but the run must be the same each time.
fn random() -> u64 {
    let mut state = STATE.load(Ordering::Relaxed);
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    STATE.store(state, Ordering::Relaxed);
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Mostly numbers that are likely to mean something.
fn word() -> u64 {
    let value = random();
    match value >> 60 {
        0..8 => value & 0x3f,
        8 => 1 << (value & 63),
        9 => !0 << (value & 63),
        10 => crate::world::FREE_ADDRESS + (value & 0x3f_f000),
        11 => 64,
        12 => value & 0xfff,
        13 => u64::MAX - (value & 15),
        _ => value,
    }
}

/// Capability addresses of the component: 64 slots.
fn slot() -> u64 {
    random() >> 7 & 63
}

fn call_at_random() {
    loop {
        CALLS.fetch_add(1, Ordering::Relaxed);
        let label = [random() & 63, word()][usize::from(random() & 31 == 0)];
        let length = random() & 15;
        let info = label << 12 | (random() & 3) << 7 | length;
        for index in 4..16 {
            hybrid_sys::buffer::set_word(index, word());
        }
        for index in 0..3 {
            hybrid_sys::buffer::set_cap(index, CPtr(slot()));
        }
        hybrid_sys::buffer::set_receive_slot(CPtr(slot()), slot(), word() as u8);
        let number = match random() & 31 {
            0..20 => syscall::CALL,
            20..24 => syscall::NB_SEND,
            24 => syscall::NB_RECV,
            25 => syscall::NB_WAIT,
            26 => syscall::YIELD,
            27 => syscall::SEND,
            28 => syscall::REPLY_RECV,
            29 => syscall::NB_SEND_RECV,
            30 => syscall::NB_SEND_WAIT,
            _ => match -(random() as i64 & 63) {
                // A debug kernel's own calls halt the machine when they are misused, as the ABI says.
                -19..=-12 => syscall::CALL,
                number => number,
            },
        };
        let words = [word(), word(), word(), word()];
        // SAFETY: the kernel changes x0 to x5 and what the component's capabilities reach; none of them reaches this program's memory.
        unsafe {
            core::arch::asm!("svc #0", inout("x0") slot() => _, inout("x1") info => _, inout("x2") words[0] => _, inout("x3") words[1] => _,
                inout("x4") words[2] => _, inout("x5") words[3] => _, in("x6") slot(), in("x7") number, in("x8") slot());
        }
    }
}

/// A capability space of 64 slots with one object of each kind, on memory of its own.
fn fill(world: &World, space: CNode) -> Outcome {
    let place = |slot| space.slot(slot, 6);
    let memory = hybrid_sys::Untyped::at(world.make(ObjectType::Untyped, 18)?);
    let kinds = [
        (ObjectType::Untyped, 12),
        (ObjectType::Untyped, 14),
        (ObjectType::Tcb, 0),
        (ObjectType::Endpoint, 0),
        (ObjectType::Notification, 0),
        (ObjectType::CapTable, 3),
        (ObjectType::SchedContext, 8),
        (ObjectType::Reply, 0),
        (ObjectType::VSpace, 0),
        (ObjectType::SmallPage, 0),
        (ObjectType::PageTable, 0),
        (ObjectType::PageTable, 0),
        (ObjectType::PageTable, 0),
        (ObjectType::Tcb, 0),
        (ObjectType::Reply, 0),
    ];
    for (slot, (kind, bits)) in (1..).zip(kinds) {
        memory.retype_into(kind, bits, space, slot)?;
    }
    let copies = [memory.cptr().0, POOL.cptr().0, world.boot.info.sched_control.start, 11];
    for (slot, source) in (20..).zip(copies).skip(1) {
        place(slot).copy_from(world.at(source), Rights::ALL)?;
    }
    place(30).mint_cnode_from(world.at(space.cptr().0), CNodeData::new(0, 58))?;
    let handler = world.slot();
    IrqControl::at(4).issue(100, world.at(handler))?;
    place(31).copy_from(world.at(handler), Rights::ALL)?;
    place(32).mint_from(place(4), Rights::ALL, 0x55)?;
    place(33).mint_from(place(5), Rights::ALL, 0x55)?;
    Ok(())
}

fn s09_random_calls_harm_nobody(world: &World) -> Outcome {
    CALLS.store(0, Ordering::Relaxed);
    for seed in 1..=ROUNDS {
        STATE.store(seed * 0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let cnode = CNode::at(world.make(ObjectType::CapTable, 6)?);
        fill(world, cnode)?;
        let address_space = world.address_space()?;
        let thread = world.prepare(&Plan::at(254).in_space(address_space).with_time(1_000, 1_000), call_at_random)?;
        let own_space = world.slot();
        world.at(own_space).mint_cnode_from(world.at(cnode.cptr().0), CNodeData::new(0, 58))?;
        thread.tcb.set_space(CPtr::NULL, CNode::at(own_space), CNodeData(0), address_space)?;
        // It also holds its own thread and its own time.
        let _ = cnode.slot(40, 6).copy_from(world.at(thread.tcb.cptr().0), Rights::ALL);
        let _ = cnode.slot(41, 6).copy_from(world.at(thread.context.cptr().0), Rights::ALL);
        restart_until_done(world, thread)?;
        for slot in [thread.tcb.cptr().0, cnode.cptr().0, own_space] {
            world.at(slot).delete()?;
        }
        world.close()?;
        world.open()?;
    }
    check!(CALLS.load(Ordering::Relaxed) > 1_000);
    Ok(())
}

/// Whenever it has stopped (a fault, a wait, its own doing), it is started again where it was stopped.
fn restart_until_done(world: &World, thread: Thread) -> Outcome {
    let first = thread.tcb.read_registers(hybrid_sys::Suspend::No, 36)?;
    let control = world.control(0);
    for _ in 0..RESTARTS {
        control.configure(thread.context, &share(1_000, 1_000))?;
        thread.tcb.suspend()?;
        // The component may have undone these: whether they succeed does not matter.
        let _ = thread.tcb.unbind_notification();
        let _ = thread.context.unbind();
        let _ = thread.tcb.set_sched_params(SELF, 254, 254, thread.context.cptr(), CPtr::NULL);
        thread.tcb.write_registers(hybrid_sys::Resume::After, &first)?;
        // It runs until it stops: this thread is below it for a moment.
        SELF.set_priority(SELF, 1)?;
        SELF.set_priority(SELF, 255)?;
    }
    Ok(thread.tcb.suspend()?)
}

const ROUNDS: u64 = 40;
const RESTARTS: u64 = 250;
