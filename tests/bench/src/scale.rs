//! Whether costs grow with the number of threads, of those that wait, of capabilities or address spaces.
use crate::Output;
use crate::counter::read;
use crate::events;
use crate::ipc;
use crate::rounds::{Figures, around, rounds};
use crate::world::{ASID_CONTROL, CALLER, OWN, SELF, SERVER, SPACE, Thread, World, place};
use alloc::format;
use alloc::vec::Vec;
use libhybrid::sys::{
    AsidPool, Attributes, Endpoint, Error, Frame, Message, Notification, ObjectType, Rights, SchedContext,
    SchedParameters, Tcb, Untyped, VSpace,
};

/// How many there are at each step.
const STEPS: [u64; 4] = [10, 100, 1_000, 10_000];
/// Address spaces of one ASID pool.
const POOL_SIZE: u64 = 512;
/// Where the measured page goes.
const PLACE: u64 = 0x70_0000_0000;
/// Memory of this size (log2) holds ten thousand of any kind.
const MEMORY_BITS: u8 = 26;
/// Used up at once, and not given back while anything is measured.
const SHORT: SchedParameters =
    SchedParameters { budget_us: 50, period_us: 30_000_000, extra_refills: 0, badge: 0, is_sporadic: false };

/// What there are many of.
#[derive(Clone, Copy)]
enum Kind {
    /// Threads that could run, less important than all that is measured, at 64 priorities.
    Threads,
    /// Threads that wait for one signal, less important than the thread that is moved among them, at 10 priorities.
    Waiting,
    /// Threads that wait for budget, each of which gets it earlier than the thread that is moved among them.
    Sleeping,
    /// Copies of the very capabilities that the measured operations use.
    Capabilities,
    /// Address spaces with identifiers.
    Spaces,
}

/// Prints a line for each kind, count and operation.
pub(crate) fn measure_all(world: &mut World, space: VSpace, out: &mut Output) -> Result<(), Error> {
    let measured = Measured::new(world, space)?;
    // Everything of one kind is made of one piece of memory, so that one Revoke ends it.
    let memory = place(world.untyped(MEMORY_BITS)?.cptr().0);
    let (stack, ..) = world.stack(SPACE)?;
    let sleeper = sleeper(world, stack)?;
    let first = world.slot();
    let kinds = [
        (Kind::Threads, "threads"),
        (Kind::Capabilities, "capabilities"),
        (Kind::Spaces, "spaces"),
        (Kind::Waiting, "waiting"),
        (Kind::Sleeping, "sleeping"),
    ];
    for (kind, name) in kinds {
        let mut crowd = Crowd { memory: Untyped::at(memory.index), pool: AsidPool::at(0), stack, first, next: first };
        let mut made = 0;
        if matches!(kind, Kind::Sleeping) {
            sleeper.tcb.resume()?;
            use_up(world, sleeper, &SchedParameters { period_us: 90_000_000, ..SHORT })?;
        }
        for count in STEPS {
            while made < count {
                crowd.add(world, &measured, kind, made)?;
                made += 1;
            }
            let mut all: Vec<_> = measured.measure(space)?.into();
            match kind {
                Kind::Waiting => all.push(("reorder", measured.reorder()?)),
                Kind::Sleeping => {
                    all.push(("postpone", postpone(sleeper.tcb)?));
                    // Of ten there are fewer than rounds.
                    if count > 10 {
                        all.push(("leave", leave_in_turn(crowd.first)?));
                    }
                }
                _ => {}
            }
            for (operation, figures) in all {
                out.line(&format!("bench: scale {name} {count} {operation} {}", figures.median.kernel));
            }
        }
        memory.revoke()?;
        (crowd.first..crowd.next).try_for_each(|slot| place(slot).delete())?;
    }
    Ok(())
}

/// Many of one kind.
struct Crowd {
    memory: Untyped,
    pool: AsidPool,
    /// Of all its threads that need one: when the next one runs, the others never run again.
    stack: u64,
    first: u64,
    next: u64,
}

