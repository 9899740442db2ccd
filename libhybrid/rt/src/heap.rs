//! The heap: one allocator over the span that securityd gave; nothing grows beyond it.
use core::cell::UnsafeCell;
use core::ptr::NonNull;
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
static HEAP: TalcLock<spinning_top::RawSpinlock, Manual> = TalcLock::new(Manual);

/// Gives the allocator its first bytes, which are part of the program. Only the first call has an effect that matters.
pub(crate) fn set_up_first() {
    // SAFETY: the static is used for nothing else; giving it twice is prevented by the one caller, the entry.
    unsafe { add(NonNull::from(&FIRST).cast(), FIRST_BYTES) };
}

/// Gives the allocator `len` bytes from `base`.
///
/// # Safety
/// The memory is mapped readable and writable until the program ends, and nothing else uses it.
pub(crate) unsafe fn add(base: NonNull<u8>, len: usize) {
    // SAFETY: by the caller's promise.
    let _too_small_if_none = unsafe { HEAP.lock().claim(base.as_ptr(), len) };
}
