//! Moving messages: registers, IPC buffers, capabilities (kernel-abi §1.7, §1.8, §4.9).

use core::cell::Cell;

use hybrid_abi::ipc_buffer;
use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};
use hybrid_abi::register::{COUNT, ORDER, Register};

use crate::cspace::Side;
use crate::invocation::Extras;
use crate::kernel::Kernel;
use crate::object::{EndpointRef, SlotRef, Tcb, TcbRef, TcbSlot, context};
use crate::platform::Platform;

pub(crate) type Buffer<'k> = &'k [Cell<u64>; ipc_buffer::WORDS];

/// Word of the register context that holds `register`.
pub(crate) const fn context_word(register: Register) -> usize {
    match register {
        Register::Pc => context::FAULT_IP,
        Register::Sp => context::SP,
        Register::Spsr => context::SPSR,
        Register::X(n) => context::X0.wrapping_add(n as usize),
        Register::Tpidr => context::TPIDR,
        Register::TpidrRo => context::TPIDRRO,
    }
}

/// [`context_word`] of the registers in their order.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
pub(crate) const CONTEXT_ORDER: [usize; COUNT] = {
    let mut words = [0; COUNT];
    let mut n = 0;
    while n < COUNT {
        words[n] = context_word(ORDER[n]);
        n = n.wrapping_add(1);
    }
    words
};

/// The words of a thread's own message from MR0 on: those in registers, then those of its buffer.
#[inline(always)]
pub(crate) fn message_words<'k>(tcb: Tcb<'k>, buffer: Option<Buffer<'k>>) -> impl Iterator<Item = u64> + 'k {
    let registers = [2, 3, 4, 5].map(|word| tcb.context_word(word));
    let rest = buffer.into_iter().flatten().skip(ipc_buffer::MESSAGE.wrapping_add(REGISTER_WORDS));
    registers.into_iter().chain(rest.map(Cell::get))
}

