//! Memory that a device may change at any time; copied from and to, never referred to.
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

/// A piece of physically contiguous memory that devices may reach. Clones name the same memory.
///
/// # Invariants
/// `base` is 8-aligned; `len` bytes from it are mapped readable and writable while any clone lives, and are those
/// that devices see at `paddr`.
#[derive(Debug, Clone)]
pub struct DmaRegion {
    base: NonNull<u8>,
    len: usize,
    paddr: u64,
    _owner: Option<Arc<[AtomicU64]>>,
}

// SAFETY: plain memory that is only copied from and to; which thread does it is irrelevant.
unsafe impl Send for DmaRegion {}
// SAFETY: as above; two threads that copy at once get torn bytes, as with a device that writes at once.
unsafe impl Sync for DmaRegion {}

impl DmaRegion {
    /// Names mapped memory.
    ///
    /// # Safety
    /// 1. `base` is 8-aligned and `len` bytes from it stay mapped readable and writable for the rest of the program.
    /// 2. Devices see the same memory at `paddr`.
    /// 3. The program touches it only through `DmaRegion`s and the drivers they are given to.
    #[must_use]
    pub unsafe fn from_mapped(base: NonNull<u8>, len: usize, paddr: u64) -> Self {
        Self { base, len, paddr, _owner: None }
    }

    /// Heap memory that pretends to be at `paddr`: for host tests.
    #[must_use]
    pub fn on_heap(len: usize, paddr: u64) -> Self {
        let words: Arc<[AtomicU64]> = (0..len.div_ceil(8)).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().into();
        Self { base: NonNull::from(&*words).cast(), len: words.len() * 8, paddr, _owner: Some(words) }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the program sees the memory, for transports that bring their own accessors.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where devices see the memory.
    #[must_use]
    pub fn paddr(&self) -> u64 {
        self.paddr
    }

    /// `len` bytes from `offset`.
    #[must_use]
    pub fn part(&self, offset: usize, len: usize) -> Option<Self> {
        self.contains(offset, len).then(|| Self {
            // SAFETY: `offset` is inside the mapped memory.
            base: unsafe { self.base.add(offset) },
            len,
            paddr: self.paddr + offset as u64,
            _owner: self._owner.clone(),
        })
    }

    /// Offset of the `len` bytes at `address`, if they lie in the region.
    #[must_use]
    pub fn offset_of(&self, address: NonNull<u8>, len: usize) -> Option<usize> {
        let offset = address.addr().get().checked_sub(self.base.addr().get())?;
        self.contains(offset, len).then_some(offset)
    }

    /// Copies `bytes` to `offset`. False, and nothing done, if they do not lie in the region.
    #[must_use]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let is_inside = self.contains(offset, bytes.len());
        if is_inside {
            // SAFETY: `offset` is inside the mapped memory.
            let to = unsafe { self.base.add(offset) }.as_ptr();
            // SAFETY: source and target are both valid for the length, and do not overlap: nobody has a reference into the region.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        }
        is_inside
    }

    /// Copies the first `bytes` bytes of `words`, memory shared with a peer, to `offset`. False, and nothing done, if they do not lie in the region, or
    /// are more than the words.
    #[must_use]
    pub fn write_words(&self, offset: usize, words: &[AtomicU64], bytes: usize) -> bool {
        let is_inside = self.contains(offset, bytes) && bytes <= size_of_val(words);
        if is_inside {
            // SAFETY: `offset` is inside the mapped memory.
            let to = unsafe { self.base.add(offset) }.as_ptr();
            // SAFETY: source and target are both valid for the length, and do not overlap: nobody has a reference into the region.
            unsafe { hybrid_sys::copy_shared(words.as_ptr().cast(), to, bytes) };
        }
        is_inside
    }

    /// Fills `bytes` from `offset`. False, and nothing done, if they do not lie in the region.
    #[must_use]
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> bool {
        let is_inside = self.contains(offset, bytes.len());
        if is_inside {
            // SAFETY: `offset` is inside the mapped memory.
            let from = unsafe { self.base.add(offset) }.as_ptr();
            // SAFETY: source and target are both valid for the length, and do not overlap: nobody has a reference into the region.
            unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        }
        is_inside
    }

    /// Sets `len` bytes from `offset` to 0. False, and nothing done, if they do not lie in the region.
    #[must_use]
    pub fn clear(&self, offset: usize, len: usize) -> bool {
        let is_inside = self.contains(offset, len);
        if is_inside {
            // SAFETY: `offset` is inside the mapped memory.
            let to = unsafe { self.base.add(offset) }.as_ptr();
            // SAFETY: `len` bytes from there are mapped writable.
            unsafe { to.write_bytes(0, len) };
        }
        is_inside
    }

    fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::DmaRegion;
    use core::sync::atomic::AtomicU64;

    #[test]
    fn words_are_written_as_far_as_they_count_and_never_outside() {
        let region = DmaRegion::on_heap(32, 0);
        let words = [0x0807_0605_0403_0201_u64, 0x100f_0e0d_0c0b_0a09].map(|word| AtomicU64::new(word.to_le()));
        assert!(region.write_words(3, &words, 13));
        let mut bytes = [0xee; 32];
        assert!(region.read(0, &mut bytes));
        assert_eq!(bytes[..3], [0; 3]);
        assert_eq!(bytes[3..16], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert_eq!(bytes[16..], [0; 16]);
        assert!(!region.write_words(20, &words, 13), "beyond the region");
        assert!(!region.write_words(0, &words, 17), "more than the words");
        assert!(!region.write_words(usize::MAX, &words, 1));
        let mut after = [0; 32];
        assert!(region.read(0, &mut after) && after == bytes);
    }
}
