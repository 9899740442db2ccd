//! Whether costs grow with the number of threads, capabilities or address spaces.
use crate::Output;
use crate::counter::read;
use crate::events;
use crate::ipc;
use crate::rounds::{Figures, around, rounds};
use crate::world::{ASID_CONTROL, OWN, SPACE, Thread, World, place};
use alloc::format;
use libhybrid::sys::{
    AsidPool, Attributes, Endpoint, Error, Frame, Message, ObjectType, Rights, SchedContext, Tcb, Untyped, VSpace,
};

/// How many there are at each step.
const STEPS: [u64; 4] = [10, 100, 1_000, 10_000];
/// Address spaces of one ASID pool.
const POOL_SIZE: u64 = 512;
/// Where the measured page goes.
const PLACE: u64 = 0x70_0000_0000;
/// Memory of this size (log2) holds ten thousand of any kind.
const MEMORY_BITS: u8 = 26;

/// What there are many of.
#[derive(Clone, Copy)]
enum Kind {
    /// Threads that could run, less important than all that is measured, at 64 priorities.
    Threads,
    /// Copies of the very capabilities that the measured operations use.
    Capabilities,
    /// Address spaces with identifiers.
    Spaces,
}

/// Prints a line for each kind, count and operation.
pub(crate) fn measure_all(world: &mut World, space: VSpace, out: &mut Output) -> Result<(), Error> {
    let measured = Measured::new(world, space)?;
    let memory = place(world.slot());
    let first = world.slot();
    for (kind, name) in [(Kind::Threads, "threads"), (Kind::Capabilities, "capabilities"), (Kind::Spaces, "spaces")] {
        // Everything of one kind is made of one piece of memory, so that one Revoke ends it.
        world.make_at(ObjectType::Untyped, MEMORY_BITS, memory.index)?;
        let mut crowd = Crowd { memory: Untyped::at(memory.index), pool: AsidPool::at(0), first, next: first };
        let mut made = 0;
        for count in STEPS {
            while made < count {
                crowd.add(world, &measured, kind, made)?;
                made += 1;
            }
            for (operation, figures) in measured.measure(space)? {
                out.line(&format!("bench: scale {name} {count} {operation} {}", figures.median.kernel));
            }
        }
        memory.revoke()?;
        memory.delete()?;
        (crowd.first..crowd.next).try_for_each(|slot| place(slot).delete())?;
    }
    Ok(())
}

/// Many of one kind.
struct Crowd {
    memory: Untyped,
    pool: AsidPool,
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

    fn add(&mut self, world: &World, measured: &Measured, kind: Kind, index: u64) -> Result<(), Error> {
        match kind {
            Kind::Threads => {
                let tcb = Tcb::at(self.make(ObjectType::Tcb, 0)?);
                let context = SchedContext::at(self.make(ObjectType::SchedContext, 7)?);
                let plan = World::plan(SPACE, 1 + (index % 64).to_le_bytes()[0], idle, [0, 0]);
                world.configure(Thread { tcb, context }, &plan, 0, None)
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

/// What threads of a crowd do if they ever get the processor.
extern "C" fn idle(_: u64, _: u64) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// The objects of the measured operations.
struct Measured {
    client: Endpoint,
    bell: libhybrid::sys::Notification,
    frame: Frame,
    parent: Endpoint,
    child: u64,
}

impl Measured {
    fn new(world: &mut World, space: VSpace) -> Result<Self, Error> {
        let client = ipc::client_of_echo(world, space)?;
        let bell = events::bell(world, space)?;
        let frame = Frame::at(world.make(ObjectType::SmallPage, 0)?);
        world.map(space, frame, PLACE, Attributes::DATA)?;
        frame.unmap()?;
        Ok(Self { client, bell, frame, parent: world.endpoint()?, child: world.slot() })
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
