//! Memory shared by two components, and the place of one ring in it.
//!
//! All `unsafe` of this crate is here. Shared memory is touched only through atomic operations on
//! 8-byte words at checked offsets, on the device in blocks of them by instructions of its own. So a peer that writes at the
//! same time is no data race, whatever it writes.
use crate::memory::{Field, RingMemory};
use crate::{CAPACITY_MAX, CAPACITY_MIN, HEADER_BYTES, RingError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// A piece of memory that a peer shares. Clones name the same memory.
///
/// # Invariants
/// `base` is 8-aligned, and `len` bytes from it are readable and writable for as long as any clone lives.
#[derive(Debug, Clone)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    epoch: u32,
    /// Keeps heap memory alive; `None` for memory that is mapped for the component's whole life.
    _owner: Option<Arc<[AtomicU64]>>,
}

// SAFETY: a region is a range of memory that is only accessed with atomic operations; which thread does it is irrelevant.
unsafe impl Send for Region {}
// SAFETY: as above; no method hands out a reference into the memory.
unsafe impl Sync for Region {}

/// The epoch of a region of which nothing else was said: the first meeting.
const FIRST_EPOCH: u32 = 1;

impl Region {
    /// Names mapped memory; its rings are of the first epoch unless [`Self::at_epoch`] says otherwise.
    ///
    /// # Safety
    /// 1. `base` is 8-aligned and `len` bytes from it stay mapped readable and writable for the rest of the program.
    /// 2. This program touches the memory only through `Region`.
    #[must_use]
    pub unsafe fn from_mapped(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len, epoch: FIRST_EPOCH, _owner: None }
    }

    /// The same memory for the meeting numbered `epoch`: ring ends that are made of it talk to ends of this epoch only.
    #[must_use]
    pub fn at_epoch(&self, epoch: u32) -> Self {
        Self { epoch, ..self.clone() }
    }

    /// Zeroed memory of this program, `len` rounded up to 8, first epoch: for host tests and loopbacks.
    #[must_use]
    pub fn on_heap(len: usize) -> Self {
        let words: Arc<[AtomicU64]> = (0..len.div_ceil(8)).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().into();
        let base = NonNull::from(&*words).cast();
        Self { base, len: words.len() * 8, epoch: FIRST_EPOCH, _owner: Some(words) }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the region has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Overwrites the 8-byte word at `offset`, as a hostile peer would: for tests of code that uses rings.
    ///
    /// # Errors
    /// [`RingError::Layout`] if `offset` is not a multiple of 8 within the region.
    pub fn scribble(&self, offset: usize, value: u64) -> Result<(), RingError> {
        if !offset.is_multiple_of(8) || offset.checked_add(8).is_none_or(|end| end > self.len) {
            return Err(RingError::Layout);
        }
        self.word(offset).store(value, Ordering::Relaxed);
        Ok(())
    }

    /// The 8-byte word at `offset`, which must be 8-aligned and inside.
    fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= self.len);
        // SAFETY: callers pass offsets inside the region (checked when the ring was placed).
        let at = unsafe { self.base.add(offset) };
        // SAFETY: aligned by the invariant and the offset, mapped for the life of `self`, and only accessed atomically.
        unsafe { AtomicU64::from_ptr(at.cast().as_ptr()) }
    }

    /// The `count` 8-byte words from `offset` on, which must be 8-aligned and all inside.
    fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        debug_assert!(offset.is_multiple_of(8) && offset + count * 8 <= self.len);
        // SAFETY: callers pass runs inside the region: a ring's data area, which was checked when the ring was placed.
        let at = unsafe { self.base.add(offset) };
        // SAFETY: aligned by the invariant and the offset, all mapped for the life of `self`, and only accessed atomically.
        unsafe { core::slice::from_raw_parts(at.cast::<AtomicU64>().as_ptr(), count) }
    }
}

/// Words that are moved at a time, so that counting and branching are a small part of the copying.
const BLOCK: usize = 16;

