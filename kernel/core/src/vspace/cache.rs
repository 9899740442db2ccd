//! Cache-maintenance invocations on frames and address spaces (kernel-abi §6.7).

use hybrid_abi::label;
use hybrid_abi::vm::USER_TOP;

use crate::cap::{FrameSize, Mapping, VmRights};
use crate::invocation::{Answer, Error, Invocation, Outcome};
use crate::kernel::Kernel;
use crate::object::TableRef;
use crate::platform::{CacheOperation, Platform};
use crate::vspace::INVALID_ASID;
use crate::vspace::descriptor::Entry;

fn operation_of(label: u64) -> Option<CacheOperation> {
    Some(match label {
        label::PAGE_CLEAN_DATA | label::VSPACE_CLEAN_DATA => CacheOperation::Clean,
        label::PAGE_INVALIDATE_DATA | label::VSPACE_INVALIDATE_DATA => CacheOperation::Invalidate,
        label::PAGE_CLEAN_INVALIDATE_DATA | label::VSPACE_CLEAN_INVALIDATE_DATA => CacheOperation::CleanInvalidate,
        label::PAGE_UNIFY_INSTRUCTION | label::VSPACE_UNIFY_INSTRUCTION => CacheOperation::Unify,
        _ => return None,
    })
}

impl<P: Platform> Kernel<P> {
    pub(super) fn maintain_frame(
        &self,
        invocation: &Invocation<'_>,
        base: u64,
        size: FrameSize,
        mapping: Option<Mapping>,
    ) -> Outcome {
        let operation = operation_of(invocation.label).ok_or(Error::IllegalOperation)?;
        invocation.require(2, 0)?;
        let mapping = mapping.ok_or(Error::IllegalOperation)?;
        let root = self.space_of_asid(mapping.asid).ok_or(INVALID_ASID)?;
        let (start, end) = (invocation.word(0), invocation.word(1));
        if end <= start {
            return Err(Error::InvalidArgument(1).into());
        }
        if start >= size.bytes() || end > size.bytes() {
            return Err(Error::InvalidArgument(0).into());
        }
        let (_, rights) = self.mapped_frame(root, mapping.vaddr, base, size).ok_or(Error::InvalidCapability(0))?;
        self.maintain(operation, rights, base.wrapping_add(start), end.wrapping_sub(start))
    }

    pub(crate) fn invoke_vspace(&self, invocation: &Invocation<'_>, root: TableRef, asid: u16) -> Outcome {
        let operation = match invocation.label {
            label::VSPACE_CLEAN_DATA..=label::VSPACE_UNIFY_INSTRUCTION => operation_of(invocation.label),
            _ => None,
        };
        let operation = operation.ok_or(Error::IllegalOperation)?;
        invocation.require(2, 0)?;
        let (start, end) = (invocation.word(0), invocation.word(1));
        if end <= start {
            return Err(Error::InvalidArgument(1).into());
        }
        if end > USER_TOP {
            return Err(Error::IllegalOperation.into());
        }
        if asid == 0 {
            return Err(Error::InvalidCapability(0).into());
        }
        let live = self.space_of_asid(asid).ok_or(INVALID_ASID)?;
        if live != root {
            return Err(Error::InvalidCapability(0).into());
        }
        let stop = self.walk(root, start);
        let Entry::Leaf { base, rights } = stop.entry else { return Ok(Answer::Empty) };
        let offset_mask = !(u64::MAX << stop.bits_left());
        let last_of_page = start | offset_mask;
        if end.wrapping_sub(1) > last_of_page {
            return Err(Error::Range { min: start, max: last_of_page }.into());
        }
        let at = base.wrapping_add(start & offset_mask);
        self.maintain(operation, rights, at, end.wrapping_sub(start))
    }

    fn maintain(&self, operation: CacheOperation, rights: VmRights, at: u64, bytes: u64) -> Outcome {
        if operation == CacheOperation::Invalidate && rights != VmRights::ReadWrite {
            return Err(Error::IllegalOperation.into());
        }
        self.platform.maintain_cache(operation, at, bytes);
        Ok(Answer::Empty)
    }
}
