//! Invocations of TCB capabilities (kernel-abi §3.6); what they do to a thread is in `thread`.

use hybrid_abi::cap_tag as tag;
use hybrid_abi::ipc_buffer::SIZE_BITS;
use hybrid_abi::label;
use hybrid_abi::limits::{MAX_PRIORITY, TCB_FLAG_FPU_DISABLED};
use hybrid_abi::register::{
    COPY_FRAME, COPY_INTEGER, COPY_RESUME_TARGET, COPY_SUSPEND_SOURCE, COUNT, FLAG_SUSPEND_OR_RESUME, FRAME_COUNT,
    ORDER, Register,
};
use hybrid_abi::rights::Rights;

use crate::cap::{Cap, Words};
use crate::fault::clean_spsr;
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop};
use crate::kernel::Kernel;
use crate::message::{CONTEXT_ORDER, context_word};
use crate::object::{SlotRef, TcbRef, TcbSlot, context};
use crate::platform::Platform;

/// Place of the SPSR in the order of registers.
const SPSR_INDEX: usize = 2;
const _: () = assert!(CONTEXT_ORDER[SPSR_INDEX] == context::SPSR && CONTEXT_ORDER[0] == context::FAULT_IP);

/// A checked capability for a slot of a thread, and where it comes from.
#[derive(Clone, Copy)]
struct Install {
    words: Words,
    source: SlotRef,
}

