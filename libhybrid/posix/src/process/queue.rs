//! Whole messages that wait, each behind the name of its sender; sockets use it, it knows none.
//!
//! INV-DATAGRAM-1: a message is in a queue whole, with its sender, or not at all.
use super::address::{ENCODED_MAX, Encoded};
use super::pieces::{Buffer, Pieces};
use crate::Areas;
use crate::number::Errno;
use crate::world::World;

/// Bytes of a queue, which are pages of the program's heap.
pub(super) const QUEUE: u64 = 32 * 1024;
/// The longest message within the component.
pub(super) const MESSAGE_MAX: u64 = 16 * 1024;
/// Before each message: the bytes of it and of its sender's name, two each.
const HEAD: u64 = 4;
/// The most that a message takes.
const ROOM: u64 = HEAD + ENCODED_MAX as u64 + MESSAGE_MAX;

/// Messages in the order in which they came.
#[derive(Debug)]
pub(super) struct Queue(Buffer);

/// The bytes of a message.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    /// Of the program: where, and how many.
    Program(Pieces, u64),
    Stack(&'a [u8]),
}

/// The first message.
pub(super) struct Front {
    pub(super) length: u64,
    pub(super) sender: Encoded,
    /// Bytes before it.
    skip: u64,
}

impl Payload<'_> {
    pub(super) const fn length(self) -> u64 {
        match self {
            Self::Program(_, length) => length,
            Self::Stack(bytes) => bytes.len() as u64,
        }
    }
}

impl Queue {
    pub(super) fn new<S: super::Pages>(areas: &mut Areas<S>, world: &mut impl World) -> Result<Self, Errno> {
        Buffer::new(areas, world, QUEUE).map(Self)
    }

    /// Gives its pages back.
    pub(super) fn free<S: super::Pages>(self, areas: &mut Areas<S>) {
        self.0.free(areas);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Whether there is room for the longest message.
    pub(super) const fn has_room(&self) -> bool {
        self.0.room() >= ROOM
    }

    /// Whether there was room for it.
    ///
    /// # Errors
    /// `EFAULT` if the program's memory ends within the message.
    pub(super) fn push(
        &mut self,
        world: &mut impl World,
        sender: &Encoded,
        payload: Payload<'_>,
    ) -> Result<bool, Errno> {
        let (Ok(length), name) = (u16::try_from(payload.length()), sender.as_ref()) else { return Ok(false) };
        if self.0.room() < HEAD + name.len() as u64 + u64::from(length) {
            return Ok(false);
        }
        let before = self.0.len();
        if self.push_parts(world, length, name, payload) == Ok(length.into()) {
            return Ok(true);
        }
        self.0.cut(before);
        Err(Errno::EFAULT)
    }

    /// Bytes of the message that were put behind its head and its sender's name.
    fn push_parts(
        &mut self,
        world: &mut impl World,
        length: u16,
        name: &[u8],
        payload: Payload<'_>,
    ) -> Result<u64, Errno> {
        let [a, b] = length.to_le_bytes();
        let [c, d] = u16::try_from(name.len()).unwrap_or(0).to_le_bytes();
        self.0.push(world, &[a, b, c, d])?;
        self.0.push(world, name)?;
        match payload {
            Payload::Program(pieces, _) => self.0.push_from(world, pieces, 0),
            Payload::Stack(bytes) => self.0.push(world, bytes).map(|length| length as u64),
        }
    }

    /// The first message of a queue that is not empty.
    pub(super) fn front(&self, world: &impl World) -> Result<Front, Errno> {
        let (mut head, mut name) = ([0; 4], [0; ENCODED_MAX]);
        self.0.peek_whole(world, 0, &mut head)?;
        let [a, b, c, d] = head;
        let name_length = u16::from_le_bytes([c, d]);
        let name = name.get_mut(..name_length.into()).unwrap_or_default();
        self.0.peek_whole(world, HEAD, name)?;
        let skip = HEAD + u64::from(name_length);
        Ok(Front { length: u16::from_le_bytes([a, b]).into(), sender: Encoded::of(&[name]), skip })
    }

    /// Gives the program so much of the first message.
    pub(super) fn copy(&self, world: &mut impl World, front: &Front, pieces: Pieces, most: u64) -> Result<u64, Errno> {
        self.0.copy_to(world, pieces, front.skip, most)
    }

    /// Takes the first message.
    pub(super) fn drop_front(&mut self, front: &Front) {
        self.0.drop_front(front.skip + front.length);
    }
}
