//! Memory, slots, threads and a second address space for the measured paths; frees nothing.
use libhybrid::sys::abi::register::Register;
use libhybrid::sys::boot::Boot;
use libhybrid::sys::{
    AsidPool, Attributes, CNode, CNodeData, CPtr, Endpoint, Error, Frame, Notification, ObjectType, PageTable,
    Registers, Reply, Resume, Rights, SchedContext, SchedControl, SchedParameters, Tcb, TcbSpace, Untyped, VSpace,
};

/// The initial thread's capabilities (kernel ABI §10.2).
pub(crate) const SELF: Tcb = Tcb::at(1);
const OWN: CNode = CNode::at(2);
const SPACE: VSpace = VSpace::at(3);
const POOL: AsidPool = AsidPool::at(6);
/// Where stacks and IPC buffers go; nothing is mapped there at first.
const STACKS: u64 = 0x40_0000_0000;
const TIME_US: u64 = 1_000_000;

/// The root task's belongings.
pub(crate) struct World {
    boot: Boot,
    memory: Untyped,
    next: u64,
}

impl World {
    /// Takes the largest memory.
    pub(crate) fn new(boot: Boot) -> Self {
        let list = boot.info.untyped_list.iter().take(usize::try_from(boot.info.untyped.count()).unwrap_or(0));
        let memory =
            list.enumerate().filter(|(_, entry)| entry.is_device == 0).max_by_key(|(_, entry)| entry.size_bits);
        let memory = Untyped::at(boot.info.untyped.start + memory.map_or(0, |(index, _)| index as u64));
        Self { boot, memory, next: boot.info.empty.start }
    }

    /// An empty slot.
    pub(crate) fn slot(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn make(&mut self, kind: ObjectType, size_bits: u8) -> Result<u64, Error> {
        let slot = self.slot();
        self.memory.retype_into(kind, size_bits, OWN, slot)?;
        Ok(slot)
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
    pub(crate) fn client(&mut self, endpoint: Endpoint, badge: u64) -> Result<Endpoint, Error> {
        let slot = self.slot();
        let rights = Rights(Rights::WRITE.0 | Rights::GRANT_REPLY.0);
        OWN.own_slot(slot).mint_from(OWN.own_slot(endpoint.cptr().0), rights, badge)?;
        Ok(Endpoint::at(slot))
    }

    /// The slot with this number, for the kernel.
    pub(crate) fn place(&self, slot: u64) -> libhybrid::sys::Slot {
        OWN.own_slot(slot)
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
            OWN.own_slot(copy).copy_from(OWN.own_slot(slot), Rights::ALL)?;
            self.map(space, Frame::at(copy), start + index as u64 * 4096, Attributes::CODE)?;
        }
        Ok(space)
    }

    fn map(&mut self, space: VSpace, frame: Frame, address: u64, attributes: Attributes) -> Result<(), Error> {
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

    /// Starts a thread in `space` (none: this one) that runs `body` with these arguments.
    pub(crate) fn start(
        &mut self,
        space: Option<VSpace>,
        priority: u8,
        body: extern "C" fn(u64, u64) -> !,
        arguments: [u64; 2],
    ) -> Result<Tcb, Error> {
        let space = space.unwrap_or(SPACE);
        let tcb = Tcb::at(self.make(ObjectType::Tcb, 0)?);
        let context = SchedContext::at(self.make(ObjectType::SchedContext, 8)?);
        let place = STACKS + tcb.cptr().0 * 0x1_0000;
        for page in 1..=4 {
            let stack = Frame::at(self.make(ObjectType::SmallPage, 0)?);
            self.map(space, stack, place + page * 0x1000, Attributes::DATA)?;
        }
        let buffer = Frame::at(self.make(ObjectType::SmallPage, 0)?);
        let buffer_place = place + 0x7000;
        self.map(space, buffer, buffer_place, Attributes::DATA)?;
        tcb.configure(&TcbSpace {
            cspace: OWN,
            cspace_data: CNodeData(0),
            vspace: space,
            buffer: Some((buffer_place, buffer)),
        })?;
        let control = SchedControl::at(self.boot.info.sched_control.start);
        let time =
            SchedParameters { budget_us: TIME_US, period_us: TIME_US, extra_refills: 0, badge: 0, is_sporadic: false };
        control.configure(context, &time)?;
        tcb.set_sched_params(SELF, 254, priority, context.cptr(), CPtr::NULL)?;
        // As securityd does for every component: no FP registers to move.
        tcb.disable_fpu()?;
        let registers = Registers::default()
            .with(Register::Pc, body as *const () as u64)
            .with(Register::Sp, place + 0x5000)
            .with(Register::X(0), arguments[0])
            .with(Register::X(1), arguments[1])
            .with(Register::TpidrRo, buffer_place);
        tcb.write_registers(Resume::After, &registers)?;
        Ok(tcb)
    }
}
