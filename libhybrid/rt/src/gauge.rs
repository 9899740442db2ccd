//! Tells securityd how much of the heap is in use, in a word that both can see; decides nothing.
use core::sync::atomic::{AtomicUsize, Ordering};

static ADDRESS: AtomicUsize = AtomicUsize::new(0);

/// Tells where the word is.
///
/// # Safety
/// 1. `address` is that of an aligned `u64`, mapped readable and writable until the program ends.
/// 2. Nothing else in the program refers to that memory.
#[cfg(target_os = "none")]
pub(crate) unsafe fn set_address(address: usize) {
    ADDRESS.store(address, Ordering::Relaxed);
}

/// Bytes of this program's heap that are in use; 0 on a host, whose heap is not ours.
#[must_use]
pub fn heap_in_use() -> u64 {
    #[cfg(target_os = "none")]
    let used = crate::heap::used() as u64;
    #[cfg(not(target_os = "none"))]
    let used = 0;
    used
}

/// Writes the figure; done before each wait, when the component has no work in hand.
pub(crate) fn publish() {
    let address = ADDRESS.load(Ordering::Relaxed);
    if address != 0 {
        let word = core::ptr::with_exposed_provenance_mut::<u64>(address);
        // SAFETY: 1 and 2 of `set_address`, the only writer of `ADDRESS`.
        unsafe { word.write_volatile(heap_in_use()) };
    }
}
