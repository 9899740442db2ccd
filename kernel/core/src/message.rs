//! Moving messages: registers, IPC buffers, capabilities (kernel-abi §1.7, §1.8, §4.9).

use core::cell::Cell;

use hybrid_abi::ipc_buffer;
use hybrid_abi::message::{MessageInfo, REGISTER_WORDS};
use hybrid_abi::register::{COUNT, ORDER, Register};

use crate::cap::Words;
use crate::cspace::Side;
use crate::invocation::Extras;
use crate::kernel::Kernel;
use crate::object::{EndpointRef, SlotRef, TcbRef, TcbSlot, context};
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

impl<P: Platform> Kernel<P> {
    /// The thread's IPC buffer, if it may be read (or written).
    pub(crate) fn buffer(&self, thread: TcbRef, for_writing: bool) -> Option<Buffer<'_>> {
        self.buffer_of(thread, for_writing)
    }

    /// The same without a call.
    #[inline(always)]
    pub(crate) fn buffer_of(&self, thread: TcbRef, for_writing: bool) -> Option<Buffer<'_>> {
        let tcb = self.tcb(thread);
        let base = Words::of(tcb, TcbSlot::Buffer).buffer(for_writing)?;
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

    /// Writes the first `count` registers of `source` as a message to `thread`.
    pub(crate) fn write_registers_message(&self, source: TcbRef, thread: TcbRef, count: usize) -> u64 {
        let source = self.tcb(source);
        let words = CONTEXT_ORDER.iter().take(count).map(|word| source.context_word(*word));
        self.write_message(thread, words)
    }

    /// Message register `n` of a thread's own message.
    pub(crate) fn message_word(&self, thread: TcbRef, n: usize) -> u64 {
        if n < REGISTER_WORDS {
            return self.tcb(thread).message_register(n);
        }
        let index = n.wrapping_add(ipc_buffer::MESSAGE);
        self.buffer(thread, false).and_then(|buffer| buffer.get(index)).map_or(0, Cell::get)
    }

    /// Length of the message that a thread sends: cut to registers without a buffer.
    pub(crate) fn message_length(&self, thread: TcbRef) -> usize {
        let length = MessageInfo(self.tcb(thread).x::<1>()).length();
        if length > REGISTER_WORDS && self.buffer(thread, false).is_none() { REGISTER_WORDS } else { length }
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
            length = self.copy_buffer_words(sender, receiver, length);
        }
        let (extra, unwrapped) = if can_grant && info.extra_caps() > 0 {
            match caps {
                Some(caps) => self.transfer_caps(caps, receiver, endpoint),
                None => match self.extra_caps(sender, info, self.buffer(sender, false)) {
                    Ok(caps) => self.transfer_caps(&caps, receiver, endpoint),
                    Err(_) => (0, 0),
                },
            }
        } else {
            (0, 0)
        };
        to.set_x::<1>(MessageInfo::new(info.label(), unwrapped, extra, length as u64).0);
    }

    fn copy_buffer_words(&self, sender: TcbRef, receiver: TcbRef, length: usize) -> usize {
        let (Some(from), Some(to)) = (self.buffer(sender, false), self.buffer(receiver, true)) else {
            return REGISTER_WORDS;
        };
        let words = ipc_buffer::MESSAGE.wrapping_add(REGISTER_WORDS)..ipc_buffer::MESSAGE.wrapping_add(length);
        if let (Some(from), Some(to)) = (from.get(words.clone()), to.get(words)) {
            for (source, target) in from.iter().zip(to) {
                target.set(source.get());
            }
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
