//! Threads: registers, spaces, priorities, start and stop.
use crate::{CNode, CNodeData, CPtr, Error, Frame, Notification, SchedContext, Tcb, VSpace, buffer};
use hybrid_abi::message::REGISTER_WORDS;
use hybrid_abi::register::{COUNT, FLAG_SUSPEND_OR_RESUME, ORDER, Register};
use hybrid_abi::{label, limits, message};

/// The 36 registers of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    words: [u64; COUNT],
}

impl Default for Registers {
    fn default() -> Self {
        Self { words: [0; COUNT] }
    }
}

impl Registers {
    /// The value of `register`; 0 for one that does not exist.
    #[must_use]
    pub fn read(&self, register: Register) -> u64 {
        ORDER.iter().position(|known| *known == register).map_or(0, |index| self.words[index])
    }

    /// The same registers with another value of `register`.
    #[must_use]
    pub fn with(mut self, register: Register, value: u64) -> Self {
        if let Some(index) = ORDER.iter().position(|known| *known == register) {
            self.words[index] = value;
        }
        self
    }
}

/// The spaces of a thread, as TCB_Configure sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcbSpace {
    /// Root of its capability space.
    pub cspace: CNode,
    /// Guard to apply to `cspace`; 0 leaves the capability's own.
    pub cspace_data: CNodeData,
    /// Its address space.
    pub vspace: VSpace,
    /// Address and frame of its IPC buffer.
    pub buffer: Option<(u64, Frame)>,
}

impl Tcb {
    /// Sets capability space, address space and IPC buffer.
    ///
    /// # Errors
    /// See kernel ABI §3.6, here and below.
    pub fn configure(self, space: &TcbSpace) -> Result<(), Error> {
        let (address, frame) = space.buffer.map_or((0, CPtr::NULL), |(address, frame)| (address, frame.0));
        self.0.invoke_unit(
            label::TCB_CONFIGURE,
            &[space.cspace_data.0, 0, address],
            &[space.cspace.0, space.vspace.0, frame],
        )
    }

