//! The program's memory that a call reads or fills: one piece, or the list of a `readv`; and buffers between two calls.
use crate::Areas;
use crate::areas::Access;
use crate::number::Errno;
use crate::world::{self, World};

/// The most parts of one list (`IOV_MAX`).
const PARTS_MAX: u64 = 1024;
/// What is moved at a time.
pub(super) const CHUNK: usize = 512;

/// Where the bytes of one call are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// Address and bytes.
    One(u64, u64),
    /// Address of a list of such pairs, and its length.
    List(u64, u64),
    /// A list, its length, and how many of its bytes are left out at the start.
    Rest(u64, u64, u64),
    /// So many that are counted and put nowhere.
    Nowhere(u64),
}

impl Pieces {
    /// All its bytes.
    ///
    /// # Errors
    /// `EINVAL` if there are too many, `EFAULT`.
    pub(super) fn total(self, world: &impl World) -> Result<u64, Errno> {
        let (list, count, skip) = match self {
            Self::One(_, bytes) | Self::Nowhere(bytes) => return Ok(bytes.min(i32::MAX.unsigned_abs().into())),
            Self::List(_, count) | Self::Rest(_, count, _) if count > PARTS_MAX => return Err(Errno::EINVAL),
            Self::List(list, count) => (list, count, 0),
            Self::Rest(list, count, skip) => (list, count, skip),
        };
        let total = (0..count).try_fold(0_u64, |total, part| {
            let [_, bytes] = world::read_words(world, list.wrapping_add(part * 16))?;
            let total = total.checked_add(bytes).ok_or(Errno::EINVAL)?;
            if total > i64::MAX.cast_unsigned() { Err(Errno::EINVAL) } else { Ok(total) }
        });
        total.map(|total| total.saturating_sub(skip))
    }

    /// What is behind the first bytes of it.
    pub(super) const fn behind(self, done: u64) -> Self {
        match self {
            Self::One(address, bytes) => Self::One(address.wrapping_add(done), bytes.saturating_sub(done)),
            Self::Nowhere(bytes) => Self::Nowhere(bytes.saturating_sub(done)),
            Self::List(list, count) => Self::Rest(list, count, done),
            Self::Rest(list, count, skip) => Self::Rest(list, count, skip.saturating_add(done)),
        }
    }

    /// The piece that the byte at `offset` is in, from there on: address and bytes; `None` beyond the end.
    fn at(self, world: &impl World, offset: u64) -> Result<Option<(u64, u64)>, Errno> {
        let rest = |address: u64, bytes: u64, offset: u64| {
            (offset < bytes).then(|| (address.wrapping_add(offset), bytes - offset))
        };
        let (list, count, skip) = match self {
            Self::One(address, bytes) => return Ok(rest(address, bytes, offset)),
            Self::Nowhere(bytes) => return Ok(rest(0, bytes, offset)),
            Self::List(list, count) => (list, count, 0),
            Self::Rest(list, count, skip) => (list, count, skip),
        };
        let mut offset = offset.saturating_add(skip);
        for part in 0..count {
            let [address, bytes] = world::read_words(world, list.wrapping_add(part * 16))?;
            match rest(address, bytes, offset) {
                Some(found) => return Ok(Some(found)),
                None => offset -= bytes,
            }
        }
        Ok(None)
    }

    /// Copies from the program, from `offset` on, at most to the end of a piece; how many bytes.
    pub(super) fn read(self, world: &impl World, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let Some((address, bytes)) = self.at(world, offset)? else { return Ok(0) };
        let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(into.len());
        world.read(address, into.get_mut(..length).unwrap_or_default())?;
        Ok(length)
    }

    /// Copies to the program, from `offset` on, at most to the end of a piece; how many bytes.
    pub(super) fn write(self, world: &mut impl World, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let Some((address, room)) = self.at(world, offset)? else { return Ok(0) };
        let length = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        if !matches!(self, Self::Nowhere(_)) {
            world.write(address, bytes.get(..length).unwrap_or_default())?;
        }
        Ok(length)
    }

    /// Fills all of `into` with what the program has from `offset` on.
    ///
    /// # Errors
    /// `EFAULT`, also if there is less.
    pub(super) fn read_whole(self, world: &impl World, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read(world, offset + done as u64, rest)? {
                0 => return Err(Errno::EFAULT),
                moved => done += moved,
            }
        }
        Ok(())
    }

    /// Copies all of `bytes` to the program, from `offset` on.
    ///
    /// # Errors
    /// `EFAULT`, also if there is less room.
    pub(super) fn write_whole(self, world: &mut impl World, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        if self.fill(world, offset, bytes)? == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Copies `bytes` to the program, from `offset` on, as far as there is room; how many.
    pub(super) fn fill(self, world: &mut impl World, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write(world, offset + done as u64, rest)? {
                0 => break,
                moved => done += moved,
            }
        }
        Ok(done)
    }
}

/// Bytes in order, in pages of the program's heap: so what waits in pipes and sockets counts as what the program has.
#[derive(Debug)]
pub(super) struct Buffer {
    address: u64,
    capacity: u64,
    start: u64,
    length: u64,
}

