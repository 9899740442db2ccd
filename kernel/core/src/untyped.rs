//! Untyped memory: Retype, resetting, and the fresh objects (kernel-abi §2.10, §3.4).

use hybrid_abi::label;
use hybrid_abi::limits::RETYPE_FAN_OUT;
use hybrid_abi::object::{ObjectType, SCHED_CONTEXT_MIN_BITS, UNTYPED_MAX_BITS, UNTYPED_MIN_BITS};
use hybrid_abi::register::SPSR_USER_BITS;

use crate::cap::{CNode, Words};
use crate::cspace::{LookupFailure, Side, slot_of};
use crate::invocation::{Answer, Error, Invocation, Outcome, Stop, ensure};
use crate::kernel::Kernel;
use crate::object::{CNodeRef, SlotRef, TcbRef, context};
use crate::platform::Platform;

/// Bytes zeroed between two preemption points, a multiple of the ABI's chunk, and the work of that: 1400 instructions, but each DC ZVA
/// among them may take longer than others.
const RESET_BYTES: u64 = 16 << 10;
const RESET_UNITS: u32 = 20;

/// What Retype makes: checked arguments.
struct Request {
    kind: ObjectType,
    /// The size argument.
    argument: u8,
    /// log2 of the bytes of one object.
    bits: u32,
    cnode: CNodeRef,
    offset: u64,
    count: u64,
}

impl<P: Platform> Kernel<P> {
    pub(crate) fn invoke_untyped(&self, invocation: &Invocation<'_>, words: Words) -> Outcome {
        ensure(invocation.label == label::UNTYPED_RETYPE, Error::IllegalOperation)?;
        let (base, bits, is_device) = words.untyped();
        let request = self.retype_request(invocation)?;
        let is_reset = self.first_child(invocation.slot).is_none();
        let start = if is_reset { 0 } else { words.watermark() };
        let free = 1u64.unbounded_shl(bits).saturating_sub(start);
        ensure(free.unbounded_shr(request.bits) >= request.count, Error::NotEnoughMemory(free))?;
        let is_memory = matches!(
            request.kind,
            ObjectType::Untyped | ObjectType::SmallPage | ObjectType::LargePage | ObjectType::HugePage
        );
        ensure(is_memory || !is_device, Error::InvalidArgument(1))?;
        let mut words = words;
        if is_reset {
            self.reset_untyped(invocation.slot, words)?;
            words = words.with_incarnation(self.new_incarnation());
        }
        let size = 1u64.unbounded_shl(request.bits);
        let first = start.wrapping_add(size.wrapping_sub(1)) & !size.wrapping_sub(1);
        let end = first.wrapping_add(size.wrapping_mul(request.count));
        self.set_words(invocation.slot, words.with_watermark(end));
        self.make_objects(invocation.slot, &request, base.wrapping_add(first), is_device);
        Ok(Answer::Empty)
    }

    /// Makes the objects and their capabilities, each directly after the untyped memory in the derivation list. Not preemptible:
    /// 256 objects are about 30 instructions each.
    fn make_objects(&self, untyped: SlotRef, request: &Request, first: u64, is_device: bool) {
        let size = 1u64.unbounded_shl(request.bits);
        // Word 0 holds the address from bit 16 on, but untyped memory has its address in word 1 (and a watermark of 0).
        let step = if request.kind == ObjectType::Untyped { (0, size) } else { (size.unbounded_shl(16), 0) };
        let mut words = Words::of_new_object(request.kind, request.argument, is_device, first);
        for n in 0..request.count {
            if request.kind == ObjectType::Tcb
                && let Some(thread) = TcbRef::new(first.wrapping_add(n.wrapping_mul(size)))
            {
                self.tcb(thread).set_context_word(context::SPSR, SPSR_USER_BITS);
                #[cfg(any(test, feature = "debug-calls"))]
                self.debug_created(thread);
            }
            if let Some(slot) = slot_of(request.cnode, request.offset.wrapping_add(n)) {
                self.set_words(slot, words);
                self.link_after(untyped, slot, true);
            }
            words = Words(words.0.wrapping_add(step.0), words.1.wrapping_add(step.1));
        }
    }