/// Writes the words, relaxed; both are equally long.
#[inline]
fn store_all(words: &[AtomicU64], bytes: &[[u8; 8]]) {
    debug_assert_eq!(words.len(), bytes.len());
    let store = |(word, bytes): (&AtomicU64, &[u8; 8])| word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    let ((blocks, rest), (from, rest_from)) = (words.as_chunks::<BLOCK>(), bytes.as_chunks::<BLOCK>());
    // SAFETY: both have room for as many blocks, the shared words are aligned and may be written through a shared reference, and what they are
    // written from is this program's alone.
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe {
        copy_blocks(from.as_ptr().cast(), blocks.as_ptr().cast_mut().cast(), blocks.len().min(from.len()));
    }
    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    for (block, from) in blocks.iter().zip(from) {
        block.iter().zip(from).for_each(store);
    }
    rest.iter().zip(rest_from).for_each(store);
}

/// Reads the words, relaxed; both are equally long.
#[inline]
fn load_all(words: &[AtomicU64], bytes: &mut [[u8; 8]]) {
    debug_assert_eq!(words.len(), bytes.len());
    let load = |(word, bytes): (&AtomicU64, &mut [u8; 8])| *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
    let ((blocks, rest), (to, rest_to)) = (words.as_chunks::<BLOCK>(), bytes.as_chunks_mut::<BLOCK>());
    // SAFETY: both have room for as many blocks, the shared words are aligned, and what they are read into is this program's alone.
    #[cfg(all(target_arch = "aarch64", target_os = "none"))]
    unsafe {
        copy_blocks(blocks.as_ptr().cast(), to.as_mut_ptr().cast(), blocks.len().min(to.len()));
    }
    #[cfg(not(all(target_arch = "aarch64", target_os = "none")))]
    for (block, to) in blocks.iter().zip(to) {
        block.iter().zip(to).for_each(load);
    }
    rest.iter().zip(rest_to).for_each(load);
}

/// Copies blocks by pairs of words: 20 instructions for 128 bytes, where single atomic accesses, which the compiler joins to no pairs, take 34. Each half
/// of a pair is an atomic access of its own where it is aligned (Arm ARM B2.2.1), which it is on the shared side; the other side may be unaligned,
/// as normal memory may where components run (decision 0080). The compiler knows nothing of what is read and written here, so a peer that
/// writes at the same time is no data race.
///
/// # Safety
/// 1. `blocks` blocks of [`BLOCK`] words are readable from `from` and writable from `to` on. 2. They do not overlap.
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
#[expect(clippy::inline_always, reason = "a call would cost more than what a short record needs")]
#[inline(always)]
unsafe fn copy_blocks(from: *const u64, to: *mut u64, blocks: usize) {
    if blocks == 0 {
        return;
    }
    // SAFETY: by this function's own contract; the registers that change are said, and flags are not kept.
    unsafe {
        core::arch::asm!(
            "2: ldp {a}, {b}, [{from}]",
            "ldp {c}, {d}, [{from}, #16]",
            "ldp {e}, {f}, [{from}, #32]",
            "ldp {g}, {h}, [{from}, #48]",
            "stp {a}, {b}, [{to}]",
            "stp {c}, {d}, [{to}, #16]",
            "stp {e}, {f}, [{to}, #32]",
            "stp {g}, {h}, [{to}, #48]",
            "ldp {a}, {b}, [{from}, #64]",
            "ldp {c}, {d}, [{from}, #80]",
            "ldp {e}, {f}, [{from}, #96]",
            "ldp {g}, {h}, [{from}, #112]",
            "add {from}, {from}, #128",
            "stp {a}, {b}, [{to}, #64]",
            "stp {c}, {d}, [{to}, #80]",
            "stp {e}, {f}, [{to}, #96]",
            "stp {g}, {h}, [{to}, #112]",
            "add {to}, {to}, #128",
            "subs {blocks}, {blocks}, #1",
            "b.ne 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            blocks = inout(reg) blocks => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            e = out(reg) _, f = out(reg) _, g = out(reg) _, h = out(reg) _,
            options(nostack),
        );
    }
}

