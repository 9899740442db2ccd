//! One virtqueue of requests: head, data in one direction, status; believes nothing that the device writes.
//!
//! INV-REQ-1: a place is either free (in `free`) or under way (in `lent`, under its token), never both.
#![expect(unsafe_code, reason = "buffers are lent to the device by address")]
use crate::hal::{self, PoolHal};
use crate::start::{Broken, StartError};
use alloc::vec::Vec;
use core::slice;
use core::sync::atomic::{Ordering, fence};
use hybrid_drv::DmaRegion;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;

/// Bytes of a head; shorter ones are padded with zeros.
pub const HEAD: usize = 16;
/// Bytes of a place behind its data: the head, and the status byte on a line of its own.
const TAIL: usize = 64;
const STATUS: usize = 32;
/// What no device answers; it stands in the status until the device has written another.
const UNANSWERED: u8 = 0xff;

/// What goes along with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Nothing.
    None,
    /// Bytes for the device.
    Out(&'a [u8]),
    /// Room for so many bytes of the device's.
    In(usize),
}

/// What is under way at a place.
#[derive(Debug, Clone, Copy)]
enum Shape {
    None,
    Out(usize),
    In(usize),
}

/// An answer of the device. Where its data lies may be read until [`Requests::free`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Which request.
    pub place: usize,
    /// What the device wrote as the status.
    pub status: u8,
    /// Bytes of data that the device claims to have written; no more than it was given room for.
    pub written: usize,
}

/// A queue of `LEN` descriptors, three for each of its places.
pub struct Requests<const LEN: usize> {
    queue: VirtQueue<PoolHal, LEN>,
    index: u16,
    memory: DmaRegion,
    /// Bytes of a place's data.
    size: usize,
    free: Vec<usize>,
    /// For each token, the place under way and what it has.
    lent: Vec<Option<(usize, Shape)>>,
    has_news: bool,
}

impl<const LEN: usize> Requests<LEN> {
    /// Queue `index` of the device, with `places` (at most `LEN` / 3) for at most `size` bytes of data each.
    ///
    /// # Errors
    /// [`StartError::Queue`], [`StartError::Memory`].
    pub fn new(transport: &mut impl Transport, index: u16, places: usize, size: usize) -> Result<Self, StartError> {
        if places * 3 > LEN {
            return Err(StartError::Queue);
        }
        // Neither indirect descriptors nor event indices: decision 0060.
        let queue = VirtQueue::new(transport, index, false, false).map_err(|_| StartError::Queue)?;
        let size = size.next_multiple_of(TAIL);
        let memory = hal::allocate(places * (size + TAIL)).ok_or(StartError::Memory)?;
        let (free, lent) = ((0..places).rev().collect(), alloc::vec![None; LEN]);
        Ok(Self { queue, index, memory, size, free, lent, has_news: false })
    }

    /// Whether a place is free.
    #[must_use]
    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Sends a request; returns its place, or nothing if none is free.
    ///
    /// # Errors
    /// [`Broken`]: head or data are more than a place holds, or the queue does not keep what it promised.
    pub fn send(&mut self, head: &[u8], body: Body<'_>) -> Result<Option<usize>, Broken> {
        let shape = match body {
            Body::None | Body::In(0) => Shape::None,
            Body::Out([]) => Shape::None,
            Body::Out(data) => Shape::Out(data.len()),
            Body::In(len) => Shape::In(len),
        };
        if head.len() > HEAD || shape.data_len() > self.size {
            return Err(Broken);
        }
        let Some(place) = self.free.pop() else { return Ok(None) };
        let at = place * (self.size + TAIL);
        let mut padded = [0; HEAD];
        padded[..head.len()].copy_from_slice(head);
        let data = if let Body::Out(data) = body { data } else { &[] };
        let is_written = self.memory.write(at, data)
            && self.memory.write(at + self.size, &padded)
            && self.memory.write(at + self.size + STATUS, &[UNANSWERED]);
        if !is_written {
            return Err(Broken);
        }
        let token = self.add(place, shape)?;
        *self.lent.get_mut(usize::from(token)).ok_or(Broken)? = Some((place, shape));
        self.has_news = true;
        Ok(Some(place))
    }

