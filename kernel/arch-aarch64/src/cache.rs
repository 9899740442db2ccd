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
    let lines = Lines::around(start, end, data_line());
    match operation {
        // SAFETY: the caller's promises; cleaning loses nothing, whatever else is in a line.
        CacheOperation::Clean => lines.each(|line| unsafe { cpu::clean_line(line) }),
        // SAFETY: the caller's promises.
        CacheOperation::CleanInvalidate => lines.each(|line| unsafe { cpu::clean_invalidate_line(line) }),
        CacheOperation::Invalidate => {
            // SAFETY: the first and the last line may hold others' bytes, which must not get lost.
            Lines::around(start, start + 1, lines.size).each(|line| unsafe { cpu::clean_invalidate_line(line) });
            // SAFETY: as above.
            Lines::around(end - 1, end, lines.size).each(|line| unsafe { cpu::clean_invalidate_line(line) });
            // SAFETY: the caller's promises; these lines are whole.
            lines.inside(start, end).each(|line| unsafe { cpu::invalidate_line(line) });
        }
        // SAFETY: the caller's promises.
        CacheOperation::Unify => lines.each(|line| unsafe { cpu::clean_line_to_unification(line) }),
    }
    cpu::dsb_ish();
    if matches!(operation, CacheOperation::Unify) {
        // SAFETY: promise 1.
        unsafe { drop_instructions(start, end) };
    } else {
        cpu::dsb_sy();
    }
}

/// Writes zeros over `size` bytes (a multiple of 16) and cleans them to the point of coherency, line by line, so that each line is
/// in the cache when it is cleaned.
///
/// # Safety
/// The range is mapped normal memory that nobody else uses.
pub(crate) unsafe fn zero(start: usize, size: usize) {
    let kind = cpu::zero_block();
    let block = 4usize << (kind & 0xf);
    let is_prohibited = kind & 1 << 4 != 0;
    let is_whole = (start | size).is_multiple_of(block);
    if is_prohibited || !is_whole || block != data_line() {
        // SAFETY: the caller's promise.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(start).write_bytes(0, size) };
        // SAFETY: the same memory.
        unsafe { maintain(CacheOperation::Clean, start, size) };
        return;
    }
    Lines::around(start, start + size, block).each(|line| {
        // SAFETY: whole blocks inside of the caller's range.
        unsafe { cpu::zero_line(line) };
        // SAFETY: the same line; cleaning loses nothing.
        unsafe { cpu::clean_line(line) };
    });
    cpu::dsb_sy();
}

fn data_line() -> usize {
    4 << (cpu::cache_type() >> 16 & 0xf)
}

/// A run of cache lines (or blocks of DC ZVA), which one loop of few instructions goes through.
#[derive(Clone, Copy)]
struct Lines {
    first: usize,
    end: usize,
    size: usize,
}

impl Lines {
    /// All that `[start, end)` touches.
    fn around(start: usize, end: usize, size: usize) -> Self {
        Self { first: start & !(size - 1), end, size }
    }

    /// Only those that lie in `[start, end)` as a whole.
    fn inside(self, start: usize, end: usize) -> Self {
        Self { first: (start + self.size - 1) & !(self.size - 1), end: end & !(self.size - 1), ..self }
    }

    #[inline(always)]
    fn each(self, mut act: impl FnMut(u64)) {
        let mut line = self.first;
        while line < self.end {
            act(line as u64);
            line += self.size;
        }
    }
}

/// # Safety
/// The range is mapped.
unsafe fn drop_instructions(start: usize, end: usize) {
    let kind = cpu::cache_type();
    if kind >> 14 & 3 == PHYSICALLY_TAGGED_AND_INDEXED {
        // SAFETY: inside of the caller's range.
        Lines::around(start, end, 4usize << (kind & 0xf))
            .each(|line| unsafe { cpu::invalidate_instruction_line(line) });
    } else {
        // A virtually indexed instruction cache holds the user's alias under another index than the direct map's address.
        cpu::invalidate_instruction_caches();
    }
    cpu::dsb_ish();
    cpu::isb();
}

/// CTR_EL0.L1Ip.
const PHYSICALLY_TAGGED_AND_INDEXED: u64 = 3;
