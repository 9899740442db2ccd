//! What the kernel works out about the machine before it runs: pure readers of hostile input; touches nothing.
//!
//! Built for size: all of it but the encoders of [`descriptor`] and [`gic`], which are inlined where they are used, runs once.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// Declares an error whose kinds are sentences, for the console.
macro_rules! sentences {
    ($(#[$doc:meta])* $name:ident { $($kind:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $(#[doc = $text] $kind,)* }

        impl $name {
            /// What is wrong, without a full stop.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}
use sentences;

pub mod descriptor;
pub mod device_tree;
pub mod elf;
pub mod gic;
pub mod layout;
pub mod memory;
pub mod regions;
