//! Kernel objects as views of physical memory words; layouts, not behaviour.
//!
//! An object is addressed by the physical address of its first byte (`TcbRef`, `EndpointRef`, …; never 0).
//! A *view* (`Tcb`, `Endpoint`, …) is a borrowed array of word cells with named accessors, so several views of
//! one object may live at once. Word numbers below are the layout; an assembly path may rely on them
//! (byte offset = 8 × word).

mod endpoint;
mod sched_context;
mod slot;
mod tcb;

use core::num::NonZeroU64;

pub use endpoint::{Endpoint, EndpointState, Notification, NotificationState, Reply};
pub use sched_context::{Refill, SchedContext};
pub use slot::{MdbNode, Slot};
pub(crate) use tcb::status;
pub use tcb::{FP_WORD, NAME_WORD, NAME_WORDS, TCB_SLOTS, Tcb, TcbSlot, ThreadState, context};

/// A value that is kept in one word of an object.
pub trait Word: Copy {
    /// Reads it back; total.
    fn from_word(word: u64) -> Self;
    /// The word to store.
    fn to_word(self) -> u64;
}

impl Word for u64 {
    #[inline]
    fn from_word(word: u64) -> Self {
        word
    }
    #[inline]
    fn to_word(self) -> u64 {
        self
    }
}

impl Word for bool {
    #[inline]
    fn from_word(word: u64) -> Self {
        word != 0
    }
    #[inline]
    fn to_word(self) -> u64 {
        u64::from(self)
    }
}

impl Word for u8 {
    #[inline]
    fn from_word(word: u64) -> Self {
        word.to_le_bytes()[0]
    }
    #[inline]
    fn to_word(self) -> u64 {
        u64::from(self)
    }
}

/// Declares an enum that is kept in a word, or in some bits of one, as the number of its variant. A number that none has is read as
/// the variant after `else`.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident else $default:ident { $( $(#[$variant_doc:meta])* $variant:ident = $number:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$variant_doc])* $variant = $number, )* }

        impl $crate::object::Word for $name {
            #[inline]
            fn from_word(word: u64) -> Self {
                match word {
                    $( $number => Self::$variant, )*
                    _ => Self::$default,
                }
            }
            #[inline]
            fn to_word(self) -> u64 {
                self as u64
            }
        }
    };
}
pub(crate) use numbered;

macro_rules! object_refs {
    ($( $(#[$doc:meta])* $name:ident ),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The object at this physical address; `None` for address 0, which is never an object.
            #[inline]
            #[must_use]
            pub const fn new(paddr: u64) -> Option<Self> {
                match NonZeroU64::new(paddr) {
                    Some(paddr) => Some(Self(paddr)),
                    None => None,
                }
            }

            /// Physical address of its first byte.
            #[inline]
            #[must_use]
            pub const fn paddr(self) -> u64 {
                self.0.get()
            }
        }

        impl Word for Option<$name> {
            #[inline]
            fn from_word(word: u64) -> Self {
                $name::new(word)
            }
            #[inline]
            fn to_word(self) -> u64 {
                self.map_or(0, $name::paddr)
            }
        }
    )* };
}

object_refs! {
    /// A thread (2048 bytes).
    TcbRef,
    /// An endpoint (16 bytes).
    EndpointRef,
    /// A notification (64 bytes).
    NotificationRef,
    /// A reply object (32 bytes).
    ReplyRef,
    /// A scheduling context (96 bytes and 16 per refill).
    SchedContextRef,
    /// A slot (32 bytes): of a CNode, of a thread or of the interrupt table.
    SlotRef,
    /// A page table of any level (4096 bytes).
    TableRef,
    /// An ASID pool (4096 bytes).
    PoolRef,
    /// A CNode (32 bytes per slot).
    CNodeRef,
}

/// Declares a view: a fixed number of words with named one-word fields.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident[$words:expr] { $( $(#[$field_doc:meta])* $word:literal => $get:ident, $set:ident: $ty:ty; )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'m>(&'m [core::cell::Cell<u64>; $words]);

        impl<'m> $name<'m> {
            /// Words of the fixed part.
            pub const WORDS: usize = $words;

            /// Sees these words as the object.
            #[inline]
            pub const fn new(words: &'m [core::cell::Cell<u64>; $words]) -> Self {
                Self(words)
            }

            $(
                $(#[$field_doc])*
                #[inline]
                pub fn $get(self) -> $ty {
                    <$ty as $crate::object::Word>::from_word(self.0[$word].get())
                }

                #[doc = concat!("Sets what `", stringify!($get), "` gives.")]
                #[inline]
                pub fn $set(self, value: $ty) {
                    self.0[$word].set(<$ty as $crate::object::Word>::to_word(value));
                }
            )*
        }
    };
}
use view;
