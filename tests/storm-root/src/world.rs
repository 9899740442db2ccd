//! Memory, slots, address spaces and threads of the root task.
use core::fmt::{self, Write};
use libhybrid::sys::abi::register::Register;
use libhybrid::sys::boot::Boot;
use libhybrid::sys::{
    AsidPool, Attributes, CNode, CNodeData, CPtr, Error, Frame, ObjectType, PageTable, Platform, Registers, Resume,
    Rights, SchedContext, SchedControl, SchedParameters, Slot, Tcb, TcbSpace, Untyped, VSpace,
};

/// The initial thread's capabilities (kernel ABI §10.2).
pub(crate) const SELF: Tcb = Tcb::at(1);
pub(crate) const OWN: CNode = CNode::at(2);
pub(crate) const SPACE: VSpace = VSpace::at(3);
const POOL: AsidPool = AsidPool::at(6);
/// Where this task maps pages for a moment.
const WINDOW: u64 = 0x30_0000_0000;
/// Where stacks and IPC buffers go, in every space.
pub(crate) const STACKS: u64 = 0x40_0000_0000;
/// Memory of one round: 8 MiB.
const ROUND_BITS: u8 = 23;
/// Memory of what lives on: 8 MiB.
const LASTING_BITS: u8 = 23;

/// Why the storm ends early.
pub(crate) enum Failure {
    /// What should hold does not.
    Check(&'static str),
    /// The kernel refused what it should do.
    Kernel(&'static str, Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(what) => write!(f, "{what}"),
            Self::Kernel(what, error) => write!(f, "{what}: the kernel answered {error:?}"),
        }
    }
}

/// Names the step of an error.
pub(crate) trait During<T> {
    /// The same result, with the step that failed.
    fn during(self, what: &'static str) -> Result<T, Failure>;
}

impl<T> During<T> for Result<T, Error> {
    fn during(self, what: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Kernel(what, error))
    }
}

/// The kernel's console.
pub(crate) struct Output(pub(crate) Platform);

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.0.put_char(byte)).map_err(|_| fmt::Error)
    }
}

/// The root task's belongings.
pub(crate) struct World {
    pub(crate) boot: Boot,
    round: Untyped,
    lasting: Untyped,
    memory: Untyped,
    next: u64,
    first_of_round: u64,
}

/// What a thread is to be.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) space: VSpace,
    pub(crate) cnode: CNode,
    pub(crate) cnode_data: CNodeData,
    pub(crate) priority: u8,
    pub(crate) mcp: u8,
    pub(crate) core: u64,
    pub(crate) fault: CPtr,
    pub(crate) body: u64,
    pub(crate) arguments: [u64; 3],
}

impl Plan {
    /// A thread of this task.
    pub(crate) fn own(priority: u8, body: u64, arguments: [u64; 3]) -> Self {
        Self {
            space: SPACE,
            cnode: OWN,
            cnode_data: CNodeData(0),
            priority,
            mcp: 0,
            core: 0,
            fault: CPtr::NULL,
            body,
            arguments,
        }
    }
}

/// A thread that was made.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) tcb: Tcb,
    pub(crate) context: SchedContext,
    /// Frame of its IPC buffer.
    pub(crate) buffer: Frame,
    pub(crate) buffer_at: u64,
    /// What it starts with.
    pub(crate) registers: Registers,
}

impl World {
    /// Divides the largest memory into one part that lasts and one for each round.
    pub(crate) fn new(boot: Boot) -> Result<Self, Failure> {
        let list = boot.info.untyped_list.iter().take(usize::try_from(boot.info.untyped.count()).unwrap_or(0));
        let largest =
            list.enumerate().filter(|(_, entry)| entry.is_device == 0).max_by_key(|(_, entry)| entry.size_bits);
        let memory = Untyped::at(boot.info.untyped.start + largest.map_or(0, |(index, _)| index as u64));
        let mut world = Self {
            boot,
            round: memory,
            lasting: memory,
            memory,
            next: boot.info.empty.start,
            first_of_round: boot.info.empty.start,
        };
        let lasting = world.make(ObjectType::Untyped, LASTING_BITS).during("memory that lasts")?;
        world.round = Untyped::at(world.make(ObjectType::Untyped, ROUND_BITS).during("memory of the rounds")?);
        world.lasting = Untyped::at(lasting);
        world.memory = world.lasting;
        Ok(world)
    }

