//! Open files: reading, writing, seeking, sizes; little data goes in the message, much through the rings.
//!
//! INV-FILE-1: bytes that the server says it made ready are taken out whole, or the server is not listened to any more.
use super::claims::Node;
use super::tree;
use crate::files::{At, CHUNK_MAX, Creation, INLINE_MAX, Lock, RECORDS_MAX, TRANSFER_MAX};
use crate::number::{Answer, Errno, int, low};
use crate::process::object::{Held, Id, Object};
use crate::process::pieces::Pieces;
use crate::process::{Pages, Process};
use crate::world::World;
use alloc::vec::Vec;

pub(in crate::process) const O_APPEND: u32 = 0o2000;
/// `O_DSYNC`, which `O_SYNC` contains.
const O_DSYNC: u32 = 0o1_0000;
/// The greatest offset of a file.
const OFFSET_MAX: u64 = i64::MAX.cast_unsigned();

/// A file that is open at the server.
#[derive(Debug, Clone, Copy)]
pub(in crate::process) struct File {
    pub(super) place: usize,
    /// The server's.
    pub(super) number: u32,
    /// No other file's of the place.
    pub(super) node: u64,
    pub(super) offset: u64,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    pub(in crate::process) is_appended: bool,
    is_synced: bool,
    /// It has the lock that the program's ranges of the file come to.
    pub(super) is_holder: bool,
    /// What `flock` wants, and what the server was told.
    pub(super) whole: Lock,
    pub(super) held: Lock,
}

impl File {
    pub(super) const fn new(place: usize, number: u32, node: u64, flags: u32) -> Self {
        Self {
            place,
            number,
            node,
            offset: 0,
            is_readable: flags & 3 != 1,
            is_writable: matches!(flags & 3, 1 | 2),
            is_appended: flags & O_APPEND != 0,
            is_synced: flags & O_DSYNC != 0,
            is_holder: false,
            whole: Lock::None,
            held: Lock::None,
        }
    }

    /// Whether it was opened for reading, or for writing.
    pub(in crate::process) const fn may(&self, read: bool) -> bool {
        if read { self.is_readable } else { self.is_writable }
    }

    /// Its place, and the server's number.
    pub(in crate::process) const fn opened(&self) -> (usize, u32) {
        (self.place, self.number)
    }

    /// Which file it is.
    pub(super) const fn node(&self) -> Node {
        (self.place, self.node)
    }

    /// `O_RDONLY`, `O_WRONLY`, `O_RDWR`, `O_APPEND`.
    pub(in crate::process) fn status_flags(&self) -> u32 {
        let access = match (self.is_readable, self.is_writable) {
            (true, true) => 2,
            (false, _) => 1,
            _ => 0,
        };
        access | if self.is_appended { O_APPEND } else { 0 }
    }
}

impl<S: Pages> Process<S> {
    /// `read` at the file's own offset.
    pub(in crate::process) fn read_file(&mut self, world: &mut impl World, id: Id, pieces: Pieces) -> Answer {
        let file = *self.file_mut(id).ok_or(Errno::EBADF)?;
        let read = self.read_from(world, file, file.offset, pieces)?;
        if let Some(file) = self.file_mut(id) {
            file.offset += read;
        }
        Ok(read)
    }

    /// `write` at the file's own offset, or at its end.
    pub(in crate::process) fn write_file(&mut self, world: &mut impl World, id: Id, pieces: Pieces) -> Answer {
        let file = *self.file_mut(id).ok_or(Errno::EBADF)?;
        let (written, end) = self.write_to(world, file, file.offset, pieces)?;
        if let Some(file) = self.file_mut(id) {
            file.offset = end;
        }
        Ok(written)
    }

    /// At most `into.len()` and [`INLINE_MAX`] bytes at the file's own offset, which are for another program and stay there; 0 at its end.
    pub(in crate::process) fn look_at_piece(
        &mut self,
        world: &mut impl World,
        id: Id,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        let file = self.file_mut(id).filter(|file| file.is_readable).ok_or(Errno::EBADF)?;
        let room = into.len().min(INLINE_MAX);
        let (place, number, offset) = (file.place, file.number, file.offset);
        let length = tree(world, place)?.get(number, offset, into.get_mut(..room).unwrap_or_default())?;
        if length > room {
            return Err(Errno::EIO);
        }
        Ok(length)
    }