    fn add(&mut self, place: usize, shape: Shape) -> Result<u16, Broken> {
        // SAFETY: 1: the place was free and is under way from now on.
        let [data, head, status] = unsafe { self.parts(place, shape) };
        let token = match shape {
            // SAFETY: the buffers stay valid (INV-REQ-1, static memory), and are not touched until `receive` pops their token.
            Shape::None => unsafe { self.queue.add(&[head], &mut [status]) },
            // SAFETY: as above.
            Shape::Out(_) => unsafe { self.queue.add(&[head, data], &mut [status]) },
            // SAFETY: as above.
            Shape::In(_) => unsafe { self.queue.add(&[head], &mut [data, status]) },
        };
        token.map_err(|_| Broken)
    }

    /// The next answer, if there is one. Its place is not free yet.
    ///
    /// # Errors
    /// [`Broken`]: the device answered what was not asked, or claims to have written more than there was room for.
    pub fn receive(&mut self) -> Result<Option<Answer>, Broken> {
        let Some(token) = self.queue.peek_used() else { return Ok(None) };
        let entry = self.lent.get_mut(usize::from(token)).ok_or(Broken)?;
        let (place, shape) = entry.take().ok_or(Broken)?;
        // SAFETY: 1: the place was under way and is taken back now.
        let [data, head, status] = unsafe { self.parts(place, shape) };
        let used = match shape {
            // SAFETY: the same buffers were added under this token (`lent`).
            Shape::None => unsafe { self.queue.pop_used(token, &[head], &mut [status]) },
            // SAFETY: as above.
            Shape::Out(_) => unsafe { self.queue.pop_used(token, &[head, data], &mut [status]) },
            // SAFETY: as above.
            Shape::In(_) => unsafe { self.queue.pop_used(token, &[head], &mut [data, status]) },
        };
        let used = used.map_err(|_| Broken).and_then(|used| usize::try_from(used).map_err(|_| Broken))?;
        let room = if let Shape::In(len) = shape { len } else { 0 };
        // The status byte counts, where the device says that it wrote it.
        if used > room + 1 {
            return Err(Broken);
        }
        let mut status = [0];
        let _is_inside = self.memory.read(place * (self.size + TAIL) + self.size + STATUS, &mut status);
        Ok(Some(Answer { place, status: status[0], written: used.saturating_sub(1) }))
    }

    /// Copies data of an answer. False: there is not so much at a place.
    #[must_use]
    pub fn read(&self, place: usize, data: &mut [u8]) -> bool {
        data.len() <= self.size && self.memory.read(place * (self.size + TAIL), data)
    }

    /// Frees the place of an answer.
    pub fn free(&mut self, answer: Answer) {
        if !self.free.contains(&answer.place) {
            self.free.push(answer.place);
        }
    }

    /// Tells the device of what was sent since, if it wants to know.
    pub fn notify(&mut self, transport: &mut impl Transport) {
        if core::mem::take(&mut self.has_news) {
            // As in `Ring::notify`: the index is stored before the device's wish is read.
            fence(Ordering::SeqCst);
            if self.queue.should_notify() {
                transport.notify(self.index);
            }
        }
    }

    /// Data, head and status of a place as virtio-drivers wants to see them: it takes addresses and lengths, and never reads or writes them.
    ///
    /// # Safety
    /// 1. No other reference to the place's memory exists while these do.
    unsafe fn parts<'a>(&self, place: usize, shape: Shape) -> [&'a mut [u8]; 3] {
        let base = self.memory.base().as_ptr().wrapping_add(place * (self.size + TAIL));
        let spans = [(0, shape.data_len().min(self.size)), (self.size, HEAD), (self.size + STATUS, 1)];
        spans.map(|(offset, len)| {
            // SAFETY: the three do not overlap, and lie in the region, which has a place of this number and stays mapped for the rest of the
            // program; 1 by the caller.
            unsafe { slice::from_raw_parts_mut(base.wrapping_add(offset), len) }
        })
    }
}

impl Shape {
    fn data_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Out(len) | Self::In(len) => len,
        }
    }
}
