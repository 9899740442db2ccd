//! Memory, slots, threads and a second address space for the measured paths; frees nothing.
use libhybrid::sys::abi::register::Register;
use libhybrid::sys::boot::Boot;
use libhybrid::sys::{
    AsidPool, Attributes, CNode, CNodeData, CPtr, Endpoint, Error, Frame, Notification, ObjectType, PageTable,
    Registers, Reply, Resume, Rights, SchedContext, SchedControl, SchedParameters, Slot, Tcb, TcbSpace, Untyped,
    VSpace,
};

/// The initial thread's capabilities (kernel ABI §10.2).
pub(crate) const SELF: Tcb = Tcb::at(1);
pub(crate) const OWN: CNode = CNode::at(2);
pub(crate) const SPACE: VSpace = VSpace::at(3);
pub(crate) const IRQ_CONTROL: libhybrid::sys::IrqControl = libhybrid::sys::IrqControl::at(4);
pub(crate) const ASID_CONTROL: libhybrid::sys::AsidControl = libhybrid::sys::AsidControl::at(5);
const POOL: AsidPool = AsidPool::at(6);
const OWN_TIME: SchedContext = SchedContext::at(14);
/// Where stacks and IPC buffers go; nothing is mapped there at first.
const STACKS: u64 = 0x40_0000_0000;
/// Long enough that no budget ends in the middle of a measurement.
const TIME: SchedParameters =
    SchedParameters { budget_us: 100_000_000, period_us: 100_000_000, extra_refills: 0, badge: 0, is_sporadic: false };
/// log2 of the slots: enough for ten thousand threads with their scheduling contexts.
const CNODE_BITS: u8 = 16;
/// Memory of this size (log2) is enough for everything.
const MEMORY_BITS: u8 = 28;

/// Callers run at this priority.
pub(crate) const CALLER: u8 = 100;
/// Servers and waiters that are more important than their callers run at this one.
pub(crate) const SERVER: u8 = 150;

/// The code of a thread.
pub(crate) type Body = extern "C" fn(u64, u64) -> !;

/// A thread to be made.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Its address space.
    pub(crate) space: VSpace,
    pub(crate) priority: u8,
    pub(crate) body: Body,
    /// What its body gets.
    pub(crate) arguments: [u64; 2],
    /// Whom its faults go to.
    pub(crate) fault_handler: CPtr,
    /// Whether it may use FP registers.
    pub(crate) has_fp: bool,
}

/// A thread with a scheduling context of its own.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) tcb: Tcb,
    pub(crate) context: SchedContext,
}

/// The root task's belongings.
pub(crate) struct World {
    boot: Boot,
    memory: Untyped,
    next: u64,
}

impl World {
    /// Takes the smallest memory that is large enough, moves into a large CNode, and takes enough time.
    pub(crate) fn new(boot: Boot) -> Result<Self, Error> {
        let count = usize::try_from(boot.info.untyped.count()).unwrap_or(0);
        let list = boot.info.untyped_list.iter().take(count).enumerate();
        let fits = list.filter(|(_, entry)| entry.is_device == 0 && entry.size_bits >= MEMORY_BITS);
        let memory = fits.min_by_key(|(_, entry)| entry.size_bits).map_or(0, |(index, _)| index as u64);
        let memory = Untyped::at(boot.info.untyped.start + memory);
        let next = move_into_large_cnode(&boot, memory)?;
        let world = Self { boot, memory, next };
        world.control().configure(OWN_TIME, &TIME)?;
        SELF.set_priority(SELF, CALLER.into())?;
        SELF.disable_fpu()?;
        Ok(world)
    }

    /// What gives budgets.
    pub(crate) fn control(&self) -> SchedControl {
        SchedControl::at(self.boot.info.sched_control.start)
    }

