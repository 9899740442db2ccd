//! Cache maintenance of frames and address spaces (kernel-abi §6.7).

use hybrid_abi::label;

use crate::cap::{Frame, Mapping, VmRights};
use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::object::TcbRef;
use crate::platform::{CacheOperation, Platform};
use crate::vspace::INVALID_ASID;

/// Bytes between two preemption points: with lines of 64 bytes 5,700 instructions were counted for the dearest, Unify.
const PIECE: u64 = 32 << 10;
/// Every piece ends at a look for interrupts.
const PIECE_UNITS: u32 = crate::preempt::LOOK_AFTER;

pub(super) fn operation_of(label: u64) -> Option<CacheOperation> {
    Some(match label {
        label::PAGE_CLEAN_DATA | label::VSPACE_CLEAN_DATA => CacheOperation::Clean,
        label::PAGE_INVALIDATE_DATA | label::VSPACE_INVALIDATE_DATA => CacheOperation::Invalidate,
        label::PAGE_CLEAN_INVALIDATE_DATA | label::VSPACE_CLEAN_INVALIDATE_DATA => CacheOperation::CleanInvalidate,
        label::PAGE_UNIFY_INSTRUCTION | label::VSPACE_UNIFY_INSTRUCTION => CacheOperation::Unify,
        _ => return None,
    })
}

impl<P: Platform> Kernel<P> {
    pub(super) fn maintain_frame(&self, invocation: &Invocation<'_>, frame: Frame, old: Option<Mapping>) -> Outcome {
        let operation = operation_of(invocation.label).ok_or(Error::IllegalOperation)?;
        invocation.require(2, 0)?;
        let mapping = old.ok_or(Error::IllegalOperation)?;
        let root = self.space_of_asid(mapping.asid).ok_or(INVALID_ASID)?;
        let (start, end) = (invocation.word(0), invocation.word(1));
        ensure(start < end, Error::InvalidArgument(1))?;
        ensure(end <= frame.size.bytes(), Error::InvalidArgument(0))?;
        let (_, rights) = self.mapped_frame(root, mapping.vaddr, frame).ok_or(Error::InvalidCapability(0))?;
        self.maintain(invocation.thread, operation, rights, (frame.base.wrapping_add(start), end.wrapping_sub(start)))
    }

    /// Maintains `range` (address, bytes) piece by piece. What is done when it is preempted is left out when the caller makes the
    /// call again: the first message word, the start of the range, has moved on. At the end it is what it was.
    pub(super) fn maintain(
        &self,
        thread: TcbRef,
        operation: CacheOperation,
        rights: VmRights,
        range: (u64, u64),
    ) -> Outcome {
        ensure(operation != CacheOperation::Invalidate || rights == VmRights::ReadWrite, Error::IllegalOperation)?;
        let (mut at, mut left) = range;
        let tcb = self.tcb(thread);
        while left > PIECE {
            self.platform.maintain_cache(operation, at, PIECE);
            at = at.wrapping_add(PIECE);
            left = left.wrapping_sub(PIECE);
            let start = tcb.x::<2>();
            if tcb.maintained_from() == 0 {
                tcb.set_maintained_from(start.wrapping_add(1));
            }
            tcb.set_x::<2>(start.wrapping_add(PIECE));
            self.preemption_point(PIECE_UNITS)?;
        }
        self.platform.maintain_cache(operation, at, left);
        self.end_maintenance(thread);
        Ok(Answer::Empty)
    }

    /// The thread's preempted cache maintenance, if there is one, has ended or will not go on: its message is what it was.
    pub(crate) fn end_maintenance(&self, thread: TcbRef) {
        let tcb = self.tcb(thread);
        if let Some(from) = tcb.maintained_from().checked_sub(1) {
            tcb.set_x::<2>(from);
            tcb.set_maintained_from(0);
        }
    }
}