impl<P: Platform> Kernel<P> {
    /// The thread's IPC buffer, if it may be read (or written).
    pub(crate) fn buffer(&self, thread: TcbRef, for_writing: bool) -> Option<Buffer<'_>> {
        self.buffer_of(thread, for_writing)
    }

    /// The same without a call.
    #[inline(always)]
    pub(crate) fn buffer_of(&self, thread: TcbRef, for_writing: bool) -> Option<Buffer<'_>> {
        let tcb = self.tcb(thread);
        let base = tcb.cap(TcbSlot::Buffer).buffer(for_writing)?;
        // By INV-BUFFER-1 the whole buffer is inside the frame.
        Some(self.platform.words(base.wrapping_add(tcb.buffer_offset())))
    }

    /// Writes words as MR0…; gives how many fit.
    pub(crate) fn write_message(&self, thread: TcbRef, words: impl Iterator<Item = u64>) -> u64 {
        let tcb = self.tcb(thread);
        let mut buffer: Option<Option<Buffer<'_>>> = None;
        let mut length = 0usize;
        for word in words {
            if length < REGISTER_WORDS {
                tcb.set_message_register(length, word);
            } else {
                let buffer = *buffer.get_or_insert_with(|| self.buffer(thread, true));
                let Some(cell) = buffer.and_then(|b| b.get(length.wrapping_add(ipc_buffer::MESSAGE))) else { break };
                cell.set(word);
            }
            length = length.wrapping_add(1);
        }
        length as u64
    }

    /// Copies the sender's message to the receiver. `endpoint` is what the message goes through (`None`: a reply); `caps` are the
    /// extra capabilities, if they were looked up already.
    #[inline]
    pub(crate) fn transfer(
        &self,
        sender: TcbRef,
        receiver: TcbRef,
        endpoint: Option<EndpointRef>,
        caps: Option<&Extras>,
        badge: u64,
        can_grant: bool,
    ) {
        let from = self.tcb(sender);
        let to = self.tcb(receiver);
        let info = MessageInfo(from.x::<1>());
        let mut length = info.length();
        to.set_x::<0>(badge);
        if length >= 4 {
            to.set_x::<2>(from.x::<2>());
            to.set_x::<3>(from.x::<3>());
            to.set_x::<4>(from.x::<4>());
            to.set_x::<5>(from.x::<5>());
        } else {
            for n in 0..length {
                to.set_message_register(n, from.message_register(n));
            }
        }
        if length > REGISTER_WORDS {
            length = self.copy_beyond_registers(sender, receiver, length);
        }
        let (extra, unwrapped) = if can_grant && info.extra_caps() > 0 {
            let look_up = || self.extra_caps(sender, info, self.buffer(sender, false)).unwrap_or_default();
            self.transfer_caps(&caps.copied().unwrap_or_else(look_up), receiver, endpoint)
        } else {
            (0, 0)
        };
        to.set_x::<1>(MessageInfo::new(info.label(), unwrapped, extra, length as u64).0);
    }

    /// Copies what is in the buffers of a message with more words than registers. Gives how many words were moved in all.
    #[inline(always)]
    pub(crate) fn copy_beyond_registers(&self, sender: TcbRef, receiver: TcbRef, length: usize) -> usize {
        let (Some(from), Some(to)) = (self.buffer_of(sender, false), self.buffer_of(receiver, true)) else {
            return REGISTER_WORDS;
        };
        const FIRST: usize = ipc_buffer::MESSAGE + REGISTER_WORDS;
        let words = FIRST..ipc_buffer::MESSAGE.wrapping_add(length);
        let (Some(from), Some(to)) = (from.get(words.clone()), to.get(words)) else { return REGISTER_WORDS };
        // Four at a time, all read before the first is written: two load pairs and two store pairs.
        let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<4>(), to.as_chunks::<4>());
        for (from, to) in from.iter().zip(to) {
            let [a, b, c, d] = from.each_ref().map(Cell::get);
            to[0].set(a);
            to[1].set(b);
            to[2].set(c);
            to[3].set(d);
        }
        for (from, to) in from_rest.iter().zip(to_rest) {
            to.set(from.get());
        }
        length
    }

    /// Gives the numbers of processed capabilities and the bits of unwrapped ones.
    fn transfer_caps(&self, caps: &Extras, receiver: TcbRef, endpoint: Option<EndpointRef>) -> (u64, u64) {
        let Some(buffer) = self.buffer(receiver, true) else { return (0, 0) };
        let mut is_slot_used = false;
        let mut processed = 0u32;
        let mut unwrapped = 0u64;
        for (slot, badge_cell) in caps.iter().flatten().zip(buffer.iter().skip(ipc_buffer::CAPS_OR_BADGES)) {
            let words = self.words(*slot);
            match words.endpoint() {
                Some((at, badge, _)) if Some(at) == endpoint => {
                    badge_cell.set(badge);
                    unwrapped |= 1u64.unbounded_shl(processed);
                }
                _ => {
                    if core::mem::replace(&mut is_slot_used, true) || words.tag() == 0 {
                        break;
                    }
                    let Some(target) = self.receive_slot(receiver, buffer) else { break };
                    let Ok(derived) = self.derive_words(*slot, words) else { break };
                    self.insert_copy(*slot, target, derived);
                }
            }
            processed = processed.wrapping_add(1);
        }
        (u64::from(processed), unwrapped)
    }

    /// The one slot for an incoming capability, if its path resolves and it is empty.
    fn receive_slot(&self, receiver: TcbRef, buffer: Buffer<'_>) -> Option<SlotRef> {
        let root = self.words(self.lookup_slot(receiver, buffer[ipc_buffer::RECEIVE_CNODE].get()).ok()?);
        let index = buffer[ipc_buffer::RECEIVE_INDEX].get();
        let depth = buffer[ipc_buffer::RECEIVE_DEPTH].get();
        let slot = self.lookup_exact(root, index, depth, Side::Target).ok()?;
        if self.is_empty(slot) { Some(slot) } else { None }
    }
}
