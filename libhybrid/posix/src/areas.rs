//! Which pages of the heap and of its threads' stacks a program has mapped, and how; it touches no memory itself.
//!
//! securityd backs the whole declared heap when it starts the component, so mapping moves no authority: it says which pages are in use.
//! What a page may be used for is kept and told, but not enforced: a component holds no capability to its own page tables (decision 0130). The
//! pages below the declared stacks of threads have no memory, so what touches them faults (decision 0161).

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

/// The stacks of a program's threads beside the main one, in a row: each has memory, and the pages below it have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stacks {
    /// First address of the pages below the first one.
    pub base: u64,
    /// Bytes without memory below each; whole pages.
    pub guard: u64,
    /// Bytes of each; whole pages.
    pub bytes: u64,
    /// How many there are.
    pub count: u8,
}

impl Stacks {
    /// Pages of one, those below it included.
    const fn stride(self) -> usize {
        self.guard_pages().saturating_add((self.bytes / PAGE) as usize)
    }

    const fn guard_pages(self) -> usize {
        (self.guard / PAGE) as usize
    }

    /// Pages of all, those below each included.
    #[must_use]
    pub const fn pages(self) -> usize {
        self.stride().saturating_mul(self.count as usize)
    }

    /// Whether one of them has the memory from `address` to `end`.
    #[must_use]
    pub const fn hold(self, address: u64, end: u64) -> bool {
        let stride = self.guard.saturating_add(self.bytes);
        if address < self.base || end < address || stride == 0 {
            return false;
        }
        let (index, offset) = ((address - self.base) / stride, (address - self.base) % stride);
        index < self.count as u64 && offset >= self.guard && end - address <= stride - offset
    }
}

/// The map: pages of the heap, then those of the stacks.
///
/// INV-AREAS-1: no page of the heap below `lowest` is free. INV-AREAS-2: a page that is `CLEAN` or `RESERVED` is zero. INV-AREAS-3: a page that is `KEPT`
/// stays so: it is never mapped, zeroed or free again. INV-AREAS-4: a page without memory is `CLEAN` or `RESERVED`, so it is never zeroed.
#[derive(Debug)]
pub struct Areas<S> {
    base: u64,
    pages: S,
    lowest: usize,
    stacks: Stacks,
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
    /// Nothing is mapped. There is a byte of `pages` for each page of `stacks`, and one for each of the heap, from `base` (a multiple of [`PAGE`]); all
    /// that has memory is zero.
    pub fn new(base: u64, mut pages: S, stacks: Stacks) -> Self {
        pages.as_mut().fill(state::CLEAN);
        Self { base, pages, lowest: 0, stacks }
    }

