//! Calls about paths, and about descriptors as files: there is no file server yet, so there are only synthetic files.
use super::object::{Held, Object};
use super::pieces::Pieces;
use super::{Pages, Process};
use crate::areas::PAGE;
use crate::number::{self, Answer, Errno, low};
use crate::world::{self, World};

const AT_EMPTY_PATH: u32 = 0x1000;
/// File types, with the rights that their owner has.
const CHARACTER_DEVICE: u32 = 0o2_0600;
const FIFO: u32 = 0o1_0600;
const REGULAR: u32 = 0o10_0400;
const SOCKET: u32 = 0o14_0600;
const ANONYMOUS: u32 = 0o600;

impl<S: Pages> Process<S> {
    /// Calls about files; `None` for others.
    pub(super) fn file_call(&mut self, world: &mut impl World, number: u64, args: [u64; 6]) -> Option<Answer> {
        Some(match number {
            number::LSEEK => self.seek(world, args),
            number::PREAD64 => self.read_at(world, args),
            number::PWRITE64 => self.files.id(args[0]).and(Err(Errno::ESPIPE)),
            number::FSYNC | number::FTRUNCATE => self.files.id(args[0]).and(Err(Errno::EINVAL)),
            number::FSTAT => self.stat(world, args[0], args[1]),
            number::NEWFSTATAT if low(args[3]) & AT_EMPTY_PATH != 0 && is_empty(world, args[1]) => {
                self.stat(world, args[0], args[2])
            }
            number::OPENAT => self.open_path(world, args),
            number::MKDIRAT | number::SYMLINKAT | number::LINKAT | number::RENAMEAT | number::RENAMEAT2 => {
                self.no_files(world, number, Errno::EACCES)
            }
            number::NEWFSTATAT
            | number::STATX
            | number::FACCESSAT
            | number::FACCESSAT2
            | number::READLINKAT
            | number::UNLINKAT
            | number::CHDIR
            | number::STATFS
            | number::FCHMODAT
            | number::UTIMENSAT => self.no_files(world, number, Errno::ENOENT),
            _ => return None,
        })
    }

    fn no_files(&mut self, world: &mut impl World, number: u64, errno: Errno) -> Answer {
        self.tell(world, number, "its component was granted no files");
        Err(errno)
    }

    /// Only texts have a place for their reader.
    fn seek(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        let id = self.files.id(args[0])?;
        let (text, at) = match self.files.objects.get(id).map(|held| &held.object) {
            Some(Object::Text(text, at)) => (*text, *at),
            Some(Object::Null | Object::Zero) => return Ok(0),
            _ => return Err(Errno::ESPIPE),
        };
        let base = match low(args[2]) {
            0 => 0,
            1 => at,
            2 => self.text_len(world, text),
            _ => return Err(Errno::EINVAL),
        };
        let to = base.checked_add_signed(args[1].cast_signed()).ok_or(Errno::EINVAL)?;
        if let Some(Held { object: Object::Text(_, at), .. }) = self.files.objects.get_mut(id) {
            *at = to;
        }
        Ok(to)
    }

    fn read_at(&mut self, world: &mut impl World, args: [u64; 6]) -> Answer {
        match self.files.held(args[0])?.object {
            Object::Text(text, _) => self.read_text(world, text, args[3], Pieces::One(args[1], args[2])),
            _ => Err(Errno::ESPIPE),
        }
    }

    /// `struct stat`: device, number, mode and links, owners, size and block size; what has no meaning here is 0.
    fn stat(&mut self, world: &mut impl World, argument: u64, address: u64) -> Answer {
        let id = self.files.id(argument)?;
        let (mode, size) = match self.files.held(argument)?.object {
            Object::Text(text, _) => (REGULAR, self.text_len(world, text)),
            Object::Pipe(ends) if ends.reads.is_some() && ends.writes.is_some() => (SOCKET, 0),
            Object::Pipe(_) => (FIFO, 0),
            Object::Tcp(_) | Object::Datagram(_) => (SOCKET, 0),
            Object::Event(_) | Object::Timer(_) | Object::Epoll => (ANONYMOUS, 0),
            Object::Input | Object::Output(_) | Object::Null | Object::Zero | Object::Random => (CHARACTER_DEVICE, 0),
        };
        let user = u32::from(self.identity.instance);
        let halves = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let mut words = [0; 16];
        words[1] = id as u64 + 1;
        words[2] = halves(mode, 1);
        words[3] = halves(user, user);
        words[6] = size;
        words[7] = PAGE;
        world::write_words(world, address, &words)?;
        Ok(0)
    }
}

fn is_empty(world: &impl World, path: u64) -> bool {
    let mut first = [1];
    world.read(path, &mut first).is_ok() && first == [0]
}