    /// From now on everything is of the round.
    pub(crate) fn open_round(&mut self) {
        self.memory = self.round;
        self.first_of_round = self.next;
    }

    /// Takes back the memory of the round and everything that was made of it.
    pub(crate) fn close_round(&mut self) -> Result<(), Failure> {
        self.place(self.round.cptr().0).revoke().during("revoke of the memory of a round")?;
        for slot in self.first_of_round..self.next {
            self.place(slot).delete().during("delete of a slot after a round")?;
        }
        self.next = self.first_of_round;
        self.memory = self.lasting;
        Ok(())
    }

    /// An empty slot.
    pub(crate) fn slot(&mut self) -> u64 {
        self.slots(1)
    }

    /// The first of `count` empty slots.
    pub(crate) fn slots(&mut self, count: u64) -> u64 {
        assert!(self.next + count <= self.boot.info.empty.end, "the storm's slots are used up");
        self.next += count;
        self.next - count
    }

    /// The slot with this number, for the kernel.
    pub(crate) fn place(&self, slot: u64) -> Slot {
        OWN.own_slot(slot)
    }

    /// A new object.
    pub(crate) fn make(&mut self, kind: ObjectType, size_bits: u8) -> Result<u64, Error> {
        let slot = self.slot();
        self.memory.retype_into(kind, size_bits, OWN, slot)?;
        Ok(slot)
    }

    /// New objects in a row of slots.
    pub(crate) fn make_many(&mut self, kind: ObjectType, size_bits: u8, count: u64) -> Result<u64, Error> {
        let first = self.slots(count);
        self.memory.retype(kind, size_bits, OWN, 0, 0, first, count)?;
        Ok(first)
    }

    /// A copy of a capability.
    pub(crate) fn copy(&mut self, source: u64) -> Result<u64, Error> {
        let slot = self.slot();
        self.place(slot).copy_from(self.place(source), Rights::ALL)?;
        Ok(slot)
    }

    /// Maps a frame, with the tables that are missing.
    pub(crate) fn map(
        &mut self,
        space: VSpace,
        frame: Frame,
        address: u64,
        attributes: Attributes,
    ) -> Result<(), Error> {
        for _ in 0..4 {
            match frame.map(space, address, Rights::ALL, attributes) {
                Err(Error::FailedLookup { .. }) => {
                    PageTable::at(self.make(ObjectType::PageTable, 0)?).map(space, address, Attributes::DATA)?;
                }
                other => return other,
            }
        }
        Err(Error::IllegalOperation)
    }

    /// An address space with a copy of this program: nothing in it is shared with this task.
    pub(crate) fn isolated_space(&mut self) -> Result<VSpace, Failure> {
        let space = VSpace::at(self.make(ObjectType::VSpace, 0).during("address space")?);
        POOL.assign(space).during("ASID of a space")?;
        let image = self.boot.info.user_image_frames;
        // The image lies right below the IPC buffer (kernel ABI §10.3).
        let start = self.boot.info.ipc_buffer - image.count() * PAGE;
        for page in 0..image.count() {
            let frame = Frame::at(self.make(ObjectType::SmallPage, 0).during("page of a copy")?);
            self.map(SPACE, frame, WINDOW, Attributes::DATA).during("window on a page")?;
            if !copy_page(start + page * PAGE, WINDOW) {
                return Err(Failure::Check("a new frame is not zero"));
            }
            frame.unmap().during("end of the window")?;
            self.map(space, frame, start + page * PAGE, Attributes::CODE).during("page of a copy in its place")?;
        }
        Ok(space)
    }

