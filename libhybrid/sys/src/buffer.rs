//! The IPC buffer: the words of a message beyond the fourth, and capabilities; nothing in it is trusted.
//!
//! The buffer of the running thread is the one in TPIDRRO_EL0 if the thread's creator put an address there (threads
//! beyond the first), else the one that [`set_address`] told. It is accessed word by word, volatile, through a raw
//! pointer: the kernel writes it during system calls. Without a buffer reads give 0 and writes vanish, as they do in the kernel.
use crate::CPtr;
use crate::raw::thread_buffer;
use core::sync::atomic::{AtomicUsize, Ordering};
use hybrid_abi::ipc_buffer::{CAPS_OR_BADGES, MESSAGE, RECEIVE_CNODE, RECEIVE_DEPTH, RECEIVE_INDEX, SIZE_BITS, WORDS};
use hybrid_abi::message::{MAX_EXTRA_CAPS, MAX_LENGTH};

static ADDRESS: AtomicUsize = AtomicUsize::new(0);

/// Tells where the IPC buffer of the program's first thread is mapped. The runtime does this once, before anything else.
///
/// # Safety
/// 1. `address` is 0 or that of a 1024-aligned IPC buffer of 1024 bytes, mapped readable and writable until the program ends.
/// 2. Nothing else in the program refers to that memory.
pub unsafe fn set_address(address: usize) {
    debug_assert!(address.is_multiple_of(1 << SIZE_BITS));
    ADDRESS.store(address, Ordering::Relaxed);
}

/// Where the running thread's creator put its IPC buffer; 0 in the first thread.
#[must_use]
pub fn of_thread() -> usize {
    thread_buffer()
}

/// The words of the running thread's message, found once for many accesses.
#[derive(Debug, Clone, Copy)]
pub struct Words(Option<*mut u64>);

/// The words of the running thread's message.
#[must_use]
pub fn words() -> Words {
    Words(base())
}

impl Words {
    /// Message register `index` (from 4; the first four are in CPU registers); 0 beyond the last.
    #[must_use]
    #[inline]
    pub fn word(self, index: usize) -> u64 {
        if index < MAX_LENGTH { load(self.0, MESSAGE + index) } else { 0 }
    }

    /// Sets message register `index` (from 4); ignored beyond the last.
    #[inline]
    pub fn set(self, index: usize, value: u64) {
        if index < MAX_LENGTH {
            store(self.0, MESSAGE + index, value);
        }
    }
}

/// Message register `index` (from 4; the first four are in CPU registers); 0 beyond the last.
#[must_use]
pub fn word(index: usize) -> u64 {
    words().word(index)
}

/// Sets message register `index` (from 4); ignored beyond the last.
pub fn set_word(index: usize, value: u64) {
    words().set(index, value);
}

/// Sets the `index`-th (0…2) capability to send; ignored beyond the last.
pub fn set_cap(index: usize, cap: CPtr) {
    if index < MAX_EXTRA_CAPS {
        store(base(), CAPS_OR_BADGES + index, cap.0);
    }
}

/// Badge of the `index`-th (0…2) received capability that was unwrapped.
#[must_use]
pub fn badge(index: usize) -> u64 {
    if index < MAX_EXTRA_CAPS { load(base(), CAPS_OR_BADGES + index) } else { 0 }
}

/// Sets the empty slot that the next received capability goes to. `cnode` is the capability of a CNode; `CPtr(0)`: none.
pub fn set_receive_slot(cnode: CPtr, index: u64, depth: u8) {
    let base = base();
    store(base, RECEIVE_CNODE, cnode.0);
    store(base, RECEIVE_INDEX, index);
    store(base, RECEIVE_DEPTH, u64::from(depth));
}

/// The first word of the buffer, if there is a buffer.
#[inline]
fn base() -> Option<*mut u64> {
    let own = thread_buffer();
    let address = if own == 0 { ADDRESS.load(Ordering::Relaxed) } else { own };
    (address != 0).then(|| core::ptr::with_exposed_provenance_mut::<u64>(address))
}

/// Word `index` of the buffer, which must be below [`WORDS`].
#[inline]
fn load(base: Option<*mut u64>, index: usize) -> u64 {
    debug_assert!(index < WORDS);
    let Some(base) = base else { return 0 };
    // SAFETY: the index is inside the buffer (every caller checks it against a smaller bound).
    let at = unsafe { base.add(index) };
    // SAFETY: the address is that of an IPC buffer (1 of `set_address`, or by the thread's creator), and no reference
    // to it exists (2).
    unsafe { at.read_volatile() }
}

#[inline]
fn store(base: Option<*mut u64>, index: usize, value: u64) {
    debug_assert!(index < WORDS);
    let Some(base) = base else { return };
    // SAFETY: as in `load`.
    let at = unsafe { base.add(index) };
    // SAFETY: as in `load`.
    unsafe { at.write_volatile(value) };
}
