//! A sandbox: an address space, a CNode with every kind of capability, wild threads.
use crate::wild;
use crate::world::{During, Failure, Plan, SELF, STACKS, Thread, World};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libhybrid::sys::abi::register::Register;
use libhybrid::sys::abi::slot;
use libhybrid::sys::{CNode, CNodeData, CPtr, IrqControl, ObjectType, Resume, Rights, Slot, TcbSpace, VSpace};

/// Wild threads run here and can raise themselves no higher.
const PRIORITY: u8 = 90;
const MCP: u8 = 100;
/// Slots of a sandbox's CNode, as a power of two.
const RADIX: u8 = 8;
const DATA: CNodeData = CNodeData::new(0, 64 - RADIX as u32);
/// Interrupts from here on are raised by no device of the machine.
const IRQ: u64 = 100;
/// Where a sandbox counts its calls.
pub(crate) const COUNTER_AT: u64 = STACKS - 0x20_0000;

/// One sandbox of a round.
pub(crate) struct Sandbox {
    cnode: CNode,
    space: VSpace,
    /// Each with its fault handler.
    threads: [Option<(Thread, CPtr)>; wild::THREADS],
    number: u64,
    cores: u64,
    counter: u64,
    counted: u64,
}

impl Sandbox {
    /// Makes a sandbox; the faults of its threads go to `fault`, with the thread's number as badge.
    pub(crate) fn new(world: &mut World, fault: u64, number: u64) -> Result<Self, Failure> {
        let cores = world.boot.info.sched_control.count();
        let space = world.isolated_space()?;
        let cnode = CNode::at(world.make(ObjectType::CapTable, RADIX).during("CNode of a sandbox")?);
        let counter = world.shared_page(space, COUNTER_AT)?;
        let mut threads = [None; wild::THREADS];
        for (index, thread) in threads.iter_mut().enumerate() {
            let plan = Plan {
                space,
                cnode,
                cnode_data: DATA,
                priority: PRIORITY,
                mcp: MCP,
                core: index as u64 % cores,
                fault: CPtr::NULL,
                body: wild::wild as *const () as u64,
                arguments: [0; 3],
            };
            let made = world.thread(&plan)?;
            let handler = world.slot();
            let rights = Rights(Rights::WRITE.0 | Rights::GRANT.0);
            let badge = made.tcb.cptr().0;
            world.place(handler).mint_from(world.place(fault), rights, badge).during("fault endpoint of a sandbox")?;
            *thread = Some((made, CPtr(handler)));
        }
        let sandbox = Self { cnode, space, threads, number, cores, counter, counted: 0 };
        sandbox.fill(world)?;
        Ok(sandbox)
    }

    fn at(&self, slot: u64) -> Slot {
        self.cnode.slot(slot, RADIX)
    }

    /// Gives it a copy of everything that it may hold; what the kernel must protect is never among it.
    fn fill(&self, world: &mut World) -> Result<(), Failure> {
        let give = |world: &World, slot: u64, source: u64| {
            self.at(slot).copy_from(world.place(source), Rights::ALL).during("copy for a sandbox")
        };
        let own = world.place(self.cnode.cptr().0);
        self.at(wild::CNODE).mint_cnode_from(own, DATA).during("CNode for a sandbox")?;
        give(world, wild::SPACE, self.space.cptr().0)?;
        for (index, (thread, _)) in self.threads.iter().flatten().enumerate() {
            let index = index as u64;
            give(world, wild::TCBS + index, thread.tcb.cptr().0)?;
            give(world, wild::CONTEXTS + index, thread.context.cptr().0)?;
            give(world, wild::BUFFERS + index, thread.buffer.cptr().0)?;
        }
        for core in 0..self.cores {
            give(world, wild::SCHED_CONTROLS + core, world.boot.info.sched_control.start + core)?;
        }
        give(world, wild::ASID_CONTROL, slot::ASID_CONTROL)?;
        give(world, wild::DOMAIN, slot::DOMAIN)?;
        // IRQ control cannot be copied; nobody else has the interrupts that this gives.
        let irq = IRQ + self.number;
        IrqControl::at(slot::IRQ_CONTROL).issue(irq, self.at(wild::IRQ_HANDLER)).during("interrupt of a sandbox")?;
        // The rest is the sandbox's alone: it can destroy it.
        let mut moved = |kind: ObjectType, bits: u8, first: u64, count: u64| -> Result<(), Failure> {
            for slot in first..first + count {
                let made = world.make(kind, bits).during("object of a sandbox")?;
                self.at(slot).move_from(world.place(made)).during("move to a sandbox")?;
            }
            Ok(())
        };
        moved(ObjectType::Endpoint, 0, wild::ENDPOINTS, 3)?;
        moved(ObjectType::Notification, 0, wild::NOTIFICATIONS, 3)?;
        moved(ObjectType::Reply, 0, wild::REPLIES, 4)?;
        moved(ObjectType::SmallPage, 0, wild::FRAMES, 4)?;
        moved(ObjectType::PageTable, 0, wild::TABLES, 4)?;
        moved(ObjectType::VSpace, 0, wild::SPACES, 2)?;
        moved(ObjectType::CapTable, 4, wild::CNODES, 2)?;
        moved(ObjectType::Tcb, 0, wild::SPARE_TCBS, 2)?;
        moved(ObjectType::SchedContext, 9, wild::SPARE_CONTEXTS, 2)?;
        moved(ObjectType::Untyped, 12, wild::SMALL_UNTYPEDS, 3)?;
        moved(ObjectType::Untyped, 17, wild::UNTYPEDS, 2)?;
        for badge in 0..3 {
            let rights = if badge == 2 { Rights(Rights::WRITE.0 | Rights::GRANT_REPLY.0) } else { Rights::ALL };
            let source = self.at(wild::ENDPOINTS + badge % 2);
            self.at(wild::BADGED + badge).mint_from(source, rights, 0x100 + badge).during("badge of a sandbox")?;
        }
        Ok(())
    }

    /// Starts every thread afresh, whatever became of it. What the sandbox destroyed stays destroyed until the round ends.
    pub(crate) fn restart(&self, world: &World, seed: u64) {
        for (index, (thread, handler)) in self.threads.iter().flatten().enumerate() {
            let core = index as u64 % self.cores;
            // Each of these may be refused: the sandbox may have bound the context elsewhere, or ended its own ASID.
            let _ = thread.tcb.suspend();
            let _ = thread.context.unbind();
            let _ = world.give_time(thread.context, core, 10_000, 10_000);
            let _ = thread.tcb.configure(&TcbSpace {
                cspace: self.cnode,
                cspace_data: DATA,
                vspace: self.space,
                buffer: Some((thread.buffer_at, thread.buffer)),
            });
            let _ = thread.tcb.set_sched_params(SELF, MCP, PRIORITY, thread.context.cptr(), *handler);
            let registers = thread.registers.with(Register::X(0), seed ^ (index as u64) << 56);
            let _ = thread.tcb.write_registers(Resume::After, &registers);
        }
    }

    /// Calls that its threads counted since the last look; a page that they scribbled on counts nothing.
    pub(crate) fn calls(&mut self) -> u64 {
        let place = core::ptr::with_exposed_provenance::<AtomicU64>(self.counter as usize);
        // SAFETY: mapped until the round ends, and only used as an atomic, on both sides.
        let now = unsafe { &*place }.load(Relaxed);
        let more = now.wrapping_sub(self.counted);
        self.counted = now;
        if more < 1_000_000 { more } else { 0 }
    }
}