    /// So many of them were taken.
    pub(in crate::process) fn pass_piece(&mut self, id: Id, length: usize) {
        if let Some(file) = self.file_mut(id) {
            file.offset = file.offset.saturating_add(length as u64);
        }
    }

    /// As [`Self::look_at_piece`], and they are taken.
    pub(in crate::process) fn read_piece(
        &mut self,
        world: &mut impl World,
        id: Id,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        let length = self.look_at_piece(world, id, into)?;
        self.pass_piece(id, length);
        Ok(length)
    }

    /// Writes at most [`CHUNK_MAX`] bytes of another program, as [`Self::write_file`].
    pub(in crate::process) fn write_piece(
        &mut self,
        world: &mut impl World,
        id: Id,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let file = *self.file_mut(id).filter(|file| file.is_writable).ok_or(Errno::EBADF)?;
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::EFBIG)?;
        file.offset.checked_add(len.into()).filter(|end| *end <= OFFSET_MAX).ok_or(Errno::EFBIG)?;
        let at = if file.is_appended { At::End } else { At::Offset(file.offset) };
        let tree = tree(world, file.place)?;
        let end = if bytes.len() <= INLINE_MAX {
            tree.put(file.number, at, bytes)?
        } else {
            tree.push(bytes)?;
            tree.write(file.number, at, len)?
        };
        if !is_end(at, len.into(), end) {
            return Err(Errno::EIO);
        }
        if file.is_synced {
            tree.sync()?;
        }
        if let Some(file) = self.file_mut(id) {
            file.offset = end;
        }
        Ok(())
    }

    pub(super) fn read_at(&mut self, world: &mut impl World, args: [u64; 6], pieces: Pieces) -> Answer {
        match self.files.held(args[0])?.object {
            Object::Text(text, _) => return self.read_text(world, text, args[3], pieces),
            // Devices have no places.
            Object::Null | Object::Zero => {
                let id = self.files.id(args[0])?;
                return Ok(self.read_object(world, id, pieces, false)?.unwrap_or(0));
            }
            _ => {}
        }
        let (_, file) = self.file(args[0], Errno::EISDIR, Errno::ESPIPE)?;
        self.read_from(world, file, args[3], pieces)
    }

    pub(super) fn write_at(&mut self, world: &mut impl World, args: [u64; 6], pieces: Pieces) -> Answer {
        if let Object::Null | Object::Zero = self.files.held(args[0])?.object {
            return pieces.total(world);
        }
        let (_, file) = self.file(args[0], Errno::EISDIR, Errno::ESPIPE)?;
        Ok(self.write_to(world, file, args[3], pieces)?.0)
    }

    pub(super) fn read_from(&mut self, world: &mut impl World, file: File, offset: u64, pieces: Pieces) -> Answer {
        if !file.is_readable {
            return Err(Errno::EBADF);
        }
        let total = pieces.total(world)?;
        offset.checked_add(total).filter(|end| *end <= OFFSET_MAX).ok_or(Errno::EINVAL)?;
        let mut transfer = Transfer { file, pieces, done: 0, chunk: core::mem::take(&mut self.fs.chunk) };
        let read = transfer.read(world, offset, total);
        self.fs.chunk = transfer.chunk;
        read
    }

    /// How many bytes were written, and where they end.
    fn write_to(
        &mut self,
        world: &mut impl World,
        file: File,
        offset: u64,
        pieces: Pieces,
    ) -> Result<(u64, u64), Errno> {
        if !file.is_writable {
            return Err(Errno::EBADF);
        }
        let total = pieces.total(world)?;
        offset.checked_add(total).filter(|end| *end <= OFFSET_MAX).ok_or(Errno::EFBIG)?;
        let mut transfer = Transfer { file, pieces, done: 0, chunk: core::mem::take(&mut self.fs.chunk) };
        let written = transfer.write(world, offset, total);
        self.fs.chunk = transfer.chunk;
        let written = written?;
        if file.is_synced {
            tree(world, file.place)?.sync()?;
        }
        Ok(written)
    }

    /// Also of texts, and of directories, whose places are counted.
    pub(super) fn seek(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let (by, whence) = (args[1].cast_signed(), low(args[2]));
        let held = self.files.objects.get_mut(id).ok_or(Errno::EBADF)?;
        match &mut held.object {
            Object::Null | Object::Zero => Ok(0),
            Object::Text(text, at) => {
                let (text, at) = (*text, *at);
                let to = moved(by, whence, at, || Ok(self.text_len(world, text)))?;
                if let Some(Held { object: Object::Text(_, at), .. }) = self.files.objects.get_mut(id) {
                    *at = to;
                }
                Ok(to)
            }
            Object::Directory(directory) => directory.seek(by, whence),
            Object::File(file) => {
                let file = *file;
                let to = moved(by, whence, file.offset, || Ok(tree(world, file.place)?.status(file.number)?.size))?;
                if let Some(file) = self.file_mut(id) {
                    file.offset = to;
                }
                Ok(to)
            }
            _ => Err(Errno::ESPIPE),
        }
    }

    pub(super) fn sync_file(&mut self, world: &mut impl World, argument: u64) -> Answer {
        let object = &self.files.held(argument)?.object;
        match (object.opened(), object) {
            (Some((place, _)), _) => tree(world, place)?.sync().map(|()| 0),
            (None, Object::Directory(_)) => Ok(0),
            (None, _) => Err(Errno::EINVAL),
        }
    }

    /// `sync` tells no errors.
    pub(super) fn sync_all(&mut self, world: &mut impl World) -> Answer {
        for place in 0..self.fs.mounts.len() {
            let _kept_or_not = tree(world, place).and_then(|tree| tree.sync());
        }
        Ok(0)
    }

    pub(super) fn truncate_file(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (_, file) = self.file(args[0], Errno::EINVAL, Errno::EINVAL)?;
        if !file.is_writable || args[1] > OFFSET_MAX {
            return Err(Errno::EINVAL);
        }
        tree(world, file.place)?.set_size(file.number, args[1]).map(|()| 0)
    }

    pub(super) fn truncate_path(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        if args[1] > OFFSET_MAX {
            return Err(Errno::EINVAL);
        }
        let (path, spot) = self.at(world, super::CURRENT.cast_unsigned().into(), args[0])?;
        match spot {
            super::Spot::Granted(_, _) if path.is_directory => Err(Errno::EISDIR),
            super::Spot::Granted(place, below) => {
                let tree = tree(world, place)?;
                let (number, _) = tree.open_to_write(&below, Creation::Never, false)?;
                let done = tree.set_size(number, args[1]);
                tree.close(number);
                done.map(|()| 0)
            }
            super::Spot::Synthetic(_) => Err(Errno::EINVAL),
            super::Spot::Way => Err(Errno::EISDIR),
            super::Spot::Nowhere => Err(self.nowhere(world, crate::number::TRUNCATE, false)),
        }
    }

    /// A longer file counts against the quota at once, so it has its room. Nothing else of `fallocate` is there.
    pub(super) fn allocate(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let (_, file) = self.file(args[0], Errno::EINVAL, Errno::ESPIPE)?;
        if int(args[1]) != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if !file.is_writable {
            return Err(Errno::EBADF);
        }
        let end = args[2].checked_add(args[3]).filter(|end| *end <= OFFSET_MAX && args[3] > 0).ok_or(Errno::EINVAL)?;
        let tree = tree(world, file.place)?;
        if tree.status(file.number)?.size < end {
            tree.set_size(file.number, end)?;
        }
        Ok(0)
    }
}

