//! A thread: register context first, hot fields, capability slots, FP area; layout only.
//!
//! | words | bytes | content |
//! |---|---|---|
//! | 0–36 | 0–295 | register context, see [`context`] |
//! | 40–55 | 320–447 | hot fields: state, priority, IPC, scheduling; in the order in which messages touch them |
//! | 56–71 | 448–575 | cold fields: fault, flags |
//! | 72–91 | 576–735 | five capability slots |
//! | 92–94 | 736–759 | links of the release queue |
//! | 96–161 | 768–1295 | FP area: V0–V31, FPSR, FPCR (528 bytes, 16-byte aligned) |
//! | 162–177 | 1296–1423 | name (debug kernels) |

use core::cell::Cell;

use hybrid_abi::message::REGISTER_WORDS;

use super::{NotificationRef, ReplyRef, SchedContextRef, SlotRef, TcbRef, Word, numbered, view};
use crate::cap::Words;

/// Word numbers of the register context, which starts at the TCB's first byte.
pub mod context {
    /// x0; xN is word N, up to x30.
    pub const X0: usize = 0;
    /// `SP_EL0`.
    pub const SP: usize = 31;
    /// Next instruction (`ELR_EL1`): where the thread goes on.
    pub const PC: usize = 32;
    /// `SPSR_EL1`.
    pub const SPSR: usize = 33;
    /// Restart address: the `SVC` or the faulting instruction.
    pub const FAULT_IP: usize = 34;
    /// `TPIDR_EL0`.
    pub const TPIDR: usize = 35;
    /// `TPIDRRO_EL0`.
    pub const TPIDRRO: usize = 36;
    /// Words of the context.
    pub const WORDS: usize = 37;
}

/// Words of a TCB.
const TCB_WORDS: usize = 256;
/// First word of the capability slots.
const FIRST_SLOT_WORD: usize = 72;
/// The same in bytes.
const SLOTS_AT: u64 = FIRST_SLOT_WORD as u64 * 8;
/// Word of the first message register, x2.
const FIRST_MESSAGE_WORD: usize = 2;
/// First word of the FP area.
pub const FP_WORD: usize = 96;
/// First word of the name.
pub const NAME_WORD: usize = 162;
/// Words of the name.
pub const NAME_WORDS: usize = 16;

view! {
    /// A thread of 2048 bytes.
    Tcb[TCB_WORDS] {
        /// Next-instruction address.
        32 => pc, set_pc: u64;
        /// Restart address.
        34 => fault_ip, set_fault_ip: u64;
        /// What the thread is doing (bits 0 to 7) and the kind of its stored fault (from bit 8 on): see [`Tcb::state`].
        40 => status, set_status: u64;
        /// Reply object it is linked to.
        41 => reply, set_reply: Option<ReplyRef>;
        /// Scheduling context it runs on.
        42 => sched_context, set_sched_context: Option<SchedContextRef>;
        /// Endpoint or notification (by state) in whose queue it is, as an address.
        43 => blocked_on, set_blocked_on: u64;
        /// Priority.
        44 => priority, set_priority: u8;
        /// Next thread of the ready queue, or of that of an endpoint or notification.
        45 => queue_next, set_queue_next: Option<TcbRef>;
        /// Previous thread of that queue.
        46 => queue_prev, set_queue_prev: Option<TcbRef>;
        /// Bound notification.
        47 => bound_notification, set_bound_notification: Option<NotificationRef>;
        /// Badge of the capability it sends through.
        48 => sender_badge, set_sender_badge: u64;
        /// Rights of the capability it sends through, and in bit 4 whether it sends a call.
        49 => sender_flags, set_sender_flags: u64;
        /// The other end of the run of equals of which it is one (INV-QUEUE-3).
        50 => run_end, set_run_end: Option<TcbRef>;
        /// Its rank in the release queue; 0 outside it.
        51 => release_rank, set_release_rank: u64;
        /// In a ready queue.
        52 => is_ready_queued, set_ready_queued: bool;
        /// When it leaves the release queue, if it is in it.
        53 => release_time, set_release_time: u64;
        /// Where in the frame of its buffer slot the IPC buffer begins (INV-BUFFER-1: inside it, and aligned like a buffer).
        54 => buffer_offset, set_buffer_offset: u64;
        /// What the arch crate applies when it switches: bit 0 FP disabled, bit 1 may program the EL1 physical timer at EL0.
        55 => machine, set_machine: u64;
        /// Maximum controlled priority.
        56 => mcp, set_mcp: u8;
        /// First word of the stored fault.
        57 => fault_word0, set_fault_word0: u64;
        /// Second word of the stored fault.
        58 => fault_word1, set_fault_word1: u64;
        /// Lookup failure of a capability fault: type.
        59 => lookup_kind, set_lookup_kind: u64;
        /// Its data.
        60 => lookup_word0, set_lookup_word0: u64;
        /// Its data.
        61 => lookup_word1, set_lookup_word1: u64;
        /// Its data.
        62 => lookup_word2, set_lookup_word2: u64;
        /// First message word of its preempted cache maintenance, which that word then counts up; plus 1, so 0 is none.
        63 => maintained_from, set_maintained_from: u64;
        /// The scheduling context whose thread it yielded to.
        64 => yield_to, set_yield_to: Option<SchedContextRef>;
        /// That YieldTo was a Call and wants its result.
        65 => wants_yield_result, set_wants_yield_result: bool;
        /// How many came to the release queue before it: the order among equal times.
        67 => release_order, set_release_order: u64;
        /// Core.
        68 => core, set_core: u64;
        /// The sender where this thread's preempted CancelBadgedSends goes on.
        69 => cancel_cursor, set_cancel_cursor: Option<TcbRef>;
        /// The thread whose CancelBadgedSends goes on at this sender; they name each other (INV-CANCEL-1).
        70 => cancel_watcher, set_cancel_watcher: Option<TcbRef>;
        /// [`Kernel::reorders`](crate::kernel::Kernel) when that call was preempted.
        71 => cancel_epoch, set_cancel_epoch: u64;
        /// The heap on its left in the release queue.
        92 => release_left, set_release_left: Option<TcbRef>;
        /// The heap on its right.
        93 => release_right, set_release_right: Option<TcbRef>;
        /// The thread that it hangs below.
        94 => release_parent, set_release_parent: Option<TcbRef>;
    }
}