impl Crowd {
    fn slot(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn make(&mut self, kind: ObjectType, size_bits: u8) -> Result<u64, Error> {
        let slot = self.slot();
        self.memory.retype_into(kind, size_bits, OWN, slot)?;
        Ok(slot)
    }

    fn thread(&mut self) -> Result<Thread, Error> {
        let tcb = Tcb::at(self.make(ObjectType::Tcb, 0)?);
        Ok(Thread { tcb, context: SchedContext::at(self.make(ObjectType::SchedContext, 7)?) })
    }

    fn add(&mut self, world: &World, measured: &Measured, kind: Kind, index: u64) -> Result<(), Error> {
        match kind {
            Kind::Threads => {
                let plan = World::plan(SPACE, 1 + (index % 64).to_le_bytes()[0], idle, [0, 0]);
                world.configure(self.thread()?, &plan, 0, None)
            }
            Kind::Waiting => {
                let thread = self.thread()?;
                let plan = World::plan(SPACE, SERVER, events::wait_for_ever, [measured.line.cptr().0, 0]);
                world.configure(thread, &plan, self.stack, None)?;
                thread.tcb.set_priority(SELF, 1 + index % 10)
            }
            Kind::Sleeping => {
                let thread = self.thread()?;
                world.configure(thread, &World::plan(SPACE, 1, idle, [0, 0]), self.stack, None)?;
                use_up(world, thread, &SHORT)
            }
            Kind::Capabilities => {
                let sources = [measured.client.cptr(), measured.bell.cptr(), measured.frame.cptr()];
                let source = sources[(index % 3) as usize];
                let slot = self.slot();
                place(slot).copy_from(place(source.0), Rights::ALL)
            }
            Kind::Spaces => {
                if index.is_multiple_of(POOL_SIZE) {
                    let memory = Untyped::at(self.make(ObjectType::Untyped, 12)?);
                    self.pool = AsidPool::at(self.slot());
                    ASID_CONTROL.make_pool(memory, place(self.pool.cptr().0))?;
                }
                let space = VSpace::at(self.make(ObjectType::VSpace, 0)?);
                self.pool.assign(space)
            }
        }
    }
}

/// A thread that does not run yet.
fn sleeper(world: &mut World, stack: u64) -> Result<Thread, Error> {
    let tcb = Tcb::at(world.make(ObjectType::Tcb, 0)?);
    let thread = Thread { tcb, context: SchedContext::at(world.make(ObjectType::SchedContext, 7)?) };
    world.configure(thread, &World::plan(SPACE, 1, idle, [0, 0]), stack, None)?;
    tcb.suspend()?;
    Ok(thread)
}

/// The thread runs until it has no budget left, which it then waits for.
fn use_up(world: &World, thread: Thread, budget: &SchedParameters) -> Result<(), Error> {
    world.control().configure(thread.context, budget)?;
    thread.tcb.set_priority(SELF, SERVER.into())
}

/// A thread that waits for budget stops, and waits for it again: out of the queue, and in again.
fn postpone(sleeper: Tcb) -> Result<Figures, Error> {
    rounds(|| {
        let before = read();
        sleeper.suspend()?;
        sleeper.resume()?;
        Ok(read().since(before))
    })
}

/// One after the other, who would get budget first stops; each one's slots follow those of the one before. Then they wait for it again.
fn leave_in_turn(first: u64) -> Result<Figures, Error> {
    let mut next = first;
    let figures = rounds(|| {
        let sleeper = Tcb::at(next);
        next += 2;
        let before = read();
        sleeper.suspend()?;
        Ok(read().since(before))
    })?;
    (first..next).step_by(2).try_for_each(|slot| Tcb::at(slot).resume())?;
    Ok(figures)
}

/// What threads of a crowd do if they ever get the processor.
extern "C" fn idle(_: u64, _: u64) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// The objects of the measured operations.
struct Measured {
    client: Endpoint,
    bell: Notification,
    frame: Frame,
    parent: Endpoint,
    child: u64,
    /// A signal that never comes, and one who waits for it behind another one who is more important.
    line: Notification,
    waiter: Tcb,
}

impl Measured {
    fn new(world: &mut World, space: VSpace) -> Result<Self, Error> {
        let client = ipc::client_of_echo(world, space)?;
        let bell = events::bell(world, space)?;
        let frame = Frame::at(world.make(ObjectType::SmallPage, 0)?);
        world.map(space, frame, PLACE, Attributes::DATA)?;
        frame.unmap()?;
        let line = world.notification()?;
        let mut wait = |priority| world.start(&World::plan(SPACE, priority, events::wait_for_ever, [line.cptr().0, 0]));
        wait(SERVER + 1)?;
        let waiter = wait(SERVER)?.tcb;
        Ok(Self { client, bell, frame, parent: world.endpoint()?, child: world.slot(), line, waiter })
    }

    /// A thread that waits goes to the other end of the same priorities: out of the queue, and in again.
    fn reorder(&self) -> Result<Figures, Error> {
        around(|| _ = core::hint::black_box(self.waiter.set_priority(SELF, CALLER.into())))
    }

    fn measure(&self, space: VSpace) -> Result<[(&'static str, Figures); 4], Error> {
        let call = around(|| _ = core::hint::black_box(self.client.call(&Message::default())))?;
        let signal = events::wake(self.bell)?;
        let map = rounds(|| {
            let before = read();
            self.frame.map(space, PLACE, Rights::ALL, Attributes::DATA)?;
            let cost = read().since(before);
            self.frame.unmap().map(|()| cost)
        })?;
        let revoke = rounds(|| {
            let parent = place(self.parent.cptr().0);
            place(self.child).mint_from(parent, Rights::ALL, 1)?;
            let before = read();
            parent.revoke()?;
            Ok(read().since(before))
        })?;
        Ok([("call", call), ("signal", signal), ("map", map), ("revoke", revoke)])
    }
}
