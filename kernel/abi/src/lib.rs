//! The kernel's ABI as constants and wire types; no behaviour.
//!
//! Everything a user program and the kernel must agree on: numbers, layouts, limits.
//! The source of every number is the seL4 16.0.0 (MCS, AArch64) ABI; the few additions
//! of HybridOS live in [`extension`] and nowhere else. Used by the kernel and by `hybrid-sys`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

/// Declares constants that differ in nothing but name and number.
macro_rules! constants {
    ($kind:ty: $( $(#[$doc:meta])* $name:ident = $number:literal ),* $(,)?) => {
        $( $(#[$doc])* pub const $name: $kind = $number; )*
    };
}
use constants;

/// Declares an enum whose variants are numbers of the interface.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $( $(#[$own:meta])* $variant:ident = $number:literal ),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum $name { $( $(#[$own])* $variant = $number ),* }

        impl $name {
            /// The one with this number, if there is one.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $( $number => Some(Self::$variant), )* _ => None }
            }

            /// The number as it stands in a message.
            #[must_use]
            pub const fn number(self) -> u64 {
                self as u64
            }
        }
    };
}
use numbered;

pub mod bootinfo;
pub mod cap_tag;
pub mod error;
pub mod extension;
pub mod fault;
pub mod ipc_buffer;
pub mod label;
pub mod limits;
pub mod message;
pub mod object;
pub mod register;
pub mod rights;
pub mod slot;
pub mod syscall;
pub mod vm;