/// Number of capability slots in a thread.
pub const TCB_SLOTS: u64 = 5;

/// The capability slots of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcbSlot {
    /// Root CNode.
    CSpace,
    /// Root page table.
    VSpace,
    /// IPC-buffer frame.
    Buffer,
    /// Fault endpoint.
    FaultHandler,
    /// Timeout endpoint.
    TimeoutHandler,
}

impl TcbRef {
    /// Slot number `index` (0…4) of this thread.
    #[inline]
    #[must_use]
    pub fn slot_at(self, index: u64) -> Option<SlotRef> {
        SlotRef::new(self.paddr().wrapping_add(SLOTS_AT).wrapping_add(index.wrapping_mul(32)))
    }

    /// The slot for this purpose.
    #[inline]
    #[must_use]
    pub fn slot(self, slot: TcbSlot) -> SlotRef {
        // Threads are 2048-aligned, so this is the sum.
        SlotRef(self.0 | SLOTS_AT.wrapping_add((slot as u64).wrapping_mul(32)))
    }
}

numbered! {
    /// What a thread is doing.
    ThreadState else BlockedOnNotification {
        /// Stopped.
        Inactive = 0,
        /// Goes on at its next instruction.
        Running = 1,
        /// Repeats the instruction at its restart address.
        Restart = 2,
        /// In an endpoint queue, receiving.
        BlockedOnReceive = 3,
        /// In an endpoint queue, sending.
        BlockedOnSend = 4,
        /// Waits for a reply.
        BlockedOnReply = 5,
        /// In a notification queue.
        BlockedOnNotification = 6,
    }
}

impl ThreadState {
    /// Running or about to restart.
    #[inline]
    #[must_use]
    pub fn is_runnable(self) -> bool {
        matches!(self, Self::Running | Self::Restart)
    }
}

/// The whole status word of a thread without a stored fault.
#[inline]
pub(crate) fn status(state: ThreadState) -> u64 {
    state.to_word()
}

const STATE: u64 = 0xff;
const FAULT_SHIFT: u32 = 8;
/// Bit of [`Tcb::machine`]: the flag of `TCB_SET_FLAGS`.
const FPU_DISABLED: u64 = hybrid_abi::limits::TCB_FLAG_FPU_DISABLED;
/// Bit of [`Tcb::machine`].
const TIMER_ACCESS: u64 = 2;
const _: () = assert!(FPU_DISABLED == 1);

