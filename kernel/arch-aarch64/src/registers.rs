//! A window of device registers; knows no device.

/// Mapped device registers, read and written word by word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    base: usize,
    size: usize,
}

impl Registers {
    /// A window at a virtual address.
    ///
    /// # Safety
    /// 1. `[base, base + size)` is mapped as device memory for as long as the kernel runs. 2. No access of 4 or 8 bytes in it can
    ///    change memory that Rust code owns (no DMA is set up through it).
    pub(crate) const unsafe fn new(base: usize, size: usize) -> Self {
        Self { base, size }
    }

    /// The part from `offset` on; empty if there is none.
    pub(crate) const fn from(&self, offset: usize) -> Self {
        Self { base: self.base + offset, size: self.size.saturating_sub(offset) }
    }

    /// Virtual address of the first register.
    pub(crate) const fn base(&self) -> usize {
        self.base
    }

    /// Reads a register; 0 outside of the window.
    #[inline]
    pub(crate) fn read(&self, offset: usize) -> u32 {
        let Some(address) = self.checked(offset, 4) else { return 0 };
        // SAFETY: inside of the window and aligned by `checked`; mapped by promise 1 of `new`.
        unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() }
    }

    /// Writes a register; nothing happens outside of the window.
    #[inline]
    pub(crate) fn write(&self, offset: usize, value: u32) {
        let Some(address) = self.checked(offset, 4) else { return };
        // SAFETY: inside of the window and aligned by `checked`; mapped and harmless by promises 1 and 2 of `new`.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(value) }
    }

    /// Reads a 64-bit register; 0 outside of the window.
    #[inline]
    pub(crate) fn read_wide(&self, offset: usize) -> u64 {
        let Some(address) = self.checked(offset, 8) else { return 0 };
        // SAFETY: as for `read`.
        unsafe { core::ptr::with_exposed_provenance::<u64>(address).read_volatile() }
    }

    /// Writes a 64-bit register; nothing happens outside of the window.
    #[inline]
    pub(crate) fn write_wide(&self, offset: usize, value: u64) {
        let Some(address) = self.checked(offset, 8) else { return };
        // SAFETY: as for `write`.
        unsafe { core::ptr::with_exposed_provenance_mut::<u64>(address).write_volatile(value) }
    }

    /// The address of a register, if the window has it.
    #[inline]
    fn checked(&self, offset: usize, width: usize) -> Option<usize> {
        let is_inside = offset.is_multiple_of(width) && offset <= self.size && self.size - offset >= width;
        is_inside.then_some(self.base.wrapping_add(offset))
    }
}