    /// Checks 2 to 13 of Retype.
    fn retype_request(&self, invocation: &Invocation<'_>) -> Result<Request, Error> {
        invocation.require(6, 1)?;
        let kind = ObjectType::from_number(invocation.word(0)).ok_or(Error::InvalidArgument(0))?;
        let too_large = Error::Range { min: 0, max: u64::from(UNTYPED_MAX_BITS) };
        let argument = u8::try_from(invocation.word(1)).ok().filter(|bits| *bits < 64).ok_or(too_large)?;
        let bits = kind.size_bits(u32::from(argument));
        ensure(bits <= UNTYPED_MAX_BITS, too_large)?;
        let too_small = match kind {
            ObjectType::CapTable => argument == 0,
            ObjectType::Untyped => bits < UNTYPED_MIN_BITS,
            ObjectType::SchedContext => bits < SCHED_CONTEXT_MIN_BITS,
            _ => false,
        };
        ensure(!too_small, Error::InvalidArgument(1))?;
        let mut node = invocation.cap_slot(1)?;
        let (index, depth, offset, count) =
            (invocation.word(2), invocation.word(3), invocation.word(4), invocation.word(5));
        if depth != 0 {
            node = self.lookup_exact(self.words(node), index, depth, Side::Target)?;
        }
        let Some(CNode { at: cnode, radix, .. }) = self.words(node).cnode() else {
            let failure = LookupFailure::Missing { bits_left: depth };
            return Err(Error::FailedLookup { is_source: false, failure });
        };
        let slots = 1u64.unbounded_shl(u32::from(radix));
        let last = slots.wrapping_sub(1);
        ensure(offset <= last, Error::Range { min: 0, max: last })?;
        ensure((1..=RETYPE_FAN_OUT).contains(&count), Error::Range { min: 1, max: RETYPE_FAN_OUT })?;
        let room = slots.wrapping_sub(offset);
        ensure(count <= room, Error::Range { min: 1, max: room })?;
        for n in 0..count {
            let slot = slot_of(cnode, offset.wrapping_add(n));
            ensure(slot.is_some_and(|slot| self.is_empty(slot)), Error::DeleteFirst)?;
        }
        Ok(Request { kind, argument, bits, cnode, offset, count })
    }

    /// Zeroes what was used, from the top down, and moves the watermark with it.
    ///
    /// INV-UNTYPED-1: memory above a watermark is zero, in RAM too, and nobody can reach it before it is handed out. So new
    /// frames and tables are seen as zeros by uncached observers as well.
    fn reset_untyped(&self, slot: SlotRef, words: Words) -> Result<(), Stop> {
        let (base, _, is_device) = words.untyped();
        let mut used = if is_device { 0 } else { words.watermark() };
        while used > 0 {
            let from = used.wrapping_sub(1) & !(RESET_BYTES.wrapping_sub(1));
            self.platform.zero(base.wrapping_add(from), used.wrapping_sub(from));
            used = from;
            self.set_words(slot, Words(words.0, base.wrapping_add(used)));
            self.preemption_point(RESET_UNITS)?;
        }
        Ok(())
    }

    /// Zeroes an untyped without children as a whole and marks it full (for an ASID pool).
    pub(crate) fn consume_untyped(&self, slot: SlotRef) {
        let words = self.words(slot);
        let (base, bits, _) = words.untyped();
        let bytes = 1u64.unbounded_shl(bits);
        self.platform.zero(base, bytes);
        self.set_words(slot, words.with_watermark(bytes).with_incarnation(self.new_incarnation()));
    }

    /// See INV-LISTING-2.
    pub(crate) fn new_incarnation(&self) -> u64 {
        let n = self.incarnations.get().wrapping_add(1);
        self.incarnations.set(n);
        n
    }
}