    /// Sets capability space, address space and fault handler (an endpoint, or null for none).
    ///
    /// # Errors
    /// As above.
    pub fn set_space(
        self,
        fault_handler: CPtr,
        cspace: CNode,
        cspace_data: CNodeData,
        vspace: VSpace,
    ) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SET_SPACE, &[cspace_data.0, 0], &[fault_handler, cspace.0, vspace.0])
    }

    /// Sets the IPC buffer; address 0 removes it.
    ///
    /// # Errors
    /// As above.
    pub fn set_ipc_buffer(self, address: u64, frame: Frame) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SET_IPC_BUFFER, &[address], &[frame.0])
    }

    /// Sets maximum controlled priority and priority, scheduling context (or null) and fault handler (or null).
    /// `authority` is the thread whose own maximum bounds both.
    ///
    /// # Errors
    /// As above.
    pub fn set_sched_params(
        self,
        authority: Tcb,
        mcp: u8,
        priority: u8,
        context: CPtr,
        fault_handler: CPtr,
    ) -> Result<(), Error> {
        let words = [mcp.into(), priority.into()];
        self.0.invoke_unit(label::TCB_SET_SCHED_PARAMS, &words, &[authority.0, context, fault_handler])
    }

    /// Sets the priority.
    ///
    /// # Errors
    /// As above.
    pub fn set_priority(self, authority: Tcb, priority: u64) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SET_PRIORITY, &[priority], &[authority.0])
    }

    /// Sets the maximum controlled priority.
    ///
    /// # Errors
    /// As above.
    pub fn set_mc_priority(self, authority: Tcb, mcp: u64) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SET_MC_PRIORITY, &[mcp], &[authority.0])
    }

    /// Sets the endpoint that timeout faults go to; null for none.
    ///
    /// # Errors
    /// As above.
    pub fn set_timeout_endpoint(self, handler: CPtr) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler])
    }

    /// Reads `count` registers, after stopping the thread if `suspend`.
    ///
    /// # Errors
    /// As above.
    pub fn read_registers(self, suspend: Suspend, count: usize) -> Result<Registers, Error> {
        let flags = if suspend == Suspend::First { FLAG_SUSPEND_OR_RESUME } else { 0 };
        let reply = self.0.invoke(label::TCB_READ_REGISTERS, &[flags, count as u64], &[])?;
        let mut registers = Registers::default();
        for (index, word) in registers.words.iter_mut().enumerate().take(reply.info.length()) {
            *word = if index < REGISTER_WORDS { reply.registers[index] } else { buffer::word(index) };
        }
        Ok(registers)
    }

    /// Writes all registers, and starts the thread if `resume`.
    ///
    /// # Errors
    /// As above.
    pub fn write_registers(self, resume: Resume, registers: &Registers) -> Result<(), Error> {
        let mut words = [0; COUNT + 2];
        words[0] = if resume == Resume::After { FLAG_SUSPEND_OR_RESUME } else { 0 };
        words[1] = COUNT as u64;
        words[2..].copy_from_slice(&registers.words);
        self.0.invoke_unit(label::TCB_WRITE_REGISTERS, &words, &[])
    }

    /// Copies registers from `source`; `flags` are those of `hybrid_abi::register::COPY_…`.
    ///
    /// # Errors
    /// As above.
    pub fn copy_registers(self, source: Tcb, flags: u64) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_COPY_REGISTERS, &[flags], &[source.0])
    }

    /// Stops the thread.
    ///
    /// # Errors
    /// Only if this is not a thread's capability.
    pub fn suspend(self) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SUSPEND, &[], &[])
    }

    /// Starts the thread if it is stopped.
    ///
    /// # Errors
    /// Only if this is not a thread's capability.
    pub fn resume(self) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_RESUME, &[], &[])
    }

    /// Lets signals of `notification` end the thread's receives.
    ///
    /// # Errors
    /// As above.
    pub fn bind_notification(self, notification: Notification) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_BIND_NOTIFICATION, &[], &[notification.0])
    }

    /// Undoes [`Self::bind_notification`].
    ///
    /// # Errors
    /// IllegalOperation if nothing is bound.
    pub fn unbind_notification(self) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_UNBIND_NOTIFICATION, &[], &[])
    }

    /// Sets `TPIDR_EL0`.
    ///
    /// # Errors
    /// Only if this is not a thread's capability.
    pub fn set_tls_base(self, address: u64) -> Result<(), Error> {
        self.0.invoke_unit(label::TCB_SET_TLS_BASE, &[address], &[])
    }

    /// Clears, then sets flags; returns the flags that result.
    ///
    /// # Errors
    /// Only if this is not a thread's capability.
    pub fn set_flags(self, clear: u64, set: u64) -> Result<u64, Error> {
        self.0.invoke_word(label::TCB_SET_FLAGS, &[clear, set], &[])
    }

    /// Makes FP and SIMD instructions of this thread fault: for programs that are built without them.
    ///
    /// # Errors
    /// Only if this is not a thread's capability.
    pub fn disable_fpu(self) -> Result<(), Error> {
        self.set_flags(0, limits::TCB_FLAG_FPU_DISABLED).map(|_| ())
    }
}

/// Whether reading registers stops the thread first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspend {
    /// Stop it first.
    First,
    /// Leave it as it is.
    No,
}

/// Whether writing registers starts the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Start it afterwards.
    After,
    /// Leave it as it is.
    No,
}

impl SchedContext {
    /// Gives this share of time to a thread.
    ///
    /// # Errors
    /// See kernel ABI §3.7.
    pub fn bind(self, thread: Tcb) -> Result<(), Error> {
        self.0.invoke_unit(label::SCHED_CONTEXT_BIND, &[], &[thread.0])
    }
}

const _: () = assert!(COUNT + 2 <= message::MAX_LENGTH);
