//! The only memory that securityd touches besides its own: a page mapped for a moment, and its log ring.
//! All of the `unsafe` for that is here.
#![expect(unsafe_code, reason = "memory that was mapped at run time has no safe name")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use hybrid_ring::Region;
use hybrid_sys::{Attributes, Error, Frame, Range, Rights, VSpace};

use crate::install::World;
use crate::kernel::boot;
use crate::target::SysKernel;

/// Where a frame is mapped while it is filled. Nothing else is ever mapped there.
pub(crate) const ADDRESS: usize = 0x6000_0000;
const PAGE: usize = 4096;

/// Writes into a small frame that is mapped nowhere, and leaves it so. What does not fit into the page is not written.
///
/// # Errors
/// The kernel's; [`World::install`] made the page tables that this needs.
pub(crate) fn fill(frame: Frame, offset: usize, bytes: &[u8], is_code: bool) -> Result<(), Error> {
    frame.map(VSpace::at(boot::VSPACE), ADDRESS as u64, Rights::READ.or(Rights::WRITE), Attributes::DATA)?;
    let offset = offset.min(PAGE);
    let length = bytes.len().min(PAGE - offset);
    let target = core::ptr::with_exposed_provenance_mut::<u8>(ADDRESS + offset);
    // SAFETY: the frame was just mapped there, writable, and `offset + length` is at most its 4096 bytes; the page is used
    // by this function alone, which runs on the only thread; `bytes` is memory of this program and so not that page.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, length) };
    if is_code {
        frame.unify(Range { start: 0, end: PAGE as u64 })?;
    }
    frame.unmap()
}

/// Reads the word at `offset` of a small frame through a capability that is mapped nowhere, and leaves it so. The word may
/// change at any time: its owner runs. An offset that is not of a word in the page reads as 0.
///
/// # Errors
/// As [`fill`].
pub(crate) fn read_word(frame: Frame, offset: usize) -> Result<u64, Error> {
    if !offset.is_multiple_of(8) || offset >= PAGE {
        return Ok(0);
    }
    frame.map(VSpace::at(boot::VSPACE), ADDRESS as u64, Rights::READ, Attributes::DATA)?;
    let word = core::ptr::with_exposed_provenance::<u64>(ADDRESS + offset);
    // SAFETY: the frame was just mapped there, readable; the offset is of an aligned word in it; a volatile read of a word
    // needs nothing of whoever else writes it.
    let value = unsafe { word.read_volatile() };
    frame.unmap()?;
    Ok(value)
}

/// Writes the word at `offset` of a small frame through a capability that is mapped nowhere, and leaves it so. Whoever reads
/// the word sees also what was written before. An offset that is not of a word in the page changes nothing.
///
/// # Errors
/// As [`fill`].
pub(crate) fn write_word(frame: Frame, offset: usize, value: u64) -> Result<(), Error> {
    if !offset.is_multiple_of(8) || offset >= PAGE {
        return Ok(());
    }
    frame.map(VSpace::at(boot::VSPACE), ADDRESS as u64, Rights::READ.or(Rights::WRITE), Attributes::DATA)?;
    let word = core::ptr::with_exposed_provenance_mut::<u64>(ADDRESS + offset);
    // SAFETY: the frame was just mapped there, writable; the offset is of an aligned word in it; while it is mapped here no
    // reference to it exists in this program, and others only read it, as an atomic or volatile word.
    unsafe { AtomicU64::from_ptr(word) }.store(value, Ordering::Release);
    frame.unmap()
}

/// Connects the journal with the region that securityd shares with logd, in the meeting that it is in now.
pub(crate) fn attach_log(world: &mut World<SysKernel>) {
    let Some((address, length)) = world.log_region() else { return };
    let (Ok(address), Ok(length)) = (usize::try_from(address), usize::try_from(length)) else { return };
    let Some(base) = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address)) else { return };
    // SAFETY: the installation mapped `length` bytes there, readable and writable, from a page's start; frames of regions
    // are never unmapped; only the journal gets the region, in place of the one it had, and nothing else in this program knows the address.
    let region = unsafe { Region::from_mapped(base, length) }.at_epoch(world.log_epoch());
    world.journal.attach(&region);
}
