//! Which pages of the heap a program has mapped, and how; it touches no memory itself.
//!
//! securityd backs the whole declared heap when it starts the component, so mapping moves no authority: it says which pages are in use.
//! What a page may be used for is kept and told, but not enforced: a component holds no capability to its own page tables (decision 0130).

use crate::number::Errno;

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// What a page may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing (`PROT_NONE`).
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// One page's state, as one byte so that the table takes 1/4096 of the heap.
mod state {
    /// Not mapped, and zero.
    pub(super) const CLEAN: u8 = 0;
    /// Not mapped; holds what someone left there.
    pub(super) const DIRTY: u8 = 1;
    /// Mapped without access, and zero: nobody could touch it yet.
    pub(super) const RESERVED: u8 = 2;
    /// Mapped without access; may hold something.
    pub(super) const CLOSED: u8 = 3;
    /// Mapped for reading.
    pub(super) const READ: u8 = 4;
    /// Mapped for reading and writing.
    pub(super) const READ_WRITE: u8 = 5;
    /// Not the program's any more: the personality has it for good.
    pub(super) const KEPT: u8 = 6;
}

const fn is_free(page: u8) -> bool {
    matches!(page, state::CLEAN | state::DIRTY)
}

const fn is_mapped(page: u8) -> bool {
    !is_free(page) && page != state::KEPT
}

/// The state of a page whose access becomes `access`, and which is zero or not.
const fn mapped(access: Access, is_zero: bool) -> u8 {
    match access {
        Access::None if is_zero => state::RESERVED,
        Access::None => state::CLOSED,
        Access::Read => state::READ,
        Access::ReadWrite => state::READ_WRITE,
    }
}

/// The map.
///
/// INV-AREAS-1: no page below `lowest` is free. INV-AREAS-2: a page that is `CLEAN` or `RESERVED` is zero. INV-AREAS-3: a page that is `KEPT` stays so:
/// it is never mapped, zeroed or free again.
#[derive(Debug)]
pub struct Areas<S> {
    base: u64,
    pages: S,
    lowest: usize,
}

/// Pages that the program never gets again. There is one of these for each time that some were [kept](Areas::keep), so who has it has the pages.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    address: u64,
    bytes: u64,
}

impl Kept {
    /// Their address and bytes.
    #[must_use]
    pub const fn into_parts(self) -> (u64, u64) {
        (self.address, self.bytes)
    }
}

/// Pages that are to be zeroed before the program sees them: address and bytes.
pub trait Zero {
    /// Zeroes them.
    fn zero(&mut self, address: u64, bytes: u64);
}

impl<F: FnMut(u64, u64)> Zero for F {
    fn zero(&mut self, address: u64, bytes: u64) {
        self(address, bytes);
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> Areas<S> {
    /// Nothing is mapped; the pages from `base` (a multiple of [`PAGE`]), one for each byte of `pages`, are zero.
    pub fn new(base: u64, mut pages: S) -> Self {
        pages.as_mut().fill(state::CLEAN);
        Self { base, pages, lowest: 0 }
    }

    /// First address, and one past the last.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        (self.base, self.base.saturating_add((self.pages.as_ref().len() as u64).saturating_mul(PAGE)))
    }

    /// Bytes that are not mapped.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.pages.as_ref().iter().filter(|page| is_free(**page)).count() as u64 * PAGE
    }

    /// Maps `bytes` where there is room, at the lowest such place; pages that are not zero are zeroed.
    ///
    /// # Errors
    /// `EINVAL` for no bytes, `ENOMEM` if there is no room.
    pub fn map(&mut self, bytes: u64, access: Access, zero: &mut impl Zero) -> Result<u64, Errno> {
        let count = page_count(bytes)?;
        let first = self.room(count).ok_or(Errno::ENOMEM)?;
        self.set_mapped(first, count, access, zero);
        Ok(self.address(first))
    }

