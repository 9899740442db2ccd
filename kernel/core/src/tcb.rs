//! Invocations of TCB capabilities (kernel-abi §3.6); what they do to a thread is in `thread`.

use hybrid_abi::cap_tag as tag;
use hybrid_abi::ipc_buffer::SIZE_BITS;
use hybrid_abi::label;
use hybrid_abi::limits::TCB_FLAG_FPU_DISABLED;
use hybrid_abi::register::{
    COPY_FRAME, COPY_INTEGER, COPY_RESUME_TARGET, COPY_SUSPEND_SOURCE, COUNT, FLAG_SUSPEND_OR_RESUME, FRAME_COUNT,
};
use hybrid_abi::rights::Rights;

use crate::cap::{Cap, Words};
use crate::fault::clean_spsr;
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop, ensure};
use crate::kernel::Kernel;
use crate::message::CONTEXT_ORDER;
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

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_tcb(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        self.stop_remote(thread);
        match invocation.label {
            label::TCB_READ_REGISTERS => return self.read_registers(invocation, thread),
            label::TCB_WRITE_REGISTERS => self.write_registers(invocation, thread)?,
            label::TCB_COPY_REGISTERS => self.copy_registers(invocation, thread)?,
            label::TCB_CONFIGURE => self.configure(invocation, thread)?,
            label::TCB_SET_PRIORITY => self.change_priority(thread, self.authorised_priority(invocation, 0, 1)?),
            label::TCB_SET_MC_PRIORITY => self.tcb(thread).set_mcp(self.authorised_priority(invocation, 0, 1)?),
            label::TCB_SET_SCHED_PARAMS => self.set_sched_params(invocation, thread)?,
            label::TCB_SET_TIMEOUT_ENDPOINT => {
                let handler = self.handler(invocation, 1)?;
                self.install(invocation, thread, TcbSlot::TimeoutHandler, Some(handler))?;
            }
            label::TCB_SET_IPC_BUFFER => {
                invocation.require(1, 1)?;
                let frame = self.new_buffer(invocation.word(0), invocation.cap_slot(1)?)?;
                self.install_buffer(invocation, thread, invocation.word(0), frame)?;
            }
            label::TCB_SET_SPACE => self.set_space(invocation, thread)?,
            label::TCB_SUSPEND => self.suspend(thread),
            label::TCB_RESUME => self.resume(thread),
            label::TCB_BIND_NOTIFICATION => self.bind_notification_cap(invocation, thread)?,
            label::TCB_UNBIND_NOTIFICATION => {
                ensure(self.tcb(thread).bound_notification().is_some(), Error::IllegalOperation)?;
                self.unbind_thread_notification(thread);
            }
            label::TCB_SET_TLS_BASE => {
                invocation.require(1, 0)?;
                self.tcb(thread).set_context_word(context::TPIDR, invocation.word(0));
                self.platform.thread_changed(thread);
            }
            label::TCB_SET_FLAGS => return self.set_flags(invocation, thread),
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(Answer::Empty)
    }

    fn read_registers(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Outcome {
        invocation.require(2, 0)?;
        let count = match usize::try_from(invocation.word(1)) {
            Ok(count @ 1..=COUNT) => count,
            _ => return Err(Error::Range { min: 1, max: COUNT as u64 }.into()),
        };
        ensure(thread != invocation.thread, Error::IllegalOperation)?;
        if invocation.word(0) & FLAG_SUSPEND_OR_RESUME != 0 {
            self.suspend(thread);
        }
        Ok(Answer::Registers { thread, count })
    }

    fn write_registers(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Result<(), Error> {
        invocation.require(2, 0)?;
        let count = invocation.word(1);
        ensure(count <= (invocation.length as u64).wrapping_sub(2), Error::Truncated)?;
        ensure(thread != invocation.thread, Error::IllegalOperation)?;
        let count = usize::try_from(count).unwrap_or(COUNT);
        self.forget_cursor(thread);
        let tcb = self.tcb(thread);
        for (n, word) in CONTEXT_ORDER.iter().enumerate().take(count) {
            tcb.set_context_word(*word, invocation.word(n.wrapping_add(2)));
        }
        if count > 0 {
            self.set_register(thread, context::FAULT_IP, tcb.fault_ip());
        }
        if count > SPSR_INDEX {
            self.set_register(thread, context::SPSR, tcb.context_word(context::SPSR));
        }
        if invocation.word(0) & FLAG_SUSPEND_OR_RESUME != 0 {
            self.resume(thread);
        }
        Ok(())
    }

    /// Sets a word of the register context as far as a user may.
    fn set_register(&self, thread: TcbRef, word: usize, value: u64) {
        let tcb = self.tcb(thread);
        match word {
            context::FAULT_IP => {
                tcb.set_fault_ip(value);
                // A cache maintenance that was under way is not the one that may come next.
                tcb.set_maintained_from(0);
                tcb.set_pc(value);
            }
            context::SPSR => tcb.set_context_word(word, clean_spsr(value)),
            _ => tcb.set_context_word(word, value),
        }
    }

    fn copy_registers(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Result<(), Error> {
        invocation.require(1, 1)?;
        let source = self.thread_of(invocation, 1)?;
        self.stop_remote(source);
        let flags = invocation.word(0);
        if flags & COPY_SUSPEND_SOURCE != 0 {
            self.suspend(source);
        }
        self.forget_cursor(thread);
        let groups = [(COPY_FRAME, 0, FRAME_COUNT), (COPY_INTEGER, FRAME_COUNT, COUNT)];
        for (_, start, end) in groups.into_iter().filter(|group| flags & group.0 != 0) {
            for word in CONTEXT_ORDER.iter().take(end).skip(start) {
                self.set_register(thread, *word, self.tcb(source).context_word(*word));
            }
        }
        self.platform.thread_changed(thread);
        if flags & COPY_RESUME_TARGET != 0 {
            self.resume(thread);
        }
        Ok(())
    }

    /// The thread that extra capability `n` is for.
    pub(crate) fn thread_of(&self, invocation: &Invocation<'_>, n: usize) -> Result<TcbRef, Error> {
        self.words(invocation.cap_slot(n)?).tcb().ok_or(Error::InvalidCapability(n as u64))
    }

    fn configure(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Result<(), Stop> {
        invocation.require(3, 3)?;
        let frame = self.new_buffer(invocation.word(2), invocation.cap_slot(3)?)?;
        self.ensure_space_replaceable(thread)?;
        let cspace = self.new_cspace(invocation.word(0), invocation.cap_slot(1)?)?;
        let vspace = self.new_vspace(invocation.cap_slot(2)?)?;
        self.install(invocation, thread, TcbSlot::CSpace, Some(cspace))?;
        self.install(invocation, thread, TcbSlot::VSpace, Some(vspace))?;
        self.install_buffer(invocation, thread, invocation.word(2), frame)
    }

    fn set_space(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Result<(), Stop> {
        invocation.require(2, 3)?;
        self.ensure_space_replaceable(thread)?;
        let cspace = self.new_cspace(invocation.word(0), invocation.cap_slot(2)?)?;
        let vspace = self.new_vspace(invocation.cap_slot(3)?)?;
        let handler = self.handler(invocation, 1)?;
        self.install(invocation, thread, TcbSlot::FaultHandler, Some(handler))?;
        self.install(invocation, thread, TcbSlot::CSpace, Some(cspace))?;
        self.install(invocation, thread, TcbSlot::VSpace, Some(vspace))
    }

    fn ensure_space_replaceable(&self, thread: TcbRef) -> Result<(), Error> {
        let is_busy = |which| self.is_long_to_delete(thread.slot(which));
        ensure(!is_busy(TcbSlot::CSpace) && !is_busy(TcbSlot::VSpace), Error::IllegalOperation)
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

    /// The frame of an IPC buffer at this address; none for address 0, which means no buffer.
    fn new_buffer(&self, address: u64, source: SlotRef) -> Result<Option<Install>, Error> {
        if address == 0 {
            return Ok(None);
        }
        let frame = self.derived(source, self.words(source), tag::FRAME)?;
        ensure(frame.words.frame().is_some_and(|frame| !frame.is_device), Error::IllegalOperation)?;
        ensure(address & !(u64::MAX << SIZE_BITS) == 0, Error::Alignment)?;
        Ok(Some(frame))
    }

    /// A copy of the capability in `source`, which must have this type.
    fn derived(&self, source: SlotRef, words: Words, tag: u64) -> Result<Install, Error> {
        let words = self.derive_words(source, words)?;
        ensure(words.tag() == tag, Error::IllegalOperation)?;
        Ok(Install { words, source })
    }

    /// Extra capability `n` as a fault or timeout handler (kernel-abi §7.6).
    fn handler(&self, invocation: &Invocation<'_>, n: usize) -> Result<Install, Error> {
        let source = invocation.cap_slot(n)?;
        let words = self.words(source);
        ensure(words.is_null() || words.callable_endpoint().is_some(), Error::InvalidCapability(n as u64))?;
        Ok(Install { words, source })
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

    fn install_buffer(
        &self,
        invocation: &Invocation<'_>,
        thread: TcbRef,
        address: u64,
        frame: Option<Install>,
    ) -> Result<(), Stop> {
        self.install(invocation, thread, TcbSlot::Buffer, frame)?;
        if let Some(frame) = self.words(thread.slot(TcbSlot::Buffer)).frame() {
            self.tcb(thread).set_buffer_offset(address & frame.size.bytes().wrapping_sub(1));
        }
        Ok(())
    }

    /// A priority or MCP in message word `word`, allowed by the MCP of the thread in extra capability 1.
    fn authorised_priority(&self, invocation: &Invocation<'_>, word: usize, words: usize) -> Result<u8, Error> {
        invocation.require(words, 1)?;
        let mcp = self.tcb(self.thread_of(invocation, 1)?).mcp();
        let is_allowed = |value: &u8| *value <= mcp;
        let value = u8::try_from(invocation.word(word)).ok().filter(is_allowed);
        value.ok_or(Error::Range { min: 0, max: u64::from(mcp) })
    }

    fn set_sched_params(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Result<(), Stop> {
        invocation.require(2, 3)?;
        let mcp = self.authorised_priority(invocation, 0, 2)?;
        let priority = self.authorised_priority(invocation, 1, 2)?;
        let bound = self.tcb(thread).sched_context();
        let wanted = match self.cap(invocation.cap_slot(2)?) {
            Cap::SchedContext { at, .. } => {
                if bound != Some(at) {
                    let are_free = bound.is_none() && self.context(at).thread().is_none();
                    ensure(are_free, Error::IllegalOperation)?;
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
        Ok(())
    }

    fn bind_notification_cap(&self, invocation: &Invocation<'_>, thread: TcbRef) -> Result<(), Error> {
        let words = self.words(invocation.cap_slot(1)?);
        let (at, _, rights) = words.notification().ok_or(Error::IllegalOperation)?;
        let view = self.notification(at);
        let is_free = view.head().is_none() && view.bound_thread().is_none();
        let is_possible = self.tcb(thread).bound_notification().is_none() && rights.has(Rights::READ) && is_free;
        ensure(is_possible, Error::IllegalOperation)?;
        view.set_bound_thread(Some(thread));
        self.tcb(thread).set_bound_notification(Some(at));
        Ok(())
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
