//! A lock that yields while another thread has it; no thread sleeps in it, but calls of servers are made under it.
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value for one thread at a time.
pub(super) struct Lock<T> {
    is_taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by who has set `is_taken`, one thread at a time. The one value there is (`Shell`) is not `Send` for its `Env`,
// which keeps changes of peers and early bells in cells: changes are asked for under the lock only, and only the thread that takes the bells waits
// by its copy, which alone looks for early bells.
unsafe impl<T> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(super) const fn new(value: T) -> Self {
        Self { is_taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Lets `act` have the value. It must not ask for the same lock.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        while self.is_taken.swap(true, Ordering::Acquire) {
            hybrid_sys::yield_now();
        }
        // SAFETY: only this thread has set `is_taken` and not yet cleared it.
        let result = act(unsafe { &mut *self.value.get() });
        self.is_taken.store(false, Ordering::Release);
        result
    }
}
