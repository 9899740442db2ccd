//! What a program wants of the serial line that was granted: hybrid.console.Terminal without its encoding.

use alloc::vec::Vec;

/// Most bytes that are said at a time.
pub const WRITE_MAX: usize = 512;

/// The line, in both directions. Nothing waits. While its driver is away nothing comes, and what is said is lost, as on a line that is cut.
pub trait Wire {
    /// Says at most [`WRITE_MAX`] bytes. False if there is no room: then a bell comes when there is.
    fn push(&mut self, bytes: &[u8]) -> bool;

    /// What was typed next; it is in `scratch`. After `None` a bell comes when there is more.
    fn next<'a>(&mut self, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]>;
}
