//! A device's registers: volatile, bounds-checked; what they mean is the driver's.
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ptr::NonNull;

/// The registers of one device. Clones name the same registers.
///
/// Offsets are constants of the driver: one outside the registers, or misaligned, is a bug of the driver and panics.
///
/// # Invariants
/// `base` is 8-aligned; `len` bytes from it are mapped (as device memory, or as heap memory for tests) while any clone lives.
#[derive(Debug, Clone)]
pub struct Mmio {
    base: NonNull<u8>,
    len: usize,
    _owner: Option<Arc<Cells>>,
}

/// Heap memory that stands in for registers.
struct Cells(Vec<UnsafeCell<u64>>);

impl core::fmt::Debug for Cells {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} words", self.0.len())
    }
}

macro_rules! access {
    ($($(#[$read_doc:meta])* $read:ident, $(#[$write_doc:meta])* $write:ident: $word:ty;)*) => {$(
        $(#[$read_doc])*
        #[must_use]
        #[track_caller]
        #[inline]
        pub fn $read(&self, offset: usize) -> $word {
            let at = self.at::<$word>(offset);
            // SAFETY: `at` checked bounds and alignment; the memory is mapped by the type's invariant.
            unsafe { at.read_volatile() }
        }

        $(#[$write_doc])*
        #[track_caller]
        #[inline]
        pub fn $write(&self, offset: usize, value: $word) {
            let at = self.at::<$word>(offset);
            // SAFETY: `at` checked bounds and alignment; the memory is mapped writable by the type's invariant.
            unsafe { at.write_volatile(value) };
        }
    )*};
}

impl Mmio {
    /// Names mapped registers.
    ///
    /// # Safety
    /// 1. `base` is 8-aligned and `len` bytes from it stay mapped readable and writable as device memory for the rest of the program.
    /// 2. Accesses to the device have no effect on the program's own memory except as its driver intends.
    #[must_use]
    pub unsafe fn from_mapped(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len, _owner: None }
    }

    /// Plain zeroed memory in place of registers: for host tests, where nothing reacts to writes. Not for use by two threads.
    #[must_use]
    pub fn on_heap(len: usize) -> Self {
        let cells = Cells((0..len.div_ceil(8)).map(|_| UnsafeCell::new(0)).collect());
        let len = cells.0.len() * 8;
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "shared by clones in one thread only; Mmio is not Send either"
        )]
        let owner = Arc::new(cells);
        Self { base: NonNull::from(owner.0.as_slice()).cast(), len, _owner: Some(owner) }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no registers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first register, for transports that bring their own accessors.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The part from `offset` on.
    #[must_use]
    pub fn part(&self, offset: usize, len: usize) -> Option<Self> {
        let is_inside = offset.checked_add(len).is_some_and(|end| end <= self.len) && offset.is_multiple_of(8);
        // SAFETY: `offset` is inside the mapped memory.
        is_inside.then(|| Self { base: unsafe { self.base.add(offset) }, len, _owner: self._owner.clone() })
    }

    access! {
        /// Reads the byte at `offset`.
        read8, /// Writes the byte at `offset`.
        write8: u8;
        /// Reads the 16-bit register at `offset`.
        read16, /// Writes the 16-bit register at `offset`.
        write16: u16;
        /// Reads the 32-bit register at `offset`.
        read32, /// Writes the 32-bit register at `offset`.
        write32: u32;
        /// Reads the 64-bit register at `offset`.
        read64, /// Writes the 64-bit register at `offset`.
        write64: u64;
    }

    #[track_caller]
    #[inline]
    fn at<T>(&self, offset: usize) -> *mut T {
        let is_inside = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len);
        assert!(is_inside && offset.is_multiple_of(size_of::<T>()), "register offset {offset:#x}");
        // SAFETY: `offset` is inside the mapped memory.
        unsafe { self.base.add(offset) }.cast().as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::Mmio;

    #[test]
    fn registers_hold_what_was_written_in_each_width() {
        let mmio = Mmio::on_heap(32);
        mmio.write32(4, 0xdead_beef);
        assert_eq!((mmio.read32(0), mmio.read32(4), mmio.read64(0)), (0, 0xdead_beef, 0xdead_beef_0000_0000));
        mmio.write8(31, 7);
        mmio.write16(8, 0x1234);
        assert_eq!((mmio.read8(31), mmio.read16(8), mmio.part(8, 8).unwrap().read16(0)), (7, 0x1234, 0x1234));
    }

    #[test]
    fn part_outside_is_refused() {
        let mmio = Mmio::on_heap(32);
        assert!(mmio.part(24, 16).is_none() && mmio.part(4, 8).is_none() && mmio.part(usize::MAX - 7, 16).is_none());
    }

    #[test]
    #[should_panic(expected = "register offset 0x20")]
    fn register_past_the_end_panics() {
        let _ = Mmio::on_heap(32).read32(32);
    }

    #[test]
    #[should_panic(expected = "register offset 0x2")]
    fn register_misaligned_panics() {
        Mmio::on_heap(32).write32(2, 0);
    }
}
