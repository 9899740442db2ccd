//! One virtqueue with a buffer for each descriptor; believes nothing that the device writes.
//!
//! INV-RING-1: a buffer is either free (in `free`) or lent to the device (in `lent`, under its token), never both.
#![expect(unsafe_code, reason = "buffers are lent to the device by address")]
use crate::hal::{self, PoolHal};
use crate::start::{Broken, StartError};
use alloc::vec::Vec;
use core::slice;
use core::sync::atomic::{Ordering, fence};
use hybrid_drv::DmaRegion;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

/// Who writes the buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The driver.
    ToDevice,
    /// The device.
    FromDevice,
}

/// A queue of `LEN` descriptors and as many buffers.
pub struct Ring<const LEN: usize> {
    queue: VirtQueue<PoolHal, LEN>,
    index: u16,
    direction: Direction,
    buffers: DmaRegion,
    /// Bytes of a buffer.
    size: usize,
    free: Vec<usize>,
    /// For each token, the buffer that it stands for and the length that the device was told.
    lent: Vec<Option<(usize, usize)>>,
    has_news: bool,
}

impl<const LEN: usize> Ring<LEN> {
    /// Queue `index` of the device, with all its buffers of `size` bytes free. A `size` that divides a page keeps each buffer within one.
    ///
    /// # Errors
    /// [`StartError::Queue`], [`StartError::Memory`].
    pub fn new(
        transport: &mut impl Transport,
        index: u16,
        direction: Direction,
        size: usize,
    ) -> Result<Self, StartError> {
        // Neither indirect descriptors (each needs an allocation) nor event indices (virtio-drivers compares them without
        // regard to their wrapping around, and then forgets to notify) are negotiated: decision 0060.
        let queue = VirtQueue::new(transport, index, false, false).map_err(|_| StartError::Queue)?;
        Ok(Self {
            queue,
            index,
            direction,
            buffers: hal::allocate(LEN * size).ok_or(StartError::Memory)?,
            size,
            free: (0..LEN).rev().collect(),
            lent: alloc::vec![None; LEN],
            has_news: false,
        })
    }

    /// Whether a buffer is free.
    #[must_use]
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Lends a free buffer of `len` bytes. False: none is free.
    ///
    /// # Errors
    /// [`Broken`]: more than a buffer holds.
    pub fn lend(&mut self, len: usize) -> Result<bool, Broken> {
        self.lend_with(|_, _| Some(len))
    }

    /// Lends a free buffer that `fill` fills: it gets the memory of all buffers and where in it this one begins, and says how many bytes of it there are; `None`
    /// leaves the buffer free. False: none is free, or `fill` had nothing.
    ///
    /// # Errors
    /// [`Broken`]: more than a buffer holds.
    pub fn lend_with(&mut self, fill: impl FnOnce(&DmaRegion, usize) -> Option<usize>) -> Result<bool, Broken> {
        let Some(buffer) = self.free.pop() else { return Ok(false) };
        let Some(len) = fill(&self.buffers, buffer * self.size) else {
            self.free.push(buffer);
            return Ok(false);
        };
        if len > self.size {
            return Err(Broken);
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
    /// `read` gets the memory of all buffers and where in it this one begins. False: the device has used none.
    ///
    /// # Errors
    /// [`Broken`]: the device named a buffer that it does not have.
    pub fn reclaim(&mut self, read: impl FnOnce(&DmaRegion, usize, usize)) -> Result<bool, Broken> {
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
        read(&self.buffers, buffer * self.size, usize::try_from(used).map_err(|_| Broken)?);
        self.free.push(buffer);
        Ok(true)
    }

    /// Tells the device of what was lent since, if it wants to know.
    pub fn notify(&mut self, transport: &mut impl Transport) {
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
    pub fn set_interrupts(&mut self, is_on: bool) {
        self.queue.set_dev_notify(is_on);
        fence(Ordering::SeqCst);
    }

    /// The memory of a buffer as virtio-drivers wants to see it: it takes the address and the length, and never reads or writes it.
    ///
    /// # Safety
    /// 1. No other reference to the buffer's memory exists while this one does.
    unsafe fn bytes<'a>(&self, buffer: usize, len: usize) -> &'a mut [u8] {
        let address = self.buffers.base().as_ptr().wrapping_add(buffer * self.size);
        // SAFETY: there are LEN buffers of `size` bytes in the region, which stays mapped for the rest of the program; 1 by the caller.
        unsafe { slice::from_raw_parts_mut(address, len.min(self.size)) }
    }
}