/// One ring's place in a region.
///
/// # Invariants
/// `offset` is 8-aligned, `capacity` a power of two of at least 64, and `offset + HEADER_BYTES + capacity` lies within the region.
#[derive(Debug, Clone)]
pub struct Mapped {
    region: Region,
    offset: usize,
    capacity: u32,
}

impl Mapped {
    /// The ring with a data area of `capacity` bytes at `offset` of `region`.
    ///
    /// # Errors
    /// [`RingError::Layout`] if it does not fit or is misaligned, or if `capacity` is no power of two within the limits.
    pub fn new(region: &Region, offset: usize, capacity: usize) -> Result<Self, RingError> {
        let is_sized = capacity.is_power_of_two() && (CAPACITY_MIN..=CAPACITY_MAX).contains(&capacity);
        let end = offset.checked_add(HEADER_BYTES).and_then(|data| data.checked_add(capacity));
        let fits = end.is_some_and(|end| end <= region.len());
        if !is_sized || !fits || !offset.is_multiple_of(8) {
            return Err(RingError::Layout);
        }
        let capacity = u32::try_from(capacity).map_err(|_| RingError::Layout)?;
        Ok(Self { region: region.clone(), offset, capacity })
    }

    /// The data words from byte position `at` on to the end of the data area, at most `count`.
    pub(crate) fn run(&self, at: u32, count: usize) -> &[AtomicU64] {
        let left = (self.capacity - (at & (self.capacity - 1) & !7)) as usize / 8;
        self.region.words(self.word_offset(at), count.min(left))
    }

    /// Offset in the region of the data word that byte position `at` falls into.
    fn word_offset(&self, at: u32) -> usize {
        // Masking keeps it inside whatever `at` is: capacity is a power of two of at least 64.
        self.offset + HEADER_BYTES + (at & (self.capacity - 1) & !7) as usize
    }
}

/// Bytes of words of one ring, of which there are fewer than 2^32.
pub(crate) fn span_of(words: &[AtomicU64]) -> u32 {
    u32::try_from(size_of_val(words)).unwrap_or(0)
}

impl RingMemory for Mapped {
    #[inline]
    fn capacity(&self) -> u32 {
        self.capacity
    }

    #[inline]
    fn epoch(&self) -> u32 {
        self.region.epoch
    }

    #[inline]
    fn load(&self, field: Field) -> u64 {
        self.region.word(self.offset + field.offset()).load(Ordering::Acquire)
    }

    #[inline]
    fn store(&self, field: Field, value: u64) {
        self.region.word(self.offset + field.offset()).store(value, Ordering::Release);
    }

    #[inline]
    fn load_word(&self, at: u32) -> u64 {
        u64::from_le(self.region.word(self.word_offset(at)).load(Ordering::Relaxed))
    }

    #[inline]
    fn store_word(&self, at: u32, value: u64) {
        self.region.word(self.word_offset(at)).store(value.to_le(), Ordering::Relaxed);
    }

    fn store_words(&self, at: u32, bytes: &[u8]) {
        let (mut at, mut words) = (at, bytes.as_chunks::<8>().0);
        while !words.is_empty() {
            let run = self.run(at, words.len());
            let (now, later) = words.split_at(run.len());
            store_all(run, now);
            (at, words) = (at.wrapping_add(span_of(run)), later);
        }
    }

    fn load_words(&self, at: u32, bytes: &mut [u8]) {
        let (mut at, mut words) = (at, bytes.as_chunks_mut::<8>().0);
        while !words.is_empty() {
            let run = self.run(at, words.len());
            let (now, later) = words.split_at_mut(run.len());
            load_all(run, now);
            (at, words) = (at.wrapping_add(span_of(run)), later);
        }
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn fence_acquire(&self) {
        fence(Ordering::Acquire);
    }
}
