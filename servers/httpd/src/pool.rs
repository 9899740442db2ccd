//! Byte buffers that are used again; idle connections hold none.

use alloc::vec::Vec;

/// Buffers kept for reuse.
const KEPT_MAX: usize = 64;
/// A buffer that grew beyond this is given back to the heap instead.
const KEPT_CAPACITY_MAX: usize = 32 * 1024;
/// What a new buffer holds before it grows.
const FIRST_CAPACITY: usize = 2048;

/// A stack of empty buffers.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    buffers: Vec<Vec<u8>>,
}

impl Pool {
    /// Buffers that are kept now.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.buffers.len()
    }

    /// An empty buffer.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(FIRST_CAPACITY))
    }

    /// Keeps a buffer for later, if that is worth it.
    pub(crate) fn put(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < KEPT_MAX && (1..=KEPT_CAPACITY_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}
