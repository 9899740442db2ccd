//! What every test starts from: fresh memory, free slots, threads; cleans up after each test.

use core::cell::Cell;
use core::fmt;

use hybrid_sys::abi::object;
use hybrid_sys::abi::register::Register;
use hybrid_sys::boot::Boot;
use hybrid_sys::{
    AsidPool, Attributes, CNode, CNodeData, CPtr, Endpoint, Error, Frame, Notification, ObjectType, PageTable,
    Platform, Registers, Reply, Resume, Rights, SchedContext, SchedControl, SchedParameters, Slot, Tcb, TcbSpace,
    Untyped, VSpace,
};

/// Why a test failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    /// A condition that should hold does not.
    Check(&'static str, u32),
    /// The kernel refused what it should do.
    Kernel(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(condition, line) => write!(f, "line {line}: {condition} does not hold"),
            Self::Kernel(error) => write!(f, "the kernel answered {error:?}"),
        }
    }
}

/// What a test gives.
pub(crate) type Outcome = Result<(), Failure>;

/// Ends the test unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::world::Failure::Check(stringify!($condition), line!()));
        }
    };
}

/// The root task's belongings.
pub(crate) struct World {
    /// Boot info.
    pub(crate) boot: Boot,
    /// Power and console.
    pub(crate) platform: Platform,
    memory: Untyped,
    fresh: Cell<Untyped>,
    next: Cell<u64>,
    end: u64,
}

/// The own CNode; capability addresses are slot numbers.
pub(crate) const OWN: CNode = CNode::at(2);
/// The own thread.
pub(crate) const SELF: Tcb = Tcb::at(1);
/// The own address space.
pub(crate) const SPACE: VSpace = VSpace::at(3);
/// Pool 0 of address-space identifiers.
pub(crate) const POOL: AsidPool = AsidPool::at(6);
/// Where tests map things; every table below the first level is missing there at first.
pub(crate) const FREE_ADDRESS: u64 = 0x40_0000_0000;
const FRESH_BITS: u8 = 23;

/// A thread of the suite.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    /// Its capability.
    pub(crate) tcb: Tcb,
    /// Its share of time, if it was given one.
    pub(crate) context: SchedContext,
}

/// What a new thread is to be.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The function it runs, with its argument.
    pub(crate) body: extern "C" fn(u64),
    /// Argument.
    pub(crate) argument: u64,
    /// Priority.
    pub(crate) priority: u8,
    /// Address space; the suite's own if `None`.
    pub(crate) space: Option<VSpace>,
    /// Fault handler.
    pub(crate) fault: CPtr,
    /// Without a scheduling context.
    pub(crate) is_passive: bool,
    /// Budget and period in µs; equal: round robin.
    pub(crate) time_us: (u64, u64),
}

impl Plan {
    /// An ordinary thread of the suite's own address space.
    pub(crate) fn new(body: extern "C" fn(u64), argument: u64, priority: u8) -> Self {
        Self { body, argument, priority, space: None, fault: CPtr::NULL, is_passive: false, time_us: (10_000, 10_000) }
    }
}

impl World {
    /// Takes the largest untyped for the tests.
    pub(crate) fn new(boot: Boot, platform: Platform) -> Self {
        let list = &boot.info.untyped_list[..boot.info.untyped.count() as usize];
        let best =
            list.iter().enumerate().filter(|(_, entry)| entry.is_device == 0).max_by_key(|(_, entry)| entry.size_bits);
        let memory = Untyped::at(boot.info.untyped.start + best.map_or(0, |(index, _)| index as u64));
        let empty = boot.info.empty;
        Self { boot, platform, memory, fresh: Cell::new(memory), next: Cell::new(empty.start), end: empty.end }
    }

    /// Starts a test with 8 MiB that nobody used.
    pub(crate) fn open(&self) -> Result<(), Error> {
        self.next.set(self.boot.info.empty.start);
        let slot = self.slot();
        self.memory.retype_into(ObjectType::Untyped, FRESH_BITS, OWN, slot)?;
        self.fresh.set(Untyped::at(slot));
        Ok(())
    }

    /// Ends a test: revokes the memory, empties every slot that it took.
    pub(crate) fn close(&self) -> Result<(), Error> {
        OWN.own_slot(self.memory.cptr().0).revoke()?;
        for slot in self.boot.info.empty.start..self.next.get() {
            OWN.own_slot(slot).delete()?;
        }
        Ok(())
    }

    /// The test's memory.
    pub(crate) fn fresh(&self) -> Untyped {
        self.fresh.get()
    }

    /// An empty slot.
    pub(crate) fn slot(&self) -> u64 {
        let slot = self.next.get();
        assert!(slot < self.end, "the suite's slots are used up");
        self.next.set(slot + 1);
        slot
    }

    /// `count` empty slots in a row.
    pub(crate) fn slots(&self, count: u64) -> u64 {
        let first = self.slot();
        (1..count).for_each(|_| _ = self.slot());
        first
    }

