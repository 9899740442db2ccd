//! What `cores.rs` uses of the machine, each access a step of the explorer.

pub(crate) mod atomic {
    //! Atomic words that have their first value again in each run.

    pub(crate) use std::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use crate::explorer::{RUN, look, write};

    macro_rules! word {
        ($name:ident$(<$parameter:ident>)?, $kind:ty) => {
            pub(crate) struct $name$(<$parameter>)? {
                first: $kind,
                now: std::sync::atomic::$name$(<$parameter>)?,
                run: AtomicU64,
            }

            impl$(<$parameter>)? $name$(<$parameter>)? {
                pub(crate) const fn new(first: $kind) -> Self {
                    Self { first, now: std::sync::atomic::$name::new(first), run: AtomicU64::new(0) }
                }

                fn word(&self) -> &std::sync::atomic::$name$(<$parameter>)? {
                    let run = RUN.load(Relaxed);
                    if self.run.swap(run, Relaxed) != run {
                        self.now.store(self.first, Relaxed);
                    }
                    &self.now
                }

                pub(crate) fn load(&self, _: Ordering) -> $kind {
                    look();
                    self.word().load(Relaxed)
                }

                pub(crate) fn store(&self, value: $kind, _: Ordering) {
                    write();
                    self.word().store(value, Relaxed);
                }
            }
        };
    }

    word!(AtomicU8, u8);
    word!(AtomicU32, u32);
    word!(AtomicPtr<T>, *mut T);

    // SAFETY: `first` is null, and a pointer that is only compared and handed on; `std`'s own word is `Sync` for all `T`.
    unsafe impl<T> Sync for AtomicPtr<T> {}

    impl AtomicU32 {
        pub(crate) fn fetch_add(&self, more: u32, _: Ordering) -> u32 {
            write();
            self.word().fetch_add(more, Relaxed)
        }
    }
}

pub(crate) mod cpu {
    //! The instructions.

    use crate::explorer;

    pub(crate) fn core_word() -> u64 {
        explorer::CORE.get() as u64
    }

    pub(crate) fn let_others_run() {
        explorer::poll_again();
    }
}
