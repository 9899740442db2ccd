//! The kernel operations that securityd needs, as a trait; the host tests put a fake behind it.

use hybrid_sys::{
    Attributes, CNode, CNodeData, CPtr, Error, ObjectType, Registers, Rights, SchedParameters, Slot, Trigger,
};

/// What goes into a thread besides its registers.
#[derive(Debug, Clone, Copy)]
pub struct ThreadParts {
    /// Root of its capability space.
    pub cnode: CNode,
    /// Guard of it.
    pub guard: CNodeData,
    /// Its address space.
    pub vspace: CPtr,
    /// Where its IPC buffer is, and the frame.
    pub buffer: (u64, CPtr),
    /// Of the thread.
    pub priority: u8,
    /// Its share of time.
    pub context: CPtr,
    /// Where its faults go.
    pub fault: CPtr,
    /// Bound to it.
    pub notification: CPtr,
    /// Whether it may use floating-point registers.
    pub has_floats: bool,
}

/// Kernel operations. All errors are the kernel's.
#[expect(
    clippy::missing_errors_doc,
    reason = "every method fails with the kernel's error of the invocation it is named after"
)]
pub trait Kernel {
    /// Makes `count` objects in the slots from `offset` on of the CNode in `node` (depth 0: of its root).
    fn retype(
        &mut self,
        untyped: CPtr,
        kind: ObjectType,
        size_bits: u8,
        node: Slot,
        offset: u64,
        count: u64,
    ) -> Result<(), Error>;
    /// Copies a capability with a mask of rights.
    fn copy(&mut self, to: Slot, from: Slot, rights: Rights) -> Result<(), Error>;
    /// Copies a capability with a mask of rights and a badge, or a CNode's with a guard.
    fn mint(&mut self, to: Slot, from: Slot, rights: Rights, data: u64) -> Result<(), Error>;
    /// Moves a CNode's capability and gives it a guard.
    fn mutate(&mut self, to: Slot, from: Slot, data: u64) -> Result<(), Error>;
    /// Empties a slot.
    fn delete(&mut self, slot: Slot) -> Result<(), Error>;
    /// Deletes everything derived from the capability in a slot.
    fn revoke(&mut self, slot: Slot) -> Result<(), Error>;
    /// Gives an address space its identifier.
    fn assign_asid(&mut self, vspace: CPtr) -> Result<(), Error>;
    /// Installs a page table.
    fn map_table(&mut self, table: CPtr, vspace: CPtr, address: u64) -> Result<(), Error>;
    /// Maps a page.
    fn map_frame(
        &mut self,
        frame: CPtr,
        vspace: CPtr,
        address: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result<(), Error>;
    /// Removes the mapping of a frame's capability.
    fn unmap_frame(&mut self, frame: CPtr) -> Result<(), Error>;
    /// Physical address of a frame.
    fn frame_address(&mut self, frame: CPtr) -> Result<u64, Error>;
    /// Writes `bytes` at `offset` of a small frame that is mapped nowhere, and leaves it so. `is_code`: it will be executed.
    fn fill(&mut self, frame: CPtr, offset: usize, bytes: &[u8], is_code: bool) -> Result<(), Error>;
    /// Reads the word at `offset` of a small frame through a capability that is mapped nowhere, and leaves it so.
    fn read_word(&mut self, frame: CPtr, offset: usize) -> Result<u64, Error>;
    /// Writes the word at `offset` of a small frame through a capability that is mapped nowhere, after all that was written before.
    fn write_word(&mut self, frame: CPtr, offset: usize, value: u64) -> Result<(), Error>;
    /// Gives a scheduling context its parameters.
    fn configure_context(&mut self, context: CPtr, parameters: &SchedParameters) -> Result<(), Error>;
    /// Processor time that a scheduling context gave since it was last asked, microseconds.
    fn take_consumed_us(&mut self, context: CPtr) -> Result<u64, Error>;
    /// Gives a new thread everything but its registers. It may not use FP registers, and controls no priority.
    fn configure_thread(&mut self, thread: CPtr, parts: &ThreadParts) -> Result<(), Error>;
    /// Lets a thread's receives also take signals.
    fn bind(&mut self, thread: CPtr, notification: CPtr) -> Result<(), Error>;
    /// Sets the registers of a thread and starts it.
    fn start(&mut self, thread: CPtr, registers: &Registers) -> Result<(), Error>;
    /// Stops a thread; the address of the instruction that it would have executed next.
    fn suspend(&mut self, thread: CPtr) -> Result<u64, Error>;
    /// Makes the handler of an interrupt.
    fn issue_interrupt(&mut self, irq: u32, trigger: Trigger, to: Slot) -> Result<(), Error>;
    /// Where securityd holds the right to give out time.
    #[cfg(feature = "plant")]
    fn sched_control(&self) -> CPtr {
        CPtr::NULL
    }
    /// Makes the right to raise a software interrupt.
    #[cfg(feature = "plant")]
    fn issue_sgi(&mut self, _to: Slot) -> Result<(), Error> {
        Ok(())
    }
    /// Lets an interrupt signal a notification, and lets it fire.
    fn connect_interrupt(&mut self, handler: CPtr, notification: CPtr) -> Result<(), Error>;
    /// Lets a thread program the physical timer.
    fn allow_timer(&mut self, thread: CPtr) -> Result<(), Error>;
    /// Replaces the root of securityd's own capability space.
    fn set_own_root(&mut self, root: CNode) -> Result<(), Error>;
    /// Starts a thread in securityd's address space that does nothing but use up its time; `fault` is told each time that it did.
    fn start_metronome(&mut self, thread: CPtr, cnode: CPtr, context: CPtr, fault: CPtr) -> Result<(), Error>;
    /// Sets securityd's own priority.
    fn set_own_priority(&mut self, priority: u8) -> Result<(), Error>;
    /// Answers whoever waits on a reply object: its server died.
    fn answer_server_died(&mut self, reply: CPtr);
    /// Rings a bell.
    fn signal(&mut self, notification: CPtr);
    /// Ends everything. Returns only if the machine cannot.
    fn power_off(&mut self);
    /// Starts everything anew. Returns only if the machine cannot.
    fn restart(&mut self);
    /// Time since the counter started, nanoseconds.
    fn now_ns(&mut self) -> u64;
}

/// Slots that the kernel fills at boot (kernel ABI §10.2).
pub mod boot {
    /// securityd's thread.
    pub const THREAD: u64 = 1;
    /// The root CNode, whose guard makes a CPtr equal to the slot number.
    pub const CNODE: u64 = 2;
    /// securityd's address space.
    pub const VSPACE: u64 = 3;
    /// The right to issue interrupt handlers.
    pub const INTERRUPTS: u64 = 4;
    /// The ASID pool that exists at boot.
    pub const ASID_POOL: u64 = 6;
}