    /// First address of the heap, and one past the last.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        (self.base, self.base.saturating_add((self.heap_pages() as u64).saturating_mul(PAGE)))
    }

    /// The stacks of threads.
    #[must_use]
    pub const fn stacks(&self) -> Stacks {
        self.stacks
    }

    /// Whether the page at the address is one of these.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.range(address / PAGE * PAGE, PAGE).is_ok()
    }

    /// Bytes of the heap that are not mapped.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.slice(0, self.heap_pages()).iter().filter(|page| is_free(**page)).count() as u64 * PAGE
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

    /// Maps a thread's stack of `bytes`, the lowest `guard` of which it is not to touch: without access, which [`Self::protect`] gives to the others, or
    /// readable and writable if there are none. It is one of the [`Stacks`] if one is free and large enough, and then the highest of the pages below that
    /// are its lowest; else it is in the heap.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn map_stack(&mut self, bytes: u64, guard: u64, zero: &mut impl Zero) -> Result<u64, Errno> {
        let access = if guard == 0 { Access::ReadWrite } else { Access::None };
        let count = page_count(bytes)?;
        let (stride, below) = (self.stacks.stride(), self.stacks.guard_pages());
        let skipped = below.saturating_sub(usize::try_from(guard.div_ceil(PAGE)).unwrap_or(usize::MAX));
        let heap = self.heap_pages();
        let mut places = (0..usize::from(self.stacks.count)).map(|index| heap + index * stride);
        let is_free_at = |first: &usize| {
            self.pages.as_ref().get(*first..first + stride).is_some_and(|pages| pages.iter().all(|page| is_free(*page)))
        };
        let place = if skipped.saturating_add(count) > stride { None } else { places.find(is_free_at) };
        let Some(first) = place.map(|first| first + skipped) else { return self.map(bytes, access, zero) };
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
    /// `EINVAL` if it is not a page's address or there are no bytes, `ENOMEM` if it is not in the heap, or a page of it was kept or has no memory to
    /// access.
    pub fn map_at(&mut self, address: u64, bytes: u64, access: Access, zero: &mut impl Zero) -> Result<u64, Errno> {
        let (first, count) = self.range(address, bytes)?;
        self.check_memory(first, count, access)?;
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
    /// `EINVAL` if it is not a page's address, `ENOMEM` if a page of it is not mapped, or has no memory to access.
    pub fn protect(&mut self, address: u64, bytes: u64, access: Access) -> Result<(), Errno> {
        if bytes == 0 && address.is_multiple_of(PAGE) {
            return Ok(());
        }
        let (first, count) = self.range(address, bytes)?;
        if !self.slice(first, count).iter().all(|page| is_mapped(*page)) {
            return Err(Errno::ENOMEM);
        }
        self.check_memory(first, count, access)?;
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
        self.part(first, old_count.checked_add(more).ok_or(Errno::ENOMEM)?)?;
        if !self.slice(behind, more).iter().all(|page| is_free(*page)) {
            return Err(Errno::ENOMEM);
        }
        self.check_memory(behind, more, access)?;
        self.set_mapped(behind, more, access, zero);
        Ok(())
    }

    /// Makes a range that is mapped whole zero, as far as it has memory.
    ///
    /// # Errors
    /// `ENOMEM` if it is not.
    pub fn discard(&self, address: u64, bytes: u64, zero: &mut impl Zero) -> Result<(), Errno> {
        let (first, count) = self.range(address, bytes).map_err(|_| Errno::ENOMEM)?;
        self.access(first, count).map_err(|_| Errno::ENOMEM)?;
        self.zero_those(first, count, |page| self.has_memory(page), zero);
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
        let pages = self.pages.as_ref().get(..self.heap_pages()).unwrap_or_default();
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
        self.zero_those(first, count, |page| self.pages.as_ref().get(page) == Some(&state::DIRTY), zero);
        self.slice_mut(first, count).fill(mapped(access, true));
    }

    /// Has the pages of a range zeroed that `is_one` says, as many at once as follow each other.
    fn zero_those(&self, first: usize, count: usize, is_one: impl Fn(usize) -> bool, zero: &mut impl Zero) {
        let mut start = None;
        for page in first..first + count {
            match (is_one(page), start) {
                (true, None) => start = Some(page),
                (false, Some(from)) => {
                    zero.zero(self.address(from), (page - from) as u64 * PAGE);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            zero.zero(self.address(from), (first + count - from) as u64 * PAGE);
        }
    }

    fn heap_pages(&self) -> usize {
        self.pages.as_ref().len().saturating_sub(self.stacks.pages())
    }

    /// Whether there is memory behind a page.
    fn has_memory(&self, page: usize) -> bool {
        let of_stacks = page.checked_sub(self.heap_pages());
        of_stacks.is_none_or(|page| page % self.stacks.stride().max(1) >= self.stacks.guard_pages())
    }

    /// Refuses access to pages without memory.
    fn check_memory(&self, first: usize, count: usize, access: Access) -> Result<(), Errno> {
        let is_there = access == Access::None || first + count <= self.heap_pages();
        if is_there || (first..first + count).all(|page| self.has_memory(page)) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    fn address(&self, page: usize) -> u64 {
        match page.checked_sub(self.heap_pages()) {
            Some(page) if self.stacks.count > 0 => self.stacks.base + page as u64 * PAGE,
            _ => self.base + page as u64 * PAGE,
        }
    }

    fn range(&self, address: u64, bytes: u64) -> Result<(usize, usize), Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let count = page_count(bytes)?;
        let (base, pages) = match self.stacks {
            Stacks { base, count: 1.., .. } if address >= base => (base, self.heap_pages()..self.pages.as_ref().len()),
            _ => (self.base, 0..self.heap_pages()),
        };
        let offset = address.checked_sub(base).ok_or(Errno::ENOMEM)? / PAGE;
        let first = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(pages.start));
        let first = first.filter(|first| pages.contains(first)).ok_or(Errno::ENOMEM)?;
        self.part(first, count)?;
        Ok((first, count))
    }

    /// Refuses what is neither in the heap nor among the stacks whole.
    fn part(&self, first: usize, count: usize) -> Result<(), Errno> {
        let end = first.checked_add(count).ok_or(Errno::ENOMEM)?;
        let (heap, all) = (self.heap_pages(), self.pages.as_ref().len());
        let most = if first < heap { heap } else { all };
        if end > most { Err(Errno::ENOMEM) } else { Ok(()) }
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
