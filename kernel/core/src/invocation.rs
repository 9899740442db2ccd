//! Invoking a capability: arguments, errors, results, and the dispatch by type.

use core::cell::Cell;

use hybrid_abi::cap_tag as tag;
use hybrid_abi::error::ErrorCode;
use hybrid_abi::ipc_buffer;
use hybrid_abi::message::{MAX_EXTRA_CAPS, MessageInfo, REGISTER_WORDS};

use crate::cap::{Cap, Words};
use crate::cspace::LookupFailure;
use crate::kernel::Kernel;
use crate::message::{Buffer, CONTEXT_ORDER};
use crate::object::{SlotRef, Tcb, TcbRef, ThreadState, status};
use crate::platform::Platform;

/// Why an invocation was refused (kernel-abi §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Argument number.
    InvalidArgument(u64),
    /// Capability number; 0 = the invoked one.
    InvalidCapability(u64),
    /// The operation does not exist or is not possible now.
    IllegalOperation,
    /// A value is out of range.
    Range {
        /// Smallest valid value.
        min: u64,
        /// Largest valid value.
        max: u64,
    },
    /// An address is not aligned.
    Alignment,
    /// An address did not resolve.
    FailedLookup {
        /// The source path failed.
        is_source: bool,
        /// How.
        failure: LookupFailure,
    },
    /// Too few words or capabilities.
    Truncated,
    /// A slot or entry is occupied.
    DeleteFirst,
    /// Children or copies exist.
    RevokeFirst,
    /// Bytes that are free.
    NotEnoughMemory(u64),
}

/// Why an invocation did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was refused; nothing changed.
    Error(Error),
    /// It made progress and will be repeated.
    Preempted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

/// Refuses with `error` unless a condition holds.
#[inline(always)]
pub(crate) fn ensure(condition: bool, error: Error) -> Result<(), Error> {
    if condition { Ok(()) } else { Err(error) }
}

/// What a successful invocation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No words.
    Empty,
    /// One word.
    Word(u64),
    /// The first `count` registers of a thread.
    Registers { thread: TcbRef, count: usize },
    /// The next entries of the list of all capabilities.
    Listing,
    /// The answer was already written, or comes later.
    Later,
}

pub(crate) type Outcome = Result<Answer, Stop>;

/// The invoked capability cannot be invoked so.
const INVALID: Outcome = Err(Stop::Error(Error::InvalidCapability(0)));

/// Which system call an invocation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) is_blocking: bool,
    pub(crate) is_call: bool,
    pub(crate) may_donate: bool,
    pub(crate) is_first_phase: bool,
}

/// The message of an invocation.
#[derive(Clone, Copy)]
pub(crate) struct Invocation<'k> {
    pub(crate) thread: TcbRef,
    /// Slot of the invoked capability.
    pub(crate) slot: SlotRef,
    pub(crate) label: u64,
    /// Words that are really there.
    pub(crate) length: usize,
    caps: &'k Extras,
    /// Read in place: an operation writes the caller's registers only when it has read all words.
    tcb: Tcb<'k>,
    /// There, if the message is longer than the registers.
    buffer: Option<Buffer<'k>>,
}

/// The slots that the extra capabilities of a message are in.
pub(crate) type Extras = [Option<SlotRef>; MAX_EXTRA_CAPS];

impl Invocation<'_> {
    /// Message register `n`; 0 beyond the length.
    #[inline(always)]
    pub(crate) fn word(&self, n: usize) -> u64 {
        if n >= self.length {
            0
        } else if n < REGISTER_WORDS {
            self.tcb.message_register(n)
        } else {
            let index = n.wrapping_add(ipc_buffer::MESSAGE);
            self.buffer.and_then(|buffer| buffer.get(index)).map_or(0, Cell::get)
        }
    }

    /// Fails unless `words` words and `caps` extra capabilities are there.
    #[inline]
    pub(crate) fn require(&self, words: usize, caps: usize) -> Result<(), Error> {
        ensure(self.length >= words && (caps == 0 || self.cap_slot(caps).is_ok()), Error::Truncated)
    }

    /// Slot of extra capability `n` (1…3).
    #[inline]
    pub(crate) fn cap_slot(&self, n: usize) -> Result<SlotRef, Error> {
        self.caps.get(n.wrapping_sub(1)).copied().flatten().ok_or(Error::Truncated)
    }
}