    /// A page that this task and `space` see at `address` and [`World::shared_at`].
    pub(crate) fn shared_page(&mut self, space: VSpace, address: u64) -> Result<u64, Failure> {
        let frame = Frame::at(self.make(ObjectType::SmallPage, 0).during("shared page")?);
        self.map(space, frame, address, Attributes::DATA).during("shared page there")?;
        let own = Frame::at(self.copy(frame.cptr().0).during("shared page, second capability")?);
        let at = STACKS + own.cptr().0 * 0x1_0000;
        self.map(SPACE, own, at, Attributes::DATA).during("shared page here")?;
        Ok(at)
    }

    /// A thread, not started yet.
    pub(crate) fn thread(&mut self, plan: &Plan) -> Result<Thread, Failure> {
        let tcb = Tcb::at(self.make(ObjectType::Tcb, 0).during("thread")?);
        let context = SchedContext::at(self.make(ObjectType::SchedContext, 8).during("scheduling context")?);
        let place = STACKS + tcb.cptr().0 * 0x1_0000;
        for page in 1..=2 {
            let stack = Frame::at(self.make(ObjectType::SmallPage, 0).during("stack")?);
            self.map(plan.space, stack, place + page * PAGE, Attributes::DATA).during("stack in its place")?;
        }
        let buffer = Frame::at(self.make(ObjectType::SmallPage, 0).during("IPC buffer")?);
        let buffer_at = place + 0x7000;
        self.map(plan.space, buffer, buffer_at, Attributes::DATA).during("IPC buffer in its place")?;
        tcb.configure(&TcbSpace {
            cspace: plan.cnode,
            cspace_data: plan.cnode_data,
            vspace: plan.space,
            buffer: Some((buffer_at, buffer)),
        })
        .during("spaces of a thread")?;
        self.give_time(context, plan.core, 10_000, 10_000).during("time of a thread")?;
        tcb.set_sched_params(SELF, plan.mcp, plan.priority, context.cptr(), plan.fault).during("priority")?;
        let registers = Registers::default()
            .with(Register::Pc, plan.body)
            .with(Register::Sp, stack_of(tcb.cptr().0))
            .with(Register::X(0), plan.arguments[0])
            .with(Register::X(1), plan.arguments[1])
            .with(Register::X(2), plan.arguments[2])
            .with(Register::TpidrRo, buffer_at);
        tcb.write_registers(Resume::No, &registers).during("registers of a thread")?;
        Ok(Thread { tcb, context, buffer, buffer_at, registers })
    }

    /// A thread that runs.
    pub(crate) fn start(&mut self, plan: &Plan) -> Result<Thread, Failure> {
        let thread = self.thread(plan)?;
        thread.tcb.resume().during("start of a thread")?;
        Ok(thread)
    }

    /// Fills a scheduling context.
    pub(crate) fn give_time(
        &self,
        context: SchedContext,
        core: u64,
        budget_us: u64,
        period_us: u64,
    ) -> Result<(), Error> {
        let control = SchedControl::at(self.boot.info.sched_control.start + core);
        let parameters = SchedParameters { budget_us, period_us, extra_refills: 0, badge: 0, is_sporadic: false };
        control.configure(context, &parameters)
    }
}

/// Where the stack of the thread with this number begins.
pub(crate) fn stack_of(tcb: u64) -> u64 {
    STACKS + tcb * 0x1_0000 + 0x3000
}

pub(crate) const PAGE: u64 = 4096;

/// Copies a page to one that must be all zeros; false if it is not.
fn copy_page(from: u64, to: u64) -> bool {
    let mut is_zero = true;
    for word in 0..512 {
        let source = core::ptr::with_exposed_provenance::<u64>((from + word * 8) as usize);
        let target = core::ptr::with_exposed_provenance_mut::<u64>((to + word * 8) as usize);
        // SAFETY: a page of this program's image, mapped readable; volatile, since this thread's stack lies in one of them.
        let value = unsafe { source.read_volatile() };
        // SAFETY: the window, a page that was just mapped and that nothing else refers to.
        is_zero &= unsafe { target.read_volatile() } == 0;
        // SAFETY: as above.
        unsafe { target.write_volatile(value) };
    }
    is_zero
}