    /// The slot with this number.
    pub(crate) fn at(&self, slot: u64) -> Slot {
        OWN.own_slot(slot)
    }

    /// A new object.
    pub(crate) fn make(&self, kind: ObjectType, size_bits: u8) -> Result<u64, Error> {
        let slot = self.slot();
        self.fresh().retype_into(kind, size_bits, OWN, slot)?;
        Ok(slot)
    }

    /// A new endpoint.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        self.make(ObjectType::Endpoint, 0).map(Endpoint::at)
    }

    /// A new notification.
    pub(crate) fn notification(&self) -> Result<Notification, Error> {
        self.make(ObjectType::Notification, 0).map(Notification::at)
    }

    /// A new reply object.
    pub(crate) fn reply(&self) -> Result<Reply, Error> {
        self.make(ObjectType::Reply, 0).map(Reply::at)
    }

    /// A new 4 KiB frame.
    pub(crate) fn frame(&self) -> Result<Frame, Error> {
        self.make(ObjectType::SmallPage, 0).map(Frame::at)
    }

    /// A copy of a capability with another badge and fewer rights.
    pub(crate) fn mint(&self, cap: impl Into<CPtr>, rights: Rights, badge: u64) -> Result<u64, Error> {
        let slot = self.slot();
        self.at(slot).mint_from(self.at(cap.into().0), rights, badge)?;
        Ok(slot)
    }

    /// Maps a frame, making the tables that are missing.
    pub(crate) fn map(
        &self,
        space: VSpace,
        frame: Frame,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Error> {
        for _ in 0..4 {
            match frame.map(space, address, rights, attributes) {
                Err(Error::FailedLookup { .. }) => {
                    PageTable::at(self.make(ObjectType::PageTable, 0)?).map(space, address, Attributes::DATA)?;
                }
                other => return other,
            }
        }
        Err(Error::IllegalOperation)
    }

    /// A new address space with the suite's image in it.
    pub(crate) fn address_space(&self) -> Result<VSpace, Error> {
        let space = VSpace::at(self.make(ObjectType::VSpace, 0)?);
        POOL.assign(space)?;
        let image = self.boot.info.user_image_frames;
        // The image lies right below the IPC buffer (kernel ABI §10.3).
        let start = self.boot.info.ipc_buffer - image.count() * 4096;
        for (index, slot) in (image.start..image.end).enumerate() {
            let copy = self.slot();
            self.at(copy).copy_from(self.at(slot), Rights::ALL)?;
            self.map(space, Frame::at(copy), start + index as u64 * 4096, Rights::ALL, Attributes::CODE)?;
        }
        Ok(space)
    }

    /// A thread, ready to be resumed.
    pub(crate) fn thread(&self, plan: &Plan) -> Result<Thread, Error> {
        let space = plan.space.unwrap_or(SPACE);
        let tcb = Tcb::at(self.make(ObjectType::Tcb, 0)?);
        let context = SchedContext::at(self.make(ObjectType::SchedContext, 8)?);
        let stack = self.frame()?;
        let buffer = self.frame()?;
        // Slots are never used twice in one test, so addresses made from them are free; a page stays unmapped in between.
        let place = FREE_ADDRESS + 0x1000_0000 + tcb.cptr().0 * 0x1_0000;
        self.map(space, stack, place + 0x1000, Rights::ALL, Attributes::DATA)?;
        self.map(space, buffer, place + 0x4000, Rights::ALL, Attributes::DATA)?;
        tcb.configure(&TcbSpace {
            cspace: OWN,
            cspace_data: CNodeData(0),
            vspace: space,
            buffer: Some((place + 0x4000, buffer)),
        })?;
        let control = SchedControl::at(self.boot.info.sched_control.start);
        let (budget_us, period_us) = plan.time_us;
        control.configure(
            context,
            &SchedParameters { budget_us, period_us, extra_refills: 0, badge: 0x5c, is_sporadic: false },
        )?;
        let share = if plan.is_passive { CPtr::NULL } else { context.cptr() };
        tcb.set_sched_params(SELF, 254, plan.priority, share, plan.fault)?;
        let registers = Registers::default()
            .with(Register::Pc, run_body as *const () as u64)
            .with(Register::Sp, place + 0x2000)
            .with(Register::X(0), plan.body as *const () as u64)
            .with(Register::X(1), plan.argument)
            .with(Register::X(2), tcb.cptr().0)
            .with(Register::TpidrRo, place + 0x4000);
        tcb.write_registers(Resume::No, &registers)?;
        Ok(Thread { tcb, context })
    }

    /// A thread that runs.
    pub(crate) fn start(&self, plan: &Plan) -> Result<Thread, Error> {
        let thread = self.thread(plan)?;
        thread.tcb.resume()?;
        Ok(thread)
    }
}

/// What each thread of the suite runs: its body, then it stops itself.
extern "C" fn run_body(body: extern "C" fn(u64), argument: u64, own: u64) -> ! {
    body(argument);
    loop {
        let _ = Tcb::at(own).suspend();
    }
}

const _: () = assert!(object::PAGE_BITS == 12);