    /// An empty slot.
    pub(crate) fn slot(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The slots from here on are used again by the next one.
    pub(crate) fn reuse_slots_from(&mut self, first: u64) {
        self.next = first;
    }

    /// A new object in a new slot.
    pub(crate) fn make(&mut self, kind: ObjectType, size_bits: u8) -> Result<u64, Error> {
        let slot = self.slot();
        self.make_at(kind, size_bits, slot)?;
        Ok(slot)
    }

    /// A new object in this slot.
    pub(crate) fn make_at(&self, kind: ObjectType, size_bits: u8, slot: u64) -> Result<(), Error> {
        self.memory.retype_into(kind, size_bits, OWN, slot)
    }

    /// Memory of `2^bits` bytes.
    pub(crate) fn untyped(&mut self, bits: u8) -> Result<Untyped, Error> {
        self.make(ObjectType::Untyped, bits).map(Untyped::at)
    }

    /// A new endpoint.
    pub(crate) fn endpoint(&mut self) -> Result<Endpoint, Error> {
        self.make(ObjectType::Endpoint, 0).map(Endpoint::at)
    }

    /// A new notification.
    pub(crate) fn notification(&mut self) -> Result<Notification, Error> {
        self.make(ObjectType::Notification, 0).map(Notification::at)
    }

    /// A new reply object.
    pub(crate) fn reply(&mut self) -> Result<Reply, Error> {
        self.make(ObjectType::Reply, 0).map(Reply::at)
    }

    /// A client's capability to `endpoint`.
    pub(crate) fn client(&mut self, endpoint: Endpoint, badge: u64, rights: Rights) -> Result<Endpoint, Error> {
        let slot = self.slot();
        place(slot).mint_from(place(endpoint.cptr().0), rights, badge)?;
        Ok(Endpoint::at(slot))
    }

    /// A second address space that holds this program's image.
    pub(crate) fn second_space(&mut self) -> Result<VSpace, Error> {
        let space = VSpace::at(self.make(ObjectType::VSpace, 0)?);
        POOL.assign(space)?;
        let image = self.boot.info.user_image_frames;
        // The image lies right below the IPC buffer (kernel ABI §10.3).
        let start = self.boot.info.ipc_buffer - image.count() * 4096;
        for (index, slot) in (image.start..image.end).enumerate() {
            let copy = self.slot();
            place(copy).copy_from(place(slot), Rights::ALL)?;
            self.map(space, Frame::at(copy), start + index as u64 * 4096, Attributes::CODE)?;
        }
        Ok(space)
    }

    /// Maps a frame, making the tables that are missing.
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

    /// A stack (its end) and an IPC buffer (its address and frame) in `space`.
    pub(crate) fn stack(&mut self, space: VSpace) -> Result<(u64, u64, Frame), Error> {
        let frame = Frame::at(self.make(ObjectType::SmallPage, 0)?);
        let start = STACKS + frame.cptr().0 * 0x1_0000;
        self.map(space, frame, start + 0x7000, Attributes::DATA)?;
        for page in 1..=4 {
            let stack = Frame::at(self.make(ObjectType::SmallPage, 0)?);
            self.map(space, stack, start + page * 0x1000, Attributes::DATA)?;
        }
        Ok((start + 0x5000, start + 0x7000, frame))
    }

    /// Starts a thread with a scheduling context of its own.
    pub(crate) fn start(&mut self, plan: &Plan) -> Result<Thread, Error> {
        let tcb = Tcb::at(self.make(ObjectType::Tcb, 0)?);
        let context = SchedContext::at(self.make(ObjectType::SchedContext, 8)?);
        let (stack, buffer, frame) = self.stack(plan.space)?;
        let thread = Thread { tcb, context };
        self.configure(thread, plan, stack, Some((buffer, frame)))?;
        Ok(thread)
    }

    /// The invocations that make a runnable thread of new objects, in their usual order.
    pub(crate) fn configure(
        &self,
        thread: Thread,
        plan: &Plan,
        stack: u64,
        buffer: Option<(u64, Frame)>,
    ) -> Result<(), Error> {
        let Thread { tcb, context } = thread;
        let data = CNodeData(0);
        tcb.configure(&TcbSpace { cspace: OWN, cspace_data: data, vspace: plan.space, buffer })?;
        self.control().configure(context, &TIME)?;
        tcb.set_sched_params(SELF, 254, plan.priority, context.cptr(), plan.fault_handler)?;
        if !plan.has_fp {
            // As securityd does for every component: no FP registers to move.
            tcb.disable_fpu()?;
        }
        let registers = Registers::default()
            .with(Register::Pc, plan.body as *const () as u64)
            .with(Register::Sp, stack)
            .with(Register::X(0), plan.arguments[0])
            .with(Register::X(1), plan.arguments[1])
            .with(Register::TpidrRo, buffer.map_or(0, |(address, _)| address));
        tcb.write_registers(Resume::After, &registers)
    }

    /// Starts a server above the caller, so that it waits already when this returns; then takes its scheduling context away
    /// and gives it `priority`. Such a server runs on its callers' time.
    pub(crate) fn start_passive(&mut self, plan: &Plan) -> Result<Thread, Error> {
        let thread = self.start(&Plan { priority: SERVER, ..*plan })?;
        thread.context.unbind()?;
        thread.tcb.set_priority(SELF, plan.priority.into())?;
        Ok(thread)
    }

    /// An ordinary plan: a thread of `space` without FP whose faults nobody handles.
    pub(crate) fn plan(space: VSpace, priority: u8, body: Body, arguments: [u64; 2]) -> Plan {
        Plan { space, priority, body, arguments, fault_handler: CPtr::NULL, has_fp: false }
    }
}

/// The slot with this number, for the kernel.
pub(crate) fn place(slot: u64) -> Slot {
    OWN.own_slot(slot)
}

/// Makes a CNode of 2^16 slots the root of the own capability space, with every capability at its old address. Returns its
/// first empty slot.
fn move_into_large_cnode(boot: &Boot, memory: Untyped) -> Result<u64, Error> {
    let made = boot.info.empty.start;
    let guarded = made + 1;
    memory.retype_into(ObjectType::CapTable, CNODE_BITS, OWN, made)?;
    place(guarded).mint_cnode_from(place(made), CNodeData::new(0, 64 - u32::from(CNODE_BITS)))?;
    let new = CNode::at(guarded);
    // The move itself needs these three at both places; a thread, a CNode and an address space can be copied.
    new.own_slot(SELF.cptr().0).copy_from(place(SELF.cptr().0), Rights::ALL)?;
    new.own_slot(OWN.cptr().0).copy_from(place(guarded), Rights::ALL)?;
    new.own_slot(SPACE.cptr().0).copy_from(place(SPACE.cptr().0), Rights::ALL)?;
    for slot in SPACE.cptr().0 + 1..made {
        // The only error is that the slot is empty.
        let _ = new.own_slot(slot).move_from(place(slot));
    }
    SELF.set_space(CPtr::NULL, new, CNodeData(0), SPACE)?;
    Ok(guarded)
}