    /// Takes whole pages for `bytes` from the program for good, where there is room; what is in them stays.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn keep(&mut self, bytes: u64) -> Result<Kept, Errno> {
        let count = page_count(bytes)?;
        let first = self.room(count).ok_or(Errno::ENOMEM)?;
        self.slice_mut(first, count).fill(state::KEPT);
        Ok(Kept { address: self.address(first), bytes: count as u64 * PAGE })
    }

    /// Maps `bytes` at `address`, in place of what is mapped there.
    ///
    /// # Errors
    /// `EINVAL` if it is not a page's address or there are no bytes, `ENOMEM` if it is not in the heap or a page of it was kept.
    pub fn map_at(&mut self, address: u64, bytes: u64, access: Access, zero: &mut impl Zero) -> Result<u64, Errno> {
        let (first, count) = self.range(address, bytes)?;
        self.unmap(address, bytes).map_err(|_| Errno::ENOMEM)?;
        self.set_mapped(first, count, access, zero);
        Ok(address)
    }

    /// Whether every page of the range is free.
    ///
    /// # Errors
    /// `EINVAL` if it is not a page's address or there are no bytes, `ENOMEM` if it is not in the heap.
    pub fn is_unmapped(&self, address: u64, bytes: u64) -> Result<bool, Errno> {
        let (first, count) = self.range(address, bytes)?;
        Ok(self.slice(first, count).iter().all(|page| is_free(*page)))
    }

    /// Unmaps the range; holes in it do not matter.
    ///
    /// # Errors
    /// `EINVAL` if it is not a page's address, there are no bytes, it is not in the heap, or a page of it was kept.
    pub fn unmap(&mut self, address: u64, bytes: u64) -> Result<(), Errno> {
        let (first, count) = self.range(address, bytes).map_err(|_| Errno::EINVAL)?;
        if self.slice(first, count).contains(&state::KEPT) {
            return Err(Errno::EINVAL);
        }
        for page in self.slice_mut(first, count) {
            *page = match *page {
                state::CLEAN | state::RESERVED => state::CLEAN,
                _ => state::DIRTY,
            };
        }
        self.lowest = self.lowest.min(first);
        Ok(())
    }

    /// Changes the access of a range that is mapped whole.
    ///
    /// # Errors
    /// `EINVAL` if it is not a page's address, `ENOMEM` if a page of it is not mapped.
    pub fn protect(&mut self, address: u64, bytes: u64, access: Access) -> Result<(), Errno> {
        if bytes == 0 && address.is_multiple_of(PAGE) {
            return Ok(());
        }
        let (first, count) = self.range(address, bytes)?;
        if !self.slice(first, count).iter().all(|page| is_mapped(*page)) {
            return Err(Errno::ENOMEM);
        }
        for page in self.slice_mut(first, count) {
            *page = mapped(access, *page == state::RESERVED);
        }
        Ok(())
    }

    /// Makes a mapped range of `old` bytes one of `new`, where it is; what is added is zero and as accessible as the first page.
    ///
    /// # Errors
    /// `EINVAL` for what is no range, `EFAULT` if it is not mapped whole, `ENOMEM` if there is no room behind it.
    pub fn resize(&mut self, address: u64, old: u64, new: u64, zero: &mut impl Zero) -> Result<(), Errno> {
        let (first, old_count) = self.range(address, old).map_err(|_| Errno::EFAULT)?;
        let new_count = page_count(new)?;
        let access = self.access(first, old_count)?;
        if new_count <= old_count {
            let rest = (old_count - new_count) as u64 * PAGE;
            return if rest == 0 { Ok(()) } else { self.unmap(self.address(first + new_count), rest) };
        }
        let (behind, more) = (first + old_count, new_count - old_count);
        let end = behind.checked_add(more).filter(|end| *end <= self.pages.as_ref().len()).ok_or(Errno::ENOMEM)?;
        if !self.pages.as_ref().get(behind..end).unwrap_or_default().iter().all(|page| is_free(*page)) {
            return Err(Errno::ENOMEM);
        }
        self.set_mapped(behind, more, access, zero);
        Ok(())
    }

    /// The access of the first page of a range that is mapped whole.
    ///
    /// # Errors
    /// `EFAULT` if it is not.
    pub fn access_of(&self, address: u64, bytes: u64) -> Result<Access, Errno> {
        let (first, count) = self.range(address, bytes).map_err(|_| Errno::EFAULT)?;
        self.access(first, count)
    }

    fn access(&self, first: usize, count: usize) -> Result<Access, Errno> {
        let pages = self.slice(first, count);
        match pages.first() {
            Some(page) if pages.iter().all(|page| is_mapped(*page)) => Ok(match *page {
                state::READ => Access::Read,
                state::READ_WRITE => Access::ReadWrite,
                _ => Access::None,
            }),
            _ => Err(Errno::EFAULT),
        }
    }

    /// The first of `count` free pages in a row.
    fn room(&mut self, count: usize) -> Option<usize> {
        let pages = self.pages.as_ref();
        let from = (self.lowest..pages.len()).find(|page| pages.get(*page).copied().is_some_and(is_free))?;
        self.lowest = from;
        let mut start = from;
        for (at, page) in pages.iter().enumerate().skip(from) {
            if !is_free(*page) {
                start = at + 1;
            } else if at + 1 - start == count {
                return Some(start);
            }
        }
        None
    }

    fn set_mapped(&mut self, first: usize, count: usize, access: Access, zero: &mut impl Zero) {
        let base = self.address(first);
        let mut dirty = None;
        for (page, address) in self.slice_mut(first, count).iter_mut().zip((base..).step_by(4096)) {
            let was_dirty = *page == state::DIRTY;
            *page = mapped(access, true);
            match (was_dirty, dirty) {
                (true, None) => dirty = Some(address),
                (false, Some(start)) => {
                    zero.zero(start, address - start);
                    dirty = None;
                }
                _ => {}
            }
        }
        if let Some(start) = dirty {
            zero.zero(start, base + count as u64 * PAGE - start);
        }
    }

    fn address(&self, page: usize) -> u64 {
        self.base + page as u64 * PAGE
    }

    fn range(&self, address: u64, bytes: u64) -> Result<(usize, usize), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let count = page_count(bytes)?;
        let offset = address.checked_sub(self.base).ok_or(Errno::ENOMEM)? / PAGE;
        let first = usize::try_from(offset).map_err(|_| Errno::ENOMEM)?;
        let end = first.checked_add(count).ok_or(Errno::ENOMEM)?;
        if end > self.pages.as_ref().len() { Err(Errno::ENOMEM) } else { Ok((first, count)) }
    }

    fn slice(&self, first: usize, count: usize) -> &[u8] {
        self.pages.as_ref().get(first..first + count).unwrap_or_default()
    }

    fn slice_mut(&mut self, first: usize, count: usize) -> &mut [u8] {
        self.pages.as_mut().get_mut(first..first + count).unwrap_or_default()
    }
}

fn page_count(bytes: u64) -> Result<usize, Errno> {
    if bytes == 0 {
        return Err(Errno::EINVAL);
    }
    usize::try_from(bytes.div_ceil(PAGE)).map_err(|_| Errno::ENOMEM)
}

#[cfg(test)]
mod tests;
