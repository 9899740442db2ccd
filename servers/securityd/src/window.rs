//! The only memory that securityd touches besides its own: a page mapped for a moment, and its log ring. All `unsafe` is here.
#![expect(unsafe_code, reason = "memory that was mapped at run time has no safe name")]

use core::ptr::NonNull;

use hybrid_ring::Region;

/// Where a frame is mapped while it is filled. Nothing else is ever mapped there.
pub const ADDRESS: u64 = 0x6000_0000;
const PAGE: usize = 4096;

/// Writes into the frame that is mapped at [`ADDRESS`]. What does not fit into the page is not written.
///
/// # Safety
/// A writable frame of 4 KiB is mapped at [`ADDRESS`], and nothing refers to that page.
pub unsafe fn write(offset: usize, bytes: &[u8]) {
    let length = bytes.len().min(PAGE.saturating_sub(offset));
    let Ok(base) = usize::try_from(ADDRESS) else { return };
    let target = core::ptr::with_exposed_provenance_mut::<u8>(base + offset.min(PAGE));
    // SAFETY: `offset + length` is at most a page, which is mapped writable and referred to by nothing else (caller);
    // `bytes` is memory of this program and so not that page.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, length) };
}

/// The region that securityd shares with logd.
///
/// # Safety
/// `length` bytes are mapped readable and writable at `address`, a page's start, until the program ends, and this program
/// touches them through the returned value alone.
#[must_use]
pub unsafe fn region(address: u64, length: u64) -> Option<Region> {
    let base = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).ok()?))?;
    // SAFETY: exactly the caller's promise; a page's start is 8-aligned.
    Some(unsafe { Region::from_mapped(base, usize::try_from(length).ok()?) })
}