/// Where `lseek` goes.
fn moved(by: i64, whence: u32, at: u64, size: impl FnOnce() -> Answer) -> Answer {
    let to = match whence {
        0 => 0_u64.checked_add_signed(by),
        1 => at.checked_add_signed(by),
        2 => size()?.checked_add_signed(by),
        // Everything up to the end counts as data (`SEEK_DATA`, `SEEK_HOLE`).
        3 | 4 => {
            let size = size()?;
            let from = u64::try_from(by).ok().filter(|from| *from < size).ok_or(Errno::ENXIO)?;
            return Ok(if whence == 3 { from } else { size });
        }
        _ => None,
    };
    to.filter(|to| *to <= OFFSET_MAX).ok_or(Errno::EINVAL)
}

/// Bytes on their way between a file and the program.
struct Transfer {
    file: File,
    pieces: Pieces,
    /// How many have arrived.
    done: u64,
    chunk: Vec<u8>,
}

impl Transfer {
    fn read(&mut self, world: &mut impl World, offset: u64, total: u64) -> Answer {
        while self.done < total {
            let want = usize::try_from(total - self.done).unwrap_or(usize::MAX).min(TRANSFER_MAX);
            let moved = if want <= INLINE_MAX {
                self.read_few(world, offset + self.done, want)
            } else {
                self.read_many(world, offset + self.done, want)
            };
            match moved {
                Ok(moved) => {
                    self.done += moved as u64;
                    if moved < want {
                        break;
                    }
                }
                Err(errno) if self.done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(self.done)
    }

    fn read_few(&mut self, world: &mut impl World, offset: u64, want: usize) -> Result<usize, Errno> {
        let mut bytes = [0; INLINE_MAX];
        let into = bytes.get_mut(..want).unwrap_or_default();
        let length = tree(world, self.file.place)?.get(self.file.number, offset, into)?;
        self.pieces.write_whole(world, self.done, into.get(..length).ok_or(Errno::EIO)?)?;
        Ok(length)
    }

    /// The chunk has its memory before the server is asked for anything.
    fn reserve(&mut self, want: usize) -> Result<(), Errno> {
        let more = want.min(CHUNK_MAX).saturating_sub(self.chunk.len());
        self.chunk.try_reserve_exact(more).map_err(|_| Errno::ENOMEM)
    }

    /// All that was made ready is taken out, also if the program has no memory for it.
    fn read_many(&mut self, world: &mut impl World, offset: u64, want: usize) -> Result<usize, Errno> {
        let place = self.file.place;
        self.reserve(want)?;
        let said = tree(world, place)?.read(self.file.number, offset, u32::try_from(want).unwrap_or(0))?;
        let said = usize::try_from(said).unwrap_or(usize::MAX);
        let (mut taken, mut given) = (0, Ok(()));
        for _ in 0..RECORDS_MAX {
            if taken >= said || said > want || !tree(world, place)?.pop(&mut self.chunk)? || self.chunk.is_empty() {
                break;
            }
            // Only what was asked for is given to the program.
            if given.is_ok() && taken + self.chunk.len() <= said {
                given = self.pieces.write_whole(world, self.done + taken as u64, &self.chunk);
            }
            taken += self.chunk.len();
        }
        if taken != said {
            tree(world, place)?.abandon();
            return Err(Errno::EIO);
        }
        given.map(|()| said)
    }

    /// How many bytes were written, and where they end.
    fn write(&mut self, world: &mut impl World, offset: u64, total: u64) -> Result<(u64, u64), Errno> {
        let mut end = offset;
        while self.done < total {
            let at = if self.file.is_appended { At::End } else { At::Offset(offset + self.done) };
            let want = usize::try_from(total - self.done).unwrap_or(usize::MAX).min(TRANSFER_MAX);
            let moved =
                if want <= INLINE_MAX { self.write_few(world, at, want) } else { self.write_many(world, at, want) };
            match moved {
                Ok((moved, to)) if is_end(at, moved, to) => {
                    self.done += moved;
                    end = to;
                    if moved < want as u64 {
                        break;
                    }
                }
                Ok(_) if self.done == 0 => return Err(Errno::EIO),
                Err(errno) if self.done == 0 => return Err(errno),
                _ => break,
            }
        }
        Ok((self.done, end))
    }

    fn write_few(&mut self, world: &mut impl World, at: At, want: usize) -> Result<(u64, u64), Errno> {
        let mut bytes = [0; INLINE_MAX];
        let data = bytes.get_mut(..want).unwrap_or_default();
        self.pieces.read_whole(world, self.done, data)?;
        Ok((want as u64, tree(world, self.file.place)?.put(self.file.number, at, data)?))
    }

    /// What the program cannot be read from ends the transfer before it.
    fn write_many(&mut self, world: &mut impl World, at: At, want: usize) -> Result<(u64, u64), Errno> {
        let mut pushed = 0;
        self.reserve(want)?;
        while pushed < want {
            self.chunk.resize((want - pushed).min(CHUNK_MAX), 0);
            match self.pieces.read_whole(world, self.done + pushed as u64, &mut self.chunk) {
                Err(errno) if pushed == 0 => return Err(errno),
                Err(_) => break,
                Ok(()) => tree(world, self.file.place)?.push(&self.chunk)?,
            }
            pushed += self.chunk.len();
        }
        let len = u32::try_from(pushed).unwrap_or(0);
        Ok((pushed as u64, tree(world, self.file.place)?.write(self.file.number, at, len)?))
    }
}

/// Whether a write of `len` bytes can end there.
fn is_end(at: At, len: u64, end: u64) -> bool {
    match at {
        At::Offset(offset) => offset.checked_add(len) == Some(end),
        At::End => (len..=OFFSET_MAX).contains(&end),
    }
}
