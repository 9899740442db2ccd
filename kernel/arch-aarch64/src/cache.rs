//! Cache maintenance and zeroing by address range, through the direct map.

use hybrid_kernel_core::platform::CacheOperation;

use crate::cpu;

/// Carries an operation out on `[start, start + size)` (not empty) and waits until it is complete.
///
/// # Safety
/// 1. The range is mapped normal memory. 2. Dropping or writing back its cache lines is what its owner wants. Lines that reach
///    over its ends are never dropped without being written back.
pub(crate) unsafe fn maintain(operation: CacheOperation, start: usize, size: usize) {
    let end = start + size;
    let line = 4usize << (cpu::cache_type() >> 16 & 0xf);
    let first = start & !(line - 1);
    for address in (first..end).step_by(line) {
        let is_partial = address < start || address + line > end;
        // SAFETY: inside of the caller's range, but for the ends of partial lines, which are only written back.
        unsafe { maintain_line(operation, is_partial, address as u64) };
    }
    cpu::dsb_ish();
    if matches!(operation, CacheOperation::Unify) {
        // SAFETY: promise 1.
        unsafe { drop_instructions(start, end) };
    } else {
        cpu::dsb_sy();
    }
}

/// Writes zeros over `size` bytes.
///
/// # Safety
/// The range is mapped normal memory that nobody else uses.
pub(crate) unsafe fn zero(start: usize, size: usize) {
    let kind = cpu::zero_block();
    let block = 4usize << (kind & 0xf);
    let is_prohibited = kind & 1 << 4 != 0;
    if is_prohibited || !start.is_multiple_of(block) || !size.is_multiple_of(block) {
        // SAFETY: the caller's promise.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(start).write_bytes(0, size) };
        return;
    }
    for address in (start..start + size).step_by(block) {
        // SAFETY: whole blocks inside of the caller's range.
        unsafe { cpu::zero_line(address as u64) };
    }
}

/// # Safety
/// As [`maintain`], for one line.
unsafe fn maintain_line(operation: CacheOperation, is_partial: bool, address: u64) {
    match operation {
        // SAFETY: the caller's promises.
        CacheOperation::Clean => unsafe { cpu::clean_line(address) },
        // SAFETY: the caller's promises; others' bytes in a partial line must not get lost.
        CacheOperation::Invalidate if is_partial => unsafe { cpu::clean_invalidate_line(address) },
        // SAFETY: the caller's promises.
        CacheOperation::Invalidate => unsafe { cpu::invalidate_line(address) },
        // SAFETY: the caller's promises.
        CacheOperation::CleanInvalidate => unsafe { cpu::clean_invalidate_line(address) },
        // SAFETY: the caller's promises.
        CacheOperation::Unify => unsafe { cpu::clean_line_to_unification(address) },
    }
}

/// # Safety
/// The range is mapped.
unsafe fn drop_instructions(start: usize, end: usize) {
    let kind = cpu::cache_type();
    if kind >> 14 & 3 == PHYSICALLY_TAGGED_AND_INDEXED {
        let line = 4usize << (kind & 0xf);
        for address in (start & !(line - 1)..end).step_by(line) {
            // SAFETY: inside of the caller's range.
            unsafe { cpu::invalidate_instruction_line(address as u64) };
        }
    } else {
        // A virtually indexed instruction cache holds the user's alias under another index than the direct map's address.
        cpu::invalidate_instruction_caches();
    }
    cpu::dsb_ish();
    cpu::isb();
}

/// CTR_EL0.L1Ip.
const PHYSICALLY_TAGGED_AND_INDEXED: u64 = 3;
