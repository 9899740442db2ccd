//! One virtqueue with a buffer for each descriptor; believes nothing that the device writes.
//!
//! INV-RING-1: a buffer is either free (in `free`) or lent to the device (in `lent`, under its token), never both.
#![expect(unsafe_code, reason = "buffers are lent to the device by address")]
use crate::hal::{self, PoolHal};
use crate::nic::{Broken, StartError};
use alloc::vec::Vec;
use core::slice;
use core::sync::atomic::{Ordering, fence};
use libhybrid::drv::DmaRegion;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

/// Descriptors of a queue, and buffers for it.
pub(crate) const QUEUE_LEN: usize = 128;
/// Bytes of a buffer: a header and the largest frame, rounded up so that no buffer crosses a page.
pub(crate) const BUFFER: usize = 2048;

/// Who writes the buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToDevice,
    FromDevice,
}

/// A queue and its buffers.
pub(crate) struct Ring {
    queue: VirtQueue<PoolHal, QUEUE_LEN>,
    index: u16,
    direction: Direction,
    buffers: DmaRegion,
    free: Vec<usize>,
    /// For each token, the buffer that it stands for and the length that the device was told.
    lent: Vec<Option<(usize, usize)>>,
    has_news: bool,
}

impl Ring {
    pub(crate) fn new(transport: &mut impl Transport, index: u16, direction: Direction) -> Result<Self, StartError> {
        // Neither indirect descriptors (each needs an allocation) nor event indices (virtio-drivers compares them without
        // regard to their wrapping around, and then forgets to notify) are negotiated: decision 0060.
        let queue = VirtQueue::new(transport, index, false, false).map_err(|_| StartError::Queue)?;
        Ok(Self {
            queue,
            index,
            direction,
            buffers: hal::allocate(QUEUE_LEN * BUFFER).ok_or(StartError::Memory)?,
            free: (0..QUEUE_LEN).rev().collect(),
            lent: alloc::vec![None; QUEUE_LEN],
            has_news: false,
        })
    }

    /// Whether a buffer is free.
    pub(crate) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Lends a free buffer of `len` bytes, whose first bytes are `parts` one after the other. False: none is free.
    pub(crate) fn lend(&mut self, len: usize, parts: &[&[u8]]) -> Result<bool, Broken> {
        let Some(buffer) = self.free.pop() else { return Ok(false) };
        let mut offset = buffer * BUFFER;
        for part in parts {
            if !self.buffers.write(offset, part) {
                return Err(Broken);
            }
            offset += part.len();
        }
        // SAFETY: 1: `buffer` was free and is lent now.
        let bytes = unsafe { self.bytes(buffer, len) };
        let token = match self.direction {
            // SAFETY: the buffer stays valid (INV-RING-1, static memory), and is not touched until `reclaim` pops its token.
            Direction::ToDevice => unsafe { self.queue.add(&[bytes], &mut []) },
            // SAFETY: as above.
            Direction::FromDevice => unsafe { self.queue.add(&[], &mut [bytes]) },
        };
        let token = token.map_err(|_| Broken)?;
        let entry = self.lent.get_mut(usize::from(token)).ok_or(Broken)?;
        *entry = Some((buffer, len));
        self.has_news = true;
        Ok(true)
    }

    /// Takes back the next buffer that the device has used, hands it and the length that the device claims to `read`, and frees it.
    pub(crate) fn reclaim(&mut self, read: impl FnOnce(&DmaRegion, usize, usize)) -> Result<bool, Broken> {
        let Some(token) = self.queue.peek_used() else { return Ok(false) };
        // The device may name a token that is not lent, or lent no more.
        let entry = self.lent.get_mut(usize::from(token)).ok_or(Broken)?;
        let (buffer, len) = entry.take().ok_or(Broken)?;
        // SAFETY: 1: `buffer` was lent and is taken back now.
        let bytes = unsafe { self.bytes(buffer, len) };
        let used = match self.direction {
            // SAFETY: the same buffer was added under this token (`lent`).
            Direction::ToDevice => unsafe { self.queue.pop_used(token, &[bytes], &mut []) },
            // SAFETY: as above.
            Direction::FromDevice => unsafe { self.queue.pop_used(token, &[], &mut [bytes]) },
        };
        let used = used.map_err(|_| Broken)?;
        read(&self.buffers, buffer * BUFFER, usize::try_from(used).map_err(|_| Broken)?);
        self.free.push(buffer);
        Ok(true)
    }

    /// Tells the device of what was lent since, if it wants to know.
    pub(crate) fn notify(&mut self, transport: &mut impl Transport) {
        if core::mem::take(&mut self.has_news) {
            // The new index is stored before the device's wish not to be notified is read, or both sides could miss each other
            // (Virtio 1.2 §2.7.13.4.1); virtio-drivers leaves out this barrier.
            fence(Ordering::SeqCst);
            if self.queue.should_notify() {
                transport.notify(self.index);
            }
        }
    }

    /// Whether the device interrupts when it has used a buffer. After switching it on, look once more for used buffers.
    pub(crate) fn set_interrupts(&mut self, is_on: bool) {
        self.queue.set_dev_notify(is_on);
        fence(Ordering::SeqCst);
    }

    /// The memory of a buffer as virtio-drivers wants to see it: it takes the address and the length, and never reads or writes it.
    ///
    /// # Safety
    /// 1. No other reference to the buffer's memory exists while this one does.
    unsafe fn bytes<'a>(&self, buffer: usize, len: usize) -> &'a mut [u8] {
        let address = self.buffers.base().as_ptr().wrapping_add(buffer * BUFFER);
        // SAFETY: there are QUEUE_LEN buffers of BUFFER bytes in the region, which stays mapped for the rest of the program; 1 by the caller.
        unsafe { slice::from_raw_parts_mut(address, len.min(BUFFER)) }
    }
}