impl<P: Platform> Kernel<P> {
    /// Extra capabilities that a message names; the CPtr that did not resolve is the error.
    #[inline(always)]
    pub(crate) fn extra_caps(
        &self,
        thread: TcbRef,
        info: MessageInfo,
        buffer: Option<Buffer<'_>>,
    ) -> Result<Extras, (u64, LookupFailure)> {
        let mut slots = [None; MAX_EXTRA_CAPS];
        let Some(buffer) = buffer else { return Ok(slots) };
        let names = buffer.iter().skip(ipc_buffer::CAPS_OR_BADGES);
        for (slot, name) in slots.iter_mut().zip(names).take(info.extra_caps()) {
            let cptr = name.get();
            *slot = Some(self.lookup_slot(thread, cptr).map_err(|failure| (cptr, failure))?);
        }
        Ok(slots)
    }

    /// Sends the thread's message to a kernel object (not one that messages go through) and answers.
    /// False if the call was preempted.
    pub(crate) fn invoke_object(
        &self,
        thread: TcbRef,
        slot: SlotRef,
        words: Words,
        (caps, buffer): (&Extras, Option<Buffer<'_>>),
        manner: Manner,
    ) -> bool {
        let tcb = self.tcb(thread);
        let info = MessageInfo(tcb.x::<1>());
        let length = if buffer.is_some() { info.length() } else { info.length().min(REGISTER_WORDS) };
        let invocation = Invocation { thread, slot, label: info.label(), length, caps, tcb, buffer };
        // Set before the operation, so that stopping the caller inside it restarts the call. It has no stored fault.
        tcb.set_status(status(ThreadState::Restart));
        match self.perform(&invocation, words, manner) {
            Err(Stop::Preempted) => return false,
            Err(Stop::Error(error)) => self.refused(thread, error, manner),
            // As below, for the most frequent answer.
            Ok(Answer::Empty) if tcb.status() == status(ThreadState::Restart) => {
                tcb.set_status(status(ThreadState::Running));
                if manner.is_call {
                    tcb.set_x::<0>(0);
                    tcb.set_x::<1>(0);
                }
            }
            Ok(answer) => {
                if tcb.state() == ThreadState::Restart {
                    tcb.set_state_raw(ThreadState::Running);
                    if manner.is_call {
                        self.answer(thread, answer);
                    }
                }
            }
        }
        true
    }

    #[cold]
    fn refused(&self, thread: TcbRef, error: Error, manner: Manner) {
        self.end_maintenance(thread);
        self.tcb(thread).set_state_raw(ThreadState::Running);
        if manner.is_call {
            self.answer_error(thread, error);
        }
    }

    /// Dispatches by type.
    fn perform(&self, invocation: &Invocation<'_>, words: Words, manner: Manner) -> Outcome {
        if manner.is_first_phase && is_refused_in_first_phase(words.tag()) {
            return INVALID;
        }
        match words.tag() {
            tag::IRQ_HANDLER => self.invoke_irq_handler(invocation, words.irq()),
            tag::TCB => words.tcb().map_or(INVALID, |at| self.invoke_tcb(invocation, at)),
            tag::SCHED_CONTEXT => {
                words.sched_context().map_or(INVALID, |at| self.invoke_sched_context(invocation, at, manner.is_call))
            }
            tag::CNODE => self.invoke_cnode(invocation),
            tag::UNTYPED => self.invoke_untyped(invocation, words),
            tag::FRAME => self.invoke_frame(invocation, words),
            tag::SCHED_CONTROL => self.invoke_sched_control(invocation, words.1),
            tag::IRQ_CONTROL => self.invoke_irq_control(invocation),
            tag::SGI_SIGNAL => {
                let (sgi, target) = words.sgi();
                self.platform.send_sgi(u32::from(sgi), u64::from(target));
                Ok(Answer::Empty)
            }
            tag::DOMAIN => self.invoke_domain(invocation),
            tag::PAGE_TABLE => self.invoke_page_table(invocation, Cap::of(words)),
            tag::VSPACE => words.vspace().map_or(INVALID, |(at, asid)| self.invoke_vspace(invocation, at, asid)),
            tag::ASID_CONTROL => self.invoke_asid_control(invocation),
            tag::ASID_POOL => words.pool().map_or(INVALID, |(at, index)| self.invoke_asid_pool(invocation, at, index)),
            tag::PLATFORM => self.invoke_platform(invocation),
            tag::AUDIT => self.invoke_audit(invocation),
            // Nothing, what is being taken apart, and the objects that messages go through.
            _ => INVALID,
        }
    }

    fn answer(&self, thread: TcbRef, answer: Answer) {
        let tcb = self.tcb(thread);
        let length = match answer {
            Answer::Later => return,
            Answer::Empty => 0,
            Answer::Word(word) => {
                tcb.set_message_register(0, word);
                1
            }
            Answer::Listing => self.write_message(thread, self.listing(thread)),
            Answer::Registers { thread: source, count } => {
                let source = self.tcb(source);
                self.write_message(thread, CONTEXT_ORDER.iter().take(count).map(|word| source.context_word(*word)))
            }
        };
        tcb.set_x::<0>(0);
        tcb.set_x::<1>(MessageInfo::new(0, 0, 0, length).0);
    }

    /// Writes the error reply of a Call.
    #[cold]
    pub(crate) fn answer_error(&self, thread: TcbRef, error: Error) {
        let (code, words, count) = error_words(error);
        let tcb = self.tcb(thread);
        let length = self.write_message(thread, words.iter().copied().take(count));
        tcb.set_x::<0>(0);
        tcb.set_x::<1>(MessageInfo::new(code.number(), 0, 0, length).0);
    }
}

/// Apart, since few calls have a first phase.
#[cold]
fn is_refused_in_first_phase(tag: u64) -> bool {
    matches!(tag, tag::TCB | tag::DOMAIN | tag::CNODE | tag::SCHED_CONTROL | tag::SCHED_CONTEXT)
}

/// Error number and message words (kernel-abi §3.2).
fn error_words(error: Error) -> (ErrorCode, [u64; 5], usize) {
    match error {
        Error::InvalidArgument(index) => (ErrorCode::InvalidArgument, [index, 0, 0, 0, 0], 1),
        Error::InvalidCapability(number) => (ErrorCode::InvalidCapability, [number, 0, 0, 0, 0], 1),
        Error::IllegalOperation => (ErrorCode::IllegalOperation, [0; 5], 0),
        Error::Range { min, max } => (ErrorCode::RangeError, [min, max, 0, 0, 0], 2),
        Error::Alignment => (ErrorCode::AlignmentError, [0; 5], 0),
        Error::FailedLookup { is_source, failure } => {
            let (kind, [a, b, c], count) = failure.words();
            (ErrorCode::FailedLookup, [u64::from(is_source), kind, a, b, c], count.wrapping_add(2))
        }
        Error::Truncated => (ErrorCode::TruncatedMessage, [0; 5], 0),
        Error::DeleteFirst => (ErrorCode::DeleteFirst, [0; 5], 0),
        Error::RevokeFirst => (ErrorCode::RevokeFirst, [0; 5], 0),
        Error::NotEnoughMemory(bytes) => (ErrorCode::NotEnoughMemory, [bytes, 0, 0, 0, 0], 1),
    }
}
