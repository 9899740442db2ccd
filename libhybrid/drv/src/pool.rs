//! Blocks of whole pages out of one DMA region; bounded by the region, first fit.
use crate::DmaRegion;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Hands out blocks of a [`DmaRegion`]. When nothing fits it says so: its size is the bound.
#[derive(Debug)]
pub struct DmaPool {
    region: DmaRegion,
    /// One entry a page: whether it is taken.
    is_taken: Vec<bool>,
}

/// A block of pages of a pool; zeroed when it is given out. Give it back with [`DmaPool::free`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmaBlock {
    /// Where the program sees it.
    pub base: NonNull<u8>,
    /// Where devices see it.
    pub paddr: u64,
    /// Its length, pages.
    pub pages: usize,
}

impl DmaPool {
    /// A pool of all whole pages of `region`.
    #[must_use]
    pub fn new(region: DmaRegion) -> Self {
        let pages = region.len() / PAGE;
        Self { region, is_taken: vec![false; pages] }
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &DmaRegion {
        &self.region
    }

    /// How many pages are free.
    #[must_use]
    pub fn free_pages(&self) -> usize {
        self.is_taken.iter().filter(|is_taken| !**is_taken).count()
    }

    /// The first free run of `pages` pages, zeroed; `None` if there is none, or for no pages.
    pub fn alloc(&mut self, pages: usize) -> Option<DmaBlock> {
        if pages == 0 {
            return None;
        }
        let first = self.is_taken.windows(pages).position(|run| !run.contains(&true))?;
        self.is_taken[first..first + pages].fill(true);
        let part = self.region.part(first * PAGE, pages * PAGE)?;
        let _all_inside = part.clear(0, pages * PAGE);
        Some(DmaBlock { base: part.base(), paddr: part.paddr(), pages })
    }

    /// Takes back the block at device address `paddr`. False if no such block is taken.
    pub fn free(&mut self, paddr: u64, pages: usize) -> bool {
        let offset = paddr.checked_sub(self.region.paddr()).and_then(|offset| usize::try_from(offset).ok());
        let first = offset.filter(|offset| offset.is_multiple_of(PAGE)).map(|offset| offset / PAGE);
        let run = first.and_then(|first| self.is_taken.get_mut(first..first.checked_add(pages)?));
        match run {
            Some(run) if pages > 0 && !run.contains(&false) => {
                run.fill(false);
                true
            }
            _ => false,
        }
    }

    /// Where devices see the `len` bytes at `address`, if they lie in the pool.
    #[must_use]
    pub fn paddr_of(&self, address: NonNull<u8>, len: usize) -> Option<u64> {
        self.region.offset_of(address, len).map(|offset| self.region.paddr() + offset as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: u64 = 0x5000_0000;

    fn pool(pages: usize) -> DmaPool {
        DmaPool::new(DmaRegion::on_heap(pages * PAGE, BASE))
    }

    #[test]
    fn blocks_are_disjoint_and_exhaustion_is_none() {
        let mut pool = pool(4);
        let first = pool.alloc(3).unwrap();
        let second = pool.alloc(1).unwrap();
        assert_eq!((first.paddr, second.paddr), (BASE, BASE + 3 * PAGE as u64));
        assert_eq!(pool.alloc(1), None);
        assert!(pool.free(first.paddr, 3));
        assert_eq!(pool.alloc(4), None);
        assert_eq!(pool.alloc(2).unwrap().paddr, BASE);
        assert_eq!(pool.alloc(0), None);
    }

    #[test]
    fn block_given_out_again_is_zeroed() {
        let mut pool = pool(1);
        let block = pool.alloc(1).unwrap();
        assert!(pool.region().write(0, &[7; PAGE]));
        assert!(pool.free(block.paddr, 1));
        pool.alloc(1).unwrap();
        let mut bytes = [1; PAGE];
        assert!(pool.region().read(0, &mut bytes));
        assert_eq!(bytes, [0; PAGE]);
    }

    #[test]
    fn free_of_what_was_not_given_is_refused() {
        let mut pool = pool(2);
        let block = pool.alloc(1).unwrap();
        for (paddr, pages) in [(BASE - 4096, 1), (BASE + 1, 1), (BASE, 2), (BASE, usize::MAX), (BASE, 0), (u64::MAX, 1)]
        {
            assert!(!pool.free(paddr, pages), "{paddr:#x} {pages}");
        }
        assert!(pool.free(block.paddr, 1) && !pool.free(block.paddr, 1));
    }

    #[test]
    fn address_is_translated_only_inside() {
        let mut pool = pool(2);
        let block = pool.alloc(1).unwrap();
        assert_eq!(pool.paddr_of(block.base, 8192), Some(BASE));
        assert_eq!(pool.paddr_of(block.base, 8193), None);
        let elsewhere = 0_u8;
        assert_eq!(pool.paddr_of(NonNull::from(&elsewhere), 1), None);
    }

    #[test]
    fn region_copies_only_inside() {
        let region = DmaRegion::on_heap(16, BASE);
        let mut out = [9; 4];
        assert!(region.write(12, b"abcd") && region.read(12, &mut out));
        assert_eq!(&out, b"abcd");
        assert!(!region.write(13, b"abcd") && !region.read(usize::MAX, &mut out) && !region.clear(0, 17));
        assert_eq!(region.part(8, 8).unwrap().paddr(), BASE + 8);
        assert!(region.part(8, 9).is_none());
    }

    proptest! {
        #[test]
        fn pool_under_random_use_never_overlaps(sizes in proptest::collection::vec((1_usize..5, any::<bool>()), 1..60)) {
            let mut pool = pool(16);
            let mut live: Vec<DmaBlock> = Vec::new();
            for (pages, is_alloc) in sizes {
                if is_alloc {
                    if let Some(block) = pool.alloc(pages) {
                        let end = |block: &DmaBlock| block.paddr + (block.pages * PAGE) as u64;
                        prop_assert!(live.iter().all(|other| end(other) <= block.paddr || end(&block) <= other.paddr));
                        live.push(block);
                    }
                } else if let Some(block) = live.pop() {
                    prop_assert!(pool.free(block.paddr, block.pages));
                }
                let taken: usize = live.iter().map(|block| block.pages).sum();
                prop_assert_eq!(pool.free_pages(), 16 - taken);
            }
        }
    }
}
