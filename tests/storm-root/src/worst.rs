//! Operations whose length depends on how much the user made, each run once: what the latency table is about.
use crate::world::{During, Failure, OWN, Output, SELF, SPACE, World};
use core::fmt::Write as _;
use libhybrid::now_ns;
use libhybrid::sys::abi::label;
use libhybrid::sys::abi::register::Register;
use libhybrid::sys::{
    AsidControl, AsidPool, Attributes, CNode, CNodeData, CPtr, Endpoint, Frame, Message, ObjectType, Range, Registers,
    Reply, Resume, Rights, SchedContext, SchedControl, SchedParameters, Tcb, TcbSpace, Untyped, VSpace, yield_now,
};

/// Threads that wait, wake or die at once.
const MANY: u64 = 256;
/// Below the warden, which runs this.
const LOW: u8 = 100;

core::arch::global_asm!(
    // A thread that makes the system call in its registers for ever; it needs no stack.
    ".global storm_pawn",
    "storm_pawn: svc #0",
    "b storm_pawn"
);

unsafe extern "C" {
    fn storm_pawn();
}

type Case = (&'static str, fn(&mut World) -> Result<(), Failure>);

const CASES: [Case; 16] = [
    ("retype of 256 objects of each kind", retype),
    ("delete of an endpoint with 256 senders", senders),
    ("cancellation of 256 badged sends", badged),
    ("256 threads queue behind less important ones", order),
    ("delete of a notification with 256 waiters", waiters),
    ("256 budgets come back at one moment", release),
    ("256 priorities change", priorities),
    ("a chain of 64 calls is cut", chain),
    ("delete of an ASID pool with 512 spaces", pool),
    ("revoke of 512 mapped pages", pages),
    ("delete of a CNode with 4096 capabilities", cnode),
    ("delete of 200 threads with a CNode", ring),
    ("cache maintenance of 2 MiB", cache),
    ("a scheduling context with all refills", refills),
    ("lookups through 64 levels", levels),
    ("a message of 120 words with 3 capabilities", message),
];

/// Runs them all.
pub(crate) fn run(world: &mut World, out: &mut Output) -> Result<(), Failure> {
    for (name, case) in CASES {
        world.open_round();
        let start = now_ns();
        let outcome = case(world);
        let _ = writeln!(out, "worst: {name}: {} us", (now_ns() - start) / 1000);
        outcome?;
        world.close_round()?;
    }
    Ok(())
}

/// Sleeps until the next period of the warden's time, while the others run.
fn let_others_run(world: &World) -> Result<(), Failure> {
    let own = SchedContext::at(libhybrid::sys::abi::slot::SCHED_CONTEXT);
    world.give_time(own, 0, 1_000, 20_000).during("time of the warden")?;
    yield_now();
    yield_now();
    world.give_time(own, 0, 10_000, 10_000).during("time of the warden")
}

/// The first of so many threads that make one system call each: x0, x1, x6, x7 as given.
fn pawns(world: &mut World, count: u64, priority: fn(u64) -> u8, registers: &Registers) -> Result<u64, Failure> {
    let first = world.make_many(ObjectType::Tcb, 0, count).during("pawns")?;
    let contexts = world.make_many(ObjectType::SchedContext, 7, count).during("time of pawns")?;
    for n in 0..count {
        let (tcb, context) = (Tcb::at(first + n), SchedContext::at(contexts + n));
        tcb.configure(&TcbSpace { cspace: OWN, cspace_data: CNodeData(0), vspace: SPACE, buffer: None })
            .during("spaces of a pawn")?;
        world.give_time(context, 0, 5_000, 5_000).during("budget of a pawn")?;
        tcb.set_sched_params(SELF, 0, priority(n), context.cptr(), CPtr::NULL).during("priority of a pawn")?;
        tcb.write_registers(Resume::After, registers).during("start of a pawn")?;
    }
    Ok(first)
}

fn call(number: i64, x0: u64, x6: u64) -> Registers {
    Registers::default()
        .with(Register::Pc, storm_pawn as *const () as u64)
        .with(Register::X(0), x0)
        .with(Register::X(6), x6)
        .with(Register::X(7), number.cast_unsigned())
}

const CALL: i64 = -1;
const SEND: i64 = -5;
const WAIT: i64 = -9;
const RECV: i64 = -7;
const YIELD: i64 = -11;

fn retype(world: &mut World) -> Result<(), Failure> {
    let kinds = [
        (ObjectType::Endpoint, 0),
        (ObjectType::Notification, 0),
        (ObjectType::Reply, 0),
        (ObjectType::Tcb, 0),
        (ObjectType::SchedContext, 8),
        (ObjectType::CapTable, 4),
        (ObjectType::SmallPage, 0),
        (ObjectType::PageTable, 0),
        (ObjectType::VSpace, 0),
        (ObjectType::Untyped, 4),
    ];
    for (kind, bits) in kinds {
        world.make_many(kind, bits, 256).during("256 objects")?;
    }
    Ok(())
}

fn senders(world: &mut World) -> Result<(), Failure> {
    let endpoint = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    pawns(world, MANY, |_| LOW, &call(SEND, endpoint, 0))?;
    let_others_run(world)?;
    world.place(endpoint).delete().during("delete of an endpoint")
}

fn badged(world: &mut World) -> Result<(), Failure> {
    let endpoint = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    let badged = world.slot();
    world.place(badged).mint_from(world.place(endpoint), Rights::ALL, 7).during("badge")?;
    pawns(world, MANY, |_| LOW, &call(SEND, badged, 0))?;
    let_others_run(world)?;
    world.place(badged).cancel_badged_sends().during("cancelBadgedSends")?;
    world.place(endpoint).revoke().during("revoke of a badge")
}

fn order(world: &mut World) -> Result<(), Failure> {
    let endpoint = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    pawns(world, MANY, |_| LOW, &call(SEND, endpoint, 0))?;
    let_others_run(world)?;
    // Each of these finds all the others before it.
    pawns(world, 40, |n| LOW + 1 + n as u8, &call(SEND, endpoint, 0))?;
    let_others_run(world)
}

fn waiters(world: &mut World) -> Result<(), Failure> {
    let notification = world.make(ObjectType::Notification, 0).during("notification")?;
    pawns(world, MANY, |_| LOW, &call(WAIT, notification, 0))?;
    let_others_run(world)?;
    world.place(notification).delete().during("delete of a notification")
}

/// Threads of higher priority than the warden that yield once, with periods that end at the same moment.
fn release(world: &mut World) -> Result<(), Failure> {
    let first = world.make_many(ObjectType::Tcb, 0, MANY).during("sleepers")?;
    let contexts = world.make_many(ObjectType::SchedContext, 7, MANY).during("time of sleepers")?;
    let control = SchedControl::at(world.boot.info.sched_control.start);
    SELF.set_priority(SELF, 50).during("the warden below the sleepers")?;
    let end_us = now_ns() / 1000 + 40_000;
    for n in 0..MANY {
        let (tcb, context) = (Tcb::at(first + n), SchedContext::at(contexts + n));
        tcb.configure(&TcbSpace { cspace: OWN, cspace_data: CNodeData(0), vspace: SPACE, buffer: None })
            .during("spaces of a sleeper")?;
        tcb.set_sched_params(SELF, 0, LOW, context.cptr(), CPtr::NULL).during("priority of a sleeper")?;
        tcb.write_registers(Resume::After, &call(YIELD, 0, 0)).during("start of a sleeper")?;
        // It runs as soon as it has time, and gives the rest of it up.
        let time = SchedParameters {
            budget_us: 20,
            period_us: end_us.saturating_sub(now_ns() / 1000).max(20),
            extra_refills: 0,
            badge: 0,
            is_sporadic: false,
        };
        control.configure(context, &time).during("budget of a sleeper")?;
    }
    while now_ns() / 1000 < end_us + 1_000 {}
    SELF.set_priority(SELF, 200).during("the warden on top again")
}

fn priorities(world: &mut World) -> Result<(), Failure> {
    let endpoint = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    let first = pawns(world, MANY, |_| LOW, &call(SEND, endpoint, 0))?;
    let_others_run(world)?;
    for n in 0..MANY {
        Tcb::at(first + n).set_priority(SELF, n % 100).during("priority of a sender")?;
    }
    Ok(())
}

/// Thread n receives calls at endpoint n and calls endpoint n + 1; then the objects of the middle are deleted.
fn chain(world: &mut World) -> Result<(), Failure> {
    const LENGTH: u64 = 64;
    let endpoints = world.make_many(ObjectType::Endpoint, 0, LENGTH + 1).during("endpoints")?;
    let replies = world.make_many(ObjectType::Reply, 0, LENGTH).during("reply objects")?;
    let first = world.make_many(ObjectType::Tcb, 0, LENGTH).during("passive threads")?;
    let helper = SchedContext::at(world.make(ObjectType::SchedContext, 8).during("time of the chain")?);
    world.give_time(helper, 0, 10_000, 10_000).during("budget of the chain")?;
    for n in 0..LENGTH {
        let tcb = Tcb::at(first + n);
        tcb.configure(&TcbSpace { cspace: OWN, cspace_data: CNodeData(0), vspace: SPACE, buffer: None })
            .during("spaces of a link")?;
        tcb.set_sched_params(SELF, 0, LOW, helper.cptr(), CPtr::NULL).during("priority of a link")?;
        tcb.write_registers(Resume::After, &call(RECV, endpoints + n, replies + n)).during("start of a link")?;
        let_others_run(world)?;
        helper.unbind().during("a link becomes passive")?;
    }
    // A caller gives its time to the first; each link is then stopped, told to call the next one, and goes on.
    let caller = pawns(world, 1, |_| LOW, &call(CALL, endpoints, 0))?;
    let_others_run(world)?;
    for n in 0..LENGTH - 1 {
        // Writing the registers does not take the caller's time away from the link.
        Tcb::at(first + n)
            .write_registers(Resume::After, &call(CALL, endpoints + n + 1, 0))
            .during("a link calls the next")?;
        let_others_run(world)?;
    }
    world.place(replies + LENGTH / 2).delete().during("delete of a reply object")?;
    world.place(caller).delete().during("delete of the first caller")?;
    Reply::at(replies + 1).send(&Message::default());
    Ok(())
}

fn pool(world: &mut World) -> Result<(), Failure> {
    let memory = Untyped::at(world.make(ObjectType::Untyped, 12).during("memory of a pool")?);
    let pool = world.slot();
    AsidControl::at(libhybrid::sys::abi::slot::ASID_CONTROL)
        .make_pool(memory, world.place(pool))
        .during("ASID pool")?;
    for _ in 0..2 {
        let spaces = world.make_many(ObjectType::VSpace, 0, MANY).during("spaces")?;
        for n in 0..MANY {
            AsidPool::at(pool).assign(VSpace::at(spaces + n)).during("ASID")?;
        }
    }
    world.place(pool).delete().during("delete of an ASID pool")
}

/// Each page is mapped in a table of its own, and again through a copy.
fn pages(world: &mut World) -> Result<(), Failure> {
    let first = world.make_many(ObjectType::SmallPage, 0, MANY).during("pages")?;
    let at = crate::world::STACKS - 0x40_0000_0000 / 8;
    for n in 0..MANY {
        let address = at + n * 0x20_0000;
        world.map(SPACE, Frame::at(first + n), address, Attributes::DATA).during("page in its place")?;
        let copy = Frame::at(world.copy(first + n).during("copy of a page")?);
        world.map(SPACE, copy, address + 0x1000, Attributes::DATA).during("copy in its place")?;
    }
    // The round's end revokes their memory.
    Ok(())
}

fn cnode(world: &mut World) -> Result<(), Failure> {
    let cnode = CNode::at(world.make(ObjectType::CapTable, 12).during("CNode")?);
    let source = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    for slot in 0..4096 {
        cnode.slot(slot, 12).copy_from(world.place(source), Rights::ALL).during("copy into a CNode")?;
    }
    world.place(cnode.cptr().0).delete().during("delete of a CNode")
}

/// Threads whose CSpace is a CNode that holds the capabilities to all of them: the zombies meet.
fn ring(world: &mut World) -> Result<(), Failure> {
    let cnode = CNode::at(world.make(ObjectType::CapTable, 8).during("CNode")?);
    let first = world.make_many(ObjectType::Tcb, 0, 200).during("threads")?;
    for n in 0..200 {
        let tcb = Tcb::at(first + n);
        tcb.configure(&TcbSpace { cspace: cnode, cspace_data: CNodeData(0), vspace: SPACE, buffer: None })
            .during("spaces of a thread")?;
        cnode.slot(n, 8).move_from(world.place(first + n)).during("thread into the CNode")?;
    }
    world.place(cnode.cptr().0).delete().during("delete of a CNode with threads")
}

fn cache(world: &mut World) -> Result<(), Failure> {
    let frame = Frame::at(world.make(ObjectType::LargePage, 0).during("large page")?);
    let address = crate::world::STACKS - 0x4000_0000;
    world.map(SPACE, frame, address, Attributes::DATA).during("large page in its place")?;
    let all = Range { start: 0, end: 2 << 20 };
    frame.clean(all).during("clean")?;
    frame.invalidate(all).during("invalidate")?;
    frame.clean_invalidate(all).during("clean and invalidate")?;
    frame.unify(all).during("unify")?;
    SPACE.clean(Range { start: address, end: address + (2 << 20) }).during("clean by address")
}

fn refills(world: &mut World) -> Result<(), Failure> {
    let context = SchedContext::at(world.make(ObjectType::SchedContext, 14).during("scheduling context")?);
    let control = SchedControl::at(world.boot.info.sched_control.start);
    for is_sporadic in [false, true] {
        let time = SchedParameters { budget_us: 20_000, period_us: 40_000, extra_refills: 900, badge: 0, is_sporadic };
        control.configure(context, &time).during("all refills")?;
    }
    Ok(())
}

/// Every address is resolved one bit at a time.
fn levels(world: &mut World) -> Result<(), Failure> {
    let first = world.make_many(ObjectType::CapTable, 1, 64).during("CNodes")?;
    let source = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    for n in 0..63 {
        CNode::at(first + n).slot(0, 1).copy_from(world.place(first + n + 1), Rights::ALL).during("nested CNode")?;
    }
    let (deep, root) = (CNode::at(first + 63).slot(1, 1), CNode::at(first));
    deep.copy_from(world.place(source), Rights::ALL).during("the deepest slot")?;
    let copy = CNode::at(first).slot(1, 1);
    copy.copy_from(root.slot(1, 64), Rights::ALL).during("copy from the deepest slot")?;
    root.slot(1, 64).delete().during("delete of the deepest slot")?;
    // A thread that lives there and names everything by 64 levels.
    let registers = call(SEND, 1, 0).with(Register::X(1), 3 << 7);
    let pawn = pawns(world, 1, |_| LOW, &registers)?;
    Tcb::at(pawn).suspend().during("stop")?;
    let buffer = Frame::at(world.make(ObjectType::SmallPage, 0).during("IPC buffer")?);
    Tcb::at(pawn).set_ipc_buffer(0x1000, buffer).during("IPC buffer")?;
    Tcb::at(pawn).set_space(CPtr::NULL, root, CNodeData(0), SPACE).during("deep CSpace")?;
    Tcb::at(pawn).resume().during("start")?;
    let_others_run(world)
}

fn message(world: &mut World) -> Result<(), Failure> {
    let endpoint = world.make(ObjectType::Endpoint, 0).during("endpoint")?;
    let buffers = world.make_many(ObjectType::SmallPage, 0, 2).during("buffers")?;
    let receiver = pawns(world, 1, |_| LOW, &call(WAIT, endpoint, 0))?;
    Tcb::at(receiver).set_ipc_buffer(0x1000, Frame::at(buffers)).during("IPC buffer")?;
    let_others_run(world)?;
    let info = 3 << 7 | 120;
    let sender = pawns(world, 1, |_| LOW, &call(SEND, endpoint, 0).with(Register::X(1), info))?;
    Tcb::at(sender).set_ipc_buffer(0x1000, Frame::at(buffers + 1)).during("IPC buffer")?;
    let_others_run(world)?;
    Endpoint::at(endpoint).try_send(&Message::default());
    CPtr(sender).invoke(label::TCB_SUSPEND, &[], &[]).during("stop of the sender").map(|_| ())
}