impl<'m> Tcb<'m> {
    /// What a slot holds.
    #[inline(always)]
    pub(crate) fn cap(self, slot: TcbSlot) -> Words {
        let first = FIRST_SLOT_WORD.wrapping_add((slot as usize).wrapping_mul(4));
        Words(self.word(first), self.word(first.wrapping_add(1)))
    }

    #[inline(always)]
    fn word(self, word: usize) -> u64 {
        self.0.get(word).map_or(0, Cell::get)
    }

    /// In the release queue.
    #[inline]
    pub fn is_release_queued(self) -> bool {
        self.release_rank() != 0
    }

    /// What the thread is doing.
    #[inline]
    pub fn state(self) -> ThreadState {
        ThreadState::from_word(self.status() & STATE)
    }

    /// Sets what the thread is doing; `thread::set_state` draws the consequences.
    #[inline]
    pub fn set_state_raw(self, state: ThreadState) {
        self.set_status((self.status() & !STATE) | state.to_word());
    }

    /// Kind of the stored fault: its label, 0 for none.
    #[inline]
    pub fn fault_kind(self) -> u64 {
        self.status() >> FAULT_SHIFT
    }

    /// Sets the kind of the stored fault.
    #[inline]
    pub fn set_fault_kind(self, kind: u64) {
        self.set_status((self.status() & STATE) | (kind << FAULT_SHIFT));
    }

    /// Flags of `TCB_SET_FLAGS`: bit 0 = FP disabled.
    #[inline]
    pub fn flags(self) -> u64 {
        self.machine() & FPU_DISABLED
    }

    /// Sets these flags.
    #[inline]
    pub fn set_flags(self, flags: u64) {
        self.set_machine((self.machine() & !FPU_DISABLED) | (flags & FPU_DISABLED));
    }

    /// May program the EL1 physical timer at EL0.
    #[inline]
    pub fn has_timer_access(self) -> bool {
        self.machine() & TIMER_ACCESS != 0
    }

    /// Gives and takes that right.
    #[inline]
    pub fn set_timer_access(self, is_allowed: bool) {
        self.set_machine((self.machine() & !TIMER_ACCESS) | if is_allowed { TIMER_ACCESS } else { 0 });
    }

    /// Register x`n`.
    #[inline]
    pub fn x<const N: usize>(self) -> u64 {
        const { assert!(N <= 30) };
        self.word(N)
    }

    /// Sets register x`n`.
    #[inline]
    pub fn set_x<const N: usize>(self, value: u64) {
        const { assert!(N <= 30) };
        self.set_context_word(N, value);
    }

    /// Word of the register context (see [`context`]); 0 outside it.
    #[inline]
    pub fn context_word(self, word: usize) -> u64 {
        if word < context::WORDS { self.word(word) } else { 0 }
    }

    /// Sets a word of the register context; nothing outside it.
    #[inline]
    pub fn set_context_word(self, word: usize, value: u64) {
        if word < context::WORDS
            && let Some(cell) = self.0.get(word)
        {
            cell.set(value);
        }
    }

    /// Message register `n` < 4 in x2…x5; 0 for others.
    #[inline]
    pub fn message_register(self, n: usize) -> u64 {
        if n < REGISTER_WORDS { self.word(n.wrapping_add(FIRST_MESSAGE_WORD)) } else { 0 }
    }

    /// Sets message register `n` < 4; nothing for others.
    #[inline]
    pub fn set_message_register(self, n: usize, value: u64) {
        if n < REGISTER_WORDS {
            self.set_context_word(n.wrapping_add(FIRST_MESSAGE_WORD), value);
        }
    }

    /// One cell of the name (debug kernels).
    #[inline]
    pub fn name_cell(self, word: usize) -> Option<&'m Cell<u64>> {
        if word < NAME_WORDS { self.0.get(NAME_WORD.wrapping_add(word)) } else { None }
    }
}

const _: () = assert!(Tcb::WORDS * 8 == 1 << hybrid_abi::object::TCB_BITS);
const _: () = assert!(SLOTS_AT.is_multiple_of(32));
const _: () = assert!(FIRST_SLOT_WORD as u64 + TCB_SLOTS * 4 <= 92);
const _: () = assert!((FP_WORD * 8).is_multiple_of(16) && FP_WORD + 66 <= NAME_WORD && NAME_WORD + NAME_WORDS <= 178);
const _: () = assert!(context::WORDS <= 40 && context::PC == 32 && context::FAULT_IP == 34);