impl Buffer {
    /// An empty one; `capacity` is a multiple of a page.
    ///
    /// # Errors
    /// `ENOMEM` if the heap has no room.
    pub(super) fn new<S: super::Pages>(
        areas: &mut Areas<S>,
        world: &mut impl World,
        capacity: u64,
    ) -> Result<Self, Errno> {
        let mut zero = |address, bytes| world.zero(address, bytes);
        let address = areas.map(capacity, Access::ReadWrite, &mut zero)?;
        Ok(Self { address, capacity, start: 0, length: 0 })
    }

    /// Gives its pages back.
    pub(super) fn free<S: super::Pages>(self, areas: &mut Areas<S>) {
        let _it_was_mapped = areas.unmap(self.address, self.capacity);
    }

    pub(super) const fn len(&self) -> u64 {
        self.length
    }

    pub(super) const fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) const fn room(&self) -> u64 {
        self.capacity - self.length
    }

    /// The part of `bytes` bytes at `at` that does not wrap.
    fn run(&self, at: u64, bytes: u64) -> (u64, u64) {
        let at = at % self.capacity;
        (self.address + at, bytes.min(self.capacity - at))
    }

    /// Appends what there is room for; how many bytes.
    pub(super) fn push(&mut self, world: &mut impl World, bytes: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty() && self.room() > 0) {
            let (address, room) = self.run(self.start + self.length, self.room());
            let length = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
            world.write(address, rest.get(..length).unwrap_or_default())?;
            self.length += length as u64;
            done += length;
        }
        Ok(done)
    }

    /// Copies out from the front, `skip` bytes behind it, without taking; how many bytes.
    pub(super) fn peek(&self, world: &impl World, skip: u64, into: &mut [u8]) -> Result<usize, Errno> {
        if skip >= self.length {
            return Ok(0);
        }
        let (address, bytes) = self.run(self.start + skip, self.length - skip);
        let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(into.len());
        world.read(address, into.get_mut(..length).unwrap_or_default())?;
        Ok(length)
    }

    /// Copies out from the front, `skip` bytes behind it, all of `into`, without taking.
    ///
    /// # Errors
    /// `EIO` if there is less.
    pub(super) fn peek_whole(&self, world: &impl World, skip: u64, into: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.peek(world, skip + done as u64, rest)? {
                0 => return Err(Errno::EIO),
                length => done += length,
            }
        }
        Ok(())
    }

    /// Forgets what was appended since it had this length.
    pub(super) fn cut(&mut self, length: u64) {
        self.length = self.length.min(length);
    }

    /// Takes bytes from the front.
    pub(super) fn drop_front(&mut self, bytes: u64) {
        let bytes = bytes.min(self.length);
        self.start = (self.start + bytes) % self.capacity;
        self.length -= bytes;
    }

    /// Appends what the program wrote, from `offset` of it on, until either ends; how many bytes.
    pub(super) fn push_from(&mut self, world: &mut impl World, pieces: Pieces, offset: u64) -> Result<u64, Errno> {
        let mut done = 0;
        while self.room() > 0 {
            let (to, room) = self.run(self.start + self.length, self.room());
            let moved = pieces.at(world, offset + done).and_then(|piece| match piece {
                Some((from, bytes)) => copy(world, from, to, bytes.min(room)),
                None => Ok(0),
            });
            match moved {
                Ok(0) => break,
                Ok(moved) => (self.length, done) = (self.length + moved, done + moved),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Gives the program what is at the front, until either ends; how many bytes. They stay if `is_peek`.
    pub(super) fn pop_to(&mut self, world: &mut impl World, pieces: Pieces, is_peek: bool) -> Result<u64, Errno> {
        let done = self.copy_to(world, pieces, 0, self.length)?;
        if !is_peek {
            self.drop_front(done);
        }
        Ok(done)
    }

    /// Gives the program at most `most` bytes, `skip` bytes behind the front, without taking them; how many bytes.
    pub(super) fn copy_to(&self, world: &mut impl World, pieces: Pieces, skip: u64, most: u64) -> Result<u64, Errno> {
        let (mut done, most) = (0, most.min(self.length.saturating_sub(skip)));
        while done < most {
            let (from, bytes) = self.run(self.start + skip + done, most - done);
            let moved = pieces.at(world, done).and_then(|piece| match piece {
                Some((_, room)) if matches!(pieces, Pieces::Nowhere(_)) => Ok(bytes.min(room)),
                Some((to, room)) => copy(world, from, to, bytes.min(room)),
                None => Ok(0),
            });
            match moved {
                Ok(0) => break,
                Ok(moved) => done += moved,
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

/// Copies within the program's memory; how many bytes. Where not all of it is the program's, only the first of it, so that what can be moved is.
fn copy(world: &mut impl World, from: u64, to: u64, bytes: u64) -> Result<u64, Errno> {
    let first = bytes.min(CHUNK as u64);
    match world.copy(from, to, bytes) {
        Ok(()) => Ok(bytes),
        Err(_) if first < bytes => world.copy(from, to, first).map(|()| first),
        Err(errno) => Err(errno),
    }
}