/// A checked IPC buffer.
#[derive(Clone, Copy)]
struct NewBuffer {
    address: u64,
    /// None: the thread gets no buffer.
    frame: Option<Install>,
}

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_tcb(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        self.stop_remote(thread);
        match invocation.label {
            label::TCB_READ_REGISTERS => self.read_registers(invocation, thread),
            label::TCB_WRITE_REGISTERS => self.write_registers(invocation, thread),
            label::TCB_COPY_REGISTERS => self.copy_registers(invocation, thread),
            label::TCB_CONFIGURE => self.configure(invocation, thread),
            label::TCB_SET_PRIORITY => {
                let priority = self.authorised_priority(invocation, 0, 1)?;
                self.change_priority(thread, priority);
                Ok(Answer::Empty)
            }
            label::TCB_SET_MC_PRIORITY => {
                let mcp = self.authorised_priority(invocation, 0, 1)?;
                self.tcb(thread).set_mcp(mcp);
                Ok(Answer::Empty)
            }
            label::TCB_SET_SCHED_PARAMS => self.set_sched_params(invocation, thread),
            label::TCB_SET_TIMEOUT_ENDPOINT => {
                let handler = self.handler(invocation, 1)?;
                self.install(invocation, thread, TcbSlot::TimeoutHandler, Some(handler))?;
                Ok(Answer::Empty)
            }
            label::TCB_SET_IPC_BUFFER => {
                invocation.require(1, 1)?;
                let buffer = self.new_buffer(invocation.word(0), invocation.cap_slot(1)?)?;
                self.install_buffer(invocation, thread, buffer)?;
                Ok(Answer::Empty)
            }
            label::TCB_SET_SPACE => self.set_space(invocation, thread),
            label::TCB_SUSPEND => {
                self.suspend(thread);
                Ok(Answer::Empty)
            }
            label::TCB_RESUME => {
                self.resume(thread);
                Ok(Answer::Empty)
            }
            label::TCB_BIND_NOTIFICATION => self.bind_notification_cap(invocation, thread),
            label::TCB_UNBIND_NOTIFICATION => {
                if self.tcb(thread).bound_notification().is_none() {
                    return Err(Error::IllegalOperation.into());
                }
                self.unbind_thread_notification(thread);
                Ok(Answer::Empty)
            }
            label::TCB_SET_TLS_BASE => {
                invocation.require(1, 0)?;
                self.tcb(thread).set_context_word(context::TPIDR, invocation.word(0));
                self.platform.thread_changed(thread);
                Ok(Answer::Empty)
            }
            label::TCB_SET_FLAGS => self.set_flags(invocation, thread),
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn read_registers(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(2, 0)?;
        let count = match usize::try_from(invocation.word(1)) {
            Ok(count @ 1..=COUNT) => count,
            _ => return Err(Error::Range { min: 1, max: COUNT as u64 }.into()),
        };
        if thread == invocation.thread {
            return Err(Error::IllegalOperation.into());
        }
        if invocation.word(0) & FLAG_SUSPEND_OR_RESUME != 0 {
            self.suspend(thread);
        }
        Ok(Answer::Registers { thread, count })
    }

    fn write_registers(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(2, 0)?;
        let count = invocation.word(1);
        if (invocation.length as u64).wrapping_sub(2) < count {
            return Err(Error::Truncated.into());
        }
        if thread == invocation.thread {
            return Err(Error::IllegalOperation.into());
        }
        let count = usize::try_from(count).unwrap_or(COUNT);
        self.forget_cursor(thread);
        let tcb = self.tcb(thread);
        for (n, word) in CONTEXT_ORDER.iter().enumerate().take(count) {
            tcb.set_context_word(*word, invocation.word(n.wrapping_add(2)));
        }
        if count > 0 {
            self.set_register(thread, Register::Pc, tcb.fault_ip());
        }
        if count > SPSR_INDEX {
            self.set_register(thread, Register::Spsr, tcb.context_word(context::SPSR));
        }
        if invocation.word(0) & FLAG_SUSPEND_OR_RESUME != 0 {
            self.resume(thread);
        }
        Ok(Answer::Empty)
    }

    fn set_register(&self, thread: TcbRef, register: Register, value: u64) {
        let tcb = self.tcb(thread);
        match register {
            Register::Pc => {
                tcb.set_fault_ip(value);
                // A cache maintenance that was under way is not the one that may come next.
                tcb.set_maintained_from(0);
                tcb.set_pc(value);
            }
            Register::Spsr => tcb.set_context_word(context::SPSR, clean_spsr(value)),
            other => tcb.set_context_word(context_word(other), value),
        }
    }

    fn copy_registers(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(1, 1)?;
        let Cap::Tcb { at: source } = self.cap(invocation.cap_slot(1)?) else {
            return Err(Error::InvalidCapability(1).into());
        };
        self.stop_remote(source);
        let flags = invocation.word(0);
        if flags & COPY_SUSPEND_SOURCE != 0 {
            self.suspend(source);
        }
        self.forget_cursor(thread);
        let groups = [(COPY_FRAME, 0, FRAME_COUNT), (COPY_INTEGER, FRAME_COUNT, COUNT)];
        for (_, start, end) in groups.into_iter().filter(|group| flags & group.0 != 0) {
            for register in ORDER.iter().take(end).skip(start) {
                self.set_register(thread, *register, self.tcb(source).context_word(context_word(*register)));
            }
        }
        self.platform.thread_changed(thread);
        if flags & COPY_RESUME_TARGET != 0 {
            self.resume(thread);
        }
        Ok(Answer::Empty)
    }

    fn configure(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(3, 3)?;
        let buffer = self.new_buffer(invocation.word(2), invocation.cap_slot(3)?)?;
        self.ensure_space_replaceable(thread)?;
        let cspace = self.new_cspace(invocation.word(0), invocation.cap_slot(1)?)?;
        let vspace = self.new_vspace(invocation.cap_slot(2)?)?;
        self.install(invocation, thread, TcbSlot::CSpace, Some(cspace))?;
        self.install(invocation, thread, TcbSlot::VSpace, Some(vspace))?;
        self.install_buffer(invocation, thread, buffer)?;
        Ok(Answer::Empty)
    }

    fn set_space(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(2, 3)?;
        self.ensure_space_replaceable(thread)?;
        let cspace = self.new_cspace(invocation.word(0), invocation.cap_slot(2)?)?;
        let vspace = self.new_vspace(invocation.cap_slot(3)?)?;
        let handler = self.handler(invocation, 1)?;
        self.install(invocation, thread, TcbSlot::FaultHandler, Some(handler))?;
        self.install(invocation, thread, TcbSlot::CSpace, Some(cspace))?;
        self.install(invocation, thread, TcbSlot::VSpace, Some(vspace))?;
        Ok(Answer::Empty)
    }

    fn ensure_space_replaceable(&self, thread: TcbRef) -> Result<(), Error> {
        let is_busy = self.is_long_to_delete(thread.slot(TcbSlot::CSpace))
            || self.is_long_to_delete(thread.slot(TcbSlot::VSpace));
        if is_busy { Err(Error::IllegalOperation) } else { Ok(()) }
    }

    fn new_cspace(&self, data: u64, source: SlotRef) -> Result<Install, Error> {
        let mut words = self.words(source);
        if data != 0 {
            words = words.with_data(data, true).ok_or(Error::IllegalOperation)?;
        }
        self.derived(source, words, tag::CNODE)
    }

    fn new_vspace(&self, source: SlotRef) -> Result<Install, Error> {
        self.derived(source, self.words(source), tag::VSPACE)
    }

    fn new_buffer(&self, address: u64, source: SlotRef) -> Result<NewBuffer, Error> {
        if address == 0 {
            return Ok(NewBuffer { address, frame: None });
        }
        let frame = self.derived(source, self.words(source), tag::FRAME)?;
        if frame.words.frame().is_none_or(|frame| frame.is_device) {
            return Err(Error::IllegalOperation);
        }
        if address & !(u64::MAX << SIZE_BITS) != 0 {
            return Err(Error::Alignment);
        }
        Ok(NewBuffer { address, frame: Some(frame) })
    }

    /// A copy of the capability in `source`, which must have this type.
    fn derived(&self, source: SlotRef, words: Words, tag: u64) -> Result<Install, Error> {
        let words = self.derive_words(source, words)?;
        if words.tag() == tag { Ok(Install { words, source }) } else { Err(Error::IllegalOperation) }
    }

    /// Extra capability `n` as a fault or timeout handler (kernel-abi §7.6).
    fn handler(&self, invocation: &Invocation<'_>, n: usize) -> Result<Install, Error> {
        let source = invocation.cap_slot(n)?;
        let words = self.words(source);
        let is_valid = match words.endpoint() {
            Some((_, _, rights)) => {
                rights.has(Rights::WRITE) && (rights.has(Rights::GRANT) || rights.has(Rights::GRANT_REPLY))
            }
            None => words.is_null(),
        };
        if is_valid { Ok(Install { words, source }) } else { Err(Error::InvalidCapability(n as u64)) }
    }

    /// Replaces the content of a thread's slot. If deleting the old content destroyed the source or the thread
    /// itself, the slot stays empty.
    fn install(
        &self,
        invocation: &Invocation<'_>,
        thread: TcbRef,
        which: TcbSlot,
        new: Option<Install>,
    ) -> Result<(), Stop> {
        let slot = thread.slot(which);
        let source_before = new.map(|install| self.words(install.source));
        self.delete(slot)?;
        if which == TcbSlot::VSpace {
            self.this_core().space_changed.set(true);
        }
        let Some(Install { words, source }) = new else { return Ok(()) };
        let is_source_alive = source_before == Some(self.words(source));
        let is_thread_alive = self.words(invocation.slot).tcb() == Some(thread);
        if !words.is_null() && is_source_alive && is_thread_alive {
            self.insert_copy(source, slot, words);
        }
        Ok(())
    }

    fn install_buffer(&self, invocation: &Invocation<'_>, thread: TcbRef, buffer: NewBuffer) -> Result<(), Stop> {
        self.install(invocation, thread, TcbSlot::Buffer, buffer.frame)?;
        if let Cap::Frame { size, .. } = self.cap(thread.slot(TcbSlot::Buffer)) {
            self.tcb(thread).set_buffer_offset(buffer.address & size.bytes().wrapping_sub(1));
        }
        Ok(())
    }

    /// A priority or MCP in message word `word`, allowed by the MCP of the thread in extra capability 1.
    fn authorised_priority(&self, invocation: &Invocation<'_>, word: usize, words: usize) -> Result<u8, Error> {
        invocation.require(words, 1)?;
        let authority = self.words(invocation.cap_slot(1)?).tcb().ok_or(Error::InvalidCapability(1))?;
        let mcp = self.tcb(authority).mcp();
        let value = u8::try_from(invocation.word(word)).unwrap_or(MAX_PRIORITY);
        if invocation.word(word) > u64::from(mcp) {
            return Err(Error::Range { min: 0, max: u64::from(mcp) });
        }
        Ok(value)
    }

    fn set_sched_params(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(2, 3)?;
        let mcp = self.authorised_priority(invocation, 0, 2)?;
        let priority = self.authorised_priority(invocation, 1, 2)?;
        let bound = self.tcb(thread).sched_context();
        let wanted = match self.cap(invocation.cap_slot(2)?) {
            Cap::SchedContext { at, .. } => {
                if bound != Some(at) {
                    if bound.is_some() || self.context(at).thread().is_some() {
                        return Err(Error::IllegalOperation.into());
                    }
                    self.ensure_can_take_context(thread, at)?;
                }
                Some(at)
            }
            Cap::Null if thread == invocation.thread => return Err(Error::IllegalOperation.into()),
            Cap::Null => None,
            _ => return Err(Error::InvalidCapability(2).into()),
        };
        let handler = self.handler(invocation, 3)?;
        self.install(invocation, thread, TcbSlot::FaultHandler, Some(handler))?;
        self.tcb(thread).set_mcp(mcp);
        self.change_priority(thread, priority);
        match (wanted, bound) {
            (Some(context), None) => self.bind_context_thread(context, thread),
            (None, Some(context)) => self.unbind_context_thread(context),
            _ => {}
        }
        Ok(Answer::Empty)
    }

    fn bind_notification_cap(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        let cap = self.cap(invocation.cap_slot(1)?);
        if self.tcb(thread).bound_notification().is_some() {
            return Err(Error::IllegalOperation.into());
        }
        match cap {
            Cap::Notification { at, rights, .. }
                if rights.has(Rights::READ)
                    && self.notification(at).head().is_none()
                    && self.notification(at).bound_thread().is_none() =>
            {
                self.bind_notification(thread, at);
                Ok(Answer::Empty)
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    fn set_flags(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(2, 0)?;
        let tcb = self.tcb(thread);
        let flags = (tcb.flags() & !invocation.word(0)) | (invocation.word(1) & TCB_FLAG_FPU_DISABLED);
        if flags & !tcb.flags() & TCB_FLAG_FPU_DISABLED != 0 {
            self.platform.release_fp(thread);
        }
        tcb.set_flags(flags);
        self.platform.thread_changed(thread);
        Ok(Answer::Word(flags))
    }
}
