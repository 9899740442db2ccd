//! The heap: one allocator over the span that securityd gave, and over what a program adds to it of its own.
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use talc::TalcLock;
use talc::source::Manual;

/// Room for decoding the start information, which tells where the heap is.
const FIRST_BYTES: usize = 32 * 1024;

#[repr(align(16))]
struct First {
    _bytes: UnsafeCell<[u8; FIRST_BYTES]>,
}

// SAFETY: only its address is taken, once, to give it to the allocator.
unsafe impl Sync for First {}

static FIRST: First = First { _bytes: UnsafeCell::new([0; FIRST_BYTES]) };

#[global_allocator]
static HEAP: Counted = Counted { heap: TalcLock::new(Manual), used: AtomicUsize::new(0) };

/// The allocator, and the sum of the sizes that were asked of it and not given back.
struct Counted {
    heap: TalcLock<spinning_top::RawSpinlock, Manual>,
    used: AtomicUsize,
}

// SAFETY: every call is passed on unchanged; counting touches no memory of the heap.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that is asked for.
        let block = unsafe { self.heap.alloc(layout) };
        if !block.is_null() {
            self.used.fetch_add(layout.size(), Ordering::Relaxed);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `alloc`.
        unsafe { self.heap.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let moved = unsafe { self.heap.realloc(block, layout, new_size) };
        if !moved.is_null() {
            self.used.fetch_add(new_size, Ordering::Relaxed);
            self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        moved
    }
}

/// Bytes of the heap that are in use.
pub(crate) fn used() -> usize {
    HEAP.used.load(Ordering::Relaxed)
}

/// Gives the allocator its first bytes, which are part of the program. Only the first call has an effect that matters.
pub(crate) fn set_up_first() {
    // SAFETY: the static is used for nothing else; giving it twice is prevented by the one caller, the entry.
    unsafe { add(NonNull::from(&FIRST).cast(), FIRST_BYTES) };
}

/// Gives the allocator `len` bytes from `base`.
///
/// # Safety
/// The memory is mapped readable and writable until the program ends, and nothing else uses it.
pub unsafe fn add(base: NonNull<u8>, len: usize) {
    // SAFETY: by the caller's promise.
    let _too_small_if_none = unsafe { HEAP.heap.lock().claim(base.as_ptr(), len) };
}
